/*
 * Supervisor's task: the signals that it gets, and the wishes of users.
 */
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/mail.h"
#include "actors/supervisor.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

static struct gv_supervisor *supervisor_of(struct gv_task *task)
{
    return (struct gv_supervisor *)task;
}

/* --- wishes, with the supervisor ------------------------------------------------------------------ */

/* Owns message, which is the first spare one of the child. */
static void add(struct gv_loop *loop, struct gv_supervisor *me, struct gv_child *child,
                struct gv_message *message)
{
    child->starter = message->call;
    message->call = 0;
    child->spare = message;
    /* relaxed: a late one is stopped like the rest. */
    if (!atomic_load_explicit(&gv_runtime.closing, memory_order_relaxed) && me->aim != GV_AIM_END) {
        gv_supervisor_take_in(loop, me, child);
        return;
    }
    gv_child_answer(loop, &child->starter, GROVE_ESTOPPING, NULL);
    gv_child_abandon(loop, child);
}

static void remove_child(struct gv_loop *loop, const struct gv_supervisor *me, uint64_t id,
                         struct gv_message *message)
{
    struct gv_child *child = me->head;

    while (child != NULL && child->id != id)
        child = child->next;
    if (child == NULL || child->remover != 0) {
        gv_call_fail(loop, message, GROVE_ENOACTOR, GROVE_STARTED_NO,
                     child == NULL ? "this supervisor has no such child"
                                   : "somebody else is removing it already");
        return;
    }
    child->remover = message->call;
    gv_message_give(&loop->blocks, message);
    gv_supervisor_remove(loop, child);
}

static void describe_child(const struct gv_child *child, struct grove_child_info *info)
{
    *info = (struct grove_child_info){
        .ref = child->ref,
        .kind = child->rule.kind,
        .state = child->state,
        .is_supervisor = child->is_supervisor,
        .restarts = child->n_restarts,
        .last_reason = child->last_reason,
    };
    (void)snprintf(info->last_why, sizeof info->last_why, "%s",
                   child->last_why != NULL ? child->last_why : ""); /* Cut, as is said there. */
    (void)snprintf(info->label, sizeof info->label, "%s", child->label); /* It fits. */
}

static void list(struct gv_loop *loop, const struct gv_supervisor *me, uint32_t n_max,
                 struct gv_message *message)
{
    struct gv_message *reply;
    struct gv_list *what;
    uint32_t n = 0;

    for (const struct gv_child *child = me->head; child != NULL; child = child->next)
        n++;
    if (n_max > n)
        n_max = n;
    reply = gv_message_take(&loop->blocks, sizeof *what + n_max * sizeof what->infos[0]);
    if (reply == NULL) {
        gv_call_fail(loop, message, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
        return;
    }
    what = (struct gv_list *)(void *)reply->body;
    what->n = n;
    what->n_listed = 0;
    for (const struct gv_child *child = me->head; what->n_listed < n_max; child = child->next)
        describe_child(child, &what->infos[what->n_listed++]);
    reply->call = message->call;
    reply->code = 0;
    gv_message_give(&loop->blocks, message);
    gv_call_answer(loop, reply);
}

static void wish_came(struct gv_loop *loop, struct gv_supervisor *me, struct gv_message *message)
{
    struct gv_wish wish = *(struct gv_wish *)(void *)message->body;

    if (wish.kind == GV_WISH_ADD)
        add(loop, me, wish.child, message);
    else if (wish.kind == GV_WISH_REMOVE)
        remove_child(loop, me, wish.id, message);
    else
        list(loop, me, wish.n_max, message);
}

bool gv_supervisor_orphaned(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_wish wish;

    if (message->method != GV_SIGNAL_SUPERVISE)
        return false;
    wish = *(struct gv_wish *)(void *)message->body;
    if (wish.kind != GV_WISH_ADD) {
        gv_call_fail(loop, message, GROVE_ENOACTOR, GROVE_STARTED_NO, NULL);
        return true;
    }
    gv_child_answer(loop, &message->call, GROVE_ENOACTOR, NULL);
    wish.child->spare = message;
    gv_child_abandon(loop, wish.child);
    return true;
}

/* --- the task ------------------------------------------------------------------------------------- */

static void stop(struct gv_loop *loop, struct gv_supervisor *me, struct gv_message *message)
{
    enum grove_stop_mode mode;

    memcpy(&mode, message->body, sizeof mode);
    gv_task_tell_end(loop, &me->task, message);
    if (mode > (enum grove_stop_mode)me->end_mode || me->aim < GV_AIM_REST)
        me->end_mode = (uint8_t)mode;
    if (mode == GROVE_STOP_KILL)
        gv_supervisor_kill(me);
    me->finishing = true;
    gv_supervisor_aim(loop, me, me->parent != 0 ? GV_AIM_REST : GV_AIM_END);
}

void gv_supervisor_signal(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_supervisor *me = supervisor_of(task);

    switch (message->method) {
    case GV_SIGNAL_INIT:
        gv_supervisor_start(loop, me, message);
        break;
    case GV_SIGNAL_STOP:
        stop(loop, me, message);
        break;
    case GV_SIGNAL_ORDER:
        gv_supervisor_order(loop, me, message);
        break;
    case GV_SIGNAL_REPORT:
        gv_supervisor_report_came(loop, task, message);
        break;
    case GV_SIGNAL_SUPERVISE:
        wish_came(loop, me, message);
        break;
    case GV_SIGNAL_CANCEL:
        gv_task_cancel_request(loop, task, message);
        break;
    default:
        gv_message_give(&loop->blocks, message);
    }
}

/* It has no methods. */
static void run_supervisor(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_message *message;

    loop->budget--;
    while ((message = gv_mailbox_take(&task->mailbox)) != NULL)
        gv_mail_orphaned(loop, message, GROVE_ENOTSUP, GROVE_DEAD_UNSUPPORTED);
    if (task->flags & GV_TASK_WAITED)
        gv_task_let_in(loop, task);
}

static struct gv_waitlist *supervisor_waitlist(struct gv_task *task, bool make)
{
    (void)make; /* It always has one. */
    return &supervisor_of(task)->waitlist;
}

static void describe_supervisor(const struct gv_task *task, char *text, size_t room)
{
    const struct gv_supervisor *me = (const struct gv_supervisor *)task;

    if (me->label[0] != '\0')
        (void)snprintf(text, room, "supervisor/%s", me->label); /* A cut name is still a name. */
    else
        (void)snprintf(text, room, "supervisor/#%llu",
                       (unsigned long long)(gv_task_id(task) >> GV_SLOT_SHIFT));
}

const struct gv_task_class gv_supervisor_class = {
    .name = "supervisor",
    .run = run_supervisor,
    .signal = gv_supervisor_signal,
    .waitlist = supervisor_waitlist,
    .describe = describe_supervisor,
    .form = GV_FORM_STRUCT,
    .kind = GROVE_REF_ACTOR,
};

bool gv_post_is_supervised(const struct gv_task *task)
{
    if (task->class == &gv_actor_class)
        return gv_actor_post((const struct gv_actor *)task) != NULL;
    return task->class == &gv_supervisor_class && ((const struct gv_supervisor *)task)->parent != 0;
}
