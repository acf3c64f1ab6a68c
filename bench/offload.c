/*
 * Offload: jobs of some microseconds of CPU each in two worker processes.
 *
 * A job is a payload of 256 bytes; its answer is the job's number and the
 * payload's digest. As many clients as jobs may be under way ask one job
 * after the other, each in a greenlet, and note how long each took from the
 * call to the answer. Meanwhile a ticker on the same loop sleeps 1 ms again
 * and again and notes how late it woke. The check is every digest.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"

#define PAYLOAD_BYTES 256
#define N_WORKERS     2
#define WARM_UP_JOBS  256
#define TICKS_MAX     1000000
#define TICK_NS       1000000

/* --- the job ---------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t fold(uint64_t hash, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

static uint64_t digest_of(const uint8_t *bytes, size_t n)
{
    return fold(1469598103934665603u, bytes, n);
}

static volatile uint64_t sink; /* keeps the burning from being left out */

static void burn(const uint8_t *bytes, size_t n, int64_t rounds)
{
    uint64_t hash = 1;

    for (int64_t i = 0; i < rounds; i++)
        hash = fold(hash, bytes, n);
    sink = hash;
}

/* How many rounds take so long: the lowest of many short timings, which noise does not move. */
static int64_t calibrate(uint32_t microseconds)
{
    static const uint8_t bytes[PAYLOAD_BYTES] = {7};
    uint64_t least_ns = UINT64_MAX;

    for (int i = 0; i < 300; i++) {
        uint64_t started_ns = grove_now_ns(), took_ns;

        burn(bytes, sizeof bytes, 32);
        took_ns = grove_now_ns() - started_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    return (int64_t)((uint64_t)microseconds * 1000 * 32 / (least_ns + (least_ns == 0)));
}

static int digest(const Bench__V1__DigestRequest *request, Bench__V1__DigestResponse *response)
{
    static int64_t rounds = -1; /* of this worker process */

    if (rounds < 0)
        rounds = calibrate(request->microseconds);
    if (request->payload.len != PAYLOAD_BYTES)
        return GROVE_EPROTO;
    memcpy(&response->number, request->payload.data, sizeof response->number);
    response->digest = digest_of(request->payload.data, request->payload.len);
    burn(request->payload.data, request->payload.len, rounds - 1); /* The digest was a round. */
    return 0;
}

static const struct job_service functions = {.digest = digest};
GROVE_WORKER(job, &functions);

/* --- clients and ticker ----------------------------------------------------------------------- */

struct office {
    grove_ref pool;
    uint32_t microseconds;
    int64_t n_jobs, n_begun, n_answered, n_clients;
    uint64_t *digests; /* by job */
    uint32_t *trip_ns; /* by order of answers */
    uint32_t *late_ns; /* of the ticker */
    int64_t n_ticks;
    uint64_t ended_ns; /* when the newest answer came */
    bool ticking;      /* the ticker runs */
    bool over;         /* and shall end */
    int rc;            /* the first failure */
};

static void fill(uint8_t payload[PAYLOAD_BYTES], uint64_t number)
{
    memset(payload, (int)(number % 16), PAYLOAD_BYTES);
    memcpy(payload, &number, sizeof number);
}

static int job_await(struct office *office, uint64_t number)
{
    Bench__V1__DigestRequest request = BENCH__V1__DIGEST_REQUEST__INIT;
    Bench__V1__DigestResponse response = BENCH__V1__DIGEST_RESPONSE__INIT;
    uint8_t payload[PAYLOAD_BYTES];
    uint64_t started_ns = grove_now_ns();
    int rc;

    fill(payload, number);
    request.payload.data = payload;
    request.payload.len = sizeof payload;
    request.microseconds = office->microseconds;
    rc = job_digest_await(office->pool, &request, &response);
    if (rc != 0)
        return rc;
    office->ended_ns = grove_now_ns();
    office->trip_ns[office->n_answered++] = (uint32_t)(office->ended_ns - started_ns);
    office->digests[number] = response.number == number ? response.digest : 0;
    return 0;
}

static void client(void *argument)
{
    struct office *office = argument;

    while (office->rc == 0 && office->n_begun < office->n_jobs) {
        struct grove_scope scope;
        int rc;

        grove_scope_begin(&scope);
        rc = job_await(office, (uint64_t)office->n_begun++);
        grove_scope_end(&scope);
        if (rc != 0)
            office->rc = rc;
    }
    office->n_clients--;
}

static void ticker(void *argument)
{
    struct office *office = argument;

    while (!office->over && office->n_ticks < TICKS_MAX) {
        uint64_t before_ns = grove_now_ns(), slept_ns;

        if (grove_sleep_await(1) != 0)
            break;
        slept_ns = grove_now_ns() - before_ns;
        office->late_ns[office->n_ticks++] =
            slept_ns > TICK_NS ? (uint32_t)(slept_ns - TICK_NS) : 0;
    }
    office->ticking = false;
}

/* --- the run ---------------------------------------------------------------------------------- */

/* Lets so many clients do n_jobs jobs and waits for them. */
static int do_jobs_await(struct office *office, int64_t n_jobs, int64_t at_once)
{
    int rc = 0;

    office->n_jobs = n_jobs;
    office->n_begun = office->n_answered = 0;
    for (int64_t i = 0; i < at_once && rc == 0; i++) {
        rc = grove_go(client, office, NULL, NULL);
        office->n_clients += rc == 0;
    }
    while (office->n_clients > 0 && grove_sleep_await(1) == 0)
        continue;
    return rc != 0 ? rc : office->rc;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static double us_at(const uint32_t *sorted_ns, int64_t n, double part)
{
    return n > 0 ? sorted_ns[(int64_t)((double)(n - 1) * part)] / 1e3 : 0;
}

static void report(struct office *office, struct bench_result *result)
{
    int64_t n_right = 0;

    for (int64_t i = 0; i < office->n_jobs; i++) {
        uint8_t payload[PAYLOAD_BYTES];

        fill(payload, (uint64_t)i);
        n_right += office->digests[i] == digest_of(payload, sizeof payload);
    }
    result->ops = office->n_jobs;
    result->right = office->n_answered == office->n_jobs && n_right == office->n_jobs;
    qsort(office->trip_ns, (size_t)office->n_answered, sizeof office->trip_ns[0], compare);
    qsort(office->late_ns, (size_t)office->n_ticks, sizeof office->late_ns[0], compare);
    (void)snprintf(result->keys, sizeof result->keys,
                   "p50_us=%.0f p99_us=%.0f tick50_us=%.0f tick99_us=%.0f",
                   us_at(office->trip_ns, office->n_answered, 0.50),
                   us_at(office->trip_ns, office->n_answered, 0.99),
                   us_at(office->late_ns, office->n_ticks, 0.50),
                   us_at(office->late_ns, office->n_ticks, 0.99)); /* It fits. */
}

static int measure_await(struct office *office, int64_t at_once, struct bench_result *result)
{
    int64_t n_jobs = office->n_jobs;
    uint64_t started_ns;
    int rc;

    /* Both workers are up and calibrated when this returns. */
    rc = do_jobs_await(office, WARM_UP_JOBS, 4 * N_WORKERS);
    if (rc == 0)
        rc = grove_go(ticker, office, NULL, NULL);
    if (rc != 0)
        return rc;
    office->ticking = true;
    started_ns = grove_now_ns();
    rc = do_jobs_await(office, n_jobs, at_once);
    result->nanoseconds = office->ended_ns - started_ns;
    office->over = true;
    while (office->ticking && grove_sleep_await(1) == 0)
        continue;
    if (rc == 0)
        report(office, result);
    return rc;
}

int bench_offload_await(const int64_t *numbers, struct bench_result *result)
{
    static const struct grove_pool_options two = {.n_workers = N_WORKERS};
    size_t n_room = (size_t)numbers[0] + WARM_UP_JOBS;
    struct office office = {
        .microseconds = (uint32_t)numbers[2],
        .n_jobs = numbers[0],
        .digests = calloc(n_room, sizeof(uint64_t)),
        .trip_ns = calloc(n_room, sizeof(uint32_t)),
        .late_ns = calloc(TICKS_MAX, sizeof(uint32_t)),
    };
    int rc = GROVE_ENOMEM;

    if (office.digests != NULL && office.trip_ns != NULL && office.late_ns != NULL)
        rc = grove_pool_open(&two, &office.pool);
    if (rc == 0)
        rc = measure_await(&office, numbers[1], result);
    if (rc == 0)
        rc = grove_pool_close_await(office.pool, 1000);
    free(office.digests);
    free(office.trip_ns);
    free(office.late_ns);
    return rc;
}
