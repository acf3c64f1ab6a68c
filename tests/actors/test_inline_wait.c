/*
 * Inline calls that wait: the handler is parked above its caller, on the
 * same stack. Who may leave when, who finds out, and what is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"
#include "runtime/probe.h"

static int open_with(const char *mode)
{
    stage_open_with("shuffle", "0");
    return grove_option_set("inline", mode);
}

/* --- who leaves when ---------------------------------------------------------------------------- */

static void test_at_the_callers_deadline_the_handler_waits_no_more(void **state)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    struct script nap = {.act = act_nap, .ms = 3000, .number = 7};
    unsigned long long started_ms;
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    request.script = (uintptr_t)&nap;
    response.number = 1;
    started_ms = stage_now_ms();
    grove_within(10);
    assert_int_equal(play_perform_await(ref, &request, &response), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    assert_int_equal(response.number, 1);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - started_ms, 10, 12);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    stage_close();
}

static void test_a_killed_caller_ends_what_its_callee_waits_for(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1000};
    struct script call = {.act = act_relay, .next = &nap};
    unsigned long long started_ms;
    grove_ref caller;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("callee");
    caller = stage_spawn("caller");
    assert_int_equal(grove_yield_await(), 0);
    started_ms = stage_now_ms();
    assert_int_equal(stage_send(caller, &call), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop_await(caller, GROVE_STOP_KILL), 0);
    assert_true(stage_now_ms() - started_ms < 100);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_int_equal(call.rc, GROVE_ECANCELED);
    assert_int_equal(stage_add(call.to, 1, NULL), 0); /* The callee lives on. */
    assert_int_equal(stage_add(caller, 1, NULL), GROVE_ENOACTOR);
    stage_close();
}

static void test_a_killed_callee_fails_the_call_and_ends(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1000};
    struct script call = {.act = act_relay, .next = &nap};
    grove_ref caller;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("callee");
    caller = stage_spawn("caller");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(caller, &call), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop_await(call.to, GROVE_STOP_KILL), 0);
    stage_settle();
    assert_int_equal(call.rc, GROVE_ECANCELED);
    assert_int_equal(stage_add(call.to, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(stage_add(caller, 1, NULL), 0);
    stage_close();
}

static void test_mail_that_comes_meanwhile_is_handled_afterwards(void **state)
{
    struct script nap = {.act = act_nap, .ms = 20}, later[3];
    struct script call = {.act = act_relay, .next = &nap};
    grove_ref caller;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("callee");
    caller = stage_spawn("caller");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(caller, &call), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    for (int i = 0; i < 3; i++) {
        later[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(call.to, &later[i]), 0);
    }
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(later[0].n_runs, 0);
    stage_settle();
    assert_int_equal(grove_sleep_await(20), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(later[i].n_ends, 1);
    stage_close();
}

/* Goes on although what it called has failed. */
static int relay_and_shrug(struct play *me, struct script *script)
{
    (void)act_relay(me, script); /* Noted. */
    return 0;
}

static int nap_and_shrug(struct play *me, struct script *script)
{
    (void)act_nap(me, script); /* Noted. */
    return 0;
}

/* main ─▶ first ─▶ second, which naps: only the turn on top is parked. */
static void test_who_calls_through_another_leaves_at_its_deadline_too(void **state)
{
    struct script nap = {.act = nap_and_shrug, .ms = 3000};
    struct script call = {.act = relay_and_shrug, .next = &nap};
    unsigned long long started_ms;
    grove_ref first;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("second");
    first = stage_spawn("first");
    assert_int_equal(grove_yield_await(), 0);
    started_ms = stage_now_ms();
    grove_within(10);
    assert_int_equal(stage_perform(first, &call), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    assert_in_range(stage_now_ms() - started_ms, 10, 12);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_int_equal(call.rc, GROVE_ETIMEDOUT);
    assert_int_equal(call.failure.started, GROVE_STARTED_UNKNOWN);
    stage_close();
}

static int relay_within(struct play *me, struct script *script)
{
    grove_within((uint32_t)script->ms);
    return relay_and_shrug(me, script);
}

static void test_the_nearer_deadline_ends_only_the_call_above_it(void **state)
{
    struct script nap = {.act = act_nap, .ms = 3000};
    struct script call = {.act = relay_within, .next = &nap, .ms = 5};
    unsigned long long started_ms;
    grove_ref first;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("second");
    first = stage_spawn("first");
    assert_int_equal(grove_yield_await(), 0);
    started_ms = stage_now_ms();
    grove_within(50);
    assert_int_equal(stage_perform(first, &call), 0);
    assert_in_range(stage_now_ms() - started_ms, 5, 7);
    assert_int_equal(call.rc, GROVE_ETIMEDOUT);
    assert_int_equal(grove_sleep_await(100), 0); /* No timer is left behind. */
    stage_close();
}

static void test_a_killed_caller_is_told_so_whatever_its_callee_returns(void **state)
{
    struct script nap = {.act = nap_and_shrug, .ms = 1000};
    struct script call = {.act = act_relay, .next = &nap};
    grove_ref caller;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("callee");
    caller = stage_spawn("caller");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(caller, &call), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop_await(caller, GROVE_STOP_KILL), 0);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_int_equal(call.rc, GROVE_ECANCELED);
    assert_int_equal(call.failure.started, GROVE_STARTED_UNKNOWN);
    stage_close();
}

static grove_ref victim;

static int kill_victim(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_stop(victim, GROVE_STOP_KILL);
}

static void test_a_callee_that_kills_its_caller_ends_the_call(void **state)
{
    struct script kill = {.act = kill_victim};
    struct script call = {.act = act_relay, .next = &kill};

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("callee");
    victim = stage_spawn("caller");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_send(victim, &call), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(kill.rc, 0);
    assert_int_equal(call.rc, GROVE_ECANCELED);
    assert_int_equal(call.failure.started, GROVE_STARTED_UNKNOWN);
    assert_int_equal(stage_add(victim, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(stage_add(call.to, 1, NULL), 0);
    stage_close();
}

static int stop_victim_softly(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_stop(victim, GROVE_STOP_DRAIN);
}

static void test_a_callee_that_stops_itself_answers_first(void **state)
{
    struct script stop = {.act = stop_victim_softly};

    (void)state;
    assert_int_equal(open_with("2"), 0);
    victim = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_perform(victim, &stop), 0);
    assert_int_equal(grove_sleep_await(1), 0); /* Nobody else need wake it for its end. */
    assert_int_equal(stage_add(victim, 1, NULL), GROVE_ENOACTOR);
    stage_close();
}

static void test_who_waits_with_its_callee_is_queued_from_then_on_too(void **state)
{
    struct script nap = {.act = act_nap, .ms = 2};
    struct script call = {.act = act_relay, .next = &nap};
    struct script nothing = {.act = act_nothing};
    Play__V1__HurryRequest request = PLAY__V1__HURRY_REQUEST__INIT;
    Play__V1__HurryResponse response = PLAY__V1__HURRY_RESPONSE__INIT;
    grove_ref first;

    (void)state;
    assert_int_equal(open_with("1"), 0);
    call.to = stage_spawn("second");
    first = stage_spawn("first");
    assert_int_equal(grove_yield_await(), 0);
    request.script = (uintptr_t)&call;
    stage_listen();
    assert_int_equal(play_hurry_await(first, &request, &response), 0);
    assert_int_equal(stage_counts[GV_PROBE_SEND], 0);
    assert_int_equal(stage_counts[GV_PROBE_PARK], 1);
    assert_int_equal(grove_yield_await(), 0);
    request.script = (uintptr_t)&nothing;
    stage_listen();
    assert_int_equal(play_hurry_await(first, &request, &response), 0);
    assert_false(stage_was_inline());
    stage_close();
}

/* --- circles ---------------------------------------------------------------------------------- */

static void test_a_circle_of_calls_on_one_stack_is_found(void **state)
{
    struct script nothing = {.act = act_nothing};
    struct script back = {.act = relay_and_shrug, .next = &nothing};
    struct script call = {.act = act_relay, .next = &back};

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("second");
    back.to = stage_spawn("first");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_perform(back.to, &call), 0);
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_int_equal(back.failure.started, GROVE_STARTED_NO);
    assert_string_equal(back.text, "play/second -> play/first -> play/second");
    assert_int_equal(nothing.n_runs, 0);
    stage_close();
}

static int start_and_await_all(struct play *me, struct script *script)
{
    Play__V1__PerformResponse response;
    struct grove_future future, *futures[] = {&future};
    int rc = stage_start(script->to, script->next, &response, &future);

    (void)me;
    if (rc == 0)
        (void)stage_note(script, grove_all_await(futures, 1)); /* Noted. */
    return rc;
}

static void test_a_circle_through_all_over_one_stack_is_found(void **state)
{
    struct script nothing = {.act = act_nothing};
    struct script back = {.act = start_and_await_all, .next = &nothing};
    struct script call = {.act = act_relay, .next = &back};

    (void)state;
    assert_int_equal(open_with("2"), 0);
    call.to = stage_spawn("second");
    back.to = stage_spawn("first");
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_perform(back.to, &call), 0);
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_int_equal(nothing.n_runs, 0); /* Its future was given up with the turn. */
    stage_close();
}

/* --- what a turn owns ------------------------------------------------------------------------- */

static int start_and_forget(struct play *me, struct script *script)
{
    static Play__V1__PerformResponse response;
    static struct grove_future future;

    (void)me;
    return stage_start(script->to, script->next, &response, &future);
}

static void test_futures_left_by_a_callee_are_given_up_with_its_turn(void **state)
{
    struct script nothing = {.act = act_nothing};
    struct script start = {.act = start_and_forget, .next = &nothing};
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    start.to = stage_spawn(NULL);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_perform(ref, &start), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(nothing.n_runs, 0);
    stage_close();
}

static int allocate(struct play *me, struct script *script)
{
    (void)me;
    memset(grove_alloc(3000), 0xee, 3000);
    script->rc = grove_refuse(PLAY__V1__REFUSAL__REFUSAL_SMALL, "not passed on");
    return 0;
}

static void test_memory_and_failures_of_a_callee_are_its_own(void **state)
{
    struct script other = {.act = allocate};
    struct grove_scope scope;
    char *kept, *lost;
    grove_ref ref;

    (void)state;
    assert_int_equal(open_with("2"), 0);
    ref = stage_spawn(NULL);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(stage_add(GROVE_NOBODY, 1, NULL), GROVE_ENOACTOR);
    kept = grove_strdup("kept");
    grove_scope_begin(&scope);
    lost = grove_strdup("in a scope");
    assert_int_equal(stage_perform(ref, &other), 0);
    assert_string_equal(lost, "in a scope");
    grove_scope_end(&scope);
    assert_string_equal(kept, "kept");
    assert_int_equal(grove_failure()->code, GROVE_ENOACTOR);
    stage_close();
}

/* --- for want of stack --------------------------------------------------------------------------- */

static int pass_down(struct play *me, struct script *script)
{
    volatile char frame[2048];

    (void)me;
    frame[0] = 1;
    return script->next != NULL ? stage_perform(script->to, script->next) + (frame[0] - 1) : 0;
}

static void test_who_waited_only_for_want_of_stack_is_inline_again(void **state)
{
    enum { N = 60 };
    static struct script scripts[N];
    struct script nothing = {.act = act_nothing};

    (void)state;
    assert_int_equal(open_with("1"), 0);
    for (int i = N; i-- > 0;)
        scripts[i] = (struct script){
            .act = pass_down, .to = stage_spawn(NULL), .next = i + 1 < N ? &scripts[i + 1] : NULL};
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(stage_spawn(NULL), &scripts[0]), 0);
    stage_listen();
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(scripts[N - 1].n_ends, 1);
    assert_false(stage_was_inline()); /* 60 frames are more than a stack: one of them was queued. */
    stage_listen();
    assert_int_equal(stage_perform(scripts[0].to, &nothing), 0);
    assert_true(stage_was_inline());
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_the_callers_deadline_the_handler_waits_no_more),
        cmocka_unit_test(test_who_waited_only_for_want_of_stack_is_inline_again),
        cmocka_unit_test(test_a_killed_caller_ends_what_its_callee_waits_for),
        cmocka_unit_test(test_a_killed_callee_fails_the_call_and_ends),
        cmocka_unit_test(test_mail_that_comes_meanwhile_is_handled_afterwards),
        cmocka_unit_test(test_who_calls_through_another_leaves_at_its_deadline_too),
        cmocka_unit_test(test_the_nearer_deadline_ends_only_the_call_above_it),
        cmocka_unit_test(test_a_killed_caller_is_told_so_whatever_its_callee_returns),
        cmocka_unit_test(test_a_callee_that_kills_its_caller_ends_the_call),
        cmocka_unit_test(test_a_callee_that_stops_itself_answers_first),
        cmocka_unit_test(test_who_waits_with_its_callee_is_queued_from_then_on_too),
        cmocka_unit_test(test_a_circle_of_calls_on_one_stack_is_found),
        cmocka_unit_test(test_a_circle_through_all_over_one_stack_is_found),
        cmocka_unit_test(test_futures_left_by_a_callee_are_given_up_with_its_turn),
        cmocka_unit_test(test_memory_and_failures_of_a_callee_are_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
