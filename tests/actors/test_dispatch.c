/*
 * Dispatch: the return law, one message at a time, expired work.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

/* --- the return law --------------------------------------------------------------------------- */

struct verdict {
    struct script script;
    int code;
    const char *why; /* with grove_refuse or grove_fail */
    bool fails;
};

static int judge(struct play *me, struct script *script)
{
    struct verdict *verdict = (struct verdict *)script;

    (void)me;
    script->number = 42;
    if (verdict->fails)
        (void)grove_fail("%s", verdict->why);
    else if (verdict->why != NULL)
        return grove_refuse(verdict->code, "%s", verdict->why);
    return verdict->code;
}

static int ask(grove_ref ref, struct verdict *verdict, int64_t *number)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    int rc;

    verdict->script.act = judge;
    request.script = (uintptr_t)verdict;
    response.number = -1;
    rc = play_perform_await(ref, &request, &response);
    *number = response.number;
    return rc;
}

static void test_zero_is_done_and_fills_the_response(void **state)
{
    struct verdict verdict = {.code = 0};
    int64_t number;

    (void)state;
    assert_int_equal(ask(stage_spawn(NULL), &verdict, &number), 0);
    assert_int_equal(number, 42);
}

static void test_a_refusal_is_an_answer_with_enum_and_reason(void **state)
{
    struct verdict verdict = {.code = PLAY__V1__REFUSAL__REFUSAL_BUSY, .why = "come again"};
    grove_ref ref = stage_spawn(NULL);
    int64_t number;

    (void)state;
    assert_int_equal(ask(ref, &verdict, &number), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_int_equal(number, -1);
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
    assert_int_equal(grove_failure()->code, PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    assert_string_equal(grove_why(), "come again");
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_a_plain_code_of_the_own_enum_is_a_refusal(void **state)
{
    struct verdict verdict = {.code = PLAY__V1__REFUSAL__REFUSAL_SMALL};
    int64_t number;

    (void)state;
    assert_int_equal(ask(stage_spawn(NULL), &verdict, &number), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    assert_string_equal(grove_failure()->text, "");
}

static void test_a_negative_code_fails_the_call_and_the_actor_lives_on(void **state)
{
    static const int codes[] = {-ENOENT, GROVE_ETIMEDOUT, GROVE_EFULL, -1};
    grove_ref ref = stage_spawn(NULL);
    int64_t number, total = 0;

    (void)state;
    assert_int_equal(stage_add(ref, 7, NULL), 0);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct verdict verdict = {.code = codes[i]};

        assert_int_equal(ask(ref, &verdict, &number), codes[i]);
        assert_int_equal(number, -1);
        assert_int_equal(grove_failure()->class, GROVE_FAILED);
        assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
        assert_null(grove_failure()->refusals);
    }
    assert_int_equal(stage_add(ref, 0, &total), 0);
    assert_int_equal(total, 7);
}

static void test_a_positive_code_outside_the_enum_is_foreign(void **state)
{
    struct verdict verdict = {.code = 77};
    int64_t number;

    (void)state;
    assert_int_equal(ask(stage_spawn(NULL), &verdict, &number), GROVE_EFOREIGN);
    assert_non_null(strstr(grove_why(), "play.v1.PlayService/Perform"));
    assert_non_null(strstr(grove_why(), "77"));
}

static void test_grove_fail_ends_the_incarnation_and_its_queued_calls(void **state)
{
    struct verdict broken = {
        .script = {.act = judge}, .why = "the books do not add up", .fails = true};
    struct script never = {.act = act_nothing};
    struct grove_loop_stats before, after;
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(stage_start(ref, &broken.script, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &never, &responses[1], &futures[1]), 0);
    assert_int_equal(stage_send(ref, &never), 0);
    /* Also when the handler returns 0 after it. */
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EDOWN);
    assert_string_equal(grove_why(), "the books do not add up");
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(never.n_runs, 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    /* The poison, and what was queued behind it. */
    assert_int_equal(after.dead_letters - before.dead_letters, 3);
}

/* --- refusals of others ----------------------------------------------------------------------- */

static int refuse(struct stranger *me, const Play__V1__RefuseRequest *request,
                  Play__V1__RefuseResponse *response)
{
    (void)me;
    (void)response;
    return request->code;
}

static const struct stranger_service stranger = {.refuse = refuse};

/* Asks the stranger for script->number; ms says what to do with the answer. */
enum { PASS_ON, WRAP, PLAIN_OWN };

static int meet(struct play *me, struct script *script)
{
    Play__V1__RefuseRequest request = PLAY__V1__REFUSE_REQUEST__INIT;
    Play__V1__RefuseResponse response = PLAY__V1__REFUSE_RESPONSE__INIT;
    int rc;

    (void)me;
    request.code = (int)script->number;
    rc = stage_note(script, stranger_refuse_await(script->to, &request, &response));
    if (script->ms == WRAP)
        return grove_refuse(PLAY__V1__REFUSAL__REFUSAL_BUSY, "the stranger said %d", rc);
    if (script->ms == PLAIN_OWN)
        return PLAY__V1__REFUSAL__REFUSAL_BUSY;
    return rc;
}

static grove_ref spawn_stranger(void)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(stranger_spawn(&stranger, NULL, NULL, &ref), 0);
    return ref;
}

static void test_a_foreign_refusal_that_is_passed_on_is_caught(void **state)
{
    /* SHY is 1, which is a number of the player's own enum too. */
    struct script script = {.act = meet,
                            .to = spawn_stranger(),
                            .number = PLAY__V1__STRANGER_REFUSAL__STRANGER_REFUSAL_SHY,
                            .ms = PASS_ON};

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), GROVE_EFOREIGN);
    assert_int_equal(script.rc, PLAY__V1__STRANGER_REFUSAL__STRANGER_REFUSAL_SHY);
    assert_string_equal(script.failure.refusals, "play.v1.StrangerRefusal");
    assert_non_null(strstr(grove_why(), "play.v1.StrangerRefusal"));
    assert_non_null(strstr(grove_why(), "play.v1.Refusal"));
}

static void test_a_foreign_refusal_may_be_turned_into_an_own_one(void **state)
{
    struct script script = {.act = meet,
                            .to = spawn_stranger(),
                            .number = PLAY__V1__STRANGER_REFUSAL__STRANGER_REFUSAL_SHY,
                            .ms = WRAP};

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_string_equal(grove_why(), "the stranger said 1");
    script.ms = PLAIN_OWN;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    assert_string_equal(grove_failure()->text, "");
}

static int code(struct open *me, const Play__V1__CodeRequest *request,
                Play__V1__CodeResponse *response)
{
    (void)me;
    (void)response;
    return request->code;
}

static void test_without_an_enum_every_positive_code_is_a_refusal(void **state)
{
    static const struct open_service open = {.code = code};
    Play__V1__CodeRequest request = PLAY__V1__CODE_REQUEST__INIT;
    Play__V1__CodeResponse response = PLAY__V1__CODE_RESPONSE__INIT;
    grove_ref ref;

    (void)state;
    assert_int_equal(open_spawn(&open, NULL, NULL, &ref), 0);
    request.code = 12345;
    assert_int_equal(open_code_await(ref, &request, &response), 12345);
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
    assert_null(grove_failure()->refusals);
}

/* --- methods ---------------------------------------------------------------------------------- */

static void test_a_method_of_another_service_is_not_supported(void **state)
{
    grove_ref player = stage_spawn(NULL), other = spawn_stranger();
    Play__V1__RefuseRequest request = PLAY__V1__REFUSE_REQUEST__INIT;
    Play__V1__RefuseResponse response = PLAY__V1__REFUSE_RESPONSE__INIT;

    (void)state;
    assert_int_equal(stage_add(other, 1, NULL), GROVE_ENOTSUP);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(stranger_refuse_await(player, &request, &response), GROVE_ENOTSUP);
    assert_int_equal(stage_add(player, 1, NULL), 0);
}

static void test_a_worker_method_without_a_pool_says_so(void **state)
{
    Play__V1__GrindRequest request = PLAY__V1__GRIND_REQUEST__INIT;
    Play__V1__GrindResponse response = PLAY__V1__GRIND_RESPONSE__INIT;

    (void)state;
    assert_int_equal(play_grind_await(stage_spawn(NULL), &request, &response), GROVE_EUNAVAILABLE);
}

static void test_a_send_of_another_service_is_a_dead_letter(void **state)
{
    struct grove_loop_stats before, after;
    struct script script = {.act = act_nothing};

    (void)state;
    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(stage_send(spawn_stranger(), &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_int_equal(after.dead_letters - before.dead_letters, 1);
}

/* --- time and order --------------------------------------------------------------------------- */

static void test_expired_work_is_never_started(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100}, late = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &responses[0], &futures[0]), 0);
    grove_within(10);
    assert_int_equal(stage_start(ref, &late, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ETIMEDOUT);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(late.n_runs, 0);
}

static void test_work_that_expired_while_its_caller_was_held_up_is_not_started(void **state)
{
    struct script nap = {.act = act_nap, .ms = 15}, late = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn_on(1, NULL);
    unsigned long long begin_ms;

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    grove_within(5);
    assert_int_equal(stage_start(ref, &late, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    /* Main eats CPU: its loop cannot take the request back, the other one must see for itself. */
    begin_ms = stage_now_ms();
    while (stage_now_ms() - begin_ms < 40)
        continue;
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(late.n_runs, 0);
}

struct watch {
    struct script script;
    int in_handler_max;
    int64_t before, after;
};

static int watch_state(struct play *me, struct script *script)
{
    struct watch *watch = (struct watch *)script;
    int rc;

    watch->before = me->total;
    if (me->in_handler > watch->in_handler_max)
        watch->in_handler_max = me->in_handler;
    rc = grove_sleep_await(script->ms);
    watch->after = me->total;
    me->total++;
    return rc;
}

static void test_one_message_at_a_time_also_across_awaits(void **state)
{
    enum { N = 20 };
    struct watch watches[N];
    Play__V1__PerformResponse responses[N];
    struct grove_future futures[N], *all[N];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int i = 0; i < N; i++) {
        watches[i] = (struct watch){.script = {.act = watch_state, .ms = (uint32_t)(N - i)}};
        all[i] = &futures[i];
        /* Some come before the first handler has begun, some while one is parked. */
        if (i >= N / 2)
            assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(stage_start(ref, &watches[i].script, &responses[i], &futures[i]), 0);
    }
    assert_int_equal(grove_all_await(all, N), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(watches[i].in_handler_max, 1);
        /* First in, first out; and what was read before the await is true after it. */
        assert_int_equal(watches[i].before, i);
        assert_int_equal(watches[i].after, i);
    }
}

static int count(struct play *me, struct script *script)
{
    script->number = ++me->total;
    return 0;
}

static void test_more_messages_than_a_run_of_turns_keep_their_order(void **state)
{
    enum { N = 700 };
    static struct script scripts[N];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int i = 0; i < N; i++) {
        scripts[i] = (struct script){.act = count};
        assert_int_equal(stage_send(ref, &scripts[i]), 0);
    }
    assert_int_equal(stage_add(ref, 0, NULL), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(scripts[i].number, i + 1);
}

/* --- stacks ----------------------------------------------------------------------------------- */

static void test_an_await_beyond_the_last_stack_fails_and_the_system_goes_on(void **state)
{
    enum { STACKS = 3, N = 6 };
    struct script scripts[N], never = {.act = act_nothing};
    grove_ref idle;
    unsigned n_parked = 0, n_refused = 0;

    (void)state;
    stage_open_with("stacks_max", "3");
    assert_int_equal(grove_option_set("inline", "0"),
                     0); /* A call on its caller's stack needs no other. */
    idle = stage_spawn(NULL);
    for (int i = 0; i < N; i++) {
        scripts[i] = (struct script){.act = i < STACKS - 1 ? act_nap : act_relay,
                                     .ms = 50,
                                     .to = idle,
                                     .next = &never,
                                     .rc = -1};
        assert_int_equal(stage_send(stage_spawn(NULL), &scripts[i]), 0);
        /* One after the other, whatever order the run queue is drawn in. */
        assert_int_equal(grove_sleep_await(1), 0);
    }
    for (int i = 0; i < N; i++) {
        n_parked += scripts[i].n_ends == 0;
        n_refused += scripts[i].rc == GROVE_ENOSTACK;
        if (scripts[i].rc == GROVE_ENOSTACK) {
            assert_int_equal(scripts[i].failure.started, GROVE_STARTED_NO);
            assert_int_equal(scripts[i].failure.class, GROVE_FAILED);
        }
    }
    assert_int_equal(n_parked, STACKS - 1);
    assert_int_equal(n_refused, N - (STACKS - 1));
    assert_int_equal(never.n_runs, 0);
    assert_int_equal(stage_add(idle, 1, NULL), 0);
    assert_int_equal(grove_sleep_await(60), 0);
    assert_int_equal(scripts[0].rc, 0);
    assert_int_equal(stage_perform(stage_spawn(NULL), &scripts[N - 1]), 0);
    assert_int_equal(never.n_runs, 1);
    stage_close();
}

static void test_a_far_await_without_a_stack_sends_nothing(void **state)
{
    struct script nap = {.act = act_nap, .ms = 60000}, never = {.act = act_nothing};
    struct script call = {.act = act_relay, .next = &never};
    grove_ref sleeper;

    (void)state;
    stage_open_loops(2);
    assert_int_equal(grove_option_set("stacks_max", "2"), 0);
    assert_int_equal(grove_option_set("inline", "0"), 0);
    assert_int_equal(grove_option_set("lend", "0"), 0); /* A lent nap takes no stack here. */
    call.to = stage_spawn_on(1, NULL);
    sleeper = stage_spawn(NULL);
    assert_int_equal(stage_send(sleeper, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_perform(stage_spawn(NULL), &call), GROVE_ENOSTACK);
    assert_int_equal(call.failure.started, GROVE_STARTED_NO);
    assert_int_equal(stage_add(call.to, 1, NULL), 0);
    assert_int_equal(never.n_runs, 0);
    assert_int_equal(grove_stop_await(sleeper, GROVE_STOP_KILL), 0);
    stage_settle();
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_zero_is_done_and_fills_the_response),
        stage_test(test_a_refusal_is_an_answer_with_enum_and_reason),
        stage_test(test_a_plain_code_of_the_own_enum_is_a_refusal),
        stage_test(test_a_negative_code_fails_the_call_and_the_actor_lives_on),
        stage_test(test_a_positive_code_outside_the_enum_is_foreign),
        stage_test(test_grove_fail_ends_the_incarnation_and_its_queued_calls),
        stage_test(test_a_foreign_refusal_that_is_passed_on_is_caught),
        stage_test(test_a_foreign_refusal_may_be_turned_into_an_own_one),
        stage_test(test_without_an_enum_every_positive_code_is_a_refusal),
        stage_test(test_a_method_of_another_service_is_not_supported),
        stage_test(test_a_worker_method_without_a_pool_says_so),
        stage_test(test_a_send_of_another_service_is_a_dead_letter),
        stage_test(test_expired_work_is_never_started),
        stage_test(test_one_message_at_a_time_also_across_awaits),
        stage_test(test_more_messages_than_a_run_of_turns_keep_their_order),
    };
    const struct CMUnitTest own_tests[] = {
        stage_test(test_an_await_beyond_the_last_stack_fails_and_the_system_goes_on),
        stage_test(test_a_far_await_without_a_stack_sends_nothing),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_work_that_expired_while_its_caller_was_held_up_is_not_started),
    };
    int n = cmocka_run_group_tests_name("dispatch", tests, stage_set_up, stage_tear_down);

    n += cmocka_run_group_tests_name("dispatch, far", far_tests, stage_set_up_two_loops,
                                     stage_tear_down);
    return n + cmocka_run_group_tests_name("dispatch, few stacks", own_tests, NULL, NULL);
}
