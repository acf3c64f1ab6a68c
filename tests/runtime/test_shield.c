/*
 * Shield: nesting, bounds, and what is done wrong; in greenlets, without any actor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove/call.h>
#include <grove/cancel.h>
#include <grove/task.h>

#include "ground.h"

static struct {
    int rc[12];
    uint32_t remaining_ms[4];
    bool cancelled[4];
    unsigned n;
    bool done;
} seen;

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    ground_open(NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ground_drain();
    ground_close();
    return 0;
}

/* Runs function as a greenlet, stops it after 5 ms, and waits for its end. */
static void run_stopped(grove_go_fn function)
{
    grove_ref ref;

    assert_int_equal(grove_go(function, NULL, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(seen.rc[0], 0);
    gv_task_cancel(gv_loop_here, gv_slot_find(gv_ref_id(ref)));
    ground_drain();
    assert_true(seen.done);
}

static void nest(void *argument)
{
    (void)argument;
    seen.rc[0] = grove_shield_begin(1000);
    seen.rc[1] = grove_sleep_await(10); /* stopped meanwhile */
    seen.cancelled[0] = grove_cancelled();
    seen.rc[2] = grove_shield_begin(20);
    seen.remaining_ms[0] = grove_remaining_ms();
    seen.rc[3] = grove_sleep_await(100); /* the inner time is over */
    seen.rc[4] = grove_sleep_await(1);
    grove_shield_end();
    seen.remaining_ms[1] = grove_remaining_ms();
    seen.rc[5] = grove_sleep_await(10); /* the outer one is not */
    seen.rc[6] = grove_shield_begin(50000);
    seen.remaining_ms[2] = grove_remaining_ms(); /* An inner one only narrows. */
    grove_shield_end();
    grove_shield_end();
    seen.remaining_ms[3] = grove_remaining_ms();
    seen.rc[7] = grove_sleep_await(1);
    seen.cancelled[1] = grove_cancelled();
    seen.done = true;
}

static void test_an_inner_shield_narrows_and_the_outer_one_goes_on(void **state)
{
    (void)state;
    run_stopped(nest);
    assert_int_equal(seen.rc[1], 0);
    assert_true(seen.cancelled[0]);
    assert_int_equal(seen.rc[2], 0);
    assert_in_range(seen.remaining_ms[0], 15, 21);
    assert_int_equal(seen.rc[3], GROVE_ECANCELED);
    assert_int_equal(seen.rc[4], GROVE_ECANCELED);
    assert_in_range(seen.remaining_ms[1], 900, 1000);
    assert_int_equal(seen.rc[5], 0);
    assert_int_equal(seen.rc[6], 0);
    assert_in_range(seen.remaining_ms[2], 900, 1000);
    assert_int_equal(seen.remaining_ms[3], GROVE_INFINITE);
    assert_int_equal(seen.rc[7], GROVE_ECANCELED);
    assert_true(seen.cancelled[1]);
}

static void again(void *argument)
{
    (void)argument;
    seen.rc[0] = grove_sleep_await(1);
    seen.rc[1] = grove_sleep_await(100); /* stopped */
    for (unsigned i = 0; i < 3; i++) {
        seen.rc[2 + i] = grove_shield_begin(20) != 0;
        seen.rc[5 + i] = grove_sleep_await(10);
        grove_shield_end();
        seen.rc[8 + i] = grove_sleep_await(1);
    }
    seen.done = true;
}

static void test_who_was_cancelled_before_may_put_one_up_after_the_other(void **state)
{
    (void)state;
    run_stopped(again);
    assert_int_equal(seen.rc[1], GROVE_ECANCELED);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen.rc[2 + i], 0);
        assert_int_equal(seen.rc[5 + i], 0);
        assert_int_equal(seen.rc[8 + i], GROVE_ECANCELED);
    }
}

static void do_wrong(void *argument)
{
    (void)argument;
    seen.rc[0] = grove_shield_begin(0);
    seen.rc[1] = grove_shield_begin(GROVE_SHIELD_MAX_MS + 1);
    grove_shield_end(); /* There is none. */
    seen.rc[2] = strstr(grove_why(), "no shield is open") != NULL;
    while ((seen.rc[3] = grove_shield_begin(GROVE_SHIELD_MAX_MS)) == 0)
        seen.n++;
    seen.rc[4] = strstr(grove_why(), "grove_shield_end missing") != NULL;
    seen.done = true;
    /* All are left open. */
}

static void test_what_is_no_shield_is_told_with_the_reason(void **state)
{
    (void)state;
    assert_int_equal(grove_go(do_wrong, NULL, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_true(seen.done);
    assert_int_equal(seen.rc[0], GROVE_EUSAGE);
    assert_int_equal(seen.rc[1], GROVE_EUSAGE);
    assert_int_equal(seen.rc[2], 1);
    assert_int_equal(seen.rc[3], GROVE_EUSAGE);
    assert_int_equal(seen.rc[4], 1);
    assert_int_equal(seen.n, GROVE_SHIELDS_MAX);
    /* No timer is left of the turn that is gone. */
    assert_int_equal(gv_loop_here->wheel.n_armed, 0);
}

static void test_outside_of_any_turn_there_is_nothing_to_shield(void **state)
{
    (void)state;
    /* In a unit test of a handler, say. */
    assert_false(grove_cancelled());
    grove_shield_end();
    assert_int_equal(grove_shield_begin(10), GROVE_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_inner_shield_narrows_and_the_outer_one_goes_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_who_was_cancelled_before_may_put_one_up_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_shield_is_told_with_the_reason, set_up,
                                        tear_down),
        cmocka_unit_test(test_outside_of_any_turn_there_is_nothing_to_shield),
    };

    return cmocka_run_group_tests_name("shield", tests, NULL, NULL);
}
