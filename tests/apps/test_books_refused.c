/* Books that are refused: each with the place, the reason and what to do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/apps/expect_books.h"

static void test_what_does_not_balance_is_refused(void **state)
{
    (void)state;
    expect_refusal("\n2020-01-01\n  a  1.5 A\n  b  -1 A\n", "2:1", "0.5 A is left over");
    expect_refusal("2020-01-01\n  a  1 A\n  b  -1 B\n  c  1 C\n", "1:1", "does not balance");
    expect_refusal("2020-01-01\n  a  1 A\n  b  1 B\n", "1:1", "does not balance");
    expect_refusal("2020-01-01\n  a\n  b\n", "3:3", "a second posting without an amount");
}

static void test_unsupported_entries_are_refused(void **state)
{
    (void)state;
    expect_refusal("\n= expenses\n  a  1\n", "2:1", "automated transactions");
    expect_refusal("~ monthly\n  a  1\n", "1:1", "periodic transactions");
    expect_refusal("2020-01-01\n  (a)  1\n", "2:3", "virtual accounts");
    expect_refusal("2020-01-01\n  * [a:b]  1\n", "2:5", "virtual accounts");
    expect_refusal("apply account (x)\n", "1:15", "virtual accounts");
    expect_refusal("alias a=[b]\n2020-01-01\n  a  1\n", "3:3", "change the alias");
    expect_refusal("alias a=\n2020-01-01\n  a  1\n", "3:3", "change the alias");
    expect_refusal("alias /a/=b\n", "1:7", "regular expressions");
    expect_refusal("bucket x\n", "1:1", "neither a transaction nor a known directive");
    expect_refusal("year 2020\n", "1:1", "neither a transaction nor a known directive");
    expect_refusal("2020-01-01\n  a  1 AUTO\n", "2:8", "AUTO");
}

static void test_bad_dates_are_refused(void **state)
{
    (void)state;
    expect_refusal("2020-02-30 x\n", "1:1", "no such day");
    expect_refusal("2019-02-29 x\n", "1:1", "no such day");
    expect_refusal("2020-13-01 x\n", "1:1", "no such day");
    expect_refusal("2020-01/01 x\n", "1:8", "two different separators");
    expect_refusal("2020-01 x\n", "1:8", "not complete");
    expect_refusal("2020 x\n", "1:5", "not complete");
    expect_refusal("100000-01-01 x\n", "1:1", "years end at");
    expect_refusal("2020-01-01x\n", "1:11", "a space should follow");
    expect_refusal("2020-01-01=x\n", "1:12", "a date should stand here");
    expect_refusal("2020-01-01\n  a  1  ; date:nope\n", "2:16", "a date should stand here");
    expect_refusal("2020-01-01\n  a  1  ; [1/32]\n", "2:12", "no such day");
    expect_refusal("2020-01-01\n  a  1  ; [1/1/1]\n", "2:15", "does not end");
    expect_refusal("Y20\n", "1:2", "four digits");
    expect_refusal("Y200000\n", "1:2", "years end at");
}

static void test_bad_amounts_are_refused(void **state)
{
    (void)state;
    expect_refusal("2020-01-01\n  a  A\n", "2:7", "a number should stand here");
    expect_refusal("2020-01-01\n  a  \"A 1\n", "2:7", "does not end");
    expect_refusal("2020-01-01\n  a  1,2.3,4\n", "2:11", "too many separators");
    expect_refusal("2020-01-01\n  a  1.2 3\n", "2:9", "more digits behind");
    expect_refusal("2020-01-01\n  a  1 000e3\n", "2:6", "an exponent");
    expect_refusal("2020-01-01\n  a  9223372036854775808\n", "2:6", "64 bits");
    expect_refusal("2020-01-01\n  a  99999999999999999999999999999999999999999\n", "2:6",
                   "64 bits");
    expect_refusal("2020-01-01\n  a  1e99\n", "2:6", "64 bits");
    expect_refusal("2020-01-01\n  a  1e-99\n", "2:6", "64 bits");
    expect_refusal("2020-01-01\n  a  1 A @\n", "2:11", "should stand here");
    expect_refusal("2020-01-01\n  a  1 A (@ $1\n", "2:12", "add a )");
    expect_refusal("2020-01-01\n  a  1 A (x\n", "2:11", "a price should stand here");
    expect_refusal("2020-01-01\n  a  1 A {$1\n", "2:13", "add a }");
    expect_refusal("2020-01-01\n  a  1 A [2020-01-01\n", "2:21", "add a ]");
    expect_refusal("2020-01-01\n  a  1 A x\n", "2:10", "unexpected text");
    expect_refusal("2020-01-01\n  a  1 = x\n", "2:11", "a number should stand here");
    expect_refusal("2020-01-01\n  a  1 * 2\n", "2:8", "unexpected text");
}

static void test_sums_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    expect_refusal("2020-01-01\n  a  9000000000000000000\n  b\n2020-01-01\n"
                   "  a  9000000000000000000\n  b\n",
                   "5:3", "the balance of a does not fit 64 bits");
    expect_refusal("2020-01-01\n  a  9000000000000000000\n  c  9000000000000000000\n  b\n", "4:3",
                   "does not fit 64 bits");
    expect_refusal("2020-01-01\n  a  9000000000000000000 @ 9000000000000000000 B\n  b\n", "3:3",
                   "does not fit 64 bits");
}

static void test_bad_directives_are_refused(void **state)
{
    (void)state;
    expect_refusal("commodity $1000\n", "1:11", "no decimal mark");
    expect_refusal("commodity $\n  format $10\n", "2:10", "no decimal mark");
    expect_refusal("commodity $\n  format 1.0 A\n", "2:10", "another commodity");
    expect_refusal("commodity $\n  note x\n", "2:3", "only format");
    expect_refusal("commodity\n", "1:10", "a space should follow");
    expect_refusal("D 1000\n", "1:3", "no decimal mark");
    expect_refusal("decimal-mark x\n", "1:14", "write . or ,");
    expect_refusal("account\n", "1:8", "a space should follow");
    expect_refusal("account a  ; type:Z\n", "1:1", "no such account type");
    expect_refusal("account a  x\n", "1:12", "unexpected text");
    expect_refusal("end apply account\n", "1:1", "no apply account to end");
    expect_refusal("alias x\n", "1:7", "OLD=NEW");
    expect_refusal("payee ; x\n", "1:7", "a payee should stand here");
    expect_refusal("tag \n", "1:5", "a tag should stand here");
    expect_refusal("C 1 A\n", "1:6", "C AMOUNT = AMOUNT");
    expect_refusal("P 2020-01-01 25:00 $ 1\n", "1:14", "no such time");
    expect_refusal("P 2020-01-01 $ x\n", "1:17", "a number should stand here");
    expect_refusal("include x\n", "1:9", "no other files");
    expect_refusal("include\n", "1:8", "a path should stand here");
    expect_refusal("comment x\n", "1:9", "unexpected text");
    expect_refusal("comment\nend comment x\n", "2:13", "unexpected text");
}

static void test_bad_layout_is_refused(void **state)
{
    (void)state;
    expect_refusal("2020-01-01\n\n  a  1\n", "3:3", "an indented line outside");
    expect_refusal("2020-01-01 (x\n", "1:13", "add a )");
    expect_refusal("2020-01-01\n  a  = 1 ; date:2020-01-02\n  b\n", "2:3", "its own date");
}

static void test_columns_count_characters(void **state)
{
    (void)state;
    expect_refusal("2020-01-01\n  äöü  1 €€ x\n", "2:13", "unexpected text");
}

static void test_bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    expect_refusal_of("2020-01-01\n  a\0 1\n", 18, "2:4", "NUL");
    expect_refusal_of("\n ;\xff\n", 5, "2:3", "UTF-8");
    expect_refusal_of(";\xc0\xaf\n", 4, "1:2", "UTF-8");
    expect_refusal_of(";\xed\xa0\x80\n", 5, "1:2", "UTF-8");
    expect_refusal_of(";\xf4\x90\x80\x80\n", 6, "1:2", "UTF-8");
    expect_refusal_of(";\xe2\x82", 3, "1:2", "UTF-8");
}

static void test_other_line_ends_and_a_byte_order_mark_are_read(void **state)
{
    (void)state;
    expect_report("\xef\xbb\xbf"
                  "2020-01-01 x\r\n  a  1\r\n  b\r  c  2\r",
                  "                   1  a\n"
                  "                  -3  b\n"
                  "                   2  c\n");
}

static void test_any_white_space_separates(void **state)
{
    (void)state;
    expect_report("2020-01-01 x\n\ta\xc2\xa0x\t\t1\n\xe3\x80\x80"
                  "b\n",
                  "                   1  a x\n"
                  "                  -1  b\n");
}

static void test_names_have_limits(void **state)
{
    static char text[20000];

    (void)state;
    (void)strcpy(text, "2020-01-01\n  ");
    memset(text + strlen(text), 'x', 5000);
    (void)strcat(text, "  1\n");
    expect_refusal(text, "2:3", "more than 4095 bytes");
    memset(text, 0, sizeof(text));
    (void)strcpy(text, "2020-01-01\n  ");
    memset(text + strlen(text), ':', 255);
    (void)strcat(text, "  1\n");
    expect_refusal(text, "2:258", "more than 255 levels");
    memset(text, 0, sizeof(text));
    (void)strcpy(text, "2020-01-01\n  a  1 ");
    memset(text + strlen(text), 'x', 256);
    (void)strcat(text, "\n");
    expect_refusal(text, "2:8", "more than 255 bytes");
}

static void test_a_large_transaction_is_balanced_in_time(void **state)
{
    enum { N = 100000 };
    size_t size = 64 * N + 100;
    char *text = malloc(size), *end = text;
    struct bank_books_source source = {.name = "t", .text = text};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    assert_non_null(text);
    end += sprintf(end, "2020-01-01 many\n");
    for (int i = 0; i < N; i++)
        end += sprintf(end, "  a:%d  1 A @ $0.%06d1\n", i, i);
    end += sprintf(end, "  b\n");
    source.length = (size_t)(end - text);
    assert_true(source.length < size);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_int_equal(books->n_postings, N + 1);
    bank_books_free(books);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_does_not_balance_is_refused),
        cmocka_unit_test(test_unsupported_entries_are_refused),
        cmocka_unit_test(test_bad_dates_are_refused),
        cmocka_unit_test(test_bad_amounts_are_refused),
        cmocka_unit_test(test_sums_that_do_not_fit_are_refused),
        cmocka_unit_test(test_bad_directives_are_refused),
        cmocka_unit_test(test_bad_layout_is_refused),
        cmocka_unit_test(test_columns_count_characters),
        cmocka_unit_test(test_bytes_that_are_no_text_are_refused),
        cmocka_unit_test(test_other_line_ends_and_a_byte_order_mark_are_read),
        cmocka_unit_test(test_any_white_space_separates),
        cmocka_unit_test(test_names_have_limits),
        cmocka_unit_test(test_a_large_transaction_is_balanced_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
