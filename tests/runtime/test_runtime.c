/*
 * Runtime: open, close, and what fails in between.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grove/task.h>

#include "ground.h"

static void test_it_opens_and_closes_again_and_again(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (unsigned n = 1; n <= 4; n++) {
        ground_open_loops(n);
        assert_int_equal(gv_runtime.n_loops, n);
        assert_ptr_equal(gv_loop_here, gv_runtime.loops[0]);
        assert_int_equal(grove_can_await(), 1);
        /* Refs of an earlier life are of another incarnation. */
        assert_int_not_equal(gv_runtime.incarnation, last);
        assert_int_equal(gv_runtime.incarnation >> GV_INCARNATION_BITS, 0);
        last = gv_runtime.incarnation;
        ground_close();
        assert_int_equal(gv_runtime.n_loops, 0);
        assert_null(gv_loop_here);
        assert_int_equal(grove_can_await(), 0);
    }
}

/* --- failures --------------------------------------------------------------------------------- */

static struct gv_env lame;
static unsigned n_good, n_loops_opened, n_loops_closed;

static int lame_thread_start(void *world, struct gv_poller *poller, void (*run)(void *),
                             void *argument)
{
    if (n_good-- == 0)
        return -EAGAIN;
    return gv_env_host()->thread_start(world, poller, run, argument);
}

static int lame_poller_open(void *world, unsigned loop, struct gv_poller **poller)
{
    if (n_good-- == 0)
        return -EMFILE;
    return gv_env_host()->poller_open(world, loop, poller);
}

static int count_opened(struct gv_loop *loop)
{
    (void)loop;
    n_loops_opened++;
    return 0;
}

static void count_closed(struct gv_loop *loop)
{
    (void)loop;
    n_loops_closed++;
}

static const struct gv_upcalls counting = {.loop_opened = count_opened,
                                           .loop_closing = count_closed};

static void test_a_thread_that_does_not_start_leaves_nothing(void **state)
{
    (void)state;
    for (unsigned good = 0; good < 3; good++) {
        lame = *gv_env_host();
        lame.thread_start = lame_thread_start;
        n_good = good;
        n_loops_opened = n_loops_closed = 0;
        assert_int_equal(gv_runtime_open(&lame, &counting, 4), -EAGAIN);
        assert_int_equal(gv_runtime.n_loops, 0);
        assert_int_equal(n_loops_opened, 4);
        assert_int_equal(n_loops_closed, 4);
        assert_null(gv_loop_here);
    }
    ground_open_loops(2);
    ground_close();
}

static void test_a_loop_that_does_not_open_leaves_nothing(void **state)
{
    (void)state;
    for (unsigned good = 0; good < 3; good++) {
        lame = *gv_env_host();
        lame.poller_open = lame_poller_open;
        n_good = good;
        n_loops_opened = n_loops_closed = 0;
        assert_int_equal(gv_runtime_open(&lame, &counting, 4), -EMFILE);
        assert_int_equal(gv_runtime.n_loops, 0);
        assert_int_equal(n_loops_opened, good);
        assert_int_equal(n_loops_closed, good);
        assert_null(gv_loop_here);
    }
}

static void test_milliseconds_of_the_epoch_are_never_zero(void **state)
{
    (void)state;
    ground_open(NULL, NULL);
    assert_int_equal(gv_epoch_ms(gv_runtime.epoch_ns), 1);
    assert_int_equal(gv_epoch_ms(gv_runtime.epoch_ns + UINT64_C(1000000) * UINT32_MAX), 1);
    assert_int_equal(gv_epoch_ms(gv_runtime.epoch_ns + UINT64_C(1000000) * (UINT32_MAX - 1)),
                     UINT32_MAX);
    ground_close();
}

static void test_a_grain_begins_where_the_clock_says(void **state)
{
    (void)state;
    ground_open(NULL, NULL);
    assert_int_equal(gv_epoch_grains(gv_runtime.epoch_ns + 1000000), 2 * GV_GRAINS_PER_MS);
    for (uint64_t grain = GV_GRAINS_PER_MS; grain < UINT64_C(1) << 44; grain += grain / 3 + 1) {
        uint64_t begin_ns = gv_epoch_ns(grain);

        assert_int_equal(gv_epoch_grains(begin_ns), grain);
        if (grain > GV_GRAINS_PER_MS)
            assert_int_equal(gv_epoch_grains(begin_ns - 1), grain - 1);
    }
    ground_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_opens_and_closes_again_and_again),
        cmocka_unit_test(test_a_thread_that_does_not_start_leaves_nothing),
        cmocka_unit_test(test_a_loop_that_does_not_open_leaves_nothing),
        cmocka_unit_test(test_milliseconds_of_the_epoch_are_never_zero),
        cmocka_unit_test(test_a_grain_begins_where_the_clock_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
