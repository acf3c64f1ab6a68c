/*
 * The first line of a program's main, seen from outside: a program that is
 * run with variables and arguments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PROGRAM GV_BUILD_ROOT "/tests/workers/init_program"

static char output[4096]; /* both of its streams */

/* Runs the program with these variables and arguments; returns its exit status. */
static int status_of(const char *variables, const char *arguments)
{
    char line[1024];
    size_t n_bytes;
    FILE *pipe;
    int status;

    (void)snprintf(line, sizeof line, "env %s %s %s 2>&1", variables, PROGRAM, arguments);
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n_bytes = fread(output, 1, sizeof output - 1, pipe);
    output[n_bytes] = '\0';
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_one_line(const char *part)
{
    const char *end = strchr(output, '\n');

    if (strstr(output, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, output);
    assert_non_null(end);
    assert_string_equal(end, "\n");
}

static void test_a_variable_that_is_no_number_ends_the_program_with_one_line(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_LOOPS=many", ""), 2);
    assert_one_line("option loops: \"many\" is no number from 0 to 63 threads\n");
    assert_int_equal(status_of("GROVE_INLINE=7", ""), 2);
    assert_one_line("option inline: \"7\" is no number from 0 to 2\n");
}

static void test_a_variable_that_does_not_exist_is_a_warning(void **state)
{
    int status = status_of("GROVE_LOOPS=1", "");

    (void)state;
    assert_null(strstr(output, "option.unknown"));
    assert_int_equal(status_of("GROVE_LOOP=2 GROVE_LOOPS=1", ""), status);
    assert_non_null(strstr(output, " warn option.unknown variable=GROVE_LOOP\n"));
}

static void test_a_flag_that_does_not_exist_ends_the_program_with_one_line(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "--grove-x=y"), 2);
    assert_one_line("there is no option \"x\"");
}

static void test_flags_of_grove_are_taken_out_and_others_left(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_LOOPS=1", "a --grove-loops=2 --verbose -- --grove-x=y"), 0);
    assert_string_equal(output, "a\n--verbose\n--\n--grove-x=y\nloops=2 end=1\n");
}

static void test_a_worker_that_no_pool_started_says_so_in_one_line(void **state)
{
    (void)state;
    assert_int_equal(status_of("", "--begin-worker"), 2);
    assert_one_line("init_program: this program is a worker: a pool of workers starts it");
}

static void test_a_wrong_variable_ends_a_worker_too(void **state)
{
    (void)state;
    assert_int_equal(status_of("GROVE_POOL_WORKER=1 GROVE_LOOPS=many", ""), 2);
    assert_one_line("option loops");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_variable_that_is_no_number_ends_the_program_with_one_line),
        cmocka_unit_test(test_a_variable_that_does_not_exist_is_a_warning),
        cmocka_unit_test(test_a_flag_that_does_not_exist_ends_the_program_with_one_line),
        cmocka_unit_test(test_flags_of_grove_are_taken_out_and_others_left),
        cmocka_unit_test(test_a_worker_that_no_pool_started_says_so_in_one_line),
        cmocka_unit_test(test_a_wrong_variable_ends_a_worker_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
