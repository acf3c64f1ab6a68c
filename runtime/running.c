#include "runtime/running.h"

#include <stdio.h>

#include <grove/method.h>

#include "runtime/figure.h"

struct gv_running gv_running_now(const struct gv_loop *loop)
{
    /* relaxed, all of it: each is compared with itself, a look later. */
    return (struct gv_running){
        __atomic_load_n(&loop->turn, __ATOMIC_RELAXED),
        gv_figure_read(&loop->stats.turns),
        gv_figure_read(&loop->n_waits),
        gv_figure_read(&loop->n_rounds),
    };
}

bool gv_running_who(const struct gv_loop *loop, const struct gv_running *running, gv_read_fn read,
                    struct gv_running_who *who)
{
    struct gv_task task = {.class = NULL};
    struct gv_running now;
    struct gv_turn turn;

    if (!read(running->turn, &turn, offsetof(struct gv_turn, within_ms))
        || (turn.task != NULL && !read(turn.task, &task, sizeof task)))
        return false;
    now = gv_running_now(loop);
    if (!gv_running_same(&now, running))
        return false;
    /* So these are what they seem; classes and methods never change and never go. */
    who->id = turn.task != NULL ? gv_task_id(&task) : 0;
    who->method = turn.method;
    who->index = turn.index;
    who->begins = turn.task != NULL && turn.method == NULL && task.flags & GV_TASK_UNBORN;
    who->task[0] = '\0';
    if (turn.task != NULL && task.class->peek != NULL)
        task.class->peek(turn.task, read, who->task, sizeof who->task);
    else
        (void)snprintf(who->task, sizeof who->task, "%s",
                       turn.task != NULL ? task.class->name : "main"); /* A cut name is a name. */
    now = gv_running_now(loop);
    return gv_running_same(&now, running);
}
