/*
 * Mail to another loop: its windows, and waiting for room there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"

enum { DEPTH = 4 };

static struct script nothing = {.act = act_nothing};

static uint64_t dead_letters(unsigned loop)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(loop, &stats), 0);
    return stats.dead_letters;
}

static int send_await(grove_ref ref, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    request.script = (uintptr_t)script;
    return play_perform_send_await(ref, &request);
}

static grove_ref spawn_far(uint32_t depth_max, uint32_t bytes_max)
{
    struct grove_spawn_options options = {
        .place = GROVE_ON_LOOP(1), .depth_max = depth_max, .bytes_max = bytes_max};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &ref), 0);
    return ref;
}

/* An actor of DEPTH on loop 1 whose handler is parked for ms. */
static grove_ref naps_far(uint32_t ms)
{
    static struct script nap;
    grove_ref ref = spawn_far(DEPTH, 0);

    nap = (struct script){.act = act_nap, .ms = ms};
    assert_int_equal(stage_send(ref, &nap), 0);
    return ref;
}

struct gate {
    struct script script;
    _Atomic(bool) open;
    _Atomic(bool) entered;
};

static struct gate gate;

/* Lets others run meanwhile. */
static int wait_at_gate(struct play *me, struct script *script)
{
    struct gate *at = (struct gate *)script;

    (void)me;
    at->entered = true;
    while (!at->open && script->rc == 0)
        script->rc = grove_sleep_await(1);
    return 0;
}

/* An actor of DEPTH on loop 1 whose handler has begun, and is parked until the gate is open. */
static grove_ref park_far(void)
{
    grove_ref ref = spawn_far(DEPTH, 0);

    gate = (struct gate){.script.act = wait_at_gate};
    assert_int_equal(stage_send(ref, &gate.script), 0);
    while (!gate.entered)
        assert_int_equal(grove_sleep_await(1), 0);
    return ref;
}

/* --- plain sends ------------------------------------------------------------------------------ */

static void test_far_sends_that_find_no_room_are_dead_letters_there(void **state)
{
    grove_ref ref = park_far();
    uint64_t before = dead_letters(1);

    (void)state;
    for (int i = 0; i < DEPTH + 10; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    while (dead_letters(1) - before < 10)
        assert_int_equal(grove_sleep_await(1), 0);
    gate.open = true;
    /* A call waits for room there; so all sends have arrived when it is answered. */
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(dead_letters(1) - before, 10);
}

static void test_far_calls_and_send_awaits_wait_for_room_there(void **state)
{
    struct script sent = {.act = act_nothing};
    int64_t total = 0;
    grove_ref ref = naps_far(5);

    (void)state;
    for (int i = 0; i < 3 * DEPTH; i++)
        assert_int_equal(send_await(ref, &sent), 0);
    assert_int_equal(stage_add(ref, 3, &total), 0);
    assert_int_equal(total, 3);
    assert_int_equal(sent.n_runs, 3 * DEPTH);
}

static void test_the_far_window_is_bounded_and_opens_again(void **state)
{
    grove_ref ref = stage_spawn_on(1, "far");
    unsigned n = 0;
    int rc = 0;

    (void)state;
    /* Loop 1 is kept from taking anything in: its one actor is on the CPU until main lets it go. */
    while (rc == 0 && n < 10 * GV_WINDOW_MAX) {
        rc = stage_send(ref, &nothing);
        n += rc == 0;
    }
    /* Either the window was full, or loop 1 was fast enough all the time. */
    assert_true(rc == GROVE_EFULL || rc == 0);
    for (int i = 0; i < 100 && rc != 0; i++) {
        assert_int_equal(grove_sleep_await(1), 0);
        rc = stage_send(ref, &nothing);
    }
    assert_int_equal(rc, 0);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(stage_add(ref, 1, NULL), 0);
        assert_int_equal(stage_send(ref, &nothing), 0);
    }
}

/* Holds its loop on purpose, as a handler that eats CPU does. */
static int hold(struct play *me, struct script *script)
{
    struct gate *at = (struct gate *)script;

    (void)me;
    at->entered = true;
    while (!at->open)
        continue;
    return 0;
}

/* An actor of DEPTH on loop 1 that keeps its loop until the gate is open. */
static grove_ref hold_loop_1(void)
{
    grove_ref ref = spawn_far(DEPTH, 0);

    gate = (struct gate){.script.act = hold};
    assert_int_equal(stage_send(ref, &gate.script), 0);
    while (!gate.entered)
        assert_int_equal(grove_sleep_await(1), 0);
    return ref;
}

static bool no_window_is_charged(void)
{
    struct gv_out *out = &gv_loop_here->out[1];

    return out->ahead.n_sent == out->n_ahead_done && out->plain.n_sent == out->n_plain_done;
}

/*
 * So many sends that are all taken: whatever was before, nobody is held to
 * flood any more. That is judged each time a window has been sent, over what
 * was done since the last time; so two of them.
 */
static void behave(void)
{
    enum { ROW = 100 }; /* fits into the least window */
    grove_ref ref = stage_spawn_on(1, "content");

    for (unsigned i = 0; i <= 2 * GV_WINDOW_MAX / ROW; i++) {
        for (int k = 0; k < ROW; k++)
            assert_int_equal(stage_send(ref, &nothing), 0);
        assert_int_equal(stage_add(ref, 1, NULL), 0);
    }
}

/* How many sends leave here until one is refused. */
static unsigned send_until_refused(grove_ref ref)
{
    unsigned n = 0;

    while (n < 2 * GV_WINDOW_MAX && stage_send(ref, &nothing) == 0)
        n++;
    assert_int_equal(grove_failure()->code, GROVE_EFULL);
    return n;
}

static void test_far_sends_beyond_the_window_are_refused_at_once(void **state)
{
    grove_ref ref;
    unsigned n;

    (void)state;
    behave();
    ref = hold_loop_1();
    n = send_until_refused(ref);
    gate.open = true;
    assert_in_range(n, GV_WINDOW_MAX - 2, GV_WINDOW_MAX);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(stage_send(ref, &nothing), 0);
}

static void test_who_floods_a_far_actor_that_stands_still_has_little_under_way(void **state)
{
    grove_ref still;
    unsigned n;

    (void)state;
    behave();
    still = naps_far(100000);
    (void)send_until_refused(still); /* Nobody can know yet. */
    while (!no_window_is_charged())
        assert_int_equal(grove_sleep_await(1), 0);
    (void)hold_loop_1();
    n = send_until_refused(still);
    gate.open = true;
    assert_in_range(n, GV_WINDOW_LEAST - 2, GV_WINDOW_LEAST);
    while (!no_window_is_charged())
        assert_int_equal(grove_sleep_await(1), 0);
    /* Once it is over it is forgotten. */
    behave();
    (void)hold_loop_1();
    n = send_until_refused(still);
    gate.open = true;
    assert_in_range(n, GV_WINDOW_MAX - 2, GV_WINDOW_MAX);
    while (!no_window_is_charged())
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(still, GROVE_STOP_KILL), 0);
    stage_settle();
}

static void test_the_end_of_a_far_actor_is_seen_once_what_was_sent_has_left(void **state)
{
    uint64_t before = dead_letters(1);
    grove_ref ref = spawn_far(DEPTH, 0);

    (void)state;
    assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &nothing), GROVE_ENOACTOR);
    assert_int_equal(send_await(ref, &nothing), GROVE_ENOACTOR);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(dead_letters(1), before);
}

/* --- sends that may wait ---------------------------------------------------------------------- */

static void test_far_send_awaits_go_ahead_within_their_window_and_none_is_lost(void **state)
{
    struct script sent = {.act = act_nothing}, late = {.act = act_nothing};
    uint64_t before = dead_letters(1);
    grove_ref ref = hold_loop_1();

    (void)state;
    /* Nobody over there can say a word, and yet nobody waits. */
    for (unsigned i = 0; i < GV_AHEAD_MAX; i++)
        assert_int_equal(send_await(ref, &sent), 0);
    grove_within(10);
    assert_int_equal(send_await(ref, &late), GROVE_EFULL);
    assert_int_equal(grove_sleep_await(1), 0); /* What takes it back has left by then. */
    gate.open = true;
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(sent.n_runs, GV_AHEAD_MAX);
    assert_int_equal(late.n_runs, 0);
    assert_int_equal(dead_letters(1), before);
    assert_true(no_window_is_charged());
}

struct numbered {
    struct script script;
    unsigned *next;
};

static int in_order(struct play *me, struct script *script)
{
    unsigned *next = ((struct numbered *)script)->next;

    (void)me;
    script->rc = script->number == *next ? 0 : -1;
    ++*next;
    return 0;
}

static void test_far_send_awaits_come_in_order_also_beyond_their_window(void **state)
{
    enum { N = 3 * GV_AHEAD_MAX + 5 };
    struct numbered *all = calloc(N, sizeof *all);
    unsigned next = 0;
    grove_ref ref;

    (void)state;
    assert_non_null(all);
    ref = naps_far(2);
    for (unsigned i = 0; i < N; i++) {
        all[i] = (struct numbered){{.act = in_order, .number = i, .rc = -1}, &next};
        assert_int_equal(send_await(ref, &all[i].script), 0);
    }
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(next, N);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(all[i].script.rc, 0);
    free(all);
}

static void test_a_full_far_mailbox_holds_nobody_up_who_sends_to_others(void **state)
{
    struct script sent = {.act = act_nothing}, other = {.act = act_nothing};
    grove_ref ref = park_far(), neighbour = stage_spawn_on(1, "neighbour");

    (void)state;
    /* The whole mailbox and the window are taken by one that stands still. */
    for (unsigned i = 0; i < DEPTH; i++)
        assert_int_equal(send_await(ref, &sent), 0);
    while (!no_window_is_charged())
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < GV_AHEAD_MAX; i++)
        assert_int_equal(send_await(ref, &sent), 0);
    assert_int_equal(send_await(neighbour, &other), 0);
    assert_int_equal(stage_add(neighbour, 1, NULL), 0);
    assert_int_equal(other.n_runs, 1);
    assert_int_equal(sent.n_runs, 0);
    gate.open = true;
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(sent.n_runs, GV_AHEAD_MAX + DEPTH);
    assert_true(no_window_is_charged());
}

static void test_what_waits_for_room_at_a_far_end_is_a_dead_letter(void **state)
{
    /* With the stop behind them, so many are taken in at once. */
    enum { N = GV_AHEAD_MAX / 2 };
    struct script sent = {.act = act_nothing};
    uint64_t before = dead_letters(1);
    grove_ref ref = hold_loop_1();

    (void)state;
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(send_await(ref, &sent), 0);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    gate.open = true;
    while (dead_letters(1) - before < N)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(dead_letters(1) - before, N);
    assert_int_equal(sent.n_runs, 0);
    assert_true(no_window_is_charged());
}

static void test_a_far_send_await_that_is_too_big_hears_of_it(void **state)
{
    static uint8_t bytes[70000];
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    grove_ref ref = spawn_far(DEPTH, 65536);

    (void)state;
    request.blob = (ProtobufCBinaryData){sizeof bytes, bytes};
    assert_int_equal(play_echo_send_await(ref, &request), GROVE_ETOOBIG);
    request.blob.len = 40000;
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_echo_send_await(ref, &request), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

/* --- three loops ------------------------------------------------------------------------------ */

struct flood {
    struct script script; /* .to: whom it floods */
    bool may_wait;
    _Atomic(bool) over;
};

/* Sends as fast as it can until it is told that it is over. */
static int pour(struct play *me, struct script *script)
{
    struct flood *flood = (struct flood *)script;
    int rc = 0;

    (void)me;
    while (!flood->over && (rc == 0 || (rc == GROVE_EFULL && !flood->may_wait)))
        rc = flood->may_wait ? send_await(script->to, &nothing) : stage_send(script->to, &nothing);
    script->rc = rc;
    return 0;
}

/* Loop 1 floods an actor of loop 2, and loop 0 has calls there: at the flooded one and at its neighbour. */
static void call_into_a_flood(bool may_wait)
{
    static struct flood flood;
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(2), .depth_max = DEPTH};
    grove_ref neighbour = stage_spawn_on(2, "neighbour"), source = stage_spawn_on(1, "source");
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    struct grove_future future;
    int64_t total = 0;

    flood.script = (struct script){.act = pour};
    flood.may_wait = may_wait;
    flood.over = false;
    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &flood.script.to), 0);
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_start(source, &flood.script, &response, &future), 0);
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(stage_add(neighbour, 1, &total), 0);
        assert_int_equal(total, i);
        assert_int_equal(stage_add(flood.script.to, 1, &total), 0);
        assert_int_equal(total, i);
    }
    flood.over = true;
    assert_int_equal(grove_future_await(&future), 0);
    assert_true(flood.script.rc == 0 || flood.script.rc == GROVE_EFULL);
    /* What still waits there is before this call. */
    assert_int_equal(stage_add(flood.script.to, 1, NULL), 0);
    stage_settle();
}

static void test_a_flood_of_sends_starves_no_other_loop(void **state)
{
    (void)state;
    call_into_a_flood(false);
}

static void test_a_flood_of_send_awaits_starves_no_other_loop(void **state)
{
    (void)state;
    call_into_a_flood(true);
}

static int set_up_three_loops(void **state)
{
    (void)state;
    /* The source lets nobody else run on its loop: it must stay there, and nobody come. */
    stage_open_loops_unlent(3);
    return 0;
}

int main(void)
{
    const struct CMUnitTest flood_tests[] = {
        stage_test(test_a_flood_of_sends_starves_no_other_loop),
        stage_test(test_a_flood_of_send_awaits_starves_no_other_loop),
    };
    const struct CMUnitTest tests[] = {
        stage_test(test_far_sends_that_find_no_room_are_dead_letters_there),
        stage_test(test_far_calls_and_send_awaits_wait_for_room_there),
        stage_test(test_the_far_window_is_bounded_and_opens_again),
        stage_test(test_far_sends_beyond_the_window_are_refused_at_once),
        stage_test(test_who_floods_a_far_actor_that_stands_still_has_little_under_way),
        stage_test(test_the_end_of_a_far_actor_is_seen_once_what_was_sent_has_left),
        stage_test(test_far_send_awaits_go_ahead_within_their_window_and_none_is_lost),
        stage_test(test_far_send_awaits_come_in_order_also_beyond_their_window),
        stage_test(test_a_full_far_mailbox_holds_nobody_up_who_sends_to_others),
        stage_test(test_what_waits_for_room_at_a_far_end_is_a_dead_letter),
        stage_test(test_a_far_send_await_that_is_too_big_hears_of_it),
    };

    return cmocka_run_group_tests(tests, stage_set_up_two_loops, stage_tear_down)
           + cmocka_run_group_tests(flood_tests, set_up_three_loops, stage_tear_down);
}
