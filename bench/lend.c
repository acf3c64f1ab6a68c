/*
 * Lend and chatty: what a second loop gives to actors that all live on loop
 * 0. Each is run twice: with pinned actors, which loop 0 must serve alone,
 * and with such as it may lend.
 *
 * lend: actors with full mailboxes, some microseconds of CPU a message. What
 * is timed is from when all has been sent to the last message's end; gain is
 * by how much faster the second run was. The check: each actor got its
 * messages in order, none twice. chatty: pairs of actors that pass a token
 * to and fro, the worst there is to lend; gain below 1 is what lending
 * costs them.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"
#include "total.h"

#define ROUNDS_TIMED 1000

/* --- work ------------------------------------------------------------------------------------- */

/* One step needs the one before: what a core does beside does not show. */
static uint64_t burn(uint64_t seed, int64_t rounds)
{
    for (int64_t i = 0; i < rounds; i++)
        seed = (seed ^ (uint64_t)i) * 1099511628211u;
    return seed;
}

/* How many rounds take so long: the lowest of many short timings, which noise does not move. */
static int64_t calibrate(int64_t microseconds)
{
    uint64_t least_ns = UINT64_MAX, seed = 1;

    for (int i = 0; i < 300; i++) {
        uint64_t started_ns = grove_now_ns(), took_ns;

        seed = burn(seed, ROUNDS_TIMED);
        took_ns = grove_now_ns() - started_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    /* Whatever came out, it counts as used. */
    return (int64_t)((uint64_t)microseconds * 1000 * ROUNDS_TIMED / (least_ns + (seed == 0)));
}

struct counter {
    int64_t n, n_wanted, rounds;
    uint64_t burnt;
    grove_ref referee;
    bool wrong;
};

static int init(struct counter *me, const void *argument)
{
    *me = *(const struct counter *)argument;
    return 0;
}

static int count(struct counter *me, const Bench__V1__CountRequest *request,
                 Bench__V1__CountResponse *response)
{
    (void)response;
    me->wrong |= request->value != me->n++;
    me->burnt = burn(me->burnt, me->rounds);
    return me->n < me->n_wanted ? 0 : bench_total_send(me->referee, me->wrong ? 0 : me->n);
}

static const struct counter_service functions = {
    .state_bytes = sizeof(struct counter), .init = init, .count = count};

static int fill(grove_ref worker, int64_t n)
{
    Bench__V1__CountRequest request = BENCH__V1__COUNT_REQUEST__INIT;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++) {
        request.value = i;
        rc = counter_count_send(worker, &request);
    }
    return rc;
}

/* n totals, whose latest end and sum are kept. */
static int collect_await(int64_t n, struct bench_total *all)
{
    int rc = 0;

    *all = (struct bench_total){0};
    for (int64_t i = 0; i < n && rc == 0; i++) {
        struct bench_total one = {0};
        struct grove_scope scope;

        grove_scope_begin(&scope);
        rc = bench_total_await(&one);
        grove_scope_end(&scope);
        all->sum += one.sum;
        if (all->ended_ns < one.ended_ns)
            all->ended_ns = one.ended_ns;
    }
    return rc;
}

/* Spawns them, then fills them: nobody begins before all are full. */
static int hire_await(grove_ref *workers, const int64_t *numbers, bool pinned)
{
    struct counter first = {.n_wanted = numbers[1], .referee = grove_self()};
    struct grove_spawn_options options = {
        .pinned = pinned,
        .depth_max = (uint32_t)numbers[1],
        .bytes_max = 255u << 20,
        .argument_bytes = sizeof first,
    };
    int rc = 0;

    first.rounds = calibrate(numbers[2]);
    for (int64_t i = 0; i < numbers[0] && rc == 0; i++)
        rc = counter_spawn_await(&functions, &first, &options, &workers[i]);
    for (int64_t i = 0; i < numbers[0] && rc == 0; i++)
        rc = fill(workers[i], numbers[1]);
    return rc;
}

static int work_await(const int64_t *numbers, bool pinned, uint64_t *took_ns, bool *right)
{
    grove_ref *workers = calloc((size_t)numbers[0], sizeof *workers);
    struct bench_total total;
    uint64_t started_ns;
    int rc;

    if (workers == NULL)
        return GROVE_ENOMEM;
    rc = hire_await(workers, numbers, pinned);
    free(workers);
    started_ns = grove_now_ns();
    if (rc == 0)
        rc = collect_await(numbers[0], &total);
    if (rc != 0)
        return rc;
    *took_ns = total.ended_ns - started_ns;
    *right &= total.sum == numbers[0] * numbers[1];
    return 0;
}

/* --- both runs -------------------------------------------------------------------------------- */

typedef int (*run_fn)(const int64_t *numbers, bool pinned, uint64_t *took_ns, bool *right);

static int compare_await(run_fn run, const int64_t *numbers, struct bench_result *result)
{
    struct grove_loop_stats stats;
    uint64_t alone_ns = 0, lent_ns = 0;
    int rc = grove_loops() > 1 ? bench_pin_await() : 0;

    result->right = true;
    if (rc == 0)
        rc = run(numbers, true, &alone_ns, &result->right);
    if (rc == 0)
        rc = run(numbers, false, &lent_ns, &result->right);
    if (rc == 0)
        rc = grove_loop_stats(0, &stats);
    if (rc != 0)
        return rc;
    result->nanoseconds = lent_ns;
    (void)snprintf(result->keys, sizeof result->keys, "gain=%.2f lent=%llu ns_per=%.1f",
                   (double)alone_ns / (double)lent_ns, (unsigned long long)stats.lent,
                   (double)lent_ns / (double)result->ops); /* It fits. */
    return 0;
}

int bench_lend_await(const int64_t *numbers, struct bench_result *result)
{
    result->ops = numbers[0] * numbers[1];
    return compare_await(work_await, numbers, result);
}

/* --- chatty pairs ----------------------------------------------------------------------------- */

struct player {
    grove_ref other, referee;
};

static int meet(struct player *me, const Bench__V1__MeetRequest *request,
                Bench__V1__MeetResponse *response)
{
    (void)response;
    me->other = grove_ref_from_message(request->next);
    me->referee = grove_ref_from_message(request->referee);
    return 0;
}

static int hit(struct player *me, const Bench__V1__HitRequest *request,
               Bench__V1__HitResponse *response)
{
    Bench__V1__HitRequest on = BENCH__V1__HIT_REQUEST__INIT;

    (void)response;
    if (request->left == 0)
        return bench_total_send(me->referee, 1);
    on.left = request->left - 1;
    return player_hit_send(me->other, &on);
}

static const struct player_service player_functions = {
    .state_bytes = sizeof(struct player), .meet = meet, .hit = hit};

static int introduce(grove_ref to, grove_ref other)
{
    Bench__V1__MeetRequest request = BENCH__V1__MEET_REQUEST__INIT;
    Grove__V1__Ref next = GROVE__V1__REF__INIT, referee = GROVE__V1__REF__INIT;

    grove_ref_to_message(&next, other);
    grove_ref_to_message(&referee, grove_self());
    request.next = &next;
    request.referee = &referee;
    return player_meet_send(to, &request);
}

static int begin_pair(const struct grove_spawn_options *options, int64_t hops)
{
    Bench__V1__HitRequest first = BENCH__V1__HIT_REQUEST__INIT;
    grove_ref a, b;
    int rc = player_spawn(&player_functions, NULL, options, &a);

    if (rc == 0)
        rc = player_spawn(&player_functions, NULL, options, &b);
    if (rc == 0)
        rc = introduce(a, b);
    if (rc == 0)
        rc = introduce(b, a);
    first.left = hops;
    return rc == 0 ? player_hit_send(a, &first) : rc;
}

static int chat_await(const int64_t *numbers, bool pinned, uint64_t *took_ns, bool *right)
{
    struct grove_spawn_options options = {.pinned = pinned};
    uint64_t started_ns = grove_now_ns();
    struct bench_total total;
    int rc = 0;

    for (int64_t i = 0; i < numbers[0] && rc == 0; i++)
        rc = begin_pair(&options, numbers[1] / numbers[0]);
    if (rc == 0)
        rc = collect_await(numbers[0], &total);
    if (rc != 0)
        return rc;
    *took_ns = total.ended_ns - started_ns;
    *right &= total.sum == numbers[0];
    return 0;
}

int bench_chatty_await(const int64_t *numbers, struct bench_result *result)
{
    result->ops = numbers[1] / numbers[0] * numbers[0];
    return compare_await(chat_await, numbers, result);
}
