/*
 * Deaths of worker processes, and the end of their pool.
 */
#include <signal.h>

#include "tests/workers/pools.h"

/* --- deaths --------------------------------------------------------------------------------------- */

static int crash(grove_ref pool, uint32_t how)
{
    Jobs__V1__CrashRequest request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;

    request.how = how;
    return job_crash_await(pool, &request, &response);
}

static void test_a_crash_fails_its_job_and_the_pool_heals(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});

    (void)state;
    for (uint32_t how = 0; how < 2; how++) {
        assert_int_equal(crash(pool, how), GROVE_ECRASHED);
        assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
        assert_serves(pool);
    }
    assert_int_equal(stats_of(pool).restarts, 2);
    close_pool(pool);
}

static void test_a_job_dies_with_at_most_two_workers(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 2});
    Jobs__V1__CrashAgainRequest request = JOBS__V1__CRASH_AGAIN_REQUEST__INIT;
    Jobs__V1__CrashAgainResponse response = JOBS__V1__CRASH_AGAIN_RESPONSE__INIT;

    (void)state;
    assert_int_equal(job_crash_again_await(pool, &request, &response), GROVE_ECRASHED);
    assert_serves(pool);
    wait_ready(pool, 2);
    assert_int_equal(stats_of(pool).restarts, 2);
    assert_int_equal(stats_of(pool).retried, 1);
    close_pool(pool);
}

static void test_jobs_behind_a_crash_run_elsewhere(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 8};
    grove_ref pool = open_pool(&options);
    Jobs__V1__CrashRequest crash_request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse crashed = JOBS__V1__CRASH_RESPONSE__INIT;
    Jobs__V1__OnceResponse responses[4];
    struct grove_future futures[4], crash_future;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    assert_int_equal(job_crash_start(pool, &crash_request, &crashed, &crash_future), 0);
    for (unsigned i = 0; i < 4; i++) {
        Jobs__V1__OnceRequest request = once_request(i, 0);

        jobs__v1__once_response__init(&responses[i]);
        assert_int_equal(job_once_start(pool, &request, &responses[i], &futures[i]), 0);
    }
    assert_int_equal(grove_future_await(&crash_future), GROVE_ECRASHED);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(count_of(i), 1);
    }
    assert_int_equal(stats_of(pool).retried, 4);
    close_pool(pool);
}

static void test_garbage_from_a_worker_costs_only_that_worker(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 2});

    (void)state;
    assert_int_equal(crash(pool, 2), GROVE_ECRASHED);
    assert_int_equal(stats_of(pool).dropped_peers, 1);
    assert_serves(pool);
    wait_ready(pool, 2);
    close_pool(pool);
}

static void test_an_answer_of_ten_thousand_levels_costs_only_that_worker(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});

    (void)state;
    assert_int_equal(crash(pool, 3), GROVE_EBROKEN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(stats_of(pool).dropped_peers, 1);
    assert_serves(pool);
    close_pool(pool);
}

static void test_a_frame_slipped_in_beside_the_worker_costs_only_that_worker(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});

    (void)state;
    /* An answer to a job that it does not have: the worker is replaced. */
    assert_int_equal(crash(pool, 4), GROVE_ECRASHED);
    assert_int_equal(stats_of(pool).dropped_frames, 1);
    assert_int_equal(stats_of(pool).dropped_peers, 1);
    assert_serves(pool);
    close_pool(pool);
}

static void test_a_killed_worker_is_replaced(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 2});
    int pids[2], pids_after[2];

    (void)state;
    wait_ready(pool, 2);
    assert_int_equal(grove_pool_pids(pool, pids, 2), 2);
    assert_int_equal(kill(pids[0], SIGKILL), 0);
    while (stats_of(pool).restarts == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    wait_ready(pool, 2);
    assert_int_equal(grove_pool_pids(pool, pids_after, 2), 2);
    assert_true(pids_after[0] != pids[0] && pids_after[1] != pids[0]);
    close_pool(pool);
}

/* --- ends ----------------------------------------------------------------------------------------- */

static void test_a_program_that_cannot_start_opens_the_breaker(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .program = "/bin/false"};
    grove_ref pool = open_pool(&options);
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;

    (void)state;
    assert_int_equal(echo(pool, "nobody", &response), GROVE_EUNAVAILABLE);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(echo(pool, "nobody", &response), GROVE_EUNAVAILABLE);
    close_pool(pool);
}

static void test_close_lets_jobs_finish(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__OnceRequest request = once_request(0, 20000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    reset_counts(8);
    assert_int_equal(job_once_start(pool, &request, &response, &future), 0);
    assert_int_equal(grove_yield_await(), 0);
    close_pool(pool);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(grove_pool_close_await(pool, 1000), GROVE_ENOACTOR);
}

static void test_close_fails_what_outlasts_its_patience(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 1};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest request = once_request(0, 60000000);
    Jobs__V1__OnceResponse responses[2];
    struct grove_future futures[2];

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    for (unsigned i = 0; i < 2; i++) {
        jobs__v1__once_response__init(&responses[i]);
        request.id = i;
        assert_int_equal(job_once_start(pool, &request, &responses[i], &futures[i]), 0);
    }
    while (count_of(0) == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_pool_close_await(pool, 50), 0);
    assert_int_equal(grove_future_await(&futures[0]), GROVE_ECRASHED);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ESTOPPING);
    assert_int_equal(count_of(1), 0);
}

static void test_options_beyond_reason_are_refused(void **state)
{
    grove_ref pool;

    (void)state;
    assert_int_equal(grove_pool_open(&(struct grove_pool_options){.n_workers = 1000}, &pool),
                     GROVE_EUSAGE);
    assert_string_equal(grove_why(), "a pool has at most 256 workers");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_crash_fails_its_job_and_the_pool_heals),
        cmocka_unit_test(test_a_job_dies_with_at_most_two_workers),
        cmocka_unit_test(test_jobs_behind_a_crash_run_elsewhere),
        cmocka_unit_test(test_garbage_from_a_worker_costs_only_that_worker),
        cmocka_unit_test(test_an_answer_of_ten_thousand_levels_costs_only_that_worker),
        cmocka_unit_test(test_a_frame_slipped_in_beside_the_worker_costs_only_that_worker),
        cmocka_unit_test(test_a_killed_worker_is_replaced),
        cmocka_unit_test(test_a_program_that_cannot_start_opens_the_breaker),
        cmocka_unit_test(test_close_lets_jobs_finish),
        cmocka_unit_test(test_close_fails_what_outlasts_its_patience),
        cmocka_unit_test(test_options_beyond_reason_are_refused),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
