/*
 * Crew: which worker gets which job, when a worker is started, and what
 * becomes of the jobs of a dead one.
 */
#include <stddef.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/hint.h"
#include "runtime/log.h"
#include "runtime/runtime.h"
#include "workers/pool.h"
#include "workers/remote.h"

/*
 * A worker holds so much work, unless the user says otherwise: enough that it
 * never waits while answers and jobs travel in batches, and little enough
 * that no job waits long behind it while another worker is free.
 */
#define HELD_NS     1000000u
#define LONG_NS     10000000u /* jobs so long gain nothing by standing ready in a worker */
#define CREDITS_MIN 2u
#define CREDITS_MAX 64u

/* --- births --------------------------------------------------------------------------------------- */

static void rest(struct gv_pool *pool, struct gv_child *child)
{
    uint32_t delay_ms = child->delay_ms;

    child->delay_ms = delay_ms == 0 ? GV_CHILD_DELAY_MS : 2 * delay_ms;
    if (child->delay_ms > GV_CHILD_DELAY_MAX_MS)
        child->delay_ms = GV_CHILD_DELAY_MAX_MS;
    child->spawn_ms = pool->loop->now_ms + delay_ms;
    gv_wheel_arm(&pool->loop->wheel, &child->timer, child->spawn_ms);
}

/* Nobody can be born here: whoever waits is told, and later one more is tried. */
static void open_breaker(struct gv_pool *pool)
{
    if (!pool->broken)
        gv_log(GV_LOG_ERROR, "pool.broken", "pool=%s births_in_vain=%u retry_ms=%u", pool->name,
               pool->births_in_vain, GV_POOL_RETRY_MS);
    pool->broken = true;
    pool->retry_ms = pool->loop->now_ms + GV_POOL_RETRY_MS;
    gv_pool_flush_later(pool);
}

static void born_in_vain(struct gv_pool *pool)
{
    pool->births_in_vain++;
    if (pool->births_in_vain >= GV_POOL_BIRTHS_MAX * pool->n_wanted || pool->broken)
        open_breaker(pool);
}

static void spawn(struct gv_pool *pool, struct gv_child *child)
{
    if (gv_child_spawn(child) == 0) {
        pool->stats.restarts += child->was_before;
        child->was_before = true;
        return;
    }
    born_in_vain(pool);
    rest(pool, child);
}

/* One tries for all while the breaker is open. */
static bool somebody_tries(const struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places; i++)
        if (pool->children[i].state == GV_CHILD_SPAWNING)
            return true;
    return false;
}

void gv_crew_spawn(struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places && pool->state != GV_POOL_ENDING; i++) {
        struct gv_child *child = &pool->children[i];

        if (child->state != GV_CHILD_RESTING || !child->is_used)
            continue;
        if (pool->broken
            && (somebody_tries(pool) || gv_ms_before(pool->loop->now_ms, pool->retry_ms)))
            return;
        if (pool->broken || !gv_ms_before(pool->loop->now_ms, child->spawn_ms)) {
            gv_wheel_disarm(&pool->loop->wheel, &child->timer);
            spawn(pool, child);
        }
    }
}

static void rested(struct gv_timer *timer)
{
    gv_crew_spawn(((struct gv_child *)((char *)timer - offsetof(struct gv_child, timer)))->pool);
}

void gv_crew_init(struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];

        child->pool = pool;
        child->capacity = 1;
        child->spawn_ms = pool->loop->now_ms;
        gv_timer_init(&child->timer, rested);
    }
}

struct gv_roster *gv_crew_roster(struct gv_pool *pool, const Grove__Link__V1__Hello *hello)
{
    if (pool->roster != NULL && gv_roster_matches(pool->roster, hello))
        return gv_roster_hold(pool->roster);
    /* Where programs differ, each has had its say, and the log its line, when its first worker came. */
    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_roster *roster = pool->children[i].roster;

        if (roster != NULL && gv_roster_is_told(roster) && gv_roster_matches(roster, hello))
            return gv_roster_hold(roster);
    }
    return NULL;
}

static void look_whether_mixed(struct gv_pool *pool)
{
    pool->mixed = false;
    for (unsigned i = 0; i < pool->n_places && !pool->mixed; i++)
        pool->mixed =
            pool->children[i].state == GV_CHILD_READY && pool->children[i].roster != pool->roster;
}

void gv_crew_welcomed(struct gv_pool *pool, struct gv_child *child)
{
    if (pool->broken)
        gv_log(GV_LOG_WARN, "pool.mended", "pool=%s", pool->name);
    pool->births_in_vain = 0;
    if (pool->broken) {
        pool->broken = false;
        gv_crew_spawn(pool);
    }
    if (pool->roster != child->roster) {
        gv_roster_free(pool->roster);
        pool->roster = gv_roster_hold(child->roster);
    }
    look_whether_mixed(pool);
    if (pool->state == GV_POOL_ENDING)
        gv_child_leave(child);
    else
        gv_size_ready(pool, child);
    gv_pool_flush_later(pool);
}

/* --- handing out ---------------------------------------------------------------------------------- */

static unsigned credits(const struct gv_pool *pool)
{
    unsigned held;

    if (pool->credits != 0)
        return pool->credits;
    if (pool->mean_ns == 0 || pool->mean_ns >= LONG_NS)
        return 1;
    held = HELD_NS / pool->mean_ns;
    return held < CREDITS_MIN ? CREDITS_MIN : held > CREDITS_MAX ? CREDITS_MAX : held;
}

/* Has less to do, for its size. */
static bool is_freer(const struct gv_child *child, const struct gv_child *than)
{
    return child->jobs.n * than->capacity < than->jobs.n * child->capacity;
}

/* It may have one job more. Nothing waits behind a stream, which may wait for its reader: each has a worker. */
static bool has_room(const struct gv_child *child, unsigned jobs_max)
{
    uint32_t n_streams = child->jobs.n_streams;

    return child->state == GV_CHILD_READY && n_streams < child->capacity
           && child->jobs.n - n_streams < jobs_max * (child->capacity - n_streams);
}

/* The worker with the fewest jobs, NULL if nobody may have another one. */
static struct gv_child *freest(struct gv_pool *pool, unsigned jobs_max)
{
    struct gv_child *best = NULL;

    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];

        if (has_room(child, jobs_max) && (best == NULL || is_freer(child, best)))
            best = child;
    }
    return best;
}

/*
 * The same where programs differ: the freest of those that can do this job.
 * Nobody if one of them will be free; if there is none, anybody, who says why.
 */
static struct gv_child *freest_able(struct gv_pool *pool, unsigned jobs_max, struct gv_job *job)
{
    struct gv_child *best = NULL;
    bool somebody = false;

    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];
        const char *why;
        uint16_t number;

        if (child->state != GV_CHILD_READY
            || gv_roster_number(child->roster, job->request->method, &number, &why)
                   == GROVE_ENOTSUP)
            continue;
        somebody = true;
        if (has_room(child, jobs_max) && (best == NULL || is_freer(child, best)))
            best = child;
    }
    return somebody ? best : freest(pool, jobs_max);
}

static uint32_t budget_us(const struct gv_pool *pool, const struct gv_job *job)
{
    uint32_t deadline_ms = job->request->deadline_ms, left_ms;

    if (deadline_ms == 0)
        return GV_BUDGET_NONE;
    left_ms = gv_ms_before(pool->loop->now_ms, deadline_ms) ? deadline_ms - pool->loop->now_ms : 0;
    return left_ms < GV_BUDGET_NONE / 1000 ? left_ms * 1000 : GV_BUDGET_NONE - 1;
}

/* Sends a job that waits to a worker, or fails it if that worker cannot do it. */
static void hand_out(struct gv_pool *pool, struct gv_child *child, struct gv_job *job)
{
    struct gv_frame frame = {
        .type = GV_FRAME_CALL,
        .flags = (uint8_t)((job->request->call == 0 ? GV_FRAME_ONEWAY : 0)
                           | (gv_job_may_rerun(job) ? GV_FRAME_RETRY_OK : 0)),
        .call = job->id,
        .budget_us = budget_us(pool, job),
        .aux = job->deaths,
    };
    uint8_t wire[GV_SLAB_WIRE_BYTES];
    const char *why = NULL;
    const uint8_t *body;
    uint64_t body_bytes;
    int rc;

    gv_job_unwait(&pool->queue, job);
    if (gv_quarantine_stops(pool, job))
        return;
    body = gv_job_body(job, &body_bytes);
    if (job->streams)
        gv_job_stream(job, &frame);
    rc = gv_roster_number(child->roster, job->request->method, &frame.method, &why);
    if (rc == 0 && gv_slab_put(child, job, wire)) {
        frame.flags |= GV_FRAME_SLAB;
        body = wire;
        body_bytes = sizeof wire;
    }
    if (rc == 0)
        rc = gv_link_send(&child->link, &frame, body, body_bytes);
    if (rc != 0)
        gv_slab_leave(child, job);
    if (rc == GROVE_EDOWN) {
        gv_job_wait(&pool->queue, job, true); /* Its end is near but not seen: no more for it. */
        gv_child_kill(child);
        return;
    }
    if (rc != 0) {
        gv_job_fail(job, rc, GROVE_STARTED_NO, rc == GROVE_ETOOBIG ? GV_WORKER_TOO_BIG : why);
        return;
    }
    gv_probe(&pool->loop->probes, JOB, job->id, 1);
    job->child = child;
    job->seq = ++child->n_sent;
    gv_jobs_push(&child->jobs, job);
    /* A large one takes so long to copy that its worker had better begin before the next one is. */
    if (job->is_in_slab)
        gv_link_flush(&child->link);
}

static bool nobody_will_come(const struct gv_pool *pool)
{
    if (!pool->broken)
        return false;
    for (unsigned i = 0; i < pool->n_places; i++)
        if (pool->children[i].state == GV_CHILD_READY)
            return false;
    return true;
}

void gv_crew_assign(struct gv_pool *pool)
{
    unsigned jobs_max = credits(pool);

    while (pool->queue.n_waiting > 0) {
        struct gv_job *job = gv_queue_first(&pool->queue);
        struct gv_child *child =
            gv_unlikely(pool->mixed) ? freest_able(pool, jobs_max, job) : freest(pool, jobs_max);

        if (child != NULL) {
            hand_out(pool, child, job);
        } else if (nobody_will_come(pool)) {
            gv_job_unwait(&pool->queue, job);
            gv_job_fail(job, GROVE_EUNAVAILABLE, GROVE_STARTED_NO, NULL);
        } else {
            gv_size_short(pool);
            return;
        }
    }
}

/* --- deaths --------------------------------------------------------------------------------------- */

/* Its page, its jobs, and its place. */
static void settle_estate(struct gv_pool *pool, struct gv_child *child)
{
    /* acquire: pairs with the release before the function was called. */
    uint64_t started = atomic_load_explicit(&gv_child_page(child)->started, memory_order_acquire);

    /* From the last to the first: those that go back to the queue's head keep their order. */
    while (child->jobs.tail != NULL) {
        struct gv_job *job = child->jobs.tail;

        gv_jobs_remove(&child->jobs, job);
        gv_slab_leave(child, job);
        job->child = NULL;
        gv_job_bereaved(job, child, started);
    }
    gv_slab_close(child);
    pool->env->page_close(pool->env->world, &child->page);
    gv_roster_free(child->roster);
    child->roster = NULL;
    if (pool->state != GV_POOL_ENDING) {
        if (!child->was_ready)
            born_in_vain(pool);
        gv_size_buried(pool, child);
        if (child->is_used)
            rest(pool, child);
        gv_crew_spawn(pool);
    }
}

void gv_crew_buried(struct gv_pool *pool, struct gv_child *child)
{
    if (child->is_remote)
        gv_remote_buried(child);
    else
        settle_estate(pool, child);
    gv_pool_flush_later(pool);
}

void gv_crew_end(struct gv_pool *pool, bool kill)
{
    gv_size_end(pool);
    gv_remote_close(pool);
    while (pool->queue.n_waiting > 0) {
        struct gv_job *job = gv_queue_first(&pool->queue);

        gv_job_unwait(&pool->queue, job);
        gv_job_fail(job, GROVE_ESTOPPING, GROVE_STARTED_NO, NULL);
    }
    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];

        gv_wheel_disarm(&pool->loop->wheel, &child->timer);
        child->end_is_wanted = true;
        if (kill || child->jobs.n > 0 || child->state == GV_CHILD_SPAWNING)
            gv_child_kill(child);
        else if (child->state == GV_CHILD_READY)
            gv_child_leave(child);
    }
}

bool gv_crew_is_gone(const struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places; i++)
        if (pool->children[i].state != GV_CHILD_RESTING)
            return false;
    return true;
}

void gv_crew_tick(struct gv_pool *pool)
{
    uint64_t now_ns = pool->env->now_ns(pool->env->world);

    for (unsigned i = 0; i < pool->n_places; i++)
        gv_child_tick(&pool->children[i], pool->loop->now_ms, now_ns);
    gv_slab_tick_pool(pool, pool->loop->now_ms);
    if (pool->broken)
        gv_crew_spawn(pool);
    gv_size_tick(pool);
    gv_quarantine_tick(pool);
}
