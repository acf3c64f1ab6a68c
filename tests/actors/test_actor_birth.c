/*
 * Actors: first and last turns, and what init is given.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

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

/* --- arguments -------------------------------------------------------------------------------- */

enum { ARGUMENT_MAX = 600 };

static struct {
    size_t argument_bytes, state_bytes;
    unsigned n_right, n_wrong;
} expected;

/* The argument is a copy, and the state, where it may have lain, is all zeros. */
static int check_argument(struct play *me, const void *argument)
{
    const unsigned char *state = (const unsigned char *)me, *bytes = argument;
    bool right = true;

    for (size_t i = 0; i < expected.argument_bytes; i++)
        right = right && bytes[i] == (unsigned char)(i + 1);
    for (size_t i = 0; i < expected.state_bytes; i++)
        right = right && state[i] == 0;
    memset(me, 0xff, expected.state_bytes);
    *(right ? &expected.n_right : &expected.n_wrong) += 1;
    return 0;
}

static void check_arguments_at(int place)
{
    static const size_t argument_sizes[] = {1, 8, 24, 25, ARGUMENT_MAX};
    static const size_t state_sizes[] = {0, 1, 48, 112, 5000};
    static struct play_service sized[sizeof state_sizes / sizeof state_sizes[0]];
    unsigned n = 0;

    memset(&expected, 0, sizeof expected);
    for (size_t i = 0; i < sizeof state_sizes / sizeof state_sizes[0]; i++) {
        sized[i] = stage_player;
        sized[i].init = check_argument;
        sized[i].state_bytes = expected.state_bytes = state_sizes[i];
        for (size_t k = 0; k < 2 * sizeof argument_sizes / sizeof argument_sizes[0]; k++) {
            struct grove_spawn_options options = {.place = place,
                                                  .argument_bytes = argument_sizes[k / 2]};
            unsigned char argument[ARGUMENT_MAX];
            grove_ref ref;

            for (size_t b = 0; b < ARGUMENT_MAX; b++)
                argument[b] = (unsigned char)(b + 1);
            expected.argument_bytes = argument_sizes[k / 2];
            assert_int_equal(play_spawn(&sized[i], argument, &options, &ref), 0);
            memset(argument, 0xaa, sizeof argument);
            assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
            n++;
        }
    }
    assert_int_equal(expected.n_wrong, 0);
    assert_int_equal(expected.n_right, n);
}

static void test_init_gets_a_copy_of_an_argument_of_any_size_and_a_state_of_zeros(void **state)
{
    (void)state;
    check_arguments_at(GROVE_HERE);
}

static void test_a_child_that_is_stopped_before_its_init_leaves_nothing(void **state)
{
    static struct play_service sized;
    static const unsigned char argument[ARGUMENT_MAX];
    struct grove_spawn_options options = {.argument_bytes = sizeof argument};
    grove_ref ref;

    (void)state;
    memset(&expected, 0, sizeof expected);
    sized = stage_player;
    sized.init = check_argument;
    assert_int_equal(play_spawn(&sized, argument, &options, &ref), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(expected.n_right + expected.n_wrong, 0);
}

/* --- birth ------------------------------------------------------------------------------------ */

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

static void test_a_far_init_gets_a_copy_of_its_argument_too(void **state)
{
    (void)state;
    check_arguments_at(GROVE_ON_LOOP(1));
}

static void test_a_far_actor_without_init_takes_mail(void **state)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1)};
    int64_t total = 0;
    grove_ref ref;

    (void)state;
    assert_int_equal(play_spawn(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_add(ref, 5, &total), 0);
    assert_int_equal(total, 5);
    assert_int_equal(play_spawn(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_init_is_the_first_turn_and_gets_a_copy_of_the_argument),
        stage_test(test_init_gets_a_copy_of_an_argument_of_any_size_and_a_state_of_zeros),
        stage_test(test_a_child_that_is_stopped_before_its_init_leaves_nothing),
        stage_test(test_spawn_await_waits_for_an_init_that_waits),
        stage_test(test_spawn_await_returns_what_init_returned_and_leaves_no_actor),
        stage_test(test_spawn_await_brings_the_reason_of_a_refusing_init),
        stage_test(test_spawn_await_keeps_an_older_reason_out_of_a_failing_init),
        stage_test(test_an_init_that_calls_grove_fail_has_failed_whatever_it_returns),
        stage_test(test_calls_queued_behind_a_failing_init_get_enoactor),
        stage_test(test_spawn_await_hears_of_a_child_that_is_stopped_before_its_init),
        stage_test(test_a_child_killed_in_its_init_tells_its_spawner),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_far_spawn_await_returns_what_init_returned),
        stage_test(test_a_far_init_gets_a_copy_of_its_argument_too),
        stage_test(test_a_far_actor_without_init_takes_mail),
    };
    int n = cmocka_run_group_tests_name("actor birth", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("actor birth, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
