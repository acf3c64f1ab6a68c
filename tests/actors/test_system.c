/*
 * System: lazy start, options, the end with all that may still be under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/runtime.h"

static void test_the_loops_open_at_the_first_spawn(void **state)
{
    (void)state;
    stage_open();
    assert_int_equal(gv_runtime.n_loops, 0);
    assert_int_equal(grove_loops(), 1);
    (void)stage_spawn(NULL);
    assert_int_equal(gv_runtime.n_loops, 1);
    stage_close();
    assert_int_equal(gv_runtime.n_loops, 0);
}

static void test_an_end_without_a_begin_is_fine(void **state)
{
    (void)state;
    stage_open();
    stage_close();
}

static void test_options_are_set_before_the_start_and_not_after(void **state)
{
    (void)state;
    stage_open();
    assert_int_equal(grove_option_set("mailbox_depth", "2"), 0);
    assert_int_equal(grove_option_set("mailbox_depth", "many"), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "mailbox_depth"));
    assert_int_equal(grove_option_set("no_such_thing", "1"), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "no_such_thing"));
    {
        struct script nothing = {.act = act_nothing};
        grove_ref ref = stage_spawn(NULL);

        assert_int_equal(stage_send(ref, &nothing), 0);
        assert_int_equal(stage_send(ref, &nothing), 0);
        assert_int_equal(stage_send(ref, &nothing), GROVE_EFULL);
        assert_int_equal(grove_option_set("mailbox_depth", "3"), GROVE_EUSAGE);
        assert_non_null(strstr(grove_why(), "before the first spawn"));
        assert_int_equal(stage_add(ref, 1, NULL), 0);
    }
    stage_close();
}

static void test_the_runtime_opens_again_after_its_end_and_old_refs_are_stale(void **state)
{
    grove_ref old = GROVE_NOBODY;

    (void)state;
    for (int round = 0; round < 5; round++) {
        grove_ref ref;

        stage_open_loops(round % 2 + 1);
        ref = stage_spawn(NULL);
        assert_int_equal(stage_add(ref, 1, NULL), 0);
        assert_int_equal(stage_add(old, 1, NULL), GROVE_ENOACTOR);
        old = ref;
        stage_close();
    }
}

/* What is under way when the end comes must outlive the test's own frame. */
static struct script naps[50], queued[50], calls[50];
static Play__V1__PerformResponse responses[50];
static struct grove_future futures[50];

static void test_the_end_fails_parked_handlers_and_queued_mail(void **state)
{
    grove_ref refs[50];

    (void)state;
    stage_open();
    for (int i = 0; i < 50; i++) {
        refs[i] = stage_spawn(NULL);
        naps[i] = (struct script){.act = act_nap, .ms = i < 25 ? 10 : 100000};
        queued[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(refs[i], &naps[i]), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(stage_send(refs[i], &queued[i]), 0);
        /* Futures of main, not awaited. */
        assert_int_equal(stage_start(refs[i], &queued[i], &responses[i], &futures[i]), 0);
    }
    stage_close();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(naps[i].n_ends, 1);
        /* First the running handlers may end; then their awaits fail. */
        assert_int_equal(naps[i].rc, i < 25 ? 0 : GROVE_ECANCELED);
        /* Those that were told to stop, or killed, handle nothing more; the older ones are told later. */
        if (i >= 25)
            assert_int_equal(queued[i].n_runs, 0);
    }
}

static void go_receive(void *argument)
{
    struct script *script = argument;
    struct grove_letter letter;

    script->n_runs++;
    script->rc = grove_receive_await(GROVE_INFINITE, &letter);
    script->n_ends++;
}

static void test_the_end_wakes_greenlets_that_receive_sleep_or_call(void **state)
{
    (void)state;
    stage_open();
    for (int i = 0; i < 50; i++) {
        naps[i] = (struct script){.rc = 1};
        queued[i] = (struct script){.act = act_nap, .ms = 100000};
        calls[i] = (struct script){.to = stage_spawn(NULL), .next = &queued[i]};
        assert_int_equal(grove_go(go_receive, &naps[i], NULL, NULL), 0);
        assert_int_equal(grove_go(go_relay, &calls[i], NULL, NULL), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    stage_close();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(naps[i].n_ends, 1);
        assert_int_equal(naps[i].rc, GROVE_ECANCELED);
        assert_int_equal(calls[i].n_ends, 1);
        assert_int_equal(calls[i].rc, GROVE_ECANCELED);
    }
}

static void test_the_end_comes_while_others_wait_for_room(void **state)
{
    grove_ref ref;

    (void)state;
    stage_open();
    ref = stage_spawn_bounded(1, 0);
    for (int i = 0; i < 20; i++) {
        naps[i] = (struct script){.act = act_nap, .ms = 5};
        calls[i] = (struct script){.to = ref, .next = &naps[i]};
        assert_int_equal(grove_go(go_relay, &calls[i], NULL, NULL), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    stage_close();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(calls[i].n_ends, 1);
        assert_int_not_equal(calls[i].rc, 1);
    }
}

static int spawn_more(struct play *me, struct script *script)
{
    grove_ref ref;

    (void)me;
    while (grove_sleep_await(1) == 0)
        if (script->rc == 0)
            script->rc = play_spawn(&stage_player, NULL, NULL, &ref);
    return 0;
}

static void test_nothing_is_spawned_once_the_end_has_begun(void **state)
{
    (void)state;
    stage_open();
    naps[0] = (struct script){.act = spawn_more};
    assert_int_equal(stage_send(stage_spawn(NULL), &naps[0]), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    stage_close();
    assert_int_equal(naps[0].rc, GROVE_ESTOPPING);
    assert_int_equal(naps[0].n_ends, 1);
}

static void go_spawn_await(void *argument)
{
    struct script *script = argument;
    grove_ref ref;

    script->rc = play_spawn_await(&stage_player, NULL, NULL, &ref);
    script->n_ends++;
}

static void test_the_end_right_after_the_begin_finds_everybody(void **state)
{
    (void)state;
    stage_open();
    for (int i = 0; i < 20; i++) {
        naps[i] = (struct script){0};
        assert_int_equal(grove_go(go_spawn_await, &naps[i], NULL, NULL), 0);
        (void)stage_spawn(NULL);
    }
    stage_close();
    for (int i = 0; i < 20; i++)
        assert_int_equal(naps[i].n_ends, 1);
}

static void test_the_end_of_two_loops_with_traffic_between_them(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        stage_open_loops(2);
        for (unsigned i = 0; i < 50; i++) {
            struct grove_spawn_options place = {.place = GROVE_ON_LOOP(i % 2)};

            naps[i] = (struct script){.act = act_nap, .ms = 1};
            calls[i] = (struct script){.to = stage_spawn_on((i + 1) % 2, NULL), .next = &naps[i]};
            assert_int_equal(grove_go(go_relay, &calls[i], &place, NULL), 0);
            assert_int_equal(stage_send(calls[i].to, &naps[i]), 0);
        }
        if (round % 2 == 0)
            assert_int_equal(grove_sleep_await((uint32_t)round % 3 + 1), 0);
        stage_close();
        for (int i = 0; i < 50; i++)
            assert_int_equal(calls[i].n_ends, 1);
    }
}

static int deinit_from_handler(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_deinit();
    return 0;
}

static void test_only_main_ends_the_runtime(void **state)
{
    struct script script = {.act = deinit_from_handler};

    (void)state;
    stage_open();
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_int_equal(script.rc, GROVE_EUSAGE);
    stage_close();
}

static void test_counters_count(void **state)
{
    struct grove_loop_stats stats;
    struct script nap = {.act = act_nap, .ms = 5};
    grove_ref ref;

    (void)state;
    stage_open();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_loop_stats(0, &stats), 0);
    assert_int_equal(stats.actors, 1);
    assert_int_equal(stats.turns, 1); /* add; without an init there is no first turn */
    assert_int_equal(stats.parked, 1 + 0);
    assert_int_equal(stats.stacks, 2);
    assert_int_equal(grove_loop_stats(1, &stats), GROVE_EUSAGE);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(grove_loop_stats(0, &stats), 0);
    assert_int_equal(stats.turns, 2);
    assert_int_equal(stats.parked, 0);
    stage_close();
    assert_int_equal(grove_loop_stats(0, &stats), GROVE_EUSAGE);
}

static void test_a_sleeping_loop_is_not_busy(void **state)
{
    struct grove_loop_stats before, after;
    unsigned long long start_ns;
    uint64_t same_ns = 0;

    (void)state;
    stage_open_loops(2);
    (void)stage_spawn_on(1, NULL); /* It is only there. */
    start_ns = grove_now_ns();
    assert_int_equal(grove_loop_stats(1, &before), 0);
    /* It has nothing to do and falls asleep soon; then its busy time stands still. */
    while (same_ns < 1000000 && grove_now_ns() - start_ns < 5000000000u) {
        assert_int_equal(grove_loop_stats(1, &after), 0);
        /* It may step back a little: the loop read the clock before it said that it sleeps. */
        same_ns = after.busy_ns == before.busy_ns ? after.wall_ns - before.wall_ns : 0;
        if (same_ns == 0)
            before = after;
    }
    assert_true(same_ns >= 1000000);
    stage_close();
}

static void test_figures_of_another_loop_may_be_read_at_any_time(void **state)
{
    struct grove_loop_stats stats = {0};
    grove_ref ref;

    (void)state;
    stage_open_loops(2);
    ref = stage_spawn_on(1, NULL);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(stage_add(ref, 1, NULL), 0);
        assert_int_equal(grove_loop_stats(1, &stats), 0);
    }
    assert_in_range(stats.turns, 1, 51);
    stage_close();
}

static int act_bear_and_ask(struct play *me, struct script *script)
{
    grove_ref kids[3];

    (void)me;
    script->rc = 0;
    for (int i = 0; i < 3 && script->rc == 0; i++)
        script->rc = play_spawn(&stage_player, NULL, NULL, &kids[i]);
    (void)grove_sleep_await(script->ms);
    for (int i = 0; i < 3 && script->rc == 0; i++)
        script->rc = stage_add(kids[i], 1, NULL);
    return script->rc;
}

/* It is told to stop with the others; its children are not, before its handler is done. */
static void test_a_handler_that_still_runs_has_its_children(void **state)
{
    struct script script = {.act = act_bear_and_ask, .ms = 30, .rc = 1};

    (void)state;
    stage_open();
    assert_int_equal(stage_send(stage_spawn(NULL), &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_deinit(), 0);
    assert_int_equal(script.n_ends, 1);
    assert_int_equal(script.rc, 0);
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_handler_that_still_runs_has_its_children),
        stage_test(test_the_loops_open_at_the_first_spawn),
        stage_test(test_an_end_without_a_begin_is_fine),
        stage_test(test_options_are_set_before_the_start_and_not_after),
        stage_test(test_the_runtime_opens_again_after_its_end_and_old_refs_are_stale),
        stage_test(test_the_end_fails_parked_handlers_and_queued_mail),
        stage_test(test_the_end_wakes_greenlets_that_receive_sleep_or_call),
        stage_test(test_the_end_comes_while_others_wait_for_room),
        stage_test(test_nothing_is_spawned_once_the_end_has_begun),
        stage_test(test_the_end_right_after_the_begin_finds_everybody),
        stage_test(test_the_end_of_two_loops_with_traffic_between_them),
        stage_test(test_only_main_ends_the_runtime),
        stage_test(test_counters_count),
        stage_test(test_a_sleeping_loop_is_not_busy),
        stage_test(test_figures_of_another_loop_may_be_read_at_any_time),
    };

    return cmocka_run_group_tests_name("system", tests, NULL, NULL);
}
