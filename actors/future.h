/*
 * Future: a call in flight whose caller goes on meanwhile.
 *
 * The future itself lies in its caller's frame, and that may be gone when
 * the turn ends: a handler returns before its dispatcher looks at what it
 * left. So it is the call record that hangs on the turn's list, from start
 * until the future is awaited or given up, and that keeps the answer. Only
 * the await writes the caller's response.
 *
 * Always: the future of a record whose turn has not ended can be written to.
 */
#ifndef GV_FUTURE_H
#define GV_FUTURE_H

#include <grove/call.h>

#include "runtime/loop.h"

struct gv_call;

/* The answer of a future's call has come: keeps it and wakes who waits. Owns reply. */
void gv_future_finish(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply);

/* Gives up the call of a future or stream that hangs on no turn any more. */
void gv_future_give_up(struct gv_loop *loop, struct gv_call *call);

/* Gives up every future and stream of the turn, without touching them. */
void gv_futures_give_up(struct gv_loop *loop, struct gv_turn *turn);

#endif
