/*
 * Dispatcher: what every stack of a loop's pool runs.
 *
 * It takes a task from the run queue, runs it as a plain call, and takes the
 * next. After a burst of tasks a handler that has been woken has its turn;
 * when the tick is used up or nothing is left, the main stack has.
 *
 *     task ─ task ─ … 32 … ─ task ─▶ ready handler       budget used up, nothing runnable ─▶ main
 *
 * The upper floor makes a function of it, with the run of its commonest class
 * inlined: most turns then cost no call of their own, and a handler that was
 * parked has one frame less to return through.
 */
#ifndef GV_DISPATCHER_H
#define GV_DISPATCHER_H

#include "runtime/park.h"

#define GV_BURST_MAX 32u /* tasks in a row while a handler is ready */

/* Moves a task drawn from the first few to the head, so that seeds decide the order. */
void gv_sched_shuffle(struct gv_loop *loop);

/* The next task of the run queue; NULL when it is empty. */
static inline struct gv_task *gv_dispatcher_task(struct gv_loop *loop)
{
    struct gv_task *task;

    if (loop->run_head == NULL)
        return NULL;
    if (gv_unlikely(loop->shuffled))
        gv_sched_shuffle(loop);
    task = loop->run_head;
    loop->run_head = task->run_next;
    task->flags &= (uint8_t) ~(GV_TASK_QUEUED | GV_TASK_LINGERS);
    if (loop->run_head != NULL)
        __builtin_prefetch(loop->run_head->mailbox.head);
    return task;
}

/* Leaves a dispatcher's stack for a context. One idle dispatcher is kept; a second one ends. */
static inline void gv_dispatcher_leave(struct gv_loop *loop, struct gv_stack *self,
                                       struct gv_stack *next, struct gv_context *to)
{
    loop->stack = next;
    if (loop->idle != NULL) {
        gv_stack_give(&loop->stacks, self);
        gv_switch_last(&self->context, to);
    }
    self->next = NULL;
    loop->idle = self;
    gv_switch(&self->context, to);
}

/*
 * Never returns. It may be any handler's stack by the time a run returns:
 * it then simply goes on as the dispatcher. run is the run of class.
 */
static GV_INLINE void gv_dispatcher(struct gv_loop *loop, const struct gv_task_class *class,
                                    void (*run)(struct gv_loop *loop, struct gv_task *task))
{
    struct gv_stack *self = loop->stack;

    for (;;) {
        struct gv_task *task;

        if (loop->budget <= 0) {
            gv_dispatcher_leave(loop, self, NULL, &loop->main);
            continue;
        }
        if (loop->ready_head != NULL && (loop->burst-- == 0 || loop->run_head == NULL)) {
            struct gv_stack *next = gv_ready_take(loop)->turn->stack;

            loop->burst = GV_BURST_MAX;
            loop->streak = 0;
            loop->budget--;
            gv_dispatcher_leave(loop, self, next, &next->context);
            continue;
        }
        task = gv_dispatcher_task(loop);
        if (task == NULL) {
            gv_dispatcher_leave(loop, self, NULL, &loop->main);
            continue;
        }
        if (gv_likely(task->class == class))
            run(loop, task);
        else
            task->class->run(loop, task);
        if (loop->out_dirty)
            gv_loop_publish(loop);
    }
}

#endif
