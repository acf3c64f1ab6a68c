/*
 * grove supervise, as the program that it is.
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

#define GROVE      GV_BUILD_ROOT "/grove supervise "
#define SUPERVISED GV_BUILD_ROOT "/examples/supervised/supervised "

static char output[8192];

/* Runs a shell script; what it and its children say is in `output`. Returns its status. */
static int run(const char *script)
{
    char command[4096];
    size_t n;
    int status;
    FILE *pipe;

    assert_in_range(snprintf(command, sizeof command, "{ %s\n} 2>&1", script), 1,
                    sizeof command - 1);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    n = fread(output, 1, sizeof output - 1, pipe);
    output[n] = '\0';
    status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static unsigned count(const char *word)
{
    unsigned n = 0;

    for (const char *at = output; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void test_a_status_that_is_no_crash_is_passed_on(void **state)
{
    (void)state;
    assert_int_equal(run(GROVE "-- true"), 0);
    assert_string_equal(output, "");
    assert_int_equal(run(GROVE "-- sh -c 'exit 3'"), 3);
    assert_non_null(strstr(output, "exited with status 3; not restarted"));
    assert_int_equal(run(GROVE "-- sh -c 'echo \"$1\"' x 'a  b'"), 0);
    assert_string_equal(output, "a  b\n");
}

static void test_what_cannot_be_executed_is_told(void **state)
{
    (void)state;
    assert_int_equal(run(GROVE "-- /no/such/program"), 127);
    assert_non_null(strstr(output, "No such file"));
    assert_int_equal(run(GROVE "-- /etc/passwd"), 126);
    assert_non_null(strstr(output, "Permission denied"));
}

static void
test_a_program_whose_root_supervisor_gives_up_ends_with_70_and_is_restarted(void **state)
{
    (void)state;
    assert_int_equal(run(SUPERVISED "--exit"), 70);
    assert_int_equal(count("supervisor.escalated"), 1);
    /* Who gave up, which child was too much for it, how often, and why. */
    assert_non_null(strstr(output, "supervisor=supervisor/desk exit=70"));
    assert_non_null(strstr(output, "clerk/printer"));
    assert_non_null(strstr(output, "a paper jam in the printer"));
    assert_non_null(strstr(output, "1 times in 30000 ms"));
    assert_int_equal(run(GROVE "--limit 2 -- " SUPERVISED "--exit"), 69); /* It gives up. */
    assert_int_equal(count("supervisor.escalated"), 3);
}

static void test_every_wrong_flag_is_answered(void **state)
{
    static const char *const wrong[] = {"",
                                        "true",
                                        "--",
                                        "--limit",
                                        "--limit x --",
                                        "--limit=-1 -- true",
                                        "--limit= --",
                                        "--nothing -- true",
                                        "--stop 9999999 -- true"};
    char script[256];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)snprintf(script, sizeof script, GROVE "%s", wrong[i]); /* It fits. */
        assert_int_equal(run(script), 2);
        assert_int_equal(count("--help"), 1);
    }
    assert_int_equal(run(GV_BUILD_ROOT "/grove"), 2);
    assert_int_equal(run(GV_BUILD_ROOT "/grove fly"), 2);
    assert_int_equal(run(GROVE "--help"), 0);
    assert_non_null(strstr(output, "--window SECONDS"));
}

static void test_a_crash_is_reported_and_restarted_until_the_limit(void **state)
{
    (void)state;
    assert_int_equal(run(GROVE "--limit 3 -- sh -c 'echo runs; kill -SEGV $$'"), 69);
    assert_int_equal(count("runs\n"), 4);
    assert_int_equal(count("died of SIGSEGV"), 4);
    assert_int_equal(count("restart 1 in 0 ms"), 1);
    /* 50 ms and up to a quarter more; twice that. */
    assert_true(count("restart 2 in 5") + count("restart 2 in 6") == 1);
    assert_true(count("restart 3 in 1") == 1);
    assert_int_equal(count("3 restarts in 60 s: giving up"), 1);
}

static void test_status_70_is_restarted_and_others_with_any(void **state)
{
    (void)state;
    assert_int_equal(run("f=$(mktemp); " GROVE "-- sh -c 'echo x >>$0; test $(wc -l <$0) = 3 && "
                         "exit 0; exit 70' $f; s=$?; rm $f; exit $s"),
                     0);
    assert_int_equal(count("exited with status 70"), 2);
    assert_int_equal(run(GROVE "--any --limit 1 -- sh -c 'exit 5'"), 69);
    assert_int_equal(count("exited with status 5"), 2);
}

/* A program that says when it is there, and what signals it got. */
#define LISTENER                                                                               \
    "sh -c 'trap \"echo term; exit 0\" TERM; trap \"echo hup\" HUP; trap \"echo usr1\" USR1; " \
    "trap \"echo usr2\" USR2; echo there $$; while :; do sleep 0.01; done'"
#define UNTIL_THERE "while ! grep -q there $f; do sleep 0.01; done; "

static void test_signals_are_passed_on_and_the_asked_for_end_is_the_end(void **state)
{
    (void)state;
    assert_int_equal(run("f=$(mktemp); " GROVE "-- " LISTENER " >$f & p=$!; " UNTIL_THERE
                         "for s in HUP USR1 USR2; do kill -$s $p; l=$(echo $s | tr A-Z a-z); "
                         "while ! grep -q $l $f; do sleep 0.01; done; done; "
                         "kill -TERM $p; wait $p; s=$?; cat $f; rm $f; exit $s"),
                     0);
    assert_int_equal(count("hup\n") + count("usr1\n") + count("usr2\n") + count("term\n"), 4);
    assert_int_equal(count("there"), 1);
}

static void test_a_program_that_does_not_end_is_killed(void **state)
{
    (void)state;
    assert_int_equal(run("f=$(mktemp); " GROVE "--stop 1 -- sh -c 'trap \"\" TERM; echo there; "
                         "while :; do sleep 0.01; done' >$f & p=$!; " UNTIL_THERE
                         "kill -TERM $p; wait $p; s=$?; rm $f; exit $s"),
                     128 + 9);
    assert_int_equal(count("did not end in 1 s: killed"), 1);
    assert_int_equal(count("as it was asked to end"), 1);
}

static void test_the_program_dies_with_its_supervisor(void **state)
{
    (void)state;
    assert_int_equal(run("f=$(mktemp); " GROVE "-- sh -c 'echo there $$; while :; do sleep 0.01; "
                         "done' >$f & p=$!; " UNTIL_THERE "c=$(sed 's/there //' $f); rm $f; "
                         "kill -KILL $p; wait $p; n=0; "
                         "while kill -0 $c && test $n -lt 500; do sleep 0.01; n=$((n+1)); done "
                         "2>/dev/null; test $n -lt 500"),
                     0);
}

static void test_what_a_crashed_program_leaves_behind_is_killed(void **state)
{
    (void)state;
    assert_int_equal(
        run("f=$(mktemp); " GROVE "--limit 1 -- sh -c 'sleep 1000 & echo $! >>$0; "
            "kill -KILL $$' $f; s=$?; for c in $(cat $f); do "
            "kill -0 $c 2>/dev/null && s=1; done; test $(wc -l <$f) = 2 || s=2; rm $f; "
            "exit $s"),
        69);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_status_that_is_no_crash_is_passed_on),
        cmocka_unit_test(test_what_cannot_be_executed_is_told),
        cmocka_unit_test(
            test_a_program_whose_root_supervisor_gives_up_ends_with_70_and_is_restarted),
        cmocka_unit_test(test_every_wrong_flag_is_answered),
        cmocka_unit_test(test_a_crash_is_reported_and_restarted_until_the_limit),
        cmocka_unit_test(test_status_70_is_restarted_and_others_with_any),
        cmocka_unit_test(test_signals_are_passed_on_and_the_asked_for_end_is_the_end),
        cmocka_unit_test(test_a_program_that_does_not_end_is_killed),
        cmocka_unit_test(test_the_program_dies_with_its_supervisor),
        cmocka_unit_test(test_what_a_crashed_program_leaves_behind_is_killed),
    };

    return cmocka_run_group_tests_name("supervise", tests, NULL, NULL);
}
