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
 * Turns stacked by inline calls: their frames lie on one stack, and it
 * depends on the place who has to go first:
 *
 *     ┌─ C  parked    C: is resumed, and before anything of it goes on its clean-ups run on top of
 *     ├─ B  waits        its frames; then its caller's one goes on as if C had returned (leave.h)
 *     ┝━ A  waits     B: its awaits fail, as C's do; when C has returned it goes like C
 *   dispatcher        A: B goes on alone with its awaits cancelled, and the stack ends with it
 *
 * Where frames cannot be walked, B and C return by themselves, and all their
 * awaits fail.
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

/* The upcall `leave`: such a turn above another one has been resumed. Returns only if it cannot be taken away. */
void gv_abandon_resumed(struct gv_loop *loop, struct gv_turn *turn);

/* In the run that ends the task, if task->turn names an abandoned turn: ends that. Sets task->turn to NULL. */
void gv_bury(struct gv_loop *loop, struct gv_task *task);

/* The same of a turn that gv_abandon_turn said so of. */
void gv_bury_turn(struct gv_loop *loop, struct gv_turn *turn);

/* A turn that runs inline and whose caller was abandoned has ended: so does its stack. Does not return. */
void gv_stack_end(struct gv_loop *loop) __attribute__((noreturn));

#endif
