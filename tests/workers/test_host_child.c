/* What a worker process begins with, and the signals it does not hear. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/host_worker.h"
#include "workers/pool.h"

static struct gv_host_child child;

/* How often a variable that begins like this is passed on. */
static unsigned n_of(const char *begin)
{
    unsigned n = 0;

    for (char **variable = child.environment; *variable != NULL; variable++)
        n += strncmp(*variable, begin, strlen(begin)) == 0;
    return n;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void test_a_child_is_this_program_with_one_argument_for_people(void **state)
{
    (void)state;
    gv_host_child_prepare(&child, NULL, "screening");
    assert_string_equal(child.program, "/proc/self/exe");
    assert_string_equal(child.arguments[0], program_invocation_name);
    assert_string_equal(child.arguments[1], "--grove-worker=screening");
    assert_null(child.arguments[2]);
}

static void test_another_program_may_be_named(void **state)
{
    (void)state;
    gv_host_child_prepare(&child, "/usr/bin/other", "p");
    assert_string_equal(child.program, "/usr/bin/other");
    assert_string_equal(child.arguments[0], "/usr/bin/other");
}

static void test_only_known_variables_are_passed_on(void **state)
{
    (void)state;
    set("PASSWORD", "secret");
    set("PATHOLOGICAL", "1");
    set("LC_TIME", "C");
    set("GROVE_QUANTUM_US", "100");
    gv_host_child_prepare(&child, NULL, "p");
    assert_int_equal(n_of("PASSWORD"), 0);
    assert_int_equal(n_of("PATHOLOGICAL"), 0);
    assert_int_equal(n_of("LC_TIME=C"), 1);
    assert_int_equal(n_of("GROVE_QUANTUM_US=100"), 1);
}

static void test_variables_of_ours_are_given_once_whatever_was_set(void **state)
{
    (void)state;
    set("GROVE_POOL_WORKER", "5");
    set("GROVE_LOG_LEVEL", "nonsense");
    gv_host_child_prepare(&child, NULL, "p");
    assert_int_equal(n_of("GROVE_POOL_WORKER="), 1);
    assert_int_equal(n_of("GROVE_POOL_WORKER=1"), 1);
    assert_int_equal(n_of("GROVE_LOG_LEVEL="), 1);
    assert_int_equal(n_of("GROVE_LOG_LEVEL=nonsense"), 0);
}

static void test_more_variables_than_fit_are_left_out_and_ours_are_not(void **state)
{
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "GROVE_MANY_%u", i); /* It fits. */
        set(name, "1");
    }
    gv_host_child_prepare(&child, NULL, "p");
    assert_int_equal(n_of(""), 63);
    assert_int_equal(n_of("GROVE_POOL_WORKER=1"), 1);
    assert_int_equal(n_of("GROVE_LOG_LEVEL="), 1);
}

static void test_a_worker_outlives_what_ends_its_group_and_leaves_without_clean_up(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        gv_host_worker_begin();
        (void)atexit(abort); /* It must not run. */
        (void)raise(SIGINT);
        (void)raise(SIGTERM);
        (void)raise(SIGHUP);
        gv_host_worker_end(17);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child_is_this_program_with_one_argument_for_people),
        cmocka_unit_test(test_another_program_may_be_named),
        cmocka_unit_test(test_only_known_variables_are_passed_on),
        cmocka_unit_test(test_variables_of_ours_are_given_once_whatever_was_set),
        cmocka_unit_test(test_more_variables_than_fit_are_left_out_and_ours_are_not),
        cmocka_unit_test(test_a_worker_outlives_what_ends_its_group_and_leaves_without_clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
