/*
 * Flood: what bystanders feel of millions of sends to an actor that stands
 * still. A client of loop 0 sleeps 1 ms and calls, in turn an actor of its
 * own loop and one of the other; first in peace, then while a greenlet of
 * its loop sends MESSAGES, 64 between two yields, to an actor of the same
 * loop (KIND 0) or of the other one (KIND 1) whose handler never ends. Keys:
 * the 99th percentile of how late an answer came, sleep included, in peace
 * and in the flood; how much memory grew. The check: each send was taken or
 * refused, and memory grew by at most 16 MiB.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"

#define BURST       64
#define PEACE_CALLS 1000
#define CALLS_MAX   100000
#define GROWTH_KB   16384
#define SLEEP_NS    1000000

static int add(struct adder *me, const Bench__V1__AddRequest *request,
               Bench__V1__AddResponse *response)
{
    (void)me;
    (void)response;
    return request->value >= 0 ? 0 : grove_sleep_await(UINT32_MAX / 4);
}

static const struct adder_service functions = {.add = add};

struct flood {
    grove_ref target;
    int64_t n_wanted, n_taken, n_refused;
    bool over;
};

static void go_flood(void *argument)
{
    struct flood *flood = *(struct flood **)argument;
    Bench__V1__AddRequest request = BENCH__V1__ADD_REQUEST__INIT;

    for (int64_t i = 1; i <= flood->n_wanted; i++) {
        int rc = adder_add_send(flood->target, &request);

        flood->n_taken += rc == 0;
        flood->n_refused += rc == GROVE_EFULL;
        if (i % BURST == 0 && grove_yield_await() != 0)
            break;
    }
    flood->over = true;
}

static int compare(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* Calls until so many are done, or the flood is over. Returns the 99th percentile in µs, or a code. */
static int64_t call_on_await(const grove_ref bystanders[2], int64_t n_max, const bool *over)
{
    Bench__V1__AddRequest request = BENCH__V1__ADD_REQUEST__INIT;
    Bench__V1__AddResponse response = BENCH__V1__ADD_RESPONSE__INIT;
    int64_t *took_ns = calloc((size_t)n_max, sizeof *took_ns), n = 0, result;
    int rc = took_ns != NULL ? 0 : GROVE_ENOMEM;

    while (rc == 0 && n < n_max && !(over != NULL && *over)) {
        uint64_t before_ns = grove_now_ns();

        rc = grove_sleep_await(1);
        if (rc == 0)
            rc = adder_add_await(bystanders[n % 2], &request, &response);
        took_ns[n++] = (int64_t)(grove_now_ns() - before_ns) - SLEEP_NS;
    }
    if (rc == 0)
        qsort(took_ns, (size_t)n, sizeof took_ns[0], compare);
    result = rc != 0 ? rc : n > 0 ? took_ns[(n - 1) * 99 / 100] / 1000 : 0;
    free(took_ns);
    return result;
}

static int spawn_await(int loop, grove_ref *ref)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop), .pinned = true};

    return adder_spawn_await(&functions, NULL, &options, ref);
}

static int measure_await(struct flood *flood, const grove_ref bystanders[2],
                         struct bench_result *result)
{
    int64_t peace_us = call_on_await(bystanders, PEACE_CALLS, NULL), flood_us;
    int64_t before_kb = bench_resident_kb(), grown_kb;
    uint64_t started_ns = grove_now_ns();
    int rc = grove_go(go_flood, &flood,
                      &(struct grove_spawn_options){.argument_bytes = sizeof flood}, NULL);

    if (rc != 0 || peace_us < 0)
        return rc != 0 ? rc : (int)peace_us;
    flood_us = call_on_await(bystanders, CALLS_MAX, &flood->over);
    while (!flood->over && rc == 0)
        rc = grove_sleep_await(1);
    if (rc != 0 || flood_us < 0)
        return rc != 0 ? rc : (int)flood_us;
    result->nanoseconds = grove_now_ns() - started_ns;
    grown_kb = bench_resident_kb() - before_kb;
    result->ops = flood->n_wanted;
    result->right = flood->n_taken + flood->n_refused == flood->n_wanted && grown_kb <= GROWTH_KB;
    (void)snprintf(result->keys, sizeof result->keys,
                   "peace99_us=%lld flood99_us=%lld grown_kb=%lld", (long long)peace_us,
                   (long long)flood_us, (long long)grown_kb); /* It fits. */
    return 0;
}

int bench_flood_await(const int64_t *numbers, struct bench_result *result)
{
    struct flood flood = {.n_wanted = numbers[0]};
    Bench__V1__AddRequest endless = BENCH__V1__ADD_REQUEST__INIT;
    grove_ref bystanders[2];
    int rc = spawn_await(0, &bystanders[0]);

    endless.value = -1;
    if (rc == 0)
        rc = spawn_await(1, &bystanders[1]);
    if (rc == 0)
        rc = spawn_await((int)numbers[1], &flood.target);
    if (rc == 0)
        rc = adder_add_send(flood.target, &endless);
    if (rc == 0)
        rc = measure_await(&flood, bystanders, result);
    (void)grove_stop(flood.target, GROVE_STOP_KILL); /* What was not spawned is not there. */
    return rc;
}
