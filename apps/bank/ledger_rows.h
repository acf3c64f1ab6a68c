/*
 * Ledger rows: the balances of one shard, found by account and commodity.
 *
 * Rows are kept in the order they came and are never removed; a table of
 * open addressing finds them. A pointer to a row is good until the next row
 * is added, its index for ever.
 *
 * Always, once the floors are set: 0 <= held and floor + held <= amount.
 */
#ifndef BANK_LEDGER_ROWS_H
#define BANK_LEDGER_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct bank_ledger_row {
    uint32_t account;
    uint32_t commodity;
    int64_t amount;
    int64_t held;  /* the part of amount that is promised to transfers under way */
    int64_t floor; /* amount - held stays at or above it */
};

/* All zeros is an empty set. */
struct bank_ledger_rows {
    struct bank_ledger_row *rows;
    size_t n_rows;
    size_t capacity;
    uint32_t *table; /* index + 1, or 0 */
    size_t table_size;
};

/* Returns the row, or NULL if there is none. */
struct bank_ledger_row *bank_ledger_rows_find(const struct bank_ledger_rows *rows, uint32_t account,
                                              uint32_t commodity);

/* Returns the row, a new one of zeros if there was none, or NULL without memory. */
struct bank_ledger_row *bank_ledger_rows_add(struct bank_ledger_rows *rows, uint32_t account,
                                             uint32_t commodity);

void bank_ledger_rows_deinit(struct bank_ledger_rows *rows);

#endif
