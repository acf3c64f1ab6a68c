/*
 * Sleeps: how late a greenlet wakes that sleeps 1 ms again and again. With
 * MICROSECONDS above 0 its loop is busy meanwhile: eight actors send
 * themselves a message after the other, each of which takes so long. The
 * check: no sleep was shorter than it should be.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"

#define N_BUSY   8
#define SLEEP_NS 1000000

/* --- those who keep the loop busy --------------------------------------------------------------- */

/* Takes so many microseconds, and has itself do it again. */
static int add(struct adder *me, const Bench__V1__AddRequest *request,
               Bench__V1__AddResponse *response)
{
    uint64_t until_ns = grove_now_ns() + (uint64_t)request->value * 1000;

    (void)me;
    (void)response;
    while (grove_now_ns() < until_ns)
        continue;
    return adder_add_send(grove_self(), request);
}

static const struct adder_service functions = {.add = add};

static int keep_busy_await(grove_ref busy[N_BUSY], int64_t microseconds)
{
    Bench__V1__AddRequest request = BENCH__V1__ADD_REQUEST__INIT;
    int rc = 0;

    request.value = microseconds;
    for (int i = 0; i < N_BUSY && rc == 0; i++) {
        rc = adder_spawn_await(&functions, NULL, NULL, &busy[i]);
        if (rc == 0)
            rc = adder_add_send(busy[i], &request);
    }
    return rc;
}

/* --- the run ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static int sleep_on_await(int64_t *late_ns, int64_t n)
{
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++) {
        uint64_t before_ns = grove_now_ns();

        rc = grove_sleep_await(1);
        late_ns[i] = (int64_t)(grove_now_ns() - before_ns) - SLEEP_NS;
    }
    return rc;
}

static int measure_await(int64_t *late_ns, int64_t n, struct bench_result *result)
{
    uint64_t started_ns = grove_now_ns();
    int rc = sleep_on_await(late_ns, n);

    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = n;
    qsort(late_ns, (size_t)n, sizeof late_ns[0], compare);
    result->right = late_ns[0] >= 0;
    (void)snprintf(result->keys, sizeof result->keys, "late50_us=%.0f late99_us=%.0f",
                   (double)late_ns[(n - 1) / 2] / 1e3,
                   (double)late_ns[(n - 1) * 99 / 100] / 1e3); /* It fits. */
    return 0;
}

int bench_sleeps_await(const int64_t *numbers, struct bench_result *result)
{
    int64_t *late_ns = calloc((size_t)numbers[0], sizeof *late_ns);
    grove_ref busy[N_BUSY] = {0};
    int rc = late_ns != NULL ? 0 : GROVE_ENOMEM;

    if (rc == 0 && numbers[1] > 0)
        rc = keep_busy_await(busy, numbers[1]);
    if (rc == 0)
        rc = measure_await(late_ns, numbers[0], result);
    for (int i = 0; i < N_BUSY && numbers[1] > 0; i++)
        (void)grove_stop(busy[i], GROVE_STOP_KILL); /* What was not spawned is not there. */
    free(late_ns);
    return rc;
}
