#include "workers/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/log.h"
#include "runtime/usage.h"
#include "workers/pool.h"

#define DEATHS_DEFAULT 3u
#define REST_MS        30000u
#define MS_MAX         86400000u
#define RECENT         64u /* jobs of a method; beyond both counts are halved */

/* --- options -------------------------------------------------------------------------------------- */

void gv_quarantine_init(struct gv_quarantine *quarantine, const struct grove_pool_options *options)
{
    quarantine->deaths_max =
        options->quarantine_deaths != 0 ? options->quarantine_deaths : DEATHS_DEFAULT;
    quarantine->rest_ms = options->quarantine_ms != 0 ? options->quarantine_ms : REST_MS;
}

void gv_quarantine_deinit(struct gv_quarantine *quarantine)
{
    free(quarantine->suspects);
    quarantine->suspects = NULL;
    quarantine->n = quarantine->n_closed = 0;
}

const char *gv_quarantine_wrong(const struct grove_pool_options *options)
{
    if (options->quarantine_deaths > 1000 && options->quarantine_deaths != GROVE_POOL_NEVER)
        return "quarantine_deaths is at most 1000, or GROVE_POOL_NEVER";
    return options->quarantine_ms > MS_MAX ? "quarantine_ms is at most a day, 86 400 000 ms" : NULL;
}

/* --- fingerprints --------------------------------------------------------------------------------- */

/* Mixes 64 bits into a hash: both halves of a product. */
static uint64_t mix(uint64_t hash, uint64_t bits)
{
    __uint128_t product =
        (__uint128_t)(hash ^ UINT64_C(0x9e3779b97f4a7c15)) * (bits ^ UINT64_C(0xd6e8feb86659fd93));

    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ hash;
}

uint64_t gv_quarantine_fingerprint(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    uint64_t n_bytes, hash, last = 0;
    const uint8_t *body = gv_job_body(job, &n_bytes);

    if (quarantine->seed == 0)
        quarantine->seed = pool->env->random(pool->env->world) | 1;
    hash = mix(quarantine->seed, n_bytes);
    for (; n_bytes >= sizeof hash; n_bytes -= sizeof hash, body += sizeof hash) {
        uint64_t bits;

        memcpy(&bits, body, sizeof bits);
        hash = mix(hash, bits);
    }
    if (n_bytes > 0)
        memcpy(&last, body, n_bytes);
    return mix(hash, last);
}

/* --- suspects ------------------------------------------------------------------------------------- */

static void forget(struct gv_pool *pool, struct gv_suspect *suspect)
{
    struct gv_quarantine *quarantine = &pool->quarantine;

    quarantine->n_closed -= suspect->is_closed;
    *suspect = quarantine->suspects[--quarantine->n];
}

/* The whole method, or NULL. */
static struct gv_suspect *find_whole(const struct gv_quarantine *quarantine, uint16_t method)
{
    for (uint32_t i = 0; i < quarantine->n; i++)
        if (quarantine->suspects[i].is_whole && quarantine->suspects[i].method == method)
            return &quarantine->suspects[i];
    return NULL;
}

/* The request, or NULL. Its bytes are looked at only if one of its method is suspected. */
static struct gv_suspect *find_one(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    bool is_known = false;
    uint64_t fingerprint = 0;

    for (uint32_t i = 0; i < quarantine->n; i++) {
        struct gv_suspect *suspect = &quarantine->suspects[i];

        if (suspect->is_whole || suspect->method != job->request->method)
            continue;
        if (!is_known)
            fingerprint = gv_quarantine_fingerprint(pool, job);
        is_known = true;
        if (suspect->fingerprint == fingerprint)
            return suspect;
    }
    return NULL;
}

/* Whoever has done no harm for longest makes room; those that are closed only if all are. */
static void make_room(struct gv_pool *pool)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    uint32_t now_ms = pool->loop->now_ms;
    struct gv_suspect *oldest = &quarantine->suspects[0];

    for (uint32_t i = 1; i < quarantine->n; i++) {
        struct gv_suspect *other = &quarantine->suspects[i];

        if (other->is_closed != oldest->is_closed
                ? oldest->is_closed
                : now_ms - other->died_ms > now_ms - oldest->died_ms)
            oldest = other;
    }
    forget(pool, oldest);
}

/* A new suspect; NULL: no memory. */
static struct gv_suspect *add(struct gv_pool *pool, const struct gv_job *job, bool is_whole)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    struct gv_suspect *suspect;

    if (quarantine->suspects == NULL)
        quarantine->suspects = calloc(GV_SUSPECTS_MAX, sizeof *quarantine->suspects);
    if (quarantine->suspects == NULL)
        return NULL;
    if (quarantine->n == GV_SUSPECTS_MAX)
        make_room(pool);
    suspect = &quarantine->suspects[quarantine->n++];
    *suspect = (struct gv_suspect){
        .id = ++quarantine->n_ids,
        .fingerprint = is_whole ? 0 : gv_quarantine_fingerprint(pool, job),
        .method = job->request->method,
        .is_whole = is_whole,
    };
    return suspect;
}

/* --- what happens --------------------------------------------------------------------------------- */

static bool is_bad(const struct gv_quarantine *quarantine, const struct gv_suspect *suspect)
{
    if (!suspect->is_whole)
        return suspect->deaths >= quarantine->deaths_max;
    return suspect->deaths >= GV_QUARANTINE_WHOLE && suspect->deaths >= suspect->answered;
}

static void shut(struct gv_pool *pool, struct gv_suspect *suspect)
{
    struct gv_quarantine *quarantine = &pool->quarantine;

    suspect->rest_ms = suspect->rest_ms == 0 ? quarantine->rest_ms : 2 * suspect->rest_ms;
    if (suspect->rest_ms > GV_QUARANTINE_REST_MAX_MS && quarantine->rest_ms < suspect->rest_ms)
        suspect->rest_ms = quarantine->rest_ms > GV_QUARANTINE_REST_MAX_MS
                               ? quarantine->rest_ms
                               : GV_QUARANTINE_REST_MAX_MS;
    suspect->until_ms = pool->loop->now_ms + suspect->rest_ms;
    suspect->trial = NULL;
    quarantine->n_closed += !suspect->is_closed;
    suspect->is_closed = true;
    gv_log(GV_LOG_ERROR, "job.quarantined",
           "pool=%s method=%s what=%s id=%" PRIu64 " deaths=%" PRIu32 " rest_ms=%" PRIu32,
           pool->name, gv_methods[suspect->method].method->name,
           suspect->is_whole ? "method" : "request", suspect->id, suspect->deaths,
           suspect->rest_ms);
}

static void blame(struct gv_pool *pool, struct gv_suspect *suspect, const struct gv_job *job)
{
    suspect->deaths++;
    suspect->died_ms = pool->loop->now_ms;
    /* Those that were under way when it was closed change nothing. */
    if (suspect->is_closed ? suspect->trial == job : is_bad(&pool->quarantine, suspect))
        shut(pool, suspect);
}

void gv_quarantine_died(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    struct gv_suspect *suspect;

    if (quarantine->deaths_max == GROVE_POOL_NEVER || pool->state == GV_POOL_ENDING)
        return;
    suspect = find_one(pool, job);
    suspect = suspect != NULL ? suspect : add(pool, job, false);
    if (suspect != NULL)
        blame(pool, suspect, job);
    /* Adding one may move the other: so it is looked for after. */
    suspect = find_whole(quarantine, job->request->method);
    suspect = suspect != NULL ? suspect : add(pool, job, true);
    if (suspect != NULL)
        blame(pool, suspect, job);
}

static void lift(struct gv_pool *pool, struct gv_suspect *suspect, const char *why)
{
    if (suspect->is_closed)
        gv_log(GV_LOG_WARN, "job.released", "pool=%s method=%s what=%s id=%" PRIu64 " why=%s",
               pool->name, gv_methods[suspect->method].method->name,
               suspect->is_whole ? "method" : "request", suspect->id, why);
    forget(pool, suspect);
}

void gv_quarantine_survived(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_suspect *suspect;

    if (pool->quarantine.n == 0)
        return;
    suspect = find_one(pool, job);
    if (suspect != NULL)
        lift(pool, suspect, "answered");
    suspect = find_whole(&pool->quarantine, job->request->method);
    if (suspect == NULL)
        return;
    if (suspect->is_closed && suspect->trial == job) {
        lift(pool, suspect, "answered");
        return;
    }
    suspect->answered++;
    if (suspect->deaths + suspect->answered < RECENT || suspect->is_closed)
        return;
    suspect->deaths /= 2;
    suspect->answered /= 2;
    if (suspect->deaths == 0)
        forget(pool, suspect);
}

void gv_quarantine_left(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_quarantine *quarantine = &pool->quarantine;

    for (uint32_t i = 0; quarantine->n_closed > 0 && i < quarantine->n; i++)
        if (quarantine->suspects[i].trial == job)
            quarantine->suspects[i].trial = NULL;
}

void gv_quarantine_tick(struct gv_pool *pool)
{
    struct gv_quarantine *quarantine = &pool->quarantine;

    for (uint32_t i = quarantine->n; i-- > 0;) {
        struct gv_suspect *suspect = &quarantine->suspects[i];

        /* One that is closed is kept until it can have been tried. */
        if (pool->loop->now_ms - suspect->died_ms
            >= GV_QUARANTINE_FORGET_MS + (suspect->is_closed ? suspect->rest_ms : 0))
            lift(pool, suspect, "forgotten");
    }
}

/* --- refusing ------------------------------------------------------------------------------------- */

/* True if jobs of this suspect are refused now, but for its trial. */
static bool is_shut(const struct gv_pool *pool, const struct gv_suspect *suspect,
                    const struct gv_job *job)
{
    return suspect != NULL && suspect->is_closed && suspect->trial != job
           && (suspect->trial != NULL || gv_ms_before(pool->loop->now_ms, suspect->until_ms));
}

struct gv_suspect *gv_quarantine_holds(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_suspect *suspect;

    if (pool->quarantine.n_closed == 0)
        return NULL;
    suspect = find_whole(&pool->quarantine, job->request->method);
    if (is_shut(pool, suspect, job))
        return suspect;
    suspect = find_one(pool, job);
    return is_shut(pool, suspect, job) ? suspect : NULL;
}

static void try(struct gv_suspect *suspect, const struct gv_job *job)
{
    if (suspect != NULL && suspect->is_closed)
        suspect->trial = job;
}

static void refuse(struct gv_pool *pool, struct gv_suspect *suspect, struct gv_job *job)
{
    uint32_t left_ms = gv_ms_before(pool->loop->now_ms, suspect->until_ms)
                           ? suspect->until_ms - pool->loop->now_ms
                           : 0;
    char text[192];

    suspect->refused++;
    pool->stats.quarantined++;
    (void)snprintf(text, sizeof text,
                   "%s killed %" PRIu32 " workers; one is tried in %" PRIu32
                   " ms. grove_pool_quarantines lists, grove_pool_lift lifts it (id %" PRIu64 ")",
                   suspect->is_whole ? "jobs of this rpc have" : "equal requests have",
                   suspect->deaths, left_ms, suspect->id); /* It fits. */
    /* It killed one that was running it: this is no news to whom it has crashed. */
    if (job->has_run)
        gv_job_fail(job, GROVE_ECRASHED, GROVE_STARTED_YES, text);
    else
        gv_job_fail(job, GROVE_EQUARANTINED, GROVE_STARTED_NO, text);
}

bool gv_quarantine_stops(struct gv_pool *pool, struct gv_job *job)
{
    struct gv_quarantine *quarantine = &pool->quarantine;
    struct gv_suspect *suspect;

    if (quarantine->n_closed == 0)
        return false;
    suspect = gv_quarantine_holds(pool, job);
    if (suspect != NULL) {
        refuse(pool, suspect, job);
        return true;
    }
    try(find_whole(quarantine, job->request->method), job);
    try(find_one(pool, job), job);
    return false;
}

/* --- for users ------------------------------------------------------------------------------------ */

int grove_pool_quarantines(grove_ref ref, struct grove_pool_quarantine *list, unsigned n)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_quarantines", ref, &pool);
    unsigned n_found = 0;

    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < pool->quarantine.n; i++) {
        const struct gv_suspect *suspect = &pool->quarantine.suspects[i];
        bool rests = gv_ms_before(pool->loop->now_ms, suspect->until_ms);

        if (!suspect->is_closed)
            continue;
        if (n_found < n)
            list[n_found] = (struct grove_pool_quarantine){
                .id = suspect->id,
                .method = gv_methods[suspect->method].method,
                .is_whole = suspect->is_whole,
                .is_tried = suspect->trial != NULL,
                .fingerprint = suspect->fingerprint,
                .deaths = suspect->deaths,
                .rest_ms = rests ? suspect->until_ms - pool->loop->now_ms : 0,
                .refused = suspect->refused,
            };
        n_found++;
    }
    return (int)n_found;
}

int grove_pool_lift(grove_ref ref, uint64_t id)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_lift", ref, &pool), n_lifted = 0;

    if (rc != 0)
        return rc;
    for (uint32_t i = pool->quarantine.n; i-- > 0;) {
        struct gv_suspect *suspect = &pool->quarantine.suspects[i];

        if (!suspect->is_closed || (id != 0 && suspect->id != id))
            continue;
        lift(pool, suspect, "asked");
        n_lifted++;
    }
    return n_lifted;
}
