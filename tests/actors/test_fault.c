/*
 * Who was running when the process broke: what the report of a real program
 * says, and how that program ends.
 */
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

#include "actors/fault.h"
#include "runtime/loop.h"
#include "runtime/sanitize.h"
#include "tests/runtime/victim.h"

#define PROGRAM GV_BUILD_ROOT "/tests/actors/fault_program"
#define SHARED  GV_BUILD_ROOT "/tests/actors/fault_shared"

static const char *program = PROGRAM, *way;

static void run_program(void)
{
    (void)execl(program, program, way, NULL);
    _exit(127);
}

/* Runs the program that breaks in this way and returns the signal that ended it. */
static int signal_that_ended(const char *how)
{
    way = how;
    return signal_of(run_program);
}

static void assert_actor_and_method_are_named(void)
{
    assert_reported("clumsy");
    assert_reported("while handling play.v1.PlayService/Perform\n");
}

/* They do it better, and the reporter leaves it to them. */
static void skip_what_sanitizers_report(void)
{
    if (GV_SANITIZED)
        skip();
}

/* The stack is told in lines, too, from the function that broke on. */
static void assert_lines(const char *innermost, const char *function)
{
    char line[128];

    (void)snprintf(line, sizeof line, "\n  %s %s at tests/actors/fault_program.c:", innermost,
                   function); /* It fits. */
    assert_reported(line);
    assert_reported("\n  from gv_actor_dispatch at actors/");
}

static void test_an_overflow_of_a_greenlets_stack_is_called_that(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    assert_int_equal(signal_that_ended("overflow"), SIGSEGV);
    assert_actor_and_method_are_named();
    assert_reported("STACK OVERFLOW of ");
    assert_reported("do this work in a WORKER rpc");
    assert_reported("\n  at   descend at tests/actors/fault_program.c:");
}

static void test_an_overflow_in_a_handler_that_main_calls_inline_is_called_that_too(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    assert_int_equal(signal_that_ended("overflow of main"), SIGSEGV);
    assert_actor_and_method_are_named();
    assert_reported("STACK OVERFLOW of play/clumsy");
}

static void test_a_write_through_null_names_who_did_it_and_is_no_overflow(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    assert_int_equal(signal_that_ended("wild"), SIGSEGV);
    assert_actor_and_method_are_named();
    assert_null(strstr(report, "STACK OVERFLOW"));
    assert_lines("at  ", "write_wildly");
}

static void test_an_abort_names_who_was_running_and_where(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    assert_int_equal(signal_that_ended("abort"), SIGABRT);
    assert_reported("grove: SIGABRT, pc 0x");
    assert_actor_and_method_are_named();
    assert_lines("from", "give_up");
}

static void test_lines_are_told_where_the_library_is_a_shared_one_too(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    program = SHARED;
    assert_int_equal(signal_that_ended("wild"), SIGSEGV);
    program = PROGRAM;
    assert_reported("in greenlet/clumsy while handling no message\n");
    assert_reported("\n  at   write_wildly at tests/actors/fault_shared.c:");
    assert_reported(" at runtime/");
}

static void test_without_lines_there_is_the_raw_report(void **state)
{
    (void)state;
    skip_what_sanitizers_report();
    assert_int_equal(setenv("GROVE_FAULT", "raw", 1), 0);
    assert_int_equal(signal_that_ended("wild"), SIGSEGV);
    assert_int_equal(unsetenv("GROVE_FAULT"), 0);
    assert_actor_and_method_are_named();
    assert_reported("\n  from 0x");
    assert_null(strstr(report, "fault_program.c:"));
}

static void test_a_failed_assertion_names_who_was_running(void **state)
{
    (void)state;
    assert_int_equal(signal_that_ended("assert"), SIGABRT);
    assert_reported("grove: assertion failed: script->number == 4711");
    assert_actor_and_method_are_named();
    assert_null(strstr(report, "STACK OVERFLOW"));
    if (!GV_SANITIZED)
        assert_lines("from", "fail_assertion");
}

static void test_a_thread_without_a_loop_has_nothing_to_say(void **state)
{
    char text[256] = "";

    (void)state;
    assert_int_equal(gv_fault_who(&text, &text, text, sizeof text), 0);
}

static void test_a_worker_process_is_called_one(void **state)
{
    const struct grove_method method = {.name = "play.v1.PlayService/Perform"};
    char text[256] = "", expected[256];
    struct gv_turn turn = {.method = &method};
    static struct gv_loop loop;

    (void)state;
    loop.turn = &turn;
    gv_loop_here = &loop;
    assert_true(gv_fault_who(NULL, NULL, text, sizeof text) > 0);
    gv_loop_here = NULL;
    (void)snprintf(expected, sizeof expected, "in a worker process while handling %s\n",
                   method.name); /* It fits. */
    assert_string_equal(text, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_overflow_of_a_greenlets_stack_is_called_that),
        cmocka_unit_test(test_an_overflow_in_a_handler_that_main_calls_inline_is_called_that_too),
        cmocka_unit_test(test_a_write_through_null_names_who_did_it_and_is_no_overflow),
        cmocka_unit_test(test_an_abort_names_who_was_running_and_where),
        cmocka_unit_test(test_lines_are_told_where_the_library_is_a_shared_one_too),
        cmocka_unit_test(test_without_lines_there_is_the_raw_report),
        cmocka_unit_test(test_a_failed_assertion_names_who_was_running),
        cmocka_unit_test(test_a_thread_without_a_loop_has_nothing_to_say),
        cmocka_unit_test(test_a_worker_process_is_called_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
