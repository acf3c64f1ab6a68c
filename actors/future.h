/*
 * Future: a call in flight that lies in its caller's frame.
 *
 * It hangs on its turn's list from start until it is awaited or given up,
 * so that none outlives the frame it lies in. Its answer is kept until it is
 * awaited; only then the caller's response is written.
 */
#ifndef GV_FUTURE_H
#define GV_FUTURE_H

#include <grove/call.h>

#include "runtime/loop.h"

/* Its answer came, or it failed: marks it done and wakes who waits. Owns reply (NULL: code only). */
void gv_future_finish(struct gv_loop *loop, struct grove_future *future, struct gv_message *reply);

/* Gives up every future of the turn. */
void gv_futures_give_up(struct gv_loop *loop, struct gv_turn *turn);

#endif
