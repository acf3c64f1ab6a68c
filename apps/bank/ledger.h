/*
 * Ledger: one shard of the bank's accounts, an actor.
 *
 * A shard has a single writer, itself. It books what a replay posts without
 * asking what the balances become; sealed, it guards a floor for each: 0, or
 * the balance after the replay if that is lower. Then money moves in two
 * steps. What leaves an account is held first, and nobody else can spend it;
 * it is settled once it has arrived elsewhere, or released.
 *
 * Every step is known by the key of its transfer and may be asked again.
 * All arithmetic is checked; what would overflow is refused.
 */
#ifndef BANK_LEDGER_H
#define BANK_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/bank/ledger_keys.h"
#include "apps/bank/ledger_rows.h"
#include "bank.grove.h"

enum {
    BANK_LEDGER_ACCOUNTS_MAX = 1 << 24, /* the account numbers that a shard accepts */
    BANK_LEDGER_PAGE = 1024,            /* balances in one answer */
};

/* The state of one shard; all zeros is a fresh one. */
struct ledger {
    char **names; /* by account number; NULL for accounts of other shards */
    size_t n_names;
    struct bank_ledger_rows rows;
    struct bank_ledger_keys keys;
    uint64_t credited;
    uint64_t settled;
    uint64_t released;
    bool sealed;
};

extern const struct ledger_service bank_ledger;

#endif
