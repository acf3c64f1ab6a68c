#include "runtime/doom.h"

#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/runtime.h"

static struct gv_stop_body *body_of(struct gv_message *message)
{
    return (struct gv_stop_body *)(void *)message->body;
}

void gv_doom_fulfil(struct gv_loop *loop, struct gv_task *task)
{
    if (gv_runtime.upcalls->abandon != NULL)
        gv_runtime.upcalls->abandon(loop, task);
    else
        gv_turn_cancel(loop, task->turn);
}

static void deadline_came(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_doom *doom = (struct gv_doom *)((char *)timer - offsetof(struct gv_doom, timer));
    struct gv_task *task = gv_slot_find(doom->task);

    bool mail_stays = doom->mail_stays;

    gv_assert(task != NULL);
    gv_doom_lift(loop, task->class->waitlist(task, false));
    task->flags |= mail_stays ? GV_TASK_NOW : GV_TASK_STOPPING | GV_TASK_NOW;
    task->killed = 1;
    if (gv_task_is_out(task))
        gv_lend_abandon(loop, task);
    else if (task->turn != NULL || task->flags & GV_TASK_BUSY)
        gv_doom_fulfil(loop, task);
    else
        gv_sched_ready(loop, task);
}

void gv_doom_set(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_waitlist *list = task->class->waitlist(task, true);
    uint32_t deadline_ms = message->deadline_ms;
    struct gv_doom *doom = &body_of(message)->doom;

    if (list == NULL) {
        gv_log(GV_LOG_ERROR, "stop.deadline",
               "error=ENOMEM advice=\"it stops without a deadline\"");
        gv_message_give(&loop->blocks, message);
        return;
    }
    if (list->doom != NULL && gv_ms_before(list->doom->deadline_ms, deadline_ms)) {
        gv_message_give(&loop->blocks, message);
        return;
    }
    gv_doom_lift(loop, list);
    list->doom = message;
    doom->task = gv_task_id(task);
    gv_timer_init(&doom->timer, deadline_came);
    gv_wheel_arm(&loop->wheel, &doom->timer, deadline_ms);
}

void gv_doom_lift(struct gv_loop *loop, struct gv_waitlist *list)
{
    struct gv_message *message = list->doom;

    if (message == NULL)
        return;
    list->doom = NULL;
    gv_wheel_disarm(&loop->wheel, &body_of(message)->doom.timer);
    gv_message_give(&loop->blocks, message);
}
