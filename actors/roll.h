/*
 * Roll: in which order those are told to stop whom nobody has spawned that
 * would stop them: what main spawns, a greenlet, `.detached`; supervisors
 * without one. At the end of the process the newest ends first and the next
 * one is told when it has ended, so that who uses another one finds it alive
 * also in its deinit.
 *
 *     every loop:  its entries ──▶ main: one list, the newest first ──▶ STOP ── gone? ──▶ STOP …
 *
 * Several of a row that have no deinit, no children, and nothing to do are
 * told together: nothing of the order between them could be seen. Each entry
 * has the number that its spawn was given by its spawner's loop (kin.h).
 *
 * Half of the time is for that; then all that are left are told, so that
 * one that takes long does not cost the older ones their own time.
 *
 * A roll is called again when it is through, for who was on its way
 * meanwhile. Without memory for the list of a loop those on it are told at
 * once.
 */
#ifndef GV_ROLL_H
#define GV_ROLL_H

#include <stdbool.h>

#include "runtime/loop.h"

/* Tells those whose turn it is, or all that are left. True if the roll went on. On loop 0, by main, again and again. */
bool gv_roll_go_on(struct gv_loop *loop, bool all);

/* Forgets the list: all that are left are told otherwise now. */
void gv_roll_close(void);

/* Frees all of it, also answers that came late: once the loops have ended. */
void gv_roll_end(void);

/* In shutdown.c: tells a task of this loop to stop now. */
void gv_roll_tell(struct gv_loop *loop, struct gv_task *task);

#endif
