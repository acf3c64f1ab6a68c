/*
 * Passivation: an init that fails on waking, supervisors, and several loops.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sleeper.h"

#define AFTER_MS 1000u

static grove_ref a;

static void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

static int set_up(void **state)
{
    sleeper_begin();
    return stage_set_up(state);
}

static int begin_test(void **state)
{
    (void)state;
    sleeper_begin();
    a = sleeper_spawn('a', AFTER_MS, NULL);
    let_pass(1);
    return 0;
}

static int end_test(void **state)
{
    (void)grove_stop_await(a, GROVE_STOP_NOW); /* It may be gone. */
    assert_int_equal(sleepers.n_dirty, 0);
    assert_int_equal(sleeper_count_passive(), 0);
    return stage_check_settled(state);
}

#define sleeper_test(function) cmocka_unit_test_setup_teardown(function, begin_test, end_test)

static int perform(grove_ref who, int (*act)(struct play *, struct script *))
{
    struct script script = {.act = act};

    return stage_perform(who, &script);
}

/* --- an init that fails, and supervisors ------------------------------------------------------ */

static void test_an_init_that_fails_on_waking_ends_it_and_watchers_are_told(void **state)
{
    struct grove_letter letter;

    (void)state;
    assert_int_equal(grove_monitor(a, NULL), 0);
    sleeper_send_to_sleep(a);
    sleepers.n_bad_inits = 1;
    assert_int_equal(stage_add(a, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_receive_await(10, &letter), 0);
    assert_int_equal(letter.down->reason, GROVE_DOWN_FAILED);
    assert_string_equal(letter.down->why, "a does not get up");
    assert_string_equal(sleepers.notes, "aAa");
}

static grove_ref add_child(grove_ref supervisor, char letter)
{
    const struct grove_child child = {
        .service = &play_service_table,
        .functions = &sleeper_functions,
        .argument = &letter,
        .options = {.argument_bytes = 1, .passivate_after_ms = AFTER_MS},
    };
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(grove_supervisor_add(supervisor, &child, &ref), 0);
    return ref;
}

static grove_ref supervise(enum grove_strategy strategy)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(
        grove_supervise(&(struct grove_supervisor_options){.strategy = strategy}, &ref), 0);
    return ref;
}

static struct grove_child_info info_of(grove_ref supervisor, unsigned i)
{
    struct grove_child_info infos[4];
    unsigned n;

    assert_int_equal(grove_supervisor_children_await(supervisor, infos, 4, &n), 0);
    assert_true(i < n);
    return infos[i];
}

static void test_a_supervisor_counts_no_restart_and_an_init_that_fails_is_one(void **state)
{
    grove_ref top = supervise(GROVE_ONE_FOR_ONE), b = add_child(top, 'b');

    (void)state;
    sleeper_send_to_sleep(a);
    sleepers.n_notes = sleepers.n_begun = 0;
    memset(sleepers.notes, 0, sizeof sleepers.notes);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(stage_add(b, 1, NULL), 0);
        let_pass(AFTER_MS * 2);
    }
    assert_string_equal(sleepers.notes, "BbBbBbBbBbBbBbB");
    assert_int_equal(info_of(top, 0).restarts, 0);
    assert_int_equal(info_of(top, 0).state, GROVE_CHILD_UP);
    sleepers.n_bad_inits = 1;
    assert_int_equal(stage_add(b, 1, NULL), 0); /* by the next incarnation */
    assert_int_equal(info_of(top, 0).restarts, 1);
    assert_string_equal(info_of(top, 0).last_why, "b does not get up");
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
}

static int act_break(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("on purpose");
}

static void test_a_passive_child_begins_anew_with_its_group_without_a_second_deinit(void **state)
{
    grove_ref top = supervise(GROVE_ONE_FOR_ALL), b = add_child(top, 'b'), c = add_child(top, 'c');

    (void)state;
    let_pass(1);
    sleeper_send_to_sleep(b);
    assert_int_equal(perform(c, act_break), GROVE_EDOWN);
    let_pass(1);
    assert_string_equal(sleepers.notes, "abcBCbc");
    assert_int_equal(info_of(top, 0).restarts, 1);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleeper_count_passive(), 3);
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
    let_pass(1);
    assert_int_equal(sleeper_count_passive(), 1);
}

static void test_a_passive_child_that_is_stopped_is_begun_anew_if_permanent(void **state)
{
    grove_ref top = supervise(GROVE_ONE_FOR_ONE), b = add_child(top, 'b');

    (void)state;
    let_pass(1);
    sleeper_send_to_sleep(b);
    assert_int_equal(grove_stop(b, GROVE_STOP_NOW), 0);
    let_pass(10);
    assert_string_equal(sleepers.notes, "abBb");
    assert_int_equal(stage_add(b, 1, NULL), 0);
    assert_int_equal(info_of(top, 0).restarts, 1);
    assert_int_equal(grove_supervisor_remove_await(top, b), 0);
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
}

/* --- other loops ------------------------------------------------------------------------------ */

static int act_ask_and_add(struct play *me, struct script *script)
{
    me->total++;
    (void)script;
    return grove_passivate();
}

static void test_over_loops_no_message_is_lost_and_init_and_deinit_alternate(void **state)
{
    enum { N_MESSAGES = 2000 };
    struct script script = {.act = act_ask_and_add};
    unsigned n_notes;

    (void)state;
    stage_open_loops(3);
    sleeper_begin();
    a = sleeper_spawn('a', 1, &(struct grove_spawn_options){.place = GROVE_ON_LOOP(1)});
    for (int i = 0; i < N_MESSAGES; i++) {
        assert_int_equal(stage_perform(a, &script), 0);
        if (i % 16 == 0)
            let_pass(1);
    }
    while (sleeper_count_passive() == 0)
        let_pass(1);
    n_notes = sleepers.n_notes; /* First: whatever was written before its notes can be read now. */
    assert_int_equal(sleepers.saved['a'], N_MESSAGES);
    assert_int_equal(sleepers.n_dirty, 0);
    for (unsigned i = 0; i < n_notes && i < SLEEPER_NOTES - 1; i++)
        assert_int_equal(sleepers.notes[i], i % 2 == 0 ? 'a' : 'A');
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
    assert_int_equal(sleepers.n_notes, n_notes);
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sleeper_test(test_an_init_that_fails_on_waking_ends_it_and_watchers_are_told),
        sleeper_test(test_a_supervisor_counts_no_restart_and_an_init_that_fails_is_one),
        sleeper_test(test_a_passive_child_begins_anew_with_its_group_without_a_second_deinit),
        sleeper_test(test_a_passive_child_that_is_stopped_is_begun_anew_if_permanent),
    };
    const struct CMUnitTest far[] = {
        cmocka_unit_test(test_over_loops_no_message_is_lost_and_init_and_deinit_alternate),
    };
    int n_failed = cmocka_run_group_tests(tests, set_up, stage_tear_down);

    return n_failed + cmocka_run_group_tests(far, NULL, NULL);
}
