#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/options.h"

static struct gv_env env;
static struct gv_loop loop;
static char lines[GV_LOG_RING + 8][GV_LOG_LINE_BYTES];
static unsigned n_lines;
static int64_t wall_ms;

static int64_t tell_wall_ms(void *world)
{
    (void)world;
    return wall_ms;
}

static void keep_line(void *world, const char *line, size_t n_bytes)
{
    (void)world;
    if (n_lines < sizeof(lines) / sizeof(lines[0]))
        (void)snprintf(lines[n_lines], GV_LOG_LINE_BYTES, "%.*s", (int)n_bytes, line);
    n_lines++;
}

static int set_up(void **state)
{
    (void)state;
    env.wall_ms = tell_wall_ms;
    env.log_write = keep_line;
    wall_ms = 1769860800123; /* 2026-01-31T12:00:00.123Z */
    n_lines = 0;
    gv_options_reset();
    gv_log_open(&env);
    return 0;
}

static int set_up_loop(void **state)
{
    loop.index = 2;
    loop.log = gv_log_ring_new();
    gv_loop_here = &loop;
    return loop.log != NULL ? set_up(state) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (gv_loop_here != NULL)
        gv_log_ring_free(loop.log);
    gv_loop_here = NULL;
    gv_log_open(NULL);
    return 0;
}

static void test_a_record_is_one_line_with_time_level_event_and_fields(void **state)
{
    (void)state;
    gv_log(GV_LOG_WARN, "worker.died", "pid=%d signal=%d", 4711, 9);
    assert_int_equal(n_lines, 1);
    assert_string_equal(lines[0], "2026-01-31T12:00:00.123Z warn worker.died pid=4711 signal=9");
}

static void test_records_below_the_level_are_not_written(void **state)
{
    char error[GV_OPTION_ERROR_BYTES];

    (void)state;
    gv_log(GV_LOG_INFO, "worker.born", "pid=%d", 1);
    assert_int_equal(n_lines, 0);
    assert_int_equal(gv_option_set("log_level", "3", error), 0);
    gv_log(GV_LOG_INFO, "worker.born", "pid=%d", 1);
    assert_int_equal(n_lines, 1);
}

static void test_nothing_is_written_without_an_env(void **state)
{
    (void)state;
    gv_log_open(NULL);
    gv_log(GV_LOG_ERROR, "worker.died", "pid=%d", 1);
    assert_int_equal(n_lines, 0);
}

static void test_a_line_has_no_control_characters(void **state)
{
    (void)state;
    gv_log(GV_LOG_ERROR, "link.dropped", "why=\"%s\"", "a\nb\x1b[31m\x7f");
    assert_string_equal(strstr(lines[0], "why="), "why=\"a?b?[31m?\"");
}

static void test_a_long_record_is_cut(void **state)
{
    char text[2 * GV_LOG_LINE_BYTES];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    gv_log(GV_LOG_ERROR, "app", "text=%s", text);
    assert_int_equal(n_lines, 1);
    assert_int_equal(strlen(lines[0]), GV_LOG_LINE_BYTES - 1);
}

static void test_a_loop_writes_its_records_at_the_flush(void **state)
{
    (void)state;
    gv_log(GV_LOG_ERROR, "first", "n=%d", 1);
    gv_log(GV_LOG_ERROR, "second", "n=%d", 2);
    assert_int_equal(n_lines, 0);
    gv_log_flush(loop.log);
    assert_int_equal(n_lines, 2);
    assert_non_null(strstr(lines[0], "error first loop=2 n=1"));
    assert_non_null(strstr(lines[1], "error second loop=2 n=2"));
    gv_log_flush(loop.log);
    assert_int_equal(n_lines, 2);
}

static void test_a_full_ring_drops_and_counts(void **state)
{
    static const char *const events[] = {"a", "b", "c", "d", "e"};
    uint64_t before = gv_log_dropped();

    (void)state;
    for (unsigned i = 0; i < GV_LOG_RING + 3; i++)
        gv_log(GV_LOG_ERROR, events[i % 5], "n=%u", i);
    assert_int_equal(gv_log_dropped() - before, 3);
    gv_log_flush(loop.log);
    assert_int_equal(n_lines, GV_LOG_RING);
    /* The oldest are kept, in their order. */
    assert_non_null(strstr(lines[0], "n=0"));
    assert_non_null(strstr(lines[GV_LOG_RING - 1], "n=63"));
}

static void test_an_event_over_its_rate_is_left_out_and_counted(void **state)
{
    uint64_t before = gv_log_dropped();

    (void)state;
    for (unsigned i = 0; i < GV_LOG_RATE + 5; i++)
        gv_log(GV_LOG_ERROR, "noisy", "n=%u", i);
    gv_log(GV_LOG_ERROR, "calm", "n=%u", 0u);
    gv_log_flush(loop.log);
    assert_int_equal(n_lines, GV_LOG_RATE + 1);
    assert_int_equal(gv_log_dropped() - before, 5);

    wall_ms += 1000;
    gv_log(GV_LOG_ERROR, "noisy", "n=%u", 99u);
    gv_log_flush(loop.log);
    assert_non_null(strstr(lines[GV_LOG_RATE + 1], "n=99 left_out=5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_record_is_one_line_with_time_level_event_and_fields,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_records_below_the_level_are_not_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_written_without_an_env, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_has_no_control_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_record_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_loop_writes_its_records_at_the_flush, set_up_loop,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_ring_drops_and_counts, set_up_loop, tear_down),
        cmocka_unit_test_setup_teardown(test_an_event_over_its_rate_is_left_out_and_counted,
                                        set_up_loop, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
