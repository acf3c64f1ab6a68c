/*
 * Defer: the clean-ups of a turn.
 *
 * A record lies in the turn's arena and hangs on its list, newest first; one
 * bit of `odd` says that there is one, so a turn without any pays nothing.
 * A record leaves the list before its function runs, so it runs once,
 * whatever that does.
 */
#ifndef GV_DEFER_H
#define GV_DEFER_H

#include <grove/defer.h>

#include "runtime/hint.h"
#include "runtime/loop.h"
#include "runtime/noyield.h"
#include "runtime/turn.h"

struct gv_defer {
    struct gv_defer *next;
    grove_defer_fn function;
    void *argument;
};

/* Runs those that are newer than until, newest first; NULL: all. In the turn, or in its end. */
void gv_defers_run(struct gv_turn *turn, const struct gv_defer *until);

/* The newest one, NULL if there is none. */
static inline struct gv_defer *gv_turn_defers(const struct gv_turn *turn)
{
    return turn->odd & GV_ODD_DEFERS ? turn->defers : NULL;
}

/* At the end of a turn, before anything of it is freed. */
static inline void gv_turn_clean_up(struct gv_turn *turn)
{
    if (gv_unlikely(turn->odd & GV_ODD_NOYIELD))
        gv_noyield_forgotten(gv_loop_here, turn);
    if (gv_unlikely(turn->odd & GV_ODD_DEFERS))
        gv_defers_run(turn, NULL);
}

#endif
