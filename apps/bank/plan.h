/*
 * Plan: which transfers a demo makes up.
 *
 * For each commodity the accounts that hold some of it take part, and others
 * that begin at zero if there are fewer than two. All that may be spent, the
 * sum of balances above their floors, stays the same during a run; amounts
 * are drawn small against the average share of it, so that most transfers
 * are accepted and some are not. Payees are those of the books; now and then
 * one is a name of the watch list with a letter changed.
 *
 * A plan does not change once it is made: every loop may draw from it.
 */
#ifndef BANK_PLAN_H
#define BANK_PLAN_H

#include <stdint.h>

#include "apps/bank/shards.h"
#include "apps/bank/watchlist.h"
#include "bank.grove.h"

struct bank_plan;

/*
 * Makes the plan of books whose replay is over. The books are lent until it
 * is freed. Returns 0; -ENODATA if there is nothing that could be
 * transferred; or another negative code. Suspends.
 */
int bank_plan_new_await(const struct bank_shards *shards, struct bank_plan **plan);
void bank_plan_free(struct bank_plan *plan);

/* Room for a payee that the plan makes up. */
enum { BANK_PAYEE_MAX = BANK_WATCHLIST_LENGTH_MAX + 1 };

/* Draws a transfer and fills everything but its key. payee may be used for its text. */
void bank_plan_draw(const struct bank_plan *plan, Bank__V1__TransferRequest *transfer,
                    char payee[BANK_PAYEE_MAX]);

#endif
