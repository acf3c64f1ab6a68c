/*
 * Flood: millions of sends to an actor that stands still. FLOOD in the
 * environment says how many; the suite sends 400 000 of each kind, soak 10 million.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"
#include "runtime/runtime.h"

#define MEMORY_MAX ((size_t)16 << 20)
#define BURST      64u /* sends between two yields */
#define DEPTH      1024u

static uint64_t n_wanted;
static struct script nothing = {.act = act_nothing};

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    (void)fclose(file); /* It was only read. */
    return pages * 4096;
}

static uint64_t count(enum grove_dead_reason reason)
{
    uint64_t counts[GROVE_DEAD_REASONS];

    grove_dead_letters_count(counts);
    return counts[reason];
}

static _Atomic(bool) stalled;

static int stall(struct play *me, struct script *script)
{
    (void)me;
    stalled = true;
    (void)grove_sleep_await(3600000); /* It is stopped. */
    (void)script;
    return 0;
}

/* An actor of a loop whose handler waits until it is killed. */
static grove_ref stalled_actor(unsigned loop, struct script *script)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop), .pinned = true};
    grove_ref ref = GROVE_NOBODY;

    stalled = false;
    *script = (struct script){.act = stall};
    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_send(ref, script), 0);
    while (!stalled)
        assert_int_equal(grove_sleep_await(1), 0);
    return ref;
}

/* Sends and lets others run; counts what was taken. A bystander is asked now and then. */
static uint64_t flood(grove_ref ref, grove_ref bystander, uint64_t *n_refused)
{
    uint64_t n_taken = 0;
    int64_t asked = 0, total = 0;

    *n_refused = 0;
    for (uint64_t i = 1; i <= n_wanted; i++) {
        int rc = stage_send(ref, &nothing);

        n_taken += rc == 0;
        *n_refused += rc == GROVE_EFULL;
        if (i % BURST == 0)
            assert_int_equal(grove_yield_await(), 0);
        if (i % 10000 == 0) {
            assert_int_equal(stage_add(bystander, 1, &total), 0);
            assert_int_equal(total, ++asked);
        }
    }
    return n_taken;
}

static void
test_a_stalled_actor_of_the_same_loop_costs_no_memory_and_every_sender_is_told(void **state)
{
    struct script script;
    grove_ref ref = stalled_actor(0, &script), bystander = stage_spawn("bystander");
    size_t before = resident_bytes();
    uint64_t n_refused, n_taken = flood(ref, bystander, &n_refused);

    (void)state;
    assert_in_range(resident_bytes(), 0, before + MEMORY_MAX);
    assert_int_equal(n_taken, DEPTH);
    assert_int_equal(n_refused, n_wanted - DEPTH);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
}

static void
test_a_stalled_actor_of_another_loop_costs_no_memory_and_none_is_lost_unseen(void **state)
{
    struct script script;
    grove_ref ref = stalled_actor(1, &script), bystander = stage_spawn_on(1, "bystander");
    size_t before = resident_bytes();
    uint64_t full = count(GROVE_DEAD_FULL), stopped = count(GROVE_DEAD_STOPPED);
    uint64_t n_refused, n_taken = flood(ref, bystander, &n_refused);

    (void)state;
    assert_in_range(resident_bytes(), 0, before + MEMORY_MAX);
    assert_int_equal(n_taken + n_refused, n_wanted);
    assert_int_equal(stage_add(bystander, 0, NULL), 0); /* All that was sent has come. */
    assert_int_equal(count(GROVE_DEAD_FULL) - full, n_taken - DEPTH);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(count(GROVE_DEAD_STOPPED) - stopped, DEPTH);
}

/* --- lanes ------------------------------------------------------------------------------------ */

enum { QUEUED = 100000 };

struct long_line {
    struct script first, rest;
};

/* An actor whose handler waits behind which QUEUED messages are queued. */
static grove_ref long_line(unsigned loop, struct long_line *line, uint32_t ms)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop),
                                          .depth_max = 2 * QUEUED,
                                          .bytes_max = 128u << 20,
                                          .pinned = true};
    grove_ref ref = GROVE_NOBODY;

    *line = (struct long_line){.first = {.act = ms > 0 ? act_nap : stall, .ms = ms},
                               .rest = {.act = act_nothing}};
    stalled = false;
    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_send(ref, &line->first), 0);
    while (ms == 0 && !stalled)
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < QUEUED; i++) {
        Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

        request.script = (uintptr_t)&line->rest;
        assert_int_equal(play_perform_send_await(ref, &request), 0);
    }
    return ref;
}

static void test_a_kill_overtakes_100_000_queued_messages(void **state)
{
    (void)state;
    for (unsigned loop = 0; loop < 2; loop++) {
        struct long_line line;
        grove_ref ref = long_line(loop, &line, 0);
        uint64_t before = count(GROVE_DEAD_STOPPED);

        assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
        assert_int_equal(line.rest.n_runs, 0);
        assert_int_equal(line.first.n_ends, 1);
        assert_int_equal(count(GROVE_DEAD_STOPPED) - before, QUEUED);
    }
}

/* Asks another one while its own mailbox is long. */
static int ask_behind_the_line(struct play *me, struct script *script)
{
    (void)me;
    stalled = true;
    if (grove_sleep_await(script->ms) != 0)
        return -1;
    script->n_ends = 100; /* Seen by who looks whether the queue has moved. */
    return script->rc = stage_add(script->to, 1, NULL);
}

static void test_an_answer_does_not_queue_behind_100_000_messages(void **state)
{
    struct grove_spawn_options options = {
        .depth_max = 2 * QUEUED, .bytes_max = 128u << 20, .pinned = true};
    struct script asks = {.act = ask_behind_the_line, .ms = 20, .rc = -1},
                  rest = {.act = act_nothing};
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    stalled = false;
    asks.to = stage_spawn_on(1, "asked");
    assert_int_equal(play_spawn(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_send(ref, &asks), 0);
    while (!stalled)
        assert_int_equal(grove_yield_await(), 0);
    for (unsigned i = 0; i < QUEUED; i++)
        assert_int_equal(stage_send(ref, &rest), 0);
    while (asks.rc == -1) {
        assert_int_equal(rest.n_runs, 0);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(asks.rc, 0);
    while (rest.n_runs < QUEUED)
        assert_int_equal(grove_sleep_await(1), 0);
}

int main(void)
{
    const char *wanted = getenv("FLOOD");
    const struct CMUnitTest tests[] = {
        stage_test(test_a_stalled_actor_of_the_same_loop_costs_no_memory_and_every_sender_is_told),
        stage_test(test_a_stalled_actor_of_another_loop_costs_no_memory_and_none_is_lost_unseen),
        stage_test(test_a_kill_overtakes_100_000_queued_messages),
        stage_test(test_an_answer_does_not_queue_behind_100_000_messages),
    };

    n_wanted = wanted != NULL ? strtoull(wanted, NULL, 10) : 400000;
    return cmocka_run_group_tests(tests, stage_set_up_two_loops, stage_tear_down);
}
