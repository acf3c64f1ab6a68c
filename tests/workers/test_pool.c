/*
 * A pool with real worker processes, from the caller's side.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/workers/pools.h"

#define N_FUTURES 64

/* --- answers -------------------------------------------------------------------------------------- */

static void test_a_job_comes_back_as_its_worker_answered_it(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;

    (void)state;
    assert_int_equal(echo(pool, "hello", &response), 0);
    assert_string_equal(response.text, "hello");
    assert_int_equal(response.number, 42);
    assert_int_equal(stats_of(pool).done, 1);
    close_pool(pool);
    assert_int_equal(echo(pool, "too late", &response), GROVE_ENOACTOR);
}

static void test_a_refusal_comes_with_its_reason(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__RefuseRequest request = JOBS__V1__REFUSE_REQUEST__INIT;
    Jobs__V1__RefuseResponse response = JOBS__V1__REFUSE_RESPONSE__INIT;

    (void)state;
    request.code = JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY;
    request.text = "come back tomorrow";
    assert_int_equal(job_refuse_await(pool, &request, &response), request.code);
    assert_string_equal(grove_why(), "come back tomorrow");
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
    assert_string_equal(grove_failure()->refusals, "jobs.v1.Refusal");
    close_pool(pool);
}

static void test_a_number_outside_the_enum_is_a_foreign_refusal(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__RefuseRequest request = JOBS__V1__REFUSE_REQUEST__INIT;
    Jobs__V1__RefuseResponse response = JOBS__V1__REFUSE_RESPONSE__INIT;

    (void)state;
    request.code = 17;
    assert_int_equal(job_refuse_await(pool, &request, &response), GROVE_EFOREIGN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    close_pool(pool);
}

static void test_a_failure_of_the_function_is_the_callers(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__RefuseRequest request = JOBS__V1__REFUSE_REQUEST__INIT;
    Jobs__V1__RefuseResponse response = JOBS__V1__REFUSE_RESPONSE__INIT;

    (void)state;
    request.code = -EDOM;
    assert_int_equal(job_refuse_await(pool, &request, &response), -EDOM);
    assert_serves(pool);
    close_pool(pool);
}

static void test_a_method_without_a_function_is_not_supported(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__MissingRequest request = JOBS__V1__MISSING_REQUEST__INIT;
    Jobs__V1__MissingResponse response = JOBS__V1__MISSING_RESPONSE__INIT;

    (void)state;
    assert_int_equal(job_missing_await(pool, &request, &response), GROVE_ENOTSUP);
    assert_serves(pool);
    close_pool(pool);
}

static void test_large_requests_and_answers_go_in_parts(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__BigRequest request = JOBS__V1__BIG_REQUEST__INIT;
    Jobs__V1__BigResponse response = JOBS__V1__BIG_RESPONSE__INIT;
    Jobs__V1__EchoResponse echoed = JOBS__V1__ECHO_RESPONSE__INIT;
    size_t n = 3 << 20;
    char *text = malloc(n + 1);

    (void)state;
    request.bytes = 10 << 20;
    assert_int_equal(job_big_await(pool, &request, &response), 0);
    assert_int_equal(response.data.len, request.bytes);
    for (size_t i = 0; i < response.data.len; i += 4093)
        assert_int_equal(response.data.data[i], 'b');

    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    assert_int_equal(echo(pool, text, &echoed), 0);
    assert_string_equal(echoed.text, text);
    free(text);

    request.bytes = 17 << 20;
    assert_int_equal(job_big_await(pool, &request, &response), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "16 MiB"));
    text = malloc((17 << 20) + 1);
    assert_non_null(text);
    memset(text, 'x', 17 << 20);
    text[17 << 20] = '\0';
    assert_int_equal(echo(pool, text, &echoed), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "16 MiB"));
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    free(text);
    assert_serves(pool);
    close_pool(pool);
}

static void test_many_jobs_at_once_are_all_answered(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 2});
    Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;
    Jobs__V1__EchoResponse responses[N_FUTURES];
    struct grove_future futures[N_FUTURES], *list[N_FUTURES];

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < N_FUTURES; i++) {
            jobs__v1__echo_response__init(&responses[i]);
            request.number = i;
            list[i] = &futures[i];
            assert_int_equal(job_echo_start(pool, &request, &responses[i], &futures[i]), 0);
        }
        assert_int_equal(grove_all_await(list, N_FUTURES), 0);
        for (unsigned i = 0; i < N_FUTURES; i++)
            assert_int_equal(responses[i].number, i);
    }
    close_pool(pool);
}

static void test_a_sent_job_runs_without_an_answer(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__OnceRequest request = once_request(3, 0);

    (void)state;
    reset_counts(8);
    assert_int_equal(job_once_send(pool, &request), 0);
    close_pool(pool);
    assert_int_equal(count_of(3), 1);
}

static void test_another_program_may_be_the_worker(void **state)
{
    struct grove_pool_options options = {.n_workers = 1,
                                         .program = GV_BUILD_ROOT "/tests/workers/only_worker"};
    grove_ref pool = open_pool(&options);

    (void)state;
    assert_serves(pool);
    close_pool(pool);
}

static void test_a_worker_program_that_no_pool_started_says_so(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(system(GV_BUILD_ROOT "/tests/workers/only_worker 2>/dev/null")),
                     2);
}

/* --- bounds --------------------------------------------------------------------------------------- */

static void test_a_full_queue_answers_at_once(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 1, .queue_max = 4};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest request = once_request(0, 400000);
    Jobs__V1__OnceResponse responses[8];
    struct grove_future futures[8], *list[8];
    unsigned n_full = 0;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    for (unsigned i = 0; i < 8; i++) {
        jobs__v1__once_response__init(&responses[i]);
        request.id = i;
        list[i] = &futures[i];
        assert_int_equal(job_once_start(pool, &request, &responses[i], &futures[i]), 0);
        while (stats_of(pool).running == 0) /* The first one leaves the queue, */
            assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_yield_await(), 0); /* the others are filed. */
        request.busy_us = 0;
    }
    assert_int_equal(grove_all_await(list, 8), GROVE_EFULL);
    for (unsigned i = 0; i < 8; i++) {
        n_full += futures[i].rc == GROVE_EFULL;
        assert_int_equal(count_of(i), futures[i].rc == 0);
    }
    assert_int_equal(n_full, 3);
    close_pool(pool);
}

/* As many jobs as fit wait behind one that never ends. */
static void test_waiting_jobs_are_bounded_in_bytes_too(void **state)
{
    struct grove_pool_options options = {.n_workers = 2, .credits = 1, .bytes_max = 70000};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest endless = once_request(0, 60000000);
    Jobs__V1__OnceResponse once[2];
    Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;
    Jobs__V1__EchoResponse responses[6];
    struct grove_future busy[2], futures[6];
    static char text[20000];

    (void)state;
    reset_counts(8);
    wait_ready(pool, 2);
    memset(text, 'x', sizeof text - 1);
    request.text = text;
    for (unsigned i = 0; i < 2; i++) {
        jobs__v1__once_response__init(&once[i]);
        assert_int_equal(stats_of(pool).n_busy, i);
        assert_int_equal(job_once_start(pool, &endless, &once[i], &busy[i]), 0);
        while (stats_of(pool).running == i)
            assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(stats_of(pool).n_busy, i + 1);
    }
    for (unsigned i = 0; i < 6; i++) {
        jobs__v1__echo_response__init(&responses[i]);
        assert_int_equal(job_echo_start(pool, &request, &responses[i], &futures[i]), 0);
        assert_int_equal(grove_yield_await(), 0); /* It is filed. */
    }
    assert_int_equal(stats_of(pool).queued, 3); /* 60 000 bytes, and their envelopes */
    assert_int_equal(grove_pool_close_await(pool, 1), 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(grove_future_await(&futures[i]), i < 3 ? GROVE_ESTOPPING : GROVE_EFULL);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(grove_future_await(&busy[i]), GROVE_ECRASHED);
}

static void test_an_overdue_job_is_answered_and_its_worker_replaced(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .grace_ms = 20};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest request = once_request(0, 60000000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    unsigned long long begin_ms;
    int pid, pid_after;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    begin_ms = grove_now_ms();
    grove_within(100);
    assert_int_equal(job_once_await(pool, &request, &response), GROVE_ETIMEDOUT);
    assert_true(grove_now_ms() - begin_ms < 1000);
    assert_serves(pool);
    assert_int_equal(grove_pool_pids(pool, &pid_after, 1), 1);
    assert_int_not_equal(pid, pid_after);
    assert_int_equal(stats_of(pool).restarts, 1);
    close_pool(pool);
}

static void test_expired_work_is_never_started(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 1};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest slow = once_request(0, 300000), late = once_request(1, 0);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    assert_int_equal(job_once_start(pool, &slow, &response, &future), 0);
    grove_within(30);
    assert_int_equal(job_once_await(pool, &late, &response), GROVE_ETIMEDOUT);
    assert_int_equal(grove_future_await(&future), 0);
    assert_serves(pool);
    assert_int_equal(count_of(0), 1);
    assert_int_equal(count_of(1), 0);
    close_pool(pool);
}

static void test_a_cancelled_job_that_waits_never_runs(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 1};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest first = once_request(0, 50000), second = once_request(1, 0);
    Jobs__V1__OnceResponse responses[2];
    struct grove_future futures[2];

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    jobs__v1__once_response__init(&responses[0]);
    jobs__v1__once_response__init(&responses[1]);
    assert_int_equal(job_once_start(pool, &first, &responses[0], &futures[0]), 0);
    assert_int_equal(job_once_start(pool, &second, &responses[1], &futures[1]), 0);
    grove_future_cancel(&futures[1]);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_serves(pool);
    assert_int_equal(count_of(1), 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_comes_back_as_its_worker_answered_it),
        cmocka_unit_test(test_a_refusal_comes_with_its_reason),
        cmocka_unit_test(test_a_number_outside_the_enum_is_a_foreign_refusal),
        cmocka_unit_test(test_a_failure_of_the_function_is_the_callers),
        cmocka_unit_test(test_a_method_without_a_function_is_not_supported),
        cmocka_unit_test(test_large_requests_and_answers_go_in_parts),
        cmocka_unit_test(test_many_jobs_at_once_are_all_answered),
        cmocka_unit_test(test_a_sent_job_runs_without_an_answer),
        cmocka_unit_test(test_another_program_may_be_the_worker),
        cmocka_unit_test(test_a_worker_program_that_no_pool_started_says_so),
        cmocka_unit_test(test_a_full_queue_answers_at_once),
        cmocka_unit_test(test_waiting_jobs_are_bounded_in_bytes_too),
        cmocka_unit_test(test_an_overdue_job_is_answered_and_its_worker_replaced),
        cmocka_unit_test(test_expired_work_is_never_started),
        cmocka_unit_test(test_a_cancelled_job_that_waits_never_runs),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
