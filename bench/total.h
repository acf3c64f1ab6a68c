/*
 * Total: how a benchmark whose end is seen by some actor learns of it. The
 * actor sends the sum it has and the time to the referee, which is the
 * greenlet that runs the benchmark and waits for nothing else.
 */
#ifndef BENCH_TOTAL_H
#define BENCH_TOTAL_H

#include <stdint.h>

#include <grove.h>

struct bench_total {
    int64_t sum;
    uint64_t ended_ns; /* grove_now_ns when the actor saw the end */
};

/* From an actor: tells the referee. Returns as a _send does. Never suspends. */
int bench_total_send(grove_ref referee, int64_t sum);

/* In the greenlet of the benchmark: waits for it. Returns 0 or a failure. Suspends. */
int bench_total_await(struct bench_total *total);

#endif
