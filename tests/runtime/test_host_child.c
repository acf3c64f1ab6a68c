/* The birth of children: what they get, and what is kept from them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/host_shell.h"

static void test_a_program_that_cannot_run_is_an_error_of_spawn(void **state)
{
    char *none[] = {NULL};
    struct gv_process_options options = {
        .program = "/no/such/program", .arguments = none, .environment = none};
    struct gv_process *process;
    struct end end;

    (void)state;
    assert_int_equal(env->process_spawn(poller, &options, on_exited, &end, &process), -ENOENT);
    options.program = "/etc/passwd";
    assert_int_equal(env->process_spawn(poller, &options, on_exited, &end, &process), -EACCES);
    options.program = "/bin/true";
    options.descriptors = (const int[]){999};
    options.n_descriptors = 1;
    assert_int_equal(env->process_spawn(poller, &options, on_exited, &end, &process), -EBADF);
    options.n_descriptors = 1000;
    assert_int_equal(env->process_spawn(poller, &options, on_exited, &end, &process), -E2BIG);
}

static void test_a_child_inherits_what_was_given_and_nothing_else(void **state)
{
    char text[4096];
    int stray = dup(STDOUT_FILENO); /* not close-on-exec, and to be kept from the child */

    (void)state;
    assert_true(stray >= 0);
    assert_int_equal(setenv("GROVE_STRAY", "1", 1), 0);
    run_shell("echo \"$GROVE_TEST,$GROVE_STRAY\" >&3; echo /proc/self/fd/* >&3", text,
              sizeof(text));
    assert_int_equal(unsetenv("GROVE_STRAY"), 0);
    assert_non_null(strstr(text, "a value,\n"));
    assert_non_null(strstr(text, "/proc/self/fd/3"));
    for (int fd = 4; fd < 10; fd++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "/fd/%d", fd);
        if (strstr(text, name) != NULL) { /* the shell's own look into the folder */
            assert_null(strstr(strstr(text, name) + 5, "/fd/"));
            break;
        }
    }
    assert_int_equal(close(stray), 0);
}

static void test_descriptors_may_trade_places(void **state)
{
    char text[64] = "";
    struct end end;
    int first[2], second[2], fds[2];

    (void)state;
    assert_int_equal(pipe2(first, O_CLOEXEC) | pipe2(second, O_CLOEXEC), 0);
    /* 4 becomes 3 and 3 becomes 4, if they are what pipe gives; the two written ends crosswise. */
    fds[0] = first[1] > second[1] ? first[1] : second[1];
    fds[1] = first[1] > second[1] ? second[1] : first[1];
    (void)spawn_shell("echo high >&3; echo low >&4", fds, 2, &end);
    POLL_UNTIL(end.n == 1);
    assert_int_equal(read(first[0], text, sizeof(text)), 4);
    assert_memory_equal(text, "low\n", 4);
    assert_int_equal(read(second[0], text, sizeof(text)), 5);
    assert_memory_equal(text, "high\n", 5);
    assert_int_equal(close(first[0]) | close(first[1]) | close(second[0]) | close(second[1]), 0);
}

static void test_a_child_is_modest_and_has_no_odd_signals(void **state)
{
    char text[4096], wanted[64];
    sigset_t set, old;

    (void)state;
    assert_int_equal(sigemptyset(&set) | sigaddset(&set, SIGTERM), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
    run_shell("cat /proc/self/oom_score_adj /proc/self/status >&3; ulimit -c >&3; nice >&3", text,
              sizeof(text));
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    assert_memory_equal(text, "500\n", 4);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    /* SIGPIPE kills a worker; HUP (1), INT (2) and TERM (15), which reach whole groups, do not. */
    assert_non_null(strstr(text, "SigIgn:\t0000000000004003"));
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    (void)snprintf(wanted, sizeof(wanted), "\n0\n%d\n",
                   getpriority(PRIO_PROCESS, 0) + 3 > 19 ? 19 : getpriority(PRIO_PROCESS, 0) + 3);
    assert_string_equal(text + strlen(text) - strlen(wanted), wanted);
}

/* A parent that spawns, tells the pid, and is killed: the child must not live on. */
static void test_a_child_dies_with_its_parent(void **state)
{
    int pids[2], life[2], pid = 0;
    pid_t parent;
    char byte;

    (void)state;
    assert_int_equal(pipe2(pids, O_CLOEXEC) | pipe2(life, O_CLOEXEC), 0);
    parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        char *arguments[] = {"sleep", "1000", NULL};
        struct gv_process_options options = {.program = "/bin/sleep",
                                             .arguments = arguments,
                                             .environment = arguments + 2,
                                             .descriptors = &life[1],
                                             .n_descriptors = 1};

        pid = gv_host_child_start(&options);
        (void)!write(pids[1], &pid, sizeof(pid));
        (void)raise(SIGKILL);
    }
    assert_int_equal(close(life[1]), 0);
    assert_int_equal(read(pids[0], &pid, sizeof(pid)), sizeof(pid));
    assert_true(pid > 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(life[0], &byte, 1), 0); /* the child held the last end */
    assert_int_equal(close(life[0]) | close(pids[0]) | close(pids[1]), 0);
}

/* --- group ------------------------------------------------------------------------------------ */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_that_cannot_run_is_an_error_of_spawn),
        cmocka_unit_test(test_a_child_inherits_what_was_given_and_nothing_else),
        cmocka_unit_test(test_descriptors_may_trade_places),
        cmocka_unit_test(test_a_child_is_modest_and_has_no_odd_signals),
        cmocka_unit_test(test_a_child_dies_with_its_parent),
    };
    const struct CMUnitTest old_tests[] = {
        cmocka_unit_test(test_a_program_that_cannot_run_is_an_error_of_spawn),
        cmocka_unit_test(test_a_child_inherits_what_was_given_and_nothing_else),
    };

    return cmocka_run_group_tests_name("host_child", tests, open_world, close_world)
           + cmocka_run_group_tests_name("host_child, old kernel", old_tests,
                                         open_world_as_before_linux_5, close_world_as_now);
}
