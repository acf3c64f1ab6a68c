/*
 * Signals: a plain thread on which they are handled, and who watches which.
 *
 * All threads of loops have their signals blocked, main's too while grove
 * runs; so the kernel gives those of the process to the one thread made
 * here. The handler of a watched signal notes it and writes to an eventfd.
 * The thread reads that, and posts to the pollers of all who watch it. What
 * is not watched has the effect that the program chose, on this thread, and
 * never on the small stack of a greenlet.
 *
 * As no loop can hold this thread up, it also lends its time to the watchdog
 * (aside, see env.h).
 *
 *     kernel ─▶ on_signal ─▶ bits, eventfd ─▶ thread ─▶ post ─▶ came, on the watcher's loop
 *
 * Always: a signal has our handler exactly while somebody watches it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"
#include "runtime/host_monitor.h"

#define N_SIGNALS   64
#define WAIT_MAX_NS UINT64_C(1000000000000)

struct gv_signals {
    struct gv_signals *next;
    struct gv_poller *poller;
    uint64_t set;
    void (*came)(void *owner, int signal);
    void *owner;
    uint64_t news; /* not yet told; under the mutex */
    bool posted;   /* under the mutex */
    bool closed;   /* freed by the post that is under way, or by the upcall that runs */
    bool telling;  /* upcalls run; the poller's thread alone */
    struct gv_post post;
};

static struct {
    pthread_mutex_t mutex;
    struct gv_signals *watchers;
    unsigned n_watchers[N_SIGNALS + 1];     /* by signal */
    struct sigaction before[N_SIGNALS + 1]; /* what it did when nobody watched it */
    bool runs;                              /* the thread */
    int fd;                                 /* an eventfd */
    uint64_t (*look)(uint64_t signals);     /* of who is aside; NULL: nobody */
} signals = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* Those that came and were not yet looked at by the thread. */
static _Atomic uint64_t came;

/* --- the thread ----------------------------------------------------------------------------- */

static void on_signal(int signal)
{
    const uint64_t one = 1;
    int error = errno;

    /* seq_cst: seen by the thread that the write below wakes. */
    atomic_fetch_or(&came, gv_signal_bit(signal));
    (void)!write(signals.fd, &one, sizeof(one)); /* It cannot fail before 2^64 signals. */
    errno = error;
}

/* With the mutex held. */
static void tell_all(uint64_t news)
{
    for (struct gv_signals *watcher = signals.watchers; watcher != NULL; watcher = watcher->next) {
        if ((watcher->set & news) == 0)
            continue;
        watcher->news |= watcher->set & news;
        if (!watcher->posted)
            gv_host_post(watcher->poller, &watcher->post);
        watcher->posted = true;
    }
}

/* How long to wait before the next look; -1: until something comes. */
static int tell(uint64_t news)
{
    uint64_t ns = 0;

    pthread_mutex_lock(&signals.mutex);
    tell_all(news);
    if (signals.look != NULL)
        ns = signals.look(news);
    pthread_mutex_unlock(&signals.mutex);
    if (ns == 0)
        return -1;
    return ns < WAIT_MAX_NS ? (int)(ns / 1000000 + 1) : (int)(WAIT_MAX_NS / 1000000);
}

static void *listen_to_signals(void *unused)
{
    struct pollfd wait = {.fd = signals.fd, .events = POLLIN};
    int timeout_ms = -1;
    uint64_t n;

    (void)unused;
    (void)pthread_setname_np(pthread_self(), "grove-signals"); /* A name is a kindness. */
    gv_fault_stack_open();
    for (;;) {
        /* A signal ends a poll, but not a read: the thread sanitizer runs handlers only when the call is over. */
        int n_ready = poll(&wait, 1, timeout_ms);

        if (n_ready < 0)
            continue; /* The handler of a signal that we do not watch has run. */
        if (n_ready == 1 && read(signals.fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
            continue;
        timeout_ms = tell(atomic_exchange(&came, 0));
    }
    return NULL;
}

/* Starts it once for the process, with the mask of the calling thread. With the mutex held. */
static int start_thread(void)
{
    pthread_t thread;
    int rc;

    if (signals.runs)
        return 0;
    if (signals.fd < 0)
        signals.fd = eventfd(0, EFD_CLOEXEC);
    if (signals.fd < 0)
        return -errno;
    rc = pthread_create(&thread, NULL, listen_to_signals, NULL);
    if (rc != 0)
        return -rc;
    gv_assert(pthread_detach(thread) == 0); /* It lives as long as the process. */
    signals.runs = true;
    return 0;
}

/* --- masks ---------------------------------------------------------------------------------- */

static __thread sigset_t mask_before;
static __thread bool is_apart;

void gv_host_signals_apart(void *world)
{
    int rc;

    (void)world;
    gv_assert(!is_apart);
    pthread_mutex_lock(&signals.mutex);
    rc = start_thread();
    pthread_mutex_unlock(&signals.mutex);
    if (rc != 0)
        return; /* Without a thread of their own they are handled here, as in any program. */
    gv_host_signals_block(&mask_before);
    is_apart = true;
}

void gv_host_signals_restore(void *world)
{
    (void)world;
    if (is_apart)
        gv_assert(pthread_sigmask(SIG_SETMASK, &mask_before, NULL) == 0);
    is_apart = false;
}

/* --- aside ---------------------------------------------------------------------------------- */

int gv_host_aside_open(void *world, uint64_t (*look)(uint64_t signals))
{
    int rc;

    (void)world;
    pthread_mutex_lock(&signals.mutex);
    rc = start_thread();
    if (rc == 0)
        signals.look = look;
    pthread_mutex_unlock(&signals.mutex);
    if (rc == 0)
        gv_host_memory_open();
    return rc;
}

void gv_host_aside_call(void *world)
{
    const uint64_t one = 1;

    (void)world;
    (void)!write(signals.fd, &one, sizeof(one)); /* It cannot fail before 2^64 calls. */
}

void gv_host_aside_close(void *world)
{
    (void)world;
    pthread_mutex_lock(&signals.mutex);
    signals.look = NULL;
    pthread_mutex_unlock(&signals.mutex);
    gv_host_memory_close();
}

/* --- watchers ------------------------------------------------------------------------------- */

static bool may_be_watched(int signal)
{
    switch (signal) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGSYS:
        return false;
    default:
        /* Between the usual ones and SIGRTMIN lie those of libc itself. */
        return signal < 32 || signal >= SIGRTMIN;
    }
}

/* One watcher less. With the mutex held. */
static void leave(int signal)
{
    if (--signals.n_watchers[signal] == 0)
        gv_assert(sigaction(signal, &signals.before[signal], NULL) == 0);
}

static void leave_all(uint64_t set)
{
    for (int i = 1; i <= N_SIGNALS; i++)
        if (set & gv_signal_bit(i))
            leave(i);
}

/* One watcher more. With the mutex held. */
static int enter(int signal)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};

    gv_assert(sigfillset(&action.sa_mask) == 0);
    if (signals.n_watchers[signal] == 0 && sigaction(signal, &action, &signals.before[signal]) != 0)
        return -errno;
    signals.n_watchers[signal]++;
    return 0;
}

/* All or none. With the mutex held. */
static int enter_all(uint64_t set)
{
    for (int i = 1; i <= N_SIGNALS; i++) {
        int rc = set & gv_signal_bit(i) ? enter(i) : 0;

        if (rc != 0) {
            leave_all(set & (gv_signal_bit(i) - 1));
            return rc;
        }
    }
    return 0;
}

static void free_watcher(struct gv_signals *watcher)
{
    gv_host_release(watcher->poller);
    free(watcher);
}

static void on_post(void *owner)
{
    struct gv_signals *watcher = owner;
    uint64_t news;

    pthread_mutex_lock(&signals.mutex);
    news = watcher->news;
    watcher->news = 0;
    watcher->posted = false;
    pthread_mutex_unlock(&signals.mutex);
    watcher->telling = true;
    for (int i = 1; i <= N_SIGNALS && !watcher->closed; i++)
        if (news & gv_signal_bit(i))
            watcher->came(watcher->owner, i);
    watcher->telling = false;
    if (watcher->closed)
        free_watcher(watcher);
}

int gv_host_signals_open(struct gv_poller *poller, uint64_t set,
                         void (*function)(void *owner, int signal), void *owner,
                         struct gv_signals **result)
{
    struct gv_signals *watcher;
    int rc;

    for (int i = 1; i <= N_SIGNALS; i++)
        if (set & gv_signal_bit(i) && !may_be_watched(i))
            return -EINVAL;
    if (set == 0)
        return -EINVAL;
    watcher = calloc(1, sizeof(*watcher));
    if (watcher == NULL)
        return -ENOMEM;
    watcher->poller = poller;
    watcher->set = set;
    watcher->came = function;
    watcher->owner = owner;
    watcher->post = (struct gv_post){NULL, on_post, watcher};

    pthread_mutex_lock(&signals.mutex);
    rc = start_thread();
    if (rc == 0)
        rc = enter_all(set);
    if (rc == 0) {
        watcher->next = signals.watchers;
        signals.watchers = watcher;
        gv_host_hold(poller);
    }
    pthread_mutex_unlock(&signals.mutex);
    if (rc != 0)
        free(watcher);
    else
        *result = watcher;
    return rc;
}

void gv_host_signals_close(struct gv_signals *watcher)
{
    struct gv_signals **place = &signals.watchers;
    bool posted;

    pthread_mutex_lock(&signals.mutex);
    while (*place != watcher)
        place = &(*place)->next;
    *place = watcher->next;
    leave_all(watcher->set);
    posted = watcher->posted;
    pthread_mutex_unlock(&signals.mutex);
    watcher->closed = true;
    if (!posted && !watcher->telling)
        free_watcher(watcher);
}
