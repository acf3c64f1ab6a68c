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
    struct birth birth = {.total = 100};
    int64_t total = 0;
    grove_ref ref;

    (void)state;
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
    struct birth birth = {.nap_ms = 50};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref;

    (void)state;
    assert_int_equal(spawn_birth(&birth, true, &ref), 0);
    assert_true(stage_now_ms() - begin_ms >= 50);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_spawn_await_returns_what_init_returned_and_leaves_no_actor(void **state)
{
    struct birth birth = {.rc = -ENOENT};
    grove_ref ref;

    (void)state;
    assert_int_equal(spawn_birth(&birth, true, &ref), -ENOENT);
    assert_int_equal(grove_failure()->code, -ENOENT);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(birth.n_deinits, 0);
}

static void test_spawn_await_brings_the_reason_of_a_refusing_init(void **state)
{
    struct birth birth = {.rc = 3, .why = "no room in the inn"};
    grove_ref ref;

    (void)state;
    assert_int_equal(spawn_birth(&birth, true, &ref), 3);
    assert_string_equal(grove_why(), "no room in the inn");
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
}

static void test_spawn_await_keeps_an_older_reason_out_of_a_failing_init(void **state)
{
    struct birth birth = {.rc = 3, .why = "old"};
    grove_ref ref;

    (void)state;
    assert_int_equal(spawn_birth(&birth, true, &ref), 3);
    birth = (struct birth){.rc = -ENOENT};
    assert_int_equal(spawn_birth(&birth, true, &ref), -ENOENT);
    assert_string_equal(grove_failure()->text, "");
}

static void test_an_init_that_calls_grove_fail_has_failed_whatever_it_returns(void **state)
{
    struct birth birth = {.fails = true};
    grove_ref ref;

    (void)state;
    assert_int_equal(spawn_birth(&birth, true, &ref), GROVE_EDOWN);
    assert_string_equal(grove_why(), "born broken");
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static void test_calls_queued_behind_a_failing_init_get_enoactor(void **state)
{
    struct birth birth = {.rc = -EIO};
    grove_ref ref;

    (void)state;
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
    struct birth birth = {0};
    struct nursery nursery = {.birth = &birth};

    (void)state;
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

static int calling_deinit_rc;

static void calling_deinit(struct play *me)
{
    (void)me;
    calling_deinit_rc = grove_sleep_await(5);
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

static void test_far_spawn_await_returns_what_init_returned(void **state)
{
    struct birth birth = {.rc = -ENOENT};
    const struct birth *argument = &birth;
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1),
                                          .argument_bytes = sizeof argument};
    grove_ref ref;

    (void)state;
    with_birth = stage_player;
    with_birth.init = init_from_birth;
    assert_int_equal(play_spawn_await(&with_birth, &argument, &options, &ref), -ENOENT);
    birth.rc = 0;
    assert_int_equal(play_spawn_await(&with_birth, &argument, &options, &ref), 0);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
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
        cmocka_unit_test(test_a_spawned_actor_answers),
        cmocka_unit_test(test_an_actor_that_was_just_spawned_takes_messages_at_once),
        cmocka_unit_test(test_spawn_refuses_functions_with_an_empty_slot_and_names_it),
        cmocka_unit_test(test_spawn_refuses_a_service_without_actors),
        cmocka_unit_test(test_spawn_refuses_functions_that_are_not_there),
        cmocka_unit_test(test_spawn_refuses_bounds_and_places_that_cannot_be),
        cmocka_unit_test(test_refs_of_stopped_actors_never_reach_their_successors),
        cmocka_unit_test(test_nobody_and_refs_of_other_processes_are_no_actors),
        cmocka_unit_test(test_a_state_larger_than_a_slot_begins_as_zeros_in_each_life),
        cmocka_unit_test(test_a_state_in_a_slot_begins_as_zeros_in_each_life),
        cmocka_unit_test(test_init_is_the_first_turn_and_gets_a_copy_of_the_argument),
        cmocka_unit_test(test_spawn_await_waits_for_an_init_that_waits),
        cmocka_unit_test(test_spawn_await_returns_what_init_returned_and_leaves_no_actor),
        cmocka_unit_test(test_spawn_await_brings_the_reason_of_a_refusing_init),
        cmocka_unit_test(test_spawn_await_keeps_an_older_reason_out_of_a_failing_init),
        cmocka_unit_test(test_an_init_that_calls_grove_fail_has_failed_whatever_it_returns),
        cmocka_unit_test(test_calls_queued_behind_a_failing_init_get_enoactor),
        cmocka_unit_test(test_spawn_await_hears_of_a_child_that_is_stopped_before_its_init),
        cmocka_unit_test(test_a_child_killed_in_its_init_tells_its_spawner),
        cmocka_unit_test(test_a_label_is_copied_and_cut),
        cmocka_unit_test(test_drain_handles_what_is_queued_and_takes_nothing_more),
        cmocka_unit_test(test_now_finishes_the_running_handler_and_fails_what_is_queued),
        cmocka_unit_test(test_kill_ends_the_await_of_the_running_handler_and_all_later_ones),
        cmocka_unit_test(test_a_killed_handler_can_begin_no_new_call),
        cmocka_unit_test(test_stop_goes_before_all_queued_messages),
        cmocka_unit_test(test_an_actor_may_stop_itself_but_not_wait_for_it),
        cmocka_unit_test(test_stop_await_gives_up_at_its_deadline),
        cmocka_unit_test(test_deinit_may_wait_also_after_a_kill),
    };
    const struct CMUnitTest far_tests[] = {
        cmocka_unit_test(test_far_actors_answer_and_stop),
        cmocka_unit_test(test_far_spawn_await_returns_what_init_returned),
        cmocka_unit_test(test_far_spawn_and_stop_reuse_their_slots),
        cmocka_unit_test(test_stale_refs_from_another_loop_reach_nobody_while_slots_are_reborn),
    };
    int n = cmocka_run_group_tests_name("actor", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("actor, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
