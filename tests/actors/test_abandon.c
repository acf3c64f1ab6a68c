/*
 * Stop deadlines: handlers that are abandoned, and what they had deferred.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/call.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"

#define NEVER_MS 1000000u

/* --- clean-ups note themselves ---------------------------------------------------------------- */

static char notes[256];

static void note(void *letter)
{
    size_t used = strlen(notes);

    assert_true(used + 2 < sizeof notes);
    notes[used] = *(const char *)letter;
    notes[used + 1] = '\0';
}

static int begin_notes(void **state)
{
    (void)state;
    notes[0] = '\0';
    return 0;
}

#define notes_test(function) \
    cmocka_unit_test_setup_teardown(function, begin_notes, stage_check_settled)

static int defer_three(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_defer(note, "a") | grove_defer(note, "b") | grove_defer(note, "c");
    note("h");
    return script->number != 0 ? (int)script->number : 0;
}

/* --- ends of a turn --------------------------------------------------------------------------- */

static void test_clean_ups_run_in_reverse_order_when_the_handler_has_returned(void **state)
{
    struct script script = {.act = defer_three};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.rc, 0);
    assert_string_equal(notes, "hcba");
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_string_equal(notes, "hcbahcba");
}

static void test_clean_ups_run_when_the_handler_refuses_or_fails(void **state)
{
    struct script refuses = {.act = defer_three, .number = 1};
    struct script fails = {.act = defer_three, .number = -EIO};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &refuses), 1);
    assert_string_equal(notes, "hcba");
    assert_int_equal(stage_perform(ref, &fails), -EIO);
    assert_string_equal(notes, "hcbahcba");
}

static int defer_and_break(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_defer(note, "a");
    return grove_fail("no more");
}

static void test_clean_ups_run_when_the_actor_fails(void **state)
{
    struct script script = {.act = defer_and_break};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &script), GROVE_EDOWN);
    assert_string_equal(notes, "a");
}

static void note_and_defer(void *letter)
{
    note(letter);
    (void)grove_defer(note, "z");
}

static int defer_deferring(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_defer(note, "a") | grove_defer(note_and_defer, "b");
    return 0;
}

static void test_what_a_clean_up_defers_runs_next(void **state)
{
    struct script script = {.act = defer_deferring};

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_string_equal(notes, "bza");
}

static void nap_and_note(void *letter)
{
    if (grove_sleep_await(3) == 0)
        note(letter);
}

static int defer_waiting(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_defer(note, "a") | grove_defer(nap_and_note, "w");
    return 0;
}

static void test_a_clean_up_may_wait_and_the_answer_comes_after_it(void **state)
{
    struct script script = {.act = defer_waiting};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stage_perform(ref, &script), 0);
        note("|");
    }
    assert_string_equal(notes, "wa|wa|");
}

static int defer_in_scopes(struct play *me, struct script *script)
{
    struct grove_scope outer, inner;

    (void)me;
    script->rc = grove_defer(note, "a");
    grove_scope_begin(&outer);
    script->rc |= grove_defer(note, "b");
    grove_scope_begin(&inner);
    script->rc |= grove_defer(note, "c") | grove_defer(note, "d");
    grove_scope_end(&inner);
    note("|");
    grove_scope_end(&outer);
    note("|");
    grove_scope_begin(&outer);
    grove_scope_end(&outer);
    return 0;
}

static void test_a_scope_runs_its_own_clean_ups_at_its_end(void **state)
{
    struct script script = {.act = defer_in_scopes};

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_int_equal(script.rc, 0);
    assert_string_equal(notes, "dc|b|a");
}

static int deferring_init(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    return grove_defer(note, "i");
}

static void deferring_deinit(struct play *me)
{
    (void)me;
    (void)grove_defer(note, "d");
}

static void test_first_and_last_turns_have_clean_ups_too(void **state)
{
    static struct play_service deferring;
    grove_ref ref;

    (void)state;
    deferring = stage_player;
    deferring.init = deferring_init;
    deferring.deinit = deferring_deinit;
    assert_int_equal(play_spawn_await(&deferring, NULL, NULL, &ref), 0);
    assert_string_equal(notes, "i");
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_string_equal(notes, "id");
}

static void go_defer(void *argument)
{
    (void)argument;
    (void)grove_defer(note, "a");
    (void)grove_sleep_await(2);
    (void)grove_defer(note, "b");
}

static void test_a_greenlet_runs_them_when_its_function_returns(void **state)
{
    (void)state;
    assert_int_equal(grove_go(go_defer, NULL, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_string_equal(notes, "");
    assert_int_equal(grove_sleep_await(5), 0);
    assert_string_equal(notes, "ba");
    assert_int_equal(grove_defer(NULL, NULL), GROVE_EUSAGE);
}

/* --- abandoned -------------------------------------------------------------------------------- */

static void has_ended(void *script)
{
    ((struct script *)script)->n_ends++;
    stage_abandoned();
}

/* Waits for ever, whatever it is told: only an abandonment ends it. */
static int hold_out(struct play *me, struct script *script)
{
    char letter = 'x';

    (void)me;
    if (grove_defer(has_ended, script) != 0 || grove_defer(note, &letter) != 0
        || grove_defer(note, "y") != 0)
        return -EIO;
    letter = 'l'; /* A clean-up sees the locals as the handler left them. */
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

/* Sends it, so that it does not run on the stack of main. */
static grove_ref hold(struct script *script)
{
    grove_ref ref = stage_spawn("holder");

    *script = (struct script){.act = hold_out};
    assert_int_equal(stage_send(ref, script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(script->n_runs, 1);
    return ref;
}

static uint32_t n_parked(void)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(0, &stats), 0);
    return (uint32_t)stats.parked;
}

static void test_at_the_stop_deadline_a_parked_handler_is_abandoned(void **state)
{
    unsigned long long begin_ms;
    struct script script;
    grove_ref ref = hold(&script);

    (void)state;
    begin_ms = stage_now_ms();
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 20), 0);
    assert_in_range(stage_now_ms() - begin_ms, 20, 23);
    assert_string_equal(notes, "yl");
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(n_parked(), 0);
}

static void test_whoever_called_it_is_told_and_what_is_queued_fails(void **state)
{
    struct script script = {.act = hold_out}, late = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn("holder");

    (void)state;
    assert_int_equal(stage_start(ref, &script, &responses[0], &futures[0]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_start(ref, &late, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_DRAIN, 5), 0);
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EDOWN);
    assert_int_equal(futures[0].started, GROVE_STARTED_YES);
    assert_non_null(strstr(grove_why(), "stop deadline"));
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ENOACTOR);
    assert_int_equal(futures[1].started, GROVE_STARTED_NO);
    assert_int_equal(late.n_runs, 0);
}

static void test_one_that_ends_before_its_deadline_is_not_abandoned(void **state)
{
    struct script nap = {.act = act_nap, .ms = 10};
    grove_ref ref = stage_spawn(NULL);
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 1000), 0);
    assert_int_equal(nap.rc, 0);
    assert_in_range(stage_now_ms() - begin_ms, 10, 15);
    assert_int_equal(grove_sleep_await(2000), 0); /* And the deadline comes to nobody. */
    assert_int_equal(grove_stop_within(ref, GROVE_STOP_NOW, 5), GROVE_ENOACTOR);
}

static void test_the_earliest_of_several_deadlines_holds(void **state)
{
    unsigned long long begin_ms;
    struct script script;
    grove_ref ref = hold(&script);

    (void)state;
    begin_ms = stage_now_ms();
    assert_int_equal(grove_stop_within(ref, GROVE_STOP_DRAIN, 500), 0);
    assert_int_equal(grove_stop_within(ref, GROVE_STOP_DRAIN, 20), 0);
    assert_int_equal(grove_stop_within(ref, GROVE_STOP_DRAIN, 100), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_in_range(stage_now_ms() - begin_ms, 20, 23);
}

static void test_drain_handles_mail_up_to_the_deadline_and_no_more(void **state)
{
    static struct script naps[10];
    grove_ref ref = stage_spawn(NULL);
    unsigned n_ends = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        naps[i] = (struct script){.act = i % 2 == 0 ? act_nap : act_nothing, .ms = 10};
        assert_int_equal(stage_send(ref, &naps[i]), 0);
    }
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_DRAIN, 25), 0);
    for (int i = 0; i < 10; i++)
        n_ends += naps[i].n_ends;
    assert_int_equal(n_ends, 4); /* 0, 1, 2, 3; the third nap was abandoned */
    stage_abandoned();
}

static int holding_init(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    if (grove_defer(note, "i") != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static grove_ref born_late;

static void go_spawn(void *argument)
{
    struct script *script = argument;

    script->rc = play_spawn_await((const struct play_service *)(const void *)script->next, NULL,
                                  NULL, &born_late);
    (void)stage_note(script, script->rc);
    script->n_ends++;
}

static void test_an_init_that_waits_is_abandoned_and_the_spawner_is_told(void **state)
{
    static struct play_service holding;
    struct script script = {.next = (struct script *)(void *)&holding};
    grove_ref ref;

    (void)state;
    holding = stage_player;
    holding.init = holding_init;
    holding.deinit = deferring_deinit;
    assert_int_equal(play_spawn(&holding, NULL, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_string_equal(notes, "i"); /* Who was not born has no deinit. */
    assert_int_equal(grove_go(go_spawn, &script, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within(born_late, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(script.n_ends, 1);
    assert_int_equal(script.rc, GROVE_EDOWN);
    assert_string_equal(notes, "ii");
}

static unsigned n_deinits;

static void holding_deinit(struct play *me)
{
    (void)me;
    n_deinits++;
    (void)grove_defer(note, "d");
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_a_deinit_that_waits_is_abandoned_and_does_not_begin_again(void **state)
{
    static struct play_service holding;
    grove_ref ref;

    (void)state;
    n_deinits = 0;
    holding = stage_player;
    holding.deinit = holding_deinit;
    assert_int_equal(play_spawn(&holding, NULL, NULL, &ref), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_deinits, 1);
    assert_string_equal(notes, "d");
    assert_int_equal(n_parked(), 0);
}

static void test_deinit_runs_after_a_handler_was_abandoned(void **state)
{
    static struct play_service deferring;
    struct script script = {.act = hold_out};
    grove_ref ref;

    (void)state;
    deferring = stage_player;
    deferring.deinit = deferring_deinit;
    assert_int_equal(play_spawn(&deferring, NULL, NULL, &ref), 0);
    assert_int_equal(stage_send(ref, &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_string_equal(notes, "yld");
}

static void waiting_clean_up(void *letter)
{
    note(grove_sleep_await(1) == GROVE_ECANCELED ? letter : "!");
    if (grove_shield_begin(100) == 0 && grove_sleep_await(1) == 0)
        note("s");
    grove_shield_end();
}

static int hold_out_and_wait(struct play *me, struct script *script)
{
    (void)me;
    if (grove_defer(has_ended, script) != 0 || grove_defer(note, "a") != 0
        || grove_defer(waiting_clean_up, "w") != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_a_clean_up_of_an_abandoned_handler_waits_only_behind_a_shield(void **state)
{
    static const enum grove_stop_mode modes[] = {GROVE_STOP_KILL, GROVE_STOP_NOW};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct script script = {.act = hold_out_and_wait};
        grove_ref ref = stage_spawn(NULL);

        memset(notes, 0, sizeof notes);
        assert_int_equal(stage_send(ref, &script), 0);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_stop_within_await(ref, modes[i], 5), 0);
        assert_string_equal(notes, "wsa");
        assert_int_equal(script.n_ends, 1);
        assert_int_equal(n_parked(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        notes_test(test_clean_ups_run_in_reverse_order_when_the_handler_has_returned),
        notes_test(test_clean_ups_run_when_the_handler_refuses_or_fails),
        notes_test(test_clean_ups_run_when_the_actor_fails),
        notes_test(test_what_a_clean_up_defers_runs_next),
        notes_test(test_a_clean_up_may_wait_and_the_answer_comes_after_it),
        notes_test(test_a_scope_runs_its_own_clean_ups_at_its_end),
        notes_test(test_first_and_last_turns_have_clean_ups_too),
        notes_test(test_a_greenlet_runs_them_when_its_function_returns),
        notes_test(test_at_the_stop_deadline_a_parked_handler_is_abandoned),
        notes_test(test_whoever_called_it_is_told_and_what_is_queued_fails),
        notes_test(test_one_that_ends_before_its_deadline_is_not_abandoned),
        notes_test(test_the_earliest_of_several_deadlines_holds),
        notes_test(test_drain_handles_mail_up_to_the_deadline_and_no_more),
        notes_test(test_an_init_that_waits_is_abandoned_and_the_spawner_is_told),
        notes_test(test_a_deinit_that_waits_is_abandoned_and_does_not_begin_again),
        notes_test(test_deinit_runs_after_a_handler_was_abandoned),
        notes_test(test_a_clean_up_of_an_abandoned_handler_waits_only_behind_a_shield),
    };

    return cmocka_run_group_tests_name("abandon", tests, stage_set_up, stage_tear_down);
}
