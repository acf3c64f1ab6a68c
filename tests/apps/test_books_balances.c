/* Balances: what is shown of them, and how. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/apps/expect_books.h"

static void test_the_end_date_is_inclusive_and_that_of_the_posting(void **state)
{
    static const char TEXT[] = "2020-01-01\n  a  1\n  b  -1 ; date:1/3\n2020-01-02\n  a  4\n  b\n";
    char report[REPORT_MAX];

    (void)state;
    report_at(TEXT, 20200101, false, report);
    assert_string_equal(report, "                   1  a\n");
    report_at(TEXT, 20200102, false, report);
    assert_string_equal(report, "                   5  a\n"
                                "                  -4  b\n");
    report_at(TEXT, 20200103, false, report);
    assert_string_equal(report, "                   5  a\n"
                                "                  -5  b\n");
}

static void test_balances_round_half_to_even(void **state)
{
    (void)state;
    expect_csv("commodity $1.0\n2020-01-01\n  a  $0.25\n  b  $0.35\n  c\n",
               "account,commodity,amount\na,$,0.2\nb,$,0.4\nc,$,-0.6\n");
}

static void test_zero_balances_are_hidden(void **state)
{
    (void)state;
    expect_report("commodity $1.0\n2020-01-01\n  a  $0.05\n  b  1 A\n  c  $0\n  d\n",
                  "                 1 A  b\n"
                  "                   0\n"
                  "                -1 A  d\n");
}

static void test_long_amounts_push_the_column(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  123456789012345678 ABC\n  b\n", "123456789012345678 ABC  a\n"
                                                                    "-123456789012345678 ABC  b\n");
}

static void test_csv_quotes_what_needs_it(void **state)
{
    (void)state;
    expect_csv("2020-01-01\n  a, \"b\"  1,000.5 \"x,y\"\n  c\n",
               "account,commodity,amount\n\"a, \"\"b\"\"\",\"x,y\",1000.5\nc,\"x,y\",-1000.5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_date_is_inclusive_and_that_of_the_posting),
        cmocka_unit_test(test_balances_round_half_to_even),
        cmocka_unit_test(test_zero_balances_are_hidden),
        cmocka_unit_test(test_long_amounts_push_the_column),
        cmocka_unit_test(test_csv_quotes_what_needs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
