/* Pollers and their threads: waits end when they should, wakes are not lost. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/host.h"

enum { N_ROUNDS = 20000 };

static const struct gv_env *env;

static struct gv_poller *open_poller(void)
{
    struct gv_poller *poller;

    assert_int_equal(env->poller_open(env->world, 0, &poller), 0);
    return poller;
}

static void test_a_look_does_not_wait(void **state)
{
    struct gv_poller *poller = open_poller();

    (void)state;
    for (int i = 0; i < 100; i++)
        env->poller_poll(poller, 0);
    env->poller_close(poller);
}

static void test_a_timeout_below_a_millisecond_ends_the_wait(void **state)
{
    struct gv_poller *poller = open_poller();
    uint64_t start = env->now_ns(env->world);

    (void)state;
    env->poller_poll(poller, 1);
    env->poller_poll(poller, 999999);
    assert_true(env->now_ns(env->world) - start < 2000000000);
    env->poller_close(poller);
}

/* The host may be slow, so only the shorter side of a wait can be held against it. */
static uint64_t waited_ns(struct gv_poller *poller, int64_t timeout_ns)
{
    uint64_t start = env->now_ns(env->world);

    env->poller_poll(poller, timeout_ns);
    return env->now_ns(env->world) - start;
}

static void
test_a_wait_is_no_shorter_than_its_timeout_and_one_of_many_is_hardly_longer(void **state)
{
    struct gv_poller *poller = open_poller();
    uint64_t least_ns = UINT64_MAX;

    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t ns = waited_ns(poller, 200000);

        assert_true(ns >= 200000);
        least_ns = ns < least_ns ? ns : least_ns;
    }
    assert_true(least_ns < 900000); /* Whole milliseconds would not do. */
    env->poller_close(poller);
}

static void test_without_a_timerfd_a_wait_is_no_shorter_either(void **state)
{
    struct gv_poller *poller;

    (void)state;
    gv_host_old_kernel = true;
    poller = open_poller();
    gv_host_old_kernel = false;
    for (int i = 0; i < 5; i++)
        assert_true(waited_ns(poller, 200000) >= 200000);
    env->poller_poll(poller, 0);
    env->poller_close(poller);
}

/* The wake ends the first wait; its alarm is still set, and may end one more, but not two. */
static void test_an_alarm_that_nobody_waits_for_any_more_ends_at_most_one_wait(void **state)
{
    struct gv_poller *poller = open_poller();

    (void)state;
    env->poller_wake(poller);
    env->poller_poll(poller, 2000000);
    (void)waited_ns(poller, 20000000);
    assert_true(waited_ns(poller, 20000000) >= 20000000);
    env->poller_close(poller);
}

/* A sooner timeout than the one before it is not forgotten over the later alarm. */
static void test_a_sooner_timeout_moves_the_alarm(void **state)
{
    struct gv_poller *poller = open_poller();

    (void)state;
    env->poller_wake(poller);
    env->poller_poll(poller, INT64_C(3600000000000));
    assert_true(waited_ns(poller, 1000000) < 10000000000);
    env->poller_close(poller);
}

static void test_a_stale_clock_of_the_loop_does_not_make_a_wait_endless(void **state)
{
    struct gv_poller *poller = open_poller();
    uint64_t start = env->now_ns(env->world);

    (void)state;
    /* libuv's clock stands still while we compute; the timer then is due before the wait begins. */
    while (env->now_ns(env->world) - start < 5000000)
        continue;
    env->poller_poll(poller, 1000000);
    env->poller_close(poller);
}

static void test_a_wake_before_the_poll_ends_it(void **state)
{
    struct gv_poller *poller = open_poller();

    (void)state;
    for (int i = 0; i < 100; i++) {
        env->poller_wake(poller);
        env->poller_wake(poller);
        env->poller_poll(poller, -1);
    }
    env->poller_close(poller);
}

/* Two threads hand a number to and fro; each sleeps in its poller meanwhile. */
struct pair {
    struct gv_poller *pollers[2];
    atomic_int turn;
    atomic_uint n_stray_signals;
};

static void play(struct pair *pair, int me)
{
    for (int i = 0; i < N_ROUNDS; i++) {
        while (atomic_load(&pair->turn) != me)
            env->poller_poll(pair->pollers[me], -1);
        atomic_store(&pair->turn, !me);
        env->poller_wake(pair->pollers[!me]);
    }
}

static void play_second(void *argument)
{
    struct pair *pair = argument;
    sigset_t mask;

    if (pthread_sigmask(SIG_BLOCK, NULL, &mask) != 0 || !sigismember(&mask, SIGTERM)
        || !sigismember(&mask, SIGPROF) || sigismember(&mask, SIGSEGV))
        atomic_fetch_add(&pair->n_stray_signals, 1);
    play(pair, 1);
}

static void test_no_wake_is_lost_between_two_threads(void **state)
{
    struct pair pair = {.pollers = {open_poller(), open_poller()}};
    uint64_t start = env->now_ns(env->world);

    (void)state;
    assert_int_equal(env->thread_start(env->world, pair.pollers[1], play_second, &pair), 0);
    play(&pair, 0);
    env->thread_join(pair.pollers[1]);
    print_message("a wake of another thread takes %u ns\n",
                  (unsigned)((env->now_ns(env->world) - start) / (2 * N_ROUNDS)));
    assert_int_equal(pair.n_stray_signals, 0);
    env->poller_close(pair.pollers[0]);
    env->poller_close(pair.pollers[1]);
}

static void test_the_makers_signal_mask_is_as_before(void **state)
{
    struct pair pair = {.pollers = {open_poller(), open_poller()}};
    sigset_t mask;

    (void)state;
    assert_int_equal(env->thread_start(env->world, pair.pollers[1], play_second, &pair), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    play(&pair, 0);
    env->thread_join(pair.pollers[1]);
    assert_false(sigismember(&mask, SIGTERM));
    env->poller_close(pair.pollers[0]);
    env->poller_close(pair.pollers[1]);
}

/* Posts of several threads all arrive, those of one thread in their order. */
struct note {
    struct gv_post post;
    unsigned number;
    unsigned *last;
    unsigned *n_wrong;
};

struct poster {
    struct gv_poller *poller;
    struct note notes[1000];
    unsigned last;
    unsigned n_wrong;
    pthread_t thread;
};

static void take_note(void *owner)
{
    struct note *note = owner;

    if (note->number != *note->last + 1)
        ++*note->n_wrong;
    *note->last = note->number;
}

static void *post_all(void *argument)
{
    struct poster *poster = argument;

    for (unsigned i = 0; i < 1000; i++) {
        struct note *note = &poster->notes[i];

        *note = (struct note){{NULL, take_note, note}, i + 1, &poster->last, &poster->n_wrong};
        gv_host_post(poster->poller, &note->post);
    }
    return NULL;
}

static void test_posts_arrive_all_and_in_order(void **state)
{
    static struct poster posters[3];
    struct gv_poller *poller = open_poller();

    (void)state;
    for (int i = 0; i < 3; i++) {
        posters[i].poller = poller;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        while (posters[i].last < 1000)
            env->poller_poll(poller, -1);
        assert_int_equal(posters[i].n_wrong, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    env->poller_close(poller);
}

/* A post that is made while others run comes too late for this round, and must bring another. */
struct chain {
    struct gv_post post;
    struct gv_poller *poller;
    unsigned n_runs;
};

static void post_again(void *owner)
{
    struct chain *chain = owner;

    if (++chain->n_runs < 100)
        gv_host_post(chain->poller, &chain->post);
}

static void test_a_post_made_while_posts_run_is_not_lost(void **state)
{
    struct chain chain = {.poller = open_poller()};

    (void)state;
    chain.post = (struct gv_post){NULL, post_again, &chain};
    gv_host_post(chain.poller, &chain.post);
    for (int i = 0; i < 200 && chain.n_runs < 100; i++)
        env->poller_poll(chain.poller, 1000000000);
    assert_int_equal(chain.n_runs, 100);

    /* One's own cost no wake, and a wait does not begin before they have run. */
    chain.n_runs = 99;
    gv_host_post_here(chain.poller, &chain.post);
    env->poller_poll(chain.poller, -1);
    assert_int_equal(chain.n_runs, 100);
    env->poller_close(chain.poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_look_does_not_wait),
        cmocka_unit_test(test_a_timeout_below_a_millisecond_ends_the_wait),
        cmocka_unit_test(
            test_a_wait_is_no_shorter_than_its_timeout_and_one_of_many_is_hardly_longer),
        cmocka_unit_test(test_without_a_timerfd_a_wait_is_no_shorter_either),
        cmocka_unit_test(test_an_alarm_that_nobody_waits_for_any_more_ends_at_most_one_wait),
        cmocka_unit_test(test_a_sooner_timeout_moves_the_alarm),
        cmocka_unit_test(test_a_stale_clock_of_the_loop_does_not_make_a_wait_endless),
        cmocka_unit_test(test_a_wake_before_the_poll_ends_it),
        cmocka_unit_test(test_no_wake_is_lost_between_two_threads),
        cmocka_unit_test(test_the_makers_signal_mask_is_as_before),
        cmocka_unit_test(test_posts_arrive_all_and_in_order),
        cmocka_unit_test(test_a_post_made_while_posts_run_is_not_lost),
    };

    env = gv_env_host();
    return cmocka_run_group_tests_name("host_poller", tests, NULL, NULL);
}
