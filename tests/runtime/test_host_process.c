/* Children and the pages they share with us. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/host_world.h"

/* --- children --------------------------------------------------------------------------------- */

struct end {
    unsigned n;
    int status;
    int signal;
    uint64_t at_ns;
};

static void on_exited(void *owner, int status, int signal)
{
    struct end *end = owner;

    end->n++;
    end->status = status;
    end->signal = signal;
    end->at_ns = env->now_ns(env->world);
}

/* Runs a shell script with the descriptors given; what it prints on 3 may be read afterwards. */
static struct gv_process *spawn_shell(const char *script, const int *fds, unsigned n_fds,
                                      struct end *end)
{
    char *arguments[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    char *environment[] = {"GROVE_TEST=a value", "PATH=/usr/bin:/bin", NULL};
    struct gv_process_options options = {
        .program = "/bin/sh",
        .arguments = arguments,
        .environment = environment,
        .descriptors = fds,
        .n_descriptors = n_fds,
        .nice = 3,
    };
    struct gv_process *process;

    *end = (struct end){.n = 0};
    assert_int_equal(env->process_spawn(poller, &options, on_exited, end, &process), 0);
    return process;
}

/* What the script writes to its descriptor 3. */
static void run_shell(const char *script, char *text, size_t room)
{
    struct end end;
    size_t n_bytes = 0;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)spawn_shell(script, &ends[1], 1, &end);
    assert_int_equal(close(ends[1]), 0);
    for (ssize_t n; (n = read(ends[0], text + n_bytes, room - 1 - n_bytes)) > 0;)
        n_bytes += (size_t)n;
    text[n_bytes] = '\0';
    assert_int_equal(close(ends[0]), 0);
    POLL_UNTIL(end.n == 1);
    assert_int_equal(end.status, 0);
}

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
    assert_non_null(strstr(text, "SigIgn:\t0000000000000000")); /* SIGPIPE kills a worker */
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

/* --- pages ------------------------------------------------------------------------------------ */

static void test_a_page_is_shared_with_a_child_and_cannot_shrink(void **state)
{
    struct gv_page page, again;
    struct end end;

    (void)state;
    assert_int_equal(env->page_open(env->world, 8192, &page), 0);
    assert_int_equal(page.bytes, 8192);
    assert_int_equal(((char *)page.memory)[8191], 0);
    (void)spawn_shell("printf hello >&3", &page.fd, 1, &end);
    POLL_UNTIL(end.n == 1);
    assert_string_equal(page.memory, "hello");
    if (!gv_host_old_kernel) {
        assert_int_equal(ftruncate(page.fd, 0), -1);
        assert_int_equal(ftruncate(page.fd, 100000), -1);
    }

    assert_int_equal(env->page_inherit(env->world, dup(page.fd), 8192, &again), 0);
    ((char *)again.memory)[0] = 'j';
    assert_string_equal(page.memory, "jello");
    assert_int_equal(env->page_inherit(env->world, page.fd, 8193, &again), -EINVAL);
    assert_int_equal(env->page_inherit(env->world, 999, 1, &again), -EBADF);
    env->page_close(env->world, &page);
    assert_string_equal(again.memory, "jello");
    env->page_close(env->world, &again);
}

/* --- group ------------------------------------------------------------------------------------ */

static int open_all_as_before_linux_5(void **state)
{
    gv_host_old_kernel = true;
    return open_world(state);
}

static int close_world_as_now(void **state)
{
    gv_host_old_kernel = false;
    return close_world(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_status_and_a_signal_are_told),
        cmocka_unit_test(test_a_program_that_cannot_run_is_an_error_of_spawn),
        cmocka_unit_test(test_a_child_inherits_what_was_given_and_nothing_else),
        cmocka_unit_test(test_descriptors_may_trade_places),
        cmocka_unit_test(test_a_child_is_modest_and_has_no_odd_signals),
        cmocka_unit_test(test_a_child_dies_with_its_parent),
        cmocka_unit_test(test_three_hundred_kills_leave_nothing_behind),
        cmocka_unit_test(test_a_page_is_shared_with_a_child_and_cannot_shrink),
    };
    const struct CMUnitTest old_tests[] = {
        cmocka_unit_test(test_a_status_and_a_signal_are_told),
        cmocka_unit_test(test_a_program_that_cannot_run_is_an_error_of_spawn),
        cmocka_unit_test(test_a_child_inherits_what_was_given_and_nothing_else),
        cmocka_unit_test(test_a_page_is_shared_with_a_child_and_cannot_shrink),
    };

    return cmocka_run_group_tests_name("host_process", tests, open_world, close_world)
           + cmocka_run_group_tests_name("host_process, old kernel", old_tests,
                                         open_all_as_before_linux_5, close_world_as_now);
}
