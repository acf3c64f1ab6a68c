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
#include <unistd.h>

#include <cmocka.h>

#include "runtime/host.h"
#include "runtime/host_fault.h"
#include "tests/runtime/victim.h"

static size_t describe(const void *address, const void *sp, char *text, size_t room)
{
    (void)address;
    (void)sp;
    return (size_t)snprintf(text, room, "actor account#4711 in account.Withdraw\n");
}

/* What a child does before it breaks. */
static void prepare(void)
{
    (void)setenv("GROVE_FAULT", "1", 1);
    gv_fault_describe = describe;
    gv_fault_install();
}

static void *volatile wild = (void *)0x1230;

__attribute__((no_sanitize("undefined"))) static void write_wildly(void)
{
    *(volatile int *)wild = 1;
}

static void break_wildly(void)
{
    prepare();
    write_wildly();
}

static void test_a_wild_write_is_reported_with_address_and_actor(void **state)
{
    (void)state;
    assert_int_equal(signal_of(break_wildly), SIGSEGV);
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

    prepare();
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
    prepare();
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
    prepare();
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
