/*
 * Replay: the transactions of the books, posted to the ledger one by one.
 *
 * The entries of a transaction go to all shards that hold its accounts at
 * once, and the next transaction begins when all of them have booked it.
 */
#ifndef BANK_REPLAY_H
#define BANK_REPLAY_H

#include "apps/bank/books.h"
#include "apps/bank/shards.h"

/*
 * Posts everything up to and with a date. Returns 0, or a negative code with
 * the error filled; it names the transaction if that is to blame. Suspends.
 */
int bank_replay_await(const struct bank_shards *shards, bank_date at, struct bank_error *error);

#endif
