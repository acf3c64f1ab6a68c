#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "runtime/options.h"

static char error[GV_OPTION_ERROR_BYTES];

static int set_up(void **state)
{
    (void)state;
    gv_options_reset();
    error[0] = '\0';
    unsetenv("GROVE_TICK_US");
    return 0;
}

static void test_an_option_has_its_default_until_it_is_set(void **state)
{
    (void)state;
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 100);
    assert_int_equal(gv_option_set("tick_us", "250", error), 0);
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 250);
    gv_options_reset();
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 100);
}

static void test_a_wrong_number_is_refused_with_what_is_allowed(void **state)
{
    static const char *const wrong[] = {"",  "x",       "12x", "1.5",
                                        "0", "1000001", "-1",  "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(gv_option_set("tick_us", wrong[i], error), GROVE_EUSAGE);
        assert_non_null(strstr(error, "tick_us"));
        assert_non_null(strstr(error, wrong[i]));
        assert_non_null(strstr(error, "1 to 1000000 us"));
        assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 100);
    }
}

static void test_an_unknown_option_is_refused_by_name(void **state)
{
    (void)state;
    assert_int_equal(gv_option_set("lops", "1", error), GROVE_EUSAGE);
    assert_non_null(strstr(error, "\"lops\""));
}

static void test_a_text_is_copied_and_bounded(void **state)
{
    char text[400] = "/run/here";

    (void)state;
    assert_int_equal(gv_option_set("run_dir", text, error), 0);
    text[0] = 'x';
    assert_string_equal(gv_option_text(GV_OPTION_RUN_DIR), "/run/here");
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(gv_option_set("run_dir", text, error), GROVE_EUSAGE);
    assert_string_equal(gv_option_text(GV_OPTION_RUN_DIR), "/run/here");
}

static void test_a_flag_beats_the_environment_and_leaves_argv(void **state)
{
    char program[] = "bank", mine[] = "--verbose", ours[] = "--grove-tick-us=300", file[] = "books";
    char *argv[] = {program, ours, mine, file, NULL};
    int argc = 4;

    (void)state;
    assert_int_equal(setenv("GROVE_TICK_US", "200", 1), 0);
    assert_int_equal(gv_options_read(NULL, NULL, error), 0);
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 200);
    assert_int_equal(gv_options_read(&argc, argv, error), 0);
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 300);
    assert_int_equal(argc, 3);
    assert_string_equal(argv[0], "bank");
    assert_string_equal(argv[1], "--verbose");
    assert_string_equal(argv[2], "books");
    assert_null(argv[3]);
}

static void test_flags_behind_two_dashes_are_the_programs(void **state)
{
    char program[] = "bank", dashes[] = "--", theirs[] = "--grove-tick-us=300";
    char *argv[] = {program, dashes, theirs, NULL};
    int argc = 3;

    (void)state;
    assert_int_equal(gv_options_read(&argc, argv, error), 0);
    assert_int_equal(argc, 3);
    assert_string_equal(argv[2], "--grove-tick-us=300");
    assert_int_equal(gv_option_number(GV_OPTION_TICK_US), 100);
}

static void test_a_wrong_environment_is_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("GROVE_TICK_US", "soon", 1), 0);
    assert_int_equal(gv_options_read(NULL, NULL, error), GROVE_EUSAGE);
    assert_non_null(strstr(error, "soon"));
}

static void test_a_flag_without_a_value_says_how_to_write_it(void **state)
{
    char program[] = "bank", bad[] = "--grove-tick-us";
    char *argv[] = {program, bad, NULL};
    int argc = 2;

    (void)state;
    assert_int_equal(gv_options_read(&argc, argv, error), GROVE_EUSAGE);
    assert_non_null(strstr(error, "NAME=VALUE"));
}

static void test_every_option_is_described(void **state)
{
    char line[GV_OPTION_LINE_BYTES];

    (void)state;
    for (int i = 0; i < GV_OPTION_COUNT; i++) {
        gv_option_describe((enum gv_option)i, line);
        assert_non_null(strstr(line, "GROVE_"));
        assert_true(strlen(line) + 1 < sizeof(line)); /* not cut */
    }
    gv_option_describe(GV_OPTION_TICK_US, line);
    assert_non_null(strstr(line, "tick_us"));
    assert_non_null(strstr(line, "GROVE_TICK_US"));
    assert_non_null(strstr(line, "1 to 1000000 us"));
    assert_non_null(strstr(line, "default 100"));
}

#define option_test(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        option_test(test_an_option_has_its_default_until_it_is_set),
        option_test(test_a_wrong_number_is_refused_with_what_is_allowed),
        option_test(test_an_unknown_option_is_refused_by_name),
        option_test(test_a_text_is_copied_and_bounded),
        option_test(test_a_flag_beats_the_environment_and_leaves_argv),
        option_test(test_flags_behind_two_dashes_are_the_programs),
        option_test(test_a_wrong_environment_is_named),
        option_test(test_a_flag_without_a_value_says_how_to_write_it),
        option_test(test_every_option_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
