/*
 * Who can neither be taken away at a stop deadline nor waited for ends the
 * process: on the CPU, or in a call that blocks, on any loop, loop 0 and main
 * among them, with and without the stall watch. A program does it; here is
 * read how it ended.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PROGRAM GV_BUILD_ROOT "/tests/actors/stuck_program"

static char output[16384];

/* Runs the program on two loops with these variables; returns its exit status, or 128 + the signal. */
static int status_of(const char *variables, const char *way)
{
    char line[1024];
    size_t n_bytes;
    FILE *pipe;
    int status;

    (void)snprintf(line, sizeof line, "exec env GROVE_LOOPS=2 GROVE_STALL=off %s %s '%s' 2>&1",
                   variables, PROGRAM, way); /* It fits. */
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n_bytes = fread(output, 1, sizeof output - 1, pipe);
    output[n_bytes] = '\0';
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void assert_told(const char *part)
{
    if (strstr(output, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, output);
}

static void assert_names_the_mule(void)
{
    assert_told(" error stop.stuck ");
    assert_told("task=play/mule method=play.v1.PlayService/Perform since_ms=");
    assert_told("advice=\"what computes long or blocks cannot be stopped");
}

static void test_a_handler_on_the_cpu_ends_the_process_at_its_deadline(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "cpu"), 70);
    assert_names_the_mule();
    assert_told("on_loop=1");
}

static void test_so_does_one_in_a_call_that_blocks(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "blocked"), 70);
    assert_names_the_mule();
}

static void test_with_the_stall_watch_it_is_told_what_it_is_in(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STALL=warn", "blocked"), 70);
    assert_names_the_mule();
    assert_told("is=\"in ");
    assert_told("nanosleep");
}

static void test_so_does_one_on_loop_0(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "home"), 70);
    assert_names_the_mule();
    assert_told("on_loop=0");
}

static void test_so_does_a_child_whose_supervisor_has_killed_it(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "child"), 70);
    assert_names_the_mule();
}

static void test_so_does_one_that_waits_for_a_thread_which_uses_its_stack(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "thread"), 70);
    assert_told(" error stop.stuck ");
    assert_told("task=play/mule method=play.v1.PlayService/Perform since_ms=");
    assert_told("in a call on a thread");
}

static void test_one_that_ends_soon_behind_its_deadline_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "late"), 0);
    assert_string_equal(output, "over\n");
}

static void test_whoever_is_late_because_of_another_ends_nothing(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "other"), 0);
    assert_null(strstr(output, "stop.stuck"));
}

static void test_after_sigterm_loop_0_is_not_held_up_for_ever(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STOP_MS=300", "terminate home"), 70);
    assert_names_the_mule();
    assert_told("on_loop=0");
}

static void test_nor_is_another_loop(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STOP_MS=1500", "terminate far"), 70);
    assert_names_the_mule();
    assert_told("on_loop=1");
}

static void test_nor_does_main_itself_hold_the_end_up(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STOP_MS=300", "terminate main"), 70);
    assert_told("on_loop=0 task=main method=none");
}

static void test_nor_a_handler_the_end_that_main_asks_for(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STOP_MS=300", "deinit home"), 70);
    assert_names_the_mule();
}

static void test_nor_a_call_on_a_thread_that_nobody_waits_for_any_more(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_STOP_MS=300", "deinit thread"), 70);
    assert_told("in a call on a thread that does not return");
}

static void test_a_signal_during_the_start_is_kept_if_that_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "early"), 0);
    assert_string_equal(output, "over\n");
    assert_int_equal(status_of("", "early unasked"), 128 + SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_handler_on_the_cpu_ends_the_process_at_its_deadline),
        cmocka_unit_test(test_so_does_one_in_a_call_that_blocks),
        cmocka_unit_test(test_with_the_stall_watch_it_is_told_what_it_is_in),
        cmocka_unit_test(test_so_does_one_on_loop_0),
        cmocka_unit_test(test_so_does_a_child_whose_supervisor_has_killed_it),
        cmocka_unit_test(test_so_does_one_that_waits_for_a_thread_which_uses_its_stack),
        cmocka_unit_test(test_one_that_ends_soon_behind_its_deadline_does_no_harm),
        cmocka_unit_test(test_whoever_is_late_because_of_another_ends_nothing),
        cmocka_unit_test(test_after_sigterm_loop_0_is_not_held_up_for_ever),
        cmocka_unit_test(test_nor_is_another_loop),
        cmocka_unit_test(test_nor_does_main_itself_hold_the_end_up),
        cmocka_unit_test(test_nor_a_handler_the_end_that_main_asks_for),
        cmocka_unit_test(test_nor_a_call_on_a_thread_that_nobody_waits_for_any_more),
        cmocka_unit_test(test_a_signal_during_the_start_is_kept_if_that_was_asked_for),
    };

    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
