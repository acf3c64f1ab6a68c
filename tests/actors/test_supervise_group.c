/*
 * Supervision: groups, trees, escalation; children that come and go.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "family.h"

static grove_ref top, a, b, c;

static int open_group(void **state, enum grove_strategy strategy)
{
    (void)state;
    family_begin();
    top = family_supervisor(strategy);
    a = family_add(top, 'a');
    family_wait(1);
    b = family_add(top, 'b');
    family_wait(2);
    c = family_add(top, 'c');
    family_wait(3);
    return 0;
}

static int open_one(void **state)
{
    return open_group(state, GROVE_ONE_FOR_ONE);
}

static int open_all(void **state)
{
    return open_group(state, GROVE_ONE_FOR_ALL);
}

static int open_rest(void **state)
{
    return open_group(state, GROVE_REST_FOR_ONE);
}

static int close_group(void **state)
{
    int rc = grove_stop_await(top, GROVE_STOP_NOW);

    assert_true(rc == 0 || rc == GROVE_ENOACTOR);
    assert_int_equal(family.n_overlaps, 0);
    for (unsigned i = 0; i < 128; i++)
        assert_int_equal(family.n_living[i], 0);
    return stage_check_settled(state);
}

#define one_test(function)  cmocka_unit_test_setup_teardown(function, open_one, close_group)
#define all_test(function)  cmocka_unit_test_setup_teardown(function, open_all, close_group)
#define rest_test(function) cmocka_unit_test_setup_teardown(function, open_rest, close_group)

/* --- groups ------------------------------------------------------------------------------------- */

static void test_one_for_one_leaves_the_others_alone(void **state)
{
    (void)state;
    assert_int_equal(family_fail(b), GROVE_EDOWN);
    family_wait(5);
    assert_string_equal(family.notes, "abcBb");
}

static void test_one_for_all_rests_all_in_reverse_and_begins_them_in_order(void **state)
{
    (void)state;
    family.nap_ms['c'] = 20; /* However long one takes, the next waits for it. */
    family.nap_ms['a'] = 20;
    assert_int_equal(family_fail(b), GROVE_EDOWN);
    family_wait(9);
    assert_string_equal(family.notes, "abcBCAabc");
    assert_int_equal(stage_add(a, 1, NULL), 0);
    assert_int_equal(stage_add(c, 1, NULL), 0);
    assert_int_equal(family_info(top, 1).last_reason, GROVE_DOWN_FAILED);
    assert_int_equal(family_info(top, 0).restarts, 1);
}

static void test_rest_for_one_rests_those_behind_it(void **state)
{
    (void)state;
    assert_int_equal(family_fail(b), GROVE_EDOWN);
    family_wait(7);
    assert_string_equal(family.notes, "abcBCbc");
    assert_int_equal(family_info(top, 0).restarts, 0);
}

static int act_fail_beside(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, stage_add(script->to, 1, NULL));
}

static void test_who_calls_one_of_its_group_that_is_down_does_not_hold_the_group_up(void **state)
{
    struct script nap = {.act = act_nap, .ms = 5}, calls = {.act = act_fail_beside},
                  fails = {.act = act_fail};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    calls.to = a;
    assert_int_equal(stage_send(a, &nap), 0);
    assert_int_equal(stage_send(a, &fails), 0);
    assert_int_equal(stage_send(b, &calls), 0); /* It waits behind what fails. */
    family_wait(9);
    assert_true(stage_now_ms() - begin_ms < 100);
    assert_int_equal(calls.rc, GROVE_EDOWN);
    assert_int_equal(calls.failure.started, GROVE_STARTED_NO);
    assert_string_equal(family.notes, "abcACBabc");
}

static void test_who_does_not_rest_in_time_is_killed(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1000000};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(stage_send(c, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    family_wait(9);
    assert_string_equal(family.notes, "abcACBabc");
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_true(stage_now_ms() - begin_ms >= 5000 && stage_now_ms() - begin_ms < 5100);
    assert_int_equal(family_info(top, 2).last_reason, GROVE_DOWN_KILLED);
}

static void test_messages_of_those_that_rest_stay(void **state)
{
    struct script nap = {.act = act_nap, .ms = 5}, later = {.act = act_nothing};

    (void)state;
    assert_int_equal(stage_send(c, &nap), 0);
    assert_int_equal(stage_send(c, &later), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    assert_int_equal(stage_send(c, &later), 0);
    family_wait(9);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(later.n_runs, 2);
}

static void test_a_group_begins_again_when_one_fails_to_begin(void **state)
{
    (void)state;
    family.n_bad_inits['b'] = 1;
    assert_int_equal(family_fail(c), GROVE_EDOWN);
    family_wait(12);
    /* c, b, a rest; a begins, b does not: a rests; then all begin. */
    assert_string_equal(family.notes, "abcCBAabAabc");
}

/* --- the end ------------------------------------------------------------------------------------ */

static void test_a_supervisor_stops_its_children_in_reverse(void **state)
{
    (void)state;
    family.nap_ms['c'] = 10;
    assert_int_equal(grove_stop_await(top, GROVE_STOP_DRAIN), 0);
    family_wait(6);
    assert_string_equal(family.notes, "abcCBA");
    assert_int_equal(stage_add(a, 1, NULL), GROVE_ENOACTOR);
}

static void test_a_supervisor_that_stops_takes_no_child_and_says_so(void **state)
{
    struct grove_child child = family_child('d');
    struct script nap = {.act = act_nap, .ms = 5};
    grove_ref d;

    (void)state;
    assert_int_equal(stage_send(c, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(top, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_supervisor_add_await(top, &child, &d), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_supervisor_add_await(top, &child, &d), GROVE_ENOACTOR);
    stage_settle();
    assert_string_equal(family.notes, "abcCBA");
}

static void test_a_supervisor_that_drains_lets_its_children_handle_what_they_have(void **state)
{
    struct script nap = {.act = act_nap, .ms = 5}, later = {.act = act_nothing};

    (void)state;
    assert_int_equal(stage_send(b, &nap), 0);
    assert_int_equal(stage_send(b, &later), 0);
    assert_int_equal(grove_stop_await(top, GROVE_STOP_DRAIN), 0);
    assert_int_equal(later.n_runs, 1);
}

static void test_too_many_failures_end_the_process_with_70(void **state)
{
    struct grove_letter letter;

    (void)state;
    assert_int_equal(grove_monitor(top, NULL), 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(family_quit_with, 0);
        assert_int_equal(family_fail(b), GROVE_EDOWN);
        assert_int_equal(grove_sleep_await(450), 0);
    }
    assert_int_equal(family_quit_with, GROVE_EXIT_ESCALATED);
    family_quit_with = 0;
    assert_int_equal(grove_receive_await(1000, &letter), 0);
    assert_int_equal(letter.down->reason, GROVE_DOWN_ESCALATED);
    assert_non_null(strstr(letter.down->why, "play/b was begun anew 5 times in 30000 ms"));
    assert_non_null(strstr(letter.down->why, "on purpose"));
    assert_int_equal(stage_add(a, 1, NULL), GROVE_ENOACTOR);
}

/* --- trees -------------------------------------------------------------------------------------- */

static grove_ref sub_supervisor(enum grove_strategy strategy, struct grove_restart_rule rule)
{
    struct grove_supervisor_options options = {
        .strategy = strategy, .parent = top, .rule = rule, .label = "below"};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(grove_supervise(&options, &ref), 0);
    return ref;
}

static void test_a_supervisor_that_gives_up_is_begun_anew_by_its_parent(void **state)
{
    grove_ref below = sub_supervisor(GROVE_ONE_FOR_ONE, (struct grove_restart_rule){0}), x, y;
    struct grove_child frail = family_child('x');
    struct grove_child_info info;

    (void)state;
    frail.rule.restarts_max = 1;
    assert_int_equal(grove_supervisor_add(below, &frail, &x), 0);
    family_wait(4);
    y = family_add(below, 'y');
    family_wait(5);
    assert_int_equal(family_fail(x), GROVE_EDOWN);
    family_wait(7);
    assert_int_equal(family_fail(x), GROVE_EDOWN);
    family_wait(11);
    assert_int_equal(strncmp(family.notes, "abcxyXxXY", 9), 0); /* then both, one for one */
    info = family_info(top, 3);
    assert_true(info.is_supervisor);
    assert_int_equal(info.restarts, 1);
    assert_int_equal(info.last_reason, GROVE_DOWN_ESCALATED);
    assert_string_equal(info.label, "supervisor/below");
    assert_int_equal(stage_add(x, 1, NULL), 0);
    assert_int_equal(stage_add(y, 1, NULL), 0);
    assert_int_equal(family_quit_with, 0);
}

static void test_a_tree_rests_and_begins_as_a_whole(void **state)
{
    grove_ref below = sub_supervisor(GROVE_ONE_FOR_ALL, (struct grove_restart_rule){0});

    (void)state;
    (void)family_add(below, 'x'); /* Nobody calls them. */
    (void)family_add(below, 'y');
    family_wait(5);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    family_wait(15);
    assert_string_equal(family.notes, "abcxyAYXCBabcxy");
}

static void test_failures_climb_to_the_root(void **state)
{
    grove_ref below =
                  sub_supervisor(GROVE_ONE_FOR_ONE, (struct grove_restart_rule){.restarts_max = 1}),
              x;
    struct grove_child frail = family_child('x');

    (void)state;
    frail.rule.restarts_max = 1;
    assert_int_equal(grove_supervisor_add(below, &frail, &x), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(family_quit_with, 0);
        assert_int_equal(family_fail(x), GROVE_EDOWN);
        assert_int_equal(grove_sleep_await(500), 0);
    }
    assert_int_equal(family_quit_with, GROVE_EXIT_ESCALATED);
    family_quit_with = 0;
}

/* --- coming and going --------------------------------------------------------------------------- */

static void test_children_can_be_listed_and_removed(void **state)
{
    struct grove_child_info infos[2];
    unsigned n;

    (void)state;
    assert_int_equal(grove_supervisor_remove_await(top, b), 0);
    assert_string_equal(family.notes, "abcB");
    assert_int_equal(grove_supervisor_remove_await(top, b), GROVE_ENOACTOR);
    assert_int_equal(grove_supervisor_children_await(top, infos, 2, &n), 0);
    assert_int_equal(n, 2);
    assert_true(grove_ref_equal(infos[0].ref, a) && grove_ref_equal(infos[1].ref, c));
    assert_string_equal(infos[1].label, "play/c");
    assert_int_equal(infos[0].state, GROVE_CHILD_UP);
    assert_int_equal(grove_supervisor_children_await(top, infos, 1, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(stage_add(b, 1, NULL), GROVE_ENOACTOR);
}

static void test_add_await_returns_what_init_returned_and_keeps_no_child_that_failed(void **state)
{
    struct grove_child child = family_child('d');
    grove_ref d = GROVE_NOBODY;
    unsigned n;

    (void)state;
    assert_int_equal(grove_supervisor_add_await(top, &child, &d), 0);
    assert_string_equal(family.notes, "abcd");
    child = family_child('e');
    family.n_bad_inits['e'] = 1;
    assert_int_equal(grove_supervisor_add_await(top, &child, &d), GROVE_EDOWN);
    assert_string_equal(grove_why(), "e does not get up");
    assert_int_equal(grove_supervisor_children_await(top, NULL, 0, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(stage_add(d, 1, NULL), GROVE_ENOACTOR);
}

static void test_a_wrong_wish_is_told_what_is_wrong(void **state)
{
    struct grove_child child = family_child('d');
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_supervisor_add(ref, &child, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "grove_supervise"));
    assert_int_equal(grove_supervisor_add(GROVE_NOBODY, &child, NULL), GROVE_ENOACTOR);
    child.rule.restarts_max = 65;
    assert_int_equal(grove_supervisor_add(top, &child, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "64"));
    child = (struct grove_child){0};
    assert_int_equal(grove_supervisor_add(top, &child, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "service"));
    assert_int_equal(grove_supervise(&(struct grove_supervisor_options){.strategy = 7}, NULL),
                     GROVE_EUSAGE);
    assert_int_equal(stage_add(top, 1, NULL), GROVE_ENOTSUP);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
}

/* --- over loops --------------------------------------------------------------------------------- */

static void test_a_supervisor_of_one_loop_has_children_on_the_other(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct grove_supervisor_options options = {.strategy = GROVE_ONE_FOR_ALL,
                                                   .place = GROVE_ON_LOOP(round % 2)};
        struct grove_child children[2] = {family_child('a'), family_child('b')};
        grove_ref refs[2];

        family_begin();
        assert_int_equal(grove_supervise(&options, &top), 0);
        for (unsigned i = 0; i < 2; i++) {
            children[i].options.place = GROVE_ON_LOOP((round / 2 + i) % 2);
            assert_int_equal(grove_supervisor_add(top, &children[i], &refs[i]), 0);
        }
        family_wait(2);
        assert_int_equal(family_fail(refs[0]), GROVE_EDOWN);
        family_wait(6);
        assert_string_equal(family.notes, "abABab");
        assert_int_equal(stage_add(refs[0], 1, NULL), 0);
        assert_int_equal(stage_add(refs[1], 1, NULL), 0);
        assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
        assert_string_equal(family.notes, "abABabBA");
    }
}

static void test_the_end_of_grove_stops_a_tree_in_reverse(void **state)
{
    (void)state;
    family_begin();
    top = family_supervisor(GROVE_ONE_FOR_ALL);
    (void)family_add(top, 'a'); /* Nobody calls them. */
    (void)family_add(top, 'b');
    family_wait(2);
}

static int close_and_look(void **state)
{
    int rc = stage_tear_down(state);

    assert_string_equal(family.notes, "abBA");
    return rc;
}

/* --- who does not go when killed ---------------------------------------------------------------- */

static unsigned n_cleaned;

static void clean_up(void *unused)
{
    (void)unused;
    n_cleaned++;
    stage_abandoned();
}

static int hold_out(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    if (grove_defer(clean_up, NULL) != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(GROVE_SHIELD_MAX_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

/* The last of all that failed begins anew only when it is gone: a killed child is given a second. */
static void
test_a_killed_child_that_holds_out_is_abandoned_and_begun_anew_with_its_mail(void **state)
{
    struct script script = {.act = hold_out}, next = {.act = act_nothing};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    n_cleaned = 0;
    assert_int_equal(stage_send(c, &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(c, &next), 0);
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    family_wait(9); /* abc, then C when it was abandoned, B, A, abc */
    assert_string_equal(family.notes, "abcACBabc");
    assert_in_range(stage_now_ms() - begin_ms, 6000, 6100);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(script.n_ends, 0);
    assert_int_equal(next.n_ends, 1);
}

static void test_a_killed_child_that_holds_out_can_be_removed(void **state)
{
    struct script script = {.act = hold_out};

    (void)state;
    n_cleaned = 0;
    assert_int_equal(stage_send(b, &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    grove_within(10000);
    assert_int_equal(grove_supervisor_remove_await(top, b), 0);
    assert_int_equal(n_cleaned, 1);
    assert_string_equal(family.notes, "abcB");
}

int main(void)
{
    const struct CMUnitTest one_loop[] = {
        one_test(test_one_for_one_leaves_the_others_alone),
        all_test(test_one_for_all_rests_all_in_reverse_and_begins_them_in_order),
        rest_test(test_rest_for_one_rests_those_behind_it),
        all_test(test_who_calls_one_of_its_group_that_is_down_does_not_hold_the_group_up),
        all_test(test_who_does_not_rest_in_time_is_killed),
        all_test(test_messages_of_those_that_rest_stay),
        all_test(test_a_group_begins_again_when_one_fails_to_begin),
        one_test(test_a_supervisor_stops_its_children_in_reverse),
        one_test(test_a_supervisor_that_stops_takes_no_child_and_says_so),
        one_test(test_a_supervisor_that_drains_lets_its_children_handle_what_they_have),
        one_test(test_too_many_failures_end_the_process_with_70),
        one_test(test_a_supervisor_that_gives_up_is_begun_anew_by_its_parent),
        all_test(test_a_tree_rests_and_begins_as_a_whole),
        one_test(test_failures_climb_to_the_root),
        one_test(test_children_can_be_listed_and_removed),
        one_test(test_add_await_returns_what_init_returned_and_keeps_no_child_that_failed),
        one_test(test_a_wrong_wish_is_told_what_is_wrong),
        all_test(test_a_killed_child_that_holds_out_is_abandoned_and_begun_anew_with_its_mail),
        one_test(test_a_killed_child_that_holds_out_can_be_removed),
    };
    const struct CMUnitTest two_loops[] = {
        stage_test(test_a_supervisor_of_one_loop_has_children_on_the_other),
    };
    const struct CMUnitTest last[] = {
        stage_test(test_the_end_of_grove_stops_a_tree_in_reverse),
    };
    int n_failed = cmocka_run_group_tests(one_loop, stage_set_up, stage_tear_down);

    n_failed += cmocka_run_group_tests(two_loops, stage_set_up_two_loops, stage_tear_down);
    return n_failed + cmocka_run_group_tests(last, stage_set_up_two_loops, close_and_look);
}
