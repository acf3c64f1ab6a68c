/*
 * Fork and join: a parent splits work into blocks, spawns an actor anywhere
 * for each, asks them all at once and waits for all answers; so many rounds.
 * A block is a chain of multiplications, about a nanosecond each, so that it
 * cannot be done faster than one after the other. The check is the sum of
 * what the blocks came to, against the same sum made without any actor.
 *
 * forkjoin: all on one loop. forkjoin2: on two, which should nearly halve
 * the time once a block is a few microseconds.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"

/* What a round needs; too large for a greenlet's stack. */
struct round {
    int64_t n_blocks, steps;
    struct grove_future *futures;
    struct grove_future **all;
    Bench__V1__ChewResponse *responses;
};

/* --- blocks ----------------------------------------------------------------------------------- */

static uint64_t chew(uint64_t seed, int64_t steps)
{
    uint64_t x = seed;

    for (int64_t i = 0; i < steps; i++)
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x >> 32;
}

struct eater {
    char none;
};

static int chew_and_end(struct eater *me, const Bench__V1__ChewRequest *request,
                        Bench__V1__ChewResponse *response)
{
    (void)me;
    response->value = chew(request->seed, request->steps);
    return grove_stop(grove_self(), GROVE_STOP_NOW);
}

static const struct eater_service functions = {.state_bytes = sizeof(struct eater),
                                               .chew = chew_and_end};

/* --- rounds ----------------------------------------------------------------------------------- */

static int fork_block(struct round *round, int64_t i)
{
    static const struct grove_spawn_options anywhere = {.place = GROVE_ANYWHERE};
    Bench__V1__ChewRequest request = BENCH__V1__CHEW_REQUEST__INIT;
    grove_ref eater;
    int rc = eater_spawn(&functions, NULL, &anywhere, &eater);

    if (rc != 0)
        return rc;
    request.seed = (uint64_t)i;
    request.steps = round->steps;
    bench__v1__chew_response__init(&round->responses[i]);
    round->all[i] = &round->futures[i];
    return eater_chew_start(eater, &request, &round->responses[i], round->all[i]);
}

static int play_await(struct round *round, uint64_t *sum)
{
    int rc = 0;

    for (int64_t i = 0; i < round->n_blocks && rc == 0; i++)
        rc = fork_block(round, i);
    if (rc == 0)
        rc = grove_all_await(round->all, (unsigned)round->n_blocks);
    for (int64_t i = 0; i < round->n_blocks && rc == 0; i++)
        *sum += round->responses[i].value;
    return rc;
}

static int play_all_await(struct round *round, int64_t n_rounds, struct bench_result *result)
{
    uint64_t sum = 0, expected = 0, started_ns;
    int rc = bench_pin_await();

    for (int64_t i = 0; i < round->n_blocks; i++)
        expected += chew((uint64_t)i, round->steps);
    started_ns = grove_now_ns();
    for (int64_t i = 0; i < n_rounds && rc == 0; i++)
        rc = play_await(round, &sum);
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = n_rounds * round->n_blocks;
    result->right = sum == expected * (uint64_t)n_rounds;
    (void)snprintf(result->keys, sizeof result->keys, "round_us=%.1f",
                   (double)result->nanoseconds / 1e3 / (double)n_rounds); /* It fits. */
    return 0;
}

int bench_forkjoin_await(const int64_t *numbers, struct bench_result *result)
{
    size_t n = (size_t)numbers[0];
    struct round round = {
        .n_blocks = numbers[0],
        .steps = numbers[1],
        .futures = calloc(n, sizeof *round.futures),
        .all = calloc(n, sizeof *round.all),
        .responses = calloc(n, sizeof *round.responses),
    };
    int rc = GROVE_ENOMEM;

    if (round.futures != NULL && round.all != NULL && round.responses != NULL)
        rc = play_all_await(&round, numbers[2], result);
    free(round.responses);
    free(round.all);
    free(round.futures);
    return rc;
}
