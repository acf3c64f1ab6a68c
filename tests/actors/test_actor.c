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

/* --- init and deinit -------------------------------------------------------------------------- */

struct birth {
    int rc;
    uint32_t nap_ms;
    int n_inits, n_deinits;
    int64_t total;
    const char *why;
    bool fails;
};

static struct birth *born;

static int init_from_birth(struct play *me, const void *argument)
{
    struct birth *birth = born = *(struct birth *const *)argument;

    birth->n_inits++;
    me->total = birth->total;
    if (birth->nap_ms != 0)
        birth->rc = grove_sleep_await(birth->nap_ms);
    if (birth->fails)
        (void)grove_fail("born broken");
    else if (birth->why != NULL)
        (void)grove_refuse(birth->rc, "%s", birth->why);
    return birth->rc;
}

static void count_deinit(struct play *me)
{
    (void)me;
    born->n_deinits++;
}

static struct play_service with_birth;

static int spawn_birth(struct birth *birth, bool waiting, grove_ref *ref)
{
    const struct birth *argument = birth;
    struct grove_spawn_options options = {.argument_bytes = sizeof argument};

    with_birth = stage_player;
    with_birth.init = init_from_birth;
    with_birth.deinit = count_deinit;
    return waiting ? play_spawn_await(&with_birth, &argument, &options, ref)
                   : play_spawn(&with_birth, &argument, &options, ref);
}

static void test_init_is_the_first_turn_and_gets_a_copy_of_the_argument(void **state)
{
    static struct birth birth;
    int64_t total = 0;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.total = 100};
    assert_int_equal(spawn_birth(&birth, false, &ref), 0);
    assert_int_equal(birth.n_inits, 0);
    assert_int_equal(stage_add(ref, 1, &total), 0);
    assert_int_equal(birth.n_inits, 1);
    assert_int_equal(total, 101);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(birth.n_deinits, 1);
}

static void test_spawn_await_waits_for_an_init_that_waits(void **state)
{
    static struct birth birth;
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref;

    (void)state;
    birth = (struct birth){.nap_ms = 50};
    assert_int_equal(spawn_birth(&birth, true, &ref), 0);
    assert_true(stage_now_ms() - begin_ms >= 50);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_spawn_await_returns_what_init_returned_and_leaves_no_actor(void **state)
{
    static struct birth birth;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.rc = -ENOENT};
    assert_int_equal(spawn_birth(&birth, true, &ref), -ENOENT);
    assert_int_equal(grove_failure()->code, -ENOENT);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(birth.n_deinits, 0);
}

static void test_spawn_await_brings_the_reason_of_a_refusing_init(void **state)
{
    static struct birth birth;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.rc = 3, .why = "no room in the inn"};
    assert_int_equal(spawn_birth(&birth, true, &ref), 3);
    assert_string_equal(grove_why(), "no room in the inn");
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
}

static void test_spawn_await_keeps_an_older_reason_out_of_a_failing_init(void **state)
{
    static struct birth birth;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.rc = 3, .why = "old"};
    assert_int_equal(spawn_birth(&birth, true, &ref), 3);
    birth = (struct birth){.rc = -ENOENT};
    assert_int_equal(spawn_birth(&birth, true, &ref), -ENOENT);
    assert_string_equal(grove_failure()->text, "");
}

static void test_an_init_that_calls_grove_fail_has_failed_whatever_it_returns(void **state)
{
    static struct birth birth;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.fails = true};
    assert_int_equal(spawn_birth(&birth, true, &ref), GROVE_EDOWN);
    assert_string_equal(grove_why(), "born broken");
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static void test_calls_queued_behind_a_failing_init_get_enoactor(void **state)
{
    static struct birth birth;
    grove_ref ref;

    (void)state;
    birth = (struct birth){.rc = -EIO};
    assert_int_equal(spawn_birth(&birth, false, &ref), 0);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
}

struct nursery {
    struct birth *birth;
    grove_ref ref;
    int rc;
    bool done;
};

static void go_spawn(void *argument)
{
    struct nursery *nursery = argument;

    nursery->rc = spawn_birth(nursery->birth, true, &nursery->ref);
    nursery->done = true;
}

static void go_stop_child(void *argument)
{
    struct nursery *nursery = argument;

    if (!grove_ref_is_nobody(nursery->ref))
        (void)grove_stop(nursery->ref, GROVE_STOP_NOW); /* It may have gone already. */
}

static void test_spawn_await_hears_of_a_child_that_is_stopped_before_its_init(void **state)
{
    static struct birth birth;
    struct nursery nursery = {.birth = &birth};

    (void)state;
    birth = (struct birth){0};
    /* In this order: the spawner, which queues its child; the stopper; the child. A shuffled queue may differ. */
    assert_int_equal(grove_go(go_spawn, &nursery, NULL, NULL), 0);
    assert_int_equal(grove_go(go_stop_child, &nursery, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_true(nursery.done);
    assert_int_equal(nursery.rc, birth.n_inits > 0 ? 0 : GROVE_ENOACTOR);
    assert_int_equal(birth.n_deinits, birth.n_inits > 0 && stage_add(nursery.ref, 1, NULL) != 0);
}

static int stop_child_then_nap(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    return grove_stop(grove_self(), GROVE_STOP_KILL) != 0 ? -EIO : grove_sleep_await(1000);
}

static void test_a_child_killed_in_its_init_tells_its_spawner(void **state)
{
    static struct play_service suicidal;
    grove_ref ref;

    (void)state;
    suicidal = stage_player;
    suicidal.init = stop_child_then_nap;
    assert_int_equal(play_spawn_await(&suicidal, NULL, NULL, &ref), GROVE_ECANCELED);
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

/* --- two loops -------------------------------------------------------------------------------- */

static void test_far_spawn_await_returns_what_init_returned(void **state)
{
    static struct birth birth;
    const struct birth *argument = &birth;
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1),
                                          .argument_bytes = sizeof argument};
    grove_ref ref;

    (void)state;
    birth = (struct birth){.rc = -ENOENT};
    with_birth = stage_player;
    with_birth.init = init_from_birth;
    assert_int_equal(play_spawn_await(&with_birth, &argument, &options, &ref), -ENOENT);
    birth.rc = 0;
    assert_int_equal(play_spawn_await(&with_birth, &argument, &options, &ref), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
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
        stage_test(test_init_is_the_first_turn_and_gets_a_copy_of_the_argument),
        stage_test(test_spawn_await_waits_for_an_init_that_waits),
        stage_test(test_spawn_await_returns_what_init_returned_and_leaves_no_actor),
        stage_test(test_spawn_await_brings_the_reason_of_a_refusing_init),
        stage_test(test_spawn_await_keeps_an_older_reason_out_of_a_failing_init),
        stage_test(test_an_init_that_calls_grove_fail_has_failed_whatever_it_returns),
        stage_test(test_calls_queued_behind_a_failing_init_get_enoactor),
        stage_test(test_spawn_await_hears_of_a_child_that_is_stopped_before_its_init),
        stage_test(test_a_child_killed_in_its_init_tells_its_spawner),
        stage_test(test_a_label_is_copied_and_cut),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_spawn_await_returns_what_init_returned),
    };
    int n = cmocka_run_group_tests_name("actor", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("actor, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
