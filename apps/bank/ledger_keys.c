/* Ledger keys: the memory of transfers. See ledger_keys.h. */
#include "apps/bank/ledger_keys.h"

#include <stdlib.h>

enum { HEADS = 2 * BANK_LEDGER_KEYS_MAX };

static uint32_t *head_of(const struct bank_ledger_keys *keys, uint64_t key, enum bank_key_side side)
{
    uint64_t hash = (key * 2 + side) * 0x9e3779b97f4a7c15u;

    return &keys->heads[(hash >> 32) & (HEADS - 1)];
}

struct bank_ledger_key *bank_ledger_keys_find(const struct bank_ledger_keys *keys, uint64_t key,
                                              enum bank_key_side side)
{
    uint32_t at = keys->heads != NULL ? *head_of(keys, key, side) : 0;

    while (at != 0) {
        struct bank_ledger_key *record = &keys->keys[at - 1];

        if (record->key == key && record->side == side)
            return record;
        at = record->chain;
    }
    return NULL;
}

/* The tables are large and mostly untouched: memory comes as records are used. */
static int make_tables(struct bank_ledger_keys *keys)
{
    keys->keys = calloc(BANK_LEDGER_KEYS_MAX, sizeof *keys->keys);
    keys->heads = calloc(HEADS, sizeof *keys->heads);
    if (keys->keys != NULL && keys->heads != NULL)
        return 0;
    bank_ledger_keys_deinit(keys);
    return -1;
}

/* Takes the oldest finished record out of the queue and out of its chain. */
static struct bank_ledger_key *forget_oldest(struct bank_ledger_keys *keys)
{
    struct bank_ledger_key *record;
    uint32_t place = keys->oldest, *link;

    if (place == 0)
        return NULL;
    record = &keys->keys[place - 1];
    keys->oldest = record->queue;
    if (keys->oldest == 0)
        keys->newest = 0;
    link = head_of(keys, record->key, record->side);
    while (*link != place)
        link = &keys->keys[*link - 1].chain;
    *link = record->chain;
    return record;
}

struct bank_ledger_key *bank_ledger_keys_add(struct bank_ledger_keys *keys, uint64_t key,
                                             enum bank_key_side side)
{
    struct bank_ledger_key *record;
    uint32_t *head;

    if (keys->heads == NULL && make_tables(keys) != 0)
        return NULL;
    if (keys->n_keys < BANK_LEDGER_KEYS_MAX)
        record = &keys->keys[keys->n_keys++];
    else
        record = forget_oldest(keys);
    if (record == NULL)
        return NULL;
    head = head_of(keys, key, side);
    *record = (struct bank_ledger_key){.key = key, .side = (uint8_t)side, .chain = *head};
    *head = (uint32_t)(record - keys->keys) + 1;
    keys->n_open++;
    return record;
}

void bank_ledger_keys_finish(struct bank_ledger_keys *keys, struct bank_ledger_key *record,
                             enum bank_key_state state)
{
    uint32_t place = (uint32_t)(record - keys->keys) + 1;

    record->state = (uint8_t)state;
    record->queue = 0;
    if (keys->newest != 0)
        keys->keys[keys->newest - 1].queue = place;
    else
        keys->oldest = place;
    keys->newest = place;
    keys->n_open--;
}

void bank_ledger_keys_deinit(struct bank_ledger_keys *keys)
{
    free(keys->keys);
    free(keys->heads);
    *keys = (struct bank_ledger_keys){0};
}
