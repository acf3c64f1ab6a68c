/*
 * Loops: what is sent between them, flushes, time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grove/task.h>

#include "ground.h"

enum { N = 1000 };

static _Atomic(unsigned) n_ran, n_wrong;

static void ran_in_order(void *argument)
{
    if (gv_loop_here->index != 1 || gv_loop_here->turn != NULL
        || n_ran != (unsigned)(uintptr_t)argument)
        n_wrong++;
    n_ran++;
}

static void test_functions_run_on_another_loop_in_the_order_of_their_sending(void **state)
{
    (void)state;
    ground_open_loops(2);
    n_ran = n_wrong = 0;
    for (uintptr_t i = 0; i < N; i++)
        assert_int_equal(gv_loop_call(gv_loop_here, 1, ran_in_order, (void *)i), 0);
    while (n_ran < N)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_wrong, 0);
    ground_close();
}

static void test_a_few_messages_leave_when_main_waits_and_many_leave_before(void **state)
{
    (void)state;
    ground_open_loops(2);
    n_ran = n_wrong = 0;
    for (uintptr_t i = 0; i < 10; i++)
        assert_int_equal(gv_loop_call(gv_loop_here, 1, ran_in_order, (void *)i), 0);
    assert_int_equal(gv_loop_here->out_dirty, 1u << 1);
    assert_int_equal(gv_loop_here->out[1].n, 10);
    for (uintptr_t i = 10; i < GV_CHAIN_MAX; i++)
        assert_int_equal(gv_loop_call(gv_loop_here, 1, ran_in_order, (void *)i), 0);
    assert_int_equal(gv_loop_here->out_dirty, 0);
    while (n_ran < GV_CHAIN_MAX)
        assert_int_equal(grove_sleep_await(1), 0);
    ground_close();
}

static void test_chains_of_every_length_come_in_order(void **state)
{
    (void)state;
    ground_open_loops(2);
    for (unsigned n = 1; n <= GV_CHAIN_MAX + 1; n++) {
        n_ran = n_wrong = 0;
        for (uintptr_t i = 0; i < n; i++)
            assert_int_equal(gv_loop_call(gv_loop_here, 1, ran_in_order, (void *)i), 0);
        while (n_ran < n)
            assert_int_equal(grove_yield_await(), 0);
        assert_int_equal(n_wrong, 0);
    }
    ground_close();
}

static void test_what_is_under_way_at_the_end_is_given_back(void **state)
{
    (void)state;
    for (uintptr_t n = 1; n <= 5 * GV_CHAIN_MAX; n += 61) {
        ground_open_loops(2);
        n_ran = n_wrong = 0;
        for (uintptr_t i = 0; i < n; i++)
            assert_int_equal(gv_loop_call(gv_loop_here, 1, ran_in_order, (void *)i), 0);
        ground_close();
    }
}

/* --- flushes ---------------------------------------------------------------------------------- */

struct counted_flush {
    struct gv_flush flush;
    unsigned n;
};

static void count_flush(struct gv_flush *flush)
{
    ((struct counted_flush *)flush)->n++;
}

static void test_a_flush_runs_once_however_often_it_is_asked_for(void **state)
{
    struct counted_flush flush = {.flush = {.run = count_flush}};

    (void)state;
    ground_open(NULL, NULL);
    for (int i = 0; i < 5; i++)
        gv_loop_flush_later(gv_loop_here, &flush.flush);
    assert_int_equal(flush.n, 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(flush.n, 1);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(flush.n, 1);
    gv_loop_flush_later(gv_loop_here, &flush.flush);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(flush.n, 2);
    ground_close();
}

/* --- time ------------------------------------------------------------------------------------- */

static void test_milliseconds_are_compared_over_a_wrap(void **state)
{
    (void)state;
    assert_true(gv_ms_before(1, 2));
    assert_false(gv_ms_before(2, 2));
    assert_false(gv_ms_before(3, 2));
    assert_true(gv_ms_before(UINT32_MAX - 5, 5));
    assert_false(gv_ms_before(5, UINT32_MAX - 5));
}

static void test_sleeps_last_as_long_as_they_say(void **state)
{
    static const uint32_t times_ms[] = {1, 2, 255, 256, 257, 1000, 70000, 20000000, UINT32_MAX};

    (void)state;
    ground_open(NULL, NULL);
    for (size_t i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
        uint64_t begin_ns = gv_runtime.env->now_ns(NULL), took_ns;

        assert_int_equal(grove_sleep_await(times_ms[i]), 0);
        took_ns = gv_runtime.env->now_ns(NULL) - begin_ns;
        /* To the grain. */
        assert_in_range(took_ns, times_ms[i] * UINT64_C(1000000),
                        times_ms[i] * UINT64_C(1000000) + 3907);
    }
    ground_close();
}

static void test_no_deadline_is_ever_zero_or_out_of_reach(void **state)
{
    (void)state;
    ground_open(NULL, NULL);
    for (uint32_t ms = 0; ms < 100; ms++)
        assert_int_not_equal(gv_deadline_in(gv_loop_here, ms), 0);
    assert_true(gv_ms_before(gv_loop_here->now_ms, gv_deadline_in(gv_loop_here, UINT32_MAX - 1)));
    ground_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_run_on_another_loop_in_the_order_of_their_sending),
        cmocka_unit_test(test_a_few_messages_leave_when_main_waits_and_many_leave_before),
        cmocka_unit_test(test_chains_of_every_length_come_in_order),
        cmocka_unit_test(test_what_is_under_way_at_the_end_is_given_back),
        cmocka_unit_test(test_a_flush_runs_once_however_often_it_is_asked_for),
        cmocka_unit_test(test_milliseconds_are_compared_over_a_wrap),
        cmocka_unit_test(test_sleeps_last_as_long_as_they_say),
        cmocka_unit_test(test_no_deadline_is_ever_zero_or_out_of_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
