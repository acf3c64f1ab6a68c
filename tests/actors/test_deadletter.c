/*
 * Dead letters: their reasons, what each says, and which are kept. (Who is told
 * of them: test_deadletter_told.)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "letters.h"

#include "actors/deadletter.h"

static struct script nothing = {.act = act_nothing};

/* --- reasons ---------------------------------------------------------------------------------- */

static void test_what_is_queued_when_its_receiver_ends_is_a_letter_of_its_reason(void **state)
{
    Play__V1__PerformResponse response;
    struct grove_future future;
    struct script nap;
    grove_ref ref = letters_napper(0, &nap, 5);
    uint64_t before = letters_count(GROVE_DEAD_STOPPED);

    (void)state;
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_start(ref, &nothing, &response, &future), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ENOACTOR);
    assert_int_equal(letters_count(GROVE_DEAD_STOPPED) - before, 2);
    assert_int_equal(letters_last().reason, GROVE_DEAD_STOPPED);
    assert_true(letters_last().called);
    assert_true(grove_ref_equal(letters_last().to, ref));
    assert_string_equal(letters_last().method->name, "play.v1.PlayService/Perform");
    assert_int_equal(letters_last().bytes, 64);
}

static void test_a_refused_send_is_no_letter_as_its_sender_knows(void **state)
{
    struct script nap;
    grove_ref ref = letters_napper(0, &nap, 5);
    uint64_t counts[GROVE_DEAD_REASONS], after[GROVE_DEAD_REASONS];

    (void)state;
    grove_dead_letters_count(counts);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_EFULL);
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ESTOPPING);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ENOACTOR);
    grove_dead_letters_count(after);
    assert_memory_equal(counts, after, sizeof after);
}

static int fail_now(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("on purpose");
}

static void test_the_message_whose_handler_fails_is_a_letter(void **state)
{
    struct script poison = {.act = fail_now};
    grove_ref ref = stage_spawn(NULL);
    uint64_t before = letters_count(GROVE_DEAD_CRASHED);

    (void)state;
    assert_int_equal(stage_send(ref, &poison), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(letters_count(GROVE_DEAD_CRASHED) - before, 1);
    assert_false(letters_last().called);
    /* Queued or inline: who called knows, and the poison is told of all the same. */
    ref = stage_spawn(NULL);
    assert_int_equal(stage_perform(ref, &poison), GROVE_EDOWN);
    assert_int_equal(letters_count(GROVE_DEAD_CRASHED) - before, 2);
    assert_true(letters_last().called);
    assert_true(grove_ref_equal(letters_last().to, ref));
}

static int send_ahead(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = stage_send(script->to, &nothing);
}

static void test_a_letter_says_whose_it_was(void **state)
{
    struct script nap, send = {.act = send_ahead, .to = letters_napper(0, &nap, 5)};
    grove_ref sender = stage_spawn("sender");

    (void)state;
    assert_int_equal(stage_perform(sender, &send), 0);
    assert_int_equal(send.rc, 0);
    assert_int_equal(grove_stop_await(send.to, GROVE_STOP_NOW), 0);
    assert_true(grove_ref_equal(letters_last().from, sender));
    assert_true(grove_ref_equal(letters_last().to, send.to));
}

static int call_ahead(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = stage_perform(script->to, script->next) == GROVE_EDOWN ? 0 : -EIO;
}

static void test_the_letter_of_a_handler_that_fails_says_who_called_it(void **state)
{
    struct script poison = {.act = fail_now};
    struct script call = {.act = call_ahead, .next = &poison, .to = stage_spawn("broken")};
    grove_ref caller = stage_spawn("caller");

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Both are born: the call may run inline. */
    assert_int_equal(stage_perform(caller, &call), 0);
    assert_int_equal(letters_last().reason, GROVE_DEAD_CRASHED);
    assert_true(grove_ref_equal(letters_last().from, caller));
    assert_true(grove_ref_equal(letters_last().to, call.to));
}

static int refuse_code(struct stranger *me, const Play__V1__RefuseRequest *request,
                       Play__V1__RefuseResponse *response)
{
    (void)me;
    (void)response;
    return request->code;
}

static void test_a_message_without_a_function_is_a_letter(void **state)
{
    static const struct stranger_service strangers = {.refuse = refuse_code};
    uint64_t before = letters_count(GROVE_DEAD_UNSUPPORTED);
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    assert_int_equal(stranger_spawn(&strangers, NULL, NULL, &ref), 0);
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(letters_count(GROVE_DEAD_UNSUPPORTED) - before, 1);
}

static void test_every_reason_has_its_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GROVE_DEAD_REASONS; i++) {
        assert_string_not_equal(grove_dead_name((enum grove_dead_reason)i), "?");
        assert_true(strlen(grove_dead_text((enum grove_dead_reason)i)) > 20);
    }
    assert_string_equal(grove_dead_name(GROVE_DEAD_EXPIRED), "EXPIRED");
    assert_string_equal(grove_dead_name(GROVE_DEAD_REASONS), "?");
}

/* --- the last ones ---------------------------------------------------------------------------- */

static void test_the_last_256_letters_are_kept_newest_first(void **state)
{
    struct grove_dead_letter letters[GV_DEAD_RING + 10];
    struct script nap;

    (void)state;
    letters_kill(GV_DEAD_RING + 50);
    assert_int_equal(grove_sleep_await(1), 0);
    letters_kill(1);
    assert_int_equal(grove_dead_letters_last(letters, GV_DEAD_RING + 10), GV_DEAD_RING);
    assert_true(letters[0].at_ns > letters[1].at_ns);
    assert_int_equal(grove_dead_letters_last(letters, 3), 3);
    assert_false(grove_ref_equal(letters[0].to, letters[1].to));
    assert_true(grove_ref_equal(letters[1].to, letters[2].to));
    (void)letters_napper(0, &nap, 1);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_a_far_call_that_is_refused_is_no_letter_as_its_caller_is_told(void **state)
{
    struct script nap;
    uint64_t counts[GROVE_DEAD_REASONS], after[GROVE_DEAD_REASONS];
    grove_ref ref = letters_napper(1, &nap, 100);

    (void)state;
    grove_dead_letters_count(counts);
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    (void)grove_stop_await(ref, GROVE_STOP_DRAIN); /* Gone already is as good. */
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    grove_dead_letters_count(after);
    assert_memory_equal(counts, after, sizeof after);
}

static _Atomic bool may_go_on;

static int wait_for_word(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    letters_n_napping++;
    while (!may_go_on)
        if (grove_sleep_await(1) != 0)
            return -EIO;
    return 0;
}

static void test_a_call_whose_time_is_over_before_its_turn_is_a_letter(void **state)
{
    struct script nap, waits = {.act = wait_for_word}, late = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = letters_napper(1, &nap, 0);
    uint64_t before = letters_count(GROVE_DEAD_EXPIRED);
    unsigned long long began_ms;

    (void)state;
    may_go_on = false;
    assert_int_equal(stage_send(ref, &waits), 0);
    while (letters_n_napping < 2)
        assert_int_equal(grove_sleep_await(1), 0);
    grove_within(300);
    began_ms = stage_now_ms();
    assert_int_equal(stage_start(ref, &late, &response, &future), 0);
    assert_int_equal(grove_yield_await(), 0);
    /* Main eats CPU: its loop cannot take the request back, the other one must see for itself. */
    while (stage_now_ms() - began_ms < 320)
        continue;
    may_go_on = true;
    while (letters_count(GROVE_DEAD_EXPIRED) == before && stage_now_ms() - began_ms < 20000)
        continue;
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    assert_int_equal(letters_count(GROVE_DEAD_EXPIRED) - before, 1);
    assert_true(letters_last().called);
    assert_int_equal(letters_last().loop, 1);
    assert_int_equal(late.n_runs, 0);
}

int main(void)
{
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_call_whose_time_is_over_before_its_turn_is_a_letter),
        stage_test(test_a_far_call_that_is_refused_is_no_letter_as_its_caller_is_told),
    };
    const struct CMUnitTest tests[] = {
        stage_test(test_what_is_queued_when_its_receiver_ends_is_a_letter_of_its_reason),
        stage_test(test_a_refused_send_is_no_letter_as_its_sender_knows),
        stage_test(test_the_message_whose_handler_fails_is_a_letter),
        stage_test(test_a_letter_says_whose_it_was),
        stage_test(test_the_letter_of_a_handler_that_fails_says_who_called_it),
        stage_test(test_a_message_without_a_function_is_a_letter),
        stage_test(test_every_reason_has_its_words),
        stage_test(test_the_last_256_letters_are_kept_newest_first),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down)
           + cmocka_run_group_tests(far_tests, stage_set_up_two_loops, stage_tear_down);
}
