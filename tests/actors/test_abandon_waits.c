/*
 * Abandonment in every kind of wait, and on loops that have borrowed the
 * actor; nothing may be left behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "left.h"
#include "stage.h"

#define NEVER_MS 1000000u

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

/* What each does with its turns. */
static int yield_on(struct play *me, struct script *script)
{
    (void)me;
    if (grove_defer(clean_up, script) != 0)
        return -EIO;
    for (;;) {
        script->number++;
        stage_pass_ms(1);
        if (grove_yield_await() != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
    }
}

static void test_whoever_is_taken_out_of_the_row_leaves_it_whole(void **state)
{
    (void)state;
    for (uint32_t ms = 1; ms < 10; ms++)
        for (unsigned at = 0; at < 3; at++) {
            struct script yields[3];
            grove_ref refs[3];
            int64_t seen[3];

            n_cleaned = 0;
            for (unsigned i = 0; i < 3; i++) {
                yields[i] = (struct script){.act = yield_on};
                refs[i] = stage_spawn(NULL);
                assert_int_equal(stage_send(refs[i], &yields[i]), 0);
            }
            assert_int_equal(grove_sleep_await(3), 0);
            assert_int_equal(grove_stop_within_await(refs[at], GROVE_STOP_NOW, ms), 0);
            for (unsigned i = 0; i < 3; i++)
                seen[i] = yields[i].number;
            assert_int_equal(grove_sleep_await(20), 0);
            for (unsigned i = 0; i < 3; i++)
                assert_int_equal(yields[i].number > seen[i], i != at);
            for (unsigned i = 1; i < 3; i++)
                assert_int_equal(grove_stop_within_await(refs[(at + i) % 3], GROVE_STOP_NOW, ms),
                                 0);
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
        left_test(test_whoever_is_taken_out_of_the_row_leaves_it_whole),
        left_test(test_a_greenlet_that_receives_and_whoever_waits_for_its_answer),
        left_test(test_waiting_for_the_birth_of_a_child_which_then_ends_too),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_and_lent_handlers_are_abandoned_where_they_run),
    };
    int n = cmocka_run_group_tests_name("abandon, waits", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("abandon, far", far_tests, set_up_three_loops,
                                         stage_tear_down);
}
