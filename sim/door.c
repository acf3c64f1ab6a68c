#include "sim/door.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "sim/fault.h"
#include "sim/page.h"
#include "sim/poller.h"
#include "sim/process.h"
#include "sim/signal.h"
#include "sim/stream.h"
#include "sim/world.h"

#define WALL_START_MS INT64_C(1600000000000)
#define HOUR_MS       3600000u
#define DAY_MS        86400000u
#define PCT_CHOICES   16u /* with pct: one of so many choices is not the same as the last */

static uint64_t now_ns(void *world)
{
    (void)world;
    gv_sim.now_ns += gv_sim_draw(GV_SIM_CLOCK, gv_sim_mix.clock_step_ns + 1);
    return gv_sim.now_ns;
}

void gv_sim_wall_jump(void)
{
    uint32_t most_ms = gv_sim_draw(GV_SIM_WORLD, 8) == 0 ? DAY_MS : HOUR_MS;

    gv_sim.wall_shift_ms = (int64_t)gv_sim_draw(GV_SIM_WORLD, 2 * most_ms) - most_ms;
    gv_sim_note("wall clock", (uint64_t)gv_sim.wall_shift_ms, 0);
}

static int64_t wall_ms(void *world)
{
    (void)world;
    if (gv_sim_strikes(GROVE_SIM_CLOCK, GV_SIM_WORLD, gv_sim_mix.wall_jump_ppm))
        gv_sim_wall_jump();
    return WALL_START_MS + (int64_t)(gv_sim.now_ns / 1000000) + gv_sim.wall_shift_ms;
}

static uint64_t random_bits(void *world)
{
    (void)world;
    return gv_sim_random(GV_SIM_APP);
}

/*
 * With pct a place in the queue is preferred for a while: the same one is
 * passed over again and again, as a thread of low priority would be.
 */
static uint32_t choose(void *world, uint32_t n, enum gv_choice kind)
{
    (void)world;
    if (kind == GV_CHOICE_APP)
        return gv_sim_draw(GV_SIM_APP, n);
    if (!gv_sim.pct || kind != GV_CHOICE_READY)
        return gv_sim_draw(GV_SIM_ORDER, n);
    if (gv_sim_draw(GV_SIM_ORDER, PCT_CHOICES) == 0)
        gv_sim.preferred = gv_sim_draw(GV_SIM_ORDER, 8);
    return gv_sim.preferred < n ? gv_sim.preferred : n - 1;
}

static int watch_open(struct gv_poller *poller, const struct gv_watch_options *options,
                      struct gv_watch **watch)
{
    (void)poller;
    (void)options;
    (void)watch;
    return GROVE_ENOSIM;
}

static void watch_close(struct gv_watch *watch)
{
    (void)watch;
    gv_sim_crash("a watch was closed, but none can be opened");
}

/* --- blocking runs ---------------------------------------------------------------------------------- */

struct blocking {
    struct gv_poller *poller;
    struct gv_blocking_job job;
};

static void end_blocking(void *object)
{
    struct blocking blocking = *(struct blocking *)object;

    free(object);
    blocking.job.done(blocking.job.argument);
}

static void begin_blocking(void *object)
{
    struct blocking *blocking = object;

    blocking->job.run(blocking->job.argument);
    gv_sim_post(blocking->poller, gv_sim_travel_ns(), end_blocking, blocking);
}

/* What programs run themselves is theirs; files and names of the real world would not replay. */
static int blocking_run(struct gv_poller *poller, enum gv_blocking kind,
                        const struct gv_blocking_job *job)
{
    struct blocking *blocking;

    if (kind != GV_BLOCKING_USERS)
        return GROVE_ENOSIM;
    blocking = malloc(sizeof *blocking);
    if (blocking == NULL)
        return GROVE_ENOMEM;
    *blocking = (struct blocking){poller, *job};
    gv_sim_post(poller, gv_sim_travel_ns(), begin_blocking, blocking);
    return 0;
}

/* --- words ------------------------------------------------------------------------------------------ */

static void log_write(void *world, const char *line, size_t n_bytes)
{
    (void)world;
    gv_sim_log(line, n_bytes);
}

static void crash(void *world, const char *report) __attribute__((noreturn));

static void crash(void *world, const char *report)
{
    (void)world;
    gv_sim_crash("crash: %s", report);
}

static void quit(void *world, int status) __attribute__((noreturn));

static void quit(void *world, int status)
{
    (void)world;
    gv_sim_crash("the process ends with status %d", status);
}

const struct gv_env gv_sim_env = {
    .now_ns = now_ns,
    .wall_ms = wall_ms,
    .random = random_bits,
    .choose = choose,
    .poller_open = gv_sim_poller_open,
    .poller_poll = gv_sim_poller_poll,
    .poller_wake = gv_sim_poller_wake,
    .poller_close = gv_sim_poller_close,
    .thread_start = gv_sim_poller_thread_start,
    .thread_join = gv_sim_poller_thread_join,
    .listen = gv_sim_listen,
    .listener_pause = gv_sim_listener_pause,
    .listener_url = gv_sim_listener_url,
    .listener_close = gv_sim_listener_close,
    .dial = gv_sim_dial,
    .stream_adopt = gv_sim_stream_adopt,
    .stream_identity = gv_sim_stream_identity,
    .stream_pause = gv_sim_stream_pause,
    .stream_resume = gv_sim_stream_resume,
    .stream_write = gv_sim_stream_write,
    .stream_shutdown = gv_sim_stream_shutdown,
    .stream_close = gv_sim_stream_close,
    .process_spawn = gv_sim_process_spawn,
    .process_pid = gv_sim_process_pid,
    .process_kill = gv_sim_process_kill,
    .page_open = gv_sim_page_open,
    .page_inherit = gv_sim_page_inherit,
    .page_close = gv_sim_page_close,
    .signals_open = gv_sim_signals_open,
    .signals_close = gv_sim_signals_close,
    .signals_block = gv_sim_signals_block,
    .signals_restore = gv_sim_signals_block,
    .watch_open = watch_open,
    .watch_close = watch_close,
    .blocking_run = blocking_run,
    .log_write = log_write,
    .quit = quit,
    .crash = crash,
};
