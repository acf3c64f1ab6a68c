/*
 * Mail: bounds, waiting for room, dead letters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/waitlist.h"

#include "runtime/loop.h"

enum { DEPTH = 4 };

static struct script nothing = {.act = act_nothing};

/* An actor of DEPTH whose handler is parked for ms. */
static grove_ref busy_actor(struct script *nap, uint32_t ms)
{
    grove_ref ref = stage_spawn_bounded(DEPTH, 0);

    *nap = (struct script){.act = act_nap, .ms = ms};
    assert_int_equal(stage_send(ref, nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(nap->n_runs, 1);
    return ref;
}

static void fill(grove_ref ref)
{
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
}

static uint64_t dead_letters(unsigned loop)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(loop, &stats), 0);
    return stats.dead_letters;
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void test_a_full_mailbox_refuses_sends_at_once(void **state)
{
    struct script nap;
    grove_ref ref = busy_actor(&nap, 20);
    uint64_t before = dead_letters(0);

    (void)state;
    fill(ref);
    assert_int_equal(stage_send(ref, &nothing), GROVE_EFULL);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_sleep_await(30), 0);
    assert_int_equal(stage_send(ref, &nothing), 0);
    /* Who was refused knows it; that is no dead letter. */
    assert_int_equal(dead_letters(0), before);
}

static void test_a_mailbox_is_bounded_in_bytes_too(void **state)
{
    static uint8_t bytes[20000];
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    struct script nap = {.act = act_nap, .ms = 20};
    grove_ref ref = stage_spawn_bounded(0, 65536);
    int n = 0;

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    request.blob = (ProtobufCBinaryData){sizeof bytes, bytes};
    while (n < 10 && play_echo_send(ref, &request) == 0)
        n++;
    assert_int_equal(n, 3);
    assert_int_equal(grove_failure()->code, GROVE_EFULL);
    assert_int_equal(grove_sleep_await(30), 0);
    assert_int_equal(play_echo_send(ref, &request), 0);
}

static void test_what_is_larger_than_the_mailbox_is_too_big_for_every_verb(void **state)
{
    static uint8_t bytes[70000];
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    struct grove_future future;
    struct script nap, waiting = {.act = act_nothing};
    grove_ref ref = stage_spawn_bounded(1, 65536);
    Play__V1__PerformResponse performed;

    (void)state;
    request.blob = (ProtobufCBinaryData){sizeof bytes, bytes};
    assert_int_equal(play_echo_send(ref, &request), GROVE_ETOOBIG);
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_ETOOBIG);
    assert_int_equal(play_echo_send_await(ref, &request), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "bytes_max"));
    assert_int_equal(play_echo_start(ref, &request, &response, &future), GROVE_ETOOBIG);
    /* Also behind others that wait: it must not stop those who come after it. */
    nap = (struct script){.act = act_nap, .ms = 20};
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_start(ref, &waiting, &performed, &future), 0);
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_ETOOBIG);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(grove_future_await(&future), 0);
}

/* --- waiting for room ------------------------------------------------------------------------- */

static void test_calls_wait_for_room_and_are_let_in_in_order(void **state)
{
    enum { N = 20 };
    struct script nap, calls[N];
    Play__V1__PerformResponse responses[N];
    struct grove_future futures[N], *all[N];
    grove_ref ref = busy_actor(&nap, 20);
    unsigned n_run = 0;

    (void)state;
    fill(ref);
    for (int i = 0; i < N; i++) {
        calls[i] = (struct script){.act = act_nap, .ms = 1};
        all[i] = &futures[i];
        assert_int_equal(stage_start(ref, &calls[i], &responses[i], &futures[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(grove_future_await(all[i]), 0);
        for (int k = 0; k < N; k++)
            n_run = k == 0 ? calls[k].n_runs : n_run + calls[k].n_runs;
        assert_in_range(n_run, i + 1, i + 2);
    }
}

static void test_a_call_that_finds_no_room_in_time_was_not_begun(void **state)
{
    struct script nap, late = {.act = act_nothing};
    grove_ref ref = busy_actor(&nap, 50);

    (void)state;
    fill(ref);
    grove_within(10);
    assert_int_equal(stage_perform(ref, &late), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(late.n_runs, 0);
}

static int send_await(grove_ref ref, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    request.script = (uintptr_t)script;
    return play_perform_send_await(ref, &request);
}

static void test_send_await_waits_for_room_and_not_for_the_handler(void **state)
{
    struct script nap, sent = {.act = act_nap, .ms = 100};
    grove_ref ref = busy_actor(&nap, 20);
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(send_await(ref, &nothing), 0);
    assert_int_equal(stage_now_ms(), begin_ms);
    for (int i = 1; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(send_await(ref, &sent), 0);
    assert_in_range(stage_now_ms() - begin_ms, 18, 25);
    assert_int_equal(sent.n_ends, 0);
    assert_int_equal(grove_sleep_await(150), 0);
    assert_int_equal(sent.n_ends, 1);
}

static void test_send_await_without_room_is_full_at_its_deadline(void **state)
{
    struct script nap, late = {.act = act_nothing};
    grove_ref ref = busy_actor(&nap, 50);
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    fill(ref);
    grove_within(10);
    assert_int_equal(send_await(ref, &late), GROVE_EFULL);
    assert_int_equal(grove_failure()->code, GROVE_EFULL);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_in_range(stage_now_ms() - begin_ms, 10, 15);
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(late.n_runs, 0);
}

static void test_what_send_await_put_in_has_no_deadline_any_more(void **state)
{
    struct script nap, filler = {.act = act_nap, .ms = 30}, late = {.act = act_nothing};
    grove_ref ref = busy_actor(&nap, 5);

    (void)state;
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &filler), 0);
    grove_within(80);
    assert_int_equal(send_await(ref, &late), 0);
    assert_int_equal(grove_sleep_await(300), 0);
    assert_int_equal(late.n_runs, 1);
}

static void test_a_send_does_not_overtake_a_call_that_waits(void **state)
{
    struct script nap, slow = {.act = act_nap, .ms = 10}, call = {.act = act_nothing},
                       sent = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = busy_actor(&nap, 10);

    (void)state;
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &slow), 0);
    assert_int_equal(stage_start(ref, &call, &response, &future), 0);
    /* One has left the mailbox, but not half of them. */
    assert_int_equal(grove_sleep_await(12), 0);
    assert_int_equal(stage_send(ref, &sent), GROVE_EFULL);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(stage_send(ref, &sent), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_waiting_calls_enter_when_the_queued_ones_are_taken_back(void **state)
{
    struct script nap, queued = {.act = act_nothing}, waiting = {.act = act_nothing};
    Play__V1__PerformResponse responses[DEPTH + 1];
    struct grove_future futures[DEPTH + 1];
    grove_ref ref = busy_actor(&nap, 1);

    (void)state;
    /* The actor is idle and ready but has not run: nobody takes mail while main does not wait. */
    assert_int_equal(grove_sleep_await(5), 0);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_start(ref, &queued, &responses[i], &futures[i]), 0);
    assert_int_equal(stage_start(ref, &waiting, &responses[DEPTH], &futures[DEPTH]), 0);
    for (int i = 0; i < DEPTH; i++)
        grove_future_cancel(&futures[i]);
    assert_int_equal(grove_future_await(&futures[DEPTH]), 0);
    assert_int_equal(queued.n_runs, 0);
    assert_int_equal(waiting.n_runs, 1);
}

static void test_who_waits_for_room_hears_of_the_end(void **state)
{
    struct script nap, waiting = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = busy_actor(&nap, 20);

    (void)state;
    fill(ref);
    assert_int_equal(stage_start(ref, &waiting, &response, &future), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ENOACTOR);
    assert_int_equal(future.started, GROVE_STARTED_NO);
    assert_int_equal(waiting.n_runs, 0);
}

static void test_drain_lets_those_who_wait_in(void **state)
{
    struct script nap, waiting = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = busy_actor(&nap, 20);

    (void)state;
    fill(ref);
    assert_int_equal(stage_start(ref, &waiting, &response, &future), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(waiting.n_runs, 1);
}

/* Begins calls at script->to until one is refused, and counts them. */
static void go_flood(void *argument)
{
    struct script *script = argument;
    static struct grove_future futures[2 * GV_WAIT_PEER_MAX];
    static Play__V1__PerformResponse responses[2 * GV_WAIT_PEER_MAX];

    do
        script->rc =
            stage_start(script->to, &nothing, &responses[script->n_runs], &futures[script->n_runs]);
    while (script->rc == 0 && ++script->n_runs < 2 * GV_WAIT_PEER_MAX);
    for (unsigned i = 0; i < script->n_runs; i++)
        (void)grove_future_await(&futures[i]); /* Only how many came counts. */
}

static void test_one_that_floods_with_calls_leaves_places_to_wait_for_others(void **state)
{
    struct script nap, flood = {0};
    grove_ref ref;

    (void)state;
    flood.to = ref = busy_actor(&nap, 50);
    fill(ref);
    assert_int_equal(grove_go(go_flood, &flood, NULL, NULL), 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(flood.rc, GROVE_EFULL);
    assert_int_equal(flood.n_runs, GV_WAIT_PEER_MAX);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(grove_sleep_await(10), 0);
}

/* --- dead letters ----------------------------------------------------------------------------- */

static void test_accepted_messages_that_nobody_handles_are_dead_letters(void **state)
{
    struct script nap;
    grove_ref ref = busy_actor(&nap, 5);
    uint64_t before = dead_letters(0);

    (void)state;
    fill(ref);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(dead_letters(0) - before, DEPTH);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ENOACTOR);
    assert_int_equal(dead_letters(0) - before, DEPTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_full_mailbox_refuses_sends_at_once),
        stage_test(test_a_mailbox_is_bounded_in_bytes_too),
        stage_test(test_what_is_larger_than_the_mailbox_is_too_big_for_every_verb),
        stage_test(test_calls_wait_for_room_and_are_let_in_in_order),
        stage_test(test_a_call_that_finds_no_room_in_time_was_not_begun),
        stage_test(test_send_await_waits_for_room_and_not_for_the_handler),
        stage_test(test_send_await_without_room_is_full_at_its_deadline),
        stage_test(test_what_send_await_put_in_has_no_deadline_any_more),
        stage_test(test_a_send_does_not_overtake_a_call_that_waits),
        stage_test(test_waiting_calls_enter_when_the_queued_ones_are_taken_back),
        stage_test(test_who_waits_for_room_hears_of_the_end),
        stage_test(test_drain_lets_those_who_wait_in),
        stage_test(test_one_that_floods_with_calls_leaves_places_to_wait_for_others),
        stage_test(test_accepted_messages_that_nobody_handles_are_dead_letters),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down);
}
