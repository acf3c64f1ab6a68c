/*
 * Inline calls: that they happen, when they must not, and that a caller
 * cannot tell. All other suites run with them too; here is what they would
 * not notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"
#include "runtime/probe.h"

static int open_with(const char *mode)
{
    stage_open_with("shuffle", "0");
    return grove_option_set("inline", mode);
}

/* --- when ------------------------------------------------------------------------------------- */

static void test_a_call_to_an_idle_actor_runs_on_the_callers_stack(void **state)
{
    grove_ref ref;
    int64_t total = 0;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0); /* Its init comes first. */
    stage_listen();
    assert_int_equal(stage_add(ref, 3, &total), 0);
    assert_int_equal(total, 3);
    assert_true(stage_was_inline());
    assert_int_equal(stage_counts[GV_PROBE_START], 1);
    assert_int_equal(stage_counts[GV_PROBE_END], 1);
    stage_close();
}

static void test_it_does_not_when_that_is_switched_off(void **state)
{
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("0"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_add(ref, 3, NULL), 0);
    assert_false(stage_was_inline());
    stage_close();
}

static void test_mail_that_waits_comes_first(void **state)
{
    struct script first = {.act = act_nothing}, second = {.act = act_nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(ref, &first), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &second), 0);
    assert_int_equal(first.n_ends, 1);
    assert_false(stage_was_inline());
    stage_close();
}

static void test_before_init_nothing_runs(void **state)
{
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    stage_listen();
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_false(stage_was_inline());
    stage_close();
}

static void test_deep_messages_are_queued(void **state)
{
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    char text[] = "a text";
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    request.text = text;
    assert_int_equal(play_echo_await(ref, &request, &response), 0);
    assert_ptr_not_equal(response.text, text);
    assert_false(stage_was_inline());
    stage_close();
}

static void test_a_method_that_has_parked_is_queued_from_then_on(void **state)
{
    struct script nap = {.act = act_nap, .ms = 2}, nothing = {.act = act_nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_true(stage_was_inline());
    assert_int_equal(stage_perform(ref, &nap), 0); /* It parks above main, which waits with it. */
    assert_int_equal(nap.n_ends, 1);
    stage_listen();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_false(stage_was_inline());
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_add(ref, 1, NULL), 0); /* Another method of the same actor never has. */
    assert_true(stage_was_inline());
    stage_close();
}

static void test_a_method_that_parked_when_queued_is_never_inline(void **state)
{
    struct script nap = {.act = act_nap, .ms = 2}, nothing = {.act = act_nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_false(stage_was_inline());
    stage_close();
}

static int take_long(struct play *me, struct script *script)
{
    (void)me;
    stage_pass_ms(script->ms);
    return 0;
}

static void test_a_method_that_takes_long_is_queued_from_then_on(void **state)
{
    struct script busy = {.act = take_long, .ms = 2}, nothing = {.act = act_nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_yield_await(), 0);
        stage_listen();
        assert_int_equal(stage_perform(ref, &busy), 0);
        assert_true(stage_was_inline());
    }
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_false(stage_was_inline());
    stage_close();
}

/* The first call is the coldest one, and any may be interrupted. */
static void test_a_method_that_takes_long_now_and_then_stays_inline(void **state)
{
    struct script busy = {.act = take_long, .ms = 2}, nothing = {.act = act_nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    for (int round = 0; round < 4; round++) {
        assert_int_equal(stage_perform(ref, &busy), 0);
        assert_int_equal(stage_perform(ref, &busy), 0);
        for (int i = 0; i < 64; i++)
            assert_int_equal(stage_perform(ref, &nothing), 0);
    }
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &nothing), 0);
    assert_true(stage_was_inline());
    stage_close();
}

/* --- bounds ----------------------------------------------------------------------------------- */

static unsigned n_turns; /* of the others */

static int count_turn(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    n_turns++;
    return 0;
}

/* Notes how many calls it has made when the others had their turns. */
static int call_often(struct play *me, struct script *script)
{
    (void)me;
    for (int i = 1; i <= 1000 && n_turns == 0; i++) {
        int rc = stage_add(script->to, 1, NULL);

        if (rc != 0)
            return rc;
        script->number = i;
    }
    return 0;
}

static void test_a_row_of_calls_lets_others_run(void **state)
{
    struct script call = {.act = call_often}, other = {.act = count_turn};
    grove_ref caller, bystander;

    (void)state;
    n_turns = 0;
    assert_int_equal(open_with("1"), 0);
    call.to = stage_spawn(NULL);
    caller = stage_spawn(NULL);
    bystander = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(caller, &call), 0);
    assert_int_equal(stage_send(bystander, &other), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(call.n_ends, 1);
    assert_in_range(call.number, 2, 66);
    stage_close();
}

static int add_70_times(struct play *me, struct script *script)
{
    int rc = 0;

    (void)me;
    for (int i = 0; i < 70 && rc == 0; i++)
        rc = stage_add(script->to, 1, NULL);
    return stage_note(script, rc);
}

static void test_who_waited_only_because_a_row_was_over_is_inline_again(void **state)
{
    struct script add = {.act = add_70_times}, nothing = {.act = act_nothing};
    struct script through = {.act = act_relay, .next = &add}, nap = {.act = act_nap, .ms = 1};
    grove_ref caller;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    add.to = stage_spawn(NULL);
    caller = stage_spawn(NULL);
    through.to = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    /* Both the handler that adds and the one below it on its stack. */
    assert_int_equal(stage_perform(caller, &through), 0);
    assert_false(stage_was_inline());
    stage_listen();
    assert_int_equal(stage_perform(caller, &nothing), 0);
    assert_true(stage_was_inline());
    /* Who waits for something else is not. */
    assert_int_equal(stage_perform(caller, &nap), 0);
    stage_listen();
    assert_int_equal(stage_perform(caller, &nothing), 0);
    assert_false(stage_was_inline());
    stage_close();
}

static int pass_down(struct play *me, struct script *script)
{
    volatile char frame[2048];

    (void)me;
    frame[0] = 1;
    return script->next != NULL ? stage_perform(script->to, script->next) + (frame[0] - 1) : 0;
}

/* Each handler calls the next actor: more frames than one stack holds. */
static void test_a_long_chain_of_calls_does_not_overflow_the_stack(void **state)
{
    enum { N = 200 };
    static struct script scripts[N];

    (void)state;
    assert_int_equal(open_with("2"), 0);
    for (int i = N; i-- > 0;)
        scripts[i] = (struct script){
            .act = pass_down, .to = stage_spawn(NULL), .next = i + 1 < N ? &scripts[i + 1] : NULL};
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(stage_spawn(NULL), &scripts[0]), 0); /* main has a large stack. */
    assert_int_equal(grove_sleep_await(1), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(scripts[i].n_ends, 1);
    stage_close();
}

/* --- failures --------------------------------------------------------------------------------- */

static int give_up_actor(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("broken for a test");
}

static void test_grove_fail_ends_the_actor_and_tells_the_caller(void **state)
{
    struct script broken = {.act = give_up_actor};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_perform(ref, &broken), GROVE_EDOWN);
    assert_string_equal(grove_why(), "broken for a test");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    stage_close();
}

static void test_a_refusal_comes_with_its_reason(void **state)
{
    grove_ref ref;
    int64_t total = 5;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_add(ref, -4, &total), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_true(stage_was_inline());
    assert_string_equal(grove_why(), "-4 is below zero");
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    assert_int_equal(total, 5);
    stage_close();
}

/* --- time ------------------------------------------------------------------------------------- */

static int pass_and_add(struct play *me, struct script *script)
{
    stage_pass_ms(7);
    return act_add(me, script);
}

static void test_a_turn_is_timed_up_to_its_call(void **state)
{
    struct script call = {.act = pass_and_add, .number = 1};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    assert_int_equal(grove_option_set("turn_clock", "1"), 0);
    call.to = stage_spawn(NULL);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    stage_listen();
    assert_int_equal(stage_perform(ref, &call), 0);
    assert_true(stage_was_inline());
    assert_true(gv_loop_here->stats.longest_turn_ns >= 7000000);
    stage_close();
}

static int call_130_times(struct play *me, struct script *script)
{
    int rc = 0;

    (void)me;
    for (int i = 0; i < 130 && rc == 0; i++)
        rc = stage_add(script->to, 1, NULL);
    return rc;
}

static void test_after_each_pause_calls_run_inline_again(void **state)
{
    struct script call = {.act = call_130_times};

    (void)state;
    assert_int_equal(open_with("1"), 0);
    call.to = stage_spawn(NULL);
    assert_int_equal(stage_send(stage_spawn(NULL), &call), 0);
    stage_listen();
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(call.n_ends, 1);
    assert_in_range(stage_counts[GV_PROBE_PARK], 2, 4); /* main's among them */
    stage_close();
}

/* It has no tick: 64 calls in a row with long work in between would stop everybody's timers. */
static void test_main_serves_timers_between_its_calls(void **state)
{
    struct script nap = {.act = act_nap, .ms = 10};
    grove_ref ref;
    int n = 0;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(stage_send(stage_spawn(NULL), &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (; nap.n_ends == 0 && n < 100; n++) {
        stage_pass_ms(5);
        assert_int_equal(stage_add(ref, 1, NULL), 0);
    }
    assert_in_range(n, 2, 6);
    stage_close();
}

static int call_until_stopped(struct play *me, struct script *script)
{
    (void)me;
    while (script->next->n_ends == 0 && script->number < 1000000) {
        int rc = stage_add(script->to, 1, NULL);

        if (rc != 0)
            return rc;
        if (++script->number % 10 == 0)
            stage_pass_ms(1);
    }
    return 0;
}

static void test_a_row_of_calls_without_end_lets_timers_fire(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1};
    struct script call = {.act = call_until_stopped, .next = &nap};

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn(NULL);
    assert_int_equal(stage_send(stage_spawn(NULL), &nap), 0);
    assert_int_equal(stage_send(stage_spawn(NULL), &call), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    stage_settle();
    assert_in_range(call.number, 1, 256); /* The first tick is as long as that. */
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_to_an_idle_actor_runs_on_the_callers_stack),
        cmocka_unit_test(test_it_does_not_when_that_is_switched_off),
        cmocka_unit_test(test_mail_that_waits_comes_first),
        cmocka_unit_test(test_before_init_nothing_runs),
        cmocka_unit_test(test_deep_messages_are_queued),
        cmocka_unit_test(test_a_method_that_has_parked_is_queued_from_then_on),
        cmocka_unit_test(test_a_method_that_parked_when_queued_is_never_inline),
        cmocka_unit_test(test_a_method_that_takes_long_is_queued_from_then_on),
        cmocka_unit_test(test_a_method_that_takes_long_now_and_then_stays_inline),
        cmocka_unit_test(test_a_row_of_calls_lets_others_run),
        cmocka_unit_test(test_who_waited_only_because_a_row_was_over_is_inline_again),
        cmocka_unit_test(test_a_long_chain_of_calls_does_not_overflow_the_stack),
        cmocka_unit_test(test_grove_fail_ends_the_actor_and_tells_the_caller),
        cmocka_unit_test(test_a_refusal_comes_with_its_reason),
        cmocka_unit_test(test_a_turn_is_timed_up_to_its_call),
        cmocka_unit_test(test_after_each_pause_calls_run_inline_again),
        cmocka_unit_test(test_main_serves_timers_between_its_calls),
        cmocka_unit_test(test_a_row_of_calls_without_end_lets_timers_fire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
