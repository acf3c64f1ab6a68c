/*
 * Shards: the ledger as its users see it, some actors spread over the loops.
 *
 * An account belongs to the shard that the hash of its name picks. Quantities
 * travel as integers: each commodity has a scale, the most decimals that any
 * amount of the books has, so that nothing is ever rounded.
 *
 * Open, replay (replay.h), then use. After the replay a struct bank_shards
 * does not change until it is closed, and every loop may read it.
 */
#ifndef BANK_SHARDS_H
#define BANK_SHARDS_H

#include <stdint.h>

#include <grove.h>

#include "apps/bank/books.h"
#include "apps/bank/books_balances.h"
#include "bank.grove.h"

enum { BANK_SHARDS = 4 };

struct bank_shards {
    const struct bank_books *books; /* lent until close */
    grove_ref refs[BANK_SHARDS];
    uint8_t *shard_of; /* by account */
    uint8_t *scales;   /* by commodity */
};

/* One balance as a shard tells it. */
typedef int (*bank_shards_each_fn)(void *context, const Bank__V1__Balance *balance);

/*
 * Starts the shards and opens the accounts of the books. The scales are those
 * of the postings up to and with a date. Returns 0, or a negative code; then
 * nothing is left. Suspends.
 */
int bank_shards_open_await(struct bank_shards *shards, const struct bank_books *books,
                           bank_date at);

/* The shard of an account. */
static inline grove_ref bank_shards_of(const struct bank_shards *shards, uint32_t account)
{
    return shards->refs[shards->shard_of[account]];
}

/* Sets the floors: nothing is posted any more, transfers begin. Returns 0 or a code. Suspends. */
int bank_shards_seal_await(const struct bank_shards *shards);

/* Calls a function with each balance until it returns not 0, which is returned. Suspends. */
int bank_shards_each_await(const struct bank_shards *shards, bank_shards_each_fn each,
                           void *context);

/* Fills an empty table with the balances of all shards. Returns 0 or a code. Suspends. */
int bank_shards_balances_await(const struct bank_shards *shards, struct bank_balances *balances);

/* Stops the shards and frees everything. Suspends. */
void bank_shards_close_await(struct bank_shards *shards);

#endif
