/*
 * Ring, pingpong and xping: a token goes round among actors, each passes it
 * on less one, until it is zero. Nobody waits for an answer. The last one
 * tells the referee, which is the greenlet that started the game; the
 * check is that the right one did, and once. In xping two actors live on two loops.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"

#define SECOND_END_MS 5

struct player {
    grove_ref next, referee;
};

static int meet(struct player *me, const Bench__V1__MeetRequest *request,
                Bench__V1__MeetResponse *response)
{
    (void)response;
    me->next = grove_ref_from_message(request->next);
    me->referee = grove_ref_from_message(request->referee);
    return 0;
}

static int hit(struct player *me, const Bench__V1__HitRequest *request,
               Bench__V1__HitResponse *response)
{
    static const Bench__V1__OverRequest over = BENCH__V1__OVER_REQUEST__INIT;
    Bench__V1__HitRequest on = BENCH__V1__HIT_REQUEST__INIT;

    (void)response;
    if (request->left == 0)
        return referee_over_send(me->referee, &over);
    on.left = request->left - 1;
    return player_hit_send(me->next, &on);
}

static const struct player_service functions = {
    .state_bytes = sizeof(struct player), .meet = meet, .hit = hit};

/* Spawns the players, in turn on so many loops, and tells each of its neighbour. */
static int seat_await(grove_ref *players, int64_t n, unsigned n_loops)
{
    for (int64_t i = 0; i < n; i++) {
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(i % n_loops)};
        int rc = player_spawn(&functions, NULL, &options, &players[i]);

        if (rc != 0)
            return rc;
    }
    for (int64_t i = 0; i < n; i++) {
        Bench__V1__MeetRequest request = BENCH__V1__MEET_REQUEST__INIT;
        Bench__V1__MeetResponse response = BENCH__V1__MEET_RESPONSE__INIT;
        Grove__V1__Ref next = GROVE__V1__REF__INIT, referee = GROVE__V1__REF__INIT;
        int rc;

        grove_ref_to_message(&next, players[(i + 1) % n]);
        grove_ref_to_message(&referee, grove_self());
        request.next = &next;
        request.referee = &referee;
        rc = player_meet_await(players[i], &request, &response);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int play_await(const grove_ref *players, int64_t n, int64_t hops,
                      struct bench_result *result)
{
    Bench__V1__HitRequest first = BENCH__V1__HIT_REQUEST__INIT;
    uint64_t started_ns = grove_now_ns();
    struct grove_letter over;
    int rc;

    first.left = hops;
    rc = player_hit_send(players[0], &first);
    if (rc != 0)
        return rc;
    rc = grove_receive_await(GROVE_INFINITE, &over);
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = hops;
    result->right = grove_ref_equal(over.from, players[hops % n]);
    /* A token that was doubled ends the game twice. */
    rc = grove_receive_await(SECOND_END_MS, &over);
    if (rc == 0)
        result->right = false;
    return rc == GROVE_ETIMEDOUT ? 0 : rc;
}

static int pass_round_await(int64_t n, int64_t hops, unsigned n_loops, struct bench_result *result)
{
    grove_ref *players = calloc((size_t)n, sizeof *players);
    int rc;

    if (players == NULL)
        return GROVE_ENOMEM;
    rc = seat_await(players, n, n_loops);
    if (rc == 0)
        rc = play_await(players, n, hops, result);
    free(players);
    return rc;
}

int bench_ring_await(const int64_t *numbers, struct bench_result *result)
{
    return pass_round_await(numbers[0], numbers[1], 1, result);
}

int bench_pingpong_await(const int64_t *numbers, struct bench_result *result)
{
    return pass_round_await(2, 2 * numbers[0], 1, result);
}

int bench_xping_await(const int64_t *numbers, struct bench_result *result)
{
    int rc = bench_pin_await();

    return rc != 0 ? rc : pass_round_await(2, 2 * numbers[0], 2, result);
}
