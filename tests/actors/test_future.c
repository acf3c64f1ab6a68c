/*
 * Futures: start, all, any, cancel, and the ones nobody awaits.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

enum { N = 5 };

/* N actors, each busy with a nap of its own. */
struct flock {
    struct script naps[N];
    Play__V1__PerformResponse responses[N];
    struct grove_future futures[N], *all[N];
};

static void start(struct flock *flock, const uint32_t ms[N])
{
    for (int i = 0; i < N; i++) {
        flock->naps[i] = (struct script){.act = act_nap, .ms = ms[i], .number = 100 + i};
        flock->all[i] = &flock->futures[i];
        assert_int_equal(stage_start(stage_spawn(NULL), &flock->naps[i], &flock->responses[i],
                                     &flock->futures[i]),
                         0);
        assert_int_equal(flock->futures[i].done, 0);
    }
}

static void test_start_does_not_wait_and_await_brings_the_answer(void **state)
{
    struct flock flock;
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    start(&flock, (const uint32_t[N]){50, 50, 50, 50, 50});
    assert_int_equal(stage_now_ms(), begin_ms);
    for (int i = 0; i < N; i++) {
        assert_int_equal(grove_future_await(&flock.futures[i]), 0);
        assert_int_equal(flock.responses[i].number, 100 + i);
    }
    /* All at the same time. */
    assert_in_range(stage_now_ms() - begin_ms, 50, 56);
}

static void test_the_response_of_a_future_is_written_by_its_await_alone(void **state)
{
    struct flock flock;

    (void)state;
    start(&flock, (const uint32_t[N]){1, 1, 1, 1, 1});
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(flock.futures[0].done, 1);
    assert_int_equal(flock.responses[0].number, 0);
    assert_int_equal(grove_future_await(&flock.futures[0]), 0);
    assert_int_equal(flock.responses[0].number, 100);
    assert_int_equal(grove_all_await(flock.all, N), 0);
}

static void test_all_waits_for_the_slowest(void **state)
{
    struct flock flock;
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    start(&flock, (const uint32_t[N]){10, 50, 20, 5, 30});
    assert_int_equal(grove_all_await(flock.all, N), 0);
    assert_in_range(stage_now_ms() - begin_ms, 50, 55);
    for (int i = 0; i < N; i++)
        assert_int_equal(flock.responses[i].number, 100 + i);
    assert_int_equal(grove_all_await(flock.all, N), 0);
    assert_int_equal(grove_all_await(NULL, 0), 0);
}

static void test_all_returns_the_first_failure_of_the_array_and_keeps_each_rc(void **state)
{
    static struct script dear = {.act = act_add, .number = -3};
    struct flock flock;

    (void)state;
    start(&flock, (const uint32_t[N]){10, 10, 10, 10, 10});
    dear.to = stage_spawn(NULL);
    assert_int_equal(grove_all_await(flock.all, N), 0);
    /* Again, the second one refused by somebody, the fourth without a receiver in the end. */
    for (int i = 0; i < N; i++) {
        grove_ref ref = stage_spawn(NULL);

        flock.naps[i] = (struct script){.act = act_nap, .ms = 5};
        assert_int_equal(stage_start(ref, i == 1 ? &dear : &flock.naps[i], &flock.responses[i],
                                     &flock.futures[i]),
                         0);
        if (i == 3)
            assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    }
    assert_int_equal(grove_all_await(flock.all, N), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_int_equal(grove_failure()->code, PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    assert_int_equal(flock.futures[0].rc, 0);
    assert_int_equal(flock.futures[1].rc, PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_int_equal(flock.futures[2].rc, 0);
    assert_int_equal(flock.futures[3].rc, GROVE_ENOACTOR);
    assert_int_equal(flock.futures[3].started, GROVE_STARTED_NO);
    assert_int_equal(flock.futures[4].rc, 0);
}

static void test_all_bears_the_same_future_twice(void **state)
{
    struct flock flock;
    struct grove_future *twice[3];

    (void)state;
    start(&flock, (const uint32_t[N]){10, 20, 1, 1, 1});
    twice[0] = twice[2] = flock.all[0];
    twice[1] = flock.all[1];
    assert_int_equal(grove_all_await(twice, 3), 0);
    assert_int_equal(grove_all_await(flock.all, N), 0);
}

static void test_any_returns_the_first_to_come_and_leaves_the_others_in_flight(void **state)
{
    struct flock flock;
    struct grove_future *left[N];
    unsigned which = 99, order[N], n_left = N;
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    start(&flock, (const uint32_t[N]){40, 20, 50, 10, 30});
    memcpy(left, flock.all, sizeof left);
    for (int i = 0; i < N; i++) {
        assert_int_equal(grove_any_await(left, n_left, &which), 0);
        assert_in_range(which, 0, n_left - 1);
        order[i] = (unsigned)(left[which] - flock.futures);
        assert_int_equal(flock.responses[order[i]].number, 100 + (int)order[i]);
        left[which] = left[--n_left];
    }
    assert_memory_equal(order, ((unsigned[N]){3, 1, 4, 0, 2}), sizeof order);
    assert_in_range(stage_now_ms() - begin_ms, 50, 60);
}

static void test_any_returns_a_failure_too(void **state)
{
    struct flock flock;
    struct script dear = {.act = act_add, .number = -1, .to = stage_spawn(NULL)};
    Play__V1__PerformResponse response;
    struct grove_future future, *both[2] = {&flock.futures[0], &future};
    unsigned which = 99;

    (void)state;
    start(&flock, (const uint32_t[N]){40, 1, 1, 1, 1});
    assert_int_equal(stage_start(stage_spawn(NULL), &dear, &response, &future), 0);
    assert_int_equal(grove_any_await(both, 2, &which), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_int_equal(which, 1);
    assert_string_equal(grove_why(), "-1 is below zero");
    assert_int_equal(grove_all_await(flock.all, N), 0);
}

static void test_a_future_ends_at_its_deadline(void **state)
{
    struct flock flock;
    struct script nap = {.act = act_nap, .ms = 50};
    Play__V1__PerformResponse response;
    struct grove_future future, *both[2] = {&flock.futures[0], &future};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    start(&flock, (const uint32_t[N]){30, 1, 1, 1, 1});
    grove_within(10);
    assert_int_equal(stage_start(stage_spawn(NULL), &nap, &response, &future), 0);
    assert_int_equal(grove_all_await(both, 2), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 30, 35);
    assert_int_equal(future.rc, GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->class, GROVE_UNKNOWN);
    assert_int_equal(grove_all_await(flock.all, N), 0);
    stage_settle();
}

static void test_cancel_takes_a_queued_request_back(void **state)
{
    struct script nap = {.act = act_nap, .ms = 20}, never = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(stage_start(ref, &never, &response, &future), 0);
    grove_future_cancel(&future);
    assert_int_equal(future.done, 1);
    assert_int_equal(grove_future_await(&future), GROVE_ECANCELED);
    grove_future_cancel(&future);
    assert_int_equal(grove_sleep_await(30), 0);
    assert_int_equal(never.n_runs, 0);
}

static void test_cancel_of_a_running_call_cancels_its_handler(void **state)
{
    struct script nap = {.act = act_nap, .ms = 20};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    grove_future_cancel(&future);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_int_equal(response.number, 0);
}

static void test_a_cancelled_future_that_was_done_gives_its_answer_back(void **state)
{
    struct flock flock;

    (void)state;
    start(&flock, (const uint32_t[N]){1, 1, 1, 1, 1});
    assert_int_equal(grove_sleep_await(10), 0);
    for (int i = 0; i < N; i++)
        grove_future_cancel(&flock.futures[i]);
    assert_int_equal(flock.responses[0].number, 0);
}

struct forgetful {
    struct script script;
    struct script queued, running;
    grove_ref busy, idle;
};

static int forget(struct play *me, struct script *script)
{
    struct forgetful *forgetful = (struct forgetful *)script;
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    int rc;

    (void)me;
    rc = stage_start(forgetful->busy, &forgetful->queued, &responses[0], &futures[0]);
    if (rc == 0)
        rc = stage_start(forgetful->idle, &forgetful->running, &responses[1], &futures[1]);
    if (rc == 0)
        rc = grove_sleep_await(5);
    return rc;
}

static void test_futures_that_nobody_awaits_are_cancelled_when_the_handler_returns(void **state)
{
    struct forgetful forgetful = {.script = {.act = forget},
                                  .queued = {.act = act_nothing},
                                  .running = {.act = act_nap, .ms = 50},
                                  .busy = stage_spawn(NULL),
                                  .idle = stage_spawn(NULL)};
    struct script nap = {.act = act_nap, .ms = 20};

    (void)state;
    assert_int_equal(stage_send(forgetful.busy, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_perform(stage_spawn(NULL), &forgetful.script), 0);
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(forgetful.queued.n_runs, 0);
    assert_int_equal(forgetful.running.n_ends, 1);
    assert_int_equal(forgetful.running.rc, GROVE_ECANCELED);
}

static void test_what_was_not_started_cannot_be_awaited(void **state)
{
    struct script script = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future, *all[1] = {&future};
    unsigned which;

    (void)state;
    assert_int_equal(stage_start(GROVE_NOBODY, &script, &response, &future), GROVE_ENOACTOR);
    assert_int_equal(grove_future_await(&future), GROVE_EUSAGE);
    assert_int_equal(grove_any_await(all, 1, &which), GROVE_EUSAGE);
    assert_int_equal(grove_any_await(all, 0, &which), GROVE_EUSAGE);
    assert_int_equal(grove_all_await(all, 1025), GROVE_EUSAGE);
}

static void test_a_thousand_futures_at_once(void **state)
{
    enum { MANY = 1024 };
    static struct script scripts[MANY];
    static Play__V1__PerformResponse responses[MANY];
    static struct grove_future futures[MANY], *all[MANY];
    grove_ref refs[16];

    (void)state;
    for (int i = 0; i < 16; i++)
        refs[i] = stage_spawn(NULL);
    for (int i = 0; i < MANY; i++) {
        scripts[i] = (struct script){.act = act_nothing, .number = i};
        all[i] = &futures[i];
        assert_int_equal(stage_start(refs[i % 16], &scripts[i], &responses[i], &futures[i]), 0);
    }
    assert_int_equal(grove_all_await(all, MANY), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(responses[i].number, i);
}

static void test_more_futures_than_may_be_awaited_at_once_are_refused(void **state)
{
    static struct grove_future future, *all[1025];
    struct script script = {.act = act_nothing};
    Play__V1__PerformResponse response;
    unsigned which = 0;

    (void)state;
    for (unsigned i = 0; i < 1025; i++)
        all[i] = &future;
    assert_int_equal(stage_start(stage_spawn(NULL), &script, &response, &future), 0);
    assert_int_equal(grove_all_await(all, 1025), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "at most 1024"));
    assert_int_equal(grove_any_await(all, 1025, &which), GROVE_EUSAGE);
    assert_int_equal(grove_all_await(all, 1024), 0);
}

static void go_all(void *argument)
{
    struct script *script = argument;
    Play__V1__PerformResponse response;
    struct grove_future future;
    int rc = stage_start(script->to, script->next, &response, &future);

    (void)stage_note(script, rc != 0 ? rc : grove_future_await(&future)); /* Noted. */
    script->n_ends = 1;
}

static void test_a_stopped_greenlet_leaves_its_futures_at_once(void **state)
{
    struct script nap = {.act = act_nap, .ms = 500};
    struct script green = {.to = stage_spawn(NULL), .next = &nap};
    grove_ref ref;

    (void)state;
    assert_int_equal(grove_go(go_all, &green, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(green.rc, GROVE_ECANCELED);
    assert_int_equal(green.n_ends, 1);
    stage_settle();
    assert_int_equal(nap.rc, GROVE_ECANCELED);
}

static void test_far_futures_come_back(void **state)
{
    struct flock flock;

    (void)state;
    for (int i = 0; i < N; i++) {
        flock.naps[i] = (struct script){.act = act_nap, .ms = 1, .number = 100 + i};
        flock.all[i] = &flock.futures[i];
        assert_int_equal(stage_start(stage_spawn_on((unsigned)i % 2, NULL), &flock.naps[i],
                                     &flock.responses[i], &flock.futures[i]),
                         0);
    }
    assert_int_equal(grove_all_await(flock.all, N), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(flock.responses[i].number, 100 + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_start_does_not_wait_and_await_brings_the_answer),
        stage_test(test_the_response_of_a_future_is_written_by_its_await_alone),
        stage_test(test_all_waits_for_the_slowest),
        stage_test(test_all_returns_the_first_failure_of_the_array_and_keeps_each_rc),
        stage_test(test_all_bears_the_same_future_twice),
        stage_test(test_any_returns_the_first_to_come_and_leaves_the_others_in_flight),
        stage_test(test_any_returns_a_failure_too),
        stage_test(test_a_future_ends_at_its_deadline),
        stage_test(test_cancel_takes_a_queued_request_back),
        stage_test(test_cancel_of_a_running_call_cancels_its_handler),
        stage_test(test_a_cancelled_future_that_was_done_gives_its_answer_back),
        stage_test(test_futures_that_nobody_awaits_are_cancelled_when_the_handler_returns),
        stage_test(test_what_was_not_started_cannot_be_awaited),
        stage_test(test_a_thousand_futures_at_once),
        stage_test(test_more_futures_than_may_be_awaited_at_once_are_refused),
        stage_test(test_a_stopped_greenlet_leaves_its_futures_at_once),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_futures_come_back),
    };
    int n = cmocka_run_group_tests_name("future", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("future, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
