/*
 * Client: a greenlet that asks its own teller for one transfer after the
 * other, and notes each answer.
 */
#ifndef BANK_CLIENT_H
#define BANK_CLIENT_H

#include <stdatomic.h>
#include <stdint.h>

#include <grove.h>

#include "apps/bank/plan.h"
#include "apps/bank/teller.h"

enum { BANK_CLIENTS = 64 };

/*
 * Clients that could not do their work. Shared by all loops, because whoever
 * has no stack to wait on cannot send a message about it either.
 */
struct bank_clients_lost {
    atomic_int code;       /* why; once it is not 0, all clients end after the transfer at hand */
    atomic_uint n_unnoted; /* how many have ended without a note to the tally */
};

/* What a client gets to know; copied to it. */
struct bank_client {
    struct bank_teller_argument to;
    struct bank_clients_lost *lost; /* lent, as is the next */
    const struct bank_plan *plan;   /* lent until the client has ended */
    uint64_t n_transfers;           /* UINT64_MAX: until the time is over */
    uint64_t until_ns;              /* by grove_now_ns; 0: no limit */
    uint32_t number;                /* from 0; makes its keys unlike those of others */
};

/* Starts a client on a loop. Returns 0 or a negative code. Never suspends. */
int bank_client_start(const struct bank_client *client, unsigned loop);

#endif
