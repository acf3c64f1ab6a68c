/*
 * Upload: large requests to one worker process.
 *
 * A request is a payload of so many bytes that begins and ends with the
 * job's number; the answer is the number, if it was in both places and the
 * length is right. As many clients as jobs may be under way ask one job
 * after the other. The check is every answer.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"

#define WARM_UP_JOBS 64

static int absorb(const Bench__V1__AbsorbRequest *request, Bench__V1__AbsorbResponse *response)
{
    uint64_t first, last;

    if (request->payload.len != request->length || request->length < 2 * sizeof first)
        return GROVE_EPROTO;
    memcpy(&first, request->payload.data, sizeof first);
    memcpy(&last, request->payload.data + request->length - sizeof last, sizeof last);
    response->number = first == last ? first : UINT64_MAX;
    return 0;
}

static const struct absorber_service functions = {.absorb = absorb};
GROVE_WORKER(absorber, &functions);

struct port {
    grove_ref pool;
    size_t n_bytes;
    int64_t n_jobs, n_begun, n_right, n_clients;
    int rc; /* the first failure */
};

static int upload_await(struct port *port, uint8_t *payload, uint64_t number)
{
    Bench__V1__AbsorbRequest request = BENCH__V1__ABSORB_REQUEST__INIT;
    Bench__V1__AbsorbResponse response = BENCH__V1__ABSORB_RESPONSE__INIT;
    int rc;

    memcpy(payload, &number, sizeof number);
    memcpy(payload + port->n_bytes - sizeof number, &number, sizeof number);
    request.payload.data = payload;
    request.payload.len = request.length = port->n_bytes;
    rc = absorber_absorb_await(port->pool, &request, &response);
    port->n_right += rc == 0 && response.number == number;
    return rc;
}

static void client(void *argument)
{
    struct port *port = argument;
    uint8_t *payload = malloc(port->n_bytes);

    if (payload == NULL)
        port->rc = GROVE_ENOMEM;
    else
        memset(payload, 'u', port->n_bytes);
    while (port->rc == 0 && port->n_begun < port->n_jobs) {
        struct grove_scope scope;
        int rc;

        grove_scope_begin(&scope);
        rc = upload_await(port, payload, (uint64_t)port->n_begun++);
        grove_scope_end(&scope);
        if (rc != 0)
            port->rc = rc;
    }
    free(payload);
    port->n_clients--;
}

static int do_jobs_await(struct port *port, int64_t n_jobs, int64_t at_once)
{
    int rc = 0;

    port->n_jobs = n_jobs;
    port->n_begun = port->n_right = 0;
    for (int64_t i = 0; i < at_once && rc == 0; i++) {
        rc = grove_go(client, port, NULL, NULL);
        port->n_clients += rc == 0;
    }
    while (port->n_clients > 0 && grove_sleep_await(1) == 0)
        continue;
    return rc != 0 ? rc : port->rc;
}

static int measure_await(struct port *port, const int64_t *numbers, struct bench_result *result)
{
    struct grove_pool_stats stats;
    uint64_t started_ns;
    int rc = do_jobs_await(port, WARM_UP_JOBS, numbers[2]);

    if (rc != 0)
        return rc;
    started_ns = grove_now_ns();
    rc = do_jobs_await(port, numbers[0], numbers[2]);
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = numbers[0];
    result->right = port->n_right == numbers[0];
    if (rc == 0)
        rc = grove_pool_stats(port->pool, &stats);
    if (rc == 0)
        (void)snprintf(result->keys, sizeof result->keys, "gb_per_s=%.2f slab=%llu",
                       (double)port->n_bytes * (double)numbers[0] / (double)result->nanoseconds,
                       (unsigned long long)stats.slab_requests); /* It fits. */
    return rc;
}

int bench_upload_await(const int64_t *numbers, struct bench_result *result)
{
    const struct grove_pool_options one = {.n_workers = 1, .credits = (unsigned)numbers[2]};
    struct port port = {.n_bytes = (size_t)numbers[1]};
    int rc = grove_pool_open(&one, &port.pool);

    if (rc == 0)
        rc = measure_await(&port, numbers, result);
    if (rc == 0)
        rc = grove_pool_close_await(port.pool, 1000);
    return rc;
}
