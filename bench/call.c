/*
 * Call and remote: clients ask one server, each one call at a time, and wait
 * for the answer. A client is a greenlet; what is timed begins when all of
 * them stand ready and are let in. The check: the server has added up every
 * call, no answer came twice, and each client's came in its order.
 *
 * call: all on one loop. remote: the clients on loop 0, the server on loop
 * 1; with one client that is the time there and back, with many the calls
 * travel together.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

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
    int64_t n_ready;  /* clients at the door */
    int64_t n_left;   /* clients still at it */
    int64_t answered; /* calls, each later than the client's last */
    int64_t answers;  /* added up */
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
        shop->answered += response.sum > last;
        shop->answers += response.sum;
        last = response.sum;
    }
    return 0;
}

static void client(void *argument)
{
    struct shop *shop = argument;
    struct grove_letter letter;
    int rc;

    shop->n_ready++;
    rc = grove_receive_await(GROVE_INFINITE, &letter);
    if (rc == 0)
        rc = ask_all_await(shop);
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

/* Starts the clients and waits until all of them wait at the door. */
static int call_up_await(struct shop *shop, grove_ref *clients, int64_t n)
{
    int rc = 0;

    for (; shop->n_left < n && rc == 0; shop->n_left += rc == 0)
        rc = grove_go(client, shop, NULL, &clients[shop->n_left]);
    while (rc == 0 && shop->n_ready < n)
        rc = grove_yield_await();
    return rc;
}

static int let_in(const grove_ref *clients, int64_t n)
{
    Bench__V1__WakeRequest request = BENCH__V1__WAKE_REQUEST__INIT;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = sleeper_wake_send(clients[i], &request);
    return rc;
}

static int measure_await(struct shop *shop, grove_ref *clients, int64_t n,
                         struct bench_result *result)
{
    struct bench_total total;
    uint64_t started_ns;
    int64_t sum = 0;
    int rc = call_up_await(shop, clients, n);

    started_ns = grove_now_ns();
    if (rc == 0)
        rc = let_in(clients, n);
    if (rc == 0)
        rc = bench_total_await(&total);
    if (rc == 0)
        rc = shop->rc;
    if (rc == 0)
        rc = audit_await(shop->server, &sum);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = shop->calls * n;
    /* The server gives out 1, 2, 3 …, each once. */
    result->right =
        sum == result->ops && total.sum == result->ops && shop->answers == sum * (sum + 1) / 2;
    (void)snprintf(result->keys, sizeof result->keys, "ns_per=%.1f",
                   (double)result->nanoseconds / (double)result->ops); /* It fits. */
    return 0;
}

static int trade_await(const int64_t *numbers, int place, struct bench_result *result)
{
    struct shop shop = {.referee = grove_self(), .calls = numbers[1] / numbers[0]};
    struct grove_spawn_options options = {.place = place};
    grove_ref *clients;
    int rc;

    if (shop.calls == 0) {
        result->why = "CALLS must be at least CLIENTS";
        return GROVE_EUSAGE;
    }
    clients = calloc((size_t)numbers[0], sizeof *clients);
    if (clients == NULL)
        return GROVE_ENOMEM;
    rc = adder_spawn_await(&functions, NULL, &options, &shop.server);
    if (rc == 0)
        rc = measure_await(&shop, clients, numbers[0], result);
    free(clients);
    return rc;
}

int bench_call_await(const int64_t *numbers, struct bench_result *result)
{
    return trade_await(numbers, GROVE_HERE, result);
}

int bench_remote_await(const int64_t *numbers, struct bench_result *result)
{
    int rc = bench_pin_await();

    return rc != 0 ? rc : trade_await(numbers, GROVE_ON_LOOP(1), result);
}
