/* Balances: the table of accounts and commodities. See books_balances.h. */
#include "apps/bank/books_balances.h"

#include <errno.h>
#include <stdlib.h>

enum { TABLE_SIZE_MIN = 64 };

static size_t first_slot(const struct bank_balances *balances, uint32_t account, uint32_t commodity)
{
    uint64_t key = (uint64_t)account << 32 | commodity;

    key = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u;
    return (size_t)(key ^ (key >> 32)) & (balances->table_size - 1);
}

/* Returns the slot of a row, or the free one where it belongs. */
static size_t find_slot(const struct bank_balances *balances, uint32_t account, uint32_t commodity)
{
    size_t slot = first_slot(balances, account, commodity);

    while (balances->table[slot] != 0) {
        const struct bank_balance *row = &balances->rows[balances->table[slot] - 1];

        if (row->account == account && row->commodity == commodity)
            break;
        slot = (slot + 1) & (balances->table_size - 1);
    }
    return slot;
}

static int rebuild_table(struct bank_balances *balances, size_t size)
{
    uint32_t *table = calloc(size, sizeof(*table));

    if (!table)
        return -ENOMEM;
    free(balances->table);
    balances->table = table;
    balances->table_size = size;
    for (size_t i = 0; i < balances->n_rows; i++) {
        size_t slot = find_slot(balances, balances->rows[i].account, balances->rows[i].commodity);

        balances->table[slot] = (uint32_t)i + 1;
    }
    return 0;
}

struct bank_balance *bank_balances_find(const struct bank_balances *balances, uint32_t account,
                                        uint32_t commodity)
{
    size_t slot;

    if (balances->table_size == 0)
        return NULL;
    slot = find_slot(balances, account, commodity);
    return balances->table[slot] == 0 ? NULL : &balances->rows[balances->table[slot] - 1];
}

int bank_balances_add(struct bank_balances *balances, uint32_t account, uint32_t commodity,
                      struct bank_decimal quantity)
{
    struct bank_balance *row = bank_balances_find(balances, account, commodity);
    size_t size = balances->table_size;

    if (row)
        return bank_decimal_add(row->quantity, quantity, &row->quantity);
    if (balances->n_rows * 2 >= size
        && rebuild_table(balances, size ? size * 2 : TABLE_SIZE_MIN) < 0)
        return -ENOMEM;
    row = bank_array_grow(balances->rows, &balances->capacity, balances->n_rows, sizeof(*row));
    if (!row)
        return -ENOMEM;
    balances->rows = row;
    balances->rows[balances->n_rows] =
        (struct bank_balance){.account = account, .commodity = commodity, .quantity = quantity};
    balances->table[find_slot(balances, account, commodity)] = (uint32_t)++balances->n_rows;
    return 0;
}

int bank_balances_fold(struct bank_balances *balances, const struct bank_books *books, bank_date at)
{
    int rc = 0;

    for (size_t i = 0; i < books->n_postings && rc == 0; i++) {
        const struct bank_posting *posting = &books->postings[i];

        if (posting->date <= at)
            rc = bank_balances_add(balances, posting->account, posting->commodity,
                                   posting->quantity);
    }
    return rc;
}

/*
 * A balance looks like the last amount that went into it, by the dates of
 * postings and then as written, with the most decimals of all.
 */
static void note_style(struct bank_balance *row, const struct bank_books *books,
                       const struct bank_posting *posting, uint32_t number)
{
    uint8_t precision = books->styles[posting->style].precision;

    /* The first amount counts alone: an assigned one may have fewer decimals than usual. */
    if (row->number == BANK_NONE || row->precision < precision)
        row->precision = precision;
    if (row->number == BANK_NONE || row->date < posting->date
        || (row->date == posting->date && row->number <= number)) {
        row->style = posting->style;
        row->date = posting->date;
        row->number = number;
    }
}

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct bank_balance *a = left, *b = right;
    const struct bank_books *books = context;
    uint32_t x = books->accounts[a->account].sort_order;
    uint32_t y = books->accounts[b->account].sort_order;

    if (x == y) {
        x = books->commodities[a->commodity].sort_order;
        y = books->commodities[b->commodity].sort_order;
    }
    return (x > y) - (x < y);
}

int bank_balances_finish(struct bank_balances *balances, const struct bank_books *books,
                         bank_date at)
{
    if (balances->n_rows == 0)
        return 0;
    for (size_t i = 0; i < balances->n_rows; i++) {
        balances->rows[i].style = books->commodities[balances->rows[i].commodity].style;
        balances->rows[i].precision = balances->rows[i].style == BANK_NONE
                                          ? 0
                                          : books->styles[balances->rows[i].style].precision;
        balances->rows[i].number = BANK_NONE;
    }
    for (size_t i = 0; i < books->n_transactions; i++) {
        const struct bank_transaction *transaction = &books->transactions[i];

        for (size_t j = 0; j < transaction->n_postings; j++) {
            const struct bank_posting *posting = &books->postings[transaction->first_posting + j];
            struct bank_balance *row =
                bank_balances_find(balances, posting->account, posting->commodity);

            if (row && posting->date <= at)
                note_style(row, books, posting, transaction->number);
        }
    }
    /* The cast drops a const that the comparison restores. */
    qsort_r(balances->rows, balances->n_rows, sizeof(*balances->rows), compare_rows, (void *)books);
    return rebuild_table(balances, balances->table_size);
}

void bank_balances_deinit(struct bank_balances *balances)
{
    free(balances->rows);
    free(balances->table);
    *balances = (struct bank_balances){0};
}
