/*
 * Shield: a part of a turn in which it is not cancelled. What users need of
 * it stands in <grove/cancel.h>.
 *
 * While shields are open, `cancelled` of the turn means that the time of the
 * innermost one is over, or of one around it; that the turn itself was
 * cancelled is withheld, and put back by the end of the outermost one. So
 * who parks looks at `cancelled` alone and knows nothing of shields.
 *
 * The timer fires one millisecond after the deadline: calls have ended by
 * then with GROVE_ETIMEDOUT, and only what has no deadline is cancelled.
 *
 * Always: turn->shield is set exactly while n_shields > 0; its timer is armed
 * until it has fired.
 */
#ifndef GV_SHIELD_H
#define GV_SHIELD_H

#include <grove/cancel.h>

#include "runtime/timer.h"
#include "runtime/turn.h"

struct gv_loop;

/* The open shields of a turn: a block of its loop. */
struct gv_shield {
    struct gv_turn *turn;
    struct gv_timer timer; /* of the innermost one */
    bool withheld;         /* the turn has been cancelled, before or since */
    struct {
        uint32_t deadline_ms; /* of the turn, outside of it; 0 = none */
        bool over;            /* the time of the shield around it was over when it began */
    } outside[GROVE_SHIELDS_MAX];
};

/* A turn behind a shield is cancelled: noted for the end of the shield. */
static inline void gv_shield_withhold(struct gv_turn *turn)
{
    turn->shield->withheld = true;
}

/* In a worker process: whether nobody waits for the running job any more; NULL elsewhere. */
extern bool (*gv_job_is_given_up)(void);

/* The turn ends with shields still open. */
void gv_shields_end(struct gv_loop *loop, struct gv_turn *turn);

#endif
