/*
 * Items: a stream on its way through a pool.
 *
 *     worker ─ ITEM ─▶ counted against credit, validated, copied ─▶ caller's loop
 *     worker ◀ CREDIT ─────────────────── GV_SIGNAL_CREDIT ◀─ half of it taken
 *     worker ─ REPLY ─▶ the end: GROVE_EEND, a refusal, a failure
 *
 * An agent's pool hands them to its agent as they came: whoever asked
 * validates, and gives credit.
 *
 * The pool itself keeps no item. What a worker has sent stands in the queue
 * of its caller, and that is bounded here: a worker that sends more than it
 * has credit for is dropped, like one that sends items of a job that it does
 * not have, or bytes that are no message.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/items.h"
#include "actors/mail.h"
#include "proto/codec.h"
#include "runtime/assert.h"
#include "workers/errand.h"
#include "workers/pool.h"

/* --- credit --------------------------------------------------------------------------------------- */

void gv_job_stream(struct gv_job *job, struct gv_frame *call)
{
    gv_assert(job->n_items == 0);
    job->items_left = job->pool->agent != NULL
                          ? gv_errand_first_credit(job->pool->agent, job->request->call)
                          : gv_items_credit(job->method);
    job->bytes_left = GV_STREAM_BYTES;
    call->flags |= GV_FRAME_STREAM;
    call->aux = (uint16_t)job->items_left;
}

void gv_job_credit(struct gv_job *job, uint32_t n_items, uint64_t n_bytes)
{
    struct gv_frame frame = {
        .type = GV_FRAME_CREDIT,
        .call = job->id,
        .aux = (uint16_t)n_items,
        .target = n_bytes,
        .budget_us = GV_BUDGET_NONE,
    };

    if (job->child == NULL)
        return; /* Its worker has died, and another one begins with all of it. */
    job->items_left += n_items;
    job->bytes_left += (int64_t)n_bytes;
    /* A link that takes no CREDIT is ending; its worker's death settles the job. */
    (void)gv_link_send(&job->child->link, &frame, NULL, 0);
    gv_pool_flush_later(job->pool);
}

void gv_pool_credit(struct gv_pool *pool, struct gv_message *message)
{
    struct gv_credit credit;
    struct gv_job *job;

    memcpy(&credit, message->body, sizeof credit);
    gv_message_give(&pool->loop->blocks, message);
    job = gv_job_find(&pool->queue, credit.call);
    if (job != NULL) /* Else it has ended, and the caller will hear of it. */
        gv_job_credit(job, credit.n_items, credit.n_bytes);
}

/* --- items ---------------------------------------------------------------------------------------- */

/* Why this frame cannot be an item of this job; or takes its credit. */
static const char *count(struct gv_job *job, const struct gv_frame *frame)
{
    if (job == NULL)
        return "it sent an item of a job that it does not have";
    if (!job->streams)
        return "it sent an item of a job that has but one answer";
    if (job->items_left == 0 || job->bytes_left <= 0)
        return "it sent an item beyond its credit";
    job->items_left--;
    job->bytes_left -= (int64_t)frame->body_bytes;
    return NULL;
}

/* The item cannot be handed on: its stream ends with that, and without it. */
static const char *not_handed_on(struct gv_child *child, struct gv_job *job, int code,
                                 const char *why)
{
    if (code == GROVE_ENOMEM)
        return "memory is short";
    if (code != GROVE_EPROTO) {
        gv_job_give_up(job,
                       code); /* The function may go on: it is told, and the caller after it. */
        return NULL;
    }
    gv_jobs_remove(&child->jobs, job);
    job->child = NULL;
    gv_job_fail(job, GROVE_EBROKEN, GROVE_STARTED_YES, why);
    return "its item is not a valid message";
}

static void note(struct gv_job *job)
{
    job->has_run = true;
    job->n_items++;
    job->pool->stats.items++;
}

/* To its caller; returns why the worker must go, or NULL. */
static const char *hand_on(struct gv_child *child, struct gv_job *job, const struct gv_frame *frame)
{
    struct gv_pool *pool = child->pool;
    struct gv_validate_error error;
    struct gv_message *item;
    int rc = gv_job_make_reply(job, frame, &item, &error);

    if (rc != 0)
        return not_handed_on(child, job, rc, error.why);
    note(job);
    item->call = job->request->call;
    item->code = 0;
    item->from = frame->body_bytes;
    item->form_flags |= GV_FLAG_ITEM;
    gv_call_answer(pool->loop, item);
    return NULL;
}

const char *gv_job_item_came(struct gv_child *child, const struct gv_frame *frame)
{
    struct gv_pool *pool = child->pool;
    struct gv_job *job = child->jobs.head;
    const char *why;

    while (job != NULL && job->id != frame->call)
        job = job->next;
    why = count(job, frame);
    if (why != NULL) {
        pool->stats.dropped_frames++;
        return why;
    }
    if (job->gave_up != 0)
        return NULL; /* It was on its way when its reader left. */
    if (pool->agent == NULL)
        return hand_on(child, job, frame);
    note(job);
    gv_errand_item(pool->agent, job->request->call, frame);
    return NULL;
}

/* --- ends ----------------------------------------------------------------------------------------- */

const char *gv_job_stream_ended(struct gv_job *job, const struct gv_frame *frame)
{
    if (job->gave_up != 0) {
        gv_job_fail(job, job->gave_up, GROVE_STARTED_YES, gv_mail_reason(job->gave_up));
        return NULL;
    }
    if (frame->body_bytes != 0) {
        gv_job_fail(job, GROVE_EBROKEN, GROVE_STARTED_YES, NULL);
        return "its stream ends with a body";
    }
    gv_quarantine_survived(job->pool, job);
    gv_job_fail(job, GROVE_EEND, GROVE_STARTED_YES, NULL);
    return NULL;
}

const char *gv_job_items_text(const struct gv_job *job, const char *what)
{
    static char text[80];

    if (job->n_items == 0)
        return NULL;
    (void)snprintf(text, sizeof text, "%s after %" PRIu64 " items had come", what,
                   job->n_items); /* It fits. */
    return text;
}
