/*
 * Results: what a demo came to, and whether the bank kept its promises.
 *
 *     no money was made or lost     the sums are what they were, every credit
 *                                   has its settlement, nothing stays held
 *     every request got one answer  counted by those who asked, and by those
 *                                   who carried it out
 *     no account is below its floor asked of every shard
 *     the killed worker was replaced
 */
#ifndef BANK_RESULTS_H
#define BANK_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include <grove.h>

#include "apps/bank/shards.h"
#include "bank.grove.h"

enum {
    BANK_LOOPS_MAX = 63,
    BANK_PROMISE_TEXT_MAX = 512,
    BANK_STALLS_MAX = 16, /* named; there may have been more */
};

/* What the shards say at the end, added up. */
struct bank_audit {
    uint64_t credited;
    uint64_t settled;
    uint64_t released;
    uint64_t held;
    uint64_t partly_held;
    uint64_t below_floor;
    char lowest[128]; /* one account of those, perhaps cut */
};

/* What one loop did during the transfers. */
struct bank_loop_result {
    double busy;    /* share of the time, 0 to 1 */
    double stalled; /* of that, in turns that held the others up */
    uint64_t longest_turn_ns;
};

struct bank_results {
    const struct bank_books *books;
    uint64_t planned;   /* transfers; UINT64_MAX if only the time decides */
    uint64_t limit_ns;  /* the time; 0 if only their number decides */
    uint32_t n_clients; /* started */
    uint64_t took_ns;   /* from the first transfer to the end of the last */
    bool complete;      /* all clients have ended */
    unsigned n_killed;  /* workers killed on purpose */
    unsigned n_loops;
    struct bank_loop_result loops[BANK_LOOPS_MAX];
    unsigned n_stalls; /* the first ones of this run */
    struct grove_stall stalls[BANK_STALLS_MAX];
    struct grove_pool_stats pool;
    struct bank_audit audit;
    Bank__V1__SummarizeResponse summary;
    struct bank_decimal *sums_before; /* by commodity */
    struct bank_decimal *sums_after;
};

/*
 * Adds up all balances by commodity. *sums is the caller's, to be freed.
 * Returns 0, -ERANGE if a sum does not fit, or another code. Suspends.
 */
int bank_results_sums_await(const struct bank_shards *shards, struct bank_decimal **sums);

/* Asks all shards for their audit. Returns 0 or a code. Suspends. */
int bank_results_audit_await(const struct bank_shards *shards, struct bank_audit *audit);

/* True if every promise was kept; else broken says which was not. */
bool bank_results_check(const struct bank_results *results, char broken[BANK_PROMISE_TEXT_MAX]);

#endif
