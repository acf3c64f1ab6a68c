#include "actors/holding.h"

#include <grove/error.h>

#include "actors/actor.h"
#include "actors/mail.h"
#include "runtime/go.h"
#include "runtime/usage.h"

static int head_of(struct gv_task *task, struct gv_holding ***head)
{
    struct gv_waitlist *list = task->class->waitlist(task, true);

    if (list == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    if (!gv_task_is_greenlet(task))
        task->pinned = 1;
    *head = &list->held;
    return 0;
}

int gv_holding_owner(struct gv_loop *loop, const char *function, struct gv_holding ***head)
{
    struct gv_task *task = loop->turn->task;

    if (task == NULL) {
        *head = &loop->main_held;
        return 0;
    }
    if (!gv_task_is_greenlet(task)
        && (task->class != &gv_actor_class || (!task->pinned && !(task->flags & GV_TASK_UNBORN))))
        return gv_usage("%s: what stays open belongs to one loop, and this actor may be lent to "
                        "others; open it in its init, or spawn it with `pinned`",
                        function);
    return head_of(task, head);
}

int gv_holding_heir(struct gv_loop *loop, const char *function, grove_ref ref,
                    struct gv_holding ***head)
{
    struct gv_task *task = gv_mail_task(loop, ref);

    if (task == NULL)
        return gv_failed(GROVE_ENOACTOR, NULL);
    if (task->loop != loop->index || (!gv_task_is_greenlet(task) && task->class != &gv_actor_class))
        return gv_usage("%s: it can be given to an actor or greenlet of this loop (%u) alone; "
                        "spawn that one with the place GROVE_HERE",
                        function, loop->index);
    return head_of(task, head);
}

void gv_holdings_leave(struct gv_loop *loop, struct gv_turn *turn)
{
    gv_holdings_close(turn->task != NULL ? &turn->task->class->waitlist(turn->task, true)->held
                                         : &loop->main_held);
}

void gv_holdings_close(struct gv_holding **head)
{
    while (*head != NULL)
        (*head)->close(*head);
}
