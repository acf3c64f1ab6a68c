/*
 * Job: something that blocks, done on a thread while a turn waits.
 *
 * The thread sees the job's own memory alone, never the caller's: so the
 * caller may leave at its deadline or when it is stopped, and the job then
 * ends unseen. What the caller wants of it, it copies out itself.
 *
 *     new ──run──▶ gv_job_await ─▶ the waiter reads the result, gives the job back
 *                        └ deadline, stop: the job is left alone, and gives itself back when done
 */
#ifndef GV_JOB_H
#define GV_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "actors/io.h"
#include "runtime/env.h"

struct gv_job {
    struct gv_loop *loop;
    struct gv_wait *waiter;
    void (*run)(struct gv_job *job);  /* on the thread */
    void (*free)(struct gv_job *job); /* on the loop, what hangs on it; NULL: nothing */
    int rc;                           /* what run found */
    bool done;
    bool left;             /* its waiter has gone */
    struct gv_timer timer; /* of gv_job_await_end: the time is over by which it must have ended */
    _Alignas(16) unsigned char body[];
};

/* A job with n_bytes of body, zeroed; NULL when memory is short. */
struct gv_job *gv_job_new(struct gv_loop *loop, size_t n_bytes);
void gv_job_free(struct gv_job *job);

/*
 * Has it run and waits. Returns 0 when it has: rc says what it found, and
 * the job is the caller's again. Else a code, noted with these words
 * (GROVE_EFULL, GROVE_ENOSIM, GROVE_ETIMEDOUT, GROVE_ECANCELED …), and the
 * job is gone. deadline_ms 0 = none.
 */
int gv_job_await(struct gv_job *job, enum gv_blocking kind, uint32_t deadline_ms, const char *what,
                 const char *name);

/* The same, but waits for its end whatever happens; a deadline or stop is told after it. */
int gv_job_await_end(struct gv_job *job, enum gv_blocking kind, const char *what, const char *name);

/*
 * The stop deadline of a turn that waits so has come. It cannot be taken
 * away, as the thread uses its memory: if the call has not returned a second
 * later, the process ends, as for a handler on the CPU (watchdog.h).
 */
void gv_job_end_soon(struct gv_loop *loop, struct gv_wait *wait);

#endif
