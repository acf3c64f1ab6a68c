/*
 * Dead letters: their reasons, who is told of them, and what that costs others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/deadletter.h"
#include "runtime/env.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/options.h"
#include "runtime/runtime.h"

enum { DEPTH = 4 };

static struct script nothing = {.act = act_nothing};

static uint64_t count(enum grove_dead_reason reason)
{
    uint64_t counts[GROVE_DEAD_REASONS];

    grove_dead_letters_count(counts);
    return counts[reason];
}

static struct grove_dead_letter last(void)
{
    struct grove_dead_letter letter = {0};

    assert_int_equal(grove_dead_letters_last(&letter, 1), 1);
    return letter;
}

static _Atomic(unsigned) n_napping;

/* Says that it has begun, and sleeps. */
static int nap_at(struct play *me, struct script *script)
{
    n_napping++;
    return act_nap(me, script);
}

/* An actor of DEPTH whose handler is parked for ms. Never lent: what is lent stays charged to its mailbox. */
static grove_ref napper(unsigned loop, struct script *nap, uint32_t ms)
{
    struct grove_spawn_options options = {
        .place = GROVE_ON_LOOP(loop), .depth_max = DEPTH, .pinned = true};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &ref), 0);
    *nap = (struct script){.act = nap_at, .ms = ms};
    n_napping = 0;
    assert_int_equal(stage_send(ref, nap), 0);
    do
        assert_int_equal(grove_sleep_await(1), 0);
    while (n_napping == 0);
    return ref;
}

/* --- reasons ---------------------------------------------------------------------------------- */

static void test_what_is_queued_when_its_receiver_ends_is_a_letter_of_its_reason(void **state)
{
    Play__V1__PerformResponse response;
    struct grove_future future;
    struct script nap;
    grove_ref ref = napper(0, &nap, 5);
    uint64_t before = count(GROVE_DEAD_STOPPED);

    (void)state;
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_start(ref, &nothing, &response, &future), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ENOACTOR);
    assert_int_equal(count(GROVE_DEAD_STOPPED) - before, 2);
    assert_int_equal(last().reason, GROVE_DEAD_STOPPED);
    assert_true(last().called);
    assert_true(grove_ref_equal(last().to, ref));
    assert_string_equal(last().method->name, "play.v1.PlayService/Perform");
    assert_int_equal(last().bytes, 64);
}

static void test_a_refused_send_is_no_letter_as_its_sender_knows(void **state)
{
    struct script nap;
    grove_ref ref = napper(0, &nap, 5);
    uint64_t counts[GROVE_DEAD_REASONS], after[GROVE_DEAD_REASONS];

    (void)state;
    grove_dead_letters_count(counts);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_EFULL);
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ESTOPPING);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ENOACTOR);
    grove_dead_letters_count(after);
    assert_memory_equal(counts, after, sizeof after);
}

static int fail_now(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("on purpose");
}

static void test_the_message_whose_handler_fails_is_a_letter(void **state)
{
    struct script poison = {.act = fail_now};
    grove_ref ref = stage_spawn(NULL);
    uint64_t before = count(GROVE_DEAD_CRASHED);

    (void)state;
    assert_int_equal(stage_send(ref, &poison), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(count(GROVE_DEAD_CRASHED) - before, 1);
    assert_false(last().called);
    /* Queued or inline: who called knows, and the poison is told of all the same. */
    ref = stage_spawn(NULL);
    assert_int_equal(stage_perform(ref, &poison), GROVE_EDOWN);
    assert_int_equal(count(GROVE_DEAD_CRASHED) - before, 2);
    assert_true(last().called);
    assert_true(grove_ref_equal(last().to, ref));
}

static int send_ahead(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = stage_send(script->to, &nothing);
}

static void test_a_letter_says_whose_it_was(void **state)
{
    struct script nap, send = {.act = send_ahead, .to = napper(0, &nap, 5)};
    grove_ref sender = stage_spawn("sender");

    (void)state;
    assert_int_equal(stage_perform(sender, &send), 0);
    assert_int_equal(send.rc, 0);
    assert_int_equal(grove_stop_await(send.to, GROVE_STOP_NOW), 0);
    assert_true(grove_ref_equal(last().from, sender));
    assert_true(grove_ref_equal(last().to, send.to));
}

static int call_ahead(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = stage_perform(script->to, script->next) == GROVE_EDOWN ? 0 : -EIO;
}

static void test_the_letter_of_a_handler_that_fails_says_who_called_it(void **state)
{
    struct script poison = {.act = fail_now};
    struct script call = {.act = call_ahead, .next = &poison, .to = stage_spawn("broken")};
    grove_ref caller = stage_spawn("caller");

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Both are born: the call may run inline. */
    assert_int_equal(stage_perform(caller, &call), 0);
    assert_int_equal(last().reason, GROVE_DEAD_CRASHED);
    assert_true(grove_ref_equal(last().from, caller));
    assert_true(grove_ref_equal(last().to, call.to));
}

static int refuse_code(struct stranger *me, const Play__V1__RefuseRequest *request,
                       Play__V1__RefuseResponse *response)
{
    (void)me;
    (void)response;
    return request->code;
}

static void test_a_message_without_a_function_is_a_letter(void **state)
{
    static const struct stranger_service strangers = {.refuse = refuse_code};
    uint64_t before = count(GROVE_DEAD_UNSUPPORTED);
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    assert_int_equal(stranger_spawn(&strangers, NULL, NULL, &ref), 0);
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(count(GROVE_DEAD_UNSUPPORTED) - before, 1);
}

static void test_every_reason_has_its_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GROVE_DEAD_REASONS; i++) {
        assert_string_not_equal(grove_dead_name((enum grove_dead_reason)i), "?");
        assert_true(strlen(grove_dead_text((enum grove_dead_reason)i)) > 20);
    }
    assert_string_equal(grove_dead_name(GROVE_DEAD_EXPIRED), "EXPIRED");
    assert_string_equal(grove_dead_name(GROVE_DEAD_REASONS), "?");
}

/* --- the last ones ---------------------------------------------------------------------------- */

/* Makes n letters here. */
static void kill_letters(unsigned n)
{
    struct grove_spawn_options options = {.depth_max = n + 1};
    struct script nap = {.act = act_nap, .ms = 5};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
}

static void test_the_last_256_letters_are_kept_newest_first(void **state)
{
    struct grove_dead_letter letters[GV_DEAD_RING + 10];
    struct script nap;

    (void)state;
    kill_letters(GV_DEAD_RING + 50);
    assert_int_equal(grove_sleep_await(1), 0);
    kill_letters(1);
    assert_int_equal(grove_dead_letters_last(letters, GV_DEAD_RING + 10), GV_DEAD_RING);
    assert_true(letters[0].at_ns > letters[1].at_ns);
    assert_int_equal(grove_dead_letters_last(letters, 3), 3);
    assert_false(grove_ref_equal(letters[0].to, letters[1].to));
    assert_true(grove_ref_equal(letters[1].to, letters[2].to));
    (void)napper(0, &nap, 1);
}

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
    kill_letters(3);
    assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &ref), 0);
    kill_letters(7);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(reader.n, 7);
    assert_int_equal(reader.n_missed, 0);
    assert_int_equal(reader.reason, GROVE_DEAD_STOPPED);
    assert_true(reader.in_order);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    kill_letters(2);
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
        kill_letters(100);
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
    kill_letters(200);
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
        kill_letters(2);
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
    kill_letters(100);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_lines, GV_DEAD_LOG_FIRST);
    assert_non_null(strstr(line, "letter.dead"));
    assert_non_null(strstr(line, "method=play.v1.PlayService/Perform reason=STOPPED to=actor/"));
    assert_non_null(strstr(line, "bytes=64 called=0 not_logged=0"));
    assert_int_equal(grove_sleep_await(GV_DEAD_LOG_MS), 0);
    kill_letters(5);
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
    uint64_t before = count(GROVE_DEAD_STOPPED), full = count(GROVE_DEAD_FULL);

    (void)state;
    assert_int_equal(grove_dead_letters_subscribe(hear, &reader, &ref), 0);
    for (int round = 1; round <= 20; round++) {
        here = napper(0, &naps[0], 1000);
        there = napper(1, &naps[1], 1000);
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
    assert_int_equal(count(GROVE_DEAD_STOPPED) - before, 20 * 2 * DEPTH);
    assert_int_equal(count(GROVE_DEAD_FULL) - full, 20);
    assert_int_equal(reader.n, 20 * (2 * DEPTH + 1));
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

/* Makes a letter there. */
static void kill_letter_at(unsigned loop)
{
    struct script nap;
    grove_ref ref = napper(loop, &nap, 1000);

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

static void test_a_far_call_that_is_refused_is_no_letter_as_its_caller_is_told(void **state)
{
    struct script nap;
    uint64_t counts[GROVE_DEAD_REASONS], after[GROVE_DEAD_REASONS];
    grove_ref ref = napper(1, &nap, 100);

    (void)state;
    grove_dead_letters_count(counts);
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    (void)grove_stop_await(ref, GROVE_STOP_DRAIN); /* Gone already is as good. */
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    grove_dead_letters_count(after);
    assert_memory_equal(counts, after, sizeof after);
}

static _Atomic bool may_go_on;

static int wait_for_word(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    n_napping++;
    while (!may_go_on)
        if (grove_sleep_await(1) != 0)
            return -EIO;
    return 0;
}

static void test_a_call_whose_time_is_over_before_its_turn_is_a_letter(void **state)
{
    struct script nap, waits = {.act = wait_for_word}, late = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = napper(1, &nap, 0);
    uint64_t before = count(GROVE_DEAD_EXPIRED);
    unsigned long long began_ms;

    (void)state;
    may_go_on = false;
    assert_int_equal(stage_send(ref, &waits), 0);
    while (n_napping < 2)
        assert_int_equal(grove_sleep_await(1), 0);
    grove_within(300);
    began_ms = stage_now_ms();
    assert_int_equal(stage_start(ref, &late, &response, &future), 0);
    assert_int_equal(grove_yield_await(), 0);
    /* Main eats CPU: its loop cannot take the request back, the other one must see for itself. */
    while (stage_now_ms() - began_ms < 320)
        continue;
    may_go_on = true;
    while (count(GROVE_DEAD_EXPIRED) == before && stage_now_ms() - began_ms < 20000)
        continue;
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    assert_int_equal(count(GROVE_DEAD_EXPIRED) - before, 1);
    assert_true(last().called);
    assert_int_equal(last().loop, 1);
    assert_int_equal(late.n_runs, 0);
}

int main(void)
{
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_call_whose_time_is_over_before_its_turn_is_a_letter),
        stage_test(test_letters_of_every_loop_reach_a_subscriber),
        stage_test(test_the_last_letters_of_all_loops_are_told_newest_first),
        stage_test(test_a_far_call_that_is_refused_is_no_letter_as_its_caller_is_told),
    };
    const struct CMUnitTest tests[] = {
        stage_test(test_what_is_queued_when_its_receiver_ends_is_a_letter_of_its_reason),
        stage_test(test_a_refused_send_is_no_letter_as_its_sender_knows),
        stage_test(test_the_message_whose_handler_fails_is_a_letter),
        stage_test(test_a_letter_says_whose_it_was),
        stage_test(test_the_letter_of_a_handler_that_fails_says_who_called_it),
        stage_test(test_a_message_without_a_function_is_a_letter),
        stage_test(test_every_reason_has_its_words),
        stage_test(test_the_last_256_letters_are_kept_newest_first),
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
