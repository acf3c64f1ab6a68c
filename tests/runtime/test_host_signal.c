/* Signals: watched on a loop, handled on a thread of their own. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/runtime/host_world.h"

struct ear {
    unsigned n;
    int last;
    unsigned close_after;
    struct gv_signals *signals;
};

static void hear(void *owner, int signal)
{
    struct ear *ear = owner;

    ear->last = signal;
    if (++ear->n == ear->close_after)
        env->signals_close(ear->signals);
}

static int open_ear(struct ear *ear, uint64_t set)
{
    *ear = (struct ear){.n = 0};
    return env->signals_open(poller, set, hear, ear, &ear->signals);
}

static struct sigaction action_of(int signal)
{
    struct sigaction action;

    assert_int_equal(sigaction(signal, NULL, &action), 0);
    return action;
}

static void test_a_watched_signal_comes_on_the_loop_to_all_who_watch_it(void **state)
{
    struct ear one, both;

    (void)state;
    assert_int_equal(open_ear(&one, gv_signal_bit(SIGUSR1)), 0);
    assert_int_equal(open_ear(&both, gv_signal_bit(SIGUSR1) | gv_signal_bit(SIGTERM)), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    POLL_UNTIL(one.n == 1 && both.n == 1);
    assert_int_equal(one.last, SIGUSR1);
    assert_int_equal(both.last, SIGUSR1);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    POLL_UNTIL(both.n == 2);
    assert_int_equal(both.last, SIGTERM);
    assert_int_equal(one.n, 1);
    env->signals_close(one.signals);
    env->signals_close(both.signals);
}

static void test_the_last_watcher_gives_a_signal_back_the_effect_it_had(void **state)
{
    struct ear first, second;

    (void)state;
    assert_true(signal(SIGUSR2, SIG_IGN) == SIG_DFL);
    assert_int_equal(open_ear(&first, gv_signal_bit(SIGUSR2)), 0);
    assert_int_equal(open_ear(&second, gv_signal_bit(SIGUSR2)), 0);
    env->signals_close(first.signals);
    assert_true(action_of(SIGUSR2).sa_handler != SIG_IGN);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    POLL_UNTIL(second.n == 1);
    env->signals_close(second.signals);
    assert_true(action_of(SIGUSR2).sa_handler == SIG_IGN);
    assert_int_equal(kill(getpid(), SIGUSR2), 0); /* Ends nobody. */
    assert_true(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
}

static void test_a_watcher_may_close_while_it_is_told(void **state)
{
    struct ear ear;

    (void)state;
    assert_int_equal(open_ear(&ear, gv_signal_bit(SIGUSR1)), 0);
    ear.close_after = 1;
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    POLL_UNTIL(ear.n == 1);
    assert_true(action_of(SIGUSR1).sa_handler == SIG_DFL);
}

static void test_what_nobody_can_catch_cannot_be_watched_and_then_nothing_is(void **state)
{
    struct ear ear;

    (void)state;
    assert_int_equal(open_ear(&ear, gv_signal_bit(SIGKILL)), -EINVAL);
    assert_int_equal(open_ear(&ear, gv_signal_bit(SIGUSR1) | gv_signal_bit(SIGSEGV)), -EINVAL);
    assert_int_equal(open_ear(&ear, gv_signal_bit(33)), -EINVAL);
    assert_int_equal(open_ear(&ear, 0), -EINVAL);
    assert_true(action_of(SIGUSR1).sa_handler == SIG_DFL);
}

static pthread_t handled_on;
static _Atomic(unsigned) n_handled;

static void handle(int signal)
{
    (void)signal;
    handled_on = pthread_self();
    n_handled++;
}

static void test_a_loop_handles_no_signal_of_the_program_but_another_thread_does(void **state)
{
    sigset_t before, during, after;

    (void)state;
    assert_true(signal(SIGUSR1, handle) == SIG_DFL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    env->signals_block(env->world);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &during), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    while (n_handled == 0)
        (void)usleep(100);
    env->signals_restore(env->world);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_false(pthread_equal(handled_on, pthread_self()));
    assert_true(sigismember(&during, SIGUSR1) && sigismember(&during, SIGTERM));
    assert_false(sigismember(&during, SIGSEGV));
    assert_false(sigismember(&after, SIGUSR1));
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    assert_true(signal(SIGUSR1, SIG_DFL) == handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_watched_signal_comes_on_the_loop_to_all_who_watch_it),
        cmocka_unit_test(test_the_last_watcher_gives_a_signal_back_the_effect_it_had),
        cmocka_unit_test(test_a_watcher_may_close_while_it_is_told),
        cmocka_unit_test(test_what_nobody_can_catch_cannot_be_watched_and_then_nothing_is),
        cmocka_unit_test(test_a_loop_handles_no_signal_of_the_program_but_another_thread_does),
    };

    return cmocka_run_group_tests_name("host_signal", tests, open_world, close_world);
}
