/*
 * Delegate: calls whose answer somebody else gives.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/call.h"
#include "runtime/loop.h"
#include "stage.h"

static grove_token kept_token;

/* Hands the running request on: script->next at script->to. */
static int act_delegate(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    int rc;

    (void)me;
    request.script = (uintptr_t)script->next;
    rc = stage_note(script, play_perform_delegate(NULL, script->to, &request));
    return rc == 0 ? 1 : rc; /* 1 would be a refusal, and goes to nobody. */
}

static int act_defer(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_reply_defer(&kept_token);
}

static int act_delegate_token(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    request.script = (uintptr_t)script->next;
    return stage_note(script, play_perform_delegate(&kept_token, script->to, &request)), 0;
}

static int act_refuse(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_refuse(PLAY__V1__REFUSAL__REFUSAL_BUSY, "not here either");
}

static int act_left(struct play *me, struct script *script)
{
    (void)me;
    script->ms = grove_remaining_ms();
    return 0;
}

static void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

/* --- who answers ------------------------------------------------------------------------------ */

static void test_the_one_it_is_delegated_to_answers_the_caller(void **state)
{
    (void)state;
    struct script last = {.act = act_nothing, .number = 77},
                  middle = {.act = act_delegate, .to = stage_spawn("last"), .next = &last},
                  first = {.act = act_delegate, .to = stage_spawn("middle"), .next = &middle};
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;

    request.script = (uintptr_t)&first;
    assert_int_equal(play_perform_await(stage_spawn("first"), &request, &response), 0);
    assert_int_equal(response.number, 77);
    assert_int_equal(first.rc, 0);
    assert_int_equal(middle.rc, 0);
    assert_int_equal(last.n_runs, 1);
}

static void test_a_refusal_of_the_other_reaches_the_caller(void **state)
{
    (void)state;
    struct script refuse = {.act = act_refuse},
                  script = {.act = act_delegate, .to = stage_spawn("other"), .next = &refuse};

    assert_int_equal(stage_perform(stage_spawn("one"), &script), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_string_equal(grove_why(), "not here either");
}

static void test_a_deferred_call_may_be_delegated_later(void **state)
{
    (void)state;
    struct script defer = {.act = act_defer}, last = {.act = act_nothing, .number = 5},
                  hand_on = {.act = act_delegate_token, .to = stage_spawn("other"), .next = &last};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn("one");

    assert_int_equal(stage_start(ref, &defer, &response, &future), 0);
    let_pass(1);
    assert_int_equal(stage_perform(ref, &hand_on), 0);
    assert_int_equal(hand_on.rc, 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.number, 5);
    assert_int_equal(stage_perform(ref, &hand_on), 0);
    assert_int_equal(hand_on.rc, GROVE_EUSAGE); /* It was good for once. */
}

/* --- what goes with it ------------------------------------------------------------------------ */

static void test_the_deadline_of_the_caller_goes_with_it(void **state)
{
    (void)state;
    struct script left = {.act = act_left},
                  script = {.act = act_delegate, .to = stage_spawn("other"), .next = &left};

    grove_within(100);
    assert_int_equal(stage_perform(stage_spawn("one"), &script), 0);
    assert_in_range(left.ms, 1, 101);
}

static void test_a_caller_that_leaves_cancels_the_one_that_works_for_it(void **state)
{
    (void)state;
    struct script nap = {.act = act_nap, .ms = 10000},
                  script = {.act = act_delegate, .to = stage_spawn("other"), .next = &nap};
    unsigned long long began_ms = stage_now_ms();

    grove_within(50);
    assert_int_equal(stage_perform(stage_spawn("one"), &script), GROVE_ETIMEDOUT);
    let_pass(1);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_true(stage_now_ms() - began_ms < 100);
}

/* --- what cannot be delegated ----------------------------------------------------------------- */

static void test_a_delegation_that_fails_leaves_the_duty_where_it_was(void **state)
{
    (void)state;
    struct script next = {.act = act_nothing},
                  script = {.act = act_delegate, .to = GROVE_NOBODY, .next = &next};

    assert_int_equal(stage_perform(stage_spawn("one"), &script), GROVE_ENOACTOR);
    assert_int_equal(script.rc, GROVE_ENOACTOR);
    assert_int_equal(next.n_runs, 0);
}

static int act_mismatch(struct play *me, struct script *script)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;

    (void)me;
    return stage_note(script, play_add_delegate(NULL, script->to, &request));
}

static void test_an_rpc_with_another_response_cannot_answer(void **state)
{
    (void)state;
    struct script script = {.act = act_mismatch, .to = stage_spawn("other")};

    assert_int_equal(stage_perform(stage_spawn("one"), &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "waits for play.v1.PerformResponse"));
}

/* An rpc with the response of Perform and refusals of its own: none at all. */
static struct grove_method blunt_methods[1];
static uint32_t blunt_index;

static int act_delegate_bluntly(struct play *me, struct script *script)
{
    static struct grove_service blunt;
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    for (uint32_t i = 0; i < play_service_table.n_methods; i++)
        if (strstr(play_service_table.methods[i].name, "/Perform") != NULL)
            blunt_methods[0] = play_service_table.methods[i];
    blunt_methods[0].refusals = NULL;
    blunt = play_service_table;
    blunt.methods = blunt_methods;
    blunt.n_methods = 1;
    blunt.index = &blunt_index;
    return stage_note(script, grove_delegate(NULL, script->to, &blunt, 0, &request.base));
}

static void test_an_rpc_with_other_refusals_cannot_answer(void **state)
{
    (void)state;
    struct script script = {.act = act_delegate_bluntly, .to = stage_spawn("other")};

    assert_int_equal(stage_perform(stage_spawn("one"), &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "refusals are of different enums"));
}

static void test_a_delegate_that_ends_is_told_as_one_that_had_begun(void **state)
{
    (void)state;
    grove_ref other = stage_spawn("other");
    struct script nap = {.act = act_nap, .ms = 100}, next = {.act = act_nothing},
                  script = {.act = act_delegate, .to = other, .next = &next};
    Play__V1__PerformResponse response;
    struct grove_future future;

    assert_int_equal(stage_send(other, &nap), 0);
    let_pass(1);
    assert_int_equal(stage_start(stage_spawn("one"), &script, &response, &future), 0);
    let_pass(1);
    assert_int_equal(grove_stop_await(other, GROVE_STOP_KILL), 0);
    assert_true(grove_future_await(&future) < 0);
    assert_int_equal(next.n_runs, 0);
    assert_int_equal(grove_failure()->started,
                     GROVE_STARTED_YES); /* The first handler had begun. */
}

/* --- circles ---------------------------------------------------------------------------------- */

/* Delegates, then calls its caller's actor, which waits for somebody else by now. */
static int act_delegate_and_call_back(struct play *me, struct script *script)
{
    int rc = act_delegate(me, script);

    if (rc == 1)
        script->rc = stage_add(((struct script *)script->next->next)->to, 1, NULL);
    return rc;
}

static void test_no_false_circle_is_seen_through_a_delegation(void **state)
{
    (void)state;
    grove_ref caller = stage_spawn("caller"), one = stage_spawn("one"),
              other = stage_spawn("other");
    struct script who = {.to = caller}, nap = {.act = act_nap, .ms = 20, .next = &who},
                  middle = {.act = act_delegate_and_call_back, .to = other, .next = &nap},
                  first = {.act = act_relay, .to = one, .next = &middle},
                  known = {.act = act_delegate, .to = other, .next = &nap};

    /* So that it is known of the method that it does such things: the call is queued. */
    assert_int_equal(stage_perform(one, &known), 0);
    assert_int_equal(stage_perform(caller, &first), 0);
    stage_settle();
    if (getenv("GROVE_INLINE") != NULL && getenv("GROVE_INLINE")[0] == '2')
        assert_int_equal(middle.rc, GROVE_EDEADLK); /* The caller stands below it. */
    else
        assert_int_equal(middle.rc, 0); /* It was let in when the caller was free. */
}

static void test_a_call_back_before_the_deferred_reply_is_a_circle(void **state)
{
    (void)state;
    grove_ref caller = stage_spawn("caller"), gate = stage_spawn("gate");
    struct script defer = {.act = act_defer},
                  first = {.act = act_relay, .to = gate, .next = &defer},
                  back = {.act = act_add, .to = caller, .number = 1};
    Play__V1__PerformResponse response;
    struct grove_future future;

    assert_int_equal(stage_start(caller, &first, &response, &future), 0);
    let_pass(1);
    assert_int_equal(stage_perform(gate, &back), GROVE_EDEADLK);
    assert_non_null(strstr(back.text, "play/gate -> play/caller -> play/gate"));
    grove_future_cancel(&future);
    stage_settle(); /* The caller is cancelled with its call, and its script lies here. */
}

static void test_delegating_to_one_that_waits_for_the_caller_is_refused(void **state)
{
    (void)state;
    grove_ref caller = stage_spawn("caller"), one = stage_spawn("one"),
              other = stage_spawn("other");
    struct script next = {.act = act_nothing},
                  middle = {.act = act_delegate, .to = other, .next = &next},
                  first = {.act = act_relay, .to = one, .next = &middle},
                  nap = {.act = act_nap, .ms = 10},
                  waiting = {.act = act_add, .to = caller, .number = 1};
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3];

    /* The caller sleeps; the other one waits for it; then the caller asks. */
    assert_int_equal(stage_start(caller, &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(caller, &first, &responses[1], &futures[1]), 0);
    assert_int_equal(stage_start(other, &waiting, &responses[2], &futures[2]), 0);
    for (unsigned i = 0; i < 3; i++)
        (void)grove_future_await(&futures[i]); /* What they returned was noted. */
    assert_int_equal(middle.rc, GROVE_EDEADLK);
    assert_non_null(strstr(middle.text, "play/caller -> play/other -> play/caller"));
    assert_int_equal(first.rc, GROVE_EDEADLK); /* It was passed on. */
    assert_int_equal(waiting.rc, 0);
    assert_int_equal(next.n_runs, 0);
}

/* --- two loops -------------------------------------------------------------------------------- */

static void test_over_loops_the_answer_comes_straight_and_giving_up_follows(void **state)
{
    (void)state;
    grove_ref one = stage_spawn_on(1, "one"), other = stage_spawn_on(0, "other");
    struct script last = {.act = act_nothing, .number = 3}, nap = {.act = act_nap, .ms = 20000},
                  quick = {.act = act_delegate, .to = other, .next = &last},
                  slow = {.act = act_delegate, .to = other, .next = &nap};

    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(stage_perform(one, &quick), 0);
    assert_int_equal(last.n_runs, 50);
    grove_within(50);
    assert_int_equal(stage_perform(one, &slow), GROVE_ETIMEDOUT);
    while (nap.n_ends == 0)
        let_pass(1);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
}

static _Atomic bool delegated;

static int act_delegate_and_say_so(struct play *me, struct script *script)
{
    int rc = act_delegate(me, script);

    delegated = true;
    return rc;
}

static void
test_a_caller_that_leaves_before_it_heard_of_the_delegation_cancels_all_the_same(void **state)
{
    (void)state;
    grove_ref one = stage_spawn_on(1, "one"), other = stage_spawn_on(0, "other");
    struct script nap = {.act = act_nap, .ms = 20000},
                  script = {.act = act_delegate_and_say_so, .to = other, .next = &nap};
    Play__V1__PerformResponse response;
    struct grove_future future;

    delegated = false;
    assert_int_equal(stage_start(one, &script, &response, &future), 0);
    /* What is sent leaves when others run; from then on nothing is received here. */
    assert_int_equal(grove_yield_await(), 0);
    while (!delegated)
        continue;
    grove_future_cancel(&future);
    let_pass(50);
    assert_int_equal(nap.n_ends, nap.n_runs); /* It was taken back, or cancelled. */
}

static int act_nap_and_delegate(struct play *me, struct script *script)
{
    (void)grove_sleep_await(script->ms);
    return act_delegate(me, script);
}

static void test_over_loops_a_circle_that_a_delegation_closes_is_told(void **state)
{
    (void)state;
    grove_ref caller = stage_spawn_on(0, "caller"), one = stage_spawn_on(1, "one"),
              other = stage_spawn_on(0, "other");
    struct script back = {.act = act_add, .to = caller, .number = 1},
                  hand_on = {.act = act_nap_and_delegate, .ms = 20, .to = other, .next = &back},
                  first = {.act = act_relay, .to = one, .next = &hand_on};
    unsigned long long began_ms = stage_now_ms();

    assert_int_equal(stage_perform(caller, &first), GROVE_EDEADLK);
    assert_true(stage_now_ms() - began_ms < 4000); /* Not at its deadline. */
    while (back.n_ends == 0)
        let_pass(1);
    stage_settle();
}

static int act_nap_and_add(struct play *me, struct script *script)
{
    (void)grove_sleep_await(20);
    return act_add(me, script);
}

/* Only the delegation closes it: the one that is to answer waits for the caller already. */
static void test_over_loops_a_caller_is_told_when_whom_it_was_handed_to_waits_for_it(void **state)
{
    (void)state;
    grove_ref caller = stage_spawn_on(0, "caller"), one = stage_spawn_on(1, "one"),
              other = stage_spawn_on(0, "other");
    struct script last = {.act = act_nothing},
                  back = {.act = act_nap_and_add, .to = caller, .number = 1},
                  hand_on = {.act = act_nap_and_delegate, .ms = 60, .to = other, .next = &last},
                  first = {.act = act_relay, .to = one, .next = &hand_on};

    assert_int_equal(stage_send(other, &back), 0);
    assert_int_equal(stage_perform(caller, &first), GROVE_EDEADLK);
    assert_string_equal(first.text, "play/caller -> play/other -> play/caller");
    stage_settle();
    assert_int_equal(back.rc, 0); /* Its call was answered then. */
    assert_int_equal(back.n_ends, 1);
}

#define one_loop(test) cmocka_unit_test_setup_teardown(test, stage_set_up, stage_tear_down)
#define two_loops(test) \
    cmocka_unit_test_setup_teardown(test, stage_set_up_two_loops, stage_tear_down)
#define two_loops_unlent(test) \
    cmocka_unit_test_setup_teardown(test, set_up_two_loops_unlent, stage_tear_down)

static int set_up_two_loops_unlent(void **state)
{
    (void)state;
    stage_open_loops_unlent(2);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        one_loop(test_the_one_it_is_delegated_to_answers_the_caller),
        one_loop(test_a_refusal_of_the_other_reaches_the_caller),
        one_loop(test_a_deferred_call_may_be_delegated_later),
        one_loop(test_the_deadline_of_the_caller_goes_with_it),
        one_loop(test_a_caller_that_leaves_cancels_the_one_that_works_for_it),
        one_loop(test_a_delegation_that_fails_leaves_the_duty_where_it_was),
        one_loop(test_an_rpc_with_another_response_cannot_answer),
        one_loop(test_an_rpc_with_other_refusals_cannot_answer),
        one_loop(test_a_delegate_that_ends_is_told_as_one_that_had_begun),
        one_loop(test_no_false_circle_is_seen_through_a_delegation),
        one_loop(test_a_call_back_before_the_deferred_reply_is_a_circle),
        one_loop(test_delegating_to_one_that_waits_for_the_caller_is_refused),
        two_loops(test_over_loops_the_answer_comes_straight_and_giving_up_follows),
        two_loops(test_a_caller_that_leaves_before_it_heard_of_the_delegation_cancels_all_the_same),
        two_loops(test_over_loops_a_circle_that_a_delegation_closes_is_told),
        two_loops_unlent(test_over_loops_a_caller_is_told_when_whom_it_was_handed_to_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
