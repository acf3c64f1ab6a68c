/*
 * Many: so many resident actors that no cache holds them, and one-way
 * messages to them in an order drawn by chance. What is timed is the
 * delivery, from the first send to the end of the last turn. The check asks
 * every actor what it has been given.
 */
#include "bench.h"

#include <stdio.h>

#include <grove.h>

#include "bench.grove.h"
#include "crowd.h"

#define BURST 256 /* sends between two looks at whether somebody else wants to run */

/* Xorshift; good enough to miss the caches. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int deliver_await(const struct bench_crowd *crowd, int64_t n)
{
    Bench__V1__AddRequest one = BENCH__V1__ADD_REQUEST__INIT;
    uint64_t state = 88172645463325252u;
    int rc = 0;

    one.value = 1;
    for (int64_t i = 0; i < n && rc == 0; i++) {
        rc = adder_add_send(crowd->refs[draw(&state) % (uint64_t)crowd->n], &one);
        if (rc == 0 && (i + 1) % BURST == 0)
            rc = grove_yield_await();
    }
    return rc != 0 ? rc : grove_yield_await();
}

static int measure_await(struct bench_crowd *crowd, int64_t n, struct bench_result *result)
{
    uint64_t started_ns;
    double bytes_per;
    int64_t sum;
    int rc = bench_crowd_spawn_await(crowd, 0, &sum);

    if (rc != 0)
        return rc;
    bytes_per = bench_crowd_bytes_per(crowd);
    started_ns = grove_now_ns();
    rc = deliver_await(crowd, n);
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    rc = bench_crowd_add_await(crowd, 0, &sum);
    result->ops = n;
    result->right = sum == n;
    (void)snprintf(result->keys, sizeof result->keys, "bytes_per=%.0f ns_per=%.1f", bytes_per,
                   (double)result->nanoseconds / (double)n); /* It fits. */
    return rc;
}

int bench_many_await(const int64_t *numbers, struct bench_result *result)
{
    struct bench_crowd crowd;
    int rc = bench_crowd_init(&crowd, numbers[0]);

    if (rc == 0) {
        rc = measure_await(&crowd, numbers[1], result);
        bench_crowd_deinit(&crowd);
    }
    return rc;
}
