#include "actors/abandon.h"

#include <grove/actor.h>
#include <grove/error.h>

#include "actors/actor.h"
#include "actors/beside.h"
#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/defer.h"
#include "actors/job.h"
#include "actors/kin.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/leave.h"
#include "runtime/log.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/shield.h"

/* --- waits ------------------------------------------------------------------------------------ */

/* NULL: it cannot be abandoned. */
static const char *name_of(const struct gv_wait *wait)
{
    switch ((enum gv_wait_kind)wait->kind) {
    case GV_WAIT_SLEEP:
        return "sleep";
    case GV_WAIT_YIELD:
        return "yield";
    case GV_WAIT_MAIL:
        return "receive";
    case GV_WAIT_CALL:
        return "call";
    case GV_WAIT_ROOM:
        return "room";
    case GV_WAIT_ALL:
    case GV_WAIT_ANY:
        return "futures";
    case GV_WAIT_ITEM:
        return "item";
    case GV_WAIT_STOP:
        return "stop";
    case GV_WAIT_SPAWN:
        return "spawn";
    case GV_WAIT_IO:
        return wait->leave != NULL ? "outside" : NULL;
    case GV_WAIT_BESIDE:
        return "grant";
    case GV_WAIT_THREAD:
    case GV_WAIT_OUT:
        break;
    }
    return NULL;
}

/* Takes a wait that was woken out of the ready list, if it stands there. */
static void unready(struct gv_loop *loop, const struct gv_wait *wait)
{
    struct gv_wait *before = NULL;

    for (struct gv_wait *each = loop->ready_head; each != NULL; before = each, each = each->next) {
        if (each != wait)
            continue;
        if (before != NULL)
            before->next = wait->next;
        else
            loop->ready_head = wait->next;
        if (loop->ready_tail == wait)
            loop->ready_tail = before;
        return;
    }
}

/* Nobody else will ever have the ref of a child whose spawner is gone. */
static void stop_child(const struct gv_wait *wait)
{
    struct gv_task *child = gv_slot_find(wait->target);

    if (child != NULL)
        (void)grove_stop(gv_task_ref(child), GROVE_STOP_KILL); /* Gone already is as good. */
}

/* What the wait holds is let go, as the function that parked would have done on its way out. */
static void leave(struct gv_loop *loop, struct gv_wait *wait)
{
    struct gv_call *call;

    gv_wheel_disarm(&loop->wheel, &wait->timer);
    if (wait->woken)
        unready(loop, wait);
    wait->woken = 1; /* From here on nobody wakes it, and no search follows it. */
    wait->rc = GROVE_ECANCELED;
    if (wait->cycle != NULL)
        gv_deadlock_unwatch(loop, wait->cycle);
    if (wait->kind == GV_WAIT_SPAWN)
        stop_child(wait);
    if (wait->kind == GV_WAIT_IO && wait->slot != NULL) {
        struct gv_wait **place = wait->slot;

        *place = NULL;
        wait->leave(place);
        return;
    }
    if (wait->message != NULL) {
        gv_message_give(&loop->blocks, wait->message);
        return;
    }
    call = wait->call != 0 ? gv_call_find(loop, wait->call) : NULL;
    if (call == NULL)
        return;
    if (wait->kind == GV_WAIT_CALL || wait->kind == GV_WAIT_ROOM)
        (void)gv_call_give_up(loop, call); /* Nobody asks what became of it. */
    else
        gv_call_give(loop, call);
}

/* --- at the deadline -------------------------------------------------------------------------- */

static void report(const struct gv_turn *turn, const char *what)
{
    const struct gv_task *task = turn->task;
    char name[64];

    task->class->describe(task, name, sizeof name);
    gv_log(GV_LOG_WARN, what, "task=%s method=%s waits=%s since_ms=%u", name,
           turn->method != NULL ? turn->method->name : "none",
           turn->wait != NULL && name_of(turn->wait) != NULL ? name_of(turn->wait) : "other",
           turn->wait != NULL ? gv_loop_here->now_ms - turn->wait->since_ms : 0);
}

/* The turn at the bottom of a stack, with others above it: those go on without it. */
static void leave_those_above(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_wait *wait = turn->wait;
    struct gv_turn *above = wait->above;
    struct gv_call *call = wait->call != 0 ? gv_call_find(loop, wait->call) : NULL;

    gv_turn_cancel(loop, above);
    gv_wheel_disarm(&loop->wheel, &wait->timer);
    above->below = NULL;
    above->odd |= GV_ODD_ALONE;
    wait->above = NULL;
    wait->woken = 1;
    /* An inline call that became a message, see inline.h. */
    if (call != NULL)
        gv_call_give(loop, call);
    if (wait->message != NULL)
        gv_message_give(&loop->blocks, wait->message);
    turn->stack = NULL; /* It is theirs now. */
}

/* It cannot be taken away: its awaits fail from now on, its own shields no longer help it. */
static void cancel(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->n_shields > 0)
        gv_shield_withhold(turn);
    gv_turn_end_waits(loop, turn);
    while (turn->wait != NULL && turn->wait->above != NULL)
        turn = turn->wait->above;
    if (turn->wait != NULL && turn->wait->kind == GV_WAIT_THREAD)
        gv_job_end_soon(loop, turn->wait);
}

/* One above another on the same stack: it goes when it is resumed, in the midst of its stack. */
static void leave_when_resumed(struct gv_loop *loop, struct gv_turn *turn,
                               const struct gv_turn *top)
{
    gv_turn_leave_when_resumed(loop, turn);
    if (turn != top) {
        cancel(loop, turn); /* It is resumed when those above it have returned. */
        return;
    }
    leave(loop, turn->wait);
    if (turn->stack != NULL) /* main looks at `woken` itself. */
        gv_ready_push(loop, turn->wait);
}

bool gv_abandon_turn(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_turn *top = turn;

    if (turn->odd & GV_ODD_ABANDONED) {
        cancel(loop, turn); /* One of its clean-ups waits. */
        return false;
    }
    while (top->wait != NULL && top->wait->above != NULL)
        top = top->wait->above;
    if (top->wait == NULL || (top == turn && name_of(turn->wait) == NULL)) {
        report(turn, "stop.cancelled");
        cancel(loop, turn);
        return false;
    }
    report(turn, "stop.abandoned");
    turn->odd |= GV_ODD_ABANDONED;
    turn->opens = 0;
    if (turn->below != NULL) {
        leave_when_resumed(loop, turn, top);
        return false;
    }
    if (top != turn) {
        leave_those_above(loop, turn);
    } else {
        leave(loop, turn->wait);
        gv_figure_set32(&loop->n_parked, loop->n_parked - 1);
    }
    return true;
}

void gv_abandon(struct gv_loop *loop, struct gv_task *task)
{
    if (task->turn == NULL) {
        /* It waits for its children, or has not come to its first turn. */
        if (gv_kin_lingers(task))
            gv_kin_abandon(loop, (struct gv_actor *)task);
        return;
    }
    if (task->turn == &gv_turn_beside) {
        gv_beside_abandon(loop, task);
        return;
    }
    if (!gv_abandon_turn(loop, task->turn))
        return;
    task->flags &= (uint8_t) ~(GV_TASK_BUSY | GV_TASK_RECEIVING);
    gv_sched_ready(loop, task);
}

/* --- its end ---------------------------------------------------------------------------------- */

static const char why[] = "abandoned at its stop deadline, while it waited";

void gv_abandon_resumed(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_leave caller;

    /* The frame that called the handler, see inline.c: the turn lies in it. */
    if (!gv_leave_find(turn, &caller))
        return; /* It goes on, and all its awaits fail. */
    if (turn->n_shields > 0)
        gv_shields_end(loop, turn);
    turn->cancelled = 1;
    gv_probe(&loop->probes, RESUME, gv_task_id(turn->task), (uint64_t)(int64_t)GROVE_ECANCELED);
    gv_turn_clean_up(turn); /* On top of the handler's frames, so that it finds its locals. */
    gv_turn_settle(loop, turn);
    (void)gv_turn_failed(turn, NULL, GROVE_EDOWN, GROVE_STARTED_YES, why);
    gv_leave_to(&caller, GROVE_EDOWN);
}

void gv_bury_turn(struct gv_loop *loop, struct gv_turn *turn)
{
    const struct gv_task *task = turn->task;
    struct gv_stack *stack = turn->stack;

    turn->wait = NULL;
    if (turn->n_shields > 0)
        gv_shields_end(loop, turn);
    turn->cancelled = 1;
    turn->odd |= GV_ODD_LAST; /* Its children may have ended already. */
    gv_loop_set_turn(loop, turn);
    if (loop->turn_clock)
        gv_turn_clock_begin(loop);
    gv_probe(&loop->probes, RESUME, gv_task_id(task), (uint64_t)(int64_t)GROVE_ECANCELED);
    gv_turn_clean_up(turn);
    if (turn->message != NULL)
        gv_call_fail(loop, turn->message, GROVE_EDOWN, GROVE_STARTED_YES, why);
    turn->message = NULL;
    if (gv_task_is_greenlet(task))
        gv_runtime.upcalls->turn_ending(loop, turn);
    else
        gv_turn_settle(loop, turn);
    gv_turn_end(loop, turn);
    if (stack != NULL)
        gv_stack_give(&loop->stacks, stack);
}

void gv_bury(struct gv_loop *loop, struct gv_task *task)
{
    task->flags |= GV_TASK_BUSY;
    gv_bury_turn(loop, task->turn);
    task->flags &= (uint8_t)~GV_TASK_BUSY;
}

void gv_stack_end(struct gv_loop *loop)
{
    struct gv_stack *self = loop->stack;

    gv_assert(self != NULL && loop->turn == NULL);
    if (loop->out_dirty)
        gv_loop_publish(loop);
    /* The next tick begins with a dispatcher that is kept, or a fresh one. */
    loop->stack = NULL;
    gv_stack_give(&loop->stacks, self);
    gv_switch_last(&self->context, &loop->main);
}
