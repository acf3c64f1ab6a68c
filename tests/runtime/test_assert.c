/* A broken invariant: what is said of it, and how the process ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/assert.h"
#include "runtime/host_fault.h"
#include "tests/runtime/victim.h"

static void break_an_invariant(void)
{
    volatile int balance = -1;

    gv_assert(balance >= 0);
}

static void test_a_failed_assertion_names_condition_and_file_and_aborts(void **state)
{
    (void)state;
    assert_int_equal(signal_of(break_an_invariant), SIGABRT);
    assert_memory_equal(report, "grove: assertion failed: balance >= 0 (", 39);
    assert_non_null(strstr(report, "test_assert.c:"));
    assert_string_equal(report + strlen(report) - 2, ")\n");
}

static void keep_an_invariant(void)
{
    volatile int n = 0;

    gv_assert(++n == 1);
    _exit(n == 1 ? 0 : 1);
}

static void test_an_assertion_that_holds_is_silent(void **state)
{
    (void)state;
    assert_int_equal(signal_of(keep_an_invariant), 0);
    assert_string_equal(report, "");
}

static size_t describe(const void *address, const void *sp, char *text, size_t room)
{
    (void)address;
    (void)sp;
    return (size_t)snprintf(text, room, "actor account#4711 in account.Withdraw\n");
}

static void break_it_in_an_actor(void)
{
    gv_fault_describe = describe;
    break_an_invariant();
}

static void test_the_running_actor_is_named(void **state)
{
    (void)state;
    assert_int_equal(signal_of(break_it_in_an_actor), SIGABRT);
    assert_non_null(strstr(report, ")\nactor account#4711 in account.Withdraw\n"));
}

static size_t condition_bytes;

static void break_a_long_condition(void)
{
    char condition[2048];

    memset(condition, 'x', condition_bytes);
    condition[condition_bytes] = '\0';
    gv_fault_describe = describe;
    gv_assert_failed(condition, "f", 1);
}

static void test_a_condition_of_any_length_leaves_room_for_the_actor(void **state)
{
    (void)state;
    /* Around 1024 bytes of report, and far beyond. */
    for (condition_bytes = 985; condition_bytes < 1000; condition_bytes++) {
        assert_int_equal(signal_of(break_a_long_condition), SIGABRT);
        assert_non_null(strstr(report, "actor account#4711 in account.Withdraw\n"));
    }
    condition_bytes = sizeof(char[2048]) - 1;
    assert_int_equal(signal_of(break_a_long_condition), SIGABRT);
    assert_non_null(strstr(report, "actor account#4711 in account.Withdraw\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failed_assertion_names_condition_and_file_and_aborts),
        cmocka_unit_test(test_an_assertion_that_holds_is_silent),
        cmocka_unit_test(test_the_running_actor_is_named),
        cmocka_unit_test(test_a_condition_of_any_length_leaves_room_for_the_actor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
