/*
 * Park: how a turn leaves its stack while it waits, and comes back.
 *
 *     park ─▶ the next ready handler (at most 64 in a row), else an idle dispatcher
 *     wake ─▶ behind the other ready handlers
 *
 * All of it is inline, for the sake of whoever awaits most: after a switch
 * every return into an older frame is mispredicted, so there shall be few of
 * them. One idle dispatcher is kept at all times, so park never has to make
 * one; gv_may_park sees to it before anything is sent that would be waited
 * for.
 */
#ifndef GV_PARK_H
#define GV_PARK_H

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/hint.h"
#include "runtime/loop.h"
#include "runtime/noyield.h"
#include "runtime/sched.h"
#include "runtime/switch.h"

#define GV_STREAK_MAX 64u /* ready handlers in a row before the run queue has its turn */

/* Fires at the deadline of a wait. */
void gv_wait_expired(struct gv_timer *timer);

/*
 * A turn parks that others may be let in beside; or one that runs inline,
 * and its callers with it: from now on their deadlines end what it waits for.
 */
void gv_park_apart(struct gv_loop *loop, struct gv_turn *turn);

/* Reads the clock in a turn of main: ends the tick if its time is over. */
void gv_main_look(struct gv_loop *loop);

/* main has no stack of the pool: steps its loop until the wait is woken. */
void gv_park_main(struct gv_loop *loop, const struct gv_wait *wait);

/*
 * Sets up a wait of the running turn. deadline_ms 0 = none. What only some
 * kinds have (target, call, method, futures) is for the caller to set.
 */
static inline void gv_wait_init(struct gv_loop *loop, struct gv_wait *wait, enum gv_wait_kind kind,
                                uint32_t deadline_ms)
{
    /* One by one: for a whole struct of this size the compiler takes a slow string instruction. */
    wait->turn = loop->turn;
    wait->timer.link.next = NULL;
    wait->message = NULL;
    wait->target = 0;
    wait->call = 0;
    wait->cycle = NULL;
    wait->above = NULL;
    wait->number = gv_loop_next_wait(loop);
    wait->searched = 0;
    wait->since_ms = loop->now_ms;
    wait->deadline_ms = deadline_ms;
    wait->rc = 0;
    wait->method = 0;
    wait->kind = (uint8_t)kind;
    wait->woken = 0;
}

static inline struct gv_wait *gv_ready_take(struct gv_loop *loop)
{
    struct gv_wait *wait = loop->ready_head;

    loop->ready_head = wait->next;
    if (loop->ready_head != NULL)
        __builtin_prefetch(loop->ready_head->turn);
    return wait;
}

static inline void gv_ready_push(struct gv_loop *loop, struct gv_wait *wait)
{
    wait->next = NULL;
    if (loop->ready_head == NULL)
        loop->ready_head = wait;
    else
        loop->ready_tail->next = wait;
    loop->ready_tail = wait;
}

/* Wakes a wait with rc; once. On its home loop. A wait that is not parked yet then does not park. */
static inline void gv_wake(struct gv_loop *loop, struct gv_wait *wait, int rc)
{
    gv_assert(!wait->woken);
    gv_assert(wait->above == NULL);
    wait->woken = 1;
    wait->rc = rc;
    if (wait->turn->wait != wait)
        return; /* It has not parked yet. */
    if (wait->deadline_ms != 0)
        gv_wheel_disarm(&loop->wheel, &wait->timer);
    if (wait->turn->stack != NULL) /* main looks at `woken` itself. */
        gv_ready_push(loop, wait);
}

/*
 * 0 if the running turn could park now, else what park would return:
 * GROVE_ECANCELED, GROVE_EYIELD, GROVE_ENOSTACK. await is the function that asks, for reports.
 */
static inline int gv_may_park_for(struct gv_loop *loop, const char *await)
{
    if (gv_unlikely(loop->turn->barred)) {
        int rc = gv_turn_barred(loop, await);

        if (rc != 0)
            return rc;
    }
    if (gv_likely(loop->idle != NULL))
        return 0;
    /* main too: without a first dispatcher nobody could run, and main would wait for ever. */
    return gv_sched_keep_dispatcher(loop) ? 0 : GROVE_ENOSTACK;
}

#define gv_may_park(loop) gv_may_park_for((loop), __func__)

/* Leaves a handler's stack for whatever runs next. */
static GV_INLINE void gv_park_handler(struct gv_loop *loop, struct gv_stack *self)
{
    struct gv_stack *next;

    if (loop->ready_head != NULL && loop->handover && loop->streak < GV_STREAK_MAX
        && loop->budget > 0) {
        loop->streak++;
        loop->budget--;
        next = gv_ready_take(loop)->turn->stack;
    } else {
        loop->streak = 0;
        next = loop->idle;
        loop->idle = next->next;
    }
    loop->stack = next;
    gv_switch(&self->context, &next->context);
}

/* Around every park: what the running turn leaves behind and finds again. */
static inline void gv_park_leave(struct gv_loop *loop, struct gv_turn *turn, struct gv_wait *wait)
{
    turn->wait = wait;
    gv_probe(&loop->probes, PARK, turn->task != NULL ? gv_task_id(turn->task) : 0, wait->kind);
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_end(loop);
    turn->stack = loop->stack;
    turn->parked = GV_PARKED;
    if (gv_unlikely(turn->below != NULL || turn->opens != 0))
        gv_park_apart(loop, turn);
    loop->inlined[turn->index] = GV_INLINE_NEVER;
    gv_loop_set_turn(loop, NULL);
    gv_figure_set32(&loop->n_parked, loop->n_parked + 1);
}

static inline void gv_park_return(struct gv_loop *loop, struct gv_turn *turn,
                                  const struct gv_wait *wait)
{
    (void)wait; /* only the probe asks */
    gv_figure_set32(&loop->n_parked, loop->n_parked - 1);
    gv_loop_set_turn(loop, turn);
    loop->inline_left = loop->inline_max;
    turn->wait = NULL;
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_begin(loop);
    gv_probe(&loop->probes, RESUME, turn->task != NULL ? gv_task_id(turn->task) : 0,
             (uint64_t)(int64_t)wait->rc);
}

/* gv_park for who has asked gv_may_park in this very turn, and got 0. */
static GV_INLINE int gv_park_now(struct gv_loop *loop, struct gv_wait *wait)
{
    struct gv_turn *turn = wait->turn;

    if (gv_unlikely(wait->woken))
        return wait->rc;
    if (gv_unlikely(loop->out_dirty))
        gv_loop_publish(loop);
    if (wait->deadline_ms != 0) {
        wait->timer.fire = gv_wait_expired;
        gv_wheel_arm(&loop->wheel, &wait->timer, wait->deadline_ms);
    }
    gv_park_leave(loop, turn, wait);
    if (gv_likely(turn->stack != NULL))
        gv_park_handler(loop, turn->stack);
    else
        gv_park_main(loop, wait);
    gv_park_return(loop, turn, wait);
    return wait->rc;
}

#endif
