/*
 * Lend: actors whose batches run on another loop. Chance lends here (option
 * lend=2), and mostly it is told what to draw: every time, to loop 1, two
 * messages at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/system.h"
#include "runtime/env.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "stage.h"

/* --- who decides ------------------------------------------------------------------------------ */

static struct gv_env env;

/* To loop 1; and a batch of two. */
static uint32_t choose_one(void *world, uint32_t n, enum gv_choice kind)
{
    return kind == GV_CHOICE_LOOP ? 1 : gv_env_host()->choose(world, n, kind);
}

static void open_by_chance(unsigned n_loops)
{
    stage_open_loops(n_loops);
    assert_int_equal(grove_option_set("lend", "2"), 0);
}

static void open_always(void)
{
    open_by_chance(2);
    gv_system_deinit();
    env = *gv_env_host();
    env.choose = choose_one;
    gv_system_init(&env);
}

/* Where the running handler runs. */
static int act_where(struct play *me, struct script *script)
{
    (void)me;
    script->number = gv_loop_here->index;
    return 0;
}

/* --- who is lent ------------------------------------------------------------------------------ */

static void test_a_pinned_actor_is_not_lent(void **state)
{
    struct script free_one = {.act = act_where, .number = -1}, pinned = free_one;
    grove_ref ref;

    (void)state;
    open_always();
    assert_int_equal(stage_perform(stage_spawn(NULL), &free_one), 0);
    assert_int_equal(
        play_spawn(&stage_player, NULL, &(struct grove_spawn_options){.pinned = true}, &ref), 0);
    assert_int_equal(stage_perform(ref, &pinned), 0);
    assert_int_equal(free_one.number, 1);
    assert_int_equal(pinned.number, 0);
    stage_close();
}

static void test_the_loop_of_main_borrows_nothing(void **state)
{
    struct script where = {.act = act_where, .number = -1};

    (void)state;
    open_by_chance(2);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stage_perform(stage_spawn_on(1, NULL), &where), 0);
        assert_int_equal(where.number, 1);
    }
    assert_int_equal(stage_n_lent(), 0);
    stage_close();
}

static int act_burn(struct play *me, struct script *script)
{
    unsigned long long until_ns = grove_now_ns() + 20000;

    (void)script;
    while (grove_now_ns() < until_ns)
        continue;
    me->total++;
    return 0;
}

static void test_an_idle_loop_borrows_from_actors_that_wait(void **state)
{
    static struct script burns[8][500];
    grove_ref refs[8];
    int64_t total, sum = 0;

    (void)state;
    stage_open_loops(2);
    assert_int_equal(grove_option_set("lend", "1"), 0);
    assert_int_equal(stage_add(stage_spawn_on(1, NULL), 1, NULL), 0); /* Loop 1 is up. */
    for (unsigned k = 0; k < 8; k++) {
        refs[k] = stage_spawn(NULL);
        for (unsigned i = 0; i < 500; i++) {
            burns[k][i] = (struct script){.act = act_burn};
            assert_int_equal(stage_send(refs[k], &burns[k][i]), 0);
        }
    }
    for (unsigned k = 0; k < 8; k++) {
        assert_int_equal(stage_add(refs[k], 0, &total), 0);
        sum += total;
    }
    assert_int_equal(sum, 8 * 500);
    assert_true(stage_n_lent() > 0);
    stage_close();
}

/* --- what others see -------------------------------------------------------------------------- */

static int act_describe(struct play *me, struct script *script)
{
    const struct gv_task *task = gv_loop_here->turn->task;

    (void)me;
    script->to = grove_self();
    script->number = gv_loop_here->index;
    task->class->describe(task, script->text, sizeof script->text);
    return 0;
}

static void test_a_lent_actor_is_still_itself(void **state)
{
    struct script script = {.act = act_describe};
    grove_ref ref;

    (void)state;
    open_always();
    ref = stage_spawn("anna");
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.number, 1);
    assert_true(grove_ref_equal(script.to, ref));
    assert_string_equal(script.text, "play/anna");
    stage_close();
}

static int act_spawn_here(struct play *me, struct script *script)
{
    (void)me;
    script->number = gv_loop_here->index;
    script->to = stage_spawn(NULL);
    return stage_add(script->to, 1, NULL);
}

static void test_what_a_lent_actor_spawns_here_lives_at_its_home(void **state)
{
    struct script script = {.act = act_spawn_here};

    (void)state;
    open_always();
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_int_equal(script.number, 1);
    assert_int_equal(gv_slot_find(gv_ref_id(script.to))->loop, 0);
    stage_close();
}

/* Adds 1 at script->to, so that others can know it has begun; then sleeps. */
static int act_begin_and_nap(struct play *me, struct script *script)
{
    int rc = stage_add(script->to, 1, NULL);

    (void)me;
    script->number = gv_loop_here->index;
    return rc != 0 ? rc : stage_note(script, grove_sleep_await(script->ms));
}

static void wait_for_begin(grove_ref bell)
{
    int64_t total = 0;

    while (total == 0)
        assert_int_equal(stage_add(bell, 0, &total), 0);
}

static grove_ref spawn_bell(void)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(
        play_spawn(&stage_player, NULL, &(struct grove_spawn_options){.pinned = true}, &ref), 0);
    return ref;
}

static void test_kill_reaches_a_handler_that_is_parked_elsewhere(void **state)
{
    struct script nap = {.act = act_begin_and_nap, .ms = 60000};
    grove_ref ref;

    (void)state;
    open_always();
    nap.to = spawn_bell();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_send(ref, &nap), 0);
    wait_for_begin(nap.to);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_int_equal(nap.number, 1);
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    stage_close();
}

static void test_stop_now_fails_what_is_left_of_a_batch(void **state)
{
    struct script nap = {.act = act_begin_and_nap, .ms = 50}, never = {.act = act_nothing};
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3];
    grove_ref ref;

    (void)state;
    open_always();
    nap.to = spawn_bell();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_start(ref, &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &never, &responses[1], &futures[1]), 0); /* in its batch */
    assert_int_equal(stage_start(ref, &never, &responses[2], &futures[2]), 0); /* at home */
    wait_for_begin(nap.to);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(grove_future_await(&futures[i]), GROVE_ENOACTOR);
        assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    }
    assert_int_equal(nap.number, 1);
    assert_int_equal(never.n_runs, 0);
    stage_close();
}

static int act_stop_self(struct play *me, struct script *script)
{
    (void)me;
    script->number = gv_loop_here->index;
    return grove_stop(grove_self(), GROVE_STOP_NOW);
}

static void test_a_lent_actor_that_stops_itself_handles_nothing_more(void **state)
{
    struct script stop = {.act = act_stop_self}, never = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref;

    (void)state;
    open_always();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_start(ref, &stop, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &never, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_future_await(&futures[1]), GROVE_ENOACTOR);
    assert_int_equal(stop.number, 1);
    assert_int_equal(never.n_runs, 0);
    stage_close();
}

static int act_fail(struct play *me, struct script *script)
{
    (void)me;
    script->number = gv_loop_here->index;
    return grove_fail("on purpose");
}

static void test_a_lent_actor_that_fails_ends_at_home(void **state)
{
    struct script fail = {.act = act_fail};
    grove_ref ref;

    (void)state;
    open_always();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_perform(ref, &fail), GROVE_EDOWN);
    assert_int_equal(fail.number, 1);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    stage_close();
}

static void test_a_request_is_taken_back_out_of_a_batch(void **state)
{
    struct script nap = {.act = act_begin_and_nap, .ms = 60}, late = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref ref;

    (void)state;
    open_always();
    nap.to = spawn_bell();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_start(ref, &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &late, &responses[1], &futures[1]), 0);
    wait_for_begin(nap.to);
    grove_future_cancel(&futures[1]);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(nap.number, 1);
    assert_int_equal(late.n_runs, 0);
    stage_close();
}

static void test_what_is_out_still_counts_in_the_mailbox(void **state)
{
    struct script nap = {.act = act_begin_and_nap, .ms = 30}, more[8];
    unsigned n_sent = 0;
    grove_ref ref;

    (void)state;
    open_always();
    nap.to = spawn_bell();
    ref = stage_spawn_bounded(4, 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    for (unsigned i = 0; i < 3; i++) {
        more[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(ref, &more[i]), 0);
    }
    wait_for_begin(nap.to);
    for (unsigned i = 3; i < 8; i++) {
        more[i] = (struct script){.act = act_nothing};
        n_sent += stage_send(ref, &more[i]) == 0;
    }
    assert_int_equal(n_sent, 0); /* Two are out, and two wait. */
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(nap.number, 1);
    stage_close();
}

static void test_a_circle_through_lent_actors_is_found(void **state)
{
    struct script inner = {.act = act_nothing}, back = {.act = act_relay, .next = &inner};
    struct script there = {.act = act_relay, .next = &back};
    struct script self = {.act = act_relay, .next = &inner};
    grove_ref a, b;

    (void)state;
    open_always();
    a = stage_spawn("a");
    b = stage_spawn("b");
    there.to = b;
    back.to = a;
    assert_int_equal(stage_perform(a, &there), GROVE_EDEADLK);
    assert_int_equal(back.rc, GROVE_EDEADLK);
    self.to = a;
    assert_int_equal(stage_perform(a, &self), GROVE_EDEADLK);
    assert_string_equal(self.text, "play/a -> play/a");
    assert_int_equal(inner.n_runs, 0);
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_pinned_actor_is_not_lent),
        stage_test(test_the_loop_of_main_borrows_nothing),
        stage_test(test_an_idle_loop_borrows_from_actors_that_wait),
        stage_test(test_a_lent_actor_is_still_itself),
        stage_test(test_what_a_lent_actor_spawns_here_lives_at_its_home),
        stage_test(test_kill_reaches_a_handler_that_is_parked_elsewhere),
        stage_test(test_stop_now_fails_what_is_left_of_a_batch),
        stage_test(test_a_lent_actor_that_stops_itself_handles_nothing_more),
        stage_test(test_a_lent_actor_that_fails_ends_at_home),
        stage_test(test_a_request_is_taken_back_out_of_a_batch),
        stage_test(test_what_is_out_still_counts_in_the_mailbox),
        stage_test(test_a_circle_through_lent_actors_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
