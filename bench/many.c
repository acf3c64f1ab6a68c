/*
 * Many: so many resident actors that no cache holds them, and one-way
 * messages to them in an order drawn by chance. What is timed is the
 * delivery, from the first send to the end of the last turn. The check asks
 * every actor what it has been given.
 *
 * A yield lets some others run, not all, and a sender that only yields runs
 * ahead of them all. So each burst ends with a call to the actor that was
 * sent to last: by the time it answers, the others have had their turns.
 */
#include "bench.h"

#include <stdio.h>

#include <grove.h>

#include "bench.grove.h"
#include "crowd.h"

#define BURST 256 /* sends, the last of them a call */

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
    Bench__V1__AddResponse response = BENCH__V1__ADD_RESPONSE__INIT;
    uint64_t state = 88172645463325252u;
    int rc = 0;

    one.value = 1;
    for (int64_t i = 1; i <= n && rc == 0; i++) {
        grove_ref ref = crowd->refs[draw(&state) % (uint64_t)crowd->n];

        rc = i % BURST == 0 || i == n ? adder_add_await(ref, &one, &response)
                                      : adder_add_send(ref, &one);
    }
    return rc;
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
