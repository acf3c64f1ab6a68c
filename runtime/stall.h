/*
 * Stall: the watch over turns that hold up their loop; see <grove/stall.h>.
 *
 * The monitor's thread looks at each loop four times per threshold. What it
 * compares is written anyway: which turn runs, how many have ended, how many
 * waits and rounds there were. If none of it has changed, it is the same
 * turn, without a pause:
 *
 *     look          same            same  …       as old as the threshold
 *      │ remember    │ /proc: first  │ /proc       │ why, who, where: report
 *      ▼             ▼ figures       ▼ add up      ▼
 *     other turn: forget; a stall is over: its whole time, its kind once more
 *
 * So a turn costs no store and no clock beyond its own. Time counts between
 * two looks at most as twice the pause meant to be between them: when the
 * process, the machine or the monitor stood still, the turn did not run.
 *
 * What another thread's turn, task and actor hold is copied through
 * gv_monitor.read and believed only if the turn is still the same after.
 *
 * Twice as a by-product: a loop that has run turns for a whole look without
 * looking at the world is told to; and 64 turns are timed now and then.
 *
 * Always: the monitor writes nothing of a loop but `budget` and `times_wanted`,
 * which the loop may overwrite.
 */
#ifndef GV_STALL_H
#define GV_STALL_H

#include <grove/stall.h>

#include "runtime/monitor.h"

#define GV_STALL_TEXT_BYTES 4096u /* of a report: a log line at most */
#define GV_STALL_LOOKS      4u    /* per threshold */

struct gv_loop;

/* Starts the watch over the open loops, if the options and the env want one. */
void gv_stall_open(void);

/* Ends it. Before the loops' threads end. */
void gv_stall_close(void);

/* The calling thread runs this loop from now on; and no more. */
void gv_stall_enter(struct gv_loop *loop);
void gv_stall_leave(struct gv_loop *loop);

#endif
