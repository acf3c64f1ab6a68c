/*
 * Crowd: very many actors that each add up what they are given. They are
 * spawned and asked some at a time, so that first turns and calls under way
 * add nothing to the memory measured.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdint.h>

#include <grove.h>

struct bench_crowd {
    grove_ref *refs;
    int64_t n;
    struct bench_window *window; /* ours: calls in flight */
    int64_t before_kb;           /* resident memory when it was opened */
    int64_t least, most;         /* of the states that they told last */
};

/* Makes room for n, all of it touched: the table is not the actors'. Returns 0 or GROVE_ENOMEM. */
int bench_crowd_init(struct bench_crowd *crowd, int64_t n);

/* Frees the room; the actors live on. */
void bench_crowd_deinit(struct bench_crowd *crowd);

/* Spawns them all and adds value to each; their states go to *sum. Returns 0 or a failure. Suspends. */
int bench_crowd_spawn_await(struct bench_crowd *crowd, int64_t value, int64_t *sum);

/* Adds value to each; their states go to *sum. Returns 0 or a failure. Suspends. */
int bench_crowd_add_await(struct bench_crowd *crowd, int64_t value, int64_t *sum);

/* By how many bytes resident memory has grown for each, since bench_crowd_init. */
double bench_crowd_bytes_per(const struct bench_crowd *crowd);

#endif
