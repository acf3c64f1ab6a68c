/*
 * Progress of jobs: what a worker says of the one it runs, on its way to who
 * called it.
 *
 * The worker's side holds the function back: a word goes out if the last one
 * left GV_PROGRESS_NS ago, or if its note or its job is another one and
 * fewer than GV_PROGRESS_BURST such words have been in a row; and only if all that was
 * written before has left. So a pool that does not read is not written to.
 *
 * The pool's side believes nothing: a word about another job than the worker
 * has, that is no message, is out of bounds, or comes more often than an
 * honest one could have sent it, breaks the rules. How often is judged by
 * time since the worker was READY, as words may arrive in a heap after the pool stood still.
 */
#ifndef GV_JOB_PROGRESS_H
#define GV_JOB_PROGRESS_H

#include <stdint.h>

#include <grove/progress.h>

#include "links/frame.h"

#define GV_PROGRESS_NS        UINT64_C(100000000)
#define GV_PROGRESS_BURST     8u
#define GV_PROGRESS_HEAP      1024u /* what may come at once after a long time */
#define GV_PROGRESS_BYTES_MAX 256u  /* of a frame's body */

struct gv_child;
struct gv_worker;

/* How much more may be said: time that has been saved up. */
struct gv_progress_budget {
    uint64_t saved_ns;
    uint64_t looked_ns;
};

/* What a worker has said last. */
struct gv_progress_said {
    struct gv_progress_budget budget;
    uint64_t said_ns;
    uint64_t job;
    char note[GROVE_PROGRESS_NOTE_BYTES];
};

/* The worker whose job the running code is part of, NULL if it is part of none. Set in worker processes. */
extern struct gv_worker *(*gv_progress_worker)(struct gv_progress_said **said);

/* A PROGRESS frame of a worker. Returns why the worker must go, or NULL. */
const char *gv_job_progressed(struct gv_child *child, const struct gv_frame *frame);

#endif
