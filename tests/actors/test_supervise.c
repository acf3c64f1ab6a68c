/*
 * Supervision: restarts, and what stays over them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "family.h"

static int set_up(void **state)
{
    family_begin();
    return stage_set_up(state);
}

/* A family of its own for each test; its supervisor is stopped at the end. */
static grove_ref top;

static int open_family(void **state)
{
    (void)state;
    family_begin();
    top = family_supervisor(GROVE_ONE_FOR_ONE);
    return 0;
}

static int close_family(void **state)
{
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
    assert_int_equal(family.n_overlaps, 0);
    for (unsigned i = 0; i < 128; i++)
        assert_int_equal(family.n_living[i], 0);
    return stage_check_settled(state);
}

#define family_test(function) cmocka_unit_test_setup_teardown(function, open_family, close_family)

/* --- restart ------------------------------------------------------------------------------------ */

static void test_a_failed_child_begins_anew_at_once_and_its_ref_stays(void **state)
{
    grove_ref a = family_add(top, 'a');
    int64_t total = 0;

    (void)state;
    assert_int_equal(stage_add(a, 5, &total), 0);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_string_equal(grove_why(), "on purpose");
    assert_int_equal(stage_add(a, 1, &total), 0);
    assert_int_equal(total, 1);
    family_wait(3);
    assert_string_equal(family.notes, "aAa");
}

static void
test_queued_messages_stay_in_order_and_the_one_that_failed_is_not_handled_again(void **state)
{
    struct script fails = {.act = act_fail}, adds[3];
    grove_ref a = family_add(top, 'a');
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3];

    (void)state;
    assert_int_equal(stage_send(a, &fails), 0);
    for (int i = 0; i < 3; i++) {
        adds[i] = (struct script){.act = act_nothing, .number = i};
        assert_int_equal(stage_start(a, &adds[i], &responses[i], &futures[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(responses[i].number, i);
    }
    assert_int_equal(fails.n_runs, 1);
    assert_string_equal(family.notes, "aAa");
}

static void test_the_message_that_failed_is_a_dead_letter(void **state)
{
    struct script fails = {.act = act_fail};
    struct grove_loop_stats before, after;
    grove_ref a = family_add(top, 'a');

    (void)state;
    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(stage_send(a, &fails), 0);
    family_wait(3);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_int_equal(after.dead_letters, before.dead_letters + 1);
}

static int act_fail_then_await(struct play *me, struct script *script)
{
    int rc = grove_fail("the first reason");

    (void)me;
    (void)stage_add(script->to, -1, NULL);  /* Refused. */
    (void)stage_add(GROVE_NOBODY, 1, NULL); /* Nobody there. */
    (void)grove_fail("another reason");     /* It has failed already. */
    return rc;
}

static void test_the_reason_is_that_of_grove_fail_whatever_failed_after_it(void **state)
{
    grove_ref a = family_add(top, 'a'), other = stage_spawn(NULL);
    struct script script = {.act = act_fail_then_await, .to = other};

    (void)state;
    assert_int_equal(stage_perform(a, &script), GROVE_EDOWN);
    assert_string_equal(grove_why(), "the first reason");
    family_wait(3);
    assert_string_equal(family_info(top, 0).last_why, "the first reason");
    assert_int_equal(grove_stop(other, GROVE_STOP_NOW), 0);
}

static void test_restarts_wait_longer_each_time(void **state)
{
    static const unsigned most_ms[] = {0, 50, 100, 200, 400};
    grove_ref a = family_add(top, 'a');

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        unsigned long long failed_ms, took_ms;

        assert_int_equal(family_fail(a), GROVE_EDOWN);
        failed_ms = stage_now_ms();
        family_wait(1 + 2 * (i + 1));
        took_ms = family.began_ms[2 * (i + 1)] - failed_ms;
        assert_true(took_ms <= most_ms[i] + 2);
        assert_true(took_ms >= most_ms[i] - most_ms[i] / 5);
    }
    assert_int_equal(family_info(top, 0).restarts, 5);
}

static void test_no_restart_waits_longer_than_30_s_nor_all_equally_long(void **state)
{
    struct grove_child child = family_child('b');
    unsigned long long shortest_ms = 1000000, longest_ms = 0;
    grove_ref b;

    (void)state;
    child.rule.backoff_ms = 20000;
    child.rule.restarts_max = 20;
    child.rule.period_ms = 3600000;
    assert_int_equal(grove_supervisor_add_await(top, &child, &b), 0);
    for (unsigned i = 0; i < 10; i++) {
        unsigned long long failed_ms, took_ms;

        assert_int_equal(family_fail(b), GROVE_EDOWN);
        failed_ms = stage_now_ms();
        assert_int_equal(grove_sleep_await(30001), 0);
        family_wait(1 + 2 * (i + 1));
        took_ms = family.began_ms[2 * (i + 1)] - failed_ms;
        assert_true(took_ms <= 30001);
        if (i < 2)
            continue; /* At once, then 20 s. */
        assert_true(took_ms >= 24000);
        shortest_ms = took_ms < shortest_ms ? took_ms : shortest_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
    }
    assert_true(longest_ms > shortest_ms + 100);
}

static void test_a_period_without_failure_makes_the_next_restart_the_first(void **state)
{
    grove_ref a = family_add(top, 'a');

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        unsigned long long failed_ms;

        assert_int_equal(family_fail(a), GROVE_EDOWN);
        failed_ms = stage_now_ms();
        family_wait(1 + 2 * (i + 1));
        assert_true(family.began_ms[2 * (i + 1)] - failed_ms <= 1);
        assert_int_equal(grove_sleep_await(30001), 0);
    }
}

static void test_a_call_that_cannot_wait_for_the_restart_fails_at_once_and_others_stay(void **state)
{
    grove_ref a = family_add(top, 'a');
    unsigned long long begin_ms;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(family_fail(a), GROVE_EDOWN);
        family_wait(1 + 2 * (i + 1));
    }
    assert_int_equal(family_fail(a), GROVE_EDOWN); /* 320 to 400 ms until it is up again */
    family_wait(10);
    begin_ms = stage_now_ms();
    grove_within(100);
    assert_int_equal(stage_add(a, 1, NULL), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_non_null(strstr(grove_why(), "restarted only after"));
    assert_true(stage_now_ms() - begin_ms <= 1);
    assert_int_equal(family_info(top, 0).state, GROVE_CHILD_BACKOFF);
    assert_int_equal(stage_add(a, 1, NULL), 0);
    assert_true(stage_now_ms() - begin_ms >= 300);
}

static int act_fail_after_nap(struct play *me, struct script *script)
{
    (void)me;
    (void)grove_sleep_await(script->ms); /* Nobody stops it. */
    return grove_fail("late");
}

static void test_calls_that_are_queued_when_it_fails_are_told_as_well(void **state)
{
    struct script nap = {.act = act_fail_after_nap, .ms = 10}, shorter = {.act = act_nothing},
                  longer = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref a = family_add(top, 'a');
    unsigned long long begin_ms;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(family_fail(a), GROVE_EDOWN);
        family_wait(1 + 2 * (i + 1));
    }
    assert_int_equal(stage_send(a, &nap), 0); /* then 160 to 200 ms */
    grove_within(100);
    assert_int_equal(stage_start(a, &shorter, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(a, &longer, &responses[1], &futures[1]), 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EDOWN);
    assert_int_equal(futures[0].started, GROVE_STARTED_NO);
    assert_true(stage_now_ms() - begin_ms <= 12);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(shorter.n_runs, 0);
    assert_int_equal(longer.n_runs, 1);
}

static void test_an_init_that_fails_is_begun_again(void **state)
{
    grove_ref a;

    (void)state;
    family.n_bad_inits['a'] = 2;
    a = family_add(top, 'a');
    assert_int_equal(stage_add(a, 1, NULL), 0); /* It waits for the third one. */
    family_wait(3);
    assert_string_equal(family.notes, "aaa"); /* and no deinit of what was never there */
    assert_string_equal(family_info(top, 0).last_why, "a does not get up");
}

static void test_an_error_is_no_failure_unless_the_child_says_so(void **state)
{
    struct script nap = {.act = act_nap, .rc = 0};
    struct grove_child strict = family_child('s');
    grove_ref a = family_add(top, 'a'), s = GROVE_NOBODY;

    (void)state;
    strict.rule.on_error = true;
    assert_int_equal(grove_supervisor_add(top, &strict, &s), 0);
    nap.act = act_add;
    nap.to = GROVE_NOBODY;
    assert_int_equal(stage_perform(a, &nap), GROVE_ENOACTOR);
    assert_int_equal(stage_perform(s, &nap), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_non_null(strstr(grove_why(), "GROVE_ENOACTOR"));
    family_wait(4);
    assert_int_equal(family.notes[2], 'S');
    assert_int_equal(family_info(top, 1).last_reason, GROVE_DOWN_FAILED);
}

static void test_a_type_may_say_that_an_error_is_a_failure_of_all_its_actors(void **state)
{
    static struct play_service strict;
    struct script add = {.act = act_add, .to = GROVE_NOBODY};
    struct grove_child child = family_child('s');
    grove_ref s = GROVE_NOBODY, plain = GROVE_NOBODY;

    (void)state;
    strict = *(const struct play_service *)child.functions;
    strict.restart_on_error = true;
    child.functions = &strict;
    assert_int_equal(grove_supervisor_add(top, &child, &s), 0);
    assert_int_equal(stage_add(s, 7, NULL), 0);
    assert_int_equal(stage_perform(s, &add), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    family_wait(3);
    assert_string_equal(family.notes, "sSs"); /* A state of zeros: else that were an overlap. */
    /* Without a supervisor it ends. */
    assert_int_equal(play_spawn(&strict, "t", &child.options, &plain), 0);
    assert_int_equal(stage_perform(plain, &add), GROVE_EDOWN);
    family_wait(5);
    assert_int_equal(stage_add(plain, 1, NULL), GROVE_ENOACTOR);
}

static void test_a_watcher_is_not_told_of_a_restart_but_of_the_end(void **state)
{
    grove_ref a = family_add(top, 'a');
    struct grove_letter letter;

    (void)state;
    assert_int_equal(grove_monitor(a, NULL), 0);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    family_wait(3);
    assert_int_equal(grove_receive_await(10, &letter), GROVE_ETIMEDOUT);
    assert_int_equal(grove_supervisor_remove_await(top, a), 0);
    assert_int_equal(grove_receive_await(10, &letter), 0);
    assert_int_equal(letter.down->reason, GROVE_DOWN_STOPPED);
}

/* --- kinds -------------------------------------------------------------------------------------- */

static grove_ref add_kind(char letter, enum grove_child_kind kind)
{
    struct grove_child child = family_child(letter);
    grove_ref ref = GROVE_NOBODY;

    child.rule.kind = kind;
    assert_int_equal(grove_supervisor_add(top, &child, &ref), 0);
    return ref;
}

static void test_who_is_stopped_begins_anew_only_if_it_is_permanent(void **state)
{
    grove_ref p = add_kind('p', GROVE_PERMANENT), t, x;
    unsigned n;

    (void)state;
    family_wait(1);
    t = add_kind('t', GROVE_TRANSIENT);
    family_wait(2);
    x = add_kind('x', GROVE_TEMPORARY);
    family_wait(3);
    assert_int_equal(grove_stop_await(p, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_stop_await(t, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(x, GROVE_STOP_DRAIN), 0);
    family_wait(7);
    assert_string_equal(family.notes, "ptxPpTX");
    assert_int_equal(stage_add(p, 1, NULL), 0);
    assert_int_equal(stage_add(t, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(stage_add(x, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_supervisor_children_await(top, NULL, 0, &n), 0);
    assert_int_equal(n, 1);
}

static void test_a_stop_deadline_ends_with_the_incarnation_that_it_was_for(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100};
    grove_ref p = add_kind('p', GROVE_PERMANENT);

    (void)state;
    assert_int_equal(grove_stop_within(p, GROVE_STOP_DRAIN, 20), 0);
    family_wait(3);
    assert_string_equal(family.notes, "pPp");
    assert_int_equal(stage_perform(p, &nap), 0); /* Far beyond it. */
    family_wait(3);
}

static void test_who_fails_begins_anew_unless_it_is_temporary(void **state)
{
    grove_ref t = add_kind('t', GROVE_TRANSIENT), x = add_kind('x', GROVE_TEMPORARY);

    (void)state;
    assert_int_equal(family_fail(t), GROVE_EDOWN);
    assert_int_equal(family_fail(x), GROVE_EDOWN);
    family_wait(5);
    assert_int_equal(stage_add(t, 1, NULL), 0);
    assert_int_equal(stage_add(x, 1, NULL), GROVE_ENOACTOR);
}

static void test_a_transient_one_that_is_killed_begins_anew(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100000};
    grove_ref t = add_kind('t', GROVE_TRANSIENT);

    (void)state;
    assert_int_equal(stage_send(t, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(t, GROVE_STOP_KILL), 0);
    family_wait(3);
    assert_int_equal(stage_add(t, 1, NULL), 0);
    assert_int_equal(family_info(top, 0).last_reason, GROVE_DOWN_KILLED);
}

static void test_who_is_stopped_while_it_is_down_stays_down_unless_it_is_permanent(void **state)
{
    grove_ref t = add_kind('t', GROVE_TRANSIENT), p = add_kind('p', GROVE_PERMANENT);
    unsigned n;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(family_fail(t), GROVE_EDOWN);
        assert_int_equal(family_fail(p), GROVE_EDOWN);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(grove_stop(t, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop(p, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_sleep_await(200), 0);
    assert_int_equal(stage_add(t, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(stage_add(p, 1, NULL), 0);
    assert_int_equal(grove_supervisor_children_await(top, NULL, 0, &n), 0);
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        family_test(test_a_failed_child_begins_anew_at_once_and_its_ref_stays),
        family_test(
            test_queued_messages_stay_in_order_and_the_one_that_failed_is_not_handled_again),
        family_test(test_the_message_that_failed_is_a_dead_letter),
        family_test(test_the_reason_is_that_of_grove_fail_whatever_failed_after_it),
        family_test(test_restarts_wait_longer_each_time),
        family_test(test_no_restart_waits_longer_than_30_s_nor_all_equally_long),
        family_test(test_a_period_without_failure_makes_the_next_restart_the_first),
        family_test(test_a_call_that_cannot_wait_for_the_restart_fails_at_once_and_others_stay),
        family_test(test_calls_that_are_queued_when_it_fails_are_told_as_well),
        family_test(test_an_init_that_fails_is_begun_again),
        family_test(test_an_error_is_no_failure_unless_the_child_says_so),
        family_test(test_a_type_may_say_that_an_error_is_a_failure_of_all_its_actors),
        family_test(test_a_watcher_is_not_told_of_a_restart_but_of_the_end),
        family_test(test_who_is_stopped_begins_anew_only_if_it_is_permanent),
        family_test(test_a_stop_deadline_ends_with_the_incarnation_that_it_was_for),
        family_test(test_who_fails_begins_anew_unless_it_is_temporary),
        family_test(test_a_transient_one_that_is_killed_begins_anew),
        family_test(test_who_is_stopped_while_it_is_down_stays_down_unless_it_is_permanent),
    };

    return cmocka_run_group_tests(tests, set_up, stage_tear_down);
}
