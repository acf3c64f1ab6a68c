/*
 * Large messages to real workers and back: through shared memory, and
 * through the stream where that is full, off, or cannot be had.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/host.h"
#include "tests/workers/pools.h"
#include "workers/slab.h"

#define MESSAGE_MAX ((size_t)16 << 20)
#define AROUND      6u /* bytes of a packed Echo beside its text; from 2 MiB on one more */

static char *text_of(size_t n_bytes, unsigned salt)
{
    char *text = malloc(n_bytes + 1);

    assert_non_null(text);
    for (size_t i = 0; i < n_bytes; i++)
        text[i] = (char)('a' + (i * 7 + i / 251 + salt) % 26);
    text[n_bytes] = '\0';
    return text;
}

/* A text of so many bytes goes there and comes back as it was. */
static void assert_echoes(grove_ref pool, size_t n_bytes)
{
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
    char *text = text_of(n_bytes, (unsigned)n_bytes);
    struct grove_scope scope;
    bool is_same;
    int rc;

    grove_scope_begin(&scope);
    rc = echo(pool, text, &response);
    is_same = rc == 0 && strcmp(response.text, text) == 0;
    grove_scope_end(&scope);
    free(text);
    assert_int_equal(rc, 0);
    assert_true(is_same);
}

static void test_what_is_large_goes_through_the_slab_and_what_is_not_does_not(void **state)
{
    static const struct grove_pool_options one = {.n_workers = 1};
    grove_ref pool = open_pool(&one);
    struct grove_pool_stats stats;

    (void)state;
    assert_echoes(pool, 65535 - AROUND);
    stats = stats_of(pool);
    assert_int_equal(stats.slab_requests + stats.slab_answers, 0);
    assert_echoes(pool, 65536 - AROUND);
    stats = stats_of(pool);
    assert_int_equal(stats.slab_requests, 1);
    assert_int_equal(stats.slab_answers, 1);
    close_pool(pool);
}

static void test_all_sizes_arrive_as_they_were(void **state)
{
    static const size_t sizes[] = {
        0,     1,      65535 - AROUND,     65536 - AROUND,   65537 - AROUND,
        65536, 100003, (1 << 20) - AROUND, (1 << 20) + 4097, MESSAGE_MAX - AROUND - 1};
    static const struct grove_pool_options one = {.n_workers = 1};
    grove_ref pool = open_pool(&one);

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_echoes(pool, sizes[i]);
    assert_int_equal(stats_of(pool).slab_full, 0);
    assert_int_equal(stats_of(pool).dropped_peers, 0);
    close_pool(pool);
}

static void test_what_is_over_the_limit_is_refused_with_its_reason(void **state)
{
    static const struct grove_pool_options one = {.n_workers = 1};
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
    Jobs__V1__BigRequest request = JOBS__V1__BIG_REQUEST__INIT;
    Jobs__V1__BigResponse big = JOBS__V1__BIG_RESPONSE__INIT;
    grove_ref pool = open_pool(&one);
    char *text = text_of(MESSAGE_MAX - AROUND, 0);

    (void)state;
    assert_int_equal(echo(pool, text, &response), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "16 MiB"));
    free(text);
    request.bytes = MESSAGE_MAX;
    assert_int_equal(job_big_await(pool, &request, &big), GROVE_ETOOBIG);
    assert_echoes(pool, 1 << 20);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

/* --- more than fits ------------------------------------------------------------------------------- */

struct crowd {
    grove_ref pool;
    size_t n_bytes;
    unsigned n_left, n_right, n_failed;
};

static void ask(void *argument)
{
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
    struct crowd *crowd = argument;
    char *text = malloc(crowd->n_bytes + 1);

    if (text != NULL) {
        memset(text, 'a' + (int)(crowd->n_left % 26), crowd->n_bytes);
        text[crowd->n_bytes] = '\0';
        if (echo(crowd->pool, text, &response) == 0)
            crowd->n_right += strcmp(response.text, text) == 0;
        else
            crowd->n_failed++;
    }
    free(text);
    crowd->n_left--;
}

static void begin_crowd(struct crowd *crowd, unsigned n)
{
    crowd->n_left = n;
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(grove_go(ask, crowd, NULL, NULL), 0);
}

static void end_crowd(const struct crowd *crowd)
{
    while (crowd->n_left > 0)
        assert_int_equal(grove_sleep_await(1), 0);
}

static void test_what_finds_the_slab_full_goes_through_the_stream(void **state)
{
    static const struct grove_pool_options small = {
        .n_workers = 1, .credits = 8, .slab_bytes = 1 << 20};
    struct crowd crowd = {.pool = open_pool(&small), .n_bytes = 300000};
    struct grove_pool_stats stats;

    (void)state;
    begin_crowd(&crowd, 16);
    end_crowd(&crowd);
    assert_int_equal(crowd.n_right, 16);
    assert_echoes(crowd.pool, 600000); /* It would not fit a half that is empty. */
    stats = stats_of(crowd.pool);
    assert_true(stats.slab_full > 0);
    assert_true(stats.slab_requests > 0);
    assert_int_equal(stats.dropped_peers, 0);
    close_pool(crowd.pool);
}

static void test_without_a_slab_all_goes_through_the_stream(void **state)
{
    static const struct grove_pool_options none = {.n_workers = 1, .slab_bytes = -1};
    grove_ref pool = open_pool(&none);
    struct grove_pool_stats stats;

    (void)state;
    assert_echoes(pool, 1 << 20);
    stats = stats_of(pool);
    assert_int_equal(stats.slab_requests + stats.slab_answers + stats.slab_full, 0);
    assert_int_equal(stats.slab_used, 0);
    close_pool(pool);
}

static void test_a_slab_of_an_impossible_size_is_refused_with_its_reason(void **state)
{
    static const int64_t wrong[] = {-2, 1, (1 << 20) - 1, (INT64_C(4) << 30) + 1, INT64_MIN};
    grove_ref pool;

    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct grove_pool_options options = {.slab_bytes = wrong[i]};

        assert_int_equal(grove_pool_open(&options, &pool), GROVE_EUSAGE);
        assert_non_null(strstr(grove_why(), "1 MiB to 4 GiB"));
    }
}

/* --- where it cannot be had ------------------------------------------------------------------------- */

static void test_without_memfd_it_is_the_same(void **state)
{
    static const struct grove_pool_options one = {.n_workers = 1};
    grove_ref pool;

    (void)state;
    gv_host_old_kernel = true;
    pool = open_pool(&one);
    assert_echoes(pool, 1 << 20);
    gv_host_old_kernel = false;
    assert_int_equal(stats_of(pool).slab_requests, 1);
    assert_int_equal(stats_of(pool).slab_answers, 1);
    close_pool(pool);
}

static void test_where_no_slab_may_be_made_jobs_are_done_all_the_same(void **state)
{
    static const struct grove_pool_options two = {.n_workers = 2};
    struct rlimit limit, before;
    grove_ref pool;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    pool = open_pool(&two);
    wait_ready(pool, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_echoes(pool, 1 << 20);
    assert_int_equal(stats_of(pool).slab_requests, 0);
    close_pool(pool);
}

/* --- deaths, and what is given back ----------------------------------------------------------------- */

static void test_workers_that_die_with_large_jobs_leave_nothing(void **state)
{
    static const struct grove_pool_options two = {.n_workers = 2, .credits = 4};
    struct crowd crowd = {.pool = open_pool(&two), .n_bytes = 500000};
    int pids[2];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        wait_ready(crowd.pool, 2);
        begin_crowd(&crowd, 8);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_pool_pids(crowd.pool, pids, 2), 2);
        assert_int_equal(kill(pids[i % 2], SIGKILL), 0);
        end_crowd(&crowd);
    }
    /* Echo may run again: a job fails only if it takes two workers along. */
    assert_int_equal(crowd.n_right, 32);
    assert_int_equal(crowd.n_failed, 0);
    close_pool(crowd.pool); /* pools_end counts descriptors. */
}

static void test_memory_that_is_not_used_is_given_back(void **state)
{
    static const struct grove_pool_options one = {.n_workers = 1};
    grove_ref pool = open_pool(&one);

    (void)state;
    assert_echoes(pool, 4 << 20);
    assert_true(stats_of(pool).slab_used >= 8 << 20);
    for (unsigned i = 0; i < 100 && stats_of(pool).slab_used > 0; i++)
        assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(stats_of(pool).slab_used, 0);
    assert_echoes(pool, 4 << 20);
    close_pool(pool);
}

static void test_the_same_memory_is_used_again(void **state)
{
    static const struct grove_pool_options one = {.n_workers = 1};
    grove_ref pool = open_pool(&one);

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        assert_echoes(pool, 1 << 20);
    /* A message each way, rounded up, and one answer more while the page says it late. */
    assert_true(stats_of(pool).slab_used <= 4 << 20);
    assert_int_equal(stats_of(pool).slab_full, 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_large_goes_through_the_slab_and_what_is_not_does_not),
        cmocka_unit_test(test_all_sizes_arrive_as_they_were),
        cmocka_unit_test(test_what_is_over_the_limit_is_refused_with_its_reason),
        cmocka_unit_test(test_what_finds_the_slab_full_goes_through_the_stream),
        cmocka_unit_test(test_without_a_slab_all_goes_through_the_stream),
        cmocka_unit_test(test_a_slab_of_an_impossible_size_is_refused_with_its_reason),
        cmocka_unit_test(test_without_memfd_it_is_the_same),
        cmocka_unit_test(test_where_no_slab_may_be_made_jobs_are_done_all_the_same),
        cmocka_unit_test(test_workers_that_die_with_large_jobs_leave_nothing),
        cmocka_unit_test(test_memory_that_is_not_used_is_given_back),
        cmocka_unit_test(test_the_same_memory_is_used_again),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
