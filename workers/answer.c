/*
 * Answers: what becomes of a job, one function for each way it can end.
 *
 * Bytes from a worker are validated before anything is made of them; a
 * worker that sends others is dropped. All of this runs on the main stack,
 * inside upcalls.
 */
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/mail.h"
#include "proto/codec.h"
#include "runtime/assert.h"
#include "runtime/log.h"
#include "workers/pool.h"
#include "workers/remote.h"

#define MEAN_OF     16    /* recent jobs, for their mean time */
#define STANDING_MS 1000u /* a worker with nothing else to do has answered a CANCEL by then */

/* --- failing -------------------------------------------------------------------------------------- */

void gv_job_fail(struct gv_job *job, int code, enum grove_started started, const char *text)
{
    struct gv_pool *pool = job->pool;
    struct gv_message *request;

    if (job->has_run)
        started = GROVE_STARTED_YES; /* Whatever is true of its last try. */
    gv_quarantine_left(pool, job);
    gv_letters_note(job, code, started, text);
    gv_probe(&pool->loop->probes, JOB, job->id, (uint64_t)(int64_t)code);
    gv_wheel_disarm(&pool->loop->wheel, &job->timer);
    if (code < 0 && code != GROVE_EEND)
        pool->stats.failed++;
    else
        pool->stats.done++;
    request = gv_job_give(&pool->queue, job);
    gv_call_fail(pool->loop, request, code, started, text);
}

/* CANCEL is out and patience has ended: is this job the one that runs? */
static void patience_ended(struct gv_job *job)
{
    struct gv_child *child = job->child;
    struct gv_pool *pool = job->pool;

    if (child->is_remote) {
        gv_remote_overdue(job);
        return;
    }
    /* acquire: pairs with the release before the function was called. */
    uint64_t started = atomic_load_explicit(&gv_child_page(child)->started, memory_order_acquire);

    bool waited_long =
        child->jobs.head == job && pool->loop->now_ms - job->gave_up_ms >= STANDING_MS;
    /* Or does its worker stand still, with nothing before this job? */
    bool stands = started < job->seq && waited_long;
    /* Or has it answered, it says, and nothing came? Then the job would keep its place there for good. */
    bool lost = waited_long
                && atomic_load_explicit(&gv_child_page(child)->flushed, memory_order_relaxed)
                       >= job->seq; /* relaxed: of an older one it is looked at again */

    if ((started == job->seq || stands || lost) && child->state != GV_CHILD_DYING) {
        gv_log(GV_LOG_WARN, "job.overdue", "pool=%s method=%s pid=%lld begun=%d", pool->name,
               job->method->name, (long long)child->pid, !stands);
        job->is_overdue = started == job->seq;
        job->n_begun += job->is_overdue; /* Its answer may still come, and nobody waits for it. */
        child->end_is_wanted = true;
        gv_child_kill(child);
        return;
    }
    /* It waits behind another one, or its answer is on the way. */
    gv_wheel_arm(&pool->loop->wheel, &job->timer, pool->loop->now_ms + pool->grace_ms + 1);
}

/* Its function is told if it runs already: it may ask while it computes (grove_cancelled). */
static void tell_running(const struct gv_job *job)
{
    struct gv_worker_page *page = gv_child_page(job->child);

    if (page == NULL)
        return; /* On another machine the CANCEL does it. */
    /* relaxed, both: a hint. A job that begins right now has its CANCEL before it, or is killed after the grace. */
    if (atomic_load_explicit(&page->started, memory_order_relaxed) == job->seq)
        atomic_store_explicit(&page->given_up, job->id, memory_order_relaxed);
}

void gv_job_give_up(struct gv_job *job, int code)
{
    struct gv_frame cancel = {.type = GV_FRAME_CANCEL, .call = job->id};
    struct gv_pool *pool = job->pool;

    if (job->child == NULL) {
        gv_job_unwait(&pool->queue, job);
        gv_job_fail(job, code, GROVE_STARTED_NO, NULL);
        return;
    }
    if (job->gave_up != 0) {
        patience_ended(job);
        return;
    }
    job->gave_up = code;
    job->gave_up_ms = pool->loop->now_ms;
    cancel.budget_us = GV_BUDGET_NONE;
    /* A link that takes no CANCEL is ending; its worker's death settles the job. */
    (void)gv_link_send(&job->child->link, &cancel, NULL, 0);
    tell_running(job);
    gv_pool_flush_later(pool);
    gv_wheel_arm(&pool->loop->wheel, &job->timer, pool->loop->now_ms + pool->grace_ms + 1);
}

/* --- deaths --------------------------------------------------------------------------------------- */

/* How a worker has ended, for people. */
static const char *cause_of(const struct gv_child *child, char text[64])
{
    if (child->is_remote)
        (void)snprintf(text, 64, "its worker on another machine died");
    else if (child->link.dropped)
        (void)snprintf(text, 64, "its worker broke the rules of its link");
    else if (child->signal != 0)
        (void)snprintf(text, 64, "its worker was ended by signal %d, %s", child->signal,
                       strsignal(child->signal)); /* A cut name is still a name. */
    else
        (void)snprintf(text, 64, "its worker ended with status %d", child->status);
    return text;
}

static void ran_and_died(struct gv_job *job, const struct gv_child *child)
{
    struct gv_pool *pool = job->pool;
    const char *text = gv_job_items_text(job, "the worker process died");
    char cause[64];

    if (job->gave_up != 0) {
        gv_job_fail(job, job->gave_up, GROVE_STARTED_YES, NULL);
        return;
    }
    if (gv_job_may_rerun(job) && job->deaths < GV_POOL_DEATHS_MAX && pool->state != GV_POOL_ENDING
        && gv_quarantine_holds(pool, job) == NULL) {
        pool->stats.retried++;
        gv_job_wait(&pool->queue, job, true);
        return;
    }
    if (job->deaths >= GV_POOL_DEATHS_MAX)
        gv_log(GV_LOG_ERROR, "job.dead", "pool=%s method=%s deaths=%u", pool->name,
               job->method->name, job->deaths);
    gv_job_fail(job, GROVE_ECRASHED, GROVE_STARTED_YES,
                text != NULL ? text : cause_of(child, cause));
}

void gv_job_bereaved(struct gv_job *job, const struct gv_child *child, uint64_t started)
{
    struct gv_pool *pool = job->pool;

    /* Whatever its page says: who has sent items has begun. */
    if (job->seq <= started || job->n_items > 0) {
        /* Only the running one may be to blame; the answers of others were lost with it. */
        job->deaths += job->seq == started;
        job->has_run = true;
        job->n_begun += !job->is_overdue;
        if (job->seq == started && job->gave_up == 0)
            gv_quarantine_died(pool, job);
        ran_and_died(job, child);
        return;
    }
    if (job->gave_up != 0) {
        gv_job_fail(job, job->gave_up, GROVE_STARTED_NO, NULL);
    } else if (pool->state == GV_POOL_ENDING) {
        gv_job_fail(job, GROVE_ESTOPPING, GROVE_STARTED_NO, NULL);
    } else {
        pool->stats.retried++;
        gv_job_wait(&pool->queue, job, true);
    }
}

/* --- answers -------------------------------------------------------------------------------------- */

/* Of a method that is only passed on: whoever asked looks whether it is valid. */
static int pass_on(struct gv_job *job, const struct gv_frame *frame, struct gv_message **reply)
{
    uint64_t n_bytes = frame->body_bytes;

    *reply = gv_message_take(&job->pool->loop->blocks, sizeof n_bytes + frame->body_bytes);
    if (*reply == NULL)
        return GROVE_ENOMEM;
    memcpy((*reply)->body, &n_bytes, sizeof n_bytes);
    if (n_bytes > 0)
        memcpy((*reply)->body + sizeof n_bytes, frame->body, n_bytes);
    (*reply)->form_flags = GV_FORM_PACKED;
    return 0;
}

/* The response as the caller opens it, in an envelope. */
int gv_job_make_reply(struct gv_job *job, const struct gv_frame *frame, struct gv_message **reply,
                      struct gv_validate_error *error)
{
    const struct grove_shape *shape = job->method->response;
    struct gv_capped_arena arena;
    ProtobufCMessage *response;
    size_t n_bytes;
    int rc;

    if (shape == NULL)
        return pass_on(job, frame, reply);
    rc = gv_unpack(shape->descriptor, (struct gv_packed){frame->body, frame->body_bytes}, &arena,
                   &response, error);
    if (rc != 0)
        return rc;
    n_bytes = grove_shape_bytes(shape, response);
    *reply =
        n_bytes <= GV_BLOCK_BYTES_MAX ? gv_message_take(&job->pool->loop->blocks, n_bytes) : NULL;
    if (*reply != NULL)
        shape->copy((*reply)->body, response);
    gv_capped_arena_deinit(&arena);
    if (*reply == NULL)
        return n_bytes + sizeof **reply > GV_BLOCK_BYTES_MAX ? GROVE_ETOOBIG : GROVE_ENOMEM;
    return 0;
}

static const char *done(struct gv_job *job, const struct gv_frame *frame)
{
    struct gv_pool *pool = job->pool;
    struct gv_validate_error error;
    struct gv_message *request, *reply;
    int rc = gv_job_make_reply(job, frame, &reply, &error);

    if (rc == GROVE_EPROTO)
        gv_quarantine_died(pool, job);
    else
        gv_quarantine_survived(pool, job);
    if (rc != 0) {
        gv_job_fail(job, rc == GROVE_EPROTO ? GROVE_EBROKEN : rc, GROVE_STARTED_YES,
                    rc == GROVE_EPROTO ? error.why : gv_mail_reason(rc));
        return rc == GROVE_EPROTO ? "its answer is not a valid message" : NULL;
    }
    gv_probe(&pool->loop->probes, JOB, job->id, 0);
    gv_quarantine_left(pool, job);
    gv_wheel_disarm(&pool->loop->wheel, &job->timer);
    pool->stats.done++;
    request = gv_job_give(&pool->queue, job);
    reply->call = request->call;
    gv_message_give(&pool->loop->blocks, request);
    if (reply->call != 0)
        gv_call_answer(pool->loop, reply);
    else
        gv_message_give(&pool->loop->blocks, reply);
    return NULL;
}

static const char *not_done(struct gv_job *job, const struct gv_frame *frame)
{
    const Grove__Link__V1__Failure *failure;
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    bool refused = gv_frame_class(frame) == GROVE_REFUSED;
    enum grove_started started =
        gv_frame_started(frame) == GROVE_STARTED_NO ? GROVE_STARTED_NO : GROVE_STARTED_YES;

    if (gv_unpack(&grove__link__v1__failure__descriptor,
                  (struct gv_packed){frame->body, frame->body_bytes}, &arena, &message, NULL)
        != 0) {
        gv_quarantine_died(job->pool, job);
        gv_job_fail(job, GROVE_EBROKEN, GROVE_STARTED_YES, NULL);
        return "its failure is not a valid message";
    }
    if (started == GROVE_STARTED_YES)
        gv_quarantine_survived(job->pool, job);
    failure = (const Grove__Link__V1__Failure *)message;
    if (failure->code != GROVE_EEND && (refused ? failure->code > 0 : failure->code < 0))
        gv_job_fail(job, failure->code, started, failure->text);
    else
        gv_job_fail(job, GROVE_EBROKEN, GROVE_STARTED_YES, "an outcome that contradicts itself");
    gv_capped_arena_deinit(&arena);
    return NULL;
}

/* How long jobs take decides how many a worker may hold. */
static void note_time(struct gv_pool *pool, uint32_t took_us)
{
    uint64_t took_ns = took_us < 1000000 ? (uint64_t)took_us * 1000 + 500 : 1000000000;

    if (pool->mean_ns == 0)
        pool->mean_ns = (uint32_t)took_ns;
    else
        pool->mean_ns = (uint32_t)(((uint64_t)pool->mean_ns * (MEAN_OF - 1) + took_ns) / MEAN_OF);
}

const char *gv_job_answered(struct gv_child *child, const struct gv_frame *came)
{
    struct gv_frame opened = *came, *frame = &opened;
    struct gv_pool *pool = child->pool;
    struct gv_job *job = child->jobs.head;
    const char *why = NULL;

    while (job != NULL && job->id != frame->call)
        job = job->next;
    if (job == NULL) {
        /* Twice, late or never given out: who speaks so has lost its way, or means harm. */
        pool->stats.dropped_frames++;
        return "it answered a job that it does not have";
    }
    if (frame->flags & GV_FRAME_SLAB)
        why = gv_slab_get(child, frame);
    if (why != NULL) {
        pool->stats.dropped_frames++;
        return why; /* The job fares as if its worker had died. */
    }
    gv_jobs_remove(&child->jobs, job);
    gv_slab_leave(child, job);
    job->child = NULL;
    child->delay_ms = 0;
    child->n_answered++;
    if (child->jobs.n == 0)
        child->idle_ms = pool->loop->now_ms;
    gv_size_answered(pool, child);
    if (child->is_remote && gv_remote_gave_back(child, job, frame))
        return NULL;
    /* How long a stream takes is its reader's doing. */
    if (gv_frame_started(frame) == GROVE_STARTED_YES && !job->streams)
        note_time(pool, frame->budget_us);
    gv_pool_flush_later(pool);
    if (job->streams && (job->gave_up != 0 || gv_frame_class(frame) == GROVE_DONE))
        return gv_job_stream_ended(job, frame);
    return gv_frame_class(frame) == GROVE_DONE ? done(job, frame) : not_done(job, frame);
}
