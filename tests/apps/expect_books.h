/*
 * Expecting things of books: a journal comes to a report, or is refused.
 *
 * The journals are texts, their default year is 2020, their name is t. A
 * report has at most REPORT_MAX bytes. Failures end the test by longjmp.
 */
#ifndef TESTS_APPS_EXPECT_BOOKS_H
#define TESTS_APPS_EXPECT_BOOKS_H

#include "apps/bank/books_balances.h"

enum { REPORT_MAX = 8192 };

/* Prints the balances of a journal, up to a date, into the report. */
void report_at(const char *text, bank_date at, bool csv, char *report);
void expect_report(const char *text, const char *wanted);
void expect_csv(const char *text, const char *wanted);

/* Expects a refusal at a place, LINE:COLUMN, with a message that contains the words. */
void expect_refusal(const char *text, const char *place, const char *words);
void expect_refusal_of(const char *text, size_t length, const char *place, const char *words);

#endif
