/*
 * The command line of a program that joins a pool on another machine: each
 * mistake is told in one line that says what to do, before anything begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ONLY_WORKER  GV_BUILD_ROOT "/tests/workers/only_worker"
#define GROVE_WORKER GV_BUILD_ROOT "/grove-worker"
#define FILES        " --cert a.pem --key a.key --ca ca.pem"

static char output[4096];

static int run(const char *program, const char *arguments)
{
    char line[512];
    size_t n_bytes;
    FILE *pipe;
    int status;

    (void)snprintf(line, sizeof line, "%s %s 2>&1", program, arguments); /* It fits. */
    pipe = popen(line, "r");
    assert_non_null(pipe);
    n_bytes = fread(output, 1, sizeof output - 1, pipe);
    output[n_bytes] = '\0';
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_told(const char *program, const char *arguments, const char *part)
{
    assert_int_equal(run(program, arguments), 2);
    if (strstr(output, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, output);
    assert_string_equal(strchr(output, '\n'), "\n");
}

static void test_a_wrong_address_is_told(void **state)
{
    (void)state;
    assert_told(ONLY_WORKER, "--connect", "a value is missing behind --connect");
    assert_told(ONLY_WORKER, "--connect tcp://bank:7000" FILES, "say tls+tcp:// instead of tcp://");
    assert_told(ONLY_WORKER, "--connect unix:///tmp/s" FILES, "tls+tcp://HOST:PORT, not unix:");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank" FILES, "tls+tcp://HOST:PORT, not");
    assert_told(ONLY_WORKER, "--connect tls+tcp://:7000" FILES, "tls+tcp://HOST:PORT, not");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:http" FILES, "tls+tcp://HOST:PORT, not");
}

static void test_a_missing_file_and_a_wrong_flag_are_told(void **state)
{
    (void)state;
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000", "missing is --cert");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000 --cert a.pem", "missing is --key");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000 --cert a.pem --key a.key",
                "missing is --ca");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000 --loud", "there is no argument --loud");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000 --workers 0" FILES, "is 1 to 256");
    assert_told(ONLY_WORKER, "--connect tls+tcp://bank:7000 --workers 257" FILES, "is 1 to 256");
    assert_told(GROVE_WORKER, "--connect tls+tcp://bank:7000" FILES, "--program FILE names");
    assert_told(GROVE_WORKER, "", "or --connect names a pool");
}

static void test_a_file_that_cannot_be_read_ends_it_with_its_name(void **state)
{
    (void)state;
    assert_int_equal(run(ONLY_WORKER, "--connect tls+tcp://127.0.0.1:7" FILES), 1);
    assert_non_null(strstr(output, "a.pem: No such file"));
}

static void test_help_is_given(void **state)
{
    (void)state;
    assert_int_equal(run(ONLY_WORKER, "--help"), 0);
    assert_non_null(strstr(output, "usage: "));
    assert_non_null(strstr(output, "without: this one"));
    assert_int_equal(run(GROVE_WORKER, "-h"), 0);
    assert_null(strstr(output, "without: this one"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wrong_address_is_told),
        cmocka_unit_test(test_a_missing_file_and_a_wrong_flag_are_told),
        cmocka_unit_test(test_a_file_that_cannot_be_read_ends_it_with_its_name),
        cmocka_unit_test(test_help_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
