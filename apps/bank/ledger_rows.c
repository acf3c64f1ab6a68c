/* Ledger rows: balances by account and commodity. See ledger_rows.h. */
#include "apps/bank/ledger_rows.h"

#include <stdlib.h>

#include "apps/bank/books_names.h"

enum { TABLE_SIZE_MIN = 64 };

/* Returns the slot of a row, or the free one where it belongs. */
static size_t find_slot(const struct bank_ledger_rows *rows, uint32_t account, uint32_t commodity)
{
    uint64_t key = (uint64_t)account << 32 | commodity;
    size_t slot;

    key = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u;
    slot = (size_t)(key ^ (key >> 32)) & (rows->table_size - 1);
    while (rows->table[slot] != 0) {
        const struct bank_ledger_row *row = &rows->rows[rows->table[slot] - 1];

        if (row->account == account && row->commodity == commodity)
            break;
        slot = (slot + 1) & (rows->table_size - 1);
    }
    return slot;
}

static int rebuild_table(struct bank_ledger_rows *rows, size_t size)
{
    uint32_t *table = calloc(size, sizeof *table);

    if (table == NULL)
        return -1;
    free(rows->table);
    rows->table = table;
    rows->table_size = size;
    for (size_t i = 0; i < rows->n_rows; i++)
        table[find_slot(rows, rows->rows[i].account, rows->rows[i].commodity)] = (uint32_t)i + 1;
    return 0;
}

struct bank_ledger_row *bank_ledger_rows_find(const struct bank_ledger_rows *rows, uint32_t account,
                                              uint32_t commodity)
{
    size_t slot;

    if (rows->table_size == 0)
        return NULL;
    slot = find_slot(rows, account, commodity);
    return rows->table[slot] == 0 ? NULL : &rows->rows[rows->table[slot] - 1];
}

struct bank_ledger_row *bank_ledger_rows_add(struct bank_ledger_rows *rows, uint32_t account,
                                             uint32_t commodity)
{
    struct bank_ledger_row *row = bank_ledger_rows_find(rows, account, commodity);
    size_t size = rows->table_size;

    if (row != NULL)
        return row;
    if (rows->n_rows * 2 >= size && rebuild_table(rows, size != 0 ? size * 2 : TABLE_SIZE_MIN) != 0)
        return NULL;
    row = bank_array_grow(rows->rows, &rows->capacity, rows->n_rows, sizeof *row);
    if (row == NULL)
        return NULL;
    rows->rows = row;
    row = &rows->rows[rows->n_rows];
    *row = (struct bank_ledger_row){.account = account, .commodity = commodity};
    rows->table[find_slot(rows, account, commodity)] = (uint32_t)++rows->n_rows;
    return row;
}

void bank_ledger_rows_deinit(struct bank_ledger_rows *rows)
{
    free(rows->rows);
    free(rows->table);
    *rows = (struct bank_ledger_rows){0};
}
