/*
 * Passivation: when an actor gives its state back, and how it comes back.
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/sanitize.h"
#include "sleeper.h"

#define AFTER_MS 1000u

static grove_ref a;

static int set_up(void **state)
{
    sleeper_begin();
    return stage_set_up(state);
}

static int begin_test(void **state)
{
    (void)state;
    sleeper_begin();
    a = sleeper_spawn('a', AFTER_MS, NULL);
    return 0;
}

static int end_test(void **state)
{
    (void)grove_stop_await(a, GROVE_STOP_NOW); /* It may be gone. */
    assert_int_equal(sleepers.n_dirty, 0);
    assert_int_equal(sleeper_count_passive(), 0);
    return stage_check_settled(state);
}

#define sleeper_test(function) cmocka_unit_test_setup_teardown(function, begin_test, end_test)

static void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

static int64_t add(grove_ref who, int64_t n)
{
    int64_t total = -1;

    assert_int_equal(stage_add(who, n, &total), 0);
    return total;
}

/* --- there and back --------------------------------------------------------------------------- */

static void test_an_idle_actor_gives_its_state_back_after_its_time_and_not_before(void **state)
{
    unsigned long long quiet_ms;

    (void)state;
    (void)add(a, 1);
    quiet_ms = stage_now_ms();
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
    assert_true(sleepers.at_ms[1] - quiet_ms >= AFTER_MS);
    assert_true(sleepers.at_ms[1] - quiet_ms <= AFTER_MS + AFTER_MS / 4 + 2);
    assert_int_equal(sleeper_count_passive(), 1);
}

static void test_the_next_message_has_init_run_again_with_its_argument_and_is_handled(void **state)
{
    (void)state;
    (void)add(a, 5);
    let_pass(AFTER_MS * 2);
    assert_int_equal(add(a, 2), 7);
    assert_string_equal(sleepers.notes, "aAa");
    assert_int_equal(sleeper_count_passive(), 0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(add(a, 1), 8);
    assert_string_equal(sleepers.notes, "aAaAa");
}

static void test_one_that_has_never_been_asked_anything_is_passivated_too(void **state)
{
    (void)state;
    let_pass(AFTER_MS * 2);
    assert_string_equal(sleepers.notes, "aA");
}

static void test_messages_keep_it_awake_however_they_come(void **state)
{
    struct script nothing = {.act = act_nothing};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        let_pass(AFTER_MS - 100);
        if (i % 2 == 0)
            (void)add(a, 1); /* inline, where that is on */
        else
            assert_int_equal(stage_send(a, &nothing), 0);
    }
    stage_settle();
    assert_string_equal(sleepers.notes, "a");
}

static void test_what_comes_for_a_passive_one_waits_in_order(void **state)
{
    Play__V1__PerformResponse responses[4];
    struct grove_future futures[4];
    struct script scripts[4];

    (void)state;
    let_pass(AFTER_MS * 2);
    for (int i = 0; i < 4; i++) {
        scripts[i] = (struct script){.act = act_nothing, .number = i};
        assert_int_equal(stage_start(a, &scripts[i], &responses[i], &futures[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(responses[i].number, i);
    }
    assert_string_equal(sleepers.notes, "aAa");
}

static void test_a_call_that_is_given_up_before_it_is_handled_wakes_nobody(void **state)
{
    struct script nothing = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    let_pass(AFTER_MS * 2);
    assert_int_equal(stage_start(a, &nothing, &response, &future), 0);
    grove_future_cancel(&future);
    let_pass(10);
    assert_string_equal(sleepers.notes, "aA");
    assert_int_equal(sleeper_count_passive(), 1);
    (void)add(a, 1);
    assert_string_equal(sleepers.notes, "aAa");
}

static void test_what_comes_while_deinit_waits_is_handled_after_the_next_init(void **state)
{
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    struct script scripts[2];

    (void)state;
    (void)add(a, 3);
    sleepers.nap_ms = 500;
    let_pass(AFTER_MS + AFTER_MS / 4 + 100); /* deinit has begun */
    assert_string_equal(sleepers.notes, "a");
    for (int i = 0; i < 2; i++) {
        scripts[i] = (struct script){.act = act_nothing, .number = i};
        assert_int_equal(stage_start(a, &scripts[i], &responses[i], &futures[i]), 0);
    }
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_string_equal(sleepers.notes, "aAa");
    assert_int_equal(add(a, 0), 3);
    sleepers.nap_ms = 0;
}

static void test_large_arguments_are_kept_and_those_of_others_are_lent(void **state)
{
    static const char lent[] = "c";
    char large[100] = "b";
    struct grove_spawn_options options = {.passivate_after_ms = AFTER_MS,
                                          .argument_bytes = sizeof large};
    grove_ref b, c;

    (void)state;
    assert_int_equal(play_spawn(&sleeper_functions, large, &options, &b), 0);
    memset(large, 'x', sizeof large);
    options.argument_bytes = 0;
    assert_int_equal(play_spawn_await(&sleeper_functions, lent, &options, &c), 0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleeper_count_passive(), 3);
    sleepers.n_notes = sleepers.n_begun = 0;
    (void)add(b, 1);
    (void)add(c, 1);
    (void)add(a, 1);
    assert_memory_equal(sleepers.notes, "bca", 3);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(c, GROVE_STOP_NOW), 0);
}

static void test_a_type_may_have_its_time_and_a_spawn_another_one(void **state)
{
    static struct play_service functions;
    grove_ref b, c;

    (void)state;
    functions = sleeper_functions;
    functions.passivate_after_ms = AFTER_MS * 10;
    assert_int_equal(play_spawn(&functions, "b", NULL, &b), 0);
    assert_int_equal(play_spawn(&functions, "c",
                                &(struct grove_spawn_options){.passivate_after_ms = AFTER_MS}, &c),
                     0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleeper_count_passive(), 2); /* a and c */
    let_pass(AFTER_MS * 12);
    assert_int_equal(sleeper_count_passive(), 3);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(c, GROVE_STOP_NOW), 0);
}

static void test_one_without_init_and_deinit_begins_with_zeros(void **state)
{
    grove_ref b;

    (void)state;
    assert_int_equal(play_spawn(&stage_player, NULL,
                                &(struct grove_spawn_options){.passivate_after_ms = AFTER_MS}, &b),
                     0);
    assert_int_equal(add(b, 4), 4);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleeper_count_passive(), 2);
    assert_int_equal(add(b, 4), 4);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
}

/* --- what stays ------------------------------------------------------------------------------- */

static void test_name_groups_and_monitors_stay_and_nobody_is_told(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    struct grove_published published;
    struct grove_letter letter;
    grove_ref found, group;

    (void)state;
    assert_int_equal(grove_register("sleeper", a), 0);
    assert_int_equal(grove_group_open("beds", &group), 0);
    assert_int_equal(grove_group_join(group, a), 0);
    assert_int_equal(grove_monitor(a, NULL), 0);
    let_pass(AFTER_MS * 2);
    assert_int_equal(sleeper_count_passive(), 1);
    assert_int_equal(grove_receive_await(0, &letter), GROVE_ETIMEDOUT);
    assert_int_equal(grove_whereis("sleeper", &found), 0);
    assert_true(grove_ref_equal(found, a));
    request.n = 9;
    assert_int_equal(play_add_publish(group, &request, &published), 0);
    let_pass(1);
    assert_string_equal(sleepers.notes, "aAa");
    assert_int_equal(add(found, 0), 9);
    let_pass(AFTER_MS * 2);
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_receive_await(10, &letter), 0);
    assert_int_equal(letter.down->reason, GROVE_DOWN_STOPPED);
    assert_int_equal(grove_whereis("sleeper", &found), GROVE_ENOACTOR);
    assert_int_equal(grove_group_close(group), 0);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end_passive(enum grove_stop_mode mode)
{
    let_pass(AFTER_MS * 2);
    assert_int_equal(grove_stop_await(a, mode), 0);
    assert_string_equal(sleepers.notes, "aA");
    assert_int_equal(stage_add(a, 1, NULL), GROVE_ENOACTOR);
}

static void test_a_passive_one_ends_without_being_woken(void **state)
{
    (void)state;
    end_passive(GROVE_STOP_NOW);
}

static void test_a_passive_one_is_drained_without_being_woken(void **state)
{
    (void)state;
    end_passive(GROVE_STOP_DRAIN);
}

static void test_a_passive_one_is_killed_without_being_woken(void **state)
{
    (void)state;
    end_passive(GROVE_STOP_KILL);
}

static void test_a_drain_handles_what_has_come_for_a_passive_one(void **state)
{
    struct script script = {.act = act_nothing};

    (void)state;
    let_pass(AFTER_MS * 2);
    assert_int_equal(stage_send(a, &script), 0);
    assert_int_equal(grove_stop_await(a, GROVE_STOP_DRAIN), 0);
    assert_int_equal(script.n_ends, 1);
    assert_string_equal(sleepers.notes, "aAaA");
}

static void test_a_stop_while_deinit_waits_does_not_run_it_twice(void **state)
{
    (void)state;
    sleepers.nap_ms = 500;
    let_pass(AFTER_MS + AFTER_MS / 4 + 100);
    assert_string_equal(sleepers.notes, "a");
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
    assert_string_equal(sleepers.notes, "aA");
}

static void test_a_deinit_that_waits_is_abandoned_at_the_stop_deadline(void **state)
{
    (void)state;
    sleepers.nap_ms = 100000;
    let_pass(AFTER_MS + AFTER_MS / 4 + 100);
    assert_int_equal(grove_stop_within_await(a, GROVE_STOP_NOW, 50), 0);
    assert_string_equal(sleepers.notes, "a");
}

/* A stop comes between the look that found it idle and the run that would passivate it. */
static void test_a_stop_just_before_it_would_be_passive_runs_deinit_once(void **state)
{
    (void)state;
    for (unsigned ms = AFTER_MS; ms < AFTER_MS + AFTER_MS / 4 + 4; ms++) {
        sleepers.n_notes = sleepers.n_begun = 0;
        memset(sleepers.notes, 0, sizeof sleepers.notes);
        let_pass(ms);
        assert_int_equal(grove_stop_await(a, ms % 2 == 0 ? GROVE_STOP_DRAIN : GROVE_STOP_NOW), 0);
        assert_int_equal(sleepers.notes[sleepers.n_notes - 1], 'A');
        assert_true(sleepers.n_notes <= 2);
        a = sleeper_spawn('a', AFTER_MS, NULL);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

static uint64_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void test_100_000_passive_actors_have_no_states_and_come_back(void **state)
{
    enum { N = 100000 };
    grove_ref *refs = calloc(N, sizeof *refs);
    uint64_t before, awake, passive;

    (void)state;
    assert_non_null(refs);
    before = heap_bytes();
    for (int i = 0; i < N; i++)
        refs[i] = sleeper_spawn('b', AFTER_MS, NULL);
    let_pass(AFTER_MS / 2);
    awake = heap_bytes() - before;
    let_pass(AFTER_MS * 2);
    passive = heap_bytes() - before;
    assert_int_equal(sleeper_count_passive(), N + 1);
    assert_true(awake >= (uint64_t)N * SLEEPER_BYTES || GV_SANITIZED);
    (void)printf("bytes of heap an actor: awake %llu, passive %lld\n",
                 (unsigned long long)(awake / N), (long long)passive / N);
    assert_true(passive < (uint64_t)N * 64
                || GV_SANITIZED); /* All but what blocks of messages and timers keep. */
    for (int i = 0; i < N; i += 1000)
        assert_int_equal(add(refs[i], 1), sleepers.saved['b'] + 1);
    assert_int_equal(sleeper_count_passive(), N + 1 - N / 1000);
    for (int i = 0; i < N; i++)
        assert_int_equal(grove_stop(refs[i], GROVE_STOP_NOW), 0);
    let_pass(10);
    free(refs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sleeper_test(test_an_idle_actor_gives_its_state_back_after_its_time_and_not_before),
        sleeper_test(test_the_next_message_has_init_run_again_with_its_argument_and_is_handled),
        sleeper_test(test_one_that_has_never_been_asked_anything_is_passivated_too),
        sleeper_test(test_messages_keep_it_awake_however_they_come),
        sleeper_test(test_what_comes_for_a_passive_one_waits_in_order),
        sleeper_test(test_a_call_that_is_given_up_before_it_is_handled_wakes_nobody),
        sleeper_test(test_what_comes_while_deinit_waits_is_handled_after_the_next_init),
        sleeper_test(test_large_arguments_are_kept_and_those_of_others_are_lent),
        sleeper_test(test_a_type_may_have_its_time_and_a_spawn_another_one),
        sleeper_test(test_one_without_init_and_deinit_begins_with_zeros),
        sleeper_test(test_name_groups_and_monitors_stay_and_nobody_is_told),
        sleeper_test(test_a_passive_one_ends_without_being_woken),
        sleeper_test(test_a_passive_one_is_drained_without_being_woken),
        sleeper_test(test_a_passive_one_is_killed_without_being_woken),
        sleeper_test(test_a_drain_handles_what_has_come_for_a_passive_one),
        sleeper_test(test_a_stop_while_deinit_waits_does_not_run_it_twice),
        sleeper_test(test_a_deinit_that_waits_is_abandoned_at_the_stop_deadline),
        sleeper_test(test_a_stop_just_before_it_would_be_passive_runs_deinit_once),
        sleeper_test(test_100_000_passive_actors_have_no_states_and_come_back),
    };

    return cmocka_run_group_tests(tests, set_up, stage_tear_down);
}
