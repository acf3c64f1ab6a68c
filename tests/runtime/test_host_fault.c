/* The report of a memory fault: what it says, and how the process ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/host.h"
#include "runtime/host_fault.h"

static char report[16384];

static size_t describe(const void *address, const void *sp, char *text, size_t room)
{
    (void)address;
    (void)sp;
    return (size_t)snprintf(text, room, "actor account#4711 in account.Withdraw\n");
}

/* Runs break_it in a child and returns the signal that ended it; its words are in report. */
static int signal_of(void (*break_it)(void))
{
    size_t n_bytes = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)setenv("GROVE_FAULT", "1", 1);
        gv_fault_describe = describe;
        gv_fault_install();
        break_it();
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    for (ssize_t n; (n = read(ends[0], report + n_bytes, sizeof(report) - 1 - n_bytes)) > 0;)
        n_bytes += (size_t)n;
    report[n_bytes] = '\0';
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void assert_reported(const char *text)
{
    if (strstr(report, text) == NULL)
        fail_msg("no \"%s\" in:\n%s", text, report);
}

static void *volatile wild = (void *)0x1230;

__attribute__((no_sanitize("undefined"))) static void write_wildly(void)
{
    *(volatile int *)wild = 1;
}

static void test_a_wild_write_is_reported_with_address_and_actor(void **state)
{
    (void)state;
    assert_int_equal(signal_of(write_wildly), SIGSEGV);
    assert_reported("grove: SIGSEGV at address 0x1230, pc 0x");
    assert_reported("test_host_fault");
    assert_reported("actor account#4711 in account.Withdraw\n");
    assert_reported("  from 0x");
}

/*
 * As far as the compiler knows the whole frame is used, so that it keeps its
 * size. With small frames 8 MiB hold more of them than the 65536 that thread
 * sanitizer has room for in its own list of callers. It then writes beyond
 * that list, and the process may die where no handler can run.
 */
__attribute__((noinline)) static int descend(volatile int depth)
{
    volatile char frame[1000];

    __asm__ volatile("" : : "r"(frame) : "memory");
    frame[0] = (char)depth;
    return depth == 0 ? 0 : descend(depth + 1) + frame[0];
}

static void overflow_in_thread(void *argument)
{
    (void)argument;
    (void)descend(1);
}

static void overflow(void)
{
    const struct gv_env *env = gv_env_host();
    struct gv_poller *poller;

    if (env->poller_open(env->world, 0, &poller) == 0
        && env->thread_start(env->world, poller, overflow_in_thread, NULL) == 0)
        env->thread_join(poller);
}

static void test_a_stack_overflow_of_a_loop_thread_is_reported(void **state)
{
    (void)state;
    assert_int_equal(signal_of(overflow), SIGSEGV);
    assert_reported("grove: SIGSEGV at address 0x");
    assert_reported("actor account#4711");
}

static void divide(void)
{
    (void)raise(SIGFPE);
}

static void test_a_signal_sent_by_hand_ends_the_process_too(void **state)
{
    (void)state;
    assert_int_equal(signal_of(divide), SIGFPE);
    assert_reported("grove: SIGFPE");
    assert_reported("sent by a process");
}

static size_t describe_badly(const void *address, const void *sp, char *text, size_t room)
{
    (void)address;
    (void)sp;
    (void)text;
    (void)room;
    write_wildly();
    return 0;
}

static void break_describe(void)
{
    gv_fault_describe = describe_badly;
    write_wildly();
}

static void test_a_fault_while_describing_still_ends_with_the_first_line(void **state)
{
    (void)state;
    assert_int_equal(signal_of(break_describe), SIGSEGV);
    assert_reported("grove: SIGSEGV at address 0x1230");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wild_write_is_reported_with_address_and_actor),
        cmocka_unit_test(test_a_stack_overflow_of_a_loop_thread_is_reported),
        cmocka_unit_test(test_a_signal_sent_by_hand_ends_the_process_too),
        cmocka_unit_test(test_a_fault_while_describing_still_ends_with_the_first_line),
    };

    return cmocka_run_group_tests_name("host_fault", tests, NULL, NULL);
}
