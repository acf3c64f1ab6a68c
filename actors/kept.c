#include "actors/kept.h"

#include <stdlib.h>

#include "runtime/lend.h"

struct gv_task *gv_kept_task(const struct gv_loop *loop, struct gv_task *task)
{
    return task->loop == loop->index ? task : gv_guest_task(task);
}

struct gv_kept *gv_kept_find(const struct gv_loop *loop, struct gv_task *task, bool make)
{
    struct gv_task *own = gv_kept_task(loop, task);
    struct gv_waitlist *list = own->class->waitlist(own, make);

    if (list == NULL)
        return NULL;
    if (list->kept == NULL && make)
        list->kept = calloc(1, sizeof *list->kept);
    return list->kept;
}

void gv_kept_end(struct gv_loop *loop, struct gv_kept *kept)
{
    if (kept == NULL)
        return;
    gv_alarms_end(loop, &kept->alarms);
    gv_replies_end(loop, &kept->replies);
    gv_stash_end(loop, &kept->stash);
    free(kept->replies.slots);
    free(kept);
}

void gv_kept_leave(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_waitlist *list = task->class->waitlist(task, false);

    if (list == NULL)
        return;
    gv_kept_end(loop, list->kept);
    list->kept = NULL;
}

void gv_kept_forget(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    struct gv_kept *kept = gv_kept_find(loop, task, false);

    if (kept == NULL)
        return;
    gv_replies_forget(&kept->replies, call);
    gv_stash_forget(loop, &kept->stash, call);
}
