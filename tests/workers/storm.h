/*
 * Storm: greenlets that ask a pool for jobs without a pause while others
 * disturb its workers; what kill_storm and event_storm have in common.
 *
 * A storm has a round for each size of the pool from WORKERS_LEAST to
 * WORKERS_MOST, each with its share of what shall happen. Who disturbs runs
 * as a greenlet, returns when its share is done, and says so by
 * storm_disturbed. Then the askers leave.
 *
 * What must be true after each round: every request has had exactly one
 * answer, its own; no job that may run once has run twice, none that was
 * answered with 0 has not run, and none has run whose caller was told that it
 * had not begun; jobs that may be repeated have all been answered with 0, but
 * for those that died with two workers; the pool is at full size again. After
 * the last one nothing is left: no child, no thread, no descriptor, no file,
 * no mapping, no memory.
 */
#ifndef TESTS_WORKERS_STORM_H
#define TESTS_WORKERS_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include <grove.h>
#include <grove/pool.h>

#include "tests/workers/jobs.h"

#define STORM_WORKERS_LEAST 2u
#define STORM_WORKERS_MOST  8u
#define STORM_ROUNDS        (STORM_WORKERS_MOST - STORM_WORKERS_LEAST + 1)

struct storm_plan {
    struct grove_pool_options options; /* but for n_workers */
    void (*disturbers[3])(void *);     /* NULL: fewer */
};

/* What has happened to requests, in all rounds. */
struct storm_tally {
    uint64_t n_asked, n_done, n_crashed, n_dead;
    uint64_t n_given_up;      /* by their deadline, or by their callers */
    uint64_t n_other;         /* answers that a storm does not explain */
    uint64_t n_twice, n_lost; /* what must not be */
};

extern struct storm {
    grove_ref pool;
    unsigned n_workers, round;
    struct storm_tally tally;
    bool over; /* askers leave */
} storm;

/* Below n, by the seed. */
uint64_t storm_chance(uint64_t n);

/* How many of a number belong to this round. */
unsigned storm_share(unsigned n_all);

/* Last line of a disturber. */
void storm_disturbed(void);

/* True if some worker is ready: a slow machine shall not look like a program that cannot start. */
bool storm_somebody_works(void);

/* Where the pools put their sockets. */
const char *storm_directory(void);

/* A job that counts its runs under an id of its own, which may run once. */
Jobs__V1__OnceRequest storm_once(uint64_t busy_us);

/* How often it ran. */
unsigned storm_runs(uint64_t id);

/* Notes an answer that a storm does not explain. */
void storm_note_other(const char *method, int rc);

/* The whole main; the seed is argument seed_at, or by chance. Returns the exit status. */
int storm_main(int *argc, char ***argv, const struct storm_plan *plan, int seed_at);

#endif
