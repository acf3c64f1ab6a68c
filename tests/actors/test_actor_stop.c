/*
 * The end of actors: drain, now, kill; and actors on another loop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/slot.h"

/* --- stop ------------------------------------------------------------------------------------- */

static void test_drain_handles_what_is_queued_and_takes_nothing_more(void **state)
{
    struct script scripts[5];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int i = 0; i < 5; i++) {
        scripts[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(ref, &scripts[i]), 0);
    }
    assert_int_equal(grove_stop(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_send(ref, &scripts[0]), GROVE_ESTOPPING);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(scripts[i].n_ends, 1);
    assert_int_equal(stage_send(ref, &scripts[0]), GROVE_ENOACTOR);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), GROVE_ENOACTOR);
}

/* More than an actor handles before others have their turn. */
static void test_drain_handles_a_long_queue_to_its_end(void **state)
{
    struct script script = {.act = act_nothing};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(stage_send(ref, &script), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(script.n_ends, 200);
}

static void test_now_finishes_the_running_handler_and_fails_what_is_queued(void **state)
{
    struct script nap = {.act = act_nap, .ms = 30}, late = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(stage_start(ref, &late, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ENOACTOR);
    assert_int_equal(futures[1].started, GROVE_STARTED_NO);
    assert_int_equal(nap.n_ends, 1);
    assert_int_equal(late.n_runs, 0);
}

static void test_kill_ends_the_await_of_the_running_handler_and_all_later_ones(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100000};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn(NULL);
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(stage_start(ref, &nap, &response, &future), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ECANCELED);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_true(stage_now_ms() - begin_ms < 100);
}

static int call_after_kill(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_sleep_await(100000);
    (void)stage_note(script, stage_perform(script->to, script->next));
    if (grove_sleep_await(1) != GROVE_ECANCELED || grove_yield_await() != GROVE_ECANCELED)
        return -EIO;
    return script->rc;
}

static void test_a_killed_handler_can_begin_no_new_call(void **state)
{
    struct script never = {.act = act_nothing};
    struct script killed = {.act = call_after_kill, .next = &never, .to = stage_spawn(NULL)};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &killed), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(killed.rc, GROVE_ECANCELED);
    assert_int_equal(killed.failure.code, GROVE_ECANCELED);
    assert_int_equal(killed.failure.started, GROVE_STARTED_NO);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(never.n_runs, 0);
}

static void test_stop_goes_before_all_queued_messages(void **state)
{
    static struct script scripts[500];
    grove_ref ref = stage_spawn(NULL);
    unsigned n_run = 0;

    (void)state;
    for (int i = 0; i < 500; i++) {
        scripts[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(ref, &scripts[i]), 0);
    }
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    for (int i = 0; i < 500; i++)
        n_run += scripts[i].n_runs;
    assert_int_equal(n_run, 0);
}

static int stop_self(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_stop_await(grove_self(), GROVE_STOP_NOW);
    return grove_stop(grove_self(), GROVE_STOP_NOW);
}

static void test_an_actor_may_stop_itself_but_not_wait_for_it(void **state)
{
    struct script script = {.act = stop_self};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.rc, GROVE_EDEADLK);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static int act_kill_self_and_wait(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_stop_await(grove_self(), GROVE_STOP_KILL)), 0;
}

static void test_who_waits_for_its_own_kill_is_told_and_lives_on(void **state)
{
    struct script script = {.act = act_kill_self_and_wait};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.rc, GROVE_EDEADLK);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_stop_await_gives_up_at_its_deadline(void **state)
{
    struct script nap = {.act = act_nap, .ms = 1000};
    grove_ref ref = stage_spawn(NULL);
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    grove_within(20);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->code, GROVE_ETIMEDOUT);
    assert_true(stage_now_ms() - begin_ms < 100);
    /* It goes on stopping, and within was used up. */
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_true(stage_now_ms() - begin_ms >= 1000);
}

/* A supervisor without children ends in the midst of the stop. */
static void test_whoever_waits_for_one_that_ends_at_once_is_told_of_success(void **state)
{
    grove_ref top;

    (void)state;
    assert_int_equal(grove_supervise(NULL, &top), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(top, GROVE_STOP_NOW, 50), 0);
    assert_int_equal(grove_stop_within_await(top, GROVE_STOP_NOW, 50), GROVE_ENOACTOR);
}

static int calling_deinit_rc;

static void calling_deinit(struct play *me)
{
    (void)me;
    calling_deinit_rc = grove_sleep_await(5);
}

static void test_whoever_waits_for_the_end_waits_as_long_as_the_stop_may_take(void **state)
{
    struct script nap = {.act = act_nap, .ms = 7000};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 8000), 0);
    assert_int_equal(nap.rc, 0);
}

static void test_deinit_may_wait_also_after_a_kill(void **state)
{
    static struct play_service calling;
    grove_ref ref;

    (void)state;
    calling = stage_player;
    calling.deinit = calling_deinit;
    calling_deinit_rc = -1;
    assert_int_equal(play_spawn_await(&calling, NULL, NULL, &ref), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(calling_deinit_rc, 0);
}

static int late_rc;

static void bear_late(void *argument)
{
    (void)argument;
    late_rc = play_spawn(&stage_player, NULL, NULL, NULL);
}

static int act_sleep_and_bear_late(struct play *me, struct script *script)
{
    (void)me;
    return grove_defer(bear_late, NULL) != 0 ? -1 : grove_sleep_await((uint32_t)script->ms);
}

/* Such a child would outlive its spawner, which had none to wait for. */
static void test_a_clean_up_of_an_abandoned_handler_spawns_no_child(void **state)
{
    struct script script = {.act = act_sleep_and_bear_late, .ms = 1000000};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_DRAIN, 10), 0);
    assert_int_equal(late_rc, GROVE_ESTOPPING);
    stage_abandoned();
}

/* --- two loops -------------------------------------------------------------------------------- */

static void test_far_actors_answer_and_stop(void **state)
{
    grove_ref ref = stage_spawn_on(1, "far");
    int64_t total = 0;

    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(stage_add(ref, 1, &total), 0);
    assert_int_equal(total, 200);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static _Atomic bool is_ending, is_asked;

/* Its last handler: ends only when another stop is on its way, which thus comes too late. */
static int act_end_when_asked(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_stop(grove_self(), GROVE_STOP_NOW);
    is_ending = true;
    while (!is_asked)
        continue;
    return 0;
}

static void go_let_end(void *unused)
{
    (void)unused;
    is_asked = true;
}

static grove_ref one_that_is_ending(struct script *script)
{
    grove_ref ref = stage_spawn_on(1, NULL);

    *script = (struct script){.act = act_end_when_asked};
    is_ending = is_asked = false;
    assert_int_equal(stage_send(ref, script), 0);
    while (!is_ending)
        assert_int_equal(grove_yield_await(), 0);
    return ref;
}

static void test_a_stop_that_comes_when_the_actor_has_just_gone_has_succeeded(void **state)
{
    static struct script script;
    grove_ref ref = one_that_is_ending(&script);

    (void)state;
    /* It runs when main has parked: by then the stop has left. */
    assert_int_equal(grove_go(go_let_end, NULL, NULL, NULL), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(script.rc, 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), GROVE_ENOACTOR);
}

static uint64_t n_dead(void)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(1, &stats), 0);
    return stats.dead_letters;
}

static void test_a_stop_that_finds_nobody_is_no_dead_letter(void **state)
{
    static struct script script;
    grove_ref ref = one_that_is_ending(&script);
    uint64_t before = n_dead();

    (void)state;
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_go(go_let_end, NULL, NULL, NULL), 0);
    while (stage_add(ref, 1, NULL) != GROVE_ENOACTOR)
        assert_int_equal(grove_yield_await(), 0);
    /* What left later has come there, so that the stop has. */
    assert_int_equal(grove_stop_await(stage_spawn_on(1, NULL), GROVE_STOP_NOW), 0);
    assert_int_equal(n_dead(), before);
}

static void test_far_spawn_and_stop_reuse_their_slots(void **state)
{
    uint64_t slot_max = 0;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        grove_ref ref = stage_spawn_on(1, NULL);
        uint64_t slot = ref.slot_generation >> GV_SLOT_SHIFT;

        slot_max = slot > slot_max ? slot : slot_max;
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    }
    /* Its index within its class. */
    assert_true((slot_max & 0x1ffffff) < 1000);
}

struct hammer {
    _Atomic(uint64_t) slot;
    _Atomic(uint64_t) node;
    _Atomic(bool) stop;
    unsigned n_wrong;
};

static void go_hammer(void *argument)
{
    struct hammer *hammer = argument;

    while (!hammer->stop) {
        grove_ref ref = {hammer->node, hammer->slot};
        Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
        Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
        int rc;

        /* Whoever answers 2 has been reached by two refs. */
        request.n = 1;
        rc = play_add_await(ref, &request, &response);
        if (rc == 0 && response.total != 1)
            hammer->n_wrong++;
        hammer->slot = 0;
        hammer->node = 0;
        (void)grove_yield_await();
    }
}

static void test_stale_refs_from_another_loop_reach_nobody_while_slots_are_reborn(void **state)
{
    static struct hammer hammer;
    struct grove_spawn_options far = {.place = GROVE_ON_LOOP(1)};
    grove_ref greenlet;

    (void)state;
    hammer = (struct hammer){0};
    assert_int_equal(grove_go(go_hammer, &hammer, &far, &greenlet), 0);
    for (int i = 0; i < 2000; i++) {
        grove_ref ref = stage_spawn(NULL);

        hammer.node = ref.node_kind;
        hammer.slot = ref.slot_generation;
        (void)grove_yield_await();
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    }
    hammer.stop = true;
    (void)grove_stop_await(greenlet, GROVE_STOP_NOW); /* It may have ended by itself. */
    assert_int_equal(hammer.n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_drain_handles_what_is_queued_and_takes_nothing_more),
        stage_test(test_drain_handles_a_long_queue_to_its_end),
        stage_test(test_now_finishes_the_running_handler_and_fails_what_is_queued),
        stage_test(test_kill_ends_the_await_of_the_running_handler_and_all_later_ones),
        stage_test(test_a_killed_handler_can_begin_no_new_call),
        stage_test(test_stop_goes_before_all_queued_messages),
        stage_test(test_an_actor_may_stop_itself_but_not_wait_for_it),
        stage_test(test_who_waits_for_its_own_kill_is_told_and_lives_on),
        stage_test(test_stop_await_gives_up_at_its_deadline),
        stage_test(test_whoever_waits_for_the_end_waits_as_long_as_the_stop_may_take),
        stage_test(test_whoever_waits_for_one_that_ends_at_once_is_told_of_success),
        stage_test(test_deinit_may_wait_also_after_a_kill),
        stage_test(test_a_clean_up_of_an_abandoned_handler_spawns_no_child),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_actors_answer_and_stop),
        stage_test(test_a_stop_that_comes_when_the_actor_has_just_gone_has_succeeded),
        stage_test(test_a_stop_that_finds_nobody_is_no_dead_letter),
        stage_test(test_far_spawn_and_stop_reuse_their_slots),
        stage_test(test_stale_refs_from_another_loop_reach_nobody_while_slots_are_reborn),
    };
    int n = cmocka_run_group_tests_name("actor, stop", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("actor, stop, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
