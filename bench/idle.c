/*
 * Idle: what an actor costs that has nothing to do. Each gets one message,
 * adds it to its state and answers; then the growth of resident memory is
 * divided by their number. A second round checks that each one kept its
 * state.
 */
#include "bench.h"

#include <stdio.h>

#include <grove.h>

#include "crowd.h"

static int measure_await(struct bench_crowd *crowd, struct bench_result *result)
{
    uint64_t started_ns = grove_now_ns();
    int64_t sum;
    bool right;
    int rc = bench_crowd_spawn_await(crowd, 1, &sum);

    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    (void)snprintf(result->keys, sizeof result->keys, "bytes_per=%.0f",
                   bench_crowd_bytes_per(crowd)); /* It fits. */
    right = sum == crowd->n && crowd->least == 1 && crowd->most == 1;
    rc = bench_crowd_add_await(crowd, 1, &sum);
    result->ops = crowd->n;
    result->right = right && sum == 2 * crowd->n && crowd->least == 2 && crowd->most == 2;
    return rc;
}

int bench_idle_await(const int64_t *numbers, struct bench_result *result)
{
    struct bench_crowd crowd;
    int rc = bench_crowd_init(&crowd, numbers[0]);

    if (rc == 0) {
        rc = measure_await(&crowd, result);
        bench_crowd_deinit(&crowd);
    }
    return rc;
}
