/* Children, readiness of descriptors, signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/world/sockets.h"

static struct grove_process *spawn(const char *const *arguments,
                                   const struct grove_process_options *options)
{
    struct grove_process *process = NULL;

    assert_int_equal(grove_process_spawn(arguments, options, &process), 0);
    return process;
}

/* --- children -------------------------------------------------------------------------------------- */

static void test_a_child_reads_and_writes_through_streams(void **state)
{
    struct grove_stream *input, *output;
    struct grove_process_options options = {.input = &input, .output = &output};
    struct grove_process_end end;
    struct grove_process *process = spawn((const char *const[]){"cat", NULL}, &options);
    char bytes[8];
    size_t n_bytes;

    (void)state;
    assert_true(grove_process_id(process) > 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_write_await(input, "miau", 4), 0);
        assert_int_equal(grove_read_all_await(output, bytes, 4), 0);
        assert_memory_equal(bytes, "miau", 4);
    }
    grove_stream_close(input); /* the end of its input */
    assert_int_equal(grove_read_await(output, bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 0);
    assert_int_equal(grove_process_wait_await(process, &end), 0);
    assert_int_equal(end.status, 0);
    assert_int_equal(grove_process_id(process), 0);
    assert_int_equal(grove_process_kill(process, SIGTERM), -ESRCH);
    grove_stream_close(output);
    grove_process_close(process);
}

static void test_a_child_without_input_reads_nothing_and_not_ours(void **state)
{
    struct grove_stream *output;
    struct grove_process_options options = {.output = &output};
    struct grove_process *process;
    int ours[2], kept = dup(STDIN_FILENO);
    char bytes[8];
    size_t n_bytes;

    (void)state;
    assert_int_equal(pipe(ours), 0);
    assert_int_equal(write(ours[1], "ours", 4), 4);
    assert_int_equal(close(ours[1]), 0);
    assert_int_equal(dup2(ours[0], STDIN_FILENO), STDIN_FILENO);
    process = spawn((const char *const[]){"cat", NULL}, &options);
    assert_int_equal(grove_read_await(output, bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 0);
    assert_int_equal(grove_process_wait_await(process, NULL), 0);
    assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(kept) | close(ours[0]), 0);
    grove_stream_close(output);
    grove_process_close(process);
}

struct child_waiter {
    struct grove_process *process;
    int rc;
    bool begun;
};

static void wait_for_child(void *argument)
{
    struct child_waiter *waiter = argument;

    waiter->begun = true;
    waiter->rc = grove_process_wait_await(waiter->process, NULL);
}

static void test_one_turn_waits_for_a_child_and_is_told_when_another_one_closes_it(void **state)
{
    struct child_waiter waiter = {
        .process = spawn((const char *const[]){"sleep", "1000", NULL}, NULL), .rc = 1};
    grove_ref who;

    (void)state;
    assert_int_equal(grove_go(wait_for_child, &waiter, NULL, &who), 0);
    while (!waiter.begun)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_process_wait_await(waiter.process, NULL), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "another turn waits"));
    grove_process_close(waiter.process);
    for (int i = 0; waiter.rc == 1 && i < 5000; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(waiter.rc, GROVE_ECANCELED);
    join(who);
}

static void test_status_errors_directory_and_environment(void **state)
{
    static const char *const environment[] = {"WHO=grove", NULL};
    struct grove_stream *output, *errors;
    struct grove_process_options options = {
        .output = &output, .errors = &errors, .environment = environment, .directory = "/usr"};
    struct grove_process_options together = {.output = &output, .errors_to_output = true};
    const char *const shell[] = {"/bin/sh", "-c", "echo $WHO; pwd; cat; echo no >&2; exit 7", NULL};
    struct grove_process_end end;
    struct grove_process *process = spawn(shell, &options);
    char line[64];

    (void)state;
    assert_int_equal(grove_read_line_await(output, line, sizeof line, NULL), 0);
    assert_string_equal(line, "grove");
    assert_int_equal(grove_read_line_await(output, line, sizeof line, NULL), 0);
    assert_string_equal(line, "/usr");
    assert_int_equal(grove_read_line_await(errors, line, sizeof line, NULL), 0);
    assert_string_equal(line, "no");
    assert_int_equal(grove_process_wait_await(process, &end), 0);
    assert_int_equal(end.status, 7);
    assert_int_equal(end.signal, 0);
    grove_process_close(process);
    grove_stream_close(output);
    grove_stream_close(errors);
    process = spawn((const char *const[]){"/bin/sh", "-c", "echo both >&2", NULL}, &together);
    assert_int_equal(grove_read_line_await(output, line, sizeof line, NULL), 0);
    assert_string_equal(line, "both");
    grove_process_close(process);
    grove_stream_close(output);
}

static void test_a_wait_has_a_deadline_and_a_signal_ends_the_child(void **state)
{
    struct grove_process_end end;
    struct grove_process *process = spawn((const char *const[]){"sleep", "60", NULL}, NULL);

    (void)state;
    grove_within(10);
    assert_int_equal(grove_process_wait_await(process, &end), GROVE_ETIMEDOUT);
    assert_int_equal(grove_process_kill(process, SIGTERM), 0);
    assert_int_equal(grove_process_wait_await(process, &end), 0);
    assert_int_equal(end.status, -1);
    assert_int_equal(end.signal, SIGTERM);
    grove_process_close(process);
}

static int forgotten;

static void forget_child(void *argument)
{
    (void)argument;
    forgotten = grove_process_id(spawn((const char *const[]){"sleep", "60", NULL}, NULL));
}

static void test_a_forgotten_child_dies_with_its_owner(void **state)
{
    grove_ref who;

    (void)state;
    assert_int_equal(grove_go(forget_child, NULL, NULL, &who), 0);
    join(who);
    while (kill(forgotten, 0) == 0) /* also reaped */
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(errno, ESRCH);
}

static void test_what_is_no_program_is_told_at_once(void **state)
{
    struct grove_stream *output;
    struct grove_process_options options = {.output = &output};
    struct grove_process *process;

    (void)state;
    assert_int_equal(
        grove_process_spawn((const char *const[]){"no-such-program", NULL}, &options, &process),
        -ENOENT);
    assert_non_null(strstr(grove_why(), "start no-such-program"));
    assert_int_equal(
        grove_process_spawn((const char *const[]){"/etc/passwd", NULL}, &options, &process),
        -EACCES);
    assert_int_equal(grove_process_spawn((const char *const[]){NULL}, NULL, &process),
                     GROVE_EUSAGE);
}

/* --- readiness ------------------------------------------------------------------------------------- */

static void write_later(void *argument)
{
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(write(*(int *)argument, "x", 1), 1);
}

static void test_descriptors_are_waited_for(void **state)
{
    unsigned ready = 0;
    int fds[2], file;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(grove_poll_await(fds[0], GROVE_READABLE | GROVE_WRITABLE, &ready), 0);
    assert_int_equal(ready, GROVE_WRITABLE);
    grove_within(5);
    assert_int_equal(grove_poll_await(fds[0], GROVE_READABLE, &ready), GROVE_ETIMEDOUT);
    assert_int_equal(grove_go(write_later, &fds[1], NULL, NULL), 0);
    assert_int_equal(grove_poll_await(fds[0], GROVE_READABLE, &ready), 0);
    assert_int_equal(ready, GROVE_READABLE);
    assert_int_equal(grove_poll_await(fds[0], 0, &ready), GROVE_EUSAGE);
    assert_int_equal(grove_poll_await(-1, GROVE_READABLE, &ready), -EBADF);
    file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_int_equal(grove_poll_await(file, GROVE_READABLE, &ready), -EPERM);
    assert_int_equal(close(file), 0);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void poll_for_ever(void *argument)
{
    *(int *)argument = grove_poll_await(*(int *)argument, GROVE_READABLE, NULL);
}

static void test_a_stop_ends_a_poll(void **state)
{
    int fds[2], shared;
    grove_ref who;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    shared = fds[0];
    assert_int_equal(grove_go(poll_for_ever, &shared, NULL, &who), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(grove_poll_await(fds[0], GROVE_READABLE, NULL), GROVE_EUSAGE);
    assert_int_equal(grove_stop_await(who, GROVE_STOP_KILL), 0);
    assert_int_equal(shared, GROVE_ECANCELED);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

/* --- signals ------------------------------------------------------------------------------------- */

static void test_signals_are_heard_also_before_the_wait(void **state)
{
    struct grove_signals *signals;
    int number = 0;

    (void)state;
    assert_int_equal(grove_signals_open((const int[]){SIGUSR1, SIGUSR2}, 2, &signals), 0);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(grove_signal_await(signals, &number), 0);
    assert_int_equal(number, SIGUSR2);
    grove_within(5);
    assert_int_equal(grove_signal_await(signals, &number), GROVE_ETIMEDOUT);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(grove_signal_await(signals, &number), 0);
    assert_int_equal(number, SIGUSR1);
    grove_signals_close(signals);
    assert_int_equal(grove_signals_open((const int[]){SIGKILL}, 1, &signals), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "cannot be caught"));
    assert_int_equal(grove_signals_open((const int[]){0}, 1, &signals), GROVE_EUSAGE);
}

static int set_up(void **state)
{
    (void)state;
    stage_open_loops(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_child_reads_and_writes_through_streams),
        stage_test(test_a_child_without_input_reads_nothing_and_not_ours),
        stage_test(test_one_turn_waits_for_a_child_and_is_told_when_another_one_closes_it),
        stage_test(test_status_errors_directory_and_environment),
        stage_test(test_a_wait_has_a_deadline_and_a_signal_ends_the_child),
        stage_test(test_a_forgotten_child_dies_with_its_owner),
        stage_test(test_what_is_no_program_is_told_at_once),
        stage_test(test_descriptors_are_waited_for),
        stage_test(test_a_stop_ends_a_poll),
        stage_test(test_signals_are_heard_also_before_the_wait),
    };

    return cmocka_run_group_tests_name("process", tests, set_up, stage_tear_down);
}
