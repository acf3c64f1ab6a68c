#include "runtime/sched.h"

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/runtime.h"
#include "runtime/switch.h"

#define STREAK_MAX  64u /* ready handlers in a row before the run queue has its turn */
#define BURST_MAX   32u /* tasks in a row before a ready handler has its turn */
#define SHUFFLE_MAX 8u  /* how far ahead a shuffled queue draws */

/* --- queues ----------------------------------------------------------------------------------- */

/* Moves a task drawn from the first few to the head, so that seeds decide the order. */
static void shuffle_run_queue(struct gv_loop *loop)
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

static struct gv_task *take_task(struct gv_loop *loop)
{
    struct gv_task *task;

    if (loop->run_head == NULL)
        return NULL;
    if (__builtin_expect(loop->shuffled, 0))
        shuffle_run_queue(loop);
    task = loop->run_head;
    loop->run_head = task->run_next;
    task->flags &= (uint8_t)~GV_TASK_QUEUED;
    if (loop->run_head != NULL)
        __builtin_prefetch(loop->run_head->mailbox.head);
    return task;
}

static struct gv_wait *take_ready(struct gv_loop *loop)
{
    struct gv_wait *wait = loop->ready_head;

    loop->ready_head = wait->next;
    if (loop->ready_head != NULL)
        __builtin_prefetch(loop->ready_head->turn);
    return wait;
}

/* --- dispatchers ------------------------------------------------------------------------------ */

static void dispatch(void *argument);

/* Makes an idle dispatcher if there is none; false when no stack is left. */
static bool keep_dispatcher(struct gv_loop *loop)
{
    struct gv_stack *stack;

    if (loop->idle != NULL)
        return true;
    stack = gv_stack_take(&loop->stacks);
    if (stack == NULL)
        return false;
    gv_context_make(&stack->context, stack->low, gv_stack_room(stack), dispatch, loop);
    stack->next = NULL;
    loop->idle = stack;
    return true;
}

/* Leaves a dispatcher's stack for a context. One idle dispatcher is kept; a second one ends. */
static inline void leave(struct gv_loop *loop, struct gv_stack *self, struct gv_stack *next,
                         struct gv_context *to)
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
 * What every stack of the pool runs, for ever. It may be any handler's
 * stack by the time a call of run returns: it then simply goes on as the
 * dispatcher.
 */
static void dispatch(void *argument)
{
    struct gv_loop *loop = argument;
    struct gv_stack *self = loop->stack;

    for (;;) {
        struct gv_task *task;

        if (loop->budget <= 0) {
            leave(loop, self, NULL, &loop->main);
            continue;
        }
        if (loop->ready_head != NULL && (loop->burst == 0 || loop->run_head == NULL)) {
            struct gv_stack *next = take_ready(loop)->turn->stack;

            loop->burst = BURST_MAX;
            loop->streak = 0;
            loop->budget--;
            leave(loop, self, next, &next->context);
            continue;
        }
        task = take_task(loop);
        if (task == NULL) {
            leave(loop, self, NULL, &loop->main);
            continue;
        }
        if (loop->burst > 0)
            loop->burst--;
        task->class->run(loop, task);
        if (loop->out_dirty)
            gv_loop_publish(loop);
    }
}

void gv_sched_run(struct gv_loop *loop)
{
    struct gv_stack *next;

    if (loop->run_head == NULL && loop->ready_head == NULL)
        return;
    if (!keep_dispatcher(loop))
        return; /* Only before the first dispatcher exists: park keeps one from then on. */
    next = loop->idle;
    loop->idle = next->next;
    loop->stack = next;
    loop->burst = BURST_MAX;
    loop->streak = 0;
    gv_switch(&loop->main, &next->context);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* The turn, or the part of it since it was resumed, ends here. */
static void clock_turn(struct gv_loop *loop)
{
    uint64_t now_ns = loop->env->now_ns(loop->env->world);
    uint64_t turn_ns = now_ns - loop->turn_started_ns;

    if (turn_ns > loop->stats.longest_turn_ns)
        gv_figure_set(&loop->stats.longest_turn_ns, turn_ns);
    loop->turn_started_ns = now_ns;
}

void gv_turn_clock_begin(struct gv_loop *loop)
{
    loop->turn_started_ns = loop->env->now_ns(loop->env->world);
}

void gv_turn_clock_end(struct gv_loop *loop)
{
    clock_turn(loop);
}

void gv_turn_free_memory(struct gv_loop *loop, struct gv_turn *turn)
{
    while (turn->held != NULL) {
        struct gv_message *next = turn->held->next;

        gv_message_give(&loop->blocks, turn->held);
        turn->held = next;
    }
    gv_arena_cut(&turn->arena, &loop->blocks, NULL, 0);
}

/* --- waits ------------------------------------------------------------------------------------ */

static void wait_expired(struct gv_timer *timer)
{
    struct gv_wait *wait = (struct gv_wait *)((char *)timer - offsetof(struct gv_wait, timer));

    gv_wake(gv_loop_here, wait, GROVE_ETIMEDOUT);
}

void gv_wait_init(struct gv_loop *loop, struct gv_wait *wait, enum gv_wait_kind kind,
                  uint32_t deadline_ms)
{
    /* One by one: for a whole struct of this size the compiler takes a slow string instruction. */
    wait->turn = loop->turn;
    wait->timer.link.next = NULL;
    wait->message = NULL;
    wait->futures = NULL;
    wait->target = 0;
    wait->call = 0;
    wait->cycle = NULL;
    wait->number = ++loop->n_waits;
    wait->searched = 0;
    wait->since_ms = loop->now_ms;
    wait->deadline_ms = deadline_ms;
    wait->rc = 0;
    wait->method = 0;
    wait->kind = (uint8_t)kind;
    wait->woken = 0;
    wait->n_futures = 0;
    wait->n_left = 0;
}

/* main has no stack of the pool: it steps its loop until it is woken. */
static void park_main(struct gv_loop *loop, struct gv_wait *wait)
{
    while (!wait->woken) {
        /* What is left of the tick needs no look at the world, unless its time is over. */
        if (loop->budget > 0 && (loop->run_head != NULL || loop->ready_head != NULL)) {
            gv_sched_run(loop);
            gv_loop_look(loop);
            if (loop->now_ns - loop->tick_ns >= (uint64_t)loop->tick_us * 1000)
                loop->budget = 0;
        } else {
            gv_loop_step(loop, true);
        }
    }
}

static void park_handler(struct gv_loop *loop, struct gv_stack *self)
{
    struct gv_stack *next;

    if (loop->ready_head != NULL && loop->handover && loop->streak < STREAK_MAX
        && loop->budget > 0) {
        loop->streak++;
        loop->budget--;
        next = take_ready(loop)->turn->stack;
    } else {
        loop->streak = 0;
        next = loop->idle;
        loop->idle = next->next;
    }
    loop->stack = next;
    gv_switch(&self->context, &next->context);
}

/* Around every park: what the running turn leaves behind and finds again. */
static void go(struct gv_loop *loop, struct gv_turn *turn, struct gv_wait *wait)
{
    gv_probe(&loop->probes, PARK, turn->task != NULL ? gv_task_id(turn->task) : 0, wait->kind);
    if (__builtin_expect(loop->turn_clock, 0))
        clock_turn(loop);
    turn->wait = wait;
    loop->turn = NULL;
    gv_figure_set32(&loop->n_parked, loop->n_parked + 1);
}

static void come(struct gv_loop *loop, struct gv_turn *turn, const struct gv_wait *wait)
{
    gv_figure_set32(&loop->n_parked, loop->n_parked - 1);
    loop->turn = turn;
    turn->wait = NULL;
    if (__builtin_expect(loop->turn_clock, 0))
        loop->turn_started_ns = loop->env->now_ns(loop->env->world);
    gv_probe(&loop->probes, RESUME, turn->task != NULL ? gv_task_id(turn->task) : 0,
             (uint64_t)(int64_t)wait->rc);
}

int gv_may_park(struct gv_loop *loop)
{
    if (loop->turn->cancelled)
        return GROVE_ECANCELED;
    return loop->turn->stack == NULL || keep_dispatcher(loop) ? 0 : GROVE_ENOSTACK;
}

int gv_park(struct gv_loop *loop, struct gv_wait *wait)
{
    struct gv_turn *turn = loop->turn;
    struct gv_stack *self = turn->stack;
    int rc;

    if (wait->woken)
        return wait->rc;
    rc = gv_may_park(loop);
    if (rc != 0)
        return rc;
    if (loop->out_dirty)
        gv_loop_publish(loop);
    if (wait->deadline_ms != 0) {
        wait->timer.fire = wait_expired;
        gv_wheel_arm(&loop->wheel, &wait->timer, wait->deadline_ms);
    }
    go(loop, turn, wait);
    if (self == NULL)
        park_main(loop, wait);
    else
        park_handler(loop, self);
    come(loop, turn, wait);
    return wait->rc;
}

static void push_ready(struct gv_loop *loop, struct gv_wait *wait)
{
    wait->next = NULL;
    if (loop->ready_head == NULL)
        loop->ready_head = wait;
    else
        loop->ready_tail->next = wait;
    loop->ready_tail = wait;
}

void gv_wake(struct gv_loop *loop, struct gv_wait *wait, int rc)
{
    gv_assert(!wait->woken);
    wait->woken = 1;
    wait->rc = rc;
    if (wait->turn->wait != wait)
        return; /* It has not parked yet. */
    if (wait->deadline_ms != 0)
        gv_wheel_disarm(&loop->wheel, &wait->timer);
    if (wait->turn->stack != NULL) /* main looks at `woken` itself. */
        push_ready(loop, wait);
}

int gv_yield(struct gv_loop *loop)
{
    struct gv_turn *turn = loop->turn;
    struct gv_wait wait;
    int rc = gv_may_park(loop);

    if (rc != 0)
        return rc;
    if (loop->out_dirty)
        gv_loop_publish(loop);
    gv_wait_init(loop, &wait, GV_WAIT_YIELD, 0);
    wait.woken = 1; /* Nobody else wakes it, and a stop finds it awake. */
    go(loop, turn, &wait);
    if (turn->stack == NULL) {
        gv_loop_step(loop, false);
    } else {
        /* Behind all that is ready; and the next dispatcher begins a burst, so that queued tasks come first too. */
        push_ready(loop, &wait);
        loop->burst = BURST_MAX;
        loop->streak = STREAK_MAX;
        park_handler(loop, turn->stack);
    }
    come(loop, turn, &wait);
    return turn->cancelled ? GROVE_ECANCELED : 0;
}
