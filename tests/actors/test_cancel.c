/*
 * Giving up: what becomes of a handler whose caller has left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"

/* A handler that sleeps, and then again: what both returned, and when. */
struct sleeper {
    struct script script;
    int rc[3];
    bool cancelled[2];
    unsigned long long ended_ms;
};

static int sleep_twice(struct play *me, struct script *script)
{
    struct sleeper *sleeper = (struct sleeper *)script;

    sleeper->cancelled[0] = grove_cancelled();
    sleeper->rc[0] = grove_sleep_await(script->ms);
    sleeper->cancelled[1] = grove_cancelled();
    sleeper->rc[1] = grove_sleep_await(script->ms);
    sleeper->rc[2] = stage_send(script->to, script->next);
    sleeper->ended_ms = stage_now_ms();
    me->total += 100;
    return sleeper->rc[0];
}

static struct script nothing = {.act = act_nothing};

static void
test_the_handler_is_cancelled_when_its_caller_times_out_and_the_actor_lives_on(void **state)
{
    struct script sent = {.act = act_nothing};
    struct sleeper sleeper = {
        .script = {.act = sleep_twice, .ms = 1000, .to = stage_spawn(NULL), .next = &sent}};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = stage_spawn(NULL);
    int64_t total = 0;

    (void)state;
    assert_int_equal(stage_add(ref, 7, NULL), 0);
    grove_within(20);
    assert_int_equal(stage_perform(ref, &sleeper.script), GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(sleeper.rc[0], GROVE_ECANCELED);
    assert_int_equal(sleeper.rc[1], GROVE_ECANCELED);
    assert_int_equal(sleeper.rc[2], 0); /* Sends still go through. */
    assert_false(sleeper.cancelled[0]);
    assert_true(sleeper.cancelled[1]);
    assert_in_range(sleeper.ended_ms - begin_ms, 20, 25);
    assert_int_equal(stage_add(ref, 1, &total), 0);
    assert_int_equal(total, 108);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(sent.n_runs, 1);
}

static void test_giving_up_travels_down_the_chain(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1000};
    struct script scripts[3];
    unsigned long long begin_ms = stage_now_ms();
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    for (int i = 0; i < 3; i++)
        scripts[i] = (struct script){
            .act = act_relay, .to = stage_spawn(NULL), .next = i < 2 ? &scripts[i + 1] : &nap};
    assert_int_equal(stage_start(stage_spawn(NULL), &scripts[0], &response, &future), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(nap.n_runs, 1);
    grove_future_cancel(&future); /* No deadline is near: only the news can have ended them. */
    stage_settle();
    for (int i = 0; i < 3; i++)
        assert_int_equal(scripts[i].rc, GROVE_ECANCELED);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - begin_ms, 10, 15);
}

static void test_the_next_message_knows_nothing_of_it(void **state)
{
    struct script first = {.act = act_nap, .ms = 1000}, second = {.act = act_nap, .ms = 30};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &first, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &second, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    grove_future_cancel(&futures[0]);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(first.rc, GROVE_ECANCELED);
    assert_int_equal(second.rc, 0);
}

static void test_who_gives_up_a_call_that_is_over_cancels_nobody(void **state)
{
    struct script first = {.act = act_nap, .ms = 5}, second = {.act = act_nap, .ms = 30};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &first, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &second, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(first.n_ends, 1);
    assert_int_equal(second.n_runs, 1);
    grove_future_cancel(&futures[0]);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(second.rc, 0);
}

static void test_what_is_still_queued_is_never_begun(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50}, never = {.act = act_nothing};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    grove_within(10);
    assert_int_equal(stage_perform(ref, &never), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    stage_settle();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_int_equal(never.n_runs, 0);
}

static int compute(struct play *me, struct script *script)
{
    (void)me;
    stage_pass_ms(script->ms);
    return 0;
}

static void test_expired_work_is_never_started_also_when_nobody_could_take_it_back(void **state)
{
    struct script slow = {.act = compute, .ms = 50}, never = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    /* Its handler runs right through the other one's deadline, before any timer fires. */
    assert_int_equal(stage_send(ref, &slow), 0);
    grove_within(10);
    assert_int_equal(stage_start(ref, &never, &response, &future), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    assert_int_equal(future.started, GROVE_STARTED_NO);
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_int_equal(never.n_runs, 0);
}

static int spin_until_cancelled(struct play *me, struct script *script)
{
    (void)me;
    while (!grove_cancelled() && script->number++ < 1000000)
        if (grove_yield_await() != 0)
            break;
    return stage_note(script, grove_cancelled() ? 1 : 0);
}

static void test_a_handler_that_computes_may_ask_and_is_told_at_its_next_yield(void **state)
{
    struct script spin = {.act = spin_until_cancelled};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    assert_int_equal(stage_start(stage_spawn(NULL), &spin, &response, &future), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(grove_yield_await(), 0);
    grove_future_cancel(&future);
    stage_settle();
    assert_int_equal(spin.rc, 1);
    assert_in_range(spin.number, 1, 100000);
    assert_false(grove_cancelled());
}

/* --- shields ---------------------------------------------------------------------------------- */

struct shielded {
    struct script script;
    struct script tidy; /* what it asks of script.to behind the shield */
    uint32_t shield_ms, remaining_ms[2];
    bool forget, cancelled;
    int begin_rc, inside_rc[2], after_rc;
};

static int tidy_up(struct play *me, struct script *script)
{
    struct shielded *shielded = (struct shielded *)script;
    int rc = grove_sleep_await(1000);

    (void)me;
    shielded->begin_rc = grove_shield_begin(shielded->shield_ms);
    shielded->remaining_ms[0] = grove_remaining_ms();
    shielded->cancelled = grove_cancelled();
    shielded->inside_rc[0] = stage_perform(script->to, &shielded->tidy);
    shielded->inside_rc[1] = grove_sleep_await(script->ms);
    if (!shielded->forget)
        grove_shield_end();
    shielded->remaining_ms[1] = grove_remaining_ms();
    shielded->after_rc = grove_sleep_await(1);
    return rc;
}

static void test_behind_a_shield_clean_up_may_wait_and_has_a_time_of_its_own(void **state)
{
    struct shielded shielded = {.script = {.act = tidy_up, .ms = 10, .to = stage_spawn(NULL)},
                                .tidy = {.act = act_nap, .ms = 30},
                                .shield_ms = 100};

    (void)state;
    grove_within(20);
    (void)stage_perform(stage_spawn(NULL), &shielded.script); /* Inline or not, it is late. */
    stage_settle();
    assert_int_equal(shielded.begin_rc, 0);
    assert_in_range(shielded.remaining_ms[0], 95, 101);
    assert_true(shielded.cancelled);
    assert_int_equal(shielded.inside_rc[0], 0);
    assert_int_equal(shielded.tidy.rc, 0);
    assert_int_equal(shielded.inside_rc[1], 0);
    assert_int_equal(shielded.remaining_ms[1], 0);
    assert_int_equal(shielded.after_rc, GROVE_ECANCELED);
}

static void test_a_shield_lasts_no_longer_than_its_time(void **state)
{
    struct shielded calls = {.script = {.act = tidy_up, .ms = 1, .to = stage_spawn(NULL)},
                             .tidy = {.act = act_nap, .ms = 200},
                             .shield_ms = 50};
    struct shielded sleeps = {.script = {.act = tidy_up, .ms = 200, .to = stage_spawn(NULL)},
                              .tidy = {.act = act_nothing},
                              .shield_ms = 50};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    grove_within(20);
    (void)stage_perform(stage_spawn(NULL), &calls.script);
    stage_settle();
    assert_int_equal(calls.inside_rc[0], GROVE_ETIMEDOUT);
    assert_int_equal(calls.tidy.rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - begin_ms, 70, 80);
    grove_within(20);
    (void)stage_perform(stage_spawn(NULL), &sleeps.script);
    stage_settle();
    assert_int_equal(sleeps.inside_rc[0], 0);
    assert_int_equal(sleeps.inside_rc[1], GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - begin_ms, 140, 160);
}

static void test_a_shield_that_is_left_open_ends_with_its_turn(void **state)
{
    struct shielded shielded = {.script = {.act = tidy_up, .ms = 1, .to = stage_spawn(NULL)},
                                .tidy = {.act = act_nothing},
                                .shield_ms = 50,
                                .forget = true};
    struct script nap = {.act = act_nap, .ms = 100};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    grove_within(20);
    (void)stage_perform(ref, &shielded.script);
    stage_settle();
    assert_int_equal(shielded.after_rc, 0); /* It was still up. */
    assert_int_equal(stage_perform(ref, &nap), 0);
    assert_int_equal(nap.rc, 0);
}

static void test_a_kill_waits_for_the_shield_and_no_longer(void **state)
{
    struct shielded shielded = {.script = {.act = tidy_up, .ms = 30, .to = stage_spawn(NULL)},
                                .tidy = {.act = act_nothing},
                                .shield_ms = 100};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &shielded.script), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(shielded.inside_rc[1], 0);
    assert_int_equal(shielded.after_rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - begin_ms, 35, 45);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_giving_up_travels_over_loops(void **state)
{
    struct script nap = {.act = act_nap, .ms = 60000};
    struct script scripts[4];
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref refs[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        refs[i] = stage_spawn_on(i % 2, NULL);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++)
            scripts[i] = (struct script){
                .act = act_relay, .to = refs[i + 1], .next = i < 3 ? &scripts[i + 1] : &nap};
        grove_within(GROVE_INFINITE);
        assert_int_equal(stage_start(refs[0], &scripts[0], &response, &future), 0);
        if (round % 4 != 0)
            assert_int_equal(grove_sleep_await((uint32_t)round % 4), 0);
        grove_future_cancel(&future);
        stage_settle(); /* Long before the nap is over. */
        for (int i = 0; i < 5; i++)
            assert_int_equal(stage_add(refs[i], 1, NULL), 0);
    }
    assert_true(nap.n_runs == 0 || nap.rc == GROVE_ECANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_the_handler_is_cancelled_when_its_caller_times_out_and_the_actor_lives_on),
        stage_test(test_giving_up_travels_down_the_chain),
        stage_test(test_the_next_message_knows_nothing_of_it),
        stage_test(test_who_gives_up_a_call_that_is_over_cancels_nobody),
        stage_test(test_what_is_still_queued_is_never_begun),
        stage_test(test_expired_work_is_never_started_also_when_nobody_could_take_it_back),
        stage_test(test_a_handler_that_computes_may_ask_and_is_told_at_its_next_yield),
        stage_test(test_behind_a_shield_clean_up_may_wait_and_has_a_time_of_its_own),
        stage_test(test_a_shield_lasts_no_longer_than_its_time),
        stage_test(test_a_shield_that_is_left_open_ends_with_its_turn),
        stage_test(test_a_kill_waits_for_the_shield_and_no_longer),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_giving_up_travels_over_loops),
    };
    int n = cmocka_run_group_tests_name("cancel", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("cancel, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
