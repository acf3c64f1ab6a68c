/*
 * Jobs: their lists, their index, what they are charged with, and what a
 * death makes of them.
 */
#include "tests/workers/yard.h"

/* --- the queue ------------------------------------------------------------------------------------ */

static void test_a_list_keeps_its_order_whatever_is_taken_out(void **state)
{
    struct gv_job_list list = {0};
    struct gv_job jobs[4] = {0};

    (void)state;
    gv_jobs_push(&list, &jobs[1]);
    gv_jobs_push(&list, &jobs[2]);
    gv_jobs_push(&list, &jobs[3]);
    gv_jobs_push_front(&list, &jobs[0]);
    gv_jobs_remove(&list, &jobs[2]);
    assert_int_equal(list.n, 3);
    assert_ptr_equal(list.head, &jobs[0]);
    assert_ptr_equal(list.head->next, &jobs[1]);
    assert_ptr_equal(list.head->next->next, &jobs[3]);
    assert_ptr_equal(list.tail->before, &jobs[1]);
    gv_jobs_remove(&list, &jobs[0]);
    gv_jobs_remove(&list, &jobs[3]);
    assert_true(list.head == &jobs[1] && list.tail == &jobs[1]);
    gv_jobs_remove(&list, &jobs[1]);
    assert_true(list.head == NULL && list.tail == NULL && list.n == 0);
}

static void test_a_job_is_found_by_its_call_until_it_is_given_back(void **state)
{
    struct gv_queue *queue = &yard.pool->queue;
    struct gv_job *first = yard_job(JOB_METHOD_ECHO), *second = yard_job(JOB_METHOD_ECHO);
    uint64_t call = first->request->call;

    (void)state;
    assert_ptr_equal(gv_job_find(queue, call), first);
    assert_ptr_equal(gv_job_find(queue, second->request->call), second);
    gv_job_unwait(queue, first);
    gv_job_fail(first, GROVE_ECANCELED, GROVE_STARTED_NO, NULL);
    assert_null(gv_job_find(queue, call));
    assert_ptr_equal(gv_job_find(queue, second->request->call), second);
    assert_heard(GROVE_ECANCELED, GROVE_STARTED_NO);
}

static void test_memory_of_jobs_is_used_again_and_ids_are_not(void **state)
{
    struct gv_job *first = yard_job(JOB_METHOD_ECHO), *second;
    uint64_t id = first->id;

    (void)state;
    gv_job_unwait(&yard.pool->queue, first);
    gv_job_fail(first, GROVE_ECANCELED, GROVE_STARTED_NO, NULL);
    second = yard_job(JOB_METHOD_ECHO);
    assert_ptr_equal(second, first);
    assert_int_equal(second->id, id + 1);
    assert_int_equal(second->deaths, 0);
}

static void test_only_waiting_jobs_are_charged(void **state)
{
    struct gv_queue *queue = &yard.pool->queue;
    struct gv_job *job = yard_job(JOB_METHOD_ECHO);
    uint64_t charge = gv_message_charge(job->request);

    (void)state;
    (void)yard_job(JOB_METHOD_ECHO); /* It waits, too. */
    assert_int_equal(queue->bytes, 2 * charge);
    gv_job_unwait(queue, job);
    assert_int_equal(queue->bytes, charge);
    gv_job_wait(queue, job, true);
    assert_int_equal(queue->bytes, 2 * charge);
    assert_ptr_equal(queue->waiting[1].head, job);
}

/* --- whose turn it is ----------------------------------------------------------------------------- */

static void test_what_is_urgent_goes_first_and_nothing_waits_for_ever(void **state)
{
    struct gv_queue *queue = &yard.pool->queue;
    struct gv_job *unhurried, *usual, *urgent;

    (void)state;
    unhurried = yard_job(JOB_METHOD_UNHURRIED);
    usual = yard_job(JOB_METHOD_ONCE);
    urgent = yard_job(JOB_METHOD_URGENT);
    assert_ptr_equal(gv_queue_first(queue), urgent);
    assert_ptr_equal(gv_queue_oldest(queue), urgent); /* All came at once. */
    gv_job_unwait(queue, urgent);
    assert_ptr_equal(gv_queue_first(queue), usual);
    yard_pass(GV_JOB_STEP_MS - 1);
    urgent->filed_ms = yard.loop->now_ms;
    gv_job_wait(queue, urgent, false);
    assert_ptr_equal(gv_queue_first(queue), urgent);
    urgent->filed_ms += 2; /* It came a step of priority after the usual one. */
    assert_ptr_equal(gv_queue_first(queue), usual);
    assert_ptr_equal(gv_queue_oldest(queue), usual);
    usual->filed_ms += GV_JOB_STEP_MS + 1;
    urgent->filed_ms += GV_JOB_STEP_MS + 1;
    assert_ptr_equal(gv_queue_first(queue), unhurried);
}

static void test_a_queue_of_nobody_has_no_first(void **state)
{
    (void)state;
    assert_null(gv_queue_first(&yard.pool->queue));
    assert_null(gv_queue_oldest(&yard.pool->queue));
}

/* --- deaths --------------------------------------------------------------------------------------- */

/* The worker that has it as its seq-th job dies; its page says it had begun `started`. */
static void bereave(struct gv_job *job, uint64_t seq, uint64_t started)
{
    gv_job_unwait(&yard.pool->queue, job);
    job->seq = seq;
    gv_job_bereaved(job, yard.child, started);
}

static void test_a_job_that_had_not_begun_goes_back_to_the_head(void **state)
{
    struct gv_job *job;

    (void)state;
    job = yard_job(JOB_METHOD_ONCE);
    (void)yard_job(JOB_METHOD_ONCE);
    for (unsigned i = 0; i < 5; i++)
        bereave(job, 2, 1);
    assert_ptr_equal(yard.pool->queue.waiting[1].head, job);
    assert_int_equal(job->deaths, 0);
    assert_int_equal(yard.pool->stats.retried, 5);
    assert_int_equal(yard.n_outcomes, 0);
}

static void test_a_job_that_may_not_run_twice_dies_with_its_worker(void **state)
{
    (void)state;
    bereave(yard_job(JOB_METHOD_ONCE), 1, 1);
    assert_heard(GROVE_ECRASHED, GROVE_STARTED_YES);
    assert_int_equal(yard.pool->stats.failed, 1);
}

static void test_a_job_that_may_is_given_up_after_two_deaths(void **state)
{
    struct gv_job *job;

    (void)state;
    job = yard_job(JOB_METHOD_AGAIN);
    bereave(job, 1, 1);
    assert_ptr_equal(yard.pool->queue.waiting[1].head, job);
    assert_int_equal(yard.n_outcomes, 0);
    bereave(job, 1, 1);
    assert_heard(GROVE_ECRASHED, GROVE_STARTED_YES);
    assert_int_equal(yard.pool->queue.n_waiting, 0);
}

static void test_who_had_run_before_the_fatal_job_is_not_to_blame(void **state)
{
    struct gv_job *job;

    (void)state;
    job = yard_job(JOB_METHOD_AGAIN);
    for (unsigned i = 0; i < 5; i++)
        bereave(job, 1, 2);
    assert_int_equal(job->deaths, 0);
    assert_true(job->has_run);
    assert_int_equal(yard.n_outcomes, 0);
}

static void test_a_job_that_once_ran_is_never_said_not_to_have(void **state)
{
    struct gv_job *job;

    (void)state;
    job = yard_job(JOB_METHOD_AGAIN);
    bereave(job, 1, 1);
    gv_job_give_up(job, GROVE_ETIMEDOUT);
    assert_heard(GROVE_ETIMEDOUT, GROVE_STARTED_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_keeps_its_order_whatever_is_taken_out),
        yard_test(test_a_job_is_found_by_its_call_until_it_is_given_back),
        yard_test(test_memory_of_jobs_is_used_again_and_ids_are_not),
        yard_test(test_only_waiting_jobs_are_charged),
        yard_test(test_what_is_urgent_goes_first_and_nothing_waits_for_ever),
        yard_test(test_a_queue_of_nobody_has_no_first),
        yard_test(test_a_job_that_had_not_begun_goes_back_to_the_head),
        yard_test(test_a_job_that_may_not_run_twice_dies_with_its_worker),
        yard_test(test_a_job_that_may_is_given_up_after_two_deaths),
        yard_test(test_who_had_run_before_the_fatal_job_is_not_to_blame),
        yard_test(test_a_job_that_once_ran_is_never_said_not_to_have),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
