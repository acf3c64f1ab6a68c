/*
 * Call and remote: clients ask one server, each one call at a time, and wait
 * for the answer. A client is a greenlet. The check: the server has added up
 * every call, and no client was given the answer of another.
 *
 * call: all on one loop. remote: the clients on loop 0, the server on loop
 * 1; with one client that is the time there and back, with many the calls
 * travel together.
 */
#include "bench.h"

#include <stdio.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"
#include "total.h"

struct adder {
    int64_t sum;
};

static int add(struct adder *me, const Bench__V1__AddRequest *request,
               Bench__V1__AddResponse *response)
{
    me->sum += request->value;
    response->sum = me->sum;
    return 0;
}

static const struct adder_service functions = {.state_bytes = sizeof(struct adder), .add = add};

struct shop {
    grove_ref server, referee;
    int64_t calls;    /* of each client */
    int64_t n_left;   /* clients still at it */
    int64_t answered; /* calls */
    int rc;           /* the first failure */
};

/* An answer is one number: nothing of it needs to be kept, so the loop needs no scope. */
static int ask_all_await(struct shop *shop)
{
    Bench__V1__AddRequest one = BENCH__V1__ADD_REQUEST__INIT;
    Bench__V1__AddResponse response = BENCH__V1__ADD_RESPONSE__INIT;
    int64_t last = 0;

    one.value = 1;
    for (int64_t i = 0; i < shop->calls; i++) {
        int rc = adder_add_await(shop->server, &one, &response);

        if (rc != 0)
            return rc;
        shop->answered += response.sum > last; /* Each sum is given out once. */
        last = response.sum;
    }
    return 0;
}

static void client(void *argument)
{
    struct shop *shop = argument;
    int rc = ask_all_await(shop);

    if (shop->rc == 0)
        shop->rc = rc;
    shop->n_left--;
    if (shop->n_left == 0)
        (void)bench_total_send(shop->referee, shop->answered); /* There is room for one. */
}

/* One more call tells how many there were. */
static int audit_await(grove_ref server, int64_t *sum)
{
    Bench__V1__AddRequest zero = BENCH__V1__ADD_REQUEST__INIT;
    Bench__V1__AddResponse response = BENCH__V1__ADD_RESPONSE__INIT;
    int rc = adder_add_await(server, &zero, &response);

    if (rc == 0)
        *sum = response.sum;
    return rc;
}

static int trade_await(int64_t clients, int64_t calls, int place, struct bench_result *result)
{
    struct shop shop = {.referee = grove_self(), .calls = calls / clients};
    struct grove_spawn_options options = {.place = place};
    struct bench_total total;
    uint64_t started_ns;
    int64_t sum = 0;
    int rc = adder_spawn_await(&functions, NULL, &options, &shop.server);

    started_ns = grove_now_ns();
    for (int64_t i = 0; i < clients && rc == 0; i++) {
        rc = grove_go(client, &shop, NULL, NULL);
        shop.n_left += rc == 0;
    }
    if (rc == 0)
        rc = bench_total_await(&total);
    if (rc == 0)
        rc = shop.rc;
    if (rc == 0)
        rc = audit_await(shop.server, &sum);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = shop.calls * clients;
    result->right = sum == result->ops && total.sum == result->ops;
    (void)snprintf(result->keys, sizeof result->keys, "ns_per=%.1f",
                   (double)result->nanoseconds / (double)result->ops); /* It fits. */
    return 0;
}

int bench_call_await(const int64_t *numbers, struct bench_result *result)
{
    return trade_await(numbers[0], numbers[1], GROVE_HERE, result);
}

int bench_remote_await(const int64_t *numbers, struct bench_result *result)
{
    int rc = bench_pin_await();

    return rc != 0 ? rc : trade_await(numbers[0], numbers[1], GROVE_ON_LOOP(1), result);
}
