/* Blocking runs: how many at once, where their end is told. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/runtime/host_world.h"

struct meeting {
    atomic_uint n_here;
    atomic_uint n_strangers; /* runs that were on the poller's thread */
    unsigned n_done;
    pthread_t home;
};

static struct meeting meeting;

/* Blocks until 16 have come: with fewer threads it would be for ever. */
static void meet(void *argument)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    (void)argument;
    atomic_fetch_add(&meeting.n_strangers, pthread_equal(pthread_self(), meeting.home) != 0);
    atomic_fetch_add(&meeting.n_here, 1);
    while (atomic_load(&meeting.n_here) < 16)
        (void)nanosleep(&moment, NULL);
}

static void on_met(void *argument)
{
    (void)argument;
    meeting.n_strangers += pthread_equal(pthread_self(), meeting.home) == 0;
    meeting.n_done++;
}

static int run_on(struct gv_poller *where, enum gv_blocking kind)
{
    const struct gv_blocking_job job = {meet, on_met, NULL};

    return env->blocking_run(where, kind, &job);
}

static void test_sixteen_runs_may_block_at_once_and_more_wait_their_turn(void **state)
{
    (void)state;
    meeting = (struct meeting){.home = pthread_self()};
    for (int i = 0; i < 200; i++)
        assert_int_equal(run_on(poller, GV_BLOCKING_USERS), 0);
    assert_int_equal(meeting.n_done, 0);
    POLL_UNTIL(meeting.n_done == 200);
    assert_int_equal(meeting.n_here, 200);
    assert_int_equal(meeting.n_strangers, 0);
}

/* All threads of one pool are taken: the runs of another kind are done all the same. */
static void test_runs_of_one_kind_do_not_wait_for_those_of_another(void **state)
{
    (void)state;
    meeting = (struct meeting){.home = pthread_self()};
    for (int i = 0; i < 15; i++)
        assert_int_equal(run_on(poller, GV_BLOCKING_USERS), 0);
    assert_int_equal(run_on(poller, GV_BLOCKING_NAMES), 0); /* the sixteenth */
    POLL_UNTIL(meeting.n_done == 16);

    meeting = (struct meeting){.home = pthread_self()};
    for (int i = 0; i < 16 + 4; i++) /* more than one pool has threads */
        assert_int_equal(run_on(poller, i < 15 ? GV_BLOCKING_FILES : GV_BLOCKING_NAMES), 0);
    POLL_UNTIL(meeting.n_done == 20);
}

static void test_a_poller_closes_after_its_runs_are_done(void **state)
{
    struct gv_poller *other;

    (void)state;
    assert_int_equal(env->poller_open(env->world, 1, &other), 0);
    meeting = (struct meeting){.home = pthread_self(), .n_here = 16};
    assert_int_equal(run_on(other, GV_BLOCKING_FILES), 0);
    env->poller_close(other);
    assert_int_equal(meeting.n_done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sixteen_runs_may_block_at_once_and_more_wait_their_turn),
        cmocka_unit_test(test_runs_of_one_kind_do_not_wait_for_those_of_another),
        cmocka_unit_test(test_a_poller_closes_after_its_runs_are_done),
    };

    return cmocka_run_group_tests_name("host_blocking", tests, open_world, close_world);
}
