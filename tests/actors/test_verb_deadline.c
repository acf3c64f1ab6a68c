/*
 * Deadlines of calls: grove_within, methods, inheritance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static void test_within_bounds_the_next_call_only(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    grove_within(10);
    assert_int_equal(stage_perform(ref, &nap), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 10, 15);
    assert_int_equal(stage_perform(stage_spawn(NULL), &nap), 0);
    stage_settle();
}

static void test_within_is_used_up_by_a_send_too(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100}, nothing = {.act = act_nothing};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    grove_within(10);
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_perform(ref, &nap), 0);
}

static void test_a_call_ends_after_five_seconds_by_itself(void **state)
{
    struct script nap = {.act = act_nap, .ms = 60000};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &nap), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 5000, 5005);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
}

static int hurry_await(grove_ref ref, struct script *script)
{
    Play__V1__HurryRequest request = PLAY__V1__HURRY_REQUEST__INIT;
    Play__V1__HurryResponse response = PLAY__V1__HURRY_RESPONSE__INIT;

    request.script = (uintptr_t)script;
    return play_hurry_await(ref, &request, &response);
}

static void test_the_proto_may_say_a_timeout_of_its_own(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(hurry_await(stage_spawn(NULL), &nap), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 20, 25);
    stage_settle();
}

static void test_infinite_lifts_the_timeout_of_the_method(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    struct script long_nap = {.act = act_nap, .ms = 20000};

    (void)state;
    grove_within(GROVE_INFINITE);
    assert_int_equal(hurry_await(stage_spawn(NULL), &nap), 0);
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_perform(stage_spawn(NULL), &long_nap), 0);
}

struct hurried {
    struct script script;
    uint32_t within_ms; /* of the inner call */
    uint32_t remaining_ms, inner_remaining_ms;
    struct script inner;
};

static int read_remaining(struct play *me, struct script *script)
{
    (void)me;
    script->ms = grove_remaining_ms();
    return grove_sleep_await(script->number > 0 ? (uint32_t)script->number : 1);
}

static int call_inner(struct play *me, struct script *script)
{
    struct hurried *hurried = (struct hurried *)script;

    (void)me;
    hurried->remaining_ms = grove_remaining_ms();
    if (hurried->within_ms != 0)
        grove_within(hurried->within_ms);
    return stage_note(script, stage_perform(script->to, &hurried->inner));
}

static void test_deadlines_are_inherited_and_only_narrow(void **state)
{
    struct hurried hurried = {.script = {.act = call_inner, .to = stage_spawn(NULL)},
                              .inner = {.act = read_remaining}};

    (void)state;
    assert_int_equal(grove_remaining_ms(), GROVE_INFINITE);
    grove_within(50);
    assert_int_equal(stage_perform(stage_spawn(NULL), &hurried.script), 0);
    assert_in_range(hurried.remaining_ms, 45, 51);
    assert_in_range(hurried.inner.ms, 40, hurried.remaining_ms);

    hurried.within_ms = 10;
    grove_within(50);
    assert_int_equal(stage_perform(stage_spawn(NULL), &hurried.script), 0);
    assert_in_range(hurried.inner.ms, 5, 11);
}

static void test_infinite_never_lifts_an_inherited_deadline(void **state)
{
    struct hurried hurried = {.script = {.act = call_inner, .to = stage_spawn(NULL)},
                              .within_ms = GROVE_INFINITE,
                              .inner = {.act = read_remaining, .number = 1000}};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    grove_within(30);
    assert_int_equal(stage_perform(ref, &hurried.script), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 30, 35);
    assert_in_range(hurried.inner.ms, 20, 31);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(hurried.script.rc, GROVE_ETIMEDOUT);
    stage_settle();
}

struct overdue {
    struct script script;
    uint32_t remaining_ms;
    int call_rc, send_rc, start_rc;
    struct grove_failure failure;
    struct script sent, called;
};

static int be_overdue(struct play *me, struct script *script)
{
    struct overdue *overdue = (struct overdue *)script;
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)me;
    stage_pass_ms(script->ms); /* Computing: had it waited, it would have been cancelled. */
    overdue->remaining_ms = grove_remaining_ms();
    overdue->call_rc = stage_perform(script->to, &overdue->called);
    overdue->failure = *grove_failure();
    overdue->start_rc = stage_start(script->to, &overdue->called, &response, &future);
    overdue->send_rc = stage_send(script->to, &overdue->sent);
    return 0;
}

static void test_whose_time_is_over_may_send_but_not_call(void **state)
{
    struct overdue overdue = {.script = {.act = be_overdue, .ms = 50, .to = stage_spawn(NULL)},
                              .sent = {.act = act_nothing},
                              .called = {.act = act_nothing}};
    grove_ref ref = stage_spawn(NULL);
    int rc;

    (void)state;
    grove_within(20);
    /* One that never waited answers its caller before that looks at the clock. */
    rc = stage_perform(ref, &overdue.script);
    assert_true(rc == GROVE_ETIMEDOUT || rc == 0);
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(overdue.remaining_ms, 0);
    assert_int_equal(overdue.call_rc, GROVE_ETIMEDOUT);
    assert_int_equal(overdue.failure.started, GROVE_STARTED_NO);
    assert_int_equal(overdue.start_rc, GROVE_ETIMEDOUT);
    assert_int_equal(overdue.send_rc, 0);
    assert_int_equal(overdue.sent.n_runs, 1);
    assert_int_equal(overdue.called.n_runs, 0);
}

static int compute_and_call(struct play *me, struct script *script)
{
    (void)me;
    stage_pass_ms(script->ms);
    script->rc = stage_perform(script->to, script->next);
    script->failure = *grove_failure();
    return 0;
}

/* Queued or inline: that its loop has not looked at the clock since does not help. */
static void test_who_has_computed_past_its_deadline_begins_nothing(void **state)
{
    struct script never = {.act = act_nothing};
    struct script overdue = {
        .act = compute_and_call, .ms = 25, .to = stage_spawn(NULL), .next = &never};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Both are born. */
    grove_within(20);
    (void)stage_perform(ref, &overdue); /* As above. */
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(overdue.rc, GROVE_ETIMEDOUT);
    assert_int_equal(overdue.failure.started, GROVE_STARTED_NO);
    assert_int_equal(never.n_runs, 0);
}

static void test_greenlets_start_without_a_deadline(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    struct script green = {.to = stage_spawn(NULL), .next = &nap};

    (void)state;
    grove_within(10);
    assert_int_equal(grove_go(go_relay, &green, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(200), 0);
    assert_int_equal(green.n_ends, 1);
    assert_int_equal(green.rc, 0);
    assert_int_equal(stage_add(stage_spawn(NULL), 1, NULL), 0);
}

/* --- answers and deadlines -------------------------------------------------------------------- */

static int take_50_ms(struct play *me, struct script *script)
{
    (void)me;
    stage_pass_ms(50);
    return stage_note(script, 0);
}

static void test_an_answer_that_came_while_the_loop_was_busy_counts(void **state)
{
    struct script slow = {.act = take_50_ms};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int round = 0; round < 2; round++) {
        grove_within(20);
        assert_int_equal(stage_perform(ref, &slow), 0);
    }
    grove_within(20);
    assert_int_equal(stage_start(ref, &slow, &response, &future), 0);
    assert_int_equal(grove_future_await(&future), 0);
}

static void test_an_answer_that_was_there_in_time_counts_whenever_it_is_awaited(void **state)
{
    struct script nothing = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    grove_within(20);
    assert_int_equal(stage_start(stage_spawn(NULL), &nothing, &response, &future), 0);
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(grove_future_await(&future), 0);
}

static void test_an_answer_that_is_not_there_at_the_deadline_never_counts(void **state)
{
    struct script nap = {.act = act_nap, .ms = 25}, nothing = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int round = 0; round < 2; round++) {
        grove_within(20);
        assert_int_equal(stage_perform(ref, &nap), GROVE_ETIMEDOUT);
        stage_settle();
    }
    grove_within(20);
    assert_int_equal(stage_start(ref, &nap, &response, &future), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(stage_perform(ref, &nothing), 0);
}

/* Behind a shield it goes on, waits for others, and returns 0 in the end. */
static int nap_shielded(struct play *me, struct script *script)
{
    int rc;

    (void)me;
    rc = grove_shield_begin(1000);
    if (rc == 0)
        rc = grove_sleep_await(50);
    stage_pass_ms(10);
    if (rc == 0)
        rc = grove_yield_await();
    grove_shield_end();
    return stage_note(script, rc);
}

static void test_a_caller_whose_time_was_over_is_told_so_whatever_its_handler_returns(void **state)
{
    struct script nap = {.act = nap_shielded};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Then it may run inline. */
    grove_within(20);
    assert_int_equal(stage_perform(ref, &nap), GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(nap.rc, 0);
}

static int nap_then_take_50_ms(struct play *me, struct script *script)
{
    (void)me;
    if (grove_sleep_await(5) != 0)
        return stage_note(script, GROVE_ECANCELED);
    stage_pass_ms(50);
    (void)grove_remaining_ms(); /* It looks at the clock. */
    return stage_note(script, 0);
}

static void test_an_answer_that_came_before_the_deadline_was_seen_counts_after_a_wait(void **state)
{
    struct script nap = {.act = nap_then_take_50_ms};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Then it may run inline. */
    grove_within(20);
    assert_int_equal(stage_perform(ref, &nap), 0);
    assert_int_equal(nap.rc, 0);
}

static atomic_int second_naps_over;

static int nap_and_tell(struct play *me, struct script *script)
{
    int rc = act_nap(me, script);

    atomic_store(&second_naps_over, 1);
    return rc;
}

static void test_an_answer_from_another_loop_that_came_while_this_one_was_busy_counts(void **state)
{
    struct script nothing = {.act = act_nothing}, nap = {.act = nap_and_tell, .ms = 600};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref far;

    (void)state;
    stage_open_loops_unlent(2);
    far = stage_spawn_on(1, NULL);
    atomic_store(&second_naps_over, 0);
    grove_within(500);
    assert_int_equal(stage_start(far, &nothing, &response, &future), 0);
    assert_int_equal(stage_send(far, &nap), 0);
    assert_int_equal(grove_yield_await(), 0); /* Both leave. */
    /* What the far one has done before its nap has come by now; this loop has not looked. */
    while (atomic_load(&second_naps_over) == 0)
        continue;
    assert_int_equal(grove_future_await(&future), 0);
    stage_settle();
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_within_bounds_the_next_call_only),
        stage_test(test_within_is_used_up_by_a_send_too),
        stage_test(test_a_call_ends_after_five_seconds_by_itself),
        stage_test(test_the_proto_may_say_a_timeout_of_its_own),
        stage_test(test_infinite_lifts_the_timeout_of_the_method),
        stage_test(test_deadlines_are_inherited_and_only_narrow),
        stage_test(test_infinite_never_lifts_an_inherited_deadline),
        stage_test(test_whose_time_is_over_may_send_but_not_call),
        stage_test(test_who_has_computed_past_its_deadline_begins_nothing),
        stage_test(test_greenlets_start_without_a_deadline),
        stage_test(test_an_answer_that_came_while_the_loop_was_busy_counts),
        stage_test(test_an_answer_that_was_there_in_time_counts_whenever_it_is_awaited),
        stage_test(test_an_answer_that_is_not_there_at_the_deadline_never_counts),
        stage_test(test_an_answer_that_came_before_the_deadline_was_seen_counts_after_a_wait),
        stage_test(test_a_caller_whose_time_was_over_is_told_so_whatever_its_handler_returns),
    };
    const struct CMUnitTest far_tests[] = {
        cmocka_unit_test(test_an_answer_from_another_loop_that_came_while_this_one_was_busy_counts),
    };
    int n = cmocka_run_group_tests_name("deadlines", tests, stage_set_up, stage_tear_down);

    return n + cmocka_run_group_tests_name("deadlines, far", far_tests, NULL, NULL);
}
