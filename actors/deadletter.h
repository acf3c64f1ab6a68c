/*
 * Dead letter: what is noted of an accepted message that no handler will see.
 *
 *     gv_dead_note ─▶ counters and ring of this loop ─▶ subscribers are woken, and read the rings
 *
 * Each loop has counters, which any thread reads, and a ring under a lock of
 * its own. A subscriber is a greenlet that remembers how far it has read in
 * each ring; what was overwritten meanwhile it has missed. So whoever notes
 * a letter writes one record and sends at most one wake-up for each
 * subscriber that sleeps, however slow that is.
 *
 * Always: nobody holds two of these locks, or waits while he holds one.
 */
#ifndef GV_DEADLETTER_H
#define GV_DEADLETTER_H

#include <grove/deadletter.h>

#include "runtime/loop.h"
#include "runtime/turn.h"

#define GV_DEAD_RING      256u /* letters of one loop that are kept */
#define GV_DEAD_READERS   16u
#define GV_DEAD_LOG_FIRST 10u    /* lines of a loop, after GV_DEAD_QUIET_MS without a letter */
#define GV_DEAD_LOG_MS    10000u /* from then on one line in this time */
#define GV_DEAD_QUIET_MS  60000u

/* Begins and forgets the notes of a loop, with it. */
void gv_dead_open(struct gv_loop *loop);
void gv_dead_close(struct gv_loop *loop);

/* Notes an rpc's message. It stays the caller's. */
void gv_dead_note(struct gv_loop *loop, const struct gv_message *message,
                  enum grove_dead_reason reason);

/* Notes what the turn handled when it failed: GROVE_DEAD_CRASHED. Nothing if that was no message. */
void gv_dead_note_turn(struct gv_loop *loop, const struct gv_turn *turn);

#endif
