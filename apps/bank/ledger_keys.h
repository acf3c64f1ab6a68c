/*
 * Ledger keys: what a shard remembers of each transfer, by its key.
 *
 * A transfer touches two accounts, perhaps of one shard: each side of it has
 * a record of its own. An open record (an amount is held) stays until it is
 * finished. Finished ones are kept to answer a request that is asked again,
 * and forgotten, oldest first, when their place is needed.
 *
 *     HELD ──settle──> SETTLED ┐
 *       └────release─> RELEASED├──> forgotten
 *                      CREDITED┘
 *
 * Always: at most BANK_LEDGER_KEYS_MAX records.
 */
#ifndef BANK_LEDGER_KEYS_H
#define BANK_LEDGER_KEYS_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* Seconds of work: far more than the time in which a request is asked again. */
    BANK_LEDGER_KEYS_MAX = 1 << 18,
};

enum bank_key_side { BANK_SOURCE, BANK_DESTINATION };

enum bank_key_state { BANK_HELD, BANK_SETTLED, BANK_RELEASED, BANK_CREDITED };

struct bank_ledger_key {
    uint64_t key;
    int64_t amount;
    uint32_t row;   /* index of the balance */
    uint32_t chain; /* the next of the same hash: index + 1, or 0 */
    uint32_t queue; /* the next younger finished one: index + 1, or 0 */
    uint8_t side;   /* enum bank_key_side */
    uint8_t state;  /* enum bank_key_state */
};

/* All zeros is an empty memory. */
struct bank_ledger_keys {
    struct bank_ledger_key *keys;
    uint32_t *heads;
    size_t n_keys; /* records ever used; those behind it are fresh */
    size_t n_open;
    uint32_t oldest; /* of the finished ones: index + 1, or 0 */
    uint32_t newest;
};

/* Returns the record, lent until the next add, or NULL if nothing is known of the key. */
struct bank_ledger_key *bank_ledger_keys_find(const struct bank_ledger_keys *keys, uint64_t key,
                                              enum bank_key_side side);

/*
 * Adds an open record, which must not be there yet. Returns it, lent as by
 * find; or NULL if all records are open, or there is no memory.
 */
struct bank_ledger_key *bank_ledger_keys_add(struct bank_ledger_keys *keys, uint64_t key,
                                             enum bank_key_side side);

/* Gives an open record its last state: it may be forgotten from now on. */
void bank_ledger_keys_finish(struct bank_ledger_keys *keys, struct bank_ledger_key *record,
                             enum bank_key_state state);

void bank_ledger_keys_deinit(struct bank_ledger_keys *keys);

#endif
