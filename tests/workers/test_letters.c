/*
 * Dead letters of jobs: which jobs become some, how they are retried, and
 * how few are kept.
 */
#include <string.h>

#include "tests/workers/pools.h"

/* What is said of the newest one; there must be n. */
static struct grove_pool_letter newest(grove_ref pool, int n)
{
    struct grove_pool_letter letter;

    memset(&letter, 0, sizeof letter);
    assert_int_equal(grove_pool_dead_letters(pool, &letter, 1), n);
    return letter;
}

/* Ends its worker in each of its first n_crashes runs. */
static int crash(grove_ref pool, uint32_t n_crashes)
{
    Jobs__V1__CrashRequest request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;

    request.how = 1;
    request.counts = once_request(0, 0).counts;
    request.n_crashes = n_crashes;
    return job_crash_await(pool, &request, &response);
}

static grove_ref open_one(void)
{
    reset_counts(1);
    return open_pool(&(struct grove_pool_options){.n_workers = 1});
}

static void test_a_job_that_died_with_its_worker_is_kept_and_retried(void **state)
{
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;
    grove_ref pool = open_one();
    struct grove_pool_letter letter;

    (void)state;
    assert_int_equal(crash(pool, 1), GROVE_ECRASHED);
    assert_string_equal(grove_why(), "its worker ended with status 7");
    letter = newest(pool, 1);
    assert_int_equal(letter.reason, GROVE_DEAD_KILLED);
    assert_string_equal(letter.method->name, "jobs.v1.JobService/Crash");
    assert_int_equal(letter.code, GROVE_ECRASHED);
    assert_int_equal(letter.attempts, 1);
    assert_string_equal(letter.text, "its worker ended with status 7");
    assert_true(letter.is_called && letter.is_kept && letter.bytes > 0 && letter.at_ns > 0);

    assert_int_equal(grove_pool_retry_await(pool, letter.id, &response.base), 0);
    assert_int_equal(response.n_runs, 2);
    (void)newest(pool, 0);
    assert_int_equal(grove_pool_retry_await(pool, letter.id, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "has no dead letter 1"));
    assert_int_equal(stats_of(pool).dead, 1);
    assert_int_equal(stats_of(pool).dead_dropped, 0);
    close_pool(pool);
}

static void test_a_letter_that_dies_again_is_the_same_with_more_attempts(void **state)
{
    grove_ref pool = open_one();
    struct grove_pool_letter letter;
    uint64_t id;

    (void)state;
    assert_int_equal(crash(pool, 2), GROVE_ECRASHED);
    id = newest(pool, 1).id;
    assert_int_equal(grove_pool_retry_await(pool, id, NULL), GROVE_ECRASHED);
    letter = newest(pool, 1);
    assert_int_equal(letter.id, id);
    assert_int_equal(letter.attempts, 2);
    assert_int_equal(grove_pool_retry_await(pool, id, NULL), 0);
    (void)newest(pool, 0);
    close_pool(pool);
}

static void test_a_job_that_may_rerun_is_one_after_two_attempts(void **state)
{
    Jobs__V1__CrashAgainRequest request = JOBS__V1__CRASH_AGAIN_REQUEST__INIT;
    Jobs__V1__CrashAgainResponse response = JOBS__V1__CRASH_AGAIN_RESPONSE__INIT;
    grove_ref pool = open_one();

    (void)state;
    assert_int_equal(job_crash_again_await(pool, &request, &response), GROVE_ECRASHED);
    assert_int_equal(newest(pool, 1).attempts, 2);
    assert_non_null(strstr(newest(pool, 1).text, "signal 6"));
    close_pool(pool);
}

static void test_overdue_and_broken_jobs_are_some_and_those_given_up_are_none(void **state)
{
    Jobs__V1__OnceRequest slow = once_request(0, 10000000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    Jobs__V1__CrashRequest bad = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse none = JOBS__V1__CRASH_RESPONSE__INIT;
    struct grove_future future;
    grove_ref pool = open_one();

    (void)state;
    wait_ready(pool, 1);
    grove_within(200);
    assert_int_equal(job_once_await(pool, &slow, &response), GROVE_ETIMEDOUT);
    while (stats_of(pool).dead == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(newest(pool, 1).reason, GROVE_DEAD_OVERDUE);
    assert_int_equal(newest(pool, 1).attempts, 1);

    wait_ready(pool, 1);
    bad.how = 3;
    assert_int_equal(job_crash_await(pool, &bad, &none), GROVE_EBROKEN);
    assert_int_equal(newest(pool, 2).reason, GROVE_DEAD_BROKEN);
    assert_int_equal(newest(pool, 2).attempts, 1);

    reset_counts(2);
    slow.id = 1;
    assert_int_equal(job_once_start(pool, &slow, &response, &future), 0);
    while (count_of(1) == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    grove_future_cancel(&future);
    while (stats_of(pool).running > 0)
        assert_int_equal(grove_sleep_await(1), 0);
    (void)newest(pool, 2);
    close_pool(pool);
}

static void test_of_jobs_that_were_sent_each_failure_is_one(void **state)
{
    Jobs__V1__RefuseRequest request = JOBS__V1__REFUSE_REQUEST__INIT;
    Jobs__V1__RefuseResponse response = JOBS__V1__REFUSE_RESPONSE__INIT;
    uint64_t before[GROVE_DEAD_REASONS], after[GROVE_DEAD_REASONS];
    grove_ref pool = open_one();
    struct grove_pool_letter letter;

    (void)state;
    grove_dead_letters_count(before);
    request.code = -5;
    assert_int_equal(job_refuse_await(pool, &request, &response), -5); /* Its caller knows. */
    (void)newest(pool, 0);
    assert_int_equal(job_refuse_send(pool, &request), 0);
    while (stats_of(pool).dead == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    letter = newest(pool, 1);
    assert_int_equal(letter.reason, GROVE_DEAD_FAILED);
    assert_int_equal(letter.code, -5);
    assert_int_equal(letter.attempts, 1);
    assert_false(letter.is_called);
    grove_dead_letters_count(after);
    assert_int_equal(after[GROVE_DEAD_FAILED] - before[GROVE_DEAD_FAILED], 1);

    assert_int_equal(grove_pool_retry_await(pool, letter.id, NULL), -5);
    assert_int_equal(newest(pool, 1).id, letter.id); /* It has failed again. */
    assert_int_equal(grove_pool_forget(pool, letter.id), 1);
    assert_int_equal(grove_pool_forget(pool, letter.id), 0);
    close_pool(pool);
}

static void test_letters_are_few_and_the_youngest_stay(void **state)
{
    struct grove_pool_options options = {
        .n_workers = 1, .dead_max = 3, .quarantine_deaths = GROVE_POOL_NEVER};
    grove_ref pool = open_pool(&options);
    struct grove_pool_letter letters[5];

    (void)state;
    reset_counts(1);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(crash(pool, 100 + i), GROVE_ECRASHED);
    assert_int_equal(grove_pool_dead_letters(pool, letters, 5), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(letters[i].id, 5 - i);
    assert_int_equal(stats_of(pool).dead_dropped, 2);
    assert_int_equal(grove_pool_dead_letters(pool, letters, 2), 3);
    assert_int_equal(letters[0].id, 5);
    assert_int_equal(grove_pool_forget(pool, 0), 3);
    close_pool(pool);

    options.dead_bytes_max = letters[0].bytes;
    pool = open_pool(&options);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(crash(pool, 100 + i), GROVE_ECRASHED);
    assert_int_equal(newest(pool, 1).id, 3); /* There is room for one request. */
    close_pool(pool);

    options.dead_bytes_max = letters[0].bytes - 1;
    pool = open_pool(&options);
    assert_int_equal(crash(pool, 100), GROVE_ECRASHED);
    assert_false(newest(pool, 1).is_kept);
    assert_int_equal(grove_pool_retry_await(pool, 1, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "raise dead_bytes_max"));
    close_pool(pool);
}

static void test_deadly_requests_are_listed_lifted_and_stay_letters(void **state)
{
    struct grove_pool_quarantine quarantine;
    grove_ref pool = open_one();
    struct grove_pool_letter letter;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(crash(pool, 3), GROVE_ECRASHED);
    assert_int_equal(crash(pool, 3), GROVE_EQUARANTINED);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_serves(pool);
    letter = newest(pool, 3);
    assert_int_equal(grove_pool_quarantines(pool, &quarantine, 1), 1);
    assert_int_equal(quarantine.deaths, 3);
    assert_int_equal(quarantine.refused, 1);
    assert_in_range(quarantine.rest_ms, 1, 30000);
    assert_false(quarantine.is_whole || quarantine.is_tried);
    assert_true(quarantine.fingerprint == letter.fingerprint && quarantine.method == letter.method);

    assert_int_equal(grove_pool_retry_await(pool, letter.id, NULL), GROVE_EQUARANTINED);
    assert_int_equal(newest(pool, 3).attempts, 1);
    assert_int_equal(grove_pool_lift(pool, quarantine.id + 1000), 0);
    assert_int_equal(grove_pool_lift(pool, quarantine.id), 1);
    assert_int_equal(grove_pool_quarantines(pool, NULL, 0), 0);
    assert_int_equal(grove_pool_retry_await(pool, letter.id, NULL), 0);
    (void)newest(pool, 2);
    assert_int_equal(stats_of(pool).quarantined, 2);
    close_pool(pool);
}

static void test_mistakes_are_told(void **state)
{
    Jobs__V1__EchoResponse other = JOBS__V1__ECHO_RESPONSE__INIT;
    struct grove_pool_options options = {.n_workers = 1, .quarantine_deaths = 2000};
    grove_ref pool = open_one();

    (void)state;
    assert_int_equal(crash(pool, 1), GROVE_ECRASHED);
    assert_int_equal(grove_pool_retry_await(pool, 1, &other.base), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "the response must be a jobs.v1.CrashResponse"));
    close_pool(pool);
    assert_int_equal(grove_pool_dead_letters(pool, NULL, 0), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_retry_await(pool, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_forget(pool, 0), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_quarantines(pool, NULL, 0), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_lift(pool, 0), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_open(&options, &pool), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "quarantine_deaths is at most 1000"));
    options = (struct grove_pool_options){.dead_max = 65537};
    assert_int_equal(grove_pool_open(&options, &pool), GROVE_EUSAGE);
    assert_string_equal(grove_why(), "dead_max is at most 65 536");
    options = (struct grove_pool_options){.quarantine_ms = 86400001};
    assert_int_equal(grove_pool_open(&options, &pool), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "quarantine_ms is at most a day"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_that_died_with_its_worker_is_kept_and_retried),
        cmocka_unit_test(test_a_letter_that_dies_again_is_the_same_with_more_attempts),
        cmocka_unit_test(test_a_job_that_may_rerun_is_one_after_two_attempts),
        cmocka_unit_test(test_overdue_and_broken_jobs_are_some_and_those_given_up_are_none),
        cmocka_unit_test(test_of_jobs_that_were_sent_each_failure_is_one),
        cmocka_unit_test(test_letters_are_few_and_the_youngest_stay),
        cmocka_unit_test(test_deadly_requests_are_listed_lifted_and_stay_letters),
        cmocka_unit_test(test_mistakes_are_told),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
