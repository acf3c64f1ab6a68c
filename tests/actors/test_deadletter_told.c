/*
 * Who is told of dead letters: subscribers, who never hold up anybody, and
 * the log, which is never flooded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "letters.h"

#include "actors/deadletter.h"
#include "runtime/env.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"

static struct script nothing = {.act = act_nothing};

/* --- subscribers ------------------------------------------------------------------------------ */

struct reader {
    unsigned n;
    uint64_t n_missed;
    uint32_t nap_ms; /* of each letter */
    enum grove_dead_reason reason;
    unsigned long long at_ns;
    bool in_order;
};

static void hear(void *argument, const struct grove_dead_letter *letter, uint64_t n_missed)
{
    struct reader *reader = argument;

    reader->in_order = reader->n == 0 || letter->at_ns >= reader->at_ns;
    reader->at_ns = letter->at_ns;
    reader->reason = letter->reason;
    reader->n++;
    reader->n_missed += n_missed;
    if (reader->nap_ms > 0)
        (void)grove_sleep_await(reader->nap_ms); /* It ends when it is stopped. */
}

static void test_who_subscribes_is_told_each_letter_until_it_stops(void **state)
{
    struct reader reader = {0};
    grove_ref ref;

    (void)state;
    letters_kill(3);
    assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &ref), 0);
    letters_kill(7);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(reader.n, 7);
    assert_int_equal(reader.n_missed, 0);
    assert_int_equal(reader.reason, GROVE_DEAD_STOPPED);
    assert_true(reader.in_order);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    letters_kill(2);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(reader.n, 7);
}

static void test_a_slow_subscriber_blocks_nobody_and_is_told_what_it_missed(void **state)
{
    struct reader slow = {.nap_ms = 10}, quick = {0};
    grove_ref slow_ref, quick_ref;
    unsigned long long began;

    (void)state;
    assert_int_equal(grove_dead_letters_subscribe(hear, &slow, &slow_ref), 0);
    assert_int_equal(grove_dead_letters_subscribe(hear, &quick, &quick_ref), 0);
    began = stage_now_ms();
    for (int i = 0; i < 10; i++)
        letters_kill(100);
    assert_in_range(stage_now_ms() - began, 0, 11);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(quick.n, 1000);
    assert_int_equal(quick.n_missed, 0);
    assert_in_range(slow.n, 1, 3);
    assert_int_equal(grove_sleep_await(10 * (GV_DEAD_RING + 10)), 0);
    assert_int_equal(slow.n + slow.n_missed, 1000);
    assert_in_range(slow.n, GV_DEAD_RING, GV_DEAD_RING + 5);
    assert_int_equal(grove_stop_await(slow_ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(quick_ref, GROVE_STOP_NOW), 0);
}

static unsigned n_beats, beats_before, beats_after;

static void go_beat(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 1000; i++) {
        n_beats++;
        if (grove_yield_await() != 0)
            return;
    }
}

static void hear_and_count_beats(void *argument, const struct grove_dead_letter *letter,
                                 uint64_t n_missed)
{
    unsigned *n = argument;

    (void)letter;
    (void)n_missed;
    if (++*n == 1 && grove_go(go_beat, NULL, NULL, NULL) == 0)
        beats_before = n_beats;
    beats_after = n_beats;
}

static void test_a_subscriber_that_is_told_many_lets_others_run_meanwhile(void **state)
{
    unsigned n = 0;
    grove_ref ref;

    (void)state;
    n_beats = 0;
    assert_int_equal(grove_dead_letters_subscribe(hear_and_count_beats, &n, &ref), 0);
    letters_kill(200);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n, 200);
    assert_in_range(beats_after - beats_before, 1, 1000);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

static void test_subscribers_are_bounded_and_their_places_free_again(void **state)
{
    struct reader reader = {0};
    grove_ref refs[GV_DEAD_READERS], one;

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < GV_DEAD_READERS; i++)
            assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &refs[i]), 0);
        assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &one), GROVE_EFULL);
        reader.n = 0;
        letters_kill(2);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(reader.n, 2 * GV_DEAD_READERS);
        for (unsigned i = 0; i < GV_DEAD_READERS; i++)
            assert_int_equal(grove_stop_await(refs[i], GROVE_STOP_NOW), 0);
    }
    assert_int_equal(grove_dead_letters_subscribe(NULL, NULL, &one), GROVE_EUSAGE);
}

static void test_mail_to_a_subscription_is_a_letter(void **state)
{
    struct reader reader = {0};
    grove_ref ref;

    (void)state;
    assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &ref), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOTSUP);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(reader.n, 1);
    assert_int_equal(reader.reason, GROVE_DEAD_UNSUPPORTED);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

/* --- the log ---------------------------------------------------------------------------------- */

static unsigned n_lines;
static char line[GV_LOG_LINE_BYTES];

static void write_line(void *world, const char *text, size_t n_bytes)
{
    (void)world;
    n_lines++;
    memcpy(line, text, n_bytes);
    line[n_bytes] = '\0';
}

static void test_the_log_tells_the_first_then_one_in_ten_seconds(void **state)
{
    struct gv_env env = *gv_runtime.env;
    char error[GV_OPTION_ERROR_BYTES];

    (void)state;
    assert_int_equal(grove_sleep_await(GV_DEAD_QUIET_MS + 1), 0);
    env.log_write = write_line;
    gv_log_open(&env);
    assert_int_equal(gv_option_set("log_level", "3", error), 0);
    n_lines = 0;
    letters_kill(100);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_lines, GV_DEAD_LOG_FIRST);
    assert_non_null(strstr(line, "letter.dead"));
    assert_non_null(strstr(line, "method=play.v1.PlayService/Perform reason=STOPPED to=actor/"));
    assert_non_null(strstr(line, "bytes=64 called=0 not_logged=0"));
    assert_int_equal(grove_sleep_await(GV_DEAD_LOG_MS), 0);
    letters_kill(5);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_lines, GV_DEAD_LOG_FIRST + 1);
    assert_non_null(strstr(line, "not_logged=90"));
    assert_int_equal(gv_option_set("log_level", "0", error), 0);
    gv_log_open(gv_runtime.env);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_letters_of_every_loop_reach_a_subscriber(void **state)
{
    struct reader reader = {0};
    struct script naps[2];
    grove_ref ref, here, there;
    uint64_t before = letters_count(GROVE_DEAD_STOPPED), full = letters_count(GROVE_DEAD_FULL);

    (void)state;
    assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &ref), 0);
    for (int round = 1; round <= 20; round++) {
        here = letters_napper(0, &naps[0], 1000);
        there = letters_napper(1, &naps[1], 1000);
        for (int i = 0; i < DEPTH; i++) {
            assert_int_equal(stage_send(here, &nothing), 0);
            assert_int_equal(stage_send(there, &nothing), 0);
        }
        assert_int_equal(stage_send(there, &nothing), 0); /* Full there: nobody can be told. */
        assert_int_equal(grove_stop_await(here, GROVE_STOP_KILL), 0);
        assert_int_equal(grove_stop_await(there, GROVE_STOP_KILL), 0);
    }
    while (reader.n + reader.n_missed < 20 * (2 * DEPTH + 1))
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(letters_count(GROVE_DEAD_STOPPED) - before, 20 * 2 * DEPTH);
    assert_int_equal(letters_count(GROVE_DEAD_FULL) - full, 20);
    assert_int_equal(reader.n, 20 * (2 * DEPTH + 1));
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

/* Makes a letter there. */
static void kill_letter_at(unsigned loop)
{
    struct script nap;
    grove_ref ref = letters_napper(loop, &nap, 1000);

    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(grove_sleep_await(2), 0);
}

static void test_the_last_letters_of_all_loops_are_told_newest_first(void **state)
{
    struct grove_dead_letter letters[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        kill_letter_at(i % 2);
    assert_int_equal(grove_dead_letters_last(letters, 4), 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(letters[i].loop, (i + 1) % 2);
    stage_settle();
}

int main(void)
{
    const struct CMUnitTest far_tests[] = {
        stage_test(test_letters_of_every_loop_reach_a_subscriber),
        stage_test(test_the_last_letters_of_all_loops_are_told_newest_first),
    };
    const struct CMUnitTest tests[] = {
        stage_test(test_who_subscribes_is_told_each_letter_until_it_stops),
        stage_test(test_a_slow_subscriber_blocks_nobody_and_is_told_what_it_missed),
        stage_test(test_a_subscriber_that_is_told_many_lets_others_run_meanwhile),
        stage_test(test_subscribers_are_bounded_and_their_places_free_again),
        stage_test(test_mail_to_a_subscription_is_a_letter),
        stage_test(test_the_log_tells_the_first_then_one_in_ten_seconds),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down)
           + cmocka_run_group_tests(far_tests, stage_set_up_two_loops, stage_tear_down);
}
