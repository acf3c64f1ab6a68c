/*
 * Balances: how much of each commodity each account holds, and printing that.
 *
 * The table takes amounts from anywhere: bank_balances_fold adds up the
 * postings of books, a program may add what its own accounts say. Printing
 * gives what `hledger balance -N --flat` prints for the same journal, byte
 * for byte, or a CSV form. For that it looks at the books for names, order
 * and styles only; the quantities are those of the table.
 */
#ifndef BANK_BOOKS_BALANCES_H
#define BANK_BOOKS_BALANCES_H

#include <stdio.h>

#include "apps/bank/books.h"

/* Room for the text of any amount that is shown: number, separators, symbol, quotes, NUL. */
enum { BANK_AMOUNT_TEXT_MAX = 2 * BANK_DECIMAL_TEXT_MAX + BANK_SYMBOL_LENGTH_MAX + 4 };

struct bank_balance {
    uint32_t account;
    uint32_t commodity;
    struct bank_decimal quantity;
    uint32_t style;    /* set by bank_balances_finish, as is the next: */
    uint8_t precision; /* decimals shown, whatever the style says */
    bank_date date;    /* of the posting that the style comes from */
    uint32_t number;   /* of its transaction, or BANK_NONE */
};

/* All zeros is an empty table. */
struct bank_balances {
    struct bank_balance *rows; /* in the order they came, or sorted by finish */
    size_t n_rows;
    size_t capacity;
    uint32_t *table; /* open addressing: row + 1, or 0 */
    size_t table_size;
};

/* Adds to one balance. Returns 0, -ERANGE if it does not fit, or -ENOMEM. */
int bank_balances_add(struct bank_balances *balances, uint32_t account, uint32_t commodity,
                      struct bank_decimal quantity);

/* Returns the row of an account and commodity, lent until the next add, or NULL. */
struct bank_balance *bank_balances_find(const struct bank_balances *balances, uint32_t account,
                                        uint32_t commodity);

/* Adds all postings up to and with a date; BANK_DATE_MAX for all. */
int bank_balances_fold(struct bank_balances *balances, const struct bank_books *books,
                       bank_date at);

/*
 * Sorts the rows as reports show them, by account and then by commodity, and
 * sets their styles from the postings up to the date. Returns 0 or -ENOMEM.
 */
int bank_balances_finish(struct bank_balances *balances, const struct bank_books *books,
                         bank_date at);

/* True if the balance shown is a zero. Only after finish. */
bool bank_balance_looks_zero(const struct bank_balance *balance);

/*
 * Writes the amount as reports show it, "$1,000.00" or "0"; the buffer holds
 * BANK_AMOUNT_TEXT_MAX bytes. Only after finish. Returns the width in columns.
 */
size_t bank_balance_format(const struct bank_balance *balance, const struct bank_books *books,
                           char *text);

/* Finish the table and print it. Return 0, -ENOMEM, or why writing failed. */
int bank_balances_print(struct bank_balances *balances, const struct bank_books *books,
                        bank_date at, FILE *out);
int bank_balances_print_csv(struct bank_balances *balances, const struct bank_books *books,
                            bank_date at, FILE *out);

void bank_balances_deinit(struct bank_balances *balances);

#endif
