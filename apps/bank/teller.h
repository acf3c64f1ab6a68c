/*
 * Teller: serves one client; an actor that carries transfers through.
 *
 *     reserve at the source's shard
 *     screen the payee, in a worker process
 *     credit at the destination's shard
 *     settle at the source's shard; or, if the payee or the
 *     destination is refused, release what was reserved
 *
 * The amount is held while the payee is screened, so no other transfer can
 * spend it meanwhile. Nothing is credited before it is held, nothing is
 * settled before it has arrived. When the answer to a step is lost, the
 * teller asks again under the same key.
 *
 * Tellers wait for shards and workers, never for each other, and shards wait
 * for nobody: no cycle of waits can arise.
 */
#ifndef BANK_TELLER_H
#define BANK_TELLER_H

#include <grove.h>

#include "apps/bank/shards.h"
#include "bank.grove.h"

/* What a teller needs to know; the argument of its spawn. */
struct bank_teller_argument {
    const struct bank_shards *shards; /* lent for the teller's life */
    grove_ref pool;                   /* screens payees */
    grove_ref tally;                  /* counts screenings */
};

extern const struct teller_service bank_teller;

#endif
