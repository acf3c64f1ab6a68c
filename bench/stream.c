/*
 * Fanin and xstream: producers send to one counter as fast as they can,
 * each in one turn, without waiting for answers. The counter has the usual
 * bounded mailbox, and a producer that is too far ahead waits for room. The
 * check is the sum.
 *
 * fanin: all on one loop. xstream: one producer on loop 0, the counter on
 * loop 1. Between loops nobody sees at once that a mailbox is full, and a
 * plain send that comes too late is lost; so each message may wait there.
 */
#include "bench.h"

#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"
#include "total.h"

/* --- counter ---------------------------------------------------------------------------------- */

struct counter {
    int64_t left, sum;
    grove_ref referee;
};

struct counter_start {
    int64_t expected;
    grove_ref referee;
};

static int open_counter(struct counter *me, const void *argument)
{
    const struct counter_start *start = argument;

    me->left = start->expected;
    me->referee = start->referee;
    return 0;
}

static int count(struct counter *me, const Bench__V1__CountRequest *request,
                 Bench__V1__CountResponse *response)
{
    (void)response;
    me->sum += request->value;
    me->left--;
    return me->left == 0 ? bench_total_send(me->referee, me->sum) : 0;
}

static const struct counter_service counter_functions = {
    .state_bytes = sizeof(struct counter), .init = open_counter, .count = count};

/* --- producer --------------------------------------------------------------------------------- */

struct producer {
    grove_ref counter;
    bool far; /* the counter is on another loop */
};

static int open_producer(struct producer *me, const void *argument)
{
    *me = *(const struct producer *)argument;
    return 0;
}

static int produce(struct producer *me, const Bench__V1__ProduceRequest *request,
                   Bench__V1__ProduceResponse *response)
{
    Bench__V1__CountRequest one = BENCH__V1__COUNT_REQUEST__INIT;

    (void)response;
    one.value = 1;
    for (int64_t i = 0; i < request->messages; i++) {
        int rc = me->far ? GROVE_EFULL : counter_count_send(me->counter, &one);

        if (rc == GROVE_EFULL)
            rc = counter_count_send_await(me->counter, &one);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static const struct producer_service producer_functions = {
    .state_bytes = sizeof(struct producer), .init = open_producer, .produce = produce};

/* --- the run ---------------------------------------------------------------------------------- */

static int spawn_producers_await(const struct producer *start, grove_ref *producers, int64_t n)
{
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = producer_spawn_await(&producer_functions, start, NULL, &producers[i]);
    return rc;
}

static int produce_await(const grove_ref *producers, int64_t n, int64_t messages,
                         struct bench_result *result)
{
    Bench__V1__ProduceRequest request = BENCH__V1__PRODUCE_REQUEST__INIT;
    uint64_t started_ns = grove_now_ns();
    struct bench_total total;
    int rc = 0;

    request.messages = messages;
    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = producer_produce_send(producers[i], &request);
    if (rc == 0)
        rc = bench_total_await(&total);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = n * messages;
    result->right = total.sum == n * messages;
    return 0;
}

/* n producers here, each with so many messages, and the counter at place. */
static int stream_await(int64_t n, int64_t messages, int place, struct bench_result *result)
{
    struct grove_spawn_options options = {.place = place};
    struct counter_start start = {.expected = n * messages, .referee = grove_self()};
    grove_ref *producers = calloc((size_t)n, sizeof *producers);
    struct producer producer = {.far = place != GROVE_HERE};
    int rc;

    if (producers == NULL)
        return GROVE_ENOMEM;
    rc = counter_spawn_await(&counter_functions, &start, &options, &producer.counter);
    if (rc == 0)
        rc = spawn_producers_await(&producer, producers, n);
    if (rc == 0)
        rc = produce_await(producers, n, messages, result);
    free(producers);
    return rc;
}

int bench_fanin_await(const int64_t *numbers, struct bench_result *result)
{
    if (numbers[1] < numbers[0]) {
        result->why = "MESSAGES must be at least PRODUCERS";
        return GROVE_EUSAGE;
    }
    return stream_await(numbers[0], numbers[1] / numbers[0], GROVE_HERE, result);
}

int bench_xstream_await(const int64_t *numbers, struct bench_result *result)
{
    int rc = bench_pin_await();

    return rc != 0 ? rc : stream_await(1, numbers[0], GROVE_ON_LOOP(1), result);
}
