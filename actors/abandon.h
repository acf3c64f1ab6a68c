/*
 * Abandon: a handler that is parked at its stop deadline never goes on.
 *
 *     deadline, on the loop's main stack            the task's run, on a dispatcher's stack
 *     ───────────────────────────────────           ───────────────────────────────────────
 *     its wait lets go of timer, call, answer  ──▶  gv_bury: clean-ups in reverse; its caller is
 *     no longer busy, ready to end                  told GROVE_EDOWN; futures, letters, answers,
 *     task->turn still names the turn               arena go; its stack goes back; the task ends
 *
 * The turn and all locals of the handler lie on the stack left behind, which
 * is given back last: so clean-ups find what their arguments point to.
 *
 * Turns stacked by inline calls. Only the one at the bottom of a stack of
 * the pool can be taken away:
 *
 *     ┌─ C  parked    C or B: its awaits fail from now on, and it returns by itself, as a frame
 *     ├─ B  waits     below it belongs to somebody else. It has parked inline, which a method does
 *     ┝━ A  waits     once; from then on it is queued.
 *   dispatcher        A: B goes on alone with its awaits cancelled, and the stack ends with it.
 *
 * Of the outside, what its function would have undone on its way out is
 * undone (io.h). Of several open turns of an actor each is abandoned by
 * itself, and buried in a run of its own (beside.h); the actor ends behind
 * them all.
 * Who waits for a call on a thread that uses its memory cannot be: if
 * that does not return within a second the process ends (job.h).
 *
 * Always: gv_abandon is called while no turn runs but main's.
 */
#ifndef GV_ABANDON_H
#define GV_ABANDON_H

#include "runtime/loop.h"

/* The stop deadline of a task of this loop, or of a guest, has come. It has a turn, which is parked. */
void gv_abandon(struct gv_loop *loop, struct gv_task *task);

/*
 * The same of one of several turns. True: it is for gv_bury_turn now, on a
 * dispatcher's stack. False: it cannot be taken away. Its awaits fail from
 * now on, its own shields no longer help it (those of turns above it do), and
 * a call on a thread that it waits for must return soon.
 */
bool gv_abandon_turn(struct gv_loop *loop, struct gv_turn *turn);

/* In the run that ends the task, if task->turn names an abandoned turn: ends that. Sets task->turn to NULL. */
void gv_bury(struct gv_loop *loop, struct gv_task *task);

/* The same of a turn that gv_abandon_turn said so of. */
void gv_bury_turn(struct gv_loop *loop, struct gv_turn *turn);

/* A turn that runs inline and whose caller was abandoned has ended: so does its stack. Does not return. */
void gv_stack_end(struct gv_loop *loop) __attribute__((noreturn));

#endif
