/*
 * Kept: what a task's own turns keep from one to the next, beside its state:
 * timers, calls to be answered later, messages put aside.
 *
 * Made on first use. It hangs on the task's waiting list, so both actors and
 * greenlets have room for it. Who runs the task's turns owns it, as he owns
 * its state: while an actor is lent, that is the borrower, and its home does
 * not look.
 */
#ifndef GV_KEPT_H
#define GV_KEPT_H

#include "actors/alarm.h"
#include "actors/reply.h"
#include "actors/stash.h"
#include "runtime/loop.h"

struct gv_kept {
    struct gv_alarms alarms;
    struct gv_replies replies;
    struct gv_stash stash;
};

/* The task itself, for one whose turns run here: its own, or its guest's. */
struct gv_task *gv_kept_task(const struct gv_loop *loop, struct gv_task *task);

/* What the task keeps; NULL if there is nothing, or, when it should be made, no memory. From its own turns. */
struct gv_kept *gv_kept_find(const struct gv_loop *loop, struct gv_task *task, bool make);

/* The task has ended, on its home: cancels its timers, fails who waits for it, frees what there is. kept may be NULL. */
void gv_kept_end(struct gv_loop *loop, struct gv_kept *kept);

/* A caller has left: what is kept for it is no longer wanted. The runtime's upcall. */
void gv_kept_forget(struct gv_loop *loop, struct gv_task *task, uint64_t call);

/* The same for a greenlet, whose function has returned. */
void gv_kept_leave(struct gv_loop *loop, struct gv_task *task);

#endif
