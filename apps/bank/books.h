/*
 * Books: a plain-text-accounting journal, read, checked and balanced.
 *
 * bank_books_read takes a journal in the language of hledger 1.25 and gives
 * its transactions with every amount known: elided amounts inferred, balance
 * assignments resolved, assertions checked, includes read. It agrees with
 * hledger on what a number means, on which transactions balance and on how
 * amounts are shown; what it does not support it refuses, with the place.
 *
 * A book is read whole or not at all. The result is constant: indexes into
 * its arrays and all strings stay good until bank_books_free.
 *
 * Always: the sum of all postings to an account, taken in replay order, fits
 * a bank_decimal after every posting.
 */
#ifndef BANK_BOOKS_H
#define BANK_BOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/bank/books_names.h"
#include "apps/bank/decimal.h"

/* A date as the number YYYYMMDD, so that dates compare as numbers. */
typedef int32_t bank_date;

#define BANK_DATE_MAX INT32_MAX

enum {
    BANK_GROUPS_MAX = 18,
    BANK_SYMBOL_LENGTH_MAX = 255, /* bytes in the symbol of a commodity */
    BANK_ERROR_TEXT_MAX = 512,
    BANK_PATH_MAX = 4096,
};

/* How the amounts of a commodity look. Bytes only, so that styles can be interned. */
struct bank_style {
    uint8_t on_right;                /* the symbol stands behind the number */
    uint8_t spaced;                  /* with a space between the two */
    uint8_t mark;                    /* decimal mark, '.' or ','; 0 if none was ever written */
    uint8_t group_mark;              /* between digit groups; 0 for no groups */
    uint8_t precision;               /* decimals shown */
    uint8_t n_groups;                /* how many of the sizes below count */
    uint8_t groups[BANK_GROUPS_MAX]; /* group sizes, from the decimal mark leftwards */
};

struct bank_commodity {
    const char *symbol;  /* "" for amounts without a symbol */
    uint32_t style;      /* index of the style for the whole journal, or BANK_NONE */
    uint32_t sort_order; /* 0 .. n_commodities - 1, by symbol */
};

struct bank_account {
    const char *name;
    uint32_t sort_order; /* 0 .. n_accounts - 1: by declaration, then by name, as a tree */
    bool declared;       /* by an account directive */
    bool used;           /* by a posting */
};

struct bank_posting {
    uint32_t account;
    uint32_t commodity;
    uint32_t style;               /* of this very amount */
    bank_date date;               /* its own, else that of its transaction */
    struct bank_decimal quantity; /* exact */
    char status;                  /* '*', '!' or ' ' */
};

struct bank_transaction {
    bank_date date;
    uint32_t number; /* position in the journal, from 0 */
    char status;
    const char *code;
    const char *description;
    uint32_t file; /* index into files */
    uint32_t line;
    size_t first_posting;
    size_t n_postings; /* an elided amount in several commodities counts several times */
};

struct bank_price {
    bank_date date;
    uint32_t commodity;
    uint32_t price_commodity;
    struct bank_decimal price;
};

struct bank_books {
    struct bank_commodity *commodities;
    size_t n_commodities;
    struct bank_account *accounts;
    size_t n_accounts;
    struct bank_transaction *transactions; /* in replay order: by date, then as written */
    size_t n_transactions;
    struct bank_posting *postings; /* those of one transaction side by side */
    size_t n_postings;
    struct bank_price *prices; /* P directives, as written */
    size_t n_prices;
    struct bank_style *styles;
    size_t n_styles;
    const char **files; /* every file that was read; the first is the main one */
    size_t n_files;
    struct bank_names texts; /* owns all strings above */
};

/* Where and why reading failed. */
struct bank_error {
    char file[BANK_PATH_MAX];
    size_t line;   /* from 1; 0 if the file could not be read at all */
    size_t column; /* from 1, in characters */
    char text[BANK_ERROR_TEXT_MAX];
};

/* A journal that is already in memory. */
struct bank_books_source {
    const char *name; /* for messages; includes are relative to its folder */
    const char *text;
    size_t length;
    int year;        /* for dates without one; 0 means the current year */
    bool no_include; /* refuse to open other files */
};

/*
 * Reads a journal and everything it includes. On 0 the books are the
 * caller's, to be freed. On failure returns a negative errno, fills the
 * error, and gives no books.
 */
int bank_books_read(const char *path, struct bank_books **books, struct bank_error *error);
int bank_books_read_text(const struct bank_books_source *source, struct bank_books **books,
                         struct bank_error *error);

void bank_books_free(struct bank_books *books);

/* Writes `FILE:LINE:COLUMN: text` and returns the length, as snprintf does. */
int bank_error_format(const struct bank_error *error, char *text, size_t size);

/*
 * Reads YYYY-MM-DD, also with slashes or points. Returns 0, or -EINVAL if the
 * text is anything else.
 */
int bank_date_parse(const char *text, bank_date *date);

#endif
