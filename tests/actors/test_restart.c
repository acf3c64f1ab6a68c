/*
 * Restart: what becomes of all that an actor may have under way when it is
 * begun anew: stash, deferred replies, timers, monitors, name, groups and shields.
 * (Passivation: test_passivate_life.)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "family.h"

static grove_ref top, a;
static grove_token token;

static int set_up(void **state)
{
    family_begin();
    return stage_set_up(state);
}

static int open_family(void **state)
{
    (void)state;
    family_begin();
    top = family_supervisor(GROVE_ONE_FOR_ONE);
    a = family_add(top, 'a');
    assert_int_equal(stage_add(a, 0, NULL), 0);
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

static void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

static int perform(int (*act)(struct play *, struct script *))
{
    struct script script = {.act = act};

    return stage_perform(a, &script);
}

static void restart(void)
{
    assert_int_equal(family_fail(a), GROVE_EDOWN);
    let_pass(1);
    assert_string_equal(family.notes, "aAa");
}

/* --- messages put aside ----------------------------------------------------------------------- */

static int act_stash_first(struct play *me, struct script *script)
{
    (void)me;
    return script->n_runs == 1 ? grove_stash() : 0;
}

static int act_unstash(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_unstash_all();
}

static void test_messages_put_aside_outlive_a_restart_in_order(void **state)
{
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3];
    struct script scripts[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        scripts[i] = (struct script){.act = act_stash_first, .number = i};
        assert_int_equal(stage_start(a, &scripts[i], &responses[i], &futures[i]), 0);
    }
    let_pass(1);
    restart();
    assert_int_equal(perform(act_unstash), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(responses[i].number, i);
        assert_int_equal(scripts[i].n_ends, 2);
    }
}

/* --- deferred replies ------------------------------------------------------------------------- */

static int act_put_off(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_reply_defer(&token);
}

static int act_reply(struct play *me, struct script *script)
{
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;

    (void)me;
    (void)script;
    response.number = 7;
    return play_perform_reply(&token, 0, &response);
}

static void test_a_deferred_reply_fails_at_the_restart_and_its_token_answers_nobody(void **state)
{
    struct script put_off = {.act = act_put_off}, again = {.act = act_put_off};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_token old, fresh;

    (void)state;
    assert_int_equal(stage_start(a, &put_off, &response, &future), 0);
    let_pass(1);
    old = token;
    restart();
    assert_int_equal(grove_future_await(&future), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(stage_start(a, &again, &response, &future), 0);
    let_pass(1);
    fresh = token;
    token = old;
    assert_int_equal(perform(act_reply), GROVE_EUSAGE);
    token = fresh;
    assert_int_equal(perform(act_reply), 0);
    assert_int_equal(grove_future_await(&future), 0);
}

/* --- timers ----------------------------------------------------------------------------------- */

static struct script tick = {.act = act_nothing};

static int act_arm_and_fail(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    (void)script;
    request.script = (uintptr_t)&tick;
    if (play_perform_after(1, 5, &request) != 0 || grove_sleep_await(20) != 0)
        return -EINVAL;
    return grove_fail("on purpose"); /* The tick waits in its mailbox. */
}

static void test_a_tick_that_waits_at_the_restart_is_not_handled_by_the_next_one(void **state)
{
    (void)state;
    tick = (struct script){.act = act_nothing};
    assert_int_equal(perform(act_arm_and_fail), GROVE_EDOWN);
    let_pass(100);
    assert_int_equal(tick.n_runs, 0);
    assert_string_equal(family.notes, "aAa");
}

/* --- monitors --------------------------------------------------------------------------------- */

static unsigned n_downs;

static void count_down(struct play *me, const struct grove_down *down)
{
    (void)me;
    (void)down;
    n_downs++;
}

static int act_watch(struct play *me, struct script *script)
{
    (void)me;
    return grove_monitor(script->to, NULL);
}

static void test_the_monitors_of_an_incarnation_end_with_it(void **state)
{
    static struct play_service watching;
    struct grove_child child = family_child('b');
    struct script watch = {.act = act_watch};
    grove_ref b, first = stage_spawn(NULL), second = stage_spawn(NULL);

    (void)state;
    watching = *(const struct play_service *)child.functions;
    watching.down = count_down;
    child.functions = &watching;
    n_downs = 0;
    assert_int_equal(grove_supervisor_add_await(top, &child, &b), 0);
    watch.to = first;
    assert_int_equal(stage_perform(b, &watch), 0);
    assert_int_equal(family_fail(b), GROVE_EDOWN);
    watch.to = second;
    assert_int_equal(stage_perform(b, &watch), 0);
    assert_int_equal(grove_stop_await(first, GROVE_STOP_NOW), 0);
    let_pass(1);
    assert_int_equal(n_downs, 0);
    assert_int_equal(grove_stop_await(second, GROVE_STOP_NOW), 0);
    let_pass(1);
    assert_int_equal(n_downs, 1);
}

/* --- names and groups ------------------------------------------------------------------------- */

static void test_name_and_groups_outlive_a_restart(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    struct grove_published published;
    grove_ref found, group;
    int64_t total = 0;

    (void)state;
    assert_int_equal(grove_register("phoenix", a), 0);
    assert_int_equal(grove_group_open("birds", &group), 0);
    assert_int_equal(grove_group_join(group, a), 0);
    restart();
    assert_int_equal(grove_whereis("phoenix", &found), 0);
    request.n = 3;
    assert_int_equal(play_add_publish(group, &request, &published), 0);
    assert_int_equal(stage_add(found, 0, &total), 0);
    assert_int_equal(total, 3);
    assert_int_equal(grove_group_close(group), 0);
}

/* --- shields ---------------------------------------------------------------------- */

static int act_leave_open(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    if (grove_shield_begin(1000) != 0)
        return -EINVAL;
    return grove_fail("on purpose");
}

static void test_a_shield_that_a_failure_leaves_open_is_over(void **state)
{
    struct script nap = {.act = act_nap, .ms = 10}, longer = {.act = act_nap, .ms = 500};

    (void)state;
    assert_int_equal(perform(act_leave_open), GROVE_EDOWN);
    assert_int_equal(stage_perform(a, &nap), 0); /* Its successor waits … */
    assert_int_equal(stage_send(a, &longer), 0);
    let_pass(1);
    assert_int_equal(grove_stop(a, GROVE_STOP_KILL), 0);
    let_pass(1);
    assert_int_equal(longer.rc, GROVE_ECANCELED); /* … and is cancelled at once. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        family_test(test_messages_put_aside_outlive_a_restart_in_order),
        family_test(test_a_deferred_reply_fails_at_the_restart_and_its_token_answers_nobody),
        family_test(test_a_tick_that_waits_at_the_restart_is_not_handled_by_the_next_one),
        family_test(test_the_monitors_of_an_incarnation_end_with_it),
        family_test(test_name_and_groups_outlive_a_restart),
        family_test(test_a_shield_that_a_failure_leaves_open_is_over),
    };

    return cmocka_run_group_tests(tests, set_up, stage_tear_down);
}
