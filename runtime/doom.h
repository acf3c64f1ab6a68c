/*
 * Doom: a stop with a deadline.
 *
 * The STOP message that brought the deadline stays with the task: a timer
 * lies in its body. When the task ends before, the doom is lifted. When the
 * deadline comes first, what is queued is no longer handled, and a turn that
 * is parked is abandoned: it never goes on (actors/abandon.h). If the task
 * is lent, the borrower is told to do so.
 *
 *     STOP ──▶ gv_doom_set ── task ends ──▶ gv_doom_lift
 *                   │ deadline
 *                   ▼
 *              idle, queued: its run ends it     parked: gv_doom_fulfil     out: TELL
 *
 * Always: a task has one doom at most, the earliest.
 */
#ifndef GV_DOOM_H
#define GV_DOOM_H

#include "runtime/loop.h"

struct gv_doom {
    struct gv_timer timer;
    uint64_t task;
    bool mail_stays; /* only this incarnation ends: a supervisor has killed it */
};

/* The body of a STOP. Without a deadline_ms in its head only the mode is read. */
struct gv_stop_body {
    uint32_t mode; /* enum grove_stop_mode */
    struct gv_doom doom;
};

/* Keeps the deadline of a STOP for a task of this loop. Owns message. */
void gv_doom_set(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* The task ends: nothing more is to come. */
void gv_doom_lift(struct gv_loop *loop, struct gv_waitlist *list);

/* The deadline of a task with a parked turn, or of a guest with one, has come. */
void gv_doom_fulfil(struct gv_loop *loop, struct gv_task *task);

#endif
