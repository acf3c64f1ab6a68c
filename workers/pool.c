#include "workers/pool.h"

#include <stdio.h>
#include <string.h>

#include <grove/actor.h>
#include <grove/error.h>

#include "actors/call.h"
#include "actors/deadletter.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define RUN_MAX 256u /* requests filed in one run */

static bool is_finished(const struct gv_pool *pool)
{
    return pool->state == GV_POOL_ENDING && pool->listener == NULL && gv_crew_is_gone(pool);
}

/* --- filing --------------------------------------------------------------------------------------- */

static void deadline_passed(struct gv_timer *timer)
{
    struct gv_job *job = (struct gv_job *)((char *)timer - offsetof(struct gv_job, timer));

    gv_job_give_up(job, GROVE_ETIMEDOUT);
}

/* Why a request cannot be filed, 0 if it can. */
static int refusal(const struct gv_pool *pool, const struct gv_message *request)
{
    bool takes_items = request->form_flags & GV_FLAG_STREAM;

    if ((request->form_flags & GV_FORM_MASK) != GV_FORM_PACKED
        || takes_items != (gv_methods[request->method].method->kind == GROVE_SERVER_STREAM))
        return GROVE_ENOTSUP;
    if (request->deadline_ms != 0 && !gv_ms_before(pool->loop->now_ms, request->deadline_ms))
        return GROVE_ETIMEDOUT;
    if (pool->queue.n_waiting >= pool->queue_max
        || pool->queue.bytes + gv_message_charge(request) > pool->bytes_max)
        return GROVE_EFULL;
    return 0;
}

static void file(struct gv_pool *pool, struct gv_message *request)
{
    int rc = refusal(pool, request);
    struct gv_job *job = rc == 0 ? gv_job_take(&pool->queue, request, pool->loop->now_ms) : NULL;

    if (job == NULL) {
        pool->stats.failed++;
        if (request->call == 0) /* Nobody else hears of it. */
            gv_dead_note(pool->loop, request,
                         rc == GROVE_ETIMEDOUT ? GROVE_DEAD_EXPIRED : GROVE_DEAD_FULL);
        gv_call_fail(pool->loop, request, rc != 0 ? rc : GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
        return;
    }
    job->pool = pool;
    gv_timer_init(&job->timer, deadline_passed);
    gv_letters_meet(job);
    if (gv_quarantine_stops(pool, job))
        return;
    if (request->deadline_ms != 0)
        gv_wheel_arm(&pool->loop->wheel, &job->timer, request->deadline_ms);
    gv_job_wait(&pool->queue, job, false);
}

static void end(struct gv_pool *pool)
{
    struct gv_pool_task *task = pool->task;
    struct gv_loop *loop = pool->loop;

    gv_wheel_disarm(&loop->wheel, &pool->tick);
    gv_pool_free(pool);
    task->pool = NULL;
    gv_task_end(loop, &task->task);
}

static void run(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_pool *pool = ((struct gv_pool_task *)task)->pool;
    struct gv_message *message;
    unsigned n = RUN_MAX;

    task->flags |= GV_TASK_BUSY;
    while (n-- > 0 && loop->budget > 0 && (message = gv_mailbox_take(&task->mailbox)) != NULL) {
        loop->budget--;
        file(pool, message);
    }
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    if (task->mailbox.head != NULL)
        gv_sched_ready(loop, task);
    else if (is_finished(pool) && !pool->flush.queued) {
        end(pool);
        return;
    }
    gv_pool_flush_later(pool);
}

/* --- before each look at the world ------------------------------------------------------------------ */

/* Requests that were filed while the pool was ending are told so with the others. */
static void go_on_ending(struct gv_pool *pool)
{
    bool idle = pool->queue.n_waiting == 0 && gv_mailbox_is_empty(&pool->task->task.mailbox);

    for (unsigned i = 0; idle && i < pool->n_places; i++)
        idle = pool->children[i].jobs.n == 0;
    if (pool->state == GV_POOL_DRAINING && idle) {
        pool->state = GV_POOL_ENDING;
        gv_crew_end(pool, false);
    } else if (pool->state == GV_POOL_ENDING && !idle) {
        gv_crew_end(pool, false);
    }
    if (pool->state == GV_POOL_ENDING && pool->listener != NULL && gv_crew_is_gone(pool)) {
        pool->env->listener_close(pool->listener);
        pool->listener = NULL;
    }
    if (is_finished(pool))
        gv_sched_ready(pool->loop, &pool->task->task);
}

/* A loop that watches hears an answer 20 us sooner than one that must be woken, but it takes a core. */
static void watch_for_answers(struct gv_pool *pool)
{
    unsigned n_busy = 0;

    for (unsigned i = 0; i < pool->n_places; i++)
        n_busy += pool->children[i].jobs.n > 0;
    pool->loop->spin_ns = gv_runtime_spin_ns(gv_runtime.n_loops, n_busy);
}

static void flush(struct gv_flush *queued)
{
    struct gv_pool *pool = (struct gv_pool *)((char *)queued - offsetof(struct gv_pool, flush));

    if (pool->state != GV_POOL_ENDING)
        gv_crew_assign(pool);
    for (unsigned i = 0; i < pool->n_places; i++)
        if (pool->children[i].has_link)
            gv_link_flush(&pool->children[i].link);
    watch_for_answers(pool);
    if (pool->state != GV_POOL_OPEN)
        go_on_ending(pool);
}

void gv_pool_flush_later(struct gv_pool *pool)
{
    pool->flush.run = flush;
    gv_loop_flush_later(pool->loop, &pool->flush);
}

static void tick(struct gv_timer *timer)
{
    struct gv_pool *pool = (struct gv_pool *)((char *)timer - offsetof(struct gv_pool, tick));

    gv_crew_tick(pool);
    if (pool->state == GV_POOL_DRAINING && pool->stop_ms != 0
        && !gv_ms_before(pool->loop->now_ms, pool->stop_ms)) {
        pool->state = GV_POOL_ENDING;
        gv_crew_end(pool, false);
    }
    gv_pool_flush_later(pool);
    gv_wheel_arm(&pool->loop->wheel, timer, pool->loop->now_ms + GV_POOL_TICK_MS);
}

/* --- signals -------------------------------------------------------------------------------------- */

static void cancel(struct gv_pool *pool, struct gv_message *message)
{
    struct gv_loop *loop = pool->loop;
    struct gv_message *request;
    struct gv_job *job;
    uint64_t call;

    memcpy(&call, message->body, sizeof call);
    gv_message_give(&loop->blocks, message);
    request = gv_task_take_back(loop, &pool->task->task, call);
    if (request != NULL) {
        gv_message_give(&loop->blocks, request);
        return;
    }
    job = gv_job_find(&pool->queue, call);
    /* Whoever gives up twice has given up. */
    if (job != NULL && job->gave_up == 0)
        gv_job_give_up(job, GROVE_ECANCELED);
}

static void stop(struct gv_pool *pool, struct gv_message *message)
{
    struct gv_task *task = &pool->task->task;
    uint32_t stop_ms = message->deadline_ms;
    enum grove_stop_mode mode;

    memcpy(&mode, message->body, sizeof mode);
    task->flags |= GV_TASK_STOPPING;
    gv_task_tell_end(pool->loop, task, message);
    if (mode == GROVE_STOP_DRAIN && pool->state != GV_POOL_ENDING) {
        pool->state = GV_POOL_DRAINING;
        if (stop_ms != 0)
            pool->stop_ms = stop_ms;
    } else if (mode != GROVE_STOP_DRAIN) {
        pool->state = GV_POOL_ENDING;
        gv_crew_end(pool, mode == GROVE_STOP_KILL);
    }
    gv_pool_flush_later(pool);
}

static void signal_pool(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_pool *pool = ((struct gv_pool_task *)task)->pool;

    switch (message->method) {
    case GV_SIGNAL_INIT:
        gv_message_give(&loop->blocks, message);
        gv_timer_init(&pool->tick, tick);
        gv_wheel_arm(&loop->wheel, &pool->tick, loop->now_ms + GV_POOL_TICK_MS);
        gv_crew_spawn(pool);
        break;
    case GV_SIGNAL_STOP:
        stop(pool, message);
        break;
    case GV_SIGNAL_CANCEL:
        cancel(pool, message);
        break;
    case GV_SIGNAL_CREDIT:
        gv_pool_credit(pool, message);
        break;
    default:
        gv_message_give(&loop->blocks, message);
    }
}

static struct gv_waitlist *waitlist(struct gv_task *task, bool make)
{
    (void)make;
    return &((struct gv_pool_task *)task)->waitlist;
}

static void describe(const struct gv_task *task, char *text, size_t room)
{
    const struct gv_pool *pool = ((const struct gv_pool_task *)task)->pool;

    (void)snprintf(text, room, "pool/%s",
                   pool != NULL ? pool->name : "gone"); /* A cut name is still a name. */
}

const struct gv_task_class gv_pool_class = {
    .name = "pool",
    .run = run,
    .signal = signal_pool,
    .waitlist = waitlist,
    .describe = describe,
    .form = GV_FORM_PACKED,
    .kind = GROVE_REF_POOL,
    .fails_when_full = true,
};
