/* Expecting things of books. See expect_books.h. */
#include "tests/apps/expect_books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void report_at(const char *text, bank_date at, bool csv, char *report)
{
    struct bank_books_source source = {
        .name = "t", .text = text, .length = strlen(text), .year = 2020, .no_include = true};
    struct bank_balances balances = {0};
    struct bank_books *books;
    struct bank_error error;
    FILE *out;

    if (bank_books_read_text(&source, &books, &error) < 0)
        fail_msg("%zu:%zu: %s", error.line, error.column, error.text);
    memset(report, 0, REPORT_MAX);
    out = fmemopen(report, REPORT_MAX, "w");
    assert_non_null(out);
    assert_int_equal(bank_balances_fold(&balances, books, at), 0);
    if (csv)
        assert_int_equal(bank_balances_print_csv(&balances, books, at, out), 0);
    else
        assert_int_equal(bank_balances_print(&balances, books, at, out), 0);
    assert_int_equal(fclose(out), 0);
    bank_balances_deinit(&balances);
    bank_books_free(books);
}

void expect_report(const char *text, const char *wanted)
{
    char report[REPORT_MAX];

    report_at(text, BANK_DATE_MAX, false, report);
    assert_string_equal(report, wanted);
}

void expect_csv(const char *text, const char *wanted)
{
    char report[REPORT_MAX];

    report_at(text, BANK_DATE_MAX, true, report);
    assert_string_equal(report, wanted);
}

void expect_refusal_of(const char *text, size_t length, const char *place, const char *words)
{
    struct bank_books_source source = {
        .name = "t", .text = text, .length = length, .year = 2020, .no_include = true};
    struct bank_books *books = NULL;
    struct bank_error error;
    char message[BANK_PATH_MAX + BANK_ERROR_TEXT_MAX], start[64];

    if (bank_books_read_text(&source, &books, &error) == 0)
        fail_msg("accepted: %s", text);
    assert_null(books);
    (void)bank_error_format(&error, message, sizeof(message));
    (void)snprintf(start, sizeof(start), "t:%s: ", place);
    if (strncmp(message, start, strlen(start)) != 0 || !strstr(message, words))
        fail_msg("wanted %s%s, got %s", start, words, message);
}

void expect_refusal(const char *text, const char *place, const char *words)
{
    expect_refusal_of(text, strlen(text), place, words);
}
