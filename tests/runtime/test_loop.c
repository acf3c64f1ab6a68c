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

struct part {
    struct gv_flush flush;
    unsigned n_ran; /* when it was flushed */
};

static struct part part;
static _Atomic(bool) all_sent;

static void note_part(struct gv_flush *flush)
{
    ((struct part *)flush)->n_ran = n_ran;
}

/* Keeps loop 1 until all is on its way there; what it leaves to be flushed is done in the next round. */
static void begin_part(void *unused)
{
    (void)unused;
    while (!all_sent)
        continue;
    part.flush.run = note_part;
}

static void flush_part(void *argument)
{
    gv_loop_flush_later(gv_loop_here, &part.flush);
    ran_in_order(argument);
}

static void test_what_other_loops_send_is_taken_in_by_parts(void **state)
{
    enum { MANY = 3 * GV_TAKE_IN_MAX };

    (void)state;
    ground_open_loops(2);
    n_ran = n_wrong = 0;
    part = (struct part){.n_ran = 0};
    all_sent = false;
    assert_int_equal(gv_loop_call(gv_loop_here, 1, begin_part, NULL), 0);
    gv_loop_publish(gv_loop_here);
    for (uintptr_t i = 0; i < MANY; i++)
        assert_int_equal(
            gv_loop_call(gv_loop_here, 1, i == 0 ? flush_part : ran_in_order, (void *)i), 0);
    gv_loop_publish(gv_loop_here);
    all_sent = true;
    while (n_ran < MANY)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_wrong, 0);
    assert_in_range(part.n_ran, 1, GV_TAKE_IN_MAX + GV_CHAIN_MAX);
    ground_close();
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

/* --- ticks ------------------------------------------------------------------------------------ */

static struct {
    uint64_t turn_ns;
    unsigned n_still; /* time stands still until the world was looked at so often */
    unsigned n_turns;
    bool over;
} busy;

static void take_time(struct worker *me)
{
    if (ground_n_polls >= busy.n_still)
        ground_pass(busy.turn_ns);
    busy.n_turns++;
    if (busy.over)
        ground_end(me);
    else
        ground_poke(me);
}

/* Workers whose turns follow each other for ever and take so long each. */
static void begin_busy(uint64_t turn_ns)
{
    ground_open(NULL, NULL);
    busy.turn_ns = turn_ns;
    busy.over = false;
    for (int i = 0; i < 8; i++)
        (void)ground_worker(0, take_time, NULL);
    assert_int_equal(grove_sleep_await(1), 0); /* The first tick cannot know. */
}

static void end_busy(void)
{
    busy.over = true;
    ground_drain();
    ground_close();
}

struct sleeper {
    int n_sleeps;
    uint64_t latest_ns;
};

static void sleep_again_and_again(void *argument)
{
    struct sleeper *me = argument;

    for (; me->n_sleeps > 0; me->n_sleeps--) {
        uint64_t begin_ns = gv_runtime.env->now_ns(NULL), late_ns;

        (void)grove_sleep_await(1); /* Nobody stops us. */
        late_ns = gv_runtime.env->now_ns(NULL) - begin_ns - 1000000;
        me->latest_ns = late_ns > me->latest_ns ? late_ns : me->latest_ns;
    }
}

/* By how much the latest of 50 sleeps of a greenlet was late. */
static uint64_t latest_of_sleeps_ns(void)
{
    struct sleeper sleeper = {.n_sleeps = 50};

    assert_int_equal(grove_go(sleep_again_and_again, &sleeper, NULL, NULL), 0);
    while (sleeper.n_sleeps > 0)
        assert_int_equal(grove_sleep_await(1), 0);
    return sleeper.latest_ns;
}

static void test_a_sleeper_is_late_by_two_long_turns_at_most(void **state)
{
    (void)state;
    /* The one that runs, and one of those that were queued before. */
    begin_busy(20000000);
    assert_in_range(latest_of_sleeps_ns(), 0, 2 * 20000000);
    end_busy();
}

static void test_a_sleeper_is_late_by_part_of_a_tick_where_turns_are_short(void **state)
{
    (void)state;
    begin_busy(20000);
    assert_in_range(latest_of_sleeps_ns(), 0, 2 * 20000 + 4000);
    busy.turn_ns = 500;
    assert_in_range(latest_of_sleeps_ns(), 0, 2 * 25000 + 4000);
    end_busy();
}

static void test_a_busy_loop_looks_at_the_world_every_tenth_of_a_millisecond(void **state)
{
    (void)state;
    begin_busy(1000);
    ground_n_polls = 0;
    assert_int_equal(grove_sleep_await(100), 0);
    assert_in_range(ground_n_polls, 700, 1001);
    end_busy();
}

static void test_a_busy_loop_looks_at_the_world_also_while_its_clock_stands_still(void **state)
{
    (void)state;
    begin_busy(1000);
    ground_n_polls = busy.n_turns = 0;
    busy.n_still = 10;
    assert_int_equal(grove_sleep_await(1), 0);
    assert_in_range(busy.n_turns, 10 * 64, 11 * 64 * 256);
    busy.n_still = 0;
    end_busy();
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
        cmocka_unit_test(test_what_other_loops_send_is_taken_in_by_parts),
        cmocka_unit_test(test_what_is_under_way_at_the_end_is_given_back),
        cmocka_unit_test(test_a_flush_runs_once_however_often_it_is_asked_for),
        cmocka_unit_test(test_milliseconds_are_compared_over_a_wrap),
        cmocka_unit_test(test_sleeps_last_as_long_as_they_say),
        cmocka_unit_test(test_a_sleeper_is_late_by_two_long_turns_at_most),
        cmocka_unit_test(test_a_sleeper_is_late_by_part_of_a_tick_where_turns_are_short),
        cmocka_unit_test(test_a_busy_loop_looks_at_the_world_every_tenth_of_a_millisecond),
        cmocka_unit_test(test_a_busy_loop_looks_at_the_world_also_while_its_clock_stands_still),
        cmocka_unit_test(test_no_deadline_is_ever_zero_or_out_of_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
