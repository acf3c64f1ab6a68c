/*
 * Size: how many workers a pool has, and how long each of them lasts.
 *
 * A pool grows by one place while the oldest waiting job has waited for
 * grow_ms, but not while another worker is being born: what that one will
 * do is not known yet. It gives one up when a worker has been idle for
 * idle_ms. What happens twice a second (GV_POOL_TICK_MS) need not be exact.
 *
 * A worker that has lasted long enough is replaced in another place:
 *
 *     retiring   READY, works on ───────────────▶ told to leave ──▶ dead, place free
 *     successor  place in use ──▶ born ──▶ READY ─┘
 *
 * Should the retiring one die before, its successor is simply its place's
 * worker; should the successor die, its place tries again.
 *
 * Always: n_wanted places are in use, and one more while somebody retires.
 */
#include <grove/pool.h>

#include "runtime/assert.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "workers/pool.h"

#define GROW_MS_DEFAULT  50u
#define IDLE_MS_DEFAULT  30000u
#define BIRTH_MS_DEFAULT 10000u
#define RECYCLE_EVERY_MS 1000u
#define LEAST_BYTES      ((uint64_t)1 << 20)
#define MS_MAX           86400000u

/* --- options -------------------------------------------------------------------------------------- */

static unsigned n_least(const struct grove_pool_options *options)
{
    unsigned cores = gv_option_cores(), n = cores > 1 ? cores - 1 : 1;

    if (options->only_remote)
        return 0;
    if (options->n_workers != 0)
        return options->n_workers;
    if (n > GV_POOL_WORKERS_MAX)
        n = GV_POOL_WORKERS_MAX;
    return options->n_workers_max != 0 && options->n_workers_max < n ? options->n_workers_max : n;
}

static unsigned n_most(const struct grove_pool_options *options)
{
    return options->n_workers_max != 0 ? options->n_workers_max : n_least(options);
}

static bool recycles(const struct grove_pool_options *options)
{
    return options->recycle_jobs != 0 || options->recycle_ms != 0 || options->recycle_bytes != 0;
}

unsigned gv_size_places(const struct grove_pool_options *options)
{
    return n_most(options) + recycles(options);
}

static const char *limits_wrong(const struct grove_pool_options *options)
{
    if (options->recycle_bytes != 0 && options->recycle_bytes < LEAST_BYTES)
        return "recycle_bytes is at least 1 MiB: any worker's memory goes up and down by less";
    if (options->memory_max != 0 && options->memory_max < LEAST_BYTES)
        return "memory_max is at least 1 MiB; it comes on top of what a worker starts with";
    if (options->nice < -1 || options->nice > 19)
        return "nice is 1 to 19, or -1 for none; only root can make a process less nice";
    return NULL;
}

const char *gv_size_wrong(const struct grove_pool_options *options)
{
    if (options->n_workers > GV_POOL_WORKERS_MAX || options->n_workers_max > GV_POOL_WORKERS_MAX)
        return "a pool has at most 256 workers";
    if (options->n_workers_max != 0 && options->n_workers_max < options->n_workers)
        return "n_workers_max is less than n_workers, which is how many there are at least";
    if ((options->grow_ms != 0 || options->idle_ms != 0) && n_most(options) == n_least(options))
        return "grow_ms and idle_ms are for pools that grow; say n_workers_max, more than "
               "n_workers";
    if (options->grow_ms > MS_MAX || options->idle_ms > MS_MAX || options->birth_ms > MS_MAX
        || options->recycle_ms > MS_MAX || options->grace_ms > MS_MAX)
        return "grow_ms, idle_ms, birth_ms, recycle_ms and grace_ms are at most a day, "
               "86 400 000 ms";
    return limits_wrong(options);
}

static uint32_t or_default(unsigned value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

/* --- growing -------------------------------------------------------------------------------------- */

static bool somebody_is_born(const struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places; i++)
        if (pool->children[i].is_used && pool->children[i].state <= GV_CHILD_SPAWNING)
            return true;
    return false;
}

/* A place that nobody uses, with nobody in it; NULL if all who left are not gone yet. */
static struct gv_child *free_place(struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_local; i++)
        if (!pool->children[i].is_used && pool->children[i].state == GV_CHILD_RESTING)
            return &pool->children[i];
    return NULL;
}

static void use(struct gv_pool *pool, struct gv_child *place)
{
    place->is_used = true;
    place->was_before = false;
    place->delay_ms = 0;
    place->spawn_ms = pool->loop->now_ms;
    gv_crew_spawn(pool);
}

static bool may_grow(const struct gv_pool *pool)
{
    return pool->state == GV_POOL_OPEN && !pool->broken && pool->n_wanted < pool->n_most;
}

static void grow(struct gv_timer *timer)
{
    struct gv_pool *pool = (struct gv_pool *)((char *)timer - offsetof(struct gv_pool, grow));
    const struct gv_job *oldest = gv_queue_oldest(&pool->queue);
    uint32_t now_ms = pool->loop->now_ms, due_ms;
    struct gv_child *place;

    if (oldest == NULL || !may_grow(pool))
        return;
    due_ms = oldest->filed_ms + pool->grow_ms;
    place = gv_ms_before(now_ms, due_ms) || somebody_is_born(pool) ? NULL : free_place(pool);
    if (place != NULL) {
        pool->n_wanted++;
        gv_log(GV_LOG_INFO, "pool.grows", "pool=%s workers=%u waiting=%u waited_ms=%u", pool->name,
               pool->n_wanted, pool->queue.n_waiting, now_ms - oldest->filed_ms);
        use(pool, place);
    }
    if (!gv_ms_before(now_ms, due_ms))
        due_ms = now_ms + pool->grow_ms;
    gv_wheel_arm(&pool->loop->wheel, timer, due_ms);
}

void gv_size_short(struct gv_pool *pool)
{
    if (!gv_timer_is_armed(&pool->grow) && may_grow(pool))
        gv_wheel_arm(&pool->loop->wheel, &pool->grow,
                     gv_queue_oldest(&pool->queue)->filed_ms + pool->grow_ms);
}

/* --- shrinking ------------------------------------------------------------------------------------ */

/* Its worker goes, and no other one comes. */
static void dismiss(struct gv_child *child)
{
    child->is_used = false;
    child->end_is_wanted = true;
    gv_child_leave(child);
}

static bool is_idle(const struct gv_child *child)
{
    const struct gv_pool *pool = child->pool;

    return child->state == GV_CHILD_READY && child->jobs.n == 0
           && pool->loop->now_ms - child->idle_ms >= pool->idle_ms;
}

/* One at a time: the next one goes at the next tick. Backwards, as jobs go to the first ones first. */
static void shrink(struct gv_pool *pool)
{
    for (unsigned i = pool->n_places; i-- > 0 && pool->n_wanted > pool->n_least;) {
        struct gv_child *child = &pool->children[i];

        if (!child->is_used || !is_idle(child))
            continue;
        pool->n_wanted--;
        gv_log(GV_LOG_INFO, "pool.shrinks", "pool=%s workers=%u pid=%lld", pool->name,
               pool->n_wanted, (long long)child->pid);
        dismiss(child);
        return;
    }
}

/* --- recycling ------------------------------------------------------------------------------------ */

/* Why this worker has lasted long enough, NULL if it has not. */
static const char *worn(const struct gv_child *child)
{
    const struct gv_pool *pool = child->pool;
    uint64_t grown;

    if (child->state != GV_CHILD_READY || !child->is_used)
        return NULL;
    if (pool->recycle_jobs != 0 && child->n_answered >= pool->recycle_jobs)
        return "jobs";
    if (pool->recycle_ms != 0 && pool->loop->now_ms - child->ready_ms >= pool->recycle_ms)
        return "age";
    /* relaxed: a figure, of which at worst an older one is seen. */
    grown = atomic_load_explicit(&gv_child_page(child)->grown_bytes, memory_order_relaxed);
    return pool->recycle_bytes != 0 && grown >= pool->recycle_bytes ? "memory" : NULL;
}

static void replace(struct gv_pool *pool, struct gv_child *child)
{
    bool may = pool->state == GV_POOL_OPEN && !pool->broken && pool->retiring == NULL
               && pool->loop->now_ms - pool->recycled_ms >= RECYCLE_EVERY_MS;
    const char *why = may ? worn(child) : NULL;
    struct gv_child *place = why != NULL ? free_place(pool) : NULL;

    if (place == NULL)
        return;
    gv_log(GV_LOG_INFO, "worker.recycled", "pool=%s pid=%lld why=%s jobs=%llu", pool->name,
           (long long)child->pid, why, (unsigned long long)child->n_answered);
    pool->recycled_ms = pool->loop->now_ms;
    pool->retiring = child;
    pool->successor = place;
    use(pool, place);
}

/* --- what happens --------------------------------------------------------------------------------- */

void gv_size_ready(struct gv_pool *pool, struct gv_child *child)
{
    struct gv_child *retiring = pool->retiring;

    if (child != pool->successor)
        return;
    pool->retiring = pool->successor = NULL;
    pool->stats.recycled++;
    dismiss(retiring);
}

void gv_size_answered(struct gv_pool *pool, struct gv_child *child)
{
    if (pool->recycle_jobs != 0)
        replace(pool, child);
}

void gv_size_buried(struct gv_pool *pool, struct gv_child *child)
{
    if (child != pool->retiring)
        return;
    child->is_used = false;
    pool->retiring = pool->successor = NULL;
}

void gv_size_tick(struct gv_pool *pool)
{
    for (unsigned i = 0; i < pool->n_places && pool->retiring == NULL; i++)
        replace(pool, &pool->children[i]);
    if (pool->state == GV_POOL_OPEN && pool->retiring == NULL)
        shrink(pool);
}

void gv_size_end(struct gv_pool *pool)
{
    gv_wheel_disarm(&pool->loop->wheel, &pool->grow);
}

void gv_size_init(struct gv_pool *pool, const struct grove_pool_options *options)
{
    pool->n_least = pool->n_wanted = n_least(options);
    pool->n_most = n_most(options);
    gv_assert(pool->n_most <= pool->n_places);
    pool->grow_ms = or_default(options->grow_ms, GROW_MS_DEFAULT);
    pool->idle_ms = or_default(options->idle_ms, IDLE_MS_DEFAULT);
    pool->birth_ms = or_default(options->birth_ms, BIRTH_MS_DEFAULT);
    pool->recycle_jobs = options->recycle_jobs;
    pool->recycle_ms = options->recycle_ms;
    pool->recycle_bytes = options->recycle_bytes;
    pool->recycled_ms = pool->loop->now_ms - RECYCLE_EVERY_MS;
    pool->memory_max = options->memory_max;
    pool->cpu_s = options->cpu_s;
    pool->nice = options->nice;
    gv_timer_init(&pool->grow, grow);
    for (unsigned i = 0; i < pool->n_wanted; i++)
        pool->children[i].is_used = true;
}
