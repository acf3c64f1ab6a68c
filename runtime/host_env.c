/*
 * The real world: struct gv_env made of the other host_*.c files, and its
 * time and chance.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/monitor.h"

/* --- time ----------------------------------------------------------------------------------- */

static uint64_t now_ns(void *world)
{
    struct timespec now;

    (void)world;
    gv_assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t wall_ms(void *world)
{
    struct timespec now;

    (void)world;
    gv_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- choice --------------------------------------------------------------------------------- */

/*
 * The kernel's bits: tokens are made of them. They are fetched in batches
 * per thread, because a system call for each is 20 times the price. A batch
 * of up to 256 bytes comes whole.
 */
static uint64_t random_bits(void *world)
{
    static __thread uint64_t batch[32];
    static __thread unsigned n_left;
    uint64_t bits;

    (void)world;
    if (n_left == 0) {
        gv_assert(getrandom(batch, sizeof(batch), 0) == (ssize_t)sizeof(batch));
        n_left = sizeof(batch) / sizeof(batch[0]);
    }
    bits = batch[--n_left];
    batch[n_left] = 0; /* what has been given away is not found in memory later */
    return bits;
}

static uint32_t choose(void *world, uint32_t n, enum gv_choice kind)
{
    (void)kind;
    gv_assert(n > 0);
    return (uint32_t)(((random_bits(world) >> 32) * n) >> 32);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct gv_env host = {
    .now_ns = now_ns,
    .wall_ms = wall_ms,
    .random = random_bits,
    .choose = choose,
    .poller_open = gv_host_poller_open,
    .poller_poll = gv_host_poller_poll,
    .poller_wake = gv_host_poller_wake,
    .poller_close = gv_host_poller_close,
    .thread_start = gv_host_thread_start,
    .thread_join = gv_host_thread_join,
    .listen = gv_host_listen,
    .listener_pause = gv_host_listener_pause,
    .listener_url = gv_host_listener_url,
    .listener_close = gv_host_listener_close,
    .dial = gv_host_dial,
    .stream_adopt = gv_host_stream_adopt,
    .stream_identity = gv_host_stream_identity,
    .stream_pause = gv_host_stream_pause,
    .stream_resume = gv_host_stream_resume,
    .stream_write = gv_host_stream_write,
    .stream_try_write = gv_host_stream_try_write,
    .stream_shutdown = gv_host_stream_shutdown,
    .stream_from = gv_host_stream_from,
    .stream_close = gv_host_stream_close,
    .process_spawn = gv_host_process_spawn,
    .process_pid = gv_host_process_pid,
    .process_kill = gv_host_process_kill,
    .page_open = gv_host_page_open,
    .page_inherit = gv_host_page_inherit,
    .page_close = gv_host_page_close,
    .slab_open = gv_host_slab_open,
    .slab_inherit = gv_host_slab_inherit,
    .slab_write = gv_host_slab_write,
    .slab_read = gv_host_slab_read,
    .slab_reserve = gv_host_slab_reserve,
    .slab_trim = gv_host_slab_trim,
    .slab_used = gv_host_slab_used,
    .slab_close = gv_host_slab_close,
    .signals_open = gv_host_signals_open,
    .signals_close = gv_host_signals_close,
    .signals_block = gv_host_signals_apart,
    .signals_restore = gv_host_signals_restore,
    .aside_open = gv_host_aside_open,
    .aside_call = gv_host_aside_call,
    .aside_close = gv_host_aside_close,
    .watch_open = gv_host_watch_open,
    .watch_close = gv_host_watch_close,
    .blocking_run = gv_host_blocking_run,
    .monitor = &gv_host_monitor,
    .log_write = gv_host_log_write,
    .quit = gv_host_quit,
    .crash = gv_host_crash,
};

/* Sets a signal's action unless the program has set a handler of its own. */
static void set_action(int signal_number, void (*from)(int), void (*to)(int))
{
    struct sigaction action;

    gv_assert(sigaction(signal_number, NULL, &action) == 0);
    if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != from)
        return;
    action.sa_handler = to;
    gv_assert(sigaction(signal_number, &action, NULL) == 0);
}

static void prepare_process(void)
{
    /* A peer that has gone is an error of a write, not our end. */
    set_action(SIGPIPE, SIG_DFL, SIG_IGN);
    /* Whoever started us may have left children ignored: then none could be waited for. */
    set_action(SIGCHLD, SIG_IGN, SIG_DFL);
}

const struct gv_env *gv_env_host(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    gv_assert(pthread_once(&once, prepare_process) == 0);
    return &host;
}
