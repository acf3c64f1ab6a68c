/*
 * Reply: answers that come later than their handler's return.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate.h"
#include "runtime/loop.h"

static int set_up(void **state)
{
    memset(&gate, 0, sizeof gate);
    return stage_set_up(state);
}

/* --- later answers ---------------------------------------------------------------------------- */

static void test_a_deferred_reply_reaches_its_caller_and_the_actor_is_free_meanwhile(void **state)
{
    (void)state;
    struct asker first = {0}, second = {0};
    grove_ref ref = stage_spawn("gate");
    int64_t total = 0;

    ask(&first, ref, act_defer);
    ask(&second, ref, act_defer);
    assert_int_equal(gate.n, 2);
    assert_int_equal(stage_add(ref, 5, &total), 0);
    assert_int_equal(total, 5);
    assert_false(first.done || second.done);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 1, .n_ends = 11}), 0);
    let_pass(1);
    assert_true(second.done && !first.done);
    assert_int_equal(second.rc, 0);
    assert_int_equal(second.number, 11);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 0, .n_ends = 10}), 0);
    let_pass(1);
    assert_true(first.done);
    assert_int_equal(first.rc, 0);
    assert_int_equal(first.number, 10);
}

static void test_the_answer_may_come_before_the_handler_returns(void **state)
{
    (void)state;
    struct asker asker = {0};

    ask(&asker, stage_spawn("gate"), act_defer_and_reply);
    assert_true(asker.done);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.number, 42);
}

static void test_a_deferred_refusal_brings_its_reason(void **state)
{
    (void)state;
    struct asker asker = {0};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .ms = 2}), 0);
    let_pass(1);
    assert_true(asker.done);
    assert_int_equal(asker.rc, PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_int_equal(asker.failure.class, GROVE_REFUSED);
    assert_string_equal(asker.text, "not by this gate");
}

static int echo_later(struct play *me, const Play__V1__EchoRequest *request,
                      Play__V1__EchoResponse *response)
{
    (void)me;
    gate.rcs[0] = grove_reply_defer(&gate.tokens[gate.n++]);
    response->text = request->text; /* Nobody will see it. */
    return 0;
}

static int act_reply_text(struct play *me, struct script *script)
{
    char text[] = "much later";
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;

    (void)me;
    response.text = text;
    return script->rc = play_echo_reply(&gate.tokens[0], 0, &response);
}

static void test_answers_with_pointers_are_copied_and_futures_may_wait(void **state)
{
    (void)state;
    struct play_service functions = stage_player;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    struct grove_future future;
    char text[] = "hello";
    grove_ref ref;

    functions.echo = echo_later;
    request.text = text;
    assert_int_equal(play_spawn(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(play_echo_start(ref, &request, &response, &future), 0);
    let_pass(10);
    assert_int_equal(gate.rcs[0], 0);
    assert_false(future.done);
    assert_int_equal(tell(ref, (struct script){.act = act_reply_text}), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_string_equal(response.text, "much later");
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0); /* The functions lie here. */
}

/* --- exactly one ------------------------------------------------------------------------------ */

static void test_a_dropped_token_fails_its_caller(void **state)
{
    (void)state;
    struct asker asker = {0};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(tell(ref, (struct script){.act = act_drop}), 0);
    let_pass(1);
    assert_true(asker.done);
    assert_int_equal(asker.rc, GROVE_EBROKEN);
    assert_int_equal(asker.failure.started, GROVE_STARTED_YES);
    assert_non_null(strstr(asker.text, "dropped"));
}

static void test_the_end_of_an_actor_fails_all_it_was_to_answer(void **state)
{
    (void)state;
    struct asker stopped = {0}, failed = {0};
    grove_ref ref = stage_spawn("gate"), other = stage_spawn("other");

    ask(&stopped, ref, act_defer);
    ask(&failed, other, act_defer);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(tell(other, (struct script){.act = act_fail}), GROVE_EDOWN);
    let_pass(1);
    assert_true(stopped.done && failed.done);
    assert_int_equal(stopped.rc, GROVE_EDOWN);
    assert_int_equal(stopped.failure.started, GROVE_STARTED_YES);
    assert_non_null(strstr(stopped.text, "deferred reply"));
    assert_int_equal(failed.rc, GROVE_EDOWN);
    assert_int_equal(failed.failure.started, GROVE_STARTED_YES);
}

static void test_a_restart_fails_all_that_was_to_be_answered(void **state)
{
    (void)state;
    struct grove_child child = {.service = &play_service_table, .functions = &stage_player};
    grove_ref top = GROVE_NOBODY, ref = GROVE_NOBODY;
    struct asker asker = {0};

    assert_int_equal(grove_supervise(&(struct grove_supervisor_options){0}, &top), 0);
    assert_int_equal(grove_supervisor_add(top, &child, &ref), 0);
    ask(&asker, ref, act_defer);
    assert_false(asker.done);
    assert_int_equal(tell(ref, (struct script){.act = act_fail}), GROVE_EDOWN);
    let_pass(20);
    assert_true(asker.done);
    assert_int_equal(asker.rc, GROVE_EDOWN);
    assert_int_equal(asker.failure.started, GROVE_STARTED_YES);
    assert_int_equal(stage_add(ref, 1, NULL), 0); /* It is back. */
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
}

static void test_a_token_is_good_for_one_answer_of_its_own_actor_and_rpc(void **state)
{
    (void)state;
    struct asker asker = {0};
    struct script twice = {.act = act_reply}, foreign = {.act = act_reply},
                  other = {.act = act_reply_text};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(tell(ref, other), GROVE_EUSAGE); /* of Echo, and this is Perform */
    assert_int_equal(stage_perform(stage_spawn("stranger"), &foreign), 0);
    assert_int_equal(foreign.rc, GROVE_EUSAGE);
    assert_non_null(strstr(foreign.text, "delegate"));
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .n_ends = 1}), 0);
    assert_int_equal(stage_perform(ref, &twice), 0);
    assert_int_equal(twice.rc, GROVE_EUSAGE);
    assert_non_null(strstr(twice.text, "used already"));
    let_pass(1);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.number, 1);
}

static void test_a_token_of_another_answers_nobody_of_ones_own(void **state)
{
    (void)state;
    struct asker first = {0}, second = {0};
    struct script foreign = {.act = act_reply};
    grove_ref ref = stage_spawn("gate"), stranger = stage_spawn("stranger");

    ask(&first, ref, act_defer);
    ask(&second, stranger, act_defer);
    assert_int_equal(stage_perform(stranger, &foreign), 0);
    assert_int_equal(foreign.rc, GROVE_EUSAGE);
    assert_non_null(strstr(foreign.text, "let another one answer"));
    let_pass(1);
    assert_false(first.done || second.done);
    assert_int_equal(tell(ref, (struct script){.act = act_reply}), 0);
    assert_int_equal(tell(stranger, (struct script){.act = act_reply, .number = 1}), 0);
    let_pass(1);
    assert_true(first.done && second.done);
}

static void test_a_deferred_refusal_of_another_enum_is_foreign(void **state)
{
    (void)state;
    struct asker asker = {0};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .ms = 77}), 0);
    let_pass(1);
    assert_true(asker.done);
    assert_int_equal(asker.rc, GROVE_EFOREIGN);
}

static void test_who_is_asked_by_nobody_cannot_defer(void **state)
{
    (void)state;
    struct script script = {.act = act_defer};
    grove_ref ref = stage_spawn("gate");
    grove_token token;

    assert_int_equal(stage_send(ref, &script), 0);
    stage_settle();
    let_pass(1);
    assert_int_equal(script.rc, GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "nobody waits"));
    assert_int_equal(grove_reply_defer(&token), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "call it in a handler"));
}

/* --- callers that leave ----------------------------------------------------------------------- */

static void test_a_token_is_not_wanted_when_its_caller_has_left(void **state)
{
    (void)state;
    struct asker asker = {.within_ms = 20};
    struct script look = {.act = act_wanted};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(stage_perform(ref, &look), 0);
    assert_int_equal(look.rc, 1);
    let_pass(30);
    assert_true(asker.done);
    assert_int_equal(asker.rc, GROVE_ETIMEDOUT);
    assert_int_equal(stage_perform(ref, &look), 0);
    assert_int_equal(look.rc, 0);
    assert_int_equal(tell(ref, (struct script){.act = act_reply}), 0); /* No failure. */
}

static void test_a_token_is_not_wanted_beyond_its_deadline_though_nobody_has_left_yet(void **state)
{
    (void)state;
    struct asker asker = {.within_ms = 20};
    struct script look = {.act = act_wanted_late, .ms = 30};
    grove_ref ref = stage_spawn("gate");

    ask(&asker, ref, act_defer);
    assert_int_equal(stage_perform(ref, &look), 0);
    assert_int_equal(look.rc, 0);
    let_pass(1);
    assert_int_equal(asker.rc, GROVE_ETIMEDOUT);
}

static void test_a_future_that_is_cancelled_makes_its_token_unwanted(void **state)
{
    (void)state;
    struct script defer = {.act = act_defer}, look = {.act = act_wanted};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn("gate");

    assert_int_equal(stage_start(ref, &defer, &response, &future), 0);
    let_pass(1);
    assert_int_equal(gate.n, 1);
    grove_future_cancel(&future);
    assert_int_equal(stage_perform(ref, &look), 0);
    assert_int_equal(look.rc, 0);
}

static void test_tokens_are_bounded_by_the_mailbox_and_those_that_left_make_room(void **state)
{
    (void)state;
    struct asker askers[5] = {{.within_ms = 20}, {.within_ms = 20}};
    grove_ref ref = stage_spawn_bounded(3, 0);

    for (unsigned i = 0; i < 4; i++)
        ask(&askers[i], ref, act_defer);
    assert_true(askers[3].done);
    assert_int_equal(askers[3].rc, GROVE_EFULL);
    assert_non_null(strstr(askers[3].script.text, "depth_max"));
    let_pass(30);
    assert_int_equal(askers[0].rc, GROVE_ETIMEDOUT);
    ask(&askers[4], ref, act_defer);
    assert_false(askers[4].done);
    /* The first two have made room; to answer them is no failure all the same. */
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 0}), 0);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 1}), 0);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 4, .n_ends = 9}), 0);
    assert_int_equal(tell(ref, (struct script){.act = act_reply, .number = 2, .n_ends = 8}), 0);
    let_pass(1);
    assert_int_equal(askers[4].number, 9);
    assert_int_equal(askers[2].number, 8);
}

/* --- greenlets -------------------------------------------------------------------------------- */

static struct {
    grove_token tokens[2];
    int rcs[4];
} clerk;

static void go_clerk(void *argument)
{
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    struct grove_letter letter;

    (void)argument;
    for (unsigned i = 0; i < 2; i++) {
        clerk.rcs[i] = grove_receive_await(1000, &letter);
        if (clerk.rcs[i] == 0)
            clerk.rcs[i] = grove_reply_defer(&clerk.tokens[i]);
    }
    for (unsigned i = 2; i-- > 0;) {
        response.total = 100 + i;
        clerk.rcs[2 + i] = play_add_reply(&clerk.tokens[i], 0, &response);
    }
}

static void test_a_greenlet_defers_letters_and_answers_them_in_any_order(void **state)
{
    (void)state;
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref;

    assert_int_equal(grove_go(go_clerk, NULL, NULL, &ref), 0);
    for (unsigned i = 0; i < 2; i++) {
        play__v1__add_response__init(&responses[i]);
        assert_int_equal(play_add_start(ref, &request, &responses[i], &futures[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(responses[i].total, 100 + i);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(clerk.rcs[i], 0);
}

/* --- two loops -------------------------------------------------------------------------------- */

static void test_callers_of_other_loops_are_answered_and_may_leave(void **state)
{
    (void)state;
    struct script defer = {.act = act_defer}, look = {.act = act_wanted},
                  reply = {.act = act_reply, .n_ends = 7};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn_on(1, "gate");

    memset(&gate, 0, sizeof gate);
    assert_int_equal(stage_start(ref, &defer, &response, &future), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0); /* It has been through there. */
    assert_int_equal(stage_perform(ref, &reply), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.number, 7);

    memset(&gate, 0, sizeof gate);
    assert_int_equal(stage_start(ref, &defer, &response, &future), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    grove_future_cancel(&future);
    assert_int_equal(stage_perform(ref, &look), 0);
    assert_int_equal(look.rc, 0);
}

#define one_loop(test) cmocka_unit_test_setup_teardown(test, set_up, stage_tear_down)
#define two_loops(test) \
    cmocka_unit_test_setup_teardown(test, stage_set_up_two_loops, stage_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        one_loop(test_a_deferred_reply_reaches_its_caller_and_the_actor_is_free_meanwhile),
        one_loop(test_the_answer_may_come_before_the_handler_returns),
        one_loop(test_a_deferred_refusal_brings_its_reason),
        one_loop(test_answers_with_pointers_are_copied_and_futures_may_wait),
        one_loop(test_a_dropped_token_fails_its_caller),
        one_loop(test_the_end_of_an_actor_fails_all_it_was_to_answer),
        one_loop(test_a_restart_fails_all_that_was_to_be_answered),
        one_loop(test_a_token_is_good_for_one_answer_of_its_own_actor_and_rpc),
        one_loop(test_a_token_of_another_answers_nobody_of_ones_own),
        one_loop(test_a_deferred_refusal_of_another_enum_is_foreign),
        one_loop(test_who_is_asked_by_nobody_cannot_defer),
        one_loop(test_a_token_is_not_wanted_when_its_caller_has_left),
        one_loop(test_a_token_is_not_wanted_beyond_its_deadline_though_nobody_has_left_yet),
        one_loop(test_a_future_that_is_cancelled_makes_its_token_unwanted),
        one_loop(test_tokens_are_bounded_by_the_mailbox_and_those_that_left_make_room),
        one_loop(test_a_greenlet_defers_letters_and_answers_them_in_any_order),
        two_loops(test_callers_of_other_loops_are_answered_and_may_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
