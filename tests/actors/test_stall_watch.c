/*
 * The stall watch: planted stalls of each kind are seen, told apart and
 * told in time; what is none is not. A program holds its loop up; here is
 * read what it says of that. With GROVE_SOAK the numbers are the large ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/sanitize.h"

#define PROGRAM GV_BUILD_ROOT "/tests/actors/stall_program"
#define AT_ONCE 50u /* the program keeps 64 */

static char out[65536], err[262144];
static int status;

/* Runs a shell command; fills out, err and status. */
static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static size_t slurp(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(text, 1, room - 1, file) : 0;

    text[n] = '\0';
    if (file != NULL)
        (void)fclose(file);
    (void)unlink(path);
    return n;
}

static void run(const char *format, ...)
{
    char command[512], all[768], path[] = "/tmp/grove-stall-XXXXXX", errors[64];
    va_list arguments;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments); /* It fits. */
    va_end(arguments);
    (void)snprintf(errors, sizeof errors, "%s.err", path);
    (void)snprintf(all, sizeof all, "%s > %s 2> %s", command, path, errors);
    status = system(all);
    status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    (void)slurp(path, out, sizeof out);
    (void)slurp(errors, err, sizeof err);
}

static unsigned n_planted(void)
{
    return getenv("GROVE_SOAK") != NULL ? 100 : 10;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
        n++;
    return n;
}

/* How many lines of out have all of the parts that are not NULL. */
static unsigned count_lines(const char *a, const char *b, const char *c)
{
    unsigned n = 0;
    char copy[sizeof out], *rest = copy;

    memcpy(copy, out, sizeof out);
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        n += strstr(line, a) != NULL && (b == NULL || strstr(line, b) != NULL)
             && (c == NULL || strstr(line, c) != NULL);
    return n;
}

static unsigned count_told_in_time(void)
{
    unsigned n = 0, ms;

    for (const char *at = strstr(out, "told_ms="); at != NULL; at = strstr(at + 1, "told_ms="))
        n += sscanf(at, "told_ms=%u", &ms) == 1 && ms <= 50;
    return n;
}

static void skip_where_all_is_slow(void)
{
    const char *preload = getenv("LD_PRELOAD");

    if (GV_SANITIZED || (preload != NULL && strstr(preload, "vgpreload") != NULL))
        skip();
}

/* Plants stalls in one way; counts those told with all parts, and those told in time. */
static void plant(const char *way, const char *parts[3], unsigned *n_right, unsigned *n_told)
{
    *n_right = *n_told = 0;
    for (unsigned left = n_planted(); left > 0;) {
        unsigned now = left < AT_ONCE ? left : AT_ONCE;

        run("GROVE_STALL=warn %s %s %u 100", PROGRAM, way, now);
        assert_int_equal(status, 0);
        *n_right += count_lines(parts[0], parts[1], parts[2]);
        *n_told += count_told_in_time();
        left -= now;
    }
}

/*
 * Nine of ten must be told with all parts. Where others have the CPU, the watch too is late, and may
 * miss some: so it has three rounds. One that cannot tell them passes none.
 */
static void expect(const char *way, const char *kind, const char *a, const char *b)
{
    const char *parts[3] = {kind, a, b};
    unsigned n_right, n_told, n = n_planted();
    bool in_time = false;

    skip_where_all_is_slow();
    for (unsigned round = 0; round < 3; round++) {
        plant(way, parts, &n_right, &n_told);
        print_message("%s: %u of %u right, %u told within twice the threshold\n", way, n_right, n,
                      n_told);
        /* Who is blocked leaves the watch a CPU. */
        in_time = strcmp(kind, " kind=2 ") != 0 || n_told * 10 >= n * 7;
        if (n_right * 10 >= n * 9 && in_time)
            return;
    }
    fail_msg("only %u of %u right, %u in time, the last of them:\n%s%s", n_right, n, n_told, out,
             err);
}

static void test_a_sleep_is_blocked_in_nanosleep(void **state)
{
    (void)state;
    expect("usleep", " kind=2 ", "nanosleep for 100 ms", "where=\"stall_in_usleep at ");
}

static void test_a_mutex_is_blocked_in_futex(void **state)
{
    (void)state;
    expect("mutex", " kind=2 ", "waits=\"futex on ", "where=\"stall_in_mutex at ");
}

static void test_a_read_of_a_pipe_is_blocked_in_that(void **state)
{
    (void)state;
    expect("pipe", " kind=2 ", "waits=\"read of pipe:", "where=\"stall_in_pipe at ");
}

static void test_a_slow_look_up_is_blocked_in_its_socket(void **state)
{
    (void)state;
    expect("lookup", " kind=2 ", " of socket:", "where=\"stall_in_lookup at ");
}

static void test_writing_files_is_disk(void **state)
{
    (void)state;
    expect("files", " kind=3 ", NULL, NULL);
}

static void test_computing_is_on_cpu(void **state)
{
    (void)state;
    expect("cpu", " kind=1 ", "stall_program.c", NULL);
}

static void test_waiting_for_a_cpu_is_starved(void **state)
{
    (void)state;
    expect("starved", " kind=4 ", NULL, NULL);
}

static void test_awaiting_is_no_stall(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=warn %s polite 5 100", PROGRAM);
    assert_int_equal(status, 0);
    assert_int_equal(count_lines(" kind=1 ", NULL, NULL) + count_lines(" kind=2 ", NULL, NULL)
                         + count_lines(" kind=3 ", NULL, NULL),
                     0);
}

static void test_a_report_names_actor_method_message_line_and_what_to_do(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=warn %s usleep 2 100", PROGRAM);
    assert_non_null(strstr(err, " warn stall "));
    assert_non_null(strstr(err, "actor=play/slow method=\"play.v1.PlayService/Perform\" "
                                "message=play.v1.PerformRequest"));
    assert_non_null(strstr(err, "blocked in clock_nanosleep for 100 ms"));
    assert_non_null(strstr(err, "from stall_in_usleep at tests/actors/stall_program.c:"));
    assert_non_null(strstr(err, "\n  do   sleep with grove_sleep_await"));
}

static void test_it_names_who_it_was_wherever_it_was(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=warn %s greenlet 3 60", PROGRAM);
    assert_true(count_lines(" kind=2 ", "actor=greenlet/rude ", "sleep_badly at ") >= 2);
    run("GROVE_STALL=warn %s between 3 60", PROGRAM);
    assert_true(count_lines(" kind=2 ", "actor=loop ", "method=between turns ") >= 2);
    run("GROVE_STALL=warn GROVE_LOOPS=1 GROVE_INLINE=2 %s usleep 3 60", PROGRAM);
    assert_true(count_lines(" kind=2 ", "actor=play/slow ", "stall_in_usleep at ") >= 2);
    run("GROVE_STALL=warn GROVE_LEND=2 %s usleep 3 60", PROGRAM);
    assert_true(count_lines(" kind=2 ", "actor=play/slow ", "stall_in_usleep at ") >= 2);
}

static void test_main_stalls_only_while_somebody_waits_on_its_loop(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=warn %s main 3 60", PROGRAM);
    assert_true(count_lines(" kind=2 ", "actor=main ", "sleep_badly at ") >= 2);
    run("GROVE_STALL=warn %s 'main alone' 3 60", PROGRAM);
    assert_int_equal(count_lines("actor=main ", NULL, NULL), 0);
}

static void test_a_loop_with_long_turns_before_it_looks_at_the_world_in_time(void **state)
{
    unsigned permille = 1000;

    (void)state;
    skip_where_all_is_slow();
    /*
     * 64 turns of 8 ms: none of them is a stall, but together they would be half a second. A watch
     * that gets no CPU meanwhile cannot help; without one no run of ten would do.
     */
    for (unsigned i = 0; i < 10 && permille > 500; i++) {
        run("GROVE_STALL=warn GROVE_LOOPS=1 GROVE_INLINE=0 %s queue 1 8", PROGRAM);
        assert_int_equal(sscanf(out, "late_permille=%u", &permille), 1);
    }
    if (permille > 500)
        fail_msg("a timer waited for %u per mille of all turns", permille);
}

static void test_reports_are_limited_and_the_others_counted(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=warn GROVE_STALL_REPORTS=2 %s usleep 6 60", PROGRAM);
    assert_in_range(count(err, " warn stall "), 1, 2);
    assert_true(count_lines("number=", NULL, NULL) > 2);
}

static void test_fail_ends_the_process_with_70(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=fail %s usleep 6 100", PROGRAM);
    assert_int_equal(status, 70);
    assert_non_null(strstr(err, "stall_in_usleep"));
    run("GROVE_STALL=fail GROVE_STALL_MS=20000 %s usleep 2 100", PROGRAM);
    assert_int_equal(status, 0);
}

static void test_off_is_off(void **state)
{
    (void)state;
    run("GROVE_STALL=off %s usleep 2 100", PROGRAM);
    assert_int_equal(status, 0);
    assert_string_equal(out, "");
    assert_null(strstr(err, "stall"));
}

static void test_a_wrong_wish_is_refused_with_what_is_allowed(void **state)
{
    (void)state;
    run("GROVE_STALL=loud %s usleep 1 100", PROGRAM);
    assert_int_equal(status, 2);
    assert_non_null(strstr(err, "warn, fail, off"));
}

static void test_a_stopped_process_does_not_stall(void **state)
{
    (void)state;
    skip_where_all_is_slow();
    run("GROVE_STALL=fail %s spin 400 1 & P=$!; sleep 0.2; kill -STOP $P; sleep 0.5; kill -CONT $P; "
        "wait $P",
        PROGRAM);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sleep_is_blocked_in_nanosleep),
        cmocka_unit_test(test_a_mutex_is_blocked_in_futex),
        cmocka_unit_test(test_a_read_of_a_pipe_is_blocked_in_that),
        cmocka_unit_test(test_a_slow_look_up_is_blocked_in_its_socket),
        cmocka_unit_test(test_writing_files_is_disk),
        cmocka_unit_test(test_computing_is_on_cpu),
        cmocka_unit_test(test_waiting_for_a_cpu_is_starved),
        cmocka_unit_test(test_awaiting_is_no_stall),
        cmocka_unit_test(test_a_report_names_actor_method_message_line_and_what_to_do),
        cmocka_unit_test(test_it_names_who_it_was_wherever_it_was),
        cmocka_unit_test(test_main_stalls_only_while_somebody_waits_on_its_loop),
        cmocka_unit_test(test_a_loop_with_long_turns_before_it_looks_at_the_world_in_time),
        cmocka_unit_test(test_reports_are_limited_and_the_others_counted),
        cmocka_unit_test(test_fail_ends_the_process_with_70),
        cmocka_unit_test(test_off_is_off),
        cmocka_unit_test(test_a_wrong_wish_is_refused_with_what_is_allowed),
        cmocka_unit_test(test_a_stopped_process_does_not_stall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
