/*
 * Passivation: what keeps an actor awake, and grove_passivate.
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
static grove_token token;
static struct script late = {.act = act_nothing};

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
    late = (struct script){.act = act_nothing};
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

static int perform(grove_ref who, int (*act)(struct play *, struct script *), grove_ref to)
{
    struct script script = {.act = act, .to = to};

    return stage_perform(who, &script);
}

/* --- what keeps it awake ---------------------------------------------------------------------- */

static void assert_awake_until(int (*undo)(struct play *, struct script *))
{
    let_pass(AFTER_MS * 3);
    assert_string_equal(sleepers.notes, "a");
    if (undo == NULL)
        return;
    assert_int_equal(perform(a, undo, GROVE_NOBODY), 0);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
}

static int act_arm(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    (void)script;
    request.script = (uintptr_t)&late;
    return play_perform_after(1, AFTER_MS * 10, &request);
}

static int act_disarm(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_timer_cancel(1) ? 0 : -EINVAL;
}

static void test_a_timer_keeps_it_awake(void **state)
{
    (void)state;
    assert_int_equal(perform(a, act_arm, GROVE_NOBODY), 0);
    assert_awake_until(act_disarm);
}

static int act_monitor(struct play *me, struct script *script)
{
    (void)me;
    return grove_monitor(script->to, NULL);
}

static void test_a_monitor_of_its_own_keeps_it_awake_until_it_has_told(void **state)
{
    grove_ref other = stage_spawn(NULL);

    (void)state;
    assert_int_equal(perform(a, act_monitor, other), 0);
    assert_awake_until(NULL);
    assert_int_equal(grove_stop_await(other, GROVE_STOP_NOW), 0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleepers.n_downs, 1);
    assert_string_equal(sleepers.notes, "aA");
}

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

static void test_a_message_put_aside_keeps_it_awake(void **state)
{
    struct script script = {.act = act_stash_first};

    (void)state;
    assert_int_equal(stage_send(a, &script), 0);
    assert_awake_until(act_unstash);
    assert_int_equal(script.n_ends, 2);
}

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

static void test_a_deferred_reply_keeps_it_awake_while_its_caller_waits(void **state)
{
    struct script script = {.act = act_put_off};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    assert_int_equal(stage_start(a, &script, &response, &future), 0);
    assert_awake_until(act_reply);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.number, 7);
}

static void test_a_deferred_reply_whose_caller_has_left_keeps_nobody_awake(void **state)
{
    struct script script = {.act = act_put_off};

    (void)state;
    grove_within(10);
    assert_int_equal(stage_perform(a, &script), GROVE_ETIMEDOUT);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
}

static void test_a_handler_that_waits_keeps_it_awake(void **state)
{
    struct script nap = {.act = act_nap, .ms = AFTER_MS * 3};

    (void)state;
    assert_int_equal(stage_send(a, &nap), 0);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "a");
    let_pass(AFTER_MS * 3);
    assert_int_equal(nap.rc, 0);
    assert_string_equal(sleepers.notes, "aA");
}

static int act_open(struct play *me, struct script *script)
{
    struct grove_signals *signals;

    (void)me;
    (void)script;
    return grove_signals_open((const int[]){10}, 1, &signals); /* Closed by who owns it. */
}

static grove_ref child;

static int act_spawn(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return play_spawn(&stage_player, NULL, NULL, &child);
}

static void test_a_child_keeps_it_awake_also_if_it_asks(void **state)
{
    (void)state;
    assert_int_equal(perform(a, act_spawn, GROVE_NOBODY), 0);
    assert_int_equal(perform(a, act_passivate, GROVE_NOBODY), 0);
    assert_awake_until(NULL);
    assert_int_equal(stage_add(child, 1, NULL), 0);
    assert_int_equal(grove_stop_await(child, GROVE_STOP_NOW), 0);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
}

/* --- it asks ---------------------------------------------------------------------------------- */

static void test_one_that_asks_is_passive_at_once(void **state)
{
    unsigned long long began_ms;

    (void)state;
    assert_int_equal(stage_add(a, 6, NULL), 0);
    began_ms = stage_now_ms();
    sleeper_send_to_sleep(a);
    assert_true(stage_now_ms() - began_ms <= 2);
    assert_string_equal(sleepers.notes, "aA");
    assert_int_equal(stage_add(a, 1, NULL), 0);
    assert_string_equal(sleepers.notes, "aAa");
    assert_int_equal(sleepers.saved['a'], 6);
}

static void test_one_that_only_asks_is_never_passivated_by_time(void **state)
{
    grove_ref b = sleeper_spawn('b', GROVE_INFINITE, NULL);

    (void)state;
    sleeper_send_to_sleep(a);
    let_pass(1000000000);
    let_pass(1000000000);
    assert_int_equal(sleeper_count_passive(), 1);
    sleeper_send_to_sleep(b);
    assert_int_equal(sleeper_count_passive(), 2);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
}

static void test_one_that_asks_handles_what_is_queued_first(void **state)
{
    struct script asks = {.act = act_passivate}, naps[3];

    (void)state;
    assert_int_equal(stage_send(a, &asks), 0);
    for (int i = 0; i < 3; i++) {
        naps[i] = (struct script){.act = act_nap, .ms = 100};
        assert_int_equal(stage_send(a, &naps[i]), 0);
    }
    let_pass(200);
    assert_string_equal(sleepers.notes, "a");
    let_pass(1000); /* The looks grow rare while it is not idle. */
    assert_int_equal(naps[2].n_ends, 1);
    assert_string_equal(sleepers.notes, "aA");
}

static void test_one_that_asks_waits_for_its_stash_and_its_deferred_replies(void **state)
{
    struct script stashed = {.act = act_stash_first}, put_off = {.act = act_put_off};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    assert_int_equal(stage_send(a, &stashed), 0);
    assert_int_equal(stage_start(a, &put_off, &response, &future), 0);
    assert_int_equal(perform(a, act_passivate, GROVE_NOBODY), 0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(perform(a, act_unstash, GROVE_NOBODY), 0);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "a");
    assert_int_equal(perform(a, act_reply, GROVE_NOBODY), 0);
    assert_int_equal(grove_future_await(&future), 0);
    let_pass(1100);
    assert_string_equal(sleepers.notes, "aA");
}

static void test_one_that_asks_loses_its_timers_monitors_and_what_it_holds(void **state)
{
    grove_ref other = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
    sleeper_begin();
    a = sleeper_spawn('a', AFTER_MS, &(struct grove_spawn_options){.pinned = true});
    assert_int_equal(perform(a, act_arm, GROVE_NOBODY), 0);
    assert_int_equal(perform(a, act_monitor, other), 0);
    assert_int_equal(perform(a, act_open, GROVE_NOBODY), 0);
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "a");
    sleeper_send_to_sleep(a);
    assert_int_equal(grove_stop_await(other, GROVE_STOP_NOW), 0);
    let_pass(AFTER_MS * 20);
    assert_string_equal(sleepers.notes, "aA");
    assert_int_equal(late.n_runs, 0);
    assert_int_equal(sleepers.n_downs, 0);
}

static void test_what_is_open_keeps_it_awake(void **state)
{
    (void)state;
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
    sleeper_begin();
    a = sleeper_spawn('a', AFTER_MS, &(struct grove_spawn_options){.pinned = true});
    assert_int_equal(perform(a, act_open, GROVE_NOBODY), 0);
    assert_awake_until(NULL);
}

/* A token of the life before fits nothing in the next one. */
static void test_a_token_of_the_life_before_answers_nobody(void **state)
{
    struct script put_off = {.act = act_put_off}, again = {.act = act_put_off};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_token before;

    (void)state;
    grove_within(10);
    assert_int_equal(stage_perform(a, &put_off), GROVE_ETIMEDOUT);
    before = token;
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
    assert_int_equal(stage_start(a, &again, &response, &future), 0);
    let_pass(1);
    assert_true(before.number != token.number);
    assert_int_equal(perform(a, act_reply, GROVE_NOBODY), 0);
    assert_int_equal(grove_future_await(&future), 0);
}

static void go_ask(void *argument)
{
    (void)stage_note(argument, grove_passivate()); /* Noted. */
    ((struct script *)argument)->n_ends++;
}

static void test_who_cannot_be_passivated_is_told_what_to_do(void **state)
{
    grove_ref other = stage_spawn(NULL), greenlet;
    struct script script = {.act = act_passivate}, gone = {.act = NULL};

    (void)state;
    assert_int_equal(stage_perform(other, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "passivate_after_ms"));
    assert_int_equal(grove_passivate(), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "only the handler of an actor"));
    assert_int_equal(grove_go(go_ask, &gone, NULL, &greenlet), 0);
    let_pass(1);
    assert_int_equal(gone.rc, GROVE_EUSAGE);
    assert_int_equal(grove_stop_await(other, GROVE_STOP_NOW), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sleeper_test(test_a_timer_keeps_it_awake),
        sleeper_test(test_a_monitor_of_its_own_keeps_it_awake_until_it_has_told),
        sleeper_test(test_a_message_put_aside_keeps_it_awake),
        sleeper_test(test_a_deferred_reply_keeps_it_awake_while_its_caller_waits),
        sleeper_test(test_a_deferred_reply_whose_caller_has_left_keeps_nobody_awake),
        sleeper_test(test_a_handler_that_waits_keeps_it_awake),
        sleeper_test(test_what_is_open_keeps_it_awake),
        sleeper_test(test_a_child_keeps_it_awake_also_if_it_asks),
        sleeper_test(test_one_that_asks_is_passive_at_once),
        sleeper_test(test_one_that_only_asks_is_never_passivated_by_time),
        sleeper_test(test_one_that_asks_handles_what_is_queued_first),
        sleeper_test(test_one_that_asks_waits_for_its_stash_and_its_deferred_replies),
        sleeper_test(test_one_that_asks_loses_its_timers_monitors_and_what_it_holds),
        sleeper_test(test_a_token_of_the_life_before_answers_nobody),
        sleeper_test(test_who_cannot_be_passivated_is_told_what_to_do),
    };

    return cmocka_run_group_tests(tests, set_up, stage_tear_down);
}
