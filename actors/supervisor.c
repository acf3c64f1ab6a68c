#include "actors/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/mail.h"
#include "actors/monitor.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

static bool bring_one_down(struct gv_loop *loop, struct gv_child *child);
static void bring_down(struct gv_loop *loop, struct gv_supervisor *me);

static struct gv_supervisor *supervisor_of(struct gv_task *task)
{
    return (struct gv_supervisor *)task;
}

static bool is_closing(void)
{
    /* relaxed: a late look restarts somebody once more, whom the sweeps stop. */
    return atomic_load_explicit(&gv_runtime.closing, memory_order_relaxed);
}

/* --- up ------------------------------------------------------------------------------------------- */

/* Those from this one on begin; where one fails for others, only when those before them are up. */
static void bring_up(struct gv_loop *loop, struct gv_supervisor *me, struct gv_child *from)
{
    for (struct gv_child *child = from, *next; child != NULL; child = next) {
        next = child->next;
        if (child->leaving && bring_one_down(loop, child))
            continue;
        if (child->state == GROVE_CHILD_WAITING || child->state == GROVE_CHILD_DOWN)
            gv_child_begin(loop, child);
        if (me->strategy != GROVE_ONE_FOR_ONE && child->state != GROVE_CHILD_UP)
            return;
    }
}

void gv_supervisor_take_in(struct gv_loop *loop, struct gv_supervisor *me, struct gv_child *child)
{
    gv_child_append(me, child);
    if (me->aim == GV_AIM_UP
        && (me->strategy == GROVE_ONE_FOR_ONE || child->before == NULL
            || child->before->state == GROVE_CHILD_UP))
        gv_child_begin(loop, child);
}

static void group_begins(struct gv_timer *timer)
{
    struct gv_supervisor *me =
        (struct gv_supervisor *)((char *)timer - offsetof(struct gv_supervisor, timer));

    me->aim = GV_AIM_UP;
    bring_up(gv_loop_here, me, me->head);
}

/* --- down ----------------------------------------------------------------------------------------- */

static bool must_end(const struct gv_child *child)
{
    const struct gv_supervisor *me = child->supervisor;

    return me->aim == GV_AIM_END || child->leaving || child->rule.kind == GROVE_TEMPORARY;
}

/* One more step down. True if the child has come as far as it shall, and may be gone. */
static bool bring_one_down(struct gv_loop *loop, struct gv_child *child)
{
    switch (child->state) {
    case GROVE_CHILD_UP:
    case GROVE_CHILD_STARTING:
        gv_child_lay_down(loop, child);
        return false;
    case GROVE_CHILD_STOPPING:
    case GROVE_CHILD_ENDING:
        return false;
    case GROVE_CHILD_BACKOFF:
        gv_wheel_disarm(&loop->wheel, &child->timer);
        child->state = GROVE_CHILD_DOWN;
        break;
    case GROVE_CHILD_WAITING:
    case GROVE_CHILD_DOWN:
        break;
    }
    if (!must_end(child))
        return true;
    if (child->placed) {
        gv_child_end(loop, child);
        return false;
    }
    gv_child_unlink(child);
    gv_child_answer(loop, &child->starter, GROVE_ESTOPPING, NULL);
    gv_child_answer(loop, &child->remover, 0, NULL);
    gv_child_abandon(loop, child);
    return true;
}

static void report(struct gv_loop *loop, struct gv_supervisor *me, struct gv_message *message,
                   enum gv_report_kind kind, enum grove_down_reason reason)
{
    message->from = gv_task_id(&me->task);
    gv_report_send(loop, me->parent, message,
                   &(struct gv_report){.child = me->self,
                                       .why = me->why[0] != '\0' ? strdup(me->why) : NULL,
                                       .kind = kind,
                                       .reason = reason});
}

static enum grove_down_reason ending(const struct gv_supervisor *me)
{
    if (me->escalated)
        return GROVE_DOWN_ESCALATED;
    return me->end_mode == GROVE_STOP_KILL ? GROVE_DOWN_KILLED : GROVE_DOWN_STOPPED;
}

static void report_down(struct gv_loop *loop, struct gv_supervisor *me)
{
    struct gv_message *message = me->spare;

    gv_assert(message != NULL && !me->down);
    me->spare = NULL;
    me->down = true;
    report(loop, me, message, GV_REPORT_DOWN, ending(me));
}

/* All children are gone. */
static void vanish(struct gv_loop *loop, struct gv_supervisor *me)
{
    struct gv_message *waiters = me->waitlist.stop_waiters;

    gv_assert(me->head == NULL && me->reports == NULL);
    gv_task_orphan_mail(loop, &me->task, GROVE_ENOACTOR);
    gv_monitors_end(loop, &me->task, &me->waitlist, &(struct gv_ending){ending(me), me->why});
    if (me->parent != 0 && !me->stillborn)
        report(loop, me, me->spare, GV_REPORT_ENDED, ending(me));
    else if (me->spare != NULL)
        gv_message_give(&loop->blocks, me->spare);
    me->task.flags = 0;
    gv_task_leave(loop, &me->task);
    gv_task_ended(loop, waiters);
}

void gv_supervisor_aim(struct gv_loop *loop, struct gv_supervisor *me, enum gv_aim aim)
{
    if (aim <= me->aim)
        return;
    me->aim = (uint8_t)aim;
    me->cursor = me->tail;
    me->first = aim == GV_AIM_GROUP ? me->first : 0;
    gv_wheel_disarm(&loop->wheel, &me->timer);
    bring_down(loop, me);
}

static void quit(struct gv_loop *loop, int status)
{
    loop->env->quit(loop->env->world, status);
}

void (*gv_supervisor_quit)(struct gv_loop *loop, int status) = quit;

/* A root gives up. */
static void exit_process(struct gv_loop *loop, struct gv_supervisor *me)
{
    char name[64];

    me->task.class->describe(&me->task, name, sizeof name);
    gv_log(GV_LOG_ERROR, "supervisor.escalated", "supervisor=%s exit=%d why=\"%s\"", name,
           GROVE_EXIT_ESCALATED, me->why);
    if (loop->log != NULL)
        gv_log_flush(loop->log);
    gv_supervisor_quit(loop, GROVE_EXIT_ESCALATED);
    /* Only a test comes here. */
    gv_supervisor_aim(loop, me, GV_AIM_END);
}

/* All that had to come down have. */
static void is_down(struct gv_loop *loop, struct gv_supervisor *me)
{
    switch ((enum gv_aim)me->aim) {
    case GV_AIM_UP:
        break;
    case GV_AIM_GROUP:
        if (gv_timer_is_armed(&me->timer))
            break; /* They were down before. */
        gv_timer_init(&me->timer, group_begins);
        me->begins_ms = loop->now_ms + me->delay_ms;
        if (me->delay_ms == 0)
            group_begins(&me->timer);
        else
            gv_wheel_arm(&loop->wheel, &me->timer, gv_deadline_in(loop, me->delay_ms));
        break;
    case GV_AIM_FAIL:
        if (me->parent != 0)
            report_down(loop, me);
        else
            exit_process(loop, me);
        break;
    case GV_AIM_REST:
        if (!me->down)
            report_down(loop, me);
        break;
    case GV_AIM_END:
        vanish(loop, me);
        break;
    }
}

static void bring_down(struct gv_loop *loop, struct gv_supervisor *me)
{
    while (me->cursor != NULL && me->cursor->number >= me->first) {
        struct gv_child *child = me->cursor, *before = child->before;

        if (!bring_one_down(loop, child))
            return;
        me->cursor = before;
    }
    is_down(loop, me);
}

/* --- a child has ended an incarnation ------------------------------------------------------------- */

static void backoff_over(struct gv_timer *timer)
{
    struct gv_child *child = (struct gv_child *)((char *)timer - offsetof(struct gv_child, timer));

    child->state = GROVE_CHILD_DOWN;
    /* If others come down meanwhile, it begins with them. */
    if (child->supervisor->aim == GV_AIM_UP)
        gv_child_begin(gv_loop_here, child);
}

/* How long those that come down with a group may take. */
static uint32_t group_ms(const struct gv_supervisor *me)
{
    uint64_t ms = me->delay_ms;

    for (const struct gv_child *child = me->tail; child != NULL && child->number >= me->first;
         child = child->before)
        if (child->state == GROVE_CHILD_UP || child->state == GROVE_CHILD_STARTING)
            ms += child->rule.shutdown_ms;
    return ms < GROVE_INFINITE ? (uint32_t)ms : GROVE_INFINITE;
}

/* How long those that rest already have to wait on. */
static uint32_t rest_ms(const struct gv_loop *loop, const struct gv_supervisor *me)
{
    if (me->aim != GV_AIM_GROUP || !gv_timer_is_armed(&me->timer))
        return me->aim == GV_AIM_GROUP ? me->delay_ms : 0;
    return gv_ms_before(loop->now_ms, me->begins_ms) ? me->begins_ms - loop->now_ms : 0;
}

static void tell_to_wait(struct gv_loop *loop, const struct gv_child *child, uint32_t ms)
{
    /* Without memory its callers wait until their deadlines. */
    if (ms > 0)
        (void)gv_child_order(loop, child, (struct gv_order){.kind = GV_ORDER_WAIT, .wait_ms = ms});
}

/* It and those behind it come down, or all, and begin anew; some of them may rest already. */
static void restart_group(struct gv_loop *loop, struct gv_child *child, uint32_t delay_ms)
{
    struct gv_supervisor *me = child->supervisor;
    uint32_t least_ms = rest_ms(loop, me);

    me->delay_ms = delay_ms > least_ms ? delay_ms : least_ms;
    me->first = me->strategy == GROVE_ONE_FOR_ALL ? 0 : child->number;
    me->wait_ms = group_ms(me);
    tell_to_wait(loop, child, me->wait_ms);
    me->aim = GV_AIM_UP; /* Begin to bring them down once more. */
    gv_supervisor_aim(loop, me, GV_AIM_GROUP);
}

static void give_up(struct gv_loop *loop, struct gv_supervisor *me, const struct gv_child *child)
{
    char history[96];

    gv_child_history(loop, child, history, sizeof history);
    (void)snprintf(me->why, sizeof me->why, "%s was begun anew %s, and failed again: %.60s",
                   child->label, history,
                   child->last_why != NULL
                       ? child->last_why
                       : grove_down_reason_name(child->last_reason)); /* Cut, it still tells. */
    me->escalated = true;
    gv_supervisor_aim(loop, me, GV_AIM_FAIL);
}

/* It was up, or began, and has ended by itself. */
static void judge(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_supervisor *me = child->supervisor;
    uint32_t delay_ms;

    if (child->leaving || is_closing() || child->rule.kind == GROVE_TEMPORARY
        || (child->rule.kind == GROVE_TRANSIENT && child->last_reason == GROVE_DOWN_STOPPED)) {
        gv_child_end(loop, child);
        return;
    }
    if (!gv_child_may_restart(child, loop->now_ms)) {
        give_up(loop, me, child);
        return;
    }
    delay_ms = gv_child_delay_ms(loop, child);
    gv_log(GV_LOG_WARN, "child.restart", "child=%s reason=%s restarts=%u delay_ms=%u", child->label,
           grove_down_reason_name(child->last_reason), child->n_restarts, delay_ms);
    if (me->strategy != GROVE_ONE_FOR_ONE) {
        restart_group(loop, child, delay_ms);
    } else if (delay_ms == 0) {
        gv_child_begin(loop, child);
    } else {
        child->state = GROVE_CHILD_BACKOFF;
        gv_timer_init(&child->timer, backoff_over);
        gv_wheel_arm(&loop->wheel, &child->timer, gv_deadline_in(loop, delay_ms));
        tell_to_wait(loop, child, delay_ms);
    }
}

/* Owns message and report->why. */
static void child_down(struct gv_loop *loop, struct gv_child *child, const struct gv_report *what,
                       struct gv_message *message)
{
    struct gv_supervisor *me = child->supervisor;

    gv_wheel_disarm(&loop->wheel, &child->timer);
    child->spare = message;
    child->last_reason = what->reason;
    free(child->last_why);
    child->last_why = what->why;
    child->state = GROVE_CHILD_DOWN;
    if (child->starter != 0) {
        /* Who waits for its first init hears what that returned, and has no child. */
        gv_child_answer(loop, &child->starter, what->code != 0 ? what->code : GROVE_ECANCELED,
                        what->why);
        child->leaving = true;
    }
    /* Also if those behind it rest for another one. */
    if (me->aim == GV_AIM_UP || (me->aim == GV_AIM_GROUP && child->number < me->first)) {
        judge(loop, child);
        return;
    }
    if (me->aim == GV_AIM_GROUP)
        tell_to_wait(loop, child, me->wait_ms);
    bring_down(loop, me);
}

static void child_up(struct gv_loop *loop, struct gv_child *child)
{
    if (child->state != GROVE_CHILD_STARTING)
        return; /* It has been told to go down meanwhile. */
    child->state = GROVE_CHILD_UP;
    gv_child_answer(loop, &child->starter, 0, NULL);
    if (child->supervisor->aim == GV_AIM_UP && child->supervisor->strategy != GROVE_ONE_FOR_ONE)
        bring_up(loop, child->supervisor, child->next);
}

static void child_ended(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_supervisor *me = child->supervisor;
    struct gv_child *after = child->next;

    gv_child_unlink(child);
    gv_child_answer(loop, &child->remover, 0, NULL);
    gv_child_free(child);
    if (me->aim != GV_AIM_UP)
        bring_down(loop, me);
    else if (me->strategy != GROVE_ONE_FOR_ONE
             && (after == NULL || after->before == NULL || after->before->state == GROVE_CHILD_UP))
        bring_up(loop, me, after); /* They may have waited for it to be up. */
}

static void see_to_reports(struct gv_flush *flush)
{
    struct gv_supervisor *me =
        (struct gv_supervisor *)((char *)flush - offsetof(struct gv_supervisor, flush));
    uint64_t id = gv_task_id(&me->task);
    struct gv_loop *loop = gv_loop_here;

    while (me->reports != NULL) {
        struct gv_message *message = me->reports;
        struct gv_report what = *(struct gv_report *)(void *)message->body;

        me->reports = message->next;
        if (what.kind == GV_REPORT_DOWN) {
            child_down(loop, what.child, &what, message);
            continue;
        }
        gv_message_give(&loop->blocks, message);
        free(what.why);
        if (what.kind == GV_REPORT_UP)
            child_up(loop, what.child);
        else
            child_ended(loop, what.child);
        if (gv_task_id(&me->task) != id)
            return; /* That was its last child. */
    }
}

void gv_supervisor_report_came(struct gv_loop *loop, struct gv_task *task,
                               struct gv_message *message)
{
    struct gv_supervisor *me = supervisor_of(task);

    gv_assert(task != NULL);
    message->next = NULL;
    if (me->reports == NULL)
        me->reports_end = &me->reports;
    *me->reports_end = message;
    me->reports_end = &message->next;
    me->flush.run = see_to_reports;
    gv_loop_flush_later(loop, &me->flush);
}

void gv_supervisor_remove(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_supervisor *me = child->supervisor;

    child->leaving = true;
    if (me->aim != GV_AIM_UP)
        return; /* Its turn comes, or, if it is down already, when the others begin: see there. */
    if (bring_one_down(loop, child))
        bring_up(loop, me, me->head);
}

/* --- itself a child ------------------------------------------------------------------------------- */

/* Its parent has it begin, for the first time or anew. Owns message. */
static void begin_as_child(struct gv_loop *loop, struct gv_supervisor *me,
                           struct gv_message *message)
{
    struct gv_message *up = gv_message_take(&loop->blocks, sizeof(struct gv_report));

    me->spare = message;
    me->aim = GV_AIM_UP;
    me->end_mode = GROVE_STOP_NOW;
    me->down = me->escalated = me->finishing = me->killing = false;
    me->why[0] = '\0';
    for (struct gv_child *child = me->head; child != NULL; child = child->next)
        child->n_times = 0;
    if (up != NULL)
        report(loop, me, up, GV_REPORT_UP, GROVE_DOWN_NONE);
    bring_up(loop, me, me->head);
}

void gv_supervisor_start(struct gv_loop *loop, struct gv_supervisor *me, struct gv_message *message)
{
    me->task.flags &= (uint8_t)~GV_TASK_BUSY;
    if (me->stillborn || me->parent == 0) {
        gv_message_give(&loop->blocks, message);
        if (me->stillborn)
            gv_supervisor_aim(loop, me, GV_AIM_END);
        return;
    }
    begin_as_child(loop, me, message);
}

void gv_supervisor_kill(struct gv_supervisor *me)
{
    me->end_mode = GROVE_STOP_KILL;
    me->killing = true; /* Whose turn to be told comes later is killed at once then. */
    for (struct gv_child *child = me->head; child != NULL; child = child->next)
        if (child->state == GROVE_CHILD_STOPPING)
            gv_child_too_late(&child->timer);
}

void gv_supervisor_order(struct gv_loop *loop, struct gv_supervisor *me, struct gv_message *message)
{
    struct gv_order what = *(struct gv_order *)(void *)message->body;

    switch (what.kind) {
    case GV_ORDER_BEGIN:
        begin_as_child(loop, me, message);
        return;
    case GV_ORDER_END:
        me->spare = message;
        gv_supervisor_aim(loop, me, GV_AIM_END);
        return;
    case GV_ORDER_FINISH:
        me->end_mode = (uint8_t)what.mode;
        me->finishing = true;
        gv_supervisor_aim(loop, me, GV_AIM_REST);
        break;
    case GV_ORDER_REST:
        gv_supervisor_aim(loop, me, GV_AIM_REST);
        break;
    case GV_ORDER_KILL:
        gv_supervisor_kill(me);
        gv_supervisor_aim(loop, me, GV_AIM_REST);
        break;
    case GV_ORDER_WAIT:
        break; /* Its children say for themselves how long they rest. */
    }
    gv_message_give(&loop->blocks, message);
}
