/*
 * Pollers: libuv loops, their wakes, and the threads that poll them.
 *
 * A wake is one exchange on a flag, and a write to an eventfd only if the
 * flag was down. The flag falls after the eventfd was emptied and before the
 * posts are taken, so that a wake is either seen by this poll or ends the
 * next one. It is not libuv's uv_async: that one, woken, waits in a loop of
 * sched_yield until the waker's thread has gone on, and a waker that was
 * preempted by the very thread it woke then costs a time slice a wake.
 *
 * libuv's own timers count whole milliseconds, so a timerfd among the
 * watched descriptors ends a wait. Setting it costs a system call: it is
 * left set when the wait ends for another reason, also if a later wait is
 * longer, and then ends that one too early, once. Where there is no timerfd
 * a uv_timer does it, rounded up to a millisecond.
 *
 * Always: uv_run is entered by poll alone and never from inside itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"

#define NS_PER_MS     1000000
#define NS_PER_S      1000000000
#define ALARM_LATE_NS 1000 /* an alarm that is later by less is not worth setting it again */

/* --- posts and wakes ------------------------------------------------------------------------ */

/* Empties a list and returns what was in it. */
static struct gv_post *take_all(struct gv_post **list, struct gv_post ***end)
{
    struct gv_post *first = *list;

    *list = NULL;
    *end = list;
    return first;
}

static void run_all(struct gv_post *post)
{
    while (post != NULL) {
        /* Running it may free or post it again: look at next before. */
        struct gv_post *next = post->next;

        post->run(post->owner);
        post = next;
    }
}

static void run_posts(struct gv_poller *poller)
{
    struct gv_post *posts;

    pthread_mutex_lock(&poller->mutex);
    posts = take_all(&poller->posts, &poller->post_end);
    pthread_mutex_unlock(&poller->mutex);
    run_all(posts);
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct gv_poller *poller = wake->data;
    uint64_t n_wakes;

    (void)status;
    (void)events;
    /* It stays readable until it is read. It cannot fail: this is its only reader. */
    (void)!read(poller->wake_fd, &n_wakes, sizeof(n_wakes));
    /* seq_cst: pairs with the exchange in wake; what the waker did before it is seen after this. */
    atomic_store(&poller->woken, false);
    run_posts(poller);
}

void gv_host_poller_wake(struct gv_poller *poller)
{
    const uint64_t one = 1;

    /* seq_cst: what the caller published before is not ordered after the look at the flag. */
    if (atomic_exchange(&poller->woken, true))
        return;

    /* It cannot fail: its count is at most 1. */
    (void)!write(poller->wake_fd, &one, sizeof(one));
}

void gv_host_post(struct gv_poller *poller, struct gv_post *post)
{
    post->next = NULL;
    pthread_mutex_lock(&poller->mutex);
    *poller->post_end = post;
    poller->post_end = &post->next;
    /*
     * Under the mutex: as soon as it is free, the loop may run this post, see
     * that it was the last thing that held the poller, and free it.
     */
    gv_host_poller_wake(poller);
    pthread_mutex_unlock(&poller->mutex);
}

void gv_host_post_here(struct gv_poller *poller, struct gv_post *post)
{
    post->next = NULL;
    *poller->own_end = post;
    poller->own_end = &post->next;
}

void gv_host_hold(struct gv_poller *poller)
{
    poller->n_held++;
}

void gv_host_release(struct gv_poller *poller)
{
    gv_assert(poller->n_held > 0);
    poller->n_held--;
}

/* --- polling -------------------------------------------------------------------------------- */

static void on_alarm(uv_poll_t *alarm, int status, int events)
{
    struct gv_poller *poller = alarm->data;
    uint64_t n_rung;

    (void)status;
    (void)events;
    /* It stays readable until it is read. It cannot fail: this is its only reader. */
    (void)!read(poller->alarm_fd, &n_rung, sizeof(n_rung));
    poller->alarm_ns = UINT64_MAX;
}

/* Makes the next wait end in timeout_ns, or before. */
static void set_alarm(struct gv_poller *poller, uint64_t timeout_ns)
{
    uint64_t at_ns = uv_hrtime() + timeout_ns;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)}};

    if (poller->alarm_ns < at_ns + ALARM_LATE_NS)
        return;
    gv_assert(timerfd_settime(poller->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
    poller->alarm_ns = at_ns;
}

static void on_timeout(uv_timer_t *timer)
{
    /* uv_run looks at timers before it waits: without a stop it would then wait without end. */
    uv_stop(timer->loop);
}

static void set_timer(struct gv_poller *poller, uint64_t timeout_ns)
{
    uint64_t timeout_ms = (timeout_ns - 1) / NS_PER_MS + 1;

    uv_update_time(&poller->loop);
    gv_assert(uv_timer_start(&poller->timer, on_timeout, timeout_ms, 0) == 0);
}

void gv_host_poller_poll(struct gv_poller *poller, int64_t timeout_ns)
{
    bool has_alarm = poller->alarm_fd >= 0;

    if (poller->own != NULL)
        timeout_ns = 0; /* there is something to tell already */
    if (timeout_ns > 0 && has_alarm)
        set_alarm(poller, (uint64_t)timeout_ns);
    else if (timeout_ns > 0)
        set_timer(poller, (uint64_t)timeout_ns);

    (void)uv_run(&poller->loop, timeout_ns == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);

    if (timeout_ns > 0 && !has_alarm)
        gv_assert(uv_timer_stop(&poller->timer) == 0);
    run_all(take_all(&poller->own, &poller->own_end));
}

/* --- life ----------------------------------------------------------------------------------- */

/* Without a timerfd time is only coarser: that it cannot be had is no error. */
static void open_alarm(struct gv_poller *poller)
{
    poller->alarm_ns = UINT64_MAX;
    poller->alarm_fd =
        gv_host_old_kernel ? -1 : timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (poller->alarm_fd < 0)
        return;
    if (uv_poll_init(&poller->loop, &poller->alarm, poller->alarm_fd) != 0) {
        (void)close(poller->alarm_fd); /* Nothing was written. */
        poller->alarm_fd = -1;
        return;
    }
    poller->alarm.data = poller;
    gv_assert(uv_poll_start(&poller->alarm, UV_READABLE, on_alarm) == 0);
}

static int open_wake(struct gv_poller *poller)
{
    int rc;

    poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->wake_fd < 0)
        return -errno;
    rc = uv_poll_init(&poller->loop, &poller->wake, poller->wake_fd);
    if (rc != 0) {
        (void)close(poller->wake_fd); /* Nothing was written. */
        return rc;
    }
    poller->wake.data = poller;
    gv_assert(uv_poll_start(&poller->wake, UV_READABLE, on_wake) == 0);
    return 0;
}

int gv_host_poller_open(void *world, unsigned loop, struct gv_poller **poller)
{
    struct gv_poller *opened = calloc(1, sizeof(*opened));
    int rc;

    (void)world;
    if (opened == NULL)
        return -ENOMEM;

    rc = uv_loop_init(&opened->loop);
    if (rc != 0)
        goto free_memory;
    rc = open_wake(opened);
    if (rc != 0)
        goto close_loop;
    rc = uv_timer_init(&opened->loop, &opened->timer);
    gv_assert(rc == 0);
    rc = -pthread_mutex_init(&opened->mutex, NULL);
    gv_assert(rc == 0);

    opened->number = loop;
    opened->post_end = &opened->posts;
    opened->own_end = &opened->own;
    open_alarm(opened);
    *poller = opened;
    return 0;

close_loop:
    (void)uv_loop_close(&opened->loop); /* nothing is open on it */
free_memory:
    free(opened);
    return rc;
}

void gv_host_poller_close(struct gv_poller *poller)
{
    gv_assert(!poller->has_thread);
    while (poller->n_held > 0)
        gv_host_poller_poll(poller, -1);

    uv_close((uv_handle_t *)&poller->wake, NULL);
    uv_close((uv_handle_t *)&poller->timer, NULL);
    if (poller->alarm_fd >= 0)
        uv_close((uv_handle_t *)&poller->alarm, NULL);
    (void)uv_run(&poller->loop, UV_RUN_DEFAULT); /* until all are closed */
    (void)close(poller->wake_fd);                /* Nothing in it is of use any more. */
    if (poller->alarm_fd >= 0)
        (void)close(poller->alarm_fd); /* Nothing was written. */
    gv_assert(uv_loop_close(&poller->loop) == 0);

    gv_assert(poller->posts == NULL && poller->own == NULL);
    gv_assert(pthread_mutex_destroy(&poller->mutex) == 0);
    free(poller->room);
    free(poller);
}

/* --- threads -------------------------------------------------------------------------------- */

void gv_host_signals_block(sigset_t *old)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t set;

    gv_assert(sigfillset(&set) == 0);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        gv_assert(sigdelset(&set, faults[i]) == 0);
    gv_assert(pthread_sigmask(SIG_BLOCK, &set, old) == 0);
}

static void *thread_main(void *argument)
{
    struct gv_poller *poller = argument;
    char name[16]; /* the kernel's limit */

    (void)snprintf(name, sizeof(name), "grove-loop-%u", poller->number % 1000);
    (void)pthread_setname_np(pthread_self(), name); /* a name is a kindness, not a need */

    gv_fault_stack_open();
    poller->run(poller->argument);
    gv_fault_stack_close();
    return NULL;
}

int gv_host_thread_start(void *world, struct gv_poller *poller, void (*run)(void *), void *argument)
{
    sigset_t old;
    int rc;

    (void)world;
    gv_assert(!poller->has_thread);
    poller->run = run;
    poller->argument = argument;

    /* A thread is born with the mask of its maker: so no signal finds it before it blocks them. */
    gv_host_signals_block(&old);
    rc = pthread_create(&poller->thread, NULL, thread_main, poller);
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (rc != 0)
        return -rc;

    poller->has_thread = true;
    return 0;
}

void gv_host_thread_join(struct gv_poller *poller)
{
    gv_assert(poller->has_thread);
    gv_assert(pthread_join(poller->thread, NULL) == 0);
    poller->has_thread = false;
}
