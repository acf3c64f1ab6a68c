/*
 * Progress: what the jobs of this loop's calls have said last.
 *
 *     worker ─PROGRESS─▶ pool ─gv_progress_tell─▶ the loop of the call ─▶ record ─▶ who waits
 *
 * A record is made when something comes for a future that is in flight.
 * Nothing ends with a future for its sake: whoever looks into the list frees
 * the records whose calls are over. So there are never more than calls whose
 * jobs have spoken, and those that were over at the last look.
 *
 * Always: a record's call was a future's; only its own loop touches it.
 */
#ifndef GV_PROGRESS_H
#define GV_PROGRESS_H

#include <grove/progress.h>

#include "runtime/loop.h"

/* Begins and ends with the loop. */
void gv_progress_open(struct gv_loop *loop);
void gv_progress_close(struct gv_loop *loop);

/* Tells the loop of a call; nothing happens where nobody can follow it, or memory is short. Any loop. */
void gv_progress_tell(struct gv_loop *loop, uint64_t call, const struct grove_progress *progress);

#endif
