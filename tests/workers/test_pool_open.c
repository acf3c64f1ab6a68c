/*
 * The birth of a pool and what users call: which options are refused, from
 * where it may be called, and what is said of a pool that is gone.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/loop.h"
#include "runtime/options.h"
#include "tests/workers/pools.h"

/* --- options -------------------------------------------------------------------------------------- */

static void assert_refused(const struct grove_pool_options *options, const char *why)
{
    grove_ref ref;

    assert_int_equal(grove_pool_open(options, &ref), GROVE_EUSAGE);
    assert_string_equal(grove_why(), why);
}

static void test_options_beyond_reason_are_refused_with_a_text(void **state)
{
    static char long_path[300];

    (void)state;
    memset(long_path, 'x', sizeof long_path - 1);
    assert_refused(&(struct grove_pool_options){.n_workers = 257},
                   "a pool has at most 256 workers");
    assert_refused(&(struct grove_pool_options){.credits = 1025},
                   "a worker has at most 1024 credits");
    assert_refused(&(struct grove_pool_options){.queue_max = 10000001},
                   "queue_max is at most 10 000 000");
    assert_refused(&(struct grove_pool_options){.program = long_path},
                   "the path of the program is too long");
    assert_refused(&(struct grove_pool_options){.name = ""},
                   "the name of a pool has 1 to 31 bytes");
    assert_refused(&(struct grove_pool_options){.name = long_path},
                   "the name of a pool has 1 to 31 bytes");
    assert_refused(&(struct grove_pool_options){.n_workers_max = 257},
                   "a pool has at most 256 workers");
    assert_refused(&(struct grove_pool_options){.n_workers = 3, .n_workers_max = 2},
                   "n_workers_max is less than n_workers, which is how many there are at least");
    assert_refused(
        &(struct grove_pool_options){.n_workers = 2, .idle_ms = 10},
        "grow_ms and idle_ms are for pools that grow; say n_workers_max, more than n_workers");
    assert_refused(&(struct grove_pool_options){.birth_ms = 86400001},
                   "grow_ms, idle_ms, birth_ms, recycle_ms and grace_ms are at most a day, "
                   "86 400 000 ms");
    assert_refused(&(struct grove_pool_options){.recycle_bytes = 1000},
                   "recycle_bytes is at least 1 MiB: any worker's memory goes up and down by less");
    assert_refused(&(struct grove_pool_options){.memory_max = 1000},
                   "memory_max is at least 1 MiB; it comes on top of what a worker starts with");
    assert_refused(&(struct grove_pool_options){.nice = -2},
                   "nice is 1 to 19, or -1 for none; only root can make a process less nice");
}

static void test_bounds_themselves_are_allowed(void **state)
{
    struct grove_pool_options options = {
        .n_workers = 1, .credits = 1024, .queue_max = 10000000, .bytes_max = UINT64_MAX};

    (void)state;
    close_pool(open_pool(&options));
}

static void test_a_directory_that_cannot_be_made_leaves_no_pool(void **state)
{
    char *folder = strdup(gv_option_text(GV_OPTION_RUN_DIR));
    char error[GV_OPTION_ERROR_BYTES];
    grove_ref ref;

    (void)state;
    assert_non_null(folder);
    assert_int_equal(gv_option_set("run_dir", "/proc/nowhere", error), 0);
    assert_int_equal(grove_pool_open(NULL, &ref), -ENOENT);
    assert_non_null(strstr(grove_why(), "/proc/nowhere: No such file"));
    assert_int_equal(gv_option_set("run_dir", "nowhere", error), 0);
    assert_int_equal(grove_pool_open(NULL, &ref), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "nowhere: the path does not begin with a slash"));
    assert_int_equal(gv_option_set("run_dir", folder, error), 0);
    free(folder);
}

static void test_no_options_at_all_make_a_pool_with_a_worker(void **state)
{
    grove_ref pool;

    (void)state;
    pool = open_pool(NULL);
    assert_true(stats_of(pool).n_workers >= 1);
    close_pool(pool);
}

/* --- from where ----------------------------------------------------------------------------------- */

static struct {
    grove_ref pool;
    int open_rc, stats_rc, pids_rc;
    char open_why[128], stats_why[128], pids_why[128];
    unsigned loop;
    _Atomic bool over;
} far_away;

static void call_from_there(void *argument)
{
    struct grove_pool_stats stats;
    grove_ref ref;
    int pid;

    (void)argument;
    far_away.loop = gv_loop_here->index;
    far_away.open_rc = grove_pool_open(NULL, &ref);
    (void)snprintf(far_away.open_why, sizeof far_away.open_why, "%s",
                   grove_why()); /* It may be cut. */
    far_away.stats_rc = grove_pool_stats(far_away.pool, &stats);
    (void)snprintf(far_away.stats_why, sizeof far_away.stats_why, "%s",
                   grove_why()); /* It may be cut. */
    far_away.pids_rc = grove_pool_pids(far_away.pool, &pid, 1);
    (void)snprintf(far_away.pids_why, sizeof far_away.pids_why, "%s",
                   grove_why()); /* It may be cut. */
    far_away.over = true;
}

static void test_another_loop_may_not_open_or_ask_a_pool(void **state)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1)};

    (void)state;
    far_away.pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    assert_int_equal(grove_go(call_from_there, NULL, &options, NULL), 0);
    for (unsigned i = 0; i < 10000 && !far_away.over; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_true(far_away.over);
    assert_int_equal(far_away.loop, 1);
    assert_int_equal(far_away.open_rc, GROVE_EUSAGE);
    assert_non_null(strstr(far_away.open_why, "grove_pool_open: pools live on loop 0"));
    assert_int_equal(far_away.stats_rc, GROVE_EUSAGE);
    assert_non_null(strstr(far_away.stats_why, "grove_pool_stats: pools live on loop 0"));
    assert_int_equal(far_away.pids_rc, GROVE_EUSAGE);
    assert_non_null(strstr(far_away.pids_why, "grove_pool_pids: pools live on loop 0"));
    close_pool(far_away.pool);
}

/* --- when it is gone ------------------------------------------------------------------------------ */

static void test_a_pool_that_is_gone_is_nobody(void **state)
{
    grove_ref pool;
    struct grove_pool_stats stats;
    int pid;

    (void)state;
    pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    close_pool(pool);
    assert_int_equal(grove_pool_stats(pool, &stats), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_close_await(pool, 1000), GROVE_ENOACTOR);
    assert_int_equal(grove_pool_stats(GROVE_NOBODY, &stats), GROVE_ENOACTOR);
}

static void test_no_more_pids_are_written_than_there_is_room_for(void **state)
{
    grove_ref pool;
    int pids[3] = {0, 0, -7};

    (void)state;
    pool = open_pool(&(struct grove_pool_options){.n_workers = 3});
    wait_ready(pool, 3);
    assert_int_equal(grove_pool_pids(pool, pids, 2), 2);
    assert_true(pids[0] > 0 && pids[1] > 0 && pids[0] != pids[1]);
    assert_int_equal(pids[2], -7);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_beyond_reason_are_refused_with_a_text),
        cmocka_unit_test(test_bounds_themselves_are_allowed),
        cmocka_unit_test(test_a_directory_that_cannot_be_made_leaves_no_pool),
        cmocka_unit_test(test_no_options_at_all_make_a_pool_with_a_worker),
        cmocka_unit_test(test_another_loop_may_not_open_or_ask_a_pool),
        cmocka_unit_test(test_a_pool_that_is_gone_is_nobody),
        cmocka_unit_test(test_no_more_pids_are_written_than_there_is_room_for),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
