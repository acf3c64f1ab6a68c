/*
 * Noyield: regions in which a turn may not park.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/loop.h"
#include "runtime/options.h"
#include "stage.h"
#include "tests/runtime/victim.h"

static grove_ref other;

/* What a region may meet; each returns what its await did. */
static int do_sleep(void)
{
    return grove_sleep_await(1);
}

static int do_yield(void)
{
    return grove_yield_await();
}

static int do_call(void)
{
    return stage_add(other, 1, NULL);
}

static int do_send_await(void)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;

    return play_add_send_await(other, &request); /* There is room. */
}

static int do_future(void)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    struct grove_future future;
    int rc = play_add_start(other, &request, &response, &future);

    return rc != 0 ? rc : grove_future_await(&future);
}

static int do_stop(void)
{
    return grove_stop_await(other, GROVE_STOP_NOW);
}

static int do_spawn(void)
{
    grove_ref ref;

    return play_spawn_await(&stage_player, NULL, NULL, &ref);
}

static int (*const awaits[])(void) = {do_sleep,  do_yield, do_call, do_send_await,
                                      do_future, do_stop,  do_spawn};

static int act_in_region(struct play *me, struct script *script)
{
    (void)me;
    (void)grove_noyield_begin(); /* In a handler it cannot fail. */
    (void)stage_note(script, awaits[script->number]());
    if (script->n_ends == 0)
        script->ms = (uint32_t)grove_noyield_end();
    return 0;
}

static void set_option(const char *value)
{
    char error[GV_OPTION_ERROR_BYTES];

    assert_int_equal(gv_option_set("noyield", value, error), 0);
}

static int set_up_failing(void **state)
{
    (void)stage_set_up(state);
    set_option("0");
    other = stage_spawn("other");
    return 0;
}

/* --- fails ------------------------------------------------------------------------------------ */

static void test_every_await_in_a_region_fails_and_none_has_an_effect(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("one");
    int64_t total = 0;

    for (unsigned i = 0; i < sizeof awaits / sizeof awaits[0]; i++) {
        struct script script = {.act = act_in_region, .number = i};

        assert_int_equal(stage_perform(ref, &script), 0);
        assert_int_equal(script.rc, GROVE_EYIELD);
        assert_int_equal(script.failure.code, GROVE_EYIELD);
        assert_int_equal(script.ms, 0); /* The region was still open. */
    }
    assert_int_equal(stage_add(other, 0, &total), 0);
    /* A future that was started is a message, and no yield; it was cancelled or handled. */
    assert_in_range(total, 0, 1);
}

static int act_nest(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_noyield_end();
    if (grove_noyield_begin() != 0 || grove_noyield_begin() != 0 || grove_noyield_end() != 0)
        return -EIO;
    if (grove_sleep_await(1) != GROVE_EYIELD || grove_noyield_end() != 0)
        return -EIO;
    return grove_sleep_await(1);
}

static void test_regions_may_be_nested_and_end_with_the_outermost(void **state)
{
    (void)state;
    struct script script = {.act = act_nest};

    assert_int_equal(stage_perform(stage_spawn("one"), &script), 0);
    assert_int_equal(script.rc, GROVE_EUSAGE);
}

static void test_main_and_greenlets_have_regions_too(void **state)
{
    (void)state;
    unsigned long long began_ms = stage_now_ms();

    assert_int_equal(grove_noyield_begin(), 0);
    assert_int_equal(grove_sleep_await(50), GROVE_EYIELD);
    assert_int_equal(stage_add(other, 1, NULL), GROVE_EYIELD);
    assert_int_equal(grove_noyield_end(), 0);
    assert_int_equal(stage_now_ms(), began_ms);
    assert_int_equal(grove_noyield_end(), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "no region is open"));
    assert_int_equal(grove_sleep_await(1), 0);
}

static void test_a_forgotten_region_ends_with_its_turn(void **state)
{
    (void)state;
    struct script forgets = {.act = act_in_region, .n_ends = 1}, nap = {.act = act_nap, .ms = 5};
    grove_ref ref = stage_spawn("one");

    assert_int_equal(stage_perform(ref, &forgets), 0);
    assert_int_equal(forgets.rc, GROVE_EYIELD);
    assert_int_equal(gv_loop_here->n_noyield, 0);
    assert_int_equal(stage_perform(ref, &nap), 0);
    assert_int_equal(nap.rc, 0);
    assert_int_equal(grove_sleep_await(1), 0);
}

/* --- aborts ----------------------------------------------------------------------------------- */

static struct script *broken;

static void break_it(void)
{
    stage_open();
    set_option("1");
    other = stage_spawn("other");
    (void)stage_perform(stage_spawn("hasty"), broken); /* It ends here. */
}

/* Runs it in a child whose option says abort; returns the signal that ended it. */
static int signal_that_ended(struct script *script)
{
    broken = script;
    return signal_of(break_it);
}

static void test_an_abort_names_actor_method_and_await(void **state)
{
    (void)state;
    struct script sleeps = {.act = act_in_region}, calls = {.act = act_in_region, .number = 2},
                  forgets = {.act = act_in_region, .number = 2, .n_ends = 1};

    assert_int_equal(signal_that_ended(&sleeps), SIGABRT);
    assert_reported("play/hasty: grove_sleep_await inside a no-yield region of "
                    "play.v1.PlayService/Perform");
    assert_int_equal(signal_that_ended(&calls), SIGABRT);
    assert_reported("play/hasty: the _await of a call inside a no-yield region of");
    assert_int_equal(signal_that_ended(&forgets), SIGABRT);
}

static int act_forget(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_noyield_begin();
}

static void test_an_end_that_was_forgotten_is_reported(void **state)
{
    (void)state;
    struct script forgets = {.act = act_forget};

    assert_int_equal(signal_that_ended(&forgets), SIGABRT);
    assert_reported("play/hasty: its turn ended inside a no-yield region of "
                    "play.v1.PlayService/Perform");
}

#define failing(test) cmocka_unit_test_setup_teardown(test, set_up_failing, stage_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        failing(test_every_await_in_a_region_fails_and_none_has_an_effect),
        failing(test_regions_may_be_nested_and_end_with_the_outermost),
        failing(test_main_and_greenlets_have_regions_too),
        failing(test_a_forgotten_region_ends_with_its_turn),
        cmocka_unit_test(test_an_abort_names_actor_method_and_await),
        cmocka_unit_test(test_an_end_that_was_forgotten_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
