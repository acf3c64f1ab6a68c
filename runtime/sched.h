/*
 * Sched: who runs next.
 *
 * A dispatcher is a loop on a stack: it takes a task from the run queue and
 * calls its class's run as a plain function. If the handler returns, that
 * was a turn and nothing was switched. If it parks, its stack becomes the
 * handler's own, and execution goes on by direct hand-over: to a handler
 * that has been woken (at most 64 in a row), else to the idle dispatcher,
 * of which one is kept. So stacks in use = parked handlers + 1 or 2.
 *
 *     main stack: poll, timers, inbox
 *          │ switch                     ▲ tick used up, or nothing runnable
 *          ▼                            │
 *     dispatcher ── run(task) ── handler returns ──▶ next task
 *          │                        │ park
 *          │ 32 tasks run           ▼
 *          └──────────────▶ ready handler / idle dispatcher
 *
 * main() itself may park: it then steps loop 0 until it is woken.
 *
 * This file has the run queue, and begin and end of a turn; park.h the way
 * out of a stack and back; dispatcher.h the loop that stacks run. The two
 * are inlined where they are hot; sched.c has what is seldom.
 */
#ifndef GV_SCHED_H
#define GV_SCHED_H

#include <string.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/hint.h"
#include "runtime/loop.h"

/* Puts a task that has work into the run queue, unless it stands there or is busy. */
static inline void gv_sched_ready(struct gv_loop *loop, struct gv_task *task)
{
    if (task->flags & (GV_TASK_QUEUED | GV_TASK_BUSY))
        return;
    task->flags |= GV_TASK_QUEUED;
    task->run_next = NULL;
    if (loop->run_head == NULL)
        loop->run_head = task;
    else
        loop->run_tail->run_next = task;
    loop->run_tail = task;
}

/* Lets dispatchers run until the tick is used up or nothing is runnable. On the main stack. */
void gv_sched_run(struct gv_loop *loop);

/*
 * A parked turn that stands above another one on its stack is abandoned: it
 * is handed to the upcall `leave` as soon as it is resumed, before anything
 * of it goes on.
 */
void gv_turn_leave_when_resumed(struct gv_loop *loop, struct gv_turn *turn);

/* Around each part of a turn that runs without a pause, if loop->turn_clock: notes how long it took. */
void gv_turn_clock_begin(struct gv_loop *loop);
void gv_turn_clock_sample(struct gv_loop *loop); /* the next ones, as the stall watch wants */
void gv_turn_clock_end(struct gv_loop *loop);

/* Frees the turn's arena and the answers it kept; takes the shields down that it has forgotten. */
void gv_turn_free_memory(struct gv_loop *loop, struct gv_turn *turn);

/* Makes an idle dispatcher if there is none; false when no stack is left. */
bool gv_sched_keep_dispatcher(struct gv_loop *loop);

/* Marks the begin of a turn on the running stack; the caller fills task, message, method, deadline_ms before. */
static inline void gv_turn_begin(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_task *task = turn->task;

    memset(&turn->within_ms, 0, GV_TURN_BEGUN_BYTES);
    if (task != NULL)
        task->turn = turn;
    gv_loop_set_turn(loop, turn);
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_begin(loop);
    gv_probe(&loop->probes, START, task != NULL ? gv_task_id(task) : 0, loop->index);
}

/* Ends the turn of a task, NULL for main: frees the arena and the answers kept. Futures must be gone. */
static GV_INLINE void gv_turn_end_of(struct gv_loop *loop, struct gv_turn *turn,
                                     struct gv_task *task)
{
    gv_probe(&loop->probes, END, task != NULL ? gv_task_id(task) : 0, loop->index);
    if (gv_unlikely(turn->held != NULL || turn->arena.chunk != NULL || turn->n_shields > 0))
        gv_turn_free_memory(loop, turn);
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_end(loop);
    gv_figure_set(&loop->stats.turns, loop->stats.turns + 1);
    if (task != NULL)
        task->turn = NULL;
    gv_loop_set_turn(loop, NULL);
}

static inline void gv_turn_end(struct gv_loop *loop, struct gv_turn *turn)
{
    gv_turn_end_of(loop, turn, turn->task);
}

/*
 * Parks the running turn until gv_wake, its deadline (GROVE_ETIMEDOUT) or
 * its cancellation (GROVE_ECANCELED). Returns wait->rc, or GROVE_ENOSTACK
 * without having parked when no stack is left for a dispatcher. The wait is
 * set up with gv_wait_init (park.h).
 */
int gv_park(struct gv_loop *loop, struct gv_wait *wait);

/*
 * Ends all waiting of a turn: the park and all later ones return
 * GROVE_ECANCELED. A call that runs inline ends when its handler does: so
 * what the turns above wait for ends too. A shield holds it up (shield.h).
 */
void gv_turn_cancel(struct gv_loop *loop, struct gv_turn *turn);

/* The same, also behind a shield: the time of that is over. */
void gv_turn_end_waits(struct gv_loop *loop, struct gv_turn *turn);

/* Lets everything that is runnable run first. Returns 0, GROVE_ECANCELED or GROVE_ENOSTACK. */
int gv_yield(struct gv_loop *loop);

#endif
