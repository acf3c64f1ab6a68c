/*
 * Quarantine: jobs that kill whoever runs them are not run for a while.
 *
 * A suspect is a request, known by its method and the fingerprint of its
 * bytes, or a whole method. Deaths of workers are counted against both.
 *
 *     WATCHED ──deaths──▶ CLOSED: refused ──rest_ms──▶ one is tried
 *        ▲                   ▲                            │  │
 *      a death               └────── its worker dies ─────┘  └─ it is answered ─▶ forgotten
 *
 * A request is closed after deaths_max deaths in a row: whenever a job of
 * equal bytes is answered it is forgotten. A method is closed when
 * GV_QUARANTINE_WHOLE of its jobs, and at least half of the last 64, have
 * killed their worker. Each time a trial dies the rest doubles, up to
 * GV_QUARANTINE_REST_MAX_MS.
 *
 * While there is no suspect all of this costs one comparison a job. The
 * fingerprint is made with a number of the pool's own, so that nobody can
 * make another's request look like a bad one.
 *
 * Always: at most GV_SUSPECTS_MAX suspects; the one without a death for
 * longest makes room. Each CLOSED one has at most one trial under way.
 */
#ifndef GV_QUARANTINE_H
#define GV_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/pool.h>

#define GV_SUSPECTS_MAX           128u
#define GV_QUARANTINE_WHOLE       10u
#define GV_QUARANTINE_REST_MAX_MS 600000u
#define GV_QUARANTINE_FORGET_MS   600000u /* without a death */

struct gv_job;
struct gv_pool;

struct gv_suspect {
    uint64_t id; /* for users */
    uint64_t fingerprint;
    uint64_t refused;
    const struct gv_job *trial; /* the one that is tried, NULL if none is */
    uint32_t deaths;
    uint32_t answered; /* of a whole method: jobs that did no harm */
    uint32_t died_ms;  /* the last one */
    uint32_t until_ms; /* CLOSED: when one is tried */
    uint32_t rest_ms;
    uint16_t method;
    bool is_whole;
    bool is_closed;
};

struct gv_quarantine {
    struct gv_suspect *suspects; /* room for GV_SUSPECTS_MAX; NULL until there is one */
    uint32_t n, n_closed;
    uint32_t deaths_max; /* GROVE_POOL_NEVER: nothing is ever closed */
    uint32_t rest_ms;
    uint64_t n_ids;
    uint64_t seed; /* of fingerprints, 0: not drawn yet */
};

void gv_quarantine_init(struct gv_quarantine *quarantine, const struct grove_pool_options *options);
void gv_quarantine_deinit(struct gv_quarantine *quarantine);

/* Why these options cannot be, NULL if they can. */
const char *gv_quarantine_wrong(const struct grove_pool_options *options);

/* The bytes of a job's request, as a number of this pool's. */
uint64_t gv_quarantine_fingerprint(struct gv_pool *pool, const struct gv_job *job);

/* The suspect in whose name this job must not run, NULL if it may. */
struct gv_suspect *gv_quarantine_holds(struct gv_pool *pool, const struct gv_job *job);

/*
 * True if the job must not run: it has been failed then; it is in no list.
 * False: it may run, and be the trial of who rests no more.
 */
bool gv_quarantine_stops(struct gv_pool *pool, struct gv_job *job);

/* A worker has died of a job, by its own fault; or a job's function has ended; or a job ends unjudged. */
void gv_quarantine_died(struct gv_pool *pool, const struct gv_job *job);
void gv_quarantine_survived(struct gv_pool *pool, const struct gv_job *job);
void gv_quarantine_left(struct gv_pool *pool, const struct gv_job *job);

/* Now and then. */
void gv_quarantine_tick(struct gv_pool *pool);

#endif
