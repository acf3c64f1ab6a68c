/*
 * Abandonment on stacks that several turns share; nothing may be left behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "left.h"
#include "stage.h"

#define NEVER_MS 1000000u

/* On a stage of its own, where no rpc has parked yet: so what is called runs on its caller's stack. */
static int open_and_look(void **state)
{
    stage_open();
    return left_look_before(state);
}

static int look_and_close(void **state)
{
    (void)left_look_after(state);
    stage_close();
    return 0;
}

#define fresh_test(function) \
    cmocka_unit_test_setup_teardown(function, open_and_look, look_and_close)

static unsigned n_cleaned;

static void clean_up(void *script)
{
    n_cleaned++;
    ((struct script *)script)->n_ends++;
    stage_abandoned();
}

/* Sleeps on whatever comes. */
static int insist(struct play *me, struct script *script)
{
    (void)me;
    grove_within(GROVE_INFINITE);
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

/* Waits once; does what it is told. */
static int give_in(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_sleep_await(NEVER_MS));
}

static int relay_and_insist(struct play *me, struct script *script)
{
    (void)me;
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    grove_within(GROVE_INFINITE);
    (void)stage_perform(script->to, script->next);
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_a_caller_below_on_the_same_stack_leaves_and_its_callee_goes_on_alone(void **state)
{
    struct script top = {.act = give_in}, middle = {.act = act_relay, .next = &top};
    struct script base = {.act = relay_and_insist, .next = &middle};
    grove_ref ref = stage_spawn("base");

    (void)state;
    n_cleaned = 0;
    base.to = stage_spawn("middle");
    middle.to = stage_spawn("top");
    assert_int_equal(stage_send(ref, &base), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(top.n_runs, 1);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_sleep_await(1), 0);
    /* Whom nobody waits for is cancelled; and both live on. */
    assert_int_equal(top.n_ends, 1);
    assert_int_equal(top.rc, GROVE_ECANCELED);
    assert_int_equal(middle.n_ends, 1);
    assert_int_equal(stage_add(base.to, 1, NULL), 0);
    assert_int_equal(stage_add(middle.to, 1, NULL), 0);
    assert_int_equal(grove_stop_await(base.to, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(middle.to, GROVE_STOP_NOW), 0);
}

static void test_one_above_another_on_the_same_stack_is_taken_away_and_that_goes_on(void **state)
{
    (void)state;
    for (int mode = GROVE_STOP_DRAIN; mode <= GROVE_STOP_KILL; mode++) {
        struct script top = {.act = insist};
        struct script base = {.act = act_relay, .next = &top};
        grove_ref ref = stage_spawn("base");

        n_cleaned = 0;
        base.to = stage_spawn("top");
        assert_int_equal(stage_send(ref, &base), 0);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_stop_within_await(base.to, (enum grove_stop_mode)mode, 5), 0);
        assert_int_equal(n_cleaned, 1);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(base.n_ends, 1);
        assert_int_equal(base.rc, GROVE_EDOWN);
        assert_int_equal(base.failure.started, GROVE_STARTED_YES);
        assert_non_null(strstr(base.text, "stop deadline"));
        assert_int_equal(stage_add(ref, 1, NULL), 0);
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    }
}

static void test_one_between_two_others_goes_when_the_one_above_it_has_returned(void **state)
{
    struct script top = {.act = give_in}, middle = {.act = relay_and_insist, .next = &top};
    struct script base = {.act = act_relay, .next = &middle};
    grove_ref ref = stage_spawn("base");

    (void)state;
    n_cleaned = 0;
    base.to = stage_spawn("middle");
    middle.to = stage_spawn("top");
    assert_int_equal(stage_send(ref, &base), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(top.n_runs, 1);
    assert_int_equal(grove_stop_within_await(base.to, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(top.rc, GROVE_ECANCELED);
    assert_int_equal(middle.n_ends, 1); /* counted by its clean-up alone */
    assert_int_equal(base.rc, GROVE_EDOWN);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(stage_add(middle.to, 1, NULL), 0);
    assert_int_equal(grove_stop_await(middle.to, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

static void go_stop(void *argument)
{
    const grove_ref *ref = argument;

    (void)grove_sleep_await(1);
    (void)grove_stop_within(*ref, GROVE_STOP_NOW, 5);
}

static void test_one_that_main_has_called_on_its_own_stack(void **state)
{
    struct script top = {.act = insist};
    grove_ref ref = stage_spawn("top");

    (void)state;
    n_cleaned = 0;
    assert_int_equal(grove_go(go_stop, &ref, NULL, NULL), 0);
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_perform(ref, &top), GROVE_EDOWN);
    assert_non_null(strstr(grove_why(), "stop deadline"));
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh_test(test_a_caller_below_on_the_same_stack_leaves_and_its_callee_goes_on_alone),
        fresh_test(test_one_above_another_on_the_same_stack_is_taken_away_and_that_goes_on),
        fresh_test(test_one_between_two_others_goes_when_the_one_above_it_has_returned),
        fresh_test(test_one_that_main_has_called_on_its_own_stack),
    };

    return cmocka_run_group_tests_name("abandon, stacks", tests, NULL, NULL);
}
