/*
 * Noyield: regions of a turn in which it may not park.
 *
 * Nothing else runs on the loop meanwhile, so the loop itself counts how many
 * are open, and a bit of the turn's `odd` says that there are. Who parks
 * tests `odd` and `cancelled` at once (turn->barred), and comes here only if
 * one of them is set. No call runs inline in a region: each goes the way of
 * those that park, and is stopped there.
 */
#ifndef GV_NOYIELD_H
#define GV_NOYIELD_H

#include "runtime/hint.h"
#include "runtime/turn.h"

struct gv_loop;

/* The function that a user has called to wait so; a class of them for some kinds. Lent forever. */
const char *gv_await_name(unsigned kind) GV_RARE;

/* The running turn is barred: 0 if it may park all the same, GROVE_ECANCELED, or GROVE_EYIELD. await: who asks. */
int gv_turn_barred(struct gv_loop *loop, const char *await) GV_RARE;

/* For an await that may return without having parked: GROVE_EYIELD in a region, else 0. */
static inline int gv_noyield_check(struct gv_loop *loop, const struct gv_turn *turn,
                                   const char *await)
{
    if (gv_unlikely(turn->odd & GV_ODD_NOYIELD))
        return gv_turn_barred(loop, await);
    return 0;
}

/* A turn ends with regions open: closes and reports them. */
void gv_noyield_forgotten(struct gv_loop *loop, struct gv_turn *turn);

#endif
