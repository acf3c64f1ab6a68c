/*
 * Chain: who stands behind a call.
 *
 * A call was made by a turn, which handles a call itself, which was made by
 * another turn, and so on up to a greenlet, main, or a plain send. An actor
 * that has granted its chain the way back (beside.h) wants to know whether
 * one of its own turns stands there. Each step is a call record: on this
 * loop it is looked up; where the chain leads to another loop, a petition
 * follows it from loop to loop and comes home with what it met.
 *
 *     m ─record─▶ its caller's turn ─request─▶ record ─▶ … ─▶ a turn of the actor: its grant
 *                 runs inline: the turn below it
 *
 * Nothing travels with the calls themselves. What stands behind a call never
 * changes, so a chain that was followed once is true for good.
 *
 * Always: at most GV_CHAIN_HOPS calls are followed.
 */
#ifndef GV_CHAIN_H
#define GV_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

#define GV_CHAIN_HOPS   256u
#define GV_CHAIN_GRANTS 8u /* turns of one actor in one chain */

/* What was met on the way up. */
struct gv_chain_walk {
    uint64_t task;                    /* whose turns are looked for */
    uint64_t at;                      /* the call to go on with, 0: the end was reached */
    uint64_t grants[GV_CHAIN_GRANTS]; /* of that task's turns */
    uint16_t hops;
    uint8_t n;
};

/*
 * Follows the chain upwards from call `walk->at`, or from a turn if that is
 * not NULL, as far as it stays on this loop.
 */
void gv_chain_follow(struct gv_loop *loop, struct gv_chain_walk *walk, const struct gv_turn *turn);

/* True if a turn with this grant was met. */
bool gv_chain_has(const struct gv_chain_walk *walk, uint64_t grant);

/* The loop on which the walk goes on. */
static inline unsigned gv_chain_next_loop(const struct gv_chain_walk *walk)
{
    return (unsigned)(walk->at >> 56); /* as actors/call.h numbers records */
}

/* Sends a petition for `call`, which waits at the walk's task, on to where the walk goes on. */
void gv_chain_ask(struct gv_loop *loop, const struct gv_chain_walk *walk, uint64_t call);

/* A petition came. Owns message. */
void gv_chain_came(struct gv_loop *loop, struct gv_message *message);

#endif
