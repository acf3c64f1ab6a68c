/* The log and the last words, as the real world has them. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/host.h"

static const struct gv_env *env;

/* --- log -------------------------------------------------------------------------------------- */

static int old_stderr;

/* Puts fd in the place of standard error. */
static void begin_stderr(int fd)
{
    old_stderr = dup(STDERR_FILENO);
    assert_true(old_stderr >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void end_stderr(void)
{
    assert_int_equal(dup2(old_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(old_stderr), 0);
}

/* Writes lines until 100 were dropped in a row, then reads what came: whole lines only. */
static void check_full_log_drops_whole_lines(int reader, int writer)
{
    char line[1000], bytes[4096];
    uint64_t n_dropped = gv_host_log_dropped();
    size_t n_lines = 0, n_bytes = 0;

    memset(line, 'a', sizeof(line));
    begin_stderr(writer);
    for (int i = 0; i < 3000; i++)
        env->log_write(env->world, line, sizeof(line));
    end_stderr();
    n_dropped = gv_host_log_dropped() - n_dropped;
    assert_true(n_dropped >= 100);

    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    for (ssize_t n; (n = read(reader, bytes, sizeof(bytes))) > 0; n_bytes += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            n_lines += bytes[i] == '\n';
    assert_int_equal(n_lines, 3000 - n_dropped);
    assert_int_equal(n_bytes, n_lines * (sizeof(line) + 1));
}

static void test_a_full_pipe_drops_whole_lines_and_counts_them(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    check_full_log_drops_whole_lines(ends[0], ends[1]);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void test_a_full_socket_drops_lines_and_does_not_wait(void **state)
{
    int ends[2];
    uint64_t n_dropped = gv_host_log_dropped();

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    begin_stderr(ends[1]);
    for (int i = 0; i < 20000; i++)
        env->log_write(env->world, "a line of a log that nobody reads", 33);
    end_stderr();
    assert_true(gv_host_log_dropped() > n_dropped);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void test_a_line_is_cut_where_a_pipe_would_tear_it(void **state)
{
    static char line[10000], bytes[20000];
    int ends[2];

    (void)state;
    memset(line, 'b', sizeof(line));
    assert_int_equal(pipe(ends), 0);
    begin_stderr(ends[1]);
    env->log_write(env->world, line, sizeof(line));
    env->log_write(env->world, "short", 5);
    end_stderr();
    assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 4095 + 6);
    assert_memory_equal(bytes + 4094, "\nshort\n", 7);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void *write_lines(void *letter)
{
    char line[101];

    memset(line, *(char *)letter, sizeof(line));
    for (int i = 0; i < 200; i++)
        env->log_write(env->world, line, sizeof(line));
    return NULL;
}

static void test_lines_of_two_threads_do_not_mix(void **state)
{
    char letters[2] = {'a', 'b'};
    char line[102];
    pthread_t threads[2];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    begin_stderr(ends[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &letters[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    end_stderr();

    for (int i = 0; i < 400; i++) {
        assert_int_equal(read(ends[0], line, sizeof(line)), sizeof(line));
        assert_int_equal(line[101], '\n');
        for (int k = 1; k < 101; k++)
            assert_int_equal(line[k], line[0]);
    }
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

/* --- crash ------------------------------------------------------------------------------------ */

static void test_a_crash_reports_and_ends_by_sigabrt(void **state)
{
    char report[64] = "";
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        env->crash(env->world, "the end");
    }
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(read(ends[0], report, sizeof(report)), 8);
    assert_string_equal(report, "the end\n");
    assert_int_equal(close(ends[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_pipe_drops_whole_lines_and_counts_them),
        cmocka_unit_test(test_a_full_socket_drops_lines_and_does_not_wait),
        cmocka_unit_test(test_a_line_is_cut_where_a_pipe_would_tear_it),
        cmocka_unit_test(test_lines_of_two_threads_do_not_mix),
        cmocka_unit_test(test_a_crash_reports_and_ends_by_sigabrt),
    };

    env = gv_env_host();
    return cmocka_run_group_tests_name("host_log", tests, NULL, NULL);
}
