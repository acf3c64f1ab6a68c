/*
 * Alarm: timers of actors and greenlets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alarms.h"
#include "runtime/loop.h"

/* --- when they come --------------------------------------------------------------------------- */

static void test_a_tick_comes_once_and_never_early(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("one");

    arm(ref, 50, GROVE_ONCE);
    let_pass(49);
    assert_int_equal(seen.n, 0);
    let_pass(2);
    assert_int_equal(seen.n, 1);
    assert_true(seen.at_ms[0] >= 50 && seen.at_ms[0] <= 51);
    assert_false(seen.found); /* It is over. */
    let_pass(1000);
    assert_int_equal(seen.n, 1);
    assert_false(cancel(ref));
}

static void test_a_timer_of_0_ms_comes_behind_what_is_queued(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("one");

    arm(ref, 0, GROVE_ONCE);
    assert_int_equal(seen.n, 0);
    let_pass(1);
    assert_int_equal(seen.n, 1);
}

static void test_a_fixed_rate_keeps_its_phase_whatever_the_handler_takes(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("rate");

    seen.takes_ms = 7;
    seen.parks = true;
    arm(ref, 10, GROVE_FIXED_RATE);
    let_pass(105);
    assert_true(cancel(ref));
    assert_int_equal(seen.n, 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(seen.at_ms[i], 10 * (i + 1));
    assert_int_equal(seen.state.n_missed, 0);
}

static void test_a_fixed_delay_counts_from_the_end_of_the_handler(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("delay");

    seen.takes_ms = 7;
    seen.parks = true;
    arm(ref, 10, GROVE_FIXED_DELAY);
    let_pass(100);
    assert_true(cancel(ref));
    assert_int_equal(seen.n, 6); /* at 10, 27, 44, 61, 78, 95 */
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(seen.at_ms[i], 10 + 17 * i, 10 + 18 * i);
}

static void test_what_a_slow_handler_misses_is_counted_and_not_made_up_for(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("slow");

    seen.takes_ms = 35;
    seen.parks = true;
    arm(ref, 10, GROVE_FIXED_RATE);
    let_pass(99);
    /* The tick of 20 waits until 45; 30 and 40 are one with it. Then that of 50, until 80. */
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.at_ms[0], 10);
    assert_int_equal(seen.at_ms[1], 45);
    assert_int_equal(seen.at_ms[2], 80);
    assert_int_equal(seen.state.n_ticks, 3);
    assert_int_equal(seen.state.n_missed, 2 + 3);
    assert_int_equal(seen.state.late_us, 30000);
    assert_int_equal(seen.state.late_max_us, 30000);
    assert_true(cancel(ref));
    stage_settle();
}

static void test_after_a_long_stop_of_the_loop_comes_one_tick_and_the_phase_is_kept(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("rate");
    struct grove_loop_stats stats;

    arm(ref, 10, GROVE_FIXED_RATE);
    stage_pass_ms(1004);
    let_pass(1);
    assert_int_equal(seen.n, 1);
    let_pass(10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.at_ms[1], 1010);
    assert_int_equal(seen.state.n_missed, 99);
    assert_int_equal(grove_loop_stats(0, &stats), 0);
    assert_int_equal(stats.ticks, 2);
    assert_int_equal(stats.ticks_missed, 99);
}

/* --- cancel and replace ----------------------------------------------------------------------- */

static void test_no_tick_comes_after_cancel_though_it_was_queued(void **state)
{
    (void)state;
    struct script script = {.act = act_outwait};
    grove_ref ref = stage_spawn("one");

    stage_listen();
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(stage_counts[GV_PROBE_TIMER], 1);
    assert_int_equal(script.rc, 1);
    let_pass(100);
    assert_int_equal(seen.n, 0);
}

static void test_arming_a_key_again_drops_the_tick_that_was_queued(void **state)
{
    (void)state;
    struct script script = {.act = act_outwait, .n_ends = 1};
    grove_ref ref = stage_spawn("one");

    stage_listen();
    assert_int_equal(stage_perform(ref, &script), 0);
    seen.began_ms = stage_now_ms();
    assert_int_equal(stage_counts[GV_PROBE_TIMER], 1);
    let_pass(100);
    assert_int_equal(seen.n, 1);
    assert_in_range(seen.at_ms[0], 30, 31);
}

static void test_what_was_replaced_is_gone_and_not_only_unheard(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("one");
    uint64_t n_armed;

    let_pass(1);
    n_armed = gv_loop_here->wheel.n_armed;
    for (int i = 0; i < 10; i++) {
        arm(ref, 1000, GROVE_FIXED_RATE);
        let_pass(1);
    }
    assert_int_equal(gv_loop_here->wheel.n_armed, n_armed + 1);
}

/* Arms its own timer anew, with a delay of 10, and takes 7. */
static int act_arm_again(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(script);
    int rc = 0;

    (void)me;
    if (seen.n < 3)
        seen.at_ms[seen.n] = stage_now_ms() - seen.began_ms;
    if (seen.n++ == 0)
        rc = play_perform_every(1, 10, GROVE_FIXED_DELAY, &request);
    return rc == 0 ? grove_sleep_await(7) : rc;
}

static void test_a_delay_that_was_armed_anew_counts_from_then(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("delay");

    tick.act = act_arm_again;
    arm(ref, 10, GROVE_FIXED_DELAY);
    let_pass(30);
    assert_true(cancel(ref));
    assert_int_equal(seen.n, 2);
    assert_in_range(seen.at_ms[0], 10, 11);
    assert_in_range(seen.at_ms[1], 20,
                    22); /* and not 27: the handler of the old one had not ended */
    stage_settle();
}

static void test_keys_are_apart_and_may_be_any_number(void **state)
{
    (void)state;
    struct script first = {.act = act_arm, .number = 1, .ms = 10},
                  second = {.act = act_arm, .number = INT64_MIN, .ms = 10},
                  third = {.act = act_arm, .number = 0, .ms = 10};
    grove_ref ref = stage_spawn("one");

    assert_int_equal(stage_perform(ref, &first), 0);
    assert_int_equal(stage_perform(ref, &second), 0);
    assert_int_equal(stage_perform(ref, &third), 0);
    assert_true(cancel(ref));
    let_pass(20);
    assert_int_equal(seen.n, 2);
}

static int act_arm_many(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&tick);
    int rc = 0;

    (void)me;
    for (unsigned i = 0; rc == 0 && i < GROVE_TIMERS_MAX; i++)
        rc = play_perform_after(1000 + i, 10 + i % 7, &request);
    if (rc == 0)
        rc = play_perform_after(1005, 10, &request); /* in the place of another */
    if (rc == 0)
        (void)stage_note(script, play_perform_after(1, 10, &request));
    for (unsigned i = 0; i < GROVE_TIMERS_MAX; i += 2)
        if (!grove_timer_cancel(1000 + i))
            rc = -EIO;
    return rc;
}

static void test_an_actor_has_so_many_timers_and_is_told_so(void **state)
{
    (void)state;
    struct script script = {.act = act_arm_many};
    grove_ref ref = stage_spawn_bounded(GROVE_TIMERS_MAX, 0);

    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.rc, GROVE_EFULL);
    assert_non_null(strstr(script.text, "at most 4096 timers"));
    let_pass(50);
    assert_int_equal(seen.n, GROVE_TIMERS_MAX / 2);
}

/* --- the mailbox ------------------------------------------------------------------------------ */

static void test_a_tick_that_finds_the_mailbox_full_waits_and_is_not_lost(void **state)
{
    (void)state;
    struct script nap = {.act = act_nap, .ms = 50}, idle = {.act = act_nothing};
    grove_ref ref = stage_spawn_bounded(2, 0);

    arm(ref, 10, GROVE_ONCE);
    assert_int_equal(stage_send(ref, &nap), 0);
    let_pass(1);
    assert_int_equal(stage_send(ref, &idle), 0);
    assert_int_equal(stage_send(ref, &idle), 0);
    let_pass(20);
    assert_int_equal(stage_send(ref, &idle), GROVE_EFULL);
    assert_int_equal(seen.n, 0);
    let_pass(40);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.at_ms[0] >= 50, 1);
}

/* In which order messages came: 1, 2, and t for the tick. */
static char came[8];

static int act_note(struct play *me, struct script *script)
{
    (void)me;
    came[strlen(came)] = (char)script->number;
    return 0;
}

static int note_bytes(struct play *me, const Play__V1__EchoRequest *request,
                      Play__V1__EchoResponse *response)
{
    (void)me;
    (void)response;
    came[strlen(came)] = request->text[0];
    return 0;
}

static struct script noted_tick = {.act = act_note, .number = 't'};

static int act_arm_noted(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&noted_tick);

    (void)me;
    return play_perform_after(1, script->ms, &request);
}

/* Text whose first byte is its name. */
static void go_send_bytes(void *argument)
{
    static char text[40000];
    const struct script *script = argument;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;

    memset(text, (int)script->number, script->ms);
    text[script->ms] = '\0';
    request.text = text;
    (void)play_echo_send_await(script->to, &request); /* What came tells whether it was. */
}

/* ref naps; while it does its mailbox fills, its tick is due, and one more sender waits for room. */
static void queue_around_a_tick(grove_ref ref, uint32_t n_bytes, bool sender_first)
{
    struct script arms = {.act = act_arm_noted, .ms = 10}, nap = {.act = act_nap, .ms = 50};
    struct script first = {.number = '1', .ms = n_bytes, .to = ref};
    struct script second = {.number = '2', .ms = n_bytes, .to = ref};

    memset(came, 0, sizeof came);
    assert_int_equal(stage_perform(ref, &arms), 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    let_pass(1);
    assert_int_equal(grove_go(go_send_bytes, &first, NULL, NULL), 0);
    let_pass(1);
    if (!sender_first)
        let_pass(15);
    assert_int_equal(grove_go(go_send_bytes, &second, NULL, NULL), 0);
    let_pass(15);
    assert_string_equal(came, "");
    let_pass(40);
}

static grove_ref noting_player(struct play_service *functions, uint32_t depth_max,
                               uint32_t bytes_max)
{
    struct grove_spawn_options options = {.depth_max = depth_max, .bytes_max = bytes_max};
    grove_ref ref = GROVE_NOBODY;

    *functions = stage_player;
    functions->echo = note_bytes;
    assert_int_equal(play_spawn(functions, NULL, &options, &ref), 0);
    return ref;
}

static void test_who_asks_for_room_later_than_a_tick_does_not_overtake_it(void **state)
{
    (void)state;
    static struct play_service functions;

    queue_around_a_tick(noting_player(&functions, 1, 0), 1, false);
    assert_string_equal(came, "1t2");
}

/* There is room for the small tick, and not for whom waits already. */
static void test_a_tick_overtakes_nobody_who_waits_for_room(void **state)
{
    (void)state;
    static struct play_service functions;

    queue_around_a_tick(noting_player(&functions, 0, 1u << 16), 39000, true);
    assert_string_equal(came, "12t");
}

static int act_arm_too_many(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&tick);
    int rc = 0;

    (void)me;
    for (unsigned i = 0; rc == 0 && i < (unsigned)script->number; i++)
        rc = play_perform_after(i, 10, &request);
    return rc;
}

/* More than may wait at a mailbox: they are tried again. */
static void test_ticks_that_may_not_even_wait_come_later(void **state)
{
    (void)state;
    struct script arms = {.act = act_arm_too_many, .number = 2000},
                  nap = {.act = act_nap, .ms = 50};
    grove_ref ref = stage_spawn_bounded(1, 0);

    assert_int_equal(stage_perform(ref, &arms), 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    let_pass(45);
    assert_int_equal(seen.n, 0);
    let_pass(100);
    assert_int_equal(seen.n, 2000);
}

/* Tells what text it was given. */
static int note_text(struct play *me, const Play__V1__EchoRequest *request,
                     Play__V1__EchoResponse *response)
{
    (void)me;
    (void)response;
    seen.n++;
    (void)snprintf(seen.text, sizeof seen.text, "%s/%s/%zu", request->text,
                   request->n_words == 2 ? request->words[1] : "?", request->n_numbers);
    return 0;
}

static int act_arm_text(struct play *me, struct script *script)
{
    char text[] = "hello", first[] = "a", second[] = "bcd", *words[] = {first, second};
    int64_t numbers[] = {1, 2, 3};
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    int rc;

    (void)me;
    (void)script;
    request.text = text;
    request.n_words = 2;
    request.words = words;
    request.n_numbers = 3;
    request.numbers = numbers;
    rc = play_echo_every(1, 10, GROVE_FIXED_RATE, &request);
    memset(text, 'x', sizeof text - 1); /* It was only lent. */
    return rc;
}

static void test_each_tick_brings_a_whole_copy_of_a_request_with_pointers(void **state)
{
    (void)state;
    struct play_service functions = stage_player;
    struct script script = {.act = act_arm_text};
    grove_ref ref;

    functions.echo = note_text;
    assert_int_equal(play_spawn(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(stage_perform(ref, &script), 0);
    let_pass(11);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.text, "hello/bcd/3");
    seen.text[0] = '\0';
    let_pass(10);
    assert_int_equal(seen.n, 2);
    assert_string_equal(seen.text, "hello/bcd/3");
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0); /* The functions lie here. */
}

#define one_loop(test) cmocka_unit_test_setup_teardown(test, alarms_set_up, stage_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        one_loop(test_a_tick_comes_once_and_never_early),
        one_loop(test_a_timer_of_0_ms_comes_behind_what_is_queued),
        one_loop(test_a_fixed_rate_keeps_its_phase_whatever_the_handler_takes),
        one_loop(test_a_fixed_delay_counts_from_the_end_of_the_handler),
        one_loop(test_what_a_slow_handler_misses_is_counted_and_not_made_up_for),
        one_loop(test_after_a_long_stop_of_the_loop_comes_one_tick_and_the_phase_is_kept),
        one_loop(test_no_tick_comes_after_cancel_though_it_was_queued),
        one_loop(test_arming_a_key_again_drops_the_tick_that_was_queued),
        one_loop(test_what_was_replaced_is_gone_and_not_only_unheard),
        one_loop(test_a_delay_that_was_armed_anew_counts_from_then),
        one_loop(test_keys_are_apart_and_may_be_any_number),
        one_loop(test_an_actor_has_so_many_timers_and_is_told_so),
        one_loop(test_a_tick_that_finds_the_mailbox_full_waits_and_is_not_lost),
        one_loop(test_who_asks_for_room_later_than_a_tick_does_not_overtake_it),
        one_loop(test_a_tick_overtakes_nobody_who_waits_for_room),
        one_loop(test_ticks_that_may_not_even_wait_come_later),
        one_loop(test_each_tick_brings_a_whole_copy_of_a_request_with_pointers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
