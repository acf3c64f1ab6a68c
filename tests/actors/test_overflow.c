/*
 * Overflow: DROP_OLDEST, here, from another loop, and while its receiver is lent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"
#include "ticker.h"

enum { DEPTH = 4 };

static struct seen seen;

static uint64_t dropped(void)
{
    uint64_t counts[GROVE_DEAD_REASONS];

    grove_dead_letters_count(counts);
    return counts[GROVE_DEAD_DROPPED];
}

/* One of DEPTH that is parked for ms. */
static grove_ref sleepy(unsigned loop, uint32_t ms)
{
    grove_ref ref = ticker_spawn_at(loop, &seen, DEPTH, 0);

    ticker_nap(ref, &seen, ms);
    return ref;
}

static void assert_seen(const uint32_t *numbers, unsigned n)
{
    assert_int_equal(seen.n, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(seen.numbers[i], numbers[i]);
}

static void test_the_newest_take_the_places_of_the_oldest(void **state)
{
    uint64_t before = dropped();
    grove_ref ref = sleepy(0, 5);

    (void)state;
    for (uint32_t i = 1; i <= 10; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_seen((const uint32_t[]){7, 8, 9, 10}, DEPTH);
    assert_int_equal(dropped() - before, 6);
}

static void test_messages_of_other_rpcs_are_never_dropped(void **state)
{
    uint64_t before = dropped();
    grove_ref ref = sleepy(0, 5);

    (void)state;
    assert_int_equal(ticker_send_note(ref, 1), 0);
    assert_int_equal(ticker_send(ref, 1), 0);
    assert_int_equal(ticker_send_note(ref, 2), 0);
    assert_int_equal(ticker_send_note(ref, 3), 0);
    assert_int_equal(ticker_send_note(ref, 4), GROVE_EFULL);
    assert_int_equal(ticker_send(ref, 2), 0);
    assert_int_equal(ticker_send(ref, 3), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_seen((const uint32_t[]){TICKER_NOTE + 1, TICKER_NOTE + 2, TICKER_NOTE + 3, 3}, DEPTH);
    assert_int_equal(dropped() - before, 2);
    /* With nothing of its own to drop, it is refused like any other. */
    ref = sleepy(0, 5);
    for (uint32_t i = 0; i < DEPTH; i++)
        assert_int_equal(ticker_send_note(ref, i), 0);
    assert_int_equal(ticker_send(ref, 1), GROVE_EFULL);
    assert_int_equal(dropped() - before, 2);
    assert_int_equal(grove_sleep_await(10), 0);
}

static void test_a_dropped_call_is_answered_full_and_not_started(void **state)
{
    Ticker__V1__TickResponse response;
    struct grove_future future;
    grove_ref ref = sleepy(0, 5);

    (void)state;
    assert_int_equal(ticker_start_tick(ref, 1, &response, &future), 0);
    for (uint32_t i = 2; i <= 1 + DEPTH; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(grove_future_await(&future), GROVE_EFULL);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_seen((const uint32_t[]){2, 3, 4, 5}, DEPTH);
}

static void test_a_call_pushes_out_as_a_send_does(void **state)
{
    Ticker__V1__TickResponse response;
    struct grove_future future;
    grove_ref ref = sleepy(0, 5);

    (void)state;
    for (uint32_t i = 1; i <= DEPTH; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(ticker_start_tick(ref, 5, &response, &future), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.number, 5);
    assert_seen((const uint32_t[]){2, 3, 4, 5}, DEPTH);
}

static void test_who_waits_for_room_is_not_overtaken(void **state)
{
    Ticker__V1__NoteResponse response;
    struct grove_future future;
    grove_ref ref = sleepy(0, 5);
    uint64_t before = dropped();

    (void)state;
    for (uint32_t i = 1; i <= DEPTH; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(ticker_start_note(ref, 1, &response, &future), 0); /* It waits. */
    for (uint32_t i = 5; i <= 15; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_seen((const uint32_t[]){TICKER_NOTE + 1, 12, 13, 14, 15}, 5);
    assert_int_equal(dropped() - before, 11);
}

static void test_dropping_the_last_queued_message_leaves_nobody_waiting(void **state)
{
    Ticker__V1__NoteResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = ticker_spawn_at(0, &seen, 1, 0);

    (void)state;
    ticker_nap(ref, &seen, 5);
    assert_int_equal(ticker_send(ref, 1), 0);
    assert_int_equal(ticker_start_note(ref, 1, &responses[0], &futures[0]), 0);
    assert_int_equal(ticker_start_note(ref, 2, &responses[1], &futures[1]), 0);
    assert_int_equal(ticker_send(ref, 2), 0); /* It drops the first tick; the first note enters. */
    assert_int_equal(ticker_send(ref, 3), 0);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_seen((const uint32_t[]){TICKER_NOTE + 1, TICKER_NOTE + 2, 3}, 3);
    /* Without one of its own to drop, a send does not join those who wait. */
    ticker_nap(ref, &seen, 5);
    assert_int_equal(ticker_start_note(ref, 3, &responses[0], &futures[0]), 0);
    assert_int_equal(ticker_start_note(ref, 4, &responses[1], &futures[1]), 0);
    assert_int_equal(ticker_send(ref, 4), GROVE_EFULL);
    assert_int_equal(grove_future_await(&futures[1]), 0);
}

/* The last queued message of one that has not run yet is dropped: only who drops it can let in who waits. */
static void test_a_drop_that_empties_the_mailbox_lets_in_who_waits(void **state)
{
    Ticker__V1__NoteResponse response;
    struct grove_future future;
    grove_ref ref = ticker_spawn_at(0, &seen, 1, 0);

    (void)state;
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(ticker_send(ref, 1), 0);
    assert_int_equal(ticker_start_note(ref, 1, &response, &future), 0); /* It waits. */
    assert_int_equal(ticker_send(ref, 2), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_seen((const uint32_t[]){TICKER_NOTE + 1, 2}, 2);
}

static void test_a_call_with_nothing_of_its_own_to_drop_waits_for_room(void **state)
{
    Ticker__V1__TickResponse response;
    struct grove_future future;
    grove_ref ref = sleepy(0, 5);

    (void)state;
    for (uint32_t i = 0; i < DEPTH; i++)
        assert_int_equal(ticker_send_note(ref, i), 0);
    assert_int_equal(ticker_start_tick(ref, 7, &response, &future), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(response.number, 7);
}

static void test_as_many_are_dropped_as_its_bytes_need(void **state)
{
    uint64_t before = dropped();
    grove_ref ref = ticker_spawn_at(0, &seen, 0, 65536);

    (void)state;
    ticker_nap(ref, &seen, 5);
    for (uint32_t i = 1; i <= 6; i++)
        assert_int_equal(ticker_send_load(ref, i, 10000), 0);
    assert_int_equal(dropped() - before, 0);
    assert_int_equal(ticker_send_load(ref, 7, 30000), 0);
    assert_int_equal(dropped() - before, 3);
    assert_int_equal(ticker_send_load(ref, 8, 65530), GROVE_ETOOBIG);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_seen((const uint32_t[]){4, 5, 6, 7}, 4);
    /* Nothing is dropped in vain. */
    ticker_nap(ref, &seen, 5);
    assert_int_equal(ticker_send_load(ref, 1, 1000), 0);
    for (uint32_t i = 0; i < 900; i++)
        assert_int_equal(ticker_send_note(ref, i), 0);
    assert_int_equal(ticker_send_load(ref, 2, 60000), GROVE_EFULL);
    assert_int_equal(dropped() - before, 3);
    assert_int_equal(grove_sleep_await(10), 0);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_far_sends_push_out_the_oldest_there(void **state)
{
    uint64_t before = dropped();
    grove_ref ref = sleepy(1, 50);

    (void)state;
    for (uint32_t i = 1; i <= 1000; i++)
        assert_int_equal(ticker_send(ref, i), 0);
    assert_int_equal(ticker_call_note(ref, 1), 0);
    assert_int_equal(seen.n + (dropped() - before), 1000 + 1);
    assert_in_range(seen.n, DEPTH + 1, 1000);
    for (unsigned i = 1; i + 1 < seen.n; i++)
        assert_true(seen.numbers[i - 1] < seen.numbers[i]);
    assert_int_equal(seen.numbers[seen.n - 2], 1000);
    assert_int_equal(seen.numbers[seen.n - 1], TICKER_NOTE + 1);
}

/* Where the suite runs with lend=2, its receiver is with another loop most of the time. */
static void test_each_is_handled_or_dropped_and_the_newest_is_handled_while_it_is_lent(void **state)
{
    uint64_t before = dropped();
    grove_ref ref = ticker_spawn_at(0, &seen, DEPTH, 0);

    (void)state;
    for (uint32_t i = 1; i <= 3000; i++) {
        assert_int_equal(ticker_send(ref, i), 0);
        if (i % 7 == 0)
            assert_int_equal(grove_yield_await(), 0);
    }
    assert_int_equal(ticker_call_note(ref, 1), 0);
    assert_int_equal(seen.n + (dropped() - before), 3000 + 1);
    for (unsigned i = 1; i + 1 < seen.n; i++)
        assert_true(seen.numbers[i - 1] < seen.numbers[i]);
    assert_int_equal(seen.numbers[seen.n - 2], 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_the_newest_take_the_places_of_the_oldest),
        stage_test(test_messages_of_other_rpcs_are_never_dropped),
        stage_test(test_a_dropped_call_is_answered_full_and_not_started),
        stage_test(test_a_call_pushes_out_as_a_send_does),
        stage_test(test_who_waits_for_room_is_not_overtaken),
        stage_test(test_dropping_the_last_queued_message_leaves_nobody_waiting),
        stage_test(test_a_drop_that_empties_the_mailbox_lets_in_who_waits),
        stage_test(test_a_call_with_nothing_of_its_own_to_drop_waits_for_room),
        stage_test(test_as_many_are_dropped_as_its_bytes_need),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_sends_push_out_the_oldest_there),
        stage_test(test_each_is_handled_or_dropped_and_the_newest_is_handled_while_it_is_lent),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down)
           + cmocka_run_group_tests(far_tests, stage_set_up_two_loops, stage_tear_down);
}
