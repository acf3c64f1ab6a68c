/*
 * Actors: spawn, init, state, bounds, stop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/actor.h"
#include "runtime/loop.h"
#include "runtime/place.h"
#include "runtime/slot.h"

/* --- spawn ------------------------------------------------------------------------------------ */

static void test_a_spawned_actor_answers(void **state)
{
    grove_ref ref = stage_spawn(NULL);
    int64_t total = 0;

    (void)state;
    assert_int_equal(stage_add(ref, 5, &total), 0);
    assert_int_equal(stage_add(ref, 6, &total), 0);
    assert_int_equal(total, 11);
}

static void test_an_actor_that_was_just_spawned_takes_messages_at_once(void **state)
{
    struct script script = {.act = act_nothing};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &script), 0);
    assert_int_equal(script.n_runs, 0);
    assert_int_equal(stage_add(ref, 0, NULL), 0);
    assert_int_equal(script.n_runs, 1);
}

static void test_spawn_refuses_functions_with_an_empty_slot_and_names_it(void **state)
{
    static struct play_service lacking;
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    lacking = stage_player;
    lacking.echo = NULL;
    assert_int_equal(play_spawn(&lacking, NULL, NULL, &ref), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "play.v1.PlayService/Echo"));
    assert_non_null(strstr(grove_why(), ".echo"));
    assert_int_equal(grove_failure()->code, GROVE_EUSAGE);
    assert_int_equal(grove_failure()->class, GROVE_FAILED);
    assert_true(grove_ref_is_nobody(ref));
    assert_int_equal(play_spawn_await(&lacking, NULL, NULL, &ref), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), ".echo"));
}

static void test_spawn_refuses_a_service_without_actors(void **state)
{
    static const struct mill_service mill;
    grove_ref ref;

    (void)state;
    assert_int_equal(grove_spawn(&mill_service_table, &mill, NULL, NULL, &ref), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "MillService"));
}

static void test_spawn_refuses_functions_that_are_not_there(void **state)
{
    grove_ref ref;

    (void)state;
    assert_int_equal(play_spawn(NULL, NULL, NULL, &ref), GROVE_EUSAGE);
}

static void test_spawn_refuses_bounds_and_places_that_cannot_be(void **state)
{
    static const struct grove_spawn_options wrong[] = {
        {.depth_max = 1u << 20},
        {.bytes_max = UINT32_MAX},
        {.place = GROVE_ON_LOOP(1)},
        {.place = -7},
    };
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(play_spawn(&stage_player, NULL, &wrong[i], &ref), GROVE_EUSAGE);
        assert_int_equal(play_spawn_await(&stage_player, NULL, &wrong[i], &ref), GROVE_EUSAGE);
        assert_int_equal(grove_go(go_relay, NULL, &wrong[i], &ref), GROVE_EUSAGE);
        assert_true(grove_ref_is_nobody(ref));
    }
}

static void test_refs_of_stopped_actors_never_reach_their_successors(void **state)
{
    grove_ref old = stage_spawn(NULL), new;

    (void)state;
    assert_int_equal(grove_stop_await(old, GROVE_STOP_NOW), 0);
    new = stage_spawn(NULL);
    /* The same slot, one life later. */
    assert_int_equal(old.slot_generation >> GV_SLOT_SHIFT, new.slot_generation >> GV_SLOT_SHIFT);
    assert_false(grove_ref_equal(old, new));
    assert_int_equal(stage_add(old, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_stop(old, GROVE_STOP_NOW), GROVE_ENOACTOR);
    assert_int_equal(stage_add(new, 1, NULL), 0);
}

static void test_nobody_and_refs_of_other_processes_are_no_actors(void **state)
{
    grove_ref other = stage_spawn(NULL);

    (void)state;
    other.node_kind ^= UINT64_C(1) << 40;
    assert_int_equal(stage_add(GROVE_NOBODY, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(stage_add(other, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_stop(GROVE_NOBODY, GROVE_STOP_NOW), GROVE_ENOACTOR);
}

/* --- state ------------------------------------------------------------------------------------ */

enum { LARGE_BYTES = 20000 };

struct large {
    unsigned char bytes[LARGE_BYTES];
};

static int sum_and_fill(struct play *me, const Play__V1__AddRequest *request,
                        Play__V1__AddResponse *response)
{
    struct large *large = (struct large *)me;

    for (size_t i = 0; i < LARGE_BYTES; i++)
        response->total += large->bytes[i];
    memset(large, (int)request->n, sizeof *large);
    return 0;
}

static void check_state_of(size_t bytes)
{
    static struct play_service sized;
    int64_t total = -1;
    grove_ref ref;

    sized = stage_player;
    sized.state_bytes = bytes;
    sized.add = sum_and_fill;
    for (int life = 0; life < 2; life++) {
        assert_int_equal(play_spawn(&sized, NULL, NULL, &ref), 0);
        assert_int_equal(stage_add(ref, 1, &total), 0);
        assert_int_equal(total, 0);
        assert_int_equal(stage_add(ref, 2, &total), 0);
        assert_int_equal(total, LARGE_BYTES);
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    }
}

static void test_a_state_larger_than_a_slot_begins_as_zeros_in_each_life(void **state)
{
    (void)state;
    check_state_of(sizeof(struct large));
}

static int total_only(struct play *me, const Play__V1__AddRequest *request,
                      Play__V1__AddResponse *response)
{
    unsigned char *bytes = (unsigned char *)me;

    for (int64_t i = 0; i < request->n; i++) {
        response->total += bytes[i];
        bytes[i] = 0xff;
    }
    return 0;
}

static void test_a_state_in_a_slot_begins_as_zeros_in_each_life(void **state)
{
    static const size_t sizes[] = {1, 48, 49, 112, 432, 1000, 4016};
    static struct play_service sized[sizeof sizes / sizeof sizes[0]];

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        sized[i] = stage_player;
        sized[i].state_bytes = sizes[i];
        sized[i].add = total_only;
        for (int life = 0; life < 2; life++) {
            int64_t total = -1;
            grove_ref ref;

            assert_int_equal(play_spawn(&sized[i], NULL, NULL, &ref), 0);
            assert_int_equal(stage_add(ref, (int64_t)sizes[i], &total), 0);
            assert_int_equal(total, 0);
            assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
        }
    }
}

/* --- labels ----------------------------------------------------------------------------------- */

static void test_a_label_is_copied_and_cut(void **state)
{
    char label[64] = "a-label-of-more-than-thirty-one-characters";
    grove_ref ref = stage_spawn(label);
    struct gv_task *task = gv_slot_find(ref.slot_generation);
    char text[64];

    (void)state;
    memset(label, 'x', sizeof label);
    task->class->describe(task, text, sizeof text);
    assert_string_equal(text, "play/a-label-of-more-than-thirty-one");
}

/* --- fairness --------------------------------------------------------------------------------- */

static struct script crowd[500], alone;

static int note_crowd(struct play *me, struct script *script)
{
    (void)me;
    for (unsigned i = 0; i < 500; i++)
        script->number += crowd[i].n_ends;
    return 0;
}

static void test_one_with_many_messages_does_not_make_the_next_one_wait_for_all(void **state)
{
    grove_ref many = stage_spawn(NULL), one = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Both are born. */
    alone = (struct script){.act = note_crowd};
    for (unsigned i = 0; i < 500; i++) {
        crowd[i] = (struct script){.act = act_nothing};
        assert_int_equal(stage_send(many, &crowd[i]), 0);
    }
    assert_int_equal(stage_send(one, &alone), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(alone.n_ends, 1);
    if (!gv_loop_here->shuffled) /* Else chance may have the first one run again and again. */
        assert_in_range(alone.number, 0, 64);
    assert_int_equal(crowd[499].n_ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_spawned_actor_answers),
        stage_test(test_an_actor_that_was_just_spawned_takes_messages_at_once),
        stage_test(test_spawn_refuses_functions_with_an_empty_slot_and_names_it),
        stage_test(test_spawn_refuses_a_service_without_actors),
        stage_test(test_spawn_refuses_functions_that_are_not_there),
        stage_test(test_spawn_refuses_bounds_and_places_that_cannot_be),
        stage_test(test_refs_of_stopped_actors_never_reach_their_successors),
        stage_test(test_nobody_and_refs_of_other_processes_are_no_actors),
        stage_test(test_a_state_larger_than_a_slot_begins_as_zeros_in_each_life),
        stage_test(test_a_state_in_a_slot_begins_as_zeros_in_each_life),
        stage_test(test_a_label_is_copied_and_cut),
        stage_test(test_one_with_many_messages_does_not_make_the_next_one_wait_for_all),
    };

    return cmocka_run_group_tests_name("actor", tests, stage_set_up, stage_tear_down);
}
