/*
 * Following jobs: what callers hear of the progress of real workers, and
 * what becomes of workers that tell of it as none does.
 */
#include <math.h>
#include <string.h>

#include "tests/workers/pools.h"

static Jobs__V1__TellRequest tell_request(uint32_t n_steps, uint64_t step_us, const char *text)
{
    Jobs__V1__TellRequest request = JOBS__V1__TELL_REQUEST__INIT;

    request.n_steps = n_steps;
    request.step_us = step_us;
    request.text = (char *)text;
    return request;
}

/* What was heard of one job. */
struct heard {
    unsigned n, n_backwards;
    struct grove_progress last;
};

/* Follows a job to its end and returns what became of it. */
static int follow(grove_ref pool, const Jobs__V1__TellRequest *request, struct heard *heard)
{
    Jobs__V1__TellResponse response = JOBS__V1__TELL_RESPONSE__INIT;
    struct grove_progress progress;
    struct grove_future future;
    int rc = job_tell_start(pool, request, &response, &future);

    memset(heard, 0, sizeof *heard);
    if (rc != 0)
        return rc;
    while (grove_progress_await(&future, &progress)) {
        heard->n_backwards += heard->n > 0 && progress.fraction < heard->last.fraction;
        heard->last = progress;
        heard->n++;
    }
    return grove_future_await(&future);
}

static void test_a_caller_hears_how_far_its_job_has_come(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest request = tell_request(4, 150000, "step");
    struct heard heard;

    (void)state;
    assert_int_equal(follow(pool, &request, &heard), 0);
    assert_in_range(heard.n, 1, 4); /* Words that came together are one, the last. */
    assert_int_equal(heard.n_backwards, 0);
    assert_true(heard.last.fraction == 1);
    assert_string_equal(heard.last.note, "step");
    assert_int_equal(heard.last.attempt, 1);
    assert_int_equal(stats_of(pool).progressed, 4);
    close_pool(pool);
}

static void test_a_job_that_tells_all_the_time_is_heard_ten_times_a_second(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest same = tell_request(500000, 0, "same"),
                          others = tell_request(500000, 0, "%");
    unsigned long long began_ms;
    struct heard heard;

    (void)state;
    began_ms = grove_now_ms();
    assert_int_equal(follow(pool, &same, &heard), 0);
    assert_in_range(heard.n, 1, 2 + (grove_now_ms() - began_ms) / 100);
    began_ms = grove_now_ms();
    assert_int_equal(follow(pool, &others, &heard), 0);
    assert_in_range(heard.n, 1, 9 + (grove_now_ms() - began_ms) / 100);
    assert_int_equal(stats_of(pool).dropped_frames, 0);
    close_pool(pool);
}

static void test_another_note_is_heard_at_once(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest request = tell_request(8, 1000, "%");
    struct heard heard;

    (void)state;
    assert_int_equal(follow(pool, &request, &heard), 0);
    assert_true(heard.last.fraction == 1);
    assert_string_equal(heard.last.note, "8");
    assert_int_equal(stats_of(pool).progressed, 8);
    close_pool(pool);
}

static void test_who_does_not_follow_is_told_nothing_and_loses_nothing(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest request = tell_request(3, 1000, "%");
    Jobs__V1__TellResponse response = JOBS__V1__TELL_RESPONSE__INIT;

    (void)state;
    assert_int_equal(job_tell_await(pool, &request, &response), 0);
    assert_int_equal(response.n_steps, 3);
    assert_int_equal(stats_of(pool).progressed, 3);
    close_pool(pool);
}

static void test_the_run_after_a_crash_says_that_it_is_another_one(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest request = tell_request(3, 1000, "%");
    Jobs__V1__OnceRequest counted = once_request(0, 0);
    struct heard heard;

    (void)state;
    reset_counts(1);
    request.counts = counted.counts;
    assert_int_equal(follow(pool, &request, &heard), 0);
    assert_int_equal(heard.last.attempt, 2);
    assert_in_range(heard.n, 1, 4); /* Words that came together are one, the last. */
    assert_int_equal(count_of(0), 2);
    close_pool(pool);
}

static void test_a_caller_that_leaves_is_seen_by_its_job(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .grace_ms = 20000});
    Jobs__V1__TellRequest request = tell_request(1, 0, "for ever");
    Jobs__V1__TellResponse response = JOBS__V1__TELL_RESPONSE__INIT;
    struct grove_progress progress;
    struct grove_future future;

    (void)state;
    request.until_left = true;
    assert_int_equal(job_tell_start(pool, &request, &response, &future), 0);
    assert_true(grove_progress_await(&future, &progress));
    assert_string_equal(progress.note, "for ever");
    grove_future_cancel(&future);
    assert_serves(pool);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

struct clerk {
    uint64_t n;
};

static int count(struct clerk *me, const Jobs__V1__CountRequest *request,
                 Jobs__V1__CountResponse *response)
{
    (void)request;
    response->asked = ++me->n;
    return 0;
}

static int ask(struct clerk *me, const Jobs__V1__AskRequest *request,
               Jobs__V1__AskResponse *response)
{
    (void)me;
    (void)request;
    (void)response;
    return 0;
}

static void test_what_cannot_be_followed_says_why(void **state)
{
    static const struct clerk_service clerk = {
        .state_bytes = sizeof(struct clerk), .ask = ask, .count = count};
    Jobs__V1__CountRequest request = JOBS__V1__COUNT_REQUEST__INIT;
    Jobs__V1__CountResponse response = JOBS__V1__COUNT_RESPONSE__INIT;
    struct grove_future future = {0};
    struct grove_progress progress;
    grove_ref ref;

    (void)state;
    grove_job_progress(NAN, NULL); /* This is no worker. */
    assert_false(grove_progress(&future, &progress));
    assert_false(grove_progress_await(&future, &progress));
    assert_int_equal(grove_failure()->code, GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "never started"));

    assert_int_equal(clerk_spawn(&clerk, NULL, NULL, &ref), 0);
    assert_int_equal(clerk_count_start(ref, &request, &response, &future), 0);
    assert_false(grove_progress_await(&future, &progress));
    assert_non_null(strstr(grove_why(), "only jobs of worker pools"));
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.asked, 1);
    assert_false(grove_progress_await(&future, &progress)); /* It is over. */
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

static void test_the_last_word_can_be_asked_for_at_any_time(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__TellRequest request = tell_request(8, 1000, "%");
    Jobs__V1__TellResponse response = JOBS__V1__TELL_RESPONSE__INIT;
    struct grove_progress progress;
    struct grove_future future;

    (void)state;
    assert_int_equal(job_tell_start(pool, &request, &response, &future), 0);
    assert_false(grove_progress(&future, &progress));
    while (!future.done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_true(grove_progress(&future, &progress));
    assert_true(grove_progress(&future, &progress));
    assert_string_equal(progress.note, "8");
    assert_true(grove_progress_await(&future, &progress)); /* That one has not told it yet. */
    assert_false(grove_progress_await(&future, &progress));
    assert_int_equal(grove_future_await(&future), 0);
    assert_false(grove_progress(&future, &progress));
    close_pool(pool);
}

/* --- on other loops ----------------------------------------------------------------------------- */

static grove_ref far_pool;
static struct heard far_heard;
static _Atomic int far_rc;

static void follow_from_afar(void *argument)
{
    Jobs__V1__TellRequest request = tell_request(8, 1000, "%");

    (void)argument;
    far_rc = follow(far_pool, &request, &far_heard);
}

static void test_a_caller_on_another_loop_hears_it_too(void **state)
{
    struct grove_spawn_options place = {.place = GROVE_ON_LOOP(1)};

    (void)state;
    far_pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    far_rc = 1;
    assert_int_equal(grove_go(follow_from_afar, NULL, &place, NULL), 0);
    while (far_rc == 1)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(far_rc, 0);
    assert_true(far_heard.last.fraction == 1);
    assert_string_equal(far_heard.last.note, "8");
    close_pool(far_pool);
}

/* --- workers that lie --------------------------------------------------------------------------- */

static void test_progress_that_no_worker_tells_costs_its_worker_and_nobody_else(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    uint64_t n_dropped = 0;

    (void)state;
    for (uint32_t how = 0; how <= 6; how++) {
        Jobs__V1__LieRequest request = JOBS__V1__LIE_REQUEST__INIT;
        Jobs__V1__LieResponse response = JOBS__V1__LIE_RESPONSE__INIT;

        assert_serves(pool);
        request.how = how;
        assert_int_equal(job_lie_await(pool, &request, &response), GROVE_ECRASHED);
        assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
        assert_int_equal(stats_of(pool).dropped_frames, ++n_dropped);
        assert_int_equal(stats_of(pool).dropped_peers, n_dropped);
        assert_serves(pool);
        /* It has told a job of its own: its frames would not have the numbers that Lie counts on. */
        close_pool(pool);
        pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
        n_dropped = 0;
        wait_ready(pool, 1);
    }
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_caller_hears_how_far_its_job_has_come),
        cmocka_unit_test(test_a_job_that_tells_all_the_time_is_heard_ten_times_a_second),
        cmocka_unit_test(test_another_note_is_heard_at_once),
        cmocka_unit_test(test_who_does_not_follow_is_told_nothing_and_loses_nothing),
        cmocka_unit_test(test_the_run_after_a_crash_says_that_it_is_another_one),
        cmocka_unit_test(test_a_caller_that_leaves_is_seen_by_its_job),
        cmocka_unit_test(test_what_cannot_be_followed_says_why),
        cmocka_unit_test(test_the_last_word_can_be_asked_for_at_any_time),
        cmocka_unit_test(test_a_caller_on_another_loop_hears_it_too),
        cmocka_unit_test(test_progress_that_no_worker_tells_costs_its_worker_and_nobody_else),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
