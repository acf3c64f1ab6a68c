/*
 * Worker pools: processes that run the WORKER rpcs of this program.
 *
 *     static const struct screening_service screening = {.screen = screen};
 *     GROVE_WORKER(screening, &screening);
 *     ...
 *     grove_ref pool;
 *     int rc = grove_pool_open(NULL, &pool);
 *     rc = screening_screen_await(pool, &request, &response);
 *
 * A job that was running when its worker died fails with GROVE_ECRASHED
 * (started YES), or is tried on another worker if its rpc declares an
 * idempotency_level; jobs that had not begun are always tried again. A job
 * dies with at most two workers.
 *
 * A request to a worker and its answer have at most 16 MiB each, packed:
 * GROVE_ETOOBIG beyond. Hand on more as the name of a file, or in parts.
 */
#ifndef GROVE_POOL_H
#define GROVE_POOL_H

#include <stdint.h>

#include <grove/export.h>
#include <grove/init.h>
#include <grove/ref.h>

/* Zero means the default. */
struct grove_pool_options {
    const char *name;    /* for reports, default "workers" */
    unsigned n_workers;  /* default: cores - 1, at least 1 */
    unsigned credits;    /* jobs a worker may hold, the running one included; default: 2 to 64,
                            the more the shorter jobs are */
    unsigned queue_max;  /* jobs waiting for a worker; default 10 000; full: GROVE_EFULL at once */
    uint64_t bytes_max;  /* bytes of waiting jobs; default 64 MiB */
    const char *program; /* default: this program again */
    unsigned grace_ms;   /* from CANCEL to SIGKILL of an overdue job; default 100 */
};

/*
 * Opens a pool on loop 0 and starts its workers. options may be NULL. On 0
 * *ref is the pool; jobs queue until the first worker is up. Call it from
 * main, or from an actor on loop 0 (else GROVE_EUSAGE). Never suspends.
 */
GROVE_API int grove_pool_open(const struct grove_pool_options *options, grove_ref *ref);

/*
 * Lets the workers finish what they hold, at most timeout_ms, then ends
 * them and frees the pool. Jobs still unfinished fail with GROVE_ESTOPPING
 * (not begun) or GROVE_ECRASHED. Suspends. Returns 0, GROVE_ENOACTOR.
 */
GROVE_API int grove_pool_close_await(grove_ref pool, uint32_t timeout_ms);

struct grove_pool_stats {
    unsigned n_workers;      /* wanted */
    unsigned n_ready;        /* connected and agreed */
    unsigned n_busy;         /* with at least one job */
    uint64_t queued;         /* jobs waiting now */
    uint64_t running;        /* jobs handed to workers now */
    uint64_t done;           /* answers given: done or refused */
    uint64_t failed;         /* answers given: failed */
    uint64_t retried;        /* jobs given to another worker after a death */
    uint64_t restarts;       /* workers started again after a death */
    uint64_t dropped_peers;  /* connections dropped for breaking the protocol */
    uint64_t dropped_frames; /* late, doubled or unknown answers */
};

/* Fills *stats. On loop 0 only. Returns 0, GROVE_ENOACTOR or GROVE_EUSAGE. Never suspends. */
GROVE_API int grove_pool_stats(grove_ref pool, struct grove_pool_stats *stats);

/*
 * Writes the process ids of the live workers into pids (at most n) and
 * returns how many there are, or a negative code. On loop 0 only.
 */
GROVE_API int grove_pool_pids(grove_ref pool, int *pids, unsigned n);

/* What grove_worker_main calls; use grove_worker_main. */
GROVE_API int grove_worker_main_with(int *argc, char ***argv,
                                     const struct grove_worker_entry *first,
                                     const struct grove_worker_entry *end);

/*
 * The whole main of a program that is only a worker: serves this program's
 * GROVE_WORKER functions to the pool that started it. Returns the exit
 * status; prints one line and returns 2 when no pool started it.
 */
static inline int grove_worker_main(int argc, char **argv)
{
    return grove_worker_main_with(&argc, &argv, __start_grove_workers, __stop_grove_workers);
}

#endif
