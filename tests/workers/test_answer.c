/*
 * What becomes of jobs: what a worker may answer, and how long one that was
 * given up is waited for.
 */
#include <string.h>

#include "runtime/options.h"
#include "runtime/runtime.h"
#include "tests/workers/yard.h"

/* A job at a worker that is ready, and its frame for answers. */
static struct gv_job *job_at_work(unsigned method, struct gv_frame *reply)
{
    struct gv_job *job;

    if (yard.worker == NULL) {
        yard_spawn();
        yard_connect();
    }
    assert_int_equal(yard.child->state, GV_CHILD_READY);
    job = yard_job(method);
    yard_flush();
    assert_ptr_equal(job->child, yard.child);
    *reply = (struct gv_frame){
        .type = GV_FRAME_REPLY,
        .flags = GV_FRAME_CALLEE,
        .call = job->id,
        .aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0),
    };
    return job;
}

static void set_body(struct gv_frame *reply, const char *bytes, size_t n_bytes)
{
    reply->body = (const uint8_t *)bytes;
    reply->body_bytes = n_bytes;
}

/* --- answers -------------------------------------------------------------------------------------- */

static void test_a_good_answer_reaches_its_caller(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    yard_work();
    assert_int_equal(yard.n_outcomes, 1);
    assert_int_equal(yard.code, 0);
    assert_int_equal(yard.pool->stats.done, 1);
    assert_int_equal(yard.child->jobs.n, 0);
}

static void test_an_answer_that_is_no_message_costs_its_worker(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    set_body(&reply, "\x0a\x7f", 2); /* A text that is longer than the answer. */
    assert_string_equal(gv_job_answered(yard.child, &reply), "its answer is not a valid message");
    assert_heard(GROVE_EBROKEN, GROVE_STARTED_YES);
    assert_string_not_equal(yard.text, "");
    assert_int_equal(yard.pool->stats.failed, 1);
}

static void test_a_refusal_is_passed_on_with_its_text_and_counts_as_done(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    reply.aux = gv_frame_outcome(GROVE_REFUSED, GROVE_STARTED_YES, 1);
    set_body(&reply, "\x08\x02\x12\x05later", 9);
    assert_null(gv_job_answered(yard.child, &reply));
    assert_heard(1, GROVE_STARTED_YES);
    assert_string_equal(yard.text, "later");
    assert_int_equal(yard.pool->stats.done, 1);
}

static void test_an_outcome_that_contradicts_itself_is_broken(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    reply.aux = gv_frame_outcome(GROVE_REFUSED, GROVE_STARTED_YES, 1);
    set_body(&reply, "\x08\x01", 2); /* A failure. */
    assert_null(gv_job_answered(yard.child, &reply));
    assert_heard(GROVE_EBROKEN, GROVE_STARTED_YES);
    assert_string_equal(yard.text, "an outcome that contradicts itself");
}

static void test_an_answer_to_nothing_is_counted_and_costs_its_worker(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    assert_null(gv_job_answered(yard.child, &reply));
    assert_string_equal(gv_job_answered(yard.child, &reply), /* doubled */
                        "it answered a job that it does not have");
    reply.call = 4711;
    assert_string_equal(gv_job_answered(yard.child, &reply),
                        "it answered a job that it does not have");
    assert_int_equal(yard.pool->stats.dropped_frames, 2);
    assert_int_equal(yard.n_outcomes, 1);
}

/* --- giving up ------------------------------------------------------------------------------------ */

static void test_a_waiting_job_is_given_up_at_once(void **state)
{
    (void)state;
    gv_job_give_up(yard_job(JOB_METHOD_ONCE), GROVE_ETIMEDOUT);
    assert_heard(GROVE_ETIMEDOUT, GROVE_STARTED_NO);
    assert_int_equal(yard.pool->queue.bytes, 0);
}

static void test_a_running_job_is_waited_for_no_longer_than_the_grace(void **state)
{
    struct gv_frame reply;
    struct gv_job *job;

    (void)state;
    job = job_at_work(JOB_METHOD_ONCE, &reply);
    yard_begun(job->seq);
    gv_job_give_up(job, GROVE_ETIMEDOUT);
    yard_pass(yard.pool->grace_ms);
    assert_int_equal(yard.n_killed, 0);
    yard_pass(1);
    assert_int_equal(yard.n_killed, 1);
    assert_int_equal(yard.n_outcomes, 0);
    yard_exit(9);
    gv_link_close(&yard.child->link);
    yard_flush();
    assert_heard(GROVE_ETIMEDOUT, GROVE_STARTED_YES);
}

/* A pool that was made with these options, while it is looked at. */
static struct gv_pool *make(const struct grove_pool_options *options)
{
    struct gv_pool *pool;

    assert_int_equal(gv_pool_make(yard.loop, options, &pool), 0);
    return pool;
}

static void test_bounds_are_those_of_the_options_or_the_documented_ones(void **state)
{
    struct grove_pool_options some = {
        .n_workers = 1, .credits = 3, .queue_max = 7, .bytes_max = 70000, .grace_ms = 700};
    struct gv_pool *pool;

    (void)state;
    pool = make(&(struct grove_pool_options){.n_workers = 1});
    assert_int_equal(pool->queue_max, 10000);
    assert_int_equal(pool->bytes_max, 64 << 20);
    assert_int_equal(pool->grace_ms, 100);
    gv_pool_free(pool);
    pool = make(&some);
    assert_int_equal(pool->credits, 3);
    assert_int_equal(pool->queue_max, 7);
    assert_int_equal(pool->bytes_max, 70000);
    assert_int_equal(pool->grace_ms, 700);
    gv_pool_free(pool);
}

static void test_another_grace_is_waited_for_as_long(void **state)
{
    struct gv_frame reply;
    struct gv_job *job;

    (void)state;
    yard.pool->grace_ms = 700;
    job = job_at_work(JOB_METHOD_ONCE, &reply);
    yard_begun(job->seq);
    gv_job_give_up(job, GROVE_ETIMEDOUT);
    yard_pass(700);
    assert_int_equal(yard.n_killed, 0);
    yard_pass(1);
    assert_int_equal(yard.n_killed, 1);
}

static void test_a_job_behind_another_costs_nobody_its_worker(void **state)
{
    struct gv_frame reply;
    struct gv_job *first, *second;

    (void)state;
    first = job_at_work(JOB_METHOD_ONCE, &reply);
    second = job_at_work(JOB_METHOD_ONCE, &reply);
    yard_begun(first->seq);
    gv_job_give_up(second, GROVE_ECANCELED);
    yard_pass(20 * yard.pool->grace_ms);
    assert_int_equal(yard.n_killed, 0);
    assert_int_equal(yard.n_outcomes, 0);
    yard_work(); /* The worker runs the first, and says it has not begun the other. */
    assert_int_equal(yard.n_outcomes, 2);
    assert_int_equal(yard.code, GROVE_ECANCELED);
    assert_int_equal(yard.started, GROVE_STARTED_NO);
}

static void test_a_worker_that_stands_still_is_ended(void **state)
{
    struct gv_frame reply;
    struct gv_job *job;

    (void)state;
    job = job_at_work(JOB_METHOD_ONCE, &reply);
    gv_job_give_up(job, GROVE_ETIMEDOUT);
    yard_pass(yard.pool->grace_ms + 1); /* It has not begun: it may be about to. */
    assert_int_equal(yard.n_killed, 0);
    yard_pass(1000 + yard.pool->grace_ms);
    assert_int_equal(yard.n_killed, 1);
}

static void test_a_worker_holds_the_more_jobs_the_shorter_they_are(void **state)
{
    static const struct {
        uint32_t mean_ns, held;
    } cases[] = {{500, 64}, {20000, 50}, {100000, 10}, {400000, 2}, {1000000000, 1}};
    struct gv_frame reply;

    (void)state;
    yard.pool->credits = 0;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    for (unsigned i = 0; i < 100; i++)
        (void)yard_job(JOB_METHOD_ECHO);
    yard_flush();
    assert_int_equal(yard.child->jobs.n, 1); /* Nothing is known of them. */
    for (unsigned i = sizeof cases / sizeof cases[0]; i-- > 0;) {
        yard.pool->mean_ns = cases[i].mean_ns;
        gv_crew_assign(yard.pool);
        assert_int_equal(yard.child->jobs.n, cases[i].held);
    }
}

static void test_the_loop_spins_only_while_workers_leave_a_core_free(void **state)
{
    unsigned cores = gv_option_cores();
    struct gv_frame reply;

    (void)state;
    assert_int_equal(gv_runtime_spin_ns(1, 0), 0);
    assert_int_equal(gv_runtime_spin_ns(1, cores), 0);
    assert_int_equal(gv_runtime_spin_ns(1, cores - 1), cores > 1 ? 100000 : 0);
    yard.loop->spin_ns = 7;
    (void)job_at_work(JOB_METHOD_ECHO, &reply);
    assert_int_equal(yard.loop->spin_ns, gv_runtime_spin_ns(gv_runtime.n_loops, 1));
    yard_work();
    yard_flush();
    assert_int_equal(yard.loop->spin_ns, gv_runtime_spin_ns(gv_runtime.n_loops, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        yard_test(test_a_good_answer_reaches_its_caller),
        yard_test(test_an_answer_that_is_no_message_costs_its_worker),
        yard_test(test_a_refusal_is_passed_on_with_its_text_and_counts_as_done),
        yard_test(test_an_outcome_that_contradicts_itself_is_broken),
        yard_test(test_an_answer_to_nothing_is_counted_and_costs_its_worker),
        yard_test(test_a_waiting_job_is_given_up_at_once),
        yard_test(test_a_running_job_is_waited_for_no_longer_than_the_grace),
        yard_test(test_bounds_are_those_of_the_options_or_the_documented_ones),
        yard_test(test_another_grace_is_waited_for_as_long),
        yard_test(test_a_job_behind_another_costs_nobody_its_worker),
        yard_test(test_a_worker_that_stands_still_is_ended),
        yard_test(test_the_loop_spins_only_while_workers_leave_a_core_free),
        yard_test(test_a_worker_holds_the_more_jobs_the_shorter_they_are),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
