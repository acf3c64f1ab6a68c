/*
 * Quarantine: jobs that kill their workers, in a pool without workers: the
 * test says who dies of which job, and what time it is.
 */
#include <string.h>

#include "tests/workers/yard.h"

#define QUARANTINE_MS 30000u /* pool.h */
#define DEATHS        3u

/* A job with this request, in no list. */
static struct gv_job *new_job(unsigned method, uint64_t number)
{
    struct gv_job *job = yard_job(method);
    const uint64_t n_bytes = sizeof number;

    gv_job_unwait(&yard.pool->queue, job);
    memcpy(job->request->body, &n_bytes, sizeof n_bytes);
    memcpy(job->request->body + sizeof n_bytes, &number, sizeof number);
    return job;
}

/* The same, if it may run; else NULL: its caller has heard so. */
static struct gv_job *admitted(unsigned method, uint64_t number)
{
    struct gv_job *job = new_job(method, number);

    return gv_quarantine_stops(yard.pool, job) ? NULL : job;
}

/* Its worker dies of it. */
static void die(struct gv_job *job)
{
    assert_non_null(job);
    job->seq = 1;
    gv_job_bereaved(job, yard.child, 1);
}

/* Its function answers. */
static void answer(struct gv_job *job)
{
    assert_non_null(job);
    gv_quarantine_survived(yard.pool, job);
    gv_job_fail(job, 1, GROVE_STARTED_YES, NULL);
}

static void die_often(unsigned method, uint64_t number, unsigned n)
{
    while (n-- > 0)
        die(admitted(method, number));
}

static void test_equal_requests_that_kill_three_workers_are_refused_and_no_others(void **state)
{
    (void)state;
    die_often(JOB_METHOD_ONCE, 7, DEATHS - 1);
    answer(admitted(JOB_METHOD_ONCE, 8));
    die(admitted(JOB_METHOD_ONCE, 7));
    yard.n_outcomes = 0;
    assert_null(admitted(JOB_METHOD_ONCE, 7));
    assert_heard(GROVE_EQUARANTINED, GROVE_STARTED_NO);
    assert_non_null(strstr(yard.text, "killed 3 workers; one is tried in 30000 ms"));
    assert_non_null(strstr(yard.text, "grove_pool_lift"));
    assert_int_equal(yard.pool->stats.quarantined, 1);
    answer(admitted(JOB_METHOD_ONCE, 8));
    answer(admitted(JOB_METHOD_AGAIN, 7));
    assert_non_null(strstr(yard_log(), "job.quarantined"));
}

static void test_an_answer_between_proves_a_request_harmless(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        die_often(JOB_METHOD_ONCE, 7, DEATHS - 1);
        answer(admitted(JOB_METHOD_ONCE, 7));
    }
    answer(admitted(JOB_METHOD_ONCE, 7));
}

static void test_after_the_rest_one_is_tried_and_its_answer_lets_all_in(void **state)
{
    struct gv_job *trial;

    (void)state;
    die_often(JOB_METHOD_ONCE, 7, DEATHS);
    yard_pass(QUARANTINE_MS - 1);
    assert_null(admitted(JOB_METHOD_ONCE, 7));
    yard_pass(1);
    trial = admitted(JOB_METHOD_ONCE, 7);
    assert_non_null(trial);
    assert_null(admitted(JOB_METHOD_ONCE, 7)); /* One at a time. */
    assert_false(gv_quarantine_stops(yard.pool, trial));
    answer(trial);
    answer(admitted(JOB_METHOD_ONCE, 7));
    assert_int_equal(yard.pool->quarantine.n_closed, 0);
}

static void test_each_trial_that_dies_doubles_the_rest_up_to_ten_minutes(void **state)
{
    uint32_t rest_ms = QUARANTINE_MS;

    (void)state;
    die_often(JOB_METHOD_ONCE, 7, DEATHS);
    for (unsigned i = 0; i < 7; i++) {
        yard_pass(rest_ms - 1);
        assert_null(admitted(JOB_METHOD_ONCE, 7));
        yard_pass(1);
        die(admitted(JOB_METHOD_ONCE, 7));
        rest_ms = 2 * rest_ms < 600000 ? 2 * rest_ms : 600000;
    }
    yard_pass(600000);
    answer(admitted(JOB_METHOD_ONCE, 7));
}

static void test_a_trial_that_nobody_waits_for_makes_room_for_another(void **state)
{
    struct gv_job *trial;

    (void)state;
    die_often(JOB_METHOD_ONCE, 7, DEATHS);
    yard_pass(QUARANTINE_MS);
    trial = admitted(JOB_METHOD_ONCE, 7);
    gv_job_fail(trial, GROVE_ECANCELED, GROVE_STARTED_NO, NULL);
    answer(admitted(JOB_METHOD_ONCE, 7));
}

static void test_a_method_half_of_whose_jobs_are_deadly_is_refused_as_a_whole(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        answer(admitted(JOB_METHOD_ONCE, 100 + i));
        die(admitted(JOB_METHOD_ONCE, i));
    }
    yard.n_outcomes = 0;
    assert_null(admitted(JOB_METHOD_ONCE, 1000));
    assert_heard(GROVE_EQUARANTINED, GROVE_STARTED_NO);
    assert_non_null(strstr(yard.text, "jobs of this rpc"));
    answer(admitted(JOB_METHOD_AGAIN, 1000));
    yard_pass(QUARANTINE_MS);
    answer(admitted(JOB_METHOD_ONCE, 1001));
    answer(admitted(JOB_METHOD_ONCE, 1002));
}

static void test_a_method_most_of_whose_jobs_do_no_harm_is_let_in(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        answer(admitted(JOB_METHOD_ONCE, 1000 + 2 * i));
        answer(admitted(JOB_METHOD_ONCE, 1001 + 2 * i));
        die(admitted(JOB_METHOD_ONCE, i));
    }
    assert_int_equal(yard.pool->quarantine.n_closed, 0);
}

static void test_suspects_are_bounded_and_those_at_rest_stay(void **state)
{
    (void)state;
    die_often(JOB_METHOD_ONCE, 7, DEATHS);
    for (uint64_t i = 0; i < 3 * GV_SUSPECTS_MAX; i++) {
        yard_pass(1);
        die(admitted(JOB_METHOD_ONCE, 1000 + i));
        for (unsigned k = 0; k < 2; k++)
            answer(admitted(JOB_METHOD_ONCE, 500000)); /* The method as a whole is well. */
    }
    assert_int_equal(yard.pool->quarantine.n, GV_SUSPECTS_MAX);
    assert_null(admitted(JOB_METHOD_ONCE, 7));
    yard_pass(2 * GV_QUARANTINE_FORGET_MS);
    gv_quarantine_tick(yard.pool);
    assert_int_equal(yard.pool->quarantine.n, 0);
    assert_int_equal(yard.pool->quarantine.n_closed, 0);
}

static void test_workers_that_are_killed_for_a_deadline_do_not_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * DEATHS; i++) {
        struct gv_job *job = admitted(JOB_METHOD_ONCE, 7);

        assert_non_null(job);
        job->gave_up = GROVE_ETIMEDOUT;
        die(job);
    }
    assert_int_equal(yard.pool->quarantine.n, 0);
}

static void test_a_job_that_may_rerun_does_not_once_it_is_known_as_deadly(void **state)
{
    (void)state;
    yard.pool->quarantine.deaths_max = 1;
    die(admitted(JOB_METHOD_AGAIN, 7));
    assert_heard(GROVE_ECRASHED, GROVE_STARTED_YES);
    assert_int_equal(yard.pool->queue.n_waiting, 0);
}

static void test_jobs_that_wait_already_are_refused_when_their_turn_comes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        gv_job_wait(&yard.pool->queue, admitted(JOB_METHOD_ONCE, 7), false);
    die_often(JOB_METHOD_ONCE, 7, DEATHS);
    yard.n_outcomes = 0;
    yard_spawn();
    yard_connect();
    yard_flush();
    assert_int_equal(yard.n_outcomes, 5);
    assert_int_equal(yard.code, GROVE_EQUARANTINED);
    assert_int_equal(yard.child->jobs.n, 0);
}

static void test_never_is_never(void **state)
{
    (void)state;
    yard.pool->quarantine.deaths_max = GROVE_POOL_NEVER;
    die_often(JOB_METHOD_ONCE, 7, 100);
    answer(admitted(JOB_METHOD_ONCE, 7));
}

static void test_a_fingerprint_is_that_of_method_independent_bytes_and_of_the_pool(void **state)
{
    struct gv_job *one = new_job(JOB_METHOD_ONCE, 7), *same = new_job(JOB_METHOD_ONCE, 7),
                  *other = new_job(JOB_METHOD_ONCE, 8), *shorter = new_job(JOB_METHOD_ONCE, 7);
    const uint64_t n_bytes = 7;
    uint64_t here;

    (void)state;
    memcpy(shorter->request->body, &n_bytes, sizeof n_bytes);
    here = gv_quarantine_fingerprint(yard.pool, one);
    assert_true(here == gv_quarantine_fingerprint(yard.pool, same));
    assert_true(here != gv_quarantine_fingerprint(yard.pool, other));
    assert_true(here != gv_quarantine_fingerprint(yard.pool, shorter));
    yard.pool->quarantine.seed++;
    assert_true(here != gv_quarantine_fingerprint(yard.pool, one));
    answer(one);
    answer(same);
    answer(other);
    answer(shorter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        yard_test(test_equal_requests_that_kill_three_workers_are_refused_and_no_others),
        yard_test(test_an_answer_between_proves_a_request_harmless),
        yard_test(test_after_the_rest_one_is_tried_and_its_answer_lets_all_in),
        yard_test(test_each_trial_that_dies_doubles_the_rest_up_to_ten_minutes),
        yard_test(test_a_trial_that_nobody_waits_for_makes_room_for_another),
        yard_test(test_a_method_half_of_whose_jobs_are_deadly_is_refused_as_a_whole),
        yard_test(test_a_method_most_of_whose_jobs_do_no_harm_is_let_in),
        yard_test(test_suspects_are_bounded_and_those_at_rest_stay),
        yard_test(test_workers_that_are_killed_for_a_deadline_do_not_count),
        yard_test(test_a_job_that_may_rerun_does_not_once_it_is_known_as_deadly),
        yard_test(test_jobs_that_wait_already_are_refused_when_their_turn_comes),
        yard_test(test_never_is_never),
        yard_test(test_a_fingerprint_is_that_of_method_independent_bytes_and_of_the_pool),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
