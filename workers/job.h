/*
 * Job: one request on its way through a pool, and the list it stands in.
 * Those that wait stand in one list for each priority. First comes who has
 * been there longest, where a step of priority counts as GV_JOB_STEP_MS of
 * waiting: so what is urgent overtakes, and nothing waits for ever.
 *
 *     filed ──▶ queued ──▶ sent to a worker ──▶ answered
 *                 ▲                │ its worker died before it had begun,
 *                 └────────────────┘ or it may run twice
 *
 * The job owns its request until it is answered, since a second worker may
 * need it. Jobs are taken from and given back to the pool's own stock, and
 * found by the caller's call id when it gives up.
 *
 * Always: a job is in exactly one list; it is answered exactly once.
 */
#ifndef GV_JOB_H
#define GV_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/method.h>

#include "runtime/message.h"
#include "runtime/timer.h"

#define GV_JOB_BUCKETS    1024u
#define GV_JOB_PRIORITIES 3u
#define GV_JOB_STEP_MS    1000u /* what a higher priority is worth */

struct gv_child;
struct gv_pool;

struct gv_job {
    struct gv_job *next, *before;
    struct gv_job *bucket_next;
    struct gv_pool *pool;
    struct gv_child *child; /* who has it, NULL while it is queued */
    struct gv_message *request;
    const struct grove_method *method;
    struct gv_timer timer; /* the deadline, then the patience after CANCEL */
    uint64_t id;           /* on the wire; never used twice in a pool */
    uint64_t letter;       /* the dead letter whose retry it is, 0 = none's */
    uint64_t seq;          /* place in its worker's order */
    int gave_up;           /* 0, or the code its caller has got: GROVE_ETIMEDOUT, GROVE_ECANCELED */
    uint32_t gave_up_ms;   /* when that was */
    uint32_t filed_ms;     /* when it came */
    uint8_t rank;          /* 0 goes first; by its rpc's priority */
    uint8_t deaths;        /* workers that died while they ran it */
    uint16_t n_begun;      /* runs that began before this one, and whose answers are lost */
    uint8_t losses;        /* links to other machines that were lost while they had it */
    bool has_run;          /* some worker began it, and its answer is lost, or items have come */
    bool streams;          /* it gives items */
    uint32_t items_left;   /* of a stream: its worker may still send so many */
    int64_t bytes_left;    /* and so many bytes of them; the last one may go beyond */
    uint64_t n_items;      /* that were handed on to its caller */
    bool is_in_slab;       /* its request lies in its worker's slab, at slab_at */
    uint64_t slab_at;
    bool is_overdue; /* it ran on after the grace, and its worker was killed for it */
};

struct gv_job_list {
    struct gv_job *head, *tail;
    uint32_t n;
    uint32_t n_streams; /* of these */
};

/* Jobs of one pool: those that wait, the index, the stock. */
struct gv_queue {
    struct gv_job_list waiting[GV_JOB_PRIORITIES];
    uint32_t n_waiting;
    uint64_t bytes; /* charged by the waiting ones */
    uint64_t n_ids; /* given out */
    struct gv_job *stock;
    struct gv_job *buckets[GV_JOB_BUCKETS];
};

void gv_jobs_push(struct gv_job_list *list, struct gv_job *job);
void gv_jobs_push_front(struct gv_job_list *list, struct gv_job *job);
void gv_jobs_remove(struct gv_job_list *list, struct gv_job *job);

/* A job for a request, which it owns then; in no list yet. NULL: no memory. */
struct gv_job *gv_job_take(struct gv_queue *queue, struct gv_message *request, uint32_t now_ms);

/* Gives a job back that is in no list; its request is the caller's, to be answered. */
struct gv_message *gv_job_give(struct gv_queue *queue, struct gv_job *job);

/* The job of this call, or NULL. */
struct gv_job *gv_job_find(const struct gv_queue *queue, uint64_t call);

/* Into and out of the waiting list, with its bytes. */
void gv_job_wait(struct gv_queue *queue, struct gv_job *job, bool first);
void gv_job_unwait(struct gv_queue *queue, struct gv_job *job);

/* The waiting job whose turn it is, NULL if none waits. */
struct gv_job *gv_queue_first(const struct gv_queue *queue);

/* The waiting job that has been here longest, NULL if none waits. */
struct gv_job *gv_queue_oldest(const struct gv_queue *queue);

/* Frees the stock; no job may be out. */
void gv_queue_deinit(struct gv_queue *queue);

/* The packed request. */
static inline const uint8_t *gv_job_body(const struct gv_job *job, uint64_t *n_bytes)
{
    __builtin_memcpy(n_bytes, job->request->body, sizeof *n_bytes);
    return job->request->body + sizeof *n_bytes;
}

/* True if it is a stream whose credit is used up: its worker can do nothing until its reader has. */
static inline bool gv_job_is_parked(const struct gv_job *job)
{
    return job->streams && (job->items_left == 0 || job->bytes_left <= 0);
}

/* True if its rpc may run more often than once. Nobody can take items back that have come. */
static inline bool gv_job_may_rerun(const struct gv_job *job)
{
    return job->method->idempotency != GROVE_IDEMPOTENCY_UNKNOWN && job->n_items == 0;
}

#endif
