/*
 * Go: greenlets, and what every turn may wait for by itself: time, its turn
 * in the queue, mail.
 *
 * A greenlet is a task whose one turn runs a function. Its mailbox is read
 * with receive, in straight-line code. The public forms are in
 * <grove/task.h>; here is what the upper floors need of them.
 */
#ifndef GV_GO_H
#define GV_GO_H

#include "runtime/loop.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

/* True for a task made by grove_go. */
bool gv_task_is_greenlet(const struct gv_task *task);

/*
 * Parks the running greenlet until its mailbox has a message and takes it.
 * timeout_ms as grove_receive_await. The caller owns *message.
 */
int gv_receive(struct gv_loop *loop, uint32_t timeout_ms, struct gv_message **message);

/* Wakes a greenlet that is parked in receive. */
void gv_task_mail_came(struct gv_loop *loop, struct gv_task *task);

/* The rare way of the function below. */
int gv_task_bound_to(struct gv_task *task, uint32_t depth_max, uint32_t bytes_max);

/*
 * Sets the bounds of a new task's mailbox; 0 means the option's default.
 * Returns 0, or GROVE_EUSAGE beyond 1 048 575 messages or 255 MiB.
 */
static inline int gv_task_bound(struct gv_task *task, uint32_t depth_max, uint32_t bytes_max)
{
    if (depth_max != 0 || bytes_max != 0)
        return gv_task_bound_to(task, depth_max, bytes_max);
    task->bounds = gv_runtime.usual;
    return 0;
}

/*
 * Puts a message into a task's mailbox on its home loop and makes the task
 * run. Returns 0, or GROVE_EFULL: the message then stays the caller's.
 */
static inline int gv_task_push(struct gv_loop *loop, struct gv_task *task,
                               struct gv_message *message)
{
    int rc = gv_mailbox_push(&task->mailbox, message, task->bounds.depth_max,
                             (uint32_t)task->bounds.bytes_max_64k << 16);

    if (rc != 0)
        return rc;
    if (gv_unlikely(task->flags & GV_TASK_RECEIVING))
        gv_task_mail_came(loop, task);
    else
        gv_sched_ready(loop, task);
    return 0;
}

/* Puts a message at the end of all mail, also of what waits for room, whatever the bounds are. */
void gv_task_push_always(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/*
 * Puts a message that found no room at the end of the waiting list. Returns
 * 0, or GROVE_EFULL (its peer has enough there, see waitlist.h) or
 * GROVE_ENOMEM: the message then stays the caller's.
 */
int gv_task_wait_for_room(struct gv_task *task, struct gv_message *message);

/* Lets waiting messages in once half of the mailbox is free. Call it after taking mail if GV_TASK_WAITED is set. */
void gv_task_let_in(struct gv_loop *loop, struct gv_task *task);

/* Takes the oldest message of a method that is queued here, or waits for room; NULL if there is none. The caller owns it. */
struct gv_message *gv_task_take_oldest(struct gv_task *task, uint16_t method);

/* Takes a queued or waiting message back by its call id; NULL if it is not there. The caller owns it. */
struct gv_message *gv_task_take_back(struct gv_loop *loop, struct gv_task *task, uint64_t call);

/*
 * Nobody waits for the answer of this call any more: its request is taken
 * back and given away, true; or the turn that handles it is cancelled.
 */
bool gv_task_give_up(struct gv_loop *loop, struct gv_task *task, uint64_t call);

/* Does what a GV_SIGNAL_CANCEL asks for: gives the call up. Owns message. */
void gv_task_cancel_request(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* Answers message when the task has ended, if anybody waits for its answer. Owns message. */
void gv_task_tell_end(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* Fails everything in the task's mailbox with code. */
void gv_task_orphan_mail(struct gv_loop *loop, struct gv_task *task, int code);

/*
 * Ends the task: its mail is orphaned, its slot given back, and who waits
 * for its end is answered. It must not be busy or queued.
 */
void gv_task_end(struct gv_loop *loop, struct gv_task *task);

/* What must be true of a task whose slot is given back. */
static inline void gv_task_check_leave(const struct gv_task *task)
{
    gv_assert(!(task->flags & (GV_TASK_BUSY | GV_TASK_QUEUED | GV_TASK_WAITED)));
    gv_assert(task->mailbox.head == NULL);
}

/* The parts of it, for who has more to free between: gives the slot of a task without mail back. */
static GV_INLINE void gv_task_leave(struct gv_loop *loop, struct gv_task *task)
{
    gv_task_check_leave(task);
    gv_probe(&loop->probes, STOP, gv_task_id(task), loop->index);
    if (gv_unlikely(task->anywhere))
        gv_figure_set(&loop->n_chosen_ended, loop->n_chosen_ended + 1);
    gv_slot_give(&loop->slots, task);
    gv_loop_count(loop, -1);
}

/* Answers who waited for the end of a task: its stop_waiters. */
void gv_task_ended(struct gv_loop *loop, struct gv_message *waiters);

/* Ends all waiting of a task's running turn: the park and all later ones return GROVE_ECANCELED. */
void gv_task_cancel(struct gv_loop *loop, struct gv_task *task);

/* Makes a deadline of the epoch from a timeout counted from now, read fresh; never 0. */
uint32_t gv_deadline_in(struct gv_loop *loop, uint32_t timeout_ms);

#endif
