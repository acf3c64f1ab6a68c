/*
 * Reader: what the parts of the journal reader share while a journal is read.
 *
 * Reading has two halves. First all text becomes raw transactions, because
 * how a number balances depends on styles that the last line may still
 * change. Then (books_balance.c) styles are settled, transactions balanced
 * in the order written and accounts run in the order of dates, and the
 * result is put into struct bank_books.
 *
 * The text of every file is kept until the end. Each one ends with a newline
 * and a NUL, carriage returns have become newlines, it is valid UTF-8
 * and has no other NUL: so the parser looks ahead without checking for an
 * end. All functions return 0 or a negative errno with reader->error filled.
 */
#ifndef BANK_BOOKS_READER_H
#define BANK_BOOKS_READER_H

#include <sys/types.h>

#include "apps/bank/books.h"

enum {
    BANK_COMMODITIES_MAX = 4096,    /* in one journal; bounds the cost of a posting */
    BANK_INCLUDE_DEPTH_MAX = 64,    /* files open at once */
    BANK_FILES_MAX = 65536,         /* files in one journal */
    BANK_ACCOUNT_LENGTH_MAX = 4095, /* bytes in one account name */
    BANK_ACCOUNT_LEVELS_MAX = 255,  /* parts in one account name */
    BANK_APPLIED_MAX = 1000,        /* aliases, or applied parents, at once */
    BANK_YEAR_MAX = 99999,          /* so that dates fit a bank_date */
};

/* An amount as written, or as inferred. */
struct bank_amount {
    struct bank_decimal quantity;
    uint32_t commodity;
    uint32_t style;
};

enum bank_price_kind { BANK_NO_PRICE, BANK_TOTAL_PRICE, BANK_UNIT_PRICE };

/* What only few postings have. */
struct bank_extra {
    struct bank_amount price;
    struct bank_amount asserted;
    struct bank_amount asserted_price;
    uint32_t asserted_column;
    uint8_t price_kind;
    uint8_t asserted_price_kind;
    bool asserts;   /* an assertion, or an assignment if the amount is missing */
    bool is_total;  /* == instead of = */
    bool with_subs; /* =* or ==* */
};

struct bank_raw_posting {
    struct bank_amount amount; /* if has_amount */
    uint32_t account;
    bank_date own_date; /* 0 if it has none */
    uint32_t line;
    uint32_t column;
    uint32_t extra;          /* index + 1 into extras, or 0 */
    uint32_t first_inferred; /* what a missing amount turned out to be, */
    uint32_t n_inferred;     /*  as a range of reader->inferred */
    bool has_amount;
    char status;
};

struct bank_raw_transaction {
    bank_date date;
    uint32_t file;
    uint32_t line;
    uint32_t code;        /* index into texts */
    uint32_t description; /* index into texts */
    uint32_t first_posting;
    uint32_t n_postings;
    bool assigns; /* holds a balance assignment */
    char status;
};

/* A P directive. */
struct bank_raw_price {
    struct bank_amount price;
    bank_date date;
    uint32_t commodity;
};

/* What is known of a commodity while reading; pairs are of P amounts and of postings. */
struct bank_raw_commodity {
    uint32_t declared;   /* style of its commodity directive, or BANK_NONE */
    uint32_t style;      /* the final style, or BANK_NONE */
    uint32_t n_seen[2];  /* amounts in it */
    uint32_t first[2];   /* style of the first of them */
    uint32_t grouped[2]; /* first style with digit groups, or BANK_NONE */
    uint8_t mark[2];     /* first decimal mark, or 0 */
    uint8_t precision;   /* most decimals of all of them */
};

/* Account names form a tree; every prefix up to a colon is a node. */
struct bank_node {
    uint32_t parent;      /* BANK_NONE at the top */
    uint32_t component;   /* index into texts */
    uint32_t level;       /* 1 at the top */
    uint32_t declaration; /* hledger's number of it, or BANK_NONE */
    uint32_t account;     /* BANK_NONE if it is only the parent of accounts */
    uint32_t first_child;
    uint32_t next_sibling;
};

/* A parent of `apply account`, or an alias. Never changed, so scopes can share tails. */
struct bank_applied {
    const struct bank_applied *next;
    uint32_t old; /* of an alias */
    uint32_t text;
    uint32_t depth;
};

/* What directives change for the text that follows, and what includes hand down. */
struct bank_scope {
    int year;
    char decimal_mark;          /* 0 if not set */
    uint32_t default_commodity; /* D, or BANK_NONE */
    uint32_t default_style;
    const struct bank_applied *parents; /* innermost first */
    const struct bank_applied *aliases; /* newest first */
};

/* A file that is being read. */
struct bank_file {
    char *text;
    const char *at;         /* next byte to read */
    const char *line_start; /* of the line that `at` is in */
    size_t length;
    uint32_t line;
    uint32_t file;           /* index into files */
    uint32_t n_declarations; /* of accounts, as hledger counts them */
    struct bank_scope scope; /* of the file that included this one */
    char **pending;          /* paths that the include directive still has to open */
    size_t n_pending;
    size_t next_pending;
    dev_t device;
    ino_t inode;
};

struct bank_reader {
    struct bank_books *books; /* receives styles, files and texts as they come */
    struct bank_error *error;
    bool no_include;

    struct bank_file *file; /* top of the stack below */
    struct bank_file stack[BANK_INCLUDE_DEPTH_MAX];
    size_t n_stack;
    struct bank_scope scope;
    struct bank_scope final_scope; /* at the end of the main file */
    struct bank_applied **applied; /* all of them, to be freed */
    size_t n_applied;
    size_t applied_capacity;

    struct bank_names style_names;
    struct bank_names symbols;  /* commodity symbols; same index as commodities */
    struct bank_names accounts; /* full names */
    struct bank_names nodes_by_key;
    struct bank_raw_commodity *commodities;
    size_t commodity_capacity;
    struct bank_node *nodes;
    size_t node_capacity;
    uint32_t *node_of_account;
    size_t account_capacity;
    struct bank_raw_transaction *transactions;
    size_t n_transactions;
    size_t transaction_capacity;
    struct bank_raw_posting *postings;
    size_t n_postings;
    size_t posting_capacity;
    struct bank_extra *extras;
    size_t n_extras;
    size_t extra_capacity;
    struct bank_raw_price *prices;
    size_t n_prices;
    size_t price_capacity;
    struct bank_amount *inferred;
    size_t n_inferred;
    size_t inferred_capacity;
    size_t file_capacity;
};

/* books_text.c: files, places and characters. */

/* Fills the error with the place of `at` in the current line. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int bank_fail(struct bank_reader *reader, const char *at,
                                                    const char *format, ...);
/* The same with a place that was noted earlier. */
struct bank_place {
    uint32_t file;
    uint32_t line;
    uint32_t column;
};
__attribute__((format(printf, 3, 4))) int
bank_fail_at(struct bank_reader *reader, struct bank_place place, const char *format, ...);
int bank_fail_memory(struct bank_reader *reader);

/* Opens a file, or takes text that is lent, and puts it on top of the stack. */
int bank_file_open(struct bank_reader *reader, const char *path);
int bank_file_open_text(struct bank_reader *reader, const struct bank_books_source *source);
void bank_file_close(struct bank_reader *reader);

uint32_t bank_column(const struct bank_file *file, const char *at);
const char *bank_line_end(const char *at);
/* Bytes of the white space at `at`, newline excluded; 0 if there is none. */
size_t bank_space_length(const char *at);
const char *bank_skip_spaces(const char *at);
/* Moves over spaces and, if it is next, the newline; else fails. */
int bank_end_line(struct bank_reader *reader);
void bank_next_line(struct bank_reader *reader);
bool bank_starts_with(const char *at, const char *word);
/* Cuts white space off both ends. */
void bank_trim(const char **start, const char **end);
/* Interns into books->texts. */
int bank_text_intern(struct bank_reader *reader, const char *start, const char *end,
                     uint32_t *index);

/* books_date.c: the next part of the text as a date. Year 0 means there is no default. */
int bank_read_date(struct bank_reader *reader, const char **at, int year, bank_date *date);

/* books_comment.c: comments behind and below an item, up to the next item. */

/* What the comments of an item said that matters. */
struct bank_comment {
    int year;            /* for dates without one */
    bool dates;          /* in: look for posting dates */
    bank_date date;      /* out: the posting's date, or 0 */
    const char *type_at; /* out: value of the first type: tag, or NULL */
    const char *type_end;
};
int bank_read_comments(struct bank_reader *reader, struct bank_comment *comment);
int bank_skip_block_comment(struct bank_reader *reader);

/* books_amount.c: numbers, commodities, amounts. */
bool bank_amount_follows(const char *at);
int bank_read_symbol(struct bank_reader *reader, uint32_t *commodity);
int bank_read_amount(struct bank_reader *reader, struct bank_amount *amount);
/* Prices and lots behind an amount; lots only if allowed. */
int bank_read_price(struct bank_reader *reader, const struct bank_amount *base, bool lots,
                    struct bank_amount *price, uint8_t *kind);
int bank_style_intern(struct bank_reader *reader, const struct bank_style *style, uint32_t *index);

static inline const struct bank_style *bank_style_of(const struct bank_reader *reader,
                                                     uint32_t index)
{
    /* The style has members of one byte only, so the interned bytes are one. */
    return (const struct bank_style *)reader->style_names.names[index].text;
}

/* books_account.c: account names. */
/* Reads a name, under the applied parents and aliases. */
int bank_read_account(struct bank_reader *reader, uint32_t *account);
/* Reads a name as written. */
int bank_read_account_text(struct bank_reader *reader, char *name, size_t *length);
void bank_account_declare(struct bank_reader *reader, uint32_t account);
int bank_accounts_finish(struct bank_reader *reader);
/* Puts an alias or a parent on top of a list. */
int bank_apply(struct bank_reader *reader, const struct bank_applied **list,
               struct bank_applied item);
/* "(name)" or "[name]". */
bool bank_is_virtual(const char *name, size_t length);

/* books_entry.c: a transaction with its postings. */
int bank_read_transaction(struct bank_reader *reader);

/* books_directive.c and books_include.c. */
int bank_read_directive(struct bank_reader *reader, bool *found);
int bank_read_include(struct bank_reader *reader);
/* Opens the next file that a finished or unfinished include names. */
int bank_include_next(struct bank_reader *reader);

/* books_style.c: settles the style of each commodity, and gives it to its amounts. */
void bank_note_price_style(struct bank_reader *reader, const struct bank_amount *amount);
void bank_note_amount_style(struct bank_reader *reader, const struct bank_amount *amount);
int bank_styles_finish(struct bank_reader *reader);
/* The style of `keep` with the greater precision of the two. */
int bank_style_merge(struct bank_reader *reader, uint32_t keep, uint32_t other, uint32_t *merged);

/* books_transaction.c: balances one transaction. */

struct bank_mixed;

/*
 * Checks that a transaction balances and finds the amount it leaves out.
 * `assigned` holds what balance assignments came to; it is NULL if the
 * transaction has none, and prices then count.
 */
int bank_balance_transaction(struct bank_reader *reader,
                             const struct bank_raw_transaction *transaction,
                             const struct bank_mixed *assigned);
struct bank_place bank_place_of(const struct bank_raw_transaction *transaction,
                                const struct bank_raw_posting *posting);

/* books_run.c: runs the accounts by date: assertions, assignments, overflow. */
int bank_run(struct bank_reader *reader);

#endif
