/*
 * Deadlines and giving up, through actors and a pool whose jobs take long.
 */
#include <string.h>

#include "tests/workers/pools.h"

#include "actors/call.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"

#define N_CALLS  1000u
#define N_CLERKS 10u
#define AT_ONCE  50u

/* --- the clerk ------------------------------------------------------------------------------------ */

struct clerk {
    uint64_t asked, answered;
};

static _Atomic uint64_t n_births;

static int init(struct clerk *me, const void *argument)
{
    (void)me;
    (void)argument;
    n_births++;
    return 0;
}

static int ask(struct clerk *me, const Jobs__V1__AskRequest *request,
               Jobs__V1__AskResponse *response)
{
    Jobs__V1__OnceResponse done = JOBS__V1__ONCE_RESPONSE__INIT;

    me->asked++;
    grove_within(1);
    response->code = job_once_await(*(grove_ref *)(uintptr_t)request->pool,
                                    (Jobs__V1__OnceRequest *)(uintptr_t)request->job, &done);
    response->never_began = grove_failure()->started == GROVE_STARTED_NO;
    me->answered++;
    return 0;
}

static int count(struct clerk *me, const Jobs__V1__CountRequest *request,
                 Jobs__V1__CountResponse *response)
{
    (void)request;
    response->asked = me->asked;
    response->answered = me->answered;
    return 0;
}

static const struct clerk_service functions = {
    .state_bytes = sizeof(struct clerk),
    .init = init,
    .ask = ask,
    .count = count,
};

/* --- what is left ----------------------------------------------------------------------------------- */

struct held {
    uint64_t n_blocks, n_heap, n_timers;
    uint32_t n_calls;
};

/* Of loop 0, where everything of this test lives. */
static struct held held_now(void)
{
    const struct gv_loop *loop = gv_loop_here;
    struct held held;

    memset(&held, 0, sizeof held); /* It is compared as a whole. */
    held.n_blocks = loop->blocks.n_taken;
    held.n_heap = loop->blocks.n_heap;
    held.n_timers = loop->wheel.n_armed;

    for (uint32_t i = 0; i < loop->calls->n_chunks * GV_CALL_CHUNK; i++)
        held.n_calls += loop->calls->chunks[i / GV_CALL_CHUNK][i % GV_CALL_CHUNK].open;
    return held;
}

static bool is_quiet(grove_ref pool)
{
    struct grove_pool_stats stats = stats_of(pool);

    return stats.queued == 0 && stats.running == 0 && stats.n_ready == stats.n_workers;
}

static void wait_quiet(grove_ref pool)
{
    for (unsigned i = 0; i < 10000 && !is_quiet(pool); i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_true(is_quiet(pool));
}

/* --- the tests -------------------------------------------------------------------------------------- */

static struct {
    Jobs__V1__OnceRequest jobs[N_CALLS];
    Jobs__V1__AskRequest asks[N_CALLS];
    Jobs__V1__AskResponse answers[N_CALLS];
    struct grove_future futures[N_CALLS], *all[N_CALLS];
} calls;

static void ask_all(grove_ref *pool, const grove_ref clerks[], unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        /* One in ten takes longer than the pool's patience. */
        calls.jobs[i] = once_request(i, i % 10 == 0 ? 40000 : 4000);
        jobs__v1__ask_request__init(&calls.asks[i]);
        jobs__v1__ask_response__init(&calls.answers[i]);
        calls.asks[i].pool = (uintptr_t)pool;
        calls.asks[i].job = (uintptr_t)&calls.jobs[i];
        calls.all[i] = &calls.futures[i];
        assert_int_equal(clerk_ask_start(clerks[i % N_CLERKS], &calls.asks[i], &calls.answers[i],
                                         &calls.futures[i]),
                         0);
    }
    assert_int_equal(grove_all_await(&calls.all[from], n), 0);
}

static void check_clerks(const grove_ref clerks[])
{
    for (unsigned i = 0; i < N_CLERKS; i++) {
        Jobs__V1__CountRequest request = JOBS__V1__COUNT_REQUEST__INIT;
        Jobs__V1__CountResponse response = JOBS__V1__COUNT_RESPONSE__INIT;

        assert_int_equal(clerk_count_await(clerks[i], &request, &response), 0);
        assert_int_equal(response.asked, N_CALLS / N_CLERKS);
        assert_int_equal(response.answered, N_CALLS / N_CLERKS);
    }
    assert_int_equal(n_births, N_CLERKS);
}

static void test_a_thousand_calls_with_a_millisecond_each_through_slow_workers(void **state)
{
    struct grove_pool_options options = {.n_workers = 2, .grace_ms = 10};
    grove_ref pool = open_pool(&options), clerks[N_CLERKS];
    struct held before, after;
    unsigned n_ran = 0, n_answered = 0;

    (void)state;
    reset_counts(N_CALLS);
    for (unsigned i = 0; i < N_CLERKS; i++)
        assert_int_equal(clerk_spawn(&functions, NULL,
                                     &(struct grove_spawn_options){.pinned = true}, &clerks[i]),
                         0);
    wait_ready(pool, options.n_workers);
    assert_serves(pool);
    wait_quiet(pool);
    before = held_now();
    for (unsigned i = 0; i < N_CALLS; i += AT_ONCE) {
        ask_all(&pool, clerks, i, AT_ONCE);
        /* Some rounds meet ready workers, others what the round before has left. */
        assert_int_equal(grove_sleep_await(i / AT_ONCE % 3 * 10), 0);
    }
    wait_quiet(pool);
    after = held_now();
    for (unsigned i = 0; i < 5000 && memcmp(&before, &after, sizeof before) != 0; i++) {
        assert_int_equal(grove_sleep_await(1), 0); /* A link may hold a buffer yet. */
        after = held_now();
    }

    for (unsigned i = 0; i < N_CALLS; i++) {
        int n = count_of(i);

        /* A loop that was held up itself may find the answer before it looks at the deadline. */
        if (calls.answers[i].code != 0)
            assert_int_equal(calls.answers[i].code, GROVE_ETIMEDOUT);
        n_answered += calls.answers[i].code == 0;
        assert_in_range(n, calls.answers[i].code == 0, 1);
        assert_true(n == 0 || !calls.answers[i].never_began);
        n_ran += (unsigned)n;
    }
    assert_in_range(n_answered, 0, N_CALLS / 10);
    assert_in_range(n_ran, 1, N_CALLS / 2); /* What has expired is not begun. */
    check_clerks(clerks);
    assert_memory_equal(&before, &after, sizeof before);
    assert_serves(pool);
    for (unsigned i = 0; i < N_CLERKS; i++)
        assert_int_equal(grove_stop_await(clerks[i], GROVE_STOP_DRAIN), 0);
    close_pool(pool);
}

static void test_a_job_that_asks_and_ends_in_time_keeps_its_worker(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .grace_ms = 20000};
    grove_ref pool = open_pool(&options);
    Jobs__V1__PatientRequest request = JOBS__V1__PATIENT_REQUEST__INIT;
    Jobs__V1__PatientResponse response = JOBS__V1__PATIENT_RESPONSE__INIT;
    Jobs__V1__OnceRequest once = once_request(0, 0);
    struct grove_progress progress;
    struct grove_future future;
    int pid, pid_after, rc;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    request.counts = once.counts;
    request.busy_us = 60000000;

    /* Its deadline, which it knows itself. A worker that was late to get a processor did not begin. */
    request.id = 1;
    for (uint32_t within_ms = 20; count_of(1) == 0 && within_ms < 20000; within_ms *= 4) {
        grove_within(within_ms);
        rc = job_patient_await(pool, &request, &response);
        assert_true(rc == GROVE_ETIMEDOUT || rc == 0); /* 0: it was quicker than a loop held up */
        assert_serves(pool);
    }
    assert_int_equal(count_of(1), 1);

    /* Its caller leaves long before. */
    request.id = 2;
    assert_int_equal(job_patient_start(pool, &request, &response, &future), 0);
    assert_true(grove_progress_await(&future, &progress)); /* It has begun. */
    grove_future_cancel(&future);
    assert_serves(pool);
    assert_int_equal(count_of(2), 1);

    assert_int_equal(grove_pool_pids(pool, &pid_after, 1), 1);
    assert_int_equal(pid, pid_after);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

static void test_a_cancelled_job_that_does_not_ask_is_killed_after_the_grace(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .grace_ms = 20};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceRequest request = once_request(0, 60000000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    reset_counts(8);
    wait_ready(pool, 1);
    assert_int_equal(job_once_start(pool, &request, &response, &future), 0);
    for (unsigned i = 0; i < 20000 && count_of(0) == 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    grove_future_cancel(&future);
    assert_serves(pool); /* within 30 s, half of what the job takes */
    assert_int_equal(stats_of(pool).restarts, 1);
    close_pool(pool);
}

static void test_a_future_ends_at_its_deadline_also_while_its_job_waits(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .credits = 1});
    Jobs__V1__OnceResponse first_done = JOBS__V1__ONCE_RESPONSE__INIT, done = first_done;
    Jobs__V1__OnceRequest first = once_request(0, 400000), second = once_request(1, 0);
    struct grove_future at_work, waiting;

    (void)state;
    reset_counts(2);
    wait_ready(pool, 1);
    assert_int_equal(job_once_start(pool, &first, &first_done, &at_work), 0);
    grove_within(20);
    assert_int_equal(job_once_start(pool, &second, &done, &waiting), 0);
    assert_int_equal(grove_future_await(&waiting), GROVE_ETIMEDOUT);
    assert_int_equal(grove_future_await(&at_work), 0);
    assert_serves(pool);
    assert_int_equal(count_of(1), 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_calls_with_a_millisecond_each_through_slow_workers),
        cmocka_unit_test(test_a_job_that_asks_and_ends_in_time_keeps_its_worker),
        cmocka_unit_test(test_a_cancelled_job_that_does_not_ask_is_killed_after_the_grace),
        cmocka_unit_test(test_a_future_ends_at_its_deadline_also_while_its_job_waits),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests_name("deadline", tests, NULL, NULL));
}
