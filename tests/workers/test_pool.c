/*
 * A pool with real worker processes, from the caller's side. Everything runs
 * in main, which may wait; asserts stay on the main stack.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <grove.h>
#include <grove/pool.h>

#include "tests/workers/jobs.h"

#define N_FUTURES 64

static char run_dir[] = "/tmp/test-pool-XXXXXX";
static char counts_path[sizeof run_dir + 8];

/* --- helpers -------------------------------------------------------------------------------------- */

static grove_ref open_pool(const struct grove_pool_options *options)
{
    grove_ref pool;

    assert_int_equal(grove_pool_open(options, &pool), 0);
    return pool;
}

static void close_pool(grove_ref pool)
{
    assert_int_equal(grove_pool_close_await(pool, 5000), 0);
}

static struct grove_pool_stats stats_of(grove_ref pool)
{
    struct grove_pool_stats stats;

    assert_int_equal(grove_pool_stats(pool, &stats), 0);
    return stats;
}

/* Waits until n workers are ready, at most ten seconds. */
static void wait_ready(grove_ref pool, unsigned n)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).n_ready != n; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_ready, n);
}

static int echo(grove_ref pool, const char *text, Jobs__V1__EchoResponse *response)
{
    Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;

    request.text = (char *)text;
    request.number = 42;
    return job_echo_await(pool, &request, response);
}

static void assert_serves(grove_ref pool)
{
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;

    assert_int_equal(echo(pool, "still there", &response), 0);
    assert_string_equal(response.text, "still there");
}

/* A fresh file of n zeros, and what stands in it at id. */
static void reset_counts(size_t n)
{
    FILE *file = fopen(counts_path, "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)n), 0);
    assert_int_equal(fclose(file), 0);
}

static int count_of(uint64_t id)
{
    FILE *file = fopen(counts_path, "r");
    int count;

    assert_non_null(file);
    assert_int_equal(fseek(file, (long)id, SEEK_SET), 0);
    count = fgetc(file);
    assert_int_equal(fclose(file), 0);
    return count;
}

static Jobs__V1__OnceRequest once_request(uint64_t id, uint64_t busy_us)
{
    Jobs__V1__OnceRequest request = JOBS__V1__ONCE_REQUEST__INIT;

    request.counts = counts_path;
    request.id = id;
    request.busy_us = busy_us;
    return request;
}

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

/* --- bounds --------------------------------------------------------------------------------------- */

static void test_a_full_queue_answers_at_once(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .credits = 1, .queue_max = 4};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest request = once_request(0, 50000);
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
        assert_int_equal(grove_sleep_await(1), 0); /* Let it be filed. */
    }
    assert_int_equal(grove_all_await(list, 8), GROVE_EFULL);
    for (unsigned i = 0; i < 8; i++) {
        n_full += futures[i].rc == GROVE_EFULL;
        assert_int_equal(count_of(i), futures[i].rc == 0);
    }
    assert_int_equal(n_full, 3);
    close_pool(pool);
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

/* --- the whole -------------------------------------------------------------------------------------- */

static unsigned n_entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

/* After the last function of grove: nothing of it may be left. */
static int leftovers(unsigned n_files)
{
    int n = 0;

    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        n += fprintf(stderr, "a child is left\n");
    (void)unlink(counts_path);
    if (n_entries(run_dir) != 2)
        n += fprintf(stderr, "files are left in %s\n", run_dir);
    if (rmdir(run_dir) != 0)
        n += fprintf(stderr, "%s is not empty\n", run_dir);
    if (n_entries("/proc/self/fd") > n_files)
        n += fprintf(stderr, "descriptors are left: %u before, %u after\n", n_files,
                     n_entries("/proc/self/fd"));
    return n;
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
        cmocka_unit_test(test_a_full_queue_answers_at_once),
        cmocka_unit_test(test_an_overdue_job_is_answered_and_its_worker_replaced),
        cmocka_unit_test(test_expired_work_is_never_started),
        cmocka_unit_test(test_a_cancelled_job_that_waits_never_runs),
        cmocka_unit_test(test_a_crash_fails_its_job_and_the_pool_heals),
        cmocka_unit_test(test_a_job_dies_with_at_most_two_workers),
        cmocka_unit_test(test_jobs_behind_a_crash_run_elsewhere),
        cmocka_unit_test(test_garbage_from_a_worker_costs_only_that_worker),
        cmocka_unit_test(test_an_answer_of_ten_thousand_levels_costs_only_that_worker),
        cmocka_unit_test(test_a_killed_worker_is_replaced),
        cmocka_unit_test(test_a_program_that_cannot_start_opens_the_breaker),
        cmocka_unit_test(test_close_lets_jobs_finish),
        cmocka_unit_test(test_close_fails_what_outlasts_its_patience),
        cmocka_unit_test(test_options_beyond_reason_are_refused),
    };
    unsigned n_files;
    int n_failed;

    if (grove_init(&argc, &argv) != 0 || mkdtemp(run_dir) == NULL
        || grove_option_set("run_dir", run_dir) != 0)
        return 1;
    (void)snprintf(counts_path, sizeof counts_path, "%s/counts", run_dir); /* It fits. */
    /* One round first, so that what stays open for good (nng's threads) is open. */
    close_pool(open_pool(NULL));
    n_files = n_entries("/proc/self/fd");
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (grove_deinit() != 0)
        n_failed++;
    return n_failed + (leftovers(n_files) != 0);
}
