/*
 * Calls: records, late answers, giving up, callbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/call.h"
#include "actors/service.h"
#include "runtime/go.h"

static struct gv_loop *here(void)
{
    assert_non_null(gv_loop_here);
    return gv_loop_here;
}

static void test_ids_are_never_zero_and_never_match_again(void **state)
{
    enum { N = 1000 };
    static struct gv_call *calls[N];
    static uint64_t ids[N];

    (void)state;
    (void)stage_spawn(NULL);
    for (int i = 0; i < N; i++) {
        calls[i] = gv_call_take(here(), 0, 1, 0);
        assert_non_null(calls[i]);
        calls[i]->kind = GV_SINK_CALLBACK;
        ids[i] = calls[i]->id;
        assert_int_not_equal(ids[i], 0);
        assert_ptr_equal(gv_call_find(here(), ids[i]), calls[i]);
    }
    for (int i = 0; i < N; i++)
        gv_call_give(here(), calls[i]);
    for (int i = 0; i < N; i++)
        assert_null(gv_call_find(here(), ids[i]));
    for (int i = 0; i < N; i++) {
        calls[i] = gv_call_take(here(), 0, 1, 0);
        for (int k = 0; k < N; k++)
            if (calls[i]->id == ids[k])
                fail_msg("id %llu again", (unsigned long long)ids[k]);
    }
    for (int i = 0; i < N; i++)
        gv_call_give(here(), calls[i]);
    assert_null(gv_call_find(here(), 0));
    assert_null(gv_call_find(here(), UINT64_MAX));
}

static void test_a_generation_that_wraps_does_not_become_zero(void **state)
{
    struct gv_call *call;

    (void)state;
    (void)stage_spawn(NULL);
    call = gv_call_take(here(), 0, 1, 0);
    call->id |= (UINT64_C(1) << 36) - 1;
    gv_call_give(here(), call);
    assert_int_equal(call->id & ((UINT64_C(1) << 36) - 1), 1);
}

static void test_a_late_answer_touches_nothing(void **state)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    struct script nap = {.act = act_nap, .ms = 30, .number = 5};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    request.script = (uintptr_t)&nap;
    grove_within(10);
    assert_int_equal(play_perform_await(ref, &request, &response), GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(response.number, 0);
}

static void test_a_late_answer_is_not_taken_for_that_of_the_next_call(void **state)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    struct script nap = {.act = act_nap, .ms = 30, .number = 5};
    struct script next = {.act = act_nap, .ms = 60, .number = 6};

    (void)state;
    request.script = (uintptr_t)&nap;
    grove_within(10);
    assert_int_equal(play_perform_await(stage_spawn(NULL), &request, &response), GROVE_ETIMEDOUT);
    /* It has the same record, one generation later. */
    request.script = (uintptr_t)&next;
    assert_int_equal(play_perform_await(stage_spawn(NULL), &request, &response), 0);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(response.number, 6);
}

static void test_the_queued_request_of_a_stopped_caller_is_taken_back(void **state)
{
    struct script nap = {.act = act_nap, .ms = 30}, late = {.act = act_nothing};
    struct script green = {.to = stage_spawn(NULL), .next = &late};
    grove_ref ref;

    (void)state;
    assert_int_equal(stage_send(green.to, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_go(go_relay, &green, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(green.rc, GROVE_ECANCELED);
    assert_int_equal(green.failure.started, GROVE_STARTED_NO);
    stage_settle();
    assert_int_equal(stage_add(green.to, 1, NULL), 0);
    assert_int_equal(late.n_runs, 0);
}

static void test_giving_up_takes_the_queued_request_back(void **state)
{
    struct script nap = {.act = act_nap, .ms = 30}, late = {.act = act_nothing};
    struct grove_loop_stats before, after;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_loop_stats(0, &before), 0);
    grove_within(5);
    assert_int_equal(stage_perform(ref, &late), GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(late.n_runs, 0);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_int_equal(after.dead_letters, before.dead_letters);
}

/* --- callbacks -------------------------------------------------------------------------------- */

struct sink {
    unsigned n_calls;
    int code;
    enum grove_started started;
    int64_t total;
    char text[64];
};

static void note_outcome(void *owner, const struct gv_outcome *outcome)
{
    struct sink *sink = owner;

    sink->n_calls++;
    sink->code = outcome->code;
    sink->started = outcome->started;
    strncpy(sink->text, outcome->text, sizeof sink->text - 1);
    if (outcome->reply != NULL) {
        Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;

        play_service_table.methods[PLAY_METHOD_ADD].response->open(&response.base,
                                                                   outcome->reply->body);
        sink->total = response.total;
    }
}

static int begin(struct sink *sink, grove_ref ref, int64_t n, uint32_t timeout_ms)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    struct gv_call_options options = {
        .ref = ref,
        .method = gv_method_index(&play_service_table, PLAY_METHOD_ADD),
        .request = &request.base,
        .deadline_ms = timeout_ms != 0 ? gv_deadline_in(here(), timeout_ms) : 0,
        .function = note_outcome,
        .owner = sink,
    };
    uint64_t id;

    *sink = (struct sink){0};
    request.n = n;
    return gv_call_begin(here(), &options, &id);
}

static void test_a_callback_gets_answer_refusal_and_failure_exactly_once(void **state)
{
    grove_ref ref = stage_spawn(NULL);
    struct sink sinks[3];

    (void)state;
    assert_int_equal(begin(&sinks[0], ref, 3, 0), 0);
    assert_int_equal(begin(&sinks[1], ref, -3, 0), 0);
    assert_int_equal(sinks[0].n_calls, 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(sinks[0].n_calls, 1);
    assert_int_equal(sinks[0].code, 0);
    assert_int_equal(sinks[0].total, 3);
    assert_int_equal(sinks[1].n_calls, 1);
    assert_int_equal(sinks[1].code, PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_string_equal(sinks[1].text, "-3 is below zero");

    assert_int_equal(begin(&sinks[2], ref, 3, 0), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(sinks[2].n_calls, 1);
    assert_int_equal(sinks[2].code, GROVE_ENOACTOR);
    assert_int_equal(sinks[2].started, GROVE_STARTED_NO);
    assert_int_equal(begin(&sinks[2], ref, 3, 0), GROVE_ENOACTOR);
    assert_int_equal(sinks[2].n_calls, 0);
}

static void test_a_callback_comes_at_its_deadline_and_not_again(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50};
    grove_ref ref = stage_spawn(NULL);
    struct sink sink;

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(begin(&sink, ref, 3, 10), 0);
    assert_int_equal(grove_sleep_await(20), 0);
    assert_int_equal(sink.n_calls, 1);
    assert_int_equal(sink.code, GROVE_ETIMEDOUT);
    stage_settle();
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(sink.n_calls, 1);
}

static void test_a_far_callback_comes_home(void **state)
{
    grove_ref ref = stage_spawn_on(1, NULL);
    struct sink sink;

    (void)state;
    assert_int_equal(begin(&sink, ref, 3, 0), 0);
    while (sink.n_calls == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(sink.code, 0);
    assert_int_equal(sink.total, 3);
}

static void test_far_calls_that_give_up_are_taken_back_there(void **state)
{
    struct script nap = {.act = act_nap, .ms = 40}, late = {.act = act_nothing};
    grove_ref ref = stage_spawn_on(1, NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    grove_within(3);
    assert_int_equal(stage_perform(ref, &late), GROVE_ETIMEDOUT);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(late.n_runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_ids_are_never_zero_and_never_match_again),
        stage_test(test_a_generation_that_wraps_does_not_become_zero),
        stage_test(test_a_late_answer_touches_nothing),
        stage_test(test_a_late_answer_is_not_taken_for_that_of_the_next_call),
        stage_test(test_the_queued_request_of_a_stopped_caller_is_taken_back),
        stage_test(test_giving_up_takes_the_queued_request_back),
        stage_test(test_a_callback_gets_answer_refusal_and_failure_exactly_once),
        stage_test(test_a_callback_comes_at_its_deadline_and_not_again),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_far_callback_comes_home),
        stage_test(test_far_calls_that_give_up_are_taken_back_there),
    };
    int n = cmocka_run_group_tests_name("call", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("call, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
