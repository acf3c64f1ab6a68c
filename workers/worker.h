/*
 * Worker: the other end of a pool: takes CALLs from its link, runs them one
 * by one in order, answers.
 *
 * It is a state machine over an env and a poller and knows no loop, so that
 * the simulator can run it as a simulated process. Its owner polls, and
 * between two polls lets it run a job:
 *
 *     for (;;) {
 *         poll(poller, gv_worker_can_run(worker) ? 0 : -1);
 *         if (gv_worker_has_ended(worker)) break;
 *         if (gv_worker_can_run(worker)) gv_worker_run_one(worker);
 *     }
 *
 * Answers leave when no job can be run, when the oldest one not yet sent
 * would be 300 µs old by the end of the next job (judged by the last one of
 * its method), and before a job that may not run twice: were they lost with
 * that job, it would be for nothing.
 *
 * Jobs run on the stack of the caller, which must be a thread's main stack.
 */
#ifndef GV_WORKER_H
#define GV_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/method.h>

#include "runtime/env.h"

struct gv_worker;
struct gv_worker_page;

/* What surrounds a job in a process that has turns. All may be NULL. */
struct gv_worker_hooks {
    /* Before the function; deadline_ns 0 = none. */
    void (*begin)(void *owner, const struct grove_method *method, uint64_t deadline_ns);
    /* After it: the code to answer with, and the reason (lent until the next job, may be NULL). */
    int (*end)(void *owner, int code, const char **text);
    void *owner;
};

struct gv_worker_options {
    const struct gv_env *env;
    struct gv_poller *poller;
    int page_fd; /* of the page that the pool shares with it */
    const struct grove_worker_entry *first, *end;
    struct gv_worker_hooks hooks;
};

/* Dials the pool. Returns 0, -errno, GROVE_ENOMEM, or GROVE_EPROTO if fd is no page of a pool. */
int gv_worker_open(const struct gv_worker_options *options, struct gv_worker **worker);

/* Of one that has ended: closes its link, if that is still up, and waits until the link's memory is free. */
void gv_worker_hang_up(struct gv_worker *worker);

/* Frees it, when it has ended. */
void gv_worker_close(struct gv_worker *worker);

/* True if a job may begin now. Otherwise answers have been sent off, and it is time to wait. */
bool gv_worker_can_run(struct gv_worker *worker);

/* Runs one job; gv_worker_can_run must have said so. Returns when it ended. */
uint64_t gv_worker_run_one(struct gv_worker *worker);

/*
 * While a job runs: looks at its link, without waiting. What comes is kept
 * for later, but for what the running job shall know. False when the link is ending.
 */
bool gv_worker_look(struct gv_worker *worker);

/*
 * While a job runs: sends a frame of this type about it, and all that waits
 * to leave. False, and nothing is sent, while an earlier write has not left and
 * much is behind it already, or when the link is ending.
 */
bool gv_worker_tell(struct gv_worker *worker, uint8_t type, const uint8_t *body, size_t n_bytes);

/* The id of the job that runs, 0 between two jobs. */
uint64_t gv_worker_job(const struct gv_worker *worker);

/* By the clock of its world. */
uint64_t gv_worker_now_ns(const struct gv_worker *worker);

/* The page that its pool shares with it. */
struct gv_worker_page *gv_worker_status(const struct gv_worker *worker);

/* While a job runs: its deadline is over, or the pool has noted that its caller has left. */
bool gv_worker_is_given_up(const struct gv_worker *worker);

/* True when the link is gone, or all is done that was to be done before leaving. */
bool gv_worker_has_ended(const struct gv_worker *worker);

#endif
