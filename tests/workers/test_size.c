/*
 * How many workers a pool has and how long they last, the limits that hold
 * them, and whose job comes first.
 */
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "runtime/sanitize.h"
#include "tests/workers/pools.h"

#define N 24u /* jobs of one test, at most */

/* Begins n Once jobs of busy_us each, the first of which counts at id. */
static struct grove_future futures[N], *in_flight[N];
static Jobs__V1__OnceResponse responses[N];

static void start(grove_ref pool, unsigned n, uint64_t busy_us)
{
    for (unsigned i = 0; i < n; i++) {
        Jobs__V1__OnceRequest request = once_request(i, busy_us);

        jobs__v1__once_response__init(&responses[i]);
        in_flight[i] = &futures[i];
        assert_int_equal(job_once_start(pool, &request, &responses[i], &futures[i]), 0);
    }
}

static void finish(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(grove_future_await(&futures[i]), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(count_of(i), 1);
}

/* Waits until the pool wants n workers and has them, and nobody else, at most ten seconds. */
static void wait_size(grove_ref pool, unsigned n)
{
    for (unsigned i = 0; i < 10000; i++) {
        struct grove_pool_stats stats = stats_of(pool);
        int pids[16];

        if (stats.n_workers == n && stats.n_ready == n && grove_pool_pids(pool, pids, 16) == (int)n)
            return;
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(stats_of(pool).n_workers, n);
}

/* --- growth --------------------------------------------------------------------------------------- */

static void test_a_pool_grows_while_jobs_wait_and_shrinks_when_idle(void **state)
{
    struct grove_pool_options options = {
        .n_workers = 1, .n_workers_max = 3, .grow_ms = 5, .idle_ms = 50};
    grove_ref pool = open_pool(&options);

    (void)state;
    reset_counts(N);
    wait_size(pool, 1);
    start(pool, N, 200000);
    wait_size(pool, 3);
    finish(N);
    wait_size(pool, 1);
    assert_int_equal(stats_of(pool).restarts, 0);
    assert_serves(pool);
    close_pool(pool);
}

static void test_a_pool_of_fixed_size_stays_as_it_is(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .credits = 1});

    (void)state;
    reset_counts(N);
    start(pool, 6, 30000);
    finish(6);
    assert_int_equal(stats_of(pool).n_workers, 1);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

static void test_jobs_that_do_not_wait_long_make_no_pool_grow(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .n_workers_max = 3, .grow_ms = 60000};
    grove_ref pool = open_pool(&options);

    (void)state;
    reset_counts(N);
    start(pool, N, 2000);
    finish(N);
    assert_int_equal(stats_of(pool).n_workers, 1);
    close_pool(pool);
}

static void test_a_worker_of_a_grown_pool_that_dies_is_replaced(void **state)
{
    struct grove_pool_options options = {
        .n_workers = 1, .n_workers_max = 2, .grow_ms = 5, .idle_ms = 600000};
    grove_ref pool = open_pool(&options);
    int pids[2];

    (void)state;
    reset_counts(N);
    start(pool, N, 100000);
    wait_size(pool, 2);
    finish(N);
    assert_int_equal(grove_pool_pids(pool, pids, 2), 2);
    assert_int_equal(kill(pids[1], SIGKILL), 0);
    for (unsigned i = 0; i < 10000 && stats_of(pool).restarts == 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    wait_size(pool, 2);
    close_pool(pool);
}

/* --- recycling ------------------------------------------------------------------------------------ */

/* The only worker has been replaced, and at no moment was there none. */
static void assert_replaced(grove_ref pool, int pid_before)
{
    int pid = 0;

    for (unsigned i = 0; i < 10000 && stats_of(pool).recycled == 0; i++) {
        assert_true(stats_of(pool).n_ready >= 1);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(stats_of(pool).recycled, 1);
    assert_true(stats_of(pool).n_ready >= 1);
    wait_size(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    assert_int_not_equal(pid, pid_before);
    assert_int_equal(stats_of(pool).restarts, 0);
    assert_int_equal(stats_of(pool).failed, 0);
    assert_serves(pool);
}

static void test_a_worker_is_replaced_after_so_many_jobs_and_none_is_lost(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .recycle_jobs = 5, .credits = 4};
    grove_ref pool = open_pool(&options);
    int pid;

    (void)state;
    reset_counts(N);
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    start(pool, 20, 2000);
    finish(20);
    assert_replaced(pool, pid);
    close_pool(pool);
}

static void test_a_worker_is_replaced_when_it_is_old(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .recycle_ms = 600});
    int pid;

    (void)state;
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    assert_replaced(pool, pid);
    close_pool(pool);
}

static int take(grove_ref pool, uint64_t bytes, bool keep, Jobs__V1__TakeResponse *response)
{
    Jobs__V1__TakeRequest request = JOBS__V1__TAKE_REQUEST__INIT;

    jobs__v1__take_response__init(response);
    request.bytes = bytes;
    request.keep = keep;
    return job_take_await(pool, &request, response);
}

static void test_a_worker_is_replaced_when_it_keeps_memory_and_not_when_it_does_not(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .recycle_bytes = 16 << 20};
    grove_ref pool;
    Jobs__V1__TakeResponse response;
    int pid;

    (void)state;
    if (GV_SANITIZED)
        skip(); /* Much of its memory is not the program's own. */
    pool = open_pool(&options);
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(take(pool, 24 << 20, false, &response), 0);
        assert_true(response.taken);
    }
    assert_int_equal(grove_sleep_await(1200), 0); /* Twice the time in which it is looked at. */
    assert_int_equal(stats_of(pool).recycled, 0);
    for (unsigned i = 0; i < 3; i++) /* malloc itself may keep what one job gave back. */
        assert_int_equal(take(pool, 24 << 20, true, &response), 0);
    assert_int_equal(grove_sleep_await(60), 0); /* Its memory was looked at a moment ago. */
    assert_int_equal(take(pool, 1, false, &response), 0);
    assert_replaced(pool, pid);
    close_pool(pool);
}

/* --- limits --------------------------------------------------------------------------------------- */

static void test_a_job_gets_no_more_memory_than_its_pool_allows(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .memory_max = 64 << 20};
    grove_ref pool;
    Jobs__V1__TakeResponse response;

    (void)state;
    if (GV_SANITIZED)
        skip(); /* Much of its memory is not the program's own. */
    pool = open_pool(&options);
    assert_int_equal(take(pool, 16 << 20, false, &response), 0);
    assert_true(response.taken);
    assert_int_equal(take(pool, 80 << 20, false, &response), 0);
    assert_false(response.taken);
    close_pool(pool);
    pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    assert_int_equal(take(pool, 80 << 20, false, &response), 0);
    assert_true(response.taken);
    close_pool(pool);
}

static void test_a_job_that_uses_too_much_cpu_costs_its_worker_and_others_none(void **state)
{
    struct grove_pool_options options = {.n_workers = 1, .cpu_s = 1};
    grove_ref pool = open_pool(&options);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    Jobs__V1__OnceRequest request;

    (void)state;
    reset_counts(N);
    for (uint64_t i = 0; i < 6; i++) { /* Each of them less than a second, together more. */
        request = once_request(i, 300000);
        assert_int_equal(job_once_await(pool, &request, &response), 0);
    }
    assert_int_equal(stats_of(pool).restarts, 0);
    request = once_request(7, 20000000);
    assert_int_equal(job_once_await(pool, &request, &response), GROVE_ECRASHED);
    assert_serves(pool);
    assert_int_equal(stats_of(pool).restarts, 1);
    close_pool(pool);
}

static void test_a_worker_is_warm_before_its_first_job_and_as_nice_as_was_said(void **state)
{
    Jobs__V1__TakeResponse response, none;
    grove_ref pool;

    (void)state;
    pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .nice = 7});
    assert_int_equal(take(pool, 1, false, &response), 0);
    assert_int_equal(response.warm_ups, 1);
    close_pool(pool);
    pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .nice = -1});
    assert_int_equal(take(pool, 1, false, &none), 0);
    assert_int_equal(response.nice, none.nice + 7 < 19 ? none.nice + 7 : 19);
    close_pool(pool);
}

/* --- priorities ----------------------------------------------------------------------------------- */

static void test_urgent_jobs_overtake_and_unhurried_ones_are_overtaken(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .credits = 1});
    Jobs__V1__UnhurriedRequest later = JOBS__V1__UNHURRIED_REQUEST__INIT;
    Jobs__V1__UrgentRequest now = JOBS__V1__URGENT_REQUEST__INIT;
    Jobs__V1__UnhurriedResponse last = JOBS__V1__UNHURRIED_RESPONSE__INIT;
    Jobs__V1__UrgentResponse first = JOBS__V1__URGENT_RESPONSE__INIT;
    struct grove_future last_future, first_future;

    (void)state;
    reset_counts(N + 1);
    later.counts = now.counts = once_request(0, 0).counts;
    wait_ready(pool, 1);
    start(pool, 1, 100000); /* While it runs the others come to the queue. */
    assert_int_equal(job_unhurried_start(pool, &later, &last, &last_future), 0);
    assert_int_equal(job_urgent_start(pool, &now, &first, &first_future), 0);
    assert_int_equal(grove_future_await(&last_future), 0);
    assert_int_equal(grove_future_await(&first_future), 0);
    finish(1);
    assert_int_equal(first.order, 0);
    assert_int_equal(last.order, 1);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pool_grows_while_jobs_wait_and_shrinks_when_idle),
        cmocka_unit_test(test_a_pool_of_fixed_size_stays_as_it_is),
        cmocka_unit_test(test_jobs_that_do_not_wait_long_make_no_pool_grow),
        cmocka_unit_test(test_a_worker_of_a_grown_pool_that_dies_is_replaced),
        cmocka_unit_test(test_a_worker_is_replaced_after_so_many_jobs_and_none_is_lost),
        cmocka_unit_test(test_a_worker_is_replaced_when_it_is_old),
        cmocka_unit_test(test_a_worker_is_replaced_when_it_keeps_memory_and_not_when_it_does_not),
        cmocka_unit_test(test_a_job_gets_no_more_memory_than_its_pool_allows),
        cmocka_unit_test(test_a_job_that_uses_too_much_cpu_costs_its_worker_and_others_none),
        cmocka_unit_test(test_a_worker_is_warm_before_its_first_job_and_as_nice_as_was_said),
        cmocka_unit_test(test_urgent_jobs_overtake_and_unhurried_ones_are_overtaken),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
