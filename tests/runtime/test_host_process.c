/* Lives and ends of children. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/host_shell.h"

static void test_a_status_and_a_signal_are_told(void **state)
{
    struct gv_process *process;
    struct end end;

    (void)state;
    (void)spawn_shell("exit 7", NULL, 0, &end);
    POLL_UNTIL(end.n == 1);
    assert_int_equal(end.status, 7);
    assert_int_equal(end.signal, 0);

    process = spawn_shell("exec sleep 100", NULL, 0, &end);
    assert_true(env->process_pid(process) > 0);
    assert_int_equal(env->process_kill(process, 0), 0);
    assert_int_equal(env->process_kill(process, SIGKILL), 0);
    POLL_UNTIL(end.n == 1);
    assert_int_equal(end.status, -1);
    assert_int_equal(end.signal, SIGKILL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
}

static void test_three_hundred_kills_leave_nothing_behind(void **state)
{
    static struct end ends[300];
    struct gv_process *processes[300];
    uint64_t start;
    int fd_before = dup(0), fd_after;

    (void)state;
    assert_int_equal(close(fd_before), 0);
    start = env->now_ns(env->world);
    for (int i = 0; i < 300; i++) {
        processes[i] = spawn_shell("exec sleep 1000", NULL, 0, &ends[i]);
        if (i % 3 != 0) /* a third dies at birth, the others when all are there */
            continue;
        assert_int_equal(env->process_kill(processes[i], SIGKILL), 0);
        POLL_UNTIL(ends[i].n == 1);
    }
    for (int i = 0; i < 300; i++)
        if (i % 3 != 0)
            assert_int_equal(env->process_kill(processes[i], SIGKILL), 0);
    for (int i = 0; i < 300; i++) {
        POLL_UNTIL(ends[i].n == 1);
        assert_int_equal(ends[i].signal, SIGKILL);
    }
    print_message("a life of a child takes %u us\n",
                  (unsigned)((env->now_ns(env->world) - start) / 300000));
    env->poller_poll(poller, 0);
    fd_after = dup(0);
    assert_int_equal(fd_after, fd_before);
    assert_int_equal(close(fd_after), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* --- group ------------------------------------------------------------------------------------ */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_status_and_a_signal_are_told),
        cmocka_unit_test(test_three_hundred_kills_leave_nothing_behind),
    };
    const struct CMUnitTest old_tests[] = {
        cmocka_unit_test(test_a_status_and_a_signal_are_told),
    };

    return cmocka_run_group_tests_name("host_process", tests, open_world, close_world)
           + cmocka_run_group_tests_name("host_process, old kernel", old_tests,
                                         open_world_as_before_linux_5, close_world_as_now);
}
