/*
 * Host: what the files host_*.c share, and nobody else sees.
 *
 * A poller is one libuv loop. Whatever happens on other threads (nng's
 * completions, ends of blocking runs) reaches it as a post: a record that
 * lives in the object it speaks of, put on the poller's list under its
 * mutex, and run by the loop's thread inside poller_poll. So all state of
 * streams, processes and runs is touched by one thread alone.
 *
 * An object holds its poller open from its making until its memory is
 * freed, which may be some polls after the owner has had its last upcall;
 * poller_close polls until nobody holds it any more.
 */
#ifndef GV_HOST_H
#define GV_HOST_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "runtime/env.h"

/* News for a loop from any thread. Not to be posted again before it has run. */
struct gv_post {
    struct gv_post *next;
    void (*run)(void *owner);
    void *owner;
};

struct gv_poller {
    uv_loop_t loop;
    uv_async_t async;          /* ends a wait */
    uv_timer_t timer;          /* the timeout of one poll */
    unsigned number;           /* for the thread's name */
    unsigned n_held;           /* objects whose memory still points here */
    atomic_bool woken;         /* a wake is under way and not yet seen */
    pthread_mutex_t mutex;     /* guards the list of posts */
    struct gv_post *posts;     /* oldest first */
    struct gv_post **post_end; /* where the next one goes */
    bool has_thread;
    pthread_t thread;
    void (*run)(void *); /* what the thread runs */
    void *argument;
};

/* host_poller.c */

int gv_host_poller_open(void *world, unsigned loop, struct gv_poller **poller);
void gv_host_poller_poll(struct gv_poller *poller, int64_t timeout_ns);
void gv_host_poller_wake(struct gv_poller *poller);
void gv_host_poller_close(struct gv_poller *poller);
int gv_host_thread_start(void *world, struct gv_poller *poller, void (*run)(void *),
                         void *argument);
void gv_host_thread_join(struct gv_poller *poller);

/* Hands a post to the loop and wakes it. Any thread; the poller must be held. */
void gv_host_post(struct gv_poller *poller, struct gv_post *post);

/* An object that points to the poller comes and goes. On the poller's thread. */
void gv_host_hold(struct gv_poller *poller);
void gv_host_release(struct gv_poller *poller);

/*
 * Blocks all signals of the calling thread but those of faults, which the
 * kernel would otherwise answer with instant death and no report. What was
 * blocked before goes to *old unless it is NULL.
 */
void gv_host_signals_block(sigset_t *old);

/* host_log.c */

void gv_host_log_write(void *world, const char *line, size_t n_bytes);
void gv_host_crash(void *world, const char *report) __attribute__((noreturn));

/* How many log lines could not be written. */
uint64_t gv_host_log_dropped(void);

#endif
