/*
 * Fuzzing the reader of journals: any bytes are read or refused, and what is read can be printed.
 *
 * Other files are never opened. A refusal must name a place.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/bank/books_balances.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void print(const struct bank_books *books)
{
    struct bank_balances balances = {0};
    FILE *out = fopen("/dev/null", "w");

    check(out != NULL);
    /* The books promise that their sums fit. */
    check(bank_balances_fold(&balances, books, BANK_DATE_MAX) == 0);
    check(bank_balances_print(&balances, books, BANK_DATE_MAX, out) == 0);
    check(bank_balances_print_csv(&balances, books, 20200101, out) == 0);
    (void)fclose(out);
    bank_balances_deinit(&balances);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct bank_books_source source = {
        .name = "fuzz",
        .text = (const char *)bytes,
        .length = length,
        .year = 2020,
        .no_include = true,
    };
    struct bank_books *books = NULL;
    struct bank_error error;

    if (bank_books_read_text(&source, &books, &error) == 0) {
        print(books);
        bank_books_free(books);
    } else {
        check(books == NULL && error.line > 0 && error.column > 0 && error.text[0] != '\0');
    }
    return 0;
}
