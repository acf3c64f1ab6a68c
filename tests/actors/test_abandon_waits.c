/*
 * Abandonment in every kind of wait, on stacks that several turns share, and
 * on loops that have borrowed the actor; nothing may be left behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/call.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"

#define NEVER_MS 1000000u

/* --- what is left ----------------------------------------------------------------------------- */

/* Call records that are open on loop 0. */
static unsigned n_calls(void)
{
    const struct gv_calls *calls = gv_runtime.loops[0]->calls;
    unsigned n = 0;

    for (uint32_t i = 0; i < calls->n_chunks * GV_CALL_CHUNK; i++)
        n += calls->chunks[i / GV_CALL_CHUNK][i % GV_CALL_CHUNK].open;
    return n;
}

struct left {
    uint64_t stacks, parked, actors, blocks;
    unsigned calls;
    uint32_t timers;
};

static struct left look(void)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(0, &stats), 0);
    return (struct left){.stacks = stats.stacks,
                         .parked = stats.parked,
                         .actors = stats.actors,
                         .blocks = gv_runtime.loops[0]->blocks.n_taken,
                         .calls = n_calls(),
                         .timers = gv_runtime.loops[0]->wheel.n_armed};
}

static struct left before;

static int look_before(void **state)
{
    (void)state;
    /* A dispatcher's stack exists from the first turn on. */
    assert_int_equal(grove_sleep_await(1), 0);
    (void)grove_stop_await(stage_spawn(NULL), GROVE_STOP_NOW);
    before = look();
    return 0;
}

static int look_after(void **state)
{
    struct left after;

    assert_int_equal(grove_sleep_await(1), 0);
    after = look();
    assert_int_equal(after.parked, before.parked);
    assert_int_equal(after.actors, before.actors);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.calls, before.calls);
    assert_int_equal(after.timers, before.timers);
    assert_in_range(after.stacks, 0, before.stacks + 1); /* Two dispatchers may be left. */
    return stage_check_settled(state);
}

#define left_test(function) cmocka_unit_test_setup_teardown(function, look_before, look_after)

/* On a stage of its own, where no rpc has parked yet: so what is called runs on its caller's stack. */
static int open_and_look(void **state)
{
    stage_open();
    return look_before(state);
}

static int look_and_close(void **state)
{
    (void)look_after(state);
    stage_close();
    return 0;
}

#define fresh_test(function) \
    cmocka_unit_test_setup_teardown(function, open_and_look, look_and_close)

/* --- who waits -------------------------------------------------------------------------------- */

static _Atomic(unsigned) n_begun, n_cleaned; /* by handlers of any loop */

static void clean_up(void *script)
{
    n_cleaned++;
    ((struct script *)script)->n_ends++;
    stage_abandoned();
}

/* Performs script->next at script->to in the way that number says. */
enum way { CALL, ROOM, ALL, ANY, STOP, SLEEP, YIELD };

static int wait_in(enum way way, struct script *script)
{
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3], *all[3] = {&futures[0], &futures[1], &futures[2]};
    Play__V1__AddRequest add = PLAY__V1__ADD_REQUEST__INIT;
    unsigned which;

    switch (way) {
    case CALL:
        return stage_perform(script->to, script->next);
    case ROOM:
        return play_add_send_await(script->to, &add);
    case STOP:
        return grove_stop_await(script->to, GROVE_STOP_DRAIN);
    case SLEEP:
        return grove_sleep_await(NEVER_MS);
    case YIELD:
        stage_pass_ms(1); /* Else time would stand still: somebody can always run. */
        return grove_yield_await();
    case ALL:
    case ANY:
        break;
    }
    for (int i = 0; i < 3; i++) {
        int rc = stage_start(script->to, script->next, &responses[i], &futures[i]);

        if (rc != 0)
            return rc;
    }
    return way == ALL ? grove_all_await(all, 3) : grove_any_await(all, 3, &which);
}

/* Never gives up. */
static int insist(struct play *me, struct script *script)
{
    (void)me;
    grove_within(GROVE_INFINITE);
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    n_begun++;
    for (;;) {
        grove_within(GROVE_INFINITE);
        if (wait_in((enum way)script->number, script) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
    }
}

static int block(struct play *me, struct script *script)
{
    (void)me;
    grove_within(GROVE_INFINITE);
    return stage_note(script, grove_sleep_await(NEVER_MS));
}

/* An actor waits at one that is blocked, and is abandoned. */
static void abandon_in(enum way way)
{
    struct script blocks = {.act = block}, never = {.act = act_nothing};
    struct script waits = {.act = insist, .number = way, .next = &never};
    grove_ref ref = stage_spawn("waiter");

    n_cleaned = 0;
    waits.to = stage_spawn_bounded(1, 0);
    assert_int_equal(stage_send(waits.to, &blocks), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    if (way == ROOM)
        assert_int_equal(stage_send(waits.to, &never), 0);
    assert_int_equal(stage_send(ref, &waits), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(waits.n_runs, 1);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_stop_await(waits.to, GROVE_STOP_KILL), 0);
    assert_int_equal(n_cleaned, 1);
}

static void test_in_a_call(void **state)
{
    (void)state;
    abandon_in(CALL);
}

static void test_waiting_for_room(void **state)
{
    (void)state;
    abandon_in(ROOM);
}

static void test_waiting_for_all_of_some_futures(void **state)
{
    (void)state;
    abandon_in(ALL);
}

static void test_waiting_for_any_of_some_futures(void **state)
{
    (void)state;
    abandon_in(ANY);
}

static void test_waiting_for_the_end_of_another(void **state)
{
    (void)state;
    abandon_in(STOP);
}

static void test_asleep(void **state)
{
    (void)state;
    abandon_in(SLEEP);
}

static void test_one_that_only_yields(void **state)
{
    (void)state;
    abandon_in(YIELD);
}

/* Each stands in the row of those that are ready, with others before and behind it. */
static void test_one_of_several_that_only_yield_and_the_others_go_on(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 3; at++) {
        struct script yields[3];
        grove_ref refs[3];

        n_cleaned = 0;
        for (unsigned i = 0; i < 3; i++) {
            yields[i] = (struct script){.act = insist, .number = YIELD};
            refs[i] = stage_spawn(NULL);
            assert_int_equal(stage_send(refs[i], &yields[i]), 0);
        }
        assert_int_equal(grove_sleep_await(3), 0);
        assert_int_equal(grove_stop_within_await(refs[at], GROVE_STOP_NOW, 5), 0);
        assert_int_equal(n_cleaned, 1);
        for (unsigned i = 1; i < 3; i++)
            assert_int_equal(grove_stop_within_await(refs[(at + i) % 3], GROVE_STOP_NOW, 5), 0);
        assert_int_equal(n_cleaned, 3);
    }
}

/* --- greenlets -------------------------------------------------------------------------------- */

static void note_end(void *script)
{
    n_cleaned++;
    ((struct script *)script)->n_ends++;
}

static void go_receive(void *argument)
{
    struct script *script = argument;
    struct grove_letter letter;

    script->n_runs++;
    script->rc = grove_defer(note_end, script);
    for (;;)
        if (grove_receive_await(GROVE_INFINITE, &letter) == GROVE_ECANCELED)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_a_greenlet_that_receives_and_whoever_waits_for_its_answer(void **state)
{
    struct script script = {.rc = 1}, asked = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref;

    (void)state;
    n_cleaned = 0;
    assert_int_equal(grove_go(go_receive, &script, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_start(ref, &asked, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_KILL, 5), 0);
    assert_int_equal(script.n_ends, 1);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_future_await(&future), GROVE_EDOWN);
}

static grove_ref child;

static int wait_for_child(struct play *me, struct script *script)
{
    (void)me;
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    for (;;)
        if (play_spawn_await((const struct play_service *)(const void *)script->next, NULL, NULL,
                             &child)
            != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static int slow_init(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    return grove_sleep_await(NEVER_MS);
}

static void test_waiting_for_the_birth_of_a_child_which_then_ends_too(void **state)
{
    static struct play_service slow;
    struct script script = {.act = wait_for_child, .next = (struct script *)(void *)&slow};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    n_cleaned = 0;
    slow = stage_player;
    slow.init = slow_init;
    assert_int_equal(stage_send(ref, &script), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_add(child, 1, NULL), GROVE_ENOACTOR);
}

/* --- stacks of several turns ------------------------------------------------------------------ */

/* Waits once; does what it is told. */
static int give_in(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_sleep_await(NEVER_MS));
}

static int relay_and_insist(struct play *me, struct script *script)
{
    (void)me;
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    grove_within(GROVE_INFINITE);
    (void)stage_perform(script->to, script->next);
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_a_caller_below_on_the_same_stack_leaves_and_its_callee_goes_on_alone(void **state)
{
    struct script top = {.act = give_in}, middle = {.act = act_relay, .next = &top};
    struct script base = {.act = relay_and_insist, .next = &middle};
    grove_ref ref = stage_spawn("base");

    (void)state;
    n_cleaned = 0;
    base.to = stage_spawn("middle");
    middle.to = stage_spawn("top");
    assert_int_equal(stage_send(ref, &base), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(top.n_runs, 1);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_sleep_await(1), 0);
    /* Whom nobody waits for is cancelled; and both live on. */
    assert_int_equal(top.n_ends, 1);
    assert_int_equal(top.rc, GROVE_ECANCELED);
    assert_int_equal(middle.n_ends, 1);
    assert_int_equal(stage_add(base.to, 1, NULL), 0);
    assert_int_equal(stage_add(middle.to, 1, NULL), 0);
    assert_int_equal(grove_stop_await(base.to, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(middle.to, GROVE_STOP_NOW), 0);
}

static void test_one_above_another_on_the_same_stack_is_taken_away_and_that_goes_on(void **state)
{
    (void)state;
    for (int mode = GROVE_STOP_DRAIN; mode <= GROVE_STOP_KILL; mode++) {
        struct script top = {.act = insist, .number = SLEEP};
        struct script base = {.act = act_relay, .next = &top};
        grove_ref ref = stage_spawn("base");

        n_cleaned = 0;
        base.to = stage_spawn("top");
        assert_int_equal(stage_send(ref, &base), 0);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_stop_within_await(base.to, (enum grove_stop_mode)mode, 5), 0);
        assert_int_equal(n_cleaned, 1);
        assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(base.n_ends, 1);
        assert_int_equal(base.rc, GROVE_EDOWN);
        assert_int_equal(base.failure.started, GROVE_STARTED_YES);
        assert_non_null(strstr(base.text, "stop deadline"));
        assert_int_equal(stage_add(ref, 1, NULL), 0);
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    }
}

static void test_one_between_two_others_goes_when_the_one_above_it_has_returned(void **state)
{
    struct script top = {.act = give_in}, middle = {.act = relay_and_insist, .next = &top};
    struct script base = {.act = act_relay, .next = &middle};
    grove_ref ref = stage_spawn("base");

    (void)state;
    n_cleaned = 0;
    base.to = stage_spawn("middle");
    middle.to = stage_spawn("top");
    assert_int_equal(stage_send(ref, &base), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(top.n_runs, 1);
    assert_int_equal(grove_stop_within_await(base.to, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(top.rc, GROVE_ECANCELED);
    assert_int_equal(middle.n_ends, 1); /* counted by its clean-up alone */
    assert_int_equal(base.rc, GROVE_EDOWN);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(stage_add(middle.to, 1, NULL), 0);
    assert_int_equal(grove_stop_await(middle.to, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

static void go_stop(void *argument)
{
    const grove_ref *ref = argument;

    (void)grove_sleep_await(1);
    (void)grove_stop_within(*ref, GROVE_STOP_NOW, 5);
}

static void test_one_that_main_has_called_on_its_own_stack(void **state)
{
    struct script top = {.act = insist, .number = SLEEP};
    grove_ref ref = stage_spawn("top");

    (void)state;
    n_cleaned = 0;
    assert_int_equal(grove_go(go_stop, &ref, NULL, NULL), 0);
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_perform(ref, &top), GROVE_EDOWN);
    assert_non_null(strstr(grove_why(), "stop deadline"));
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

/* --- other loops ------------------------------------------------------------------------------ */

static void test_far_and_lent_handlers_are_abandoned_where_they_run(void **state)
{
    static struct script scripts[100];
    grove_ref refs[100];

    (void)state;
    n_begun = n_cleaned = 0;
    for (unsigned i = 0; i < 100; i++) {
        scripts[i] = (struct script){.act = insist, .number = SLEEP};
        refs[i] = stage_spawn_on(i % 3, NULL);
        assert_int_equal(stage_send(refs[i], &scripts[i]), 0);
        assert_int_equal(stage_send(refs[i], &scripts[i]), 0);
    }
    while (n_begun < 100)
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(grove_stop_within(refs[i], (enum grove_stop_mode)(i % 3), 10), 0);
    for (unsigned i = 0; i < 100; i++) {
        int rc = grove_stop_await(refs[i], GROVE_STOP_NOW);

        assert_true(rc == 0 || rc == GROVE_ENOACTOR);
    }
    assert_int_equal(n_begun, 100);
    assert_int_equal(n_cleaned, 100);
}

static int set_up_three_loops(void **state)
{
    (void)state;
    stage_open_loops(3);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        left_test(test_in_a_call),
        left_test(test_waiting_for_room),
        left_test(test_waiting_for_all_of_some_futures),
        left_test(test_waiting_for_any_of_some_futures),
        left_test(test_waiting_for_the_end_of_another),
        left_test(test_asleep),
        left_test(test_one_that_only_yields),
        left_test(test_one_of_several_that_only_yield_and_the_others_go_on),
        left_test(test_a_greenlet_that_receives_and_whoever_waits_for_its_answer),
        left_test(test_waiting_for_the_birth_of_a_child_which_then_ends_too),
    };
    const struct CMUnitTest stack_tests[] = {
        fresh_test(test_a_caller_below_on_the_same_stack_leaves_and_its_callee_goes_on_alone),
        fresh_test(test_one_above_another_on_the_same_stack_is_taken_away_and_that_goes_on),
        fresh_test(test_one_between_two_others_goes_when_the_one_above_it_has_returned),
        fresh_test(test_one_that_main_has_called_on_its_own_stack),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_and_lent_handlers_are_abandoned_where_they_run),
    };
    int n = cmocka_run_group_tests_name("abandon, waits", tests, stage_set_up, stage_tear_down);

    n += cmocka_run_group_tests_name("abandon, stacks", stack_tests, NULL, NULL);
    return n
           + cmocka_run_group_tests_name("abandon, far", far_tests, set_up_three_loops,
                                         stage_tear_down);
}
