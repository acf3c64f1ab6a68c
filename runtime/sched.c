#include "runtime/sched.h"

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/dispatcher.h"
#include "runtime/figure.h"
#include "runtime/runtime.h"
#include "runtime/shield.h"
#include "runtime/switch.h"

#define SHUFFLE_MAX 8u /* how far ahead a shuffled queue draws */

/* --- queues ----------------------------------------------------------------------------------- */

void gv_sched_shuffle(struct gv_loop *loop)
{
    struct gv_task *before = loop->run_head, *drawn;
    uint32_t n = 1, k;

    for (struct gv_task *task = loop->run_head; task->run_next != NULL && n < SHUFFLE_MAX;
         task = task->run_next)
        n++;
    k = loop->env->choose(loop->env->world, n, GV_CHOICE_READY);
    if (k == 0)
        return;
    while (--k > 0)
        before = before->run_next;
    drawn = before->run_next;
    before->run_next = drawn->run_next;
    if (loop->run_tail == drawn)
        loop->run_tail = before;
    drawn->run_next = loop->run_head;
    loop->run_head = drawn;
}

/* --- dispatchers ------------------------------------------------------------------------------ */

/* For a runtime without an upper floor: no class is the usual one. */
static void dispatch(void *loop)
{
    gv_dispatcher(loop, NULL, NULL);
}

bool gv_sched_keep_dispatcher(struct gv_loop *loop)
{
    struct gv_stack *stack;

    if (loop->idle != NULL)
        return true;
    stack = gv_stack_take(&loop->stacks);
    if (stack == NULL)
        return false;
    gv_context_make(&stack->context, stack->low, gv_stack_room(stack),
                    gv_runtime.upcalls->dispatch != NULL ? gv_runtime.upcalls->dispatch : dispatch,
                    loop);
    stack->next = NULL;
    loop->idle = stack;
    return true;
}

void gv_sched_run(struct gv_loop *loop)
{
    uint32_t burst_max = loop->tick / 2 + 1;
    struct gv_stack *next;

    if (loop->run_head == NULL && loop->ready_head == NULL)
        return;
    if (!gv_sched_keep_dispatcher(loop))
        return; /* Only before the first dispatcher exists: park keeps one from then on. */
    next = loop->idle;
    loop->idle = next->next;
    loop->stack = next;
    /* A burst outlasts a short tick, or ready handlers would starve; where turns are long it is short. */
    if (loop->burst > burst_max)
        loop->burst = burst_max;
    loop->streak = 0;
    gv_switch(&loop->main, &next->context);
}

/* --- turns ------------------------------------------------------------------------------------ */

void gv_turn_leave_when_resumed(struct gv_loop *loop, struct gv_turn *turn)
{
    gv_assert(!(turn->parked & GV_PARKED_LEAVES));
    turn->parked |= GV_PARKED_LEAVES;
    loop->n_leaving++;
    loop->turn_clock |= GV_TURN_CLOCK_LEAVES;
}

void gv_turn_clock_sample(struct gv_loop *loop)
{
    loop->times_wanted = 0;
    loop->turn_clock |= GV_TURN_CLOCK_SAMPLE;
}

void gv_turn_clock_begin(struct gv_loop *loop)
{
    struct gv_turn *turn = loop->turn;

    if (loop->turn_clock & (GV_TURN_CLOCK_ALL | GV_TURN_CLOCK_SAMPLE))
        loop->turn_started_ns = loop->env->now_ns(loop->env->world);
    if (!(turn->parked & GV_PARKED_LEAVES))
        return;
    turn->parked &= (uint8_t)~GV_PARKED_LEAVES;
    if (--loop->n_leaving == 0)
        loop->turn_clock &= (uint8_t)~GV_TURN_CLOCK_LEAVES;
    gv_runtime.upcalls->leave(loop, turn);
}

void gv_turn_clock_end(struct gv_loop *loop)
{
    uint64_t turn_ns = loop->env->now_ns(loop->env->world) - loop->turn_started_ns;

    if (loop->turn_started_ns == 0)
        return; /* It has begun before it was to be timed. */
    loop->turn_started_ns = 0;
    if (turn_ns > loop->stats.longest_turn_ns)
        gv_figure_set(&loop->stats.longest_turn_ns, turn_ns);
    gv_times_note(loop, loop->turn->index, turn_ns);
    if (++loop->n_timed >= GV_TIMES_SAMPLE) {
        loop->n_timed = 0;
        loop->turn_clock &= (uint8_t)~GV_TURN_CLOCK_SAMPLE;
    }
}

void gv_turn_free_memory(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->n_shields > 0)
        gv_shields_end(loop, turn);
    while (turn->held != NULL) {
        struct gv_message *next = turn->held->next;

        gv_message_give(&loop->blocks, turn->held);
        turn->held = next;
    }
    gv_arena_cut(&turn->arena, &loop->blocks, NULL, 0);
}

/* --- waits ------------------------------------------------------------------------------------ */

void gv_wait_expired(struct gv_timer *timer)
{
    struct gv_wait *wait = (struct gv_wait *)((char *)timer - offsetof(struct gv_wait, timer));

    gv_wake(gv_loop_here, wait, GROVE_ETIMEDOUT);
}

static void caller_expired(struct gv_timer *timer)
{
    struct gv_wait *wait = (struct gv_wait *)((char *)timer - offsetof(struct gv_wait, timer));

    wait->rc =
        GROVE_ETIMEDOUT; /* What it is told in the end, whatever the handler above it returns. */
    gv_turn_cancel(gv_loop_here, wait->above);
}

/* Whoever may come in beside it does so from now on. */
static void open_task(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->opens != 0 && turn->task != NULL && turn->task->class->parked != NULL)
        turn->task->class->parked(loop, turn);
}

void gv_park_apart(struct gv_loop *loop, struct gv_turn *turn)
{
    open_task(loop, turn);
    for (struct gv_wait *wait = turn->below; wait != NULL; wait = wait->turn->below) {
        wait->turn->parked |= GV_PARKED;
        open_task(loop, wait->turn);
        loop->inlined[wait->turn->index] = GV_INLINE_NEVER;
        if (wait->deadline_ms != 0 && !gv_timer_is_armed(&wait->timer)) {
            wait->timer.fire = caller_expired;
            gv_wheel_arm(&loop->wheel, &wait->timer, wait->deadline_ms);
        }
    }
}

void gv_turn_cancel(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn == NULL)
        return;
    if (turn->n_shields > 0)
        gv_shield_withhold(turn);
    else
        gv_turn_end_waits(loop, turn);
}

void gv_turn_end_waits(struct gv_loop *loop, struct gv_turn *turn)
{
    turn->cancelled = 1;
    if (turn->wait == NULL)
        return;
    if (turn->wait->above != NULL)
        gv_turn_cancel(loop, turn->wait->above); /* As deep as calls may run inline. */
    else if (!turn->wait->woken && turn->wait->kind != GV_WAIT_BESIDE
             && turn->wait->kind != GV_WAIT_THREAD)
        gv_wake(loop, turn->wait, GROVE_ECANCELED);
}

void gv_main_look(struct gv_loop *loop)
{
    gv_loop_look(loop);
    if (loop->now_ns - loop->tick_ns >= (uint64_t)loop->tick_us * 1000)
        loop->budget = 0;
}

void gv_park_main(struct gv_loop *loop, const struct gv_wait *wait)
{
    while (!wait->woken) {
        /* What is left of the tick needs no look at the world, unless its time is over. */
        if (loop->budget > 0 && (loop->run_head != NULL || loop->ready_head != NULL)) {
            gv_sched_run(loop);
            gv_main_look(loop);
        } else {
            gv_loop_step(loop, true);
        }
    }
}

int gv_park(struct gv_loop *loop, struct gv_wait *wait)
{
    int rc = wait->woken ? 0 : gv_may_park_for(loop, gv_await_name(wait->kind));

    return rc != 0 ? rc : gv_park_now(loop, wait);
}

int gv_yield(struct gv_loop *loop)
{
    struct gv_turn *turn = loop->turn;
    struct gv_wait wait;
    int rc = gv_may_park_for(loop, "grove_yield_await");

    if (rc != 0)
        return rc;
    if (loop->out_dirty)
        gv_loop_publish(loop);
    gv_wait_init(loop, &wait, GV_WAIT_YIELD, 0);
    wait.woken = 1; /* Nobody else wakes it, and a stop finds it awake. */
    gv_park_leave(loop, turn, &wait);
    if (turn->stack == NULL) {
        gv_loop_step(loop, false);
    } else {
        /* Behind all that is ready; and the next dispatcher begins a burst, so that queued tasks come first too. */
        gv_ready_push(loop, &wait);
        loop->burst = GV_BURST_MAX;
        loop->streak = GV_STREAK_MAX;
        gv_park_handler(loop, turn->stack);
    }
    gv_park_return(loop, turn, &wait);
    return turn->cancelled ? GROVE_ECANCELED : 0;
}
