/*
 * Alarm: the end of timers, where they may be armed, and several loops.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alarms.h"
#include "runtime/loop.h"

/* --- life ------------------------------------------------------------------------------------- */

static void test_timers_end_with_their_actor(void **state)
{
    (void)state;
    struct script script = {.act = act_outwait, .n_ends = 1};
    struct grove_loop_stats stats;
    grove_ref ref = stage_spawn("one");

    assert_int_equal(stage_send(ref, &script), 0);
    let_pass(10); /* One tick waits in its mailbox, and it sleeps. */
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(gv_loop_here->wheel.n_armed, 0);
    let_pass(100);
    assert_int_equal(seen.n, 0);
    assert_int_equal(grove_loop_stats(0, &stats), 0);
    assert_int_equal(stats.dead_letters, 0);
}

static void test_an_actor_that_is_drained_gets_no_further_ticks(void **state)
{
    (void)state;
    struct script nap = {.act = act_nap, .ms = 50};
    grove_ref ref = stage_spawn("one");

    arm(ref, 10, GROVE_FIXED_RATE);
    assert_int_equal(stage_send(ref, &nap), 0);
    let_pass(1);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(seen.n, 0);
}

/* --- where they may be armed ------------------------------------------------------------------ */

static void test_main_has_no_timers_and_is_told_why(void **state)
{
    (void)state;
    Play__V1__PerformRequest request = request_for(&tick);
    struct grove_timer_state timer;

    assert_int_equal(play_perform_after(1, 10, &request), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "main has no mailbox"));
    assert_false(grove_timer_cancel(1));
    assert_false(grove_timer_look(1, &timer));
}

static int act_arm_wrongly(struct play *me, struct script *script)
{
    Play__V1__PerformRequest perform = request_for(&tick);
    Play__V1__RefuseRequest refuse = PLAY__V1__REFUSE_REQUEST__INIT;

    (void)me;
    (void)stage_note(script, script->number == 0
                                 ? stranger_refuse_after(1, 10, &refuse)
                                 : play_perform_every(1, 0, GROVE_FIXED_RATE, &perform));
    return 0;
}

static void test_a_timer_that_cannot_be_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct script strange = {.act = act_arm_wrongly},
                  period = {.act = act_arm_wrongly, .number = 1};
    grove_ref ref = stage_spawn("one");

    assert_int_equal(stage_perform(ref, &strange), 0);
    assert_int_equal(strange.rc, GROVE_EUSAGE);
    assert_non_null(strstr(strange.text, "no function for play.v1.StrangerService/Refuse"));
    assert_int_equal(stage_perform(ref, &period), 0);
    assert_int_equal(period.rc, GROVE_EUSAGE);
    assert_non_null(strstr(period.text, "at least 1 ms"));
}

static struct {
    unsigned n_ticks, n_others;
    int rc;
    bool canceled, done;
} reader;

static void go_reader(void *argument)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    struct grove_letter letter;

    (void)argument;
    request.n = 7;
    reader.rc = play_add_every(1, 10, GROVE_FIXED_RATE, &request);
    if (reader.rc == 0)
        reader.rc = play_add_after(2, 35, &request);
    while (reader.rc == 0 && reader.n_ticks < 5) {
        reader.rc = grove_receive_await(1000, &letter);
        if (reader.rc == 0 && ((const Play__V1__AddRequest *)letter.request)->n == 7
            && grove_ref_equal(letter.from, grove_self()))
            reader.n_ticks++;
    }
    (void)grove_sleep_await(15); /* The next one waits by now. */
    reader.canceled = grove_timer_cancel(1);
    while (grove_receive_await(100, &letter) == 0)
        reader.n_others++;
    reader.done = true;
}

static void test_a_greenlet_receives_its_ticks_as_letters(void **state)
{
    (void)state;
    memset(&reader, 0, sizeof reader);
    assert_int_equal(grove_go(go_reader, NULL, NULL, NULL), 0);
    let_pass(500);
    assert_true(reader.done);
    assert_int_equal(reader.rc, 0);
    assert_int_equal(reader.n_ticks, 5);
    assert_true(reader.canceled);
    assert_int_equal(reader.n_others, 0);
}

/* --- several loops ---------------------------------------------------------------------------- */

static struct {
    _Atomic unsigned n_armed, n_right, n_wrong, n_lent;
    int64_t last; /* number of the timer that is armed; the actor's alone */
} racing;

static int act_tick_numbered(struct play *me, struct script *script)
{
    (void)me;
    if (script->number == racing.last)
        racing.n_right++;
    else
        racing.n_wrong++;
    return 0;
}

#define ROUNDS 2000

static struct script numbered[ROUNDS + 1];

/* Arms key 1 anew with a tick of its own, or cancels it. */
static int act_rearm(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&numbered[script->number]);
    int rc = 0;

    (void)me;
    if (script->number % 3 == 0) {
        (void)grove_timer_cancel(1);
        racing.last = 0;
    } else {
        rc = play_perform_after(1, (uint32_t)(script->number % 2), &request);
        racing.last = script->number;
        racing.n_armed++;
    }
    return rc;
}

static void test_old_ticks_never_come_however_the_loops_race(void **state)
{
    (void)state;
    static struct script scripts[ROUNDS + 1];
    grove_ref ref = stage_spawn("racer"), other = stage_spawn("other");
    struct grove_loop_stats stats;

    memset(&racing, 0, sizeof racing);
    for (int64_t i = 1; i <= ROUNDS; i++) {
        numbered[i] = (struct script){.act = act_tick_numbered, .number = i};
        scripts[i] = (struct script){.act = act_rearm, .number = i};
        if (i % 8 == 0)
            assert_int_equal(stage_perform(ref, &scripts[i]), 0);
        else
            assert_int_equal(stage_send(ref, &scripts[i]), 0);
        assert_int_equal(stage_add(other, 1, NULL), 0); /* so that there is something to lend */
    }
    let_pass(20);
    assert_int_equal(grove_loop_stats(0, &stats), 0);
    racing.n_lent = (unsigned)stats.lent;
    assert_int_equal(racing.n_wrong, 0);
    assert_in_range(racing.n_right, 1, racing.n_armed);
    if (getenv("GROVE_LEND") != NULL)
        assert_true(racing.n_lent > 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    stage_settle();
}

static int set_up_two(void **state)
{
    memset(&seen, 0, sizeof seen);
    return stage_set_up_two_loops(state);
}

#define one_loop(test)  cmocka_unit_test_setup_teardown(test, alarms_set_up, stage_tear_down)
#define two_loops(test) cmocka_unit_test_setup_teardown(test, set_up_two, stage_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        one_loop(test_timers_end_with_their_actor),
        one_loop(test_an_actor_that_is_drained_gets_no_further_ticks),
        one_loop(test_main_has_no_timers_and_is_told_why),
        one_loop(test_a_timer_that_cannot_be_is_refused_with_its_reason),
        one_loop(test_a_greenlet_receives_its_ticks_as_letters),
        two_loops(test_old_ticks_never_come_however_the_loops_race),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
