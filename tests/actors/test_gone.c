/*
 * Gone or stopping: GROVE_ESTOPPING while it lives, GROVE_ENOACTOR afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static struct script nothing = {.act = act_nothing};

static int send_await(grove_ref ref)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    request.script = (uintptr_t)&nothing;
    return play_perform_send_await(ref, &request);
}

static int start_and_await(grove_ref ref)
{
    Play__V1__PerformResponse response;
    struct grove_future future;
    int rc = stage_start(ref, &nothing, &response, &future);

    return rc != 0 ? rc : grove_future_await(&future);
}

/* Hands its call on to script->to. */
static int hand_on(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    request.script = (uintptr_t)&nothing;
    return stage_note(script, play_perform_delegate(NULL, script->to, &request));
}

/* Every way to ask somebody for something ends with this code, and nothing has begun. */
static void check_all_ways(grove_ref ref, int code)
{
    struct script script = {.act = hand_on, .to = ref};

    nothing.n_runs = 0;
    assert_int_equal(stage_add(ref, 1, NULL), code);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(stage_perform(ref, &nothing), code);
    assert_int_equal(start_and_await(ref), code);
    (void)stage_perform(stage_spawn(NULL), &script); /* Its own end is that of the delegation. */
    assert_int_equal(script.rc, code);
    assert_int_equal(nothing.n_runs, 0);
}

static void test_who_stops_says_so_until_it_is_gone(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    check_all_ways(ref, GROVE_ESTOPPING);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ESTOPPING);
    assert_int_equal(send_await(ref), GROVE_ESTOPPING);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_register("still there", ref), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&future), 0);
    check_all_ways(ref, GROVE_ENOACTOR);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ENOACTOR);
    assert_int_equal(send_await(ref), GROVE_ENOACTOR);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), GROVE_ENOACTOR);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), GROVE_ENOACTOR);
    assert_int_equal(grove_register("gone", ref), GROVE_ENOACTOR);
    stage_settle();
}

static void test_what_was_queued_hears_that_it_is_gone(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    nothing.n_runs = 0;
    assert_int_equal(stage_start(ref, &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &nothing, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ENOACTOR);
    assert_int_equal(futures[1].started, GROVE_STARTED_NO);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR); /* It is true. */
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(nothing.n_runs, 0);
}

static grove_ref child;

/* A child that naps on, and then a nap of its own. */
static int spawn_and_nap(struct play *me, struct script *script)
{
    int rc = play_spawn(&stage_player, NULL, NULL, &child);

    if (rc == 0)
        rc = stage_send(child, script->next);
    return rc != 0 ? rc : act_nap(me, script);
}

static void
test_what_was_queued_at_one_that_waits_for_its_children_hears_that_it_stops(void **state)
{
    struct script childs = {.act = act_nap, .ms = 500};
    struct script parents = {.act = spawn_and_nap, .ms = 50, .next = &childs};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &parents, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &nothing, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ESTOPPING);
    assert_int_equal(futures[1].started, GROVE_STARTED_NO);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING); /* It is true. */
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    stage_settle();
}

static void test_it_is_the_same_from_another_loop(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn_on(1, NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &response, &future), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    /* The stop goes before the call, on the same way. */
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    check_all_ways(ref, GROVE_ENOACTOR);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), GROVE_ENOACTOR);
    assert_int_equal(grove_future_await(&future), 0);
    stage_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_who_stops_says_so_until_it_is_gone),
        stage_test(test_what_was_queued_hears_that_it_is_gone),
        stage_test(test_what_was_queued_at_one_that_waits_for_its_children_hears_that_it_stops),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_it_is_the_same_from_another_loop),
    };
    int n = cmocka_run_group_tests_name("gone", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("gone, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
