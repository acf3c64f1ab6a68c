#include "runtime/loop.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "runtime/stall.h"

#define TICK_MAX      256u       /* messages */
#define TICKS_MAX     64u        /* between two looks at the world, whatever the clock says */
#define TICKS_AIM     4u         /* the same, where turns are short */
#define SPIN_LOOK_NS  5000u      /* how often a spinning loop looks at the world */
#define TRIM_IDLE_NS  100000000u /* a wait this long is a time to give memory back */
#define TRIM_EVERY_NS 1000000000u
#define STACKS_KEEP   16u
#define INLINE_MAX    64u /* calls on the caller's stack in a row */

__thread struct gv_loop *gv_loop_here __attribute__((tls_model("initial-exec")));

/* --- what leaves the loop --------------------------------------------------------------------- */

static void publish_to(struct gv_loop *loop, unsigned to)
{
    struct gv_out *out = &loop->out[to];
    struct gv_message *newest = out->newest, *oldest = out->oldest, *parcel = NULL;
    struct gv_loop *receiver = gv_runtime.loops[to];

    if (out->n >= GV_PARCEL_MIN)
        parcel = gv_parcel_pack(&loop->blocks, newest, out->n);
    if (parcel != NULL) /* Without memory they travel linked. */
        newest = oldest = parcel;
    gv_figure_set(&loop->stats.sent_far, loop->stats.sent_far + out->n);
    out->newest = out->oldest = NULL;
    out->n = 0;
    loop->out_dirty &= ~((uint64_t)1 << to);
    loop->far_to = 0;
    if (gv_inbox_publish(&receiver->inbox, newest, oldest))
        loop->env->poller_wake(receiver->poller);
}

void gv_loop_post(struct gv_loop *loop, unsigned to, struct gv_message *message)
{
    struct gv_out *out = &loop->out[to];

    gv_assert(to != loop->index && to < gv_runtime.n_loops);
    message->next = out->newest;
    if (out->newest == NULL)
        out->oldest = message;
    out->newest = message;
    loop->out_dirty |= (uint64_t)1 << to;
    if (++out->n >= GV_CHAIN_MAX)
        publish_to(loop, to);
}

void gv_loop_publish(struct gv_loop *loop)
{
    while (loop->out_dirty != 0)
        publish_to(loop, (unsigned)__builtin_ctzll(loop->out_dirty));
}

void gv_loop_flush_later(struct gv_loop *loop, struct gv_flush *flush)
{
    if (flush->queued)
        return;
    flush->queued = true;
    flush->next = loop->flushes;
    loop->flushes = flush;
}

static void run_flushes(struct gv_loop *loop)
{
    while (loop->flushes != NULL) {
        struct gv_flush *flush = loop->flushes;

        loop->flushes = flush->next;
        flush->queued = false;
        flush->run(flush);
    }
}

bool gv_window_look(struct gv_out *out)
{
    struct gv_flooding *flooding = &out->flooding;
    /* relaxed, both: they may be seen late; then less is sent than could be. */
    uint32_t n_refused = atomic_load_explicit(&out->n_plain_refused, memory_order_relaxed);
    uint32_t n_done = atomic_load_explicit(&out->n_plain_done, memory_order_relaxed), n_may;

    /* A few say little: they may be others' than the flood's. */
    if (n_done - flooding->n_done >= GV_WINDOW_LEAST / 2) {
        flooding->most_refused = n_refused - flooding->n_refused > (n_done - flooding->n_done) / 2;
        flooding->n_done = n_done;
        flooding->n_refused = n_refused;
    }
    n_may = n_done + (flooding->most_refused ? GV_WINDOW_LEAST : GV_WINDOW_MAX);
    /* More than now would be allowed may be under way. */
    if ((int32_t)(n_may - out->plain.n_sent) <= 0)
        return false;
    out->plain.n_may = n_may;
    return true;
}

/* --- what comes in ---------------------------------------------------------------------------- */

void gv_loop_tell_taken(struct gv_loop *loop)
{
    if (loop->n_taken == 0)
        return;
    if (loop->n_turned_away > 0)
        gv_window_done(&loop->taken_of->n_plain_refused, loop->n_turned_away);
    gv_window_done(&loop->taken_of->n_plain_done, loop->n_taken);
    loop->n_taken = loop->n_turned_away = 0;
}

struct gv_run_body {
    void (*function)(void *argument);
    void *argument;
};

int gv_loop_call(struct gv_loop *loop, unsigned to, void (*function)(void *), void *argument)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_run_body));

    if (message == NULL)
        return GROVE_ENOMEM;
    message->method = GV_SIGNAL_RUN;
    *(struct gv_run_body *)(void *)message->body = (struct gv_run_body){function, argument};
    gv_loop_post(loop, to, message);
    return 0;
}

/* Takes one message in from another loop. */
static void take_in(struct gv_loop *loop, struct gv_message *message)
{
    if (message->method == GV_SIGNAL_RUN && !(message->form_flags & GV_FLAG_REPLY)) {
        struct gv_run_body run = *(struct gv_run_body *)(void *)message->body;

        gv_message_give(&loop->blocks, message);
        run.function(run.argument);
        return;
    }
    if (message->method >= GV_SIGNAL_LEND && !(message->form_flags & GV_FLAG_REPLY)) {
        gv_lend_came(loop, message);
        return;
    }
    gv_runtime.upcalls->arrived(loop, message);
}

static void open_parcel(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_parcel *parcel = gv_parcel_of(message);

    gv_parcel_fetch(parcel);
    for (uint64_t i = 0; i < parcel->n; i++)
        take_in(loop, parcel->messages[i]);
    gv_message_give(&loop->blocks, message);
}

/* The next message of other loops; looks into the inbox once when there is none left. */
static struct gv_message *next_come(struct gv_loop *loop, bool *looked)
{
    struct gv_message *message = loop->came;

    if (message == NULL && !*looked) {
        *looked = true;
        message = gv_inbox_take(&loop->inbox);
    }
    loop->came = message != NULL ? message->next : NULL;
    return message;
}

/* Takes in what other loops have sent; not all of a flood, as turns and timers here wait meanwhile. */
static void drain_inbox(struct gv_loop *loop)
{
    struct gv_message *message;
    bool looked = false;
    uint64_t n = 0;

    while (n < GV_TAKE_IN_MAX && (message = next_come(loop, &looked)) != NULL) {
        if (gv_message_is_parcel(message)) {
            n += gv_parcel_of(message)->n;
            open_parcel(loop, message);
            gv_loop_tell_taken(loop);
        } else {
            n++;
            take_in(loop, message);
        }
    }
    gv_loop_tell_taken(loop);
}

/* --- one round -------------------------------------------------------------------------------- */

void gv_loop_look(struct gv_loop *loop)
{
    loop->now_ns = loop->env->now_ns(loop->env->world);
    loop->now_ms = gv_epoch_ms(loop->now_ns);
}

GV_RARE bool gv_loop_has_come(struct gv_loop *loop, uint32_t deadline_ms)
{
    gv_loop_look(loop);
    return !gv_ms_before(loop->now_ms, deadline_ms);
}

/* True if an upcall has left something to do: a task, a handler, a write, or main's own wake. */
static bool has_work(const struct gv_loop *loop)
{
    const struct gv_wait *wait = loop->main_turn.wait;

    while (wait != NULL && wait->above != NULL)
        wait = wait->above->wait;
    return loop->run_head != NULL || loop->ready_head != NULL || loop->flushes != NULL
           || loop->came != NULL || (wait != NULL && wait->woken);
}

/* Watches the inbox for a while before sleeping, at most until until_ns; true when something came. */
static bool spin(struct gv_loop *loop, uint64_t until_ns)
{
    uint64_t now_ns = loop->now_ns, look_ns = now_ns + SPIN_LOOK_NS;

    if (until_ns - now_ns > loop->spin_ns)
        until_ns = now_ns + loop->spin_ns;
    while (now_ns < until_ns) {
        for (unsigned i = 0; i < 64; i++) {
            if (!gv_inbox_empty(&loop->inbox))
                return true;
            gv_inbox_pause();
        }
        now_ns = loop->env->now_ns(loop->env->world);
        gv_figure_set(&loop->n_rounds, loop->n_rounds + 1);
        if (now_ns >= look_ns) {
            loop->env->poller_poll(loop->poller, 0);
            if (has_work(loop))
                return true;
            look_ns = now_ns + SPIN_LOOK_NS;
        }
    }
    return false;
}

static void trim(struct gv_loop *loop)
{
    if (loop->now_ns - loop->trimmed_ns < TRIM_EVERY_NS)
        return;
    loop->trimmed_ns = loop->now_ns;
    gv_blocks_trim(&loop->blocks);
    gv_stacks_trim(&loop->stacks, STACKS_KEEP);
}

/* When the next timer is due, or GV_NEVER. */
static uint64_t next_timer_ns(struct gv_loop *loop)
{
    uint64_t next = gv_wheel_next(&loop->wheel);

    return next != GV_NEVER ? gv_epoch_ns(next) : GV_NEVER;
}

/* Nothing is runnable: sleeps until the world, a timer or another loop has something. */
static void wait_for_world(struct gv_loop *loop)
{
    uint64_t idle_ns, until_ns, slept_ns;

    gv_loop_look(loop);
    idle_ns = loop->now_ns;
    until_ns = next_timer_ns(loop);
    if (loop->spin_ns != 0 && loop->spin_pays && until_ns > loop->now_ns) {
        if (spin(loop, until_ns))
            return;
        gv_loop_look(loop);
        until_ns = next_timer_ns(loop); /* A look at the world may have armed one. */
    }
    /*
     * acquire: pairs with the release in gv_loop_quit. The look in spin may
     * have taken its wake-up; one that comes after this line ends the poll.
     */
    if (atomic_load_explicit(&loop->stop, memory_order_acquire))
        return;
    if (until_ns > loop->now_ns + TRIM_IDLE_NS)
        trim(loop);
    if (until_ns <= loop->now_ns || !gv_inbox_sleep(&loop->inbox)) {
        loop->env->poller_poll(loop->poller, 0);
        return;
    }
    gv_figure_set(&loop->rest, GV_LOOP_ASLEEP | (idle_ns - loop->started_ns - loop->slept_ns));
    loop->env->poller_poll(loop->poller,
                           until_ns != GV_NEVER ? (int64_t)(until_ns - loop->now_ns) : -1);
    gv_inbox_awake(&loop->inbox);
    slept_ns = loop->env->now_ns(loop->env->world) - idle_ns;
    loop->slept_ns += slept_ns;
    gv_figure_set(&loop->rest, loop->slept_ns);
    loop->spin_pays = slept_ns < loop->spin_ns;
}

/*
 * How many messages fit the aim, judged by the ticks so far. Long turns count
 * at once and are forgotten by halves, as the next may be long ones too.
 */
static void adapt_tick(struct gv_loop *loop, uint64_t took_ns)
{
    uint32_t used = loop->tick - (uint32_t)(loop->budget > 0 ? loop->budget : 0);
    uint64_t aim_ns = (uint64_t)loop->tick_us * 1000 / TICKS_AIM, fit;

    if (used > 0)
        gv_lend_learn(loop, used, took_ns);
    /* A short tick that ran out of work says little. */
    if (took_ns == 0 || used == 0 || (loop->budget > 0 && took_ns <= aim_ns))
        return;
    loop->turn_ns /= 2;
    if (loop->turn_ns < took_ns / used)
        loop->turn_ns = took_ns / used;
    fit = aim_ns / (loop->turn_ns + 1);
    loop->tick = fit < 1 ? 1 : fit > TICK_MAX ? TICK_MAX : (uint32_t)fit;
}

static void run_tick(struct gv_loop *loop)
{
    uint64_t start_ns = loop->now_ns;

    if (loop->lending.mode == GV_LEND_FORCE
        || (loop->lending.mode == GV_LEND_ON && loop->n_ticks == 1))
        gv_lend_offer(loop);
    gv_sched_run(loop);
    gv_loop_look(loop);
    adapt_tick(loop, loop->now_ns - start_ns);
    if (!(loop->turn_clock & GV_TURN_CLOCK_ALL)
        && loop->now_ns - start_ns > loop->stats.longest_turn_ns)
        gv_figure_set(&loop->stats.longest_turn_ns, loop->now_ns - start_ns);
}

/* True if the world was looked at so lately that it can wait for another tick. */
static bool may_go_on(const struct gv_loop *loop)
{
    return loop->n_ticks < TICKS_MAX
           && loop->now_ns - loop->polled_ns < (uint64_t)loop->tick_us * 1000;
}

static void look_at_world(struct gv_loop *loop, bool may_wait)
{
    /* A flush may have woken main. */
    if (may_wait && !has_work(loop))
        wait_for_world(loop);
    else if (may_wait && may_go_on(loop))
        return;
    else
        loop->env->poller_poll(loop->poller, 0);
    loop->n_ticks = 0;
}

void gv_loop_step(struct gv_loop *loop, bool may_wait)
{
    gv_loop_here = loop;
    gv_figure_set(&loop->n_rounds, loop->n_rounds + 1);
    if (loop->flushes != NULL)
        run_flushes(loop);
    if (loop->out_dirty)
        gv_loop_publish(loop);
    /* While there is work, what other loops lack is less than GV_BLOCK_CHAIN_MAX of their blocks. */
    if (loop->run_head == NULL && loop->ready_head == NULL)
        gv_blocks_flush(&loop->blocks);
    if (loop->log != NULL)
        gv_log_flush(loop->log);

    if (loop->lending.mode == GV_LEND_ON)
        gv_lend_ask(loop);
    look_at_world(loop, may_wait);
    gv_loop_here = loop; /* In simulation the thread may have been another loop's meanwhile. */
    gv_loop_look(loop);
    if (loop->n_ticks++ == 0)
        loop->polled_ns = loop->now_ns;
    if (gv_unlikely(loop->times_wanted))
        gv_turn_clock_sample(loop);
    drain_inbox(loop);
    gv_wheel_advance(&loop->wheel, gv_epoch_grains(loop->now_ns));
    loop->tick_ns = loop->now_ns;
    loop->budget = (int32_t)loop->tick; /* also for what main calls inline */
    loop->inline_left = loop->inline_max;
    if (loop->run_head != NULL || loop->ready_head != NULL)
        run_tick(loop);
}

void gv_loop_enter(struct gv_loop *loop)
{
    gv_loop_here = loop;
    gv_context_main(&loop->main);
    gv_stall_enter(loop);
}

void gv_loop_run(void *argument)
{
    struct gv_loop *loop = argument;

    gv_loop_enter(loop);
    /* acquire: pairs with the release in gv_loop_quit. */
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire))
        gv_loop_step(loop, true);
    gv_stall_leave(loop);
    gv_loop_here = NULL;
}

void gv_loop_quit(struct gv_loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    loop->env->poller_wake(loop->poller);
}

/* --- life ------------------------------------------------------------------------------------- */

int gv_loop_open(struct gv_loop **result, unsigned index)
{
    struct gv_loop *loop = aligned_alloc(64, (sizeof *loop + 63) & ~(size_t)63);
    int rc;

    if (loop == NULL)
        return GROVE_ENOMEM;
    memset(loop, 0, sizeof *loop);
    loop->index = (uint8_t)index;
    loop->inlined = calloc(UINT16_MAX + 1, 1);
    if (loop->inlined == NULL) {
        free(loop);
        return GROVE_ENOMEM;
    }
    loop->env = gv_runtime.env;
    rc = loop->env->poller_open(loop->env->world, index, &loop->poller);
    if (rc != 0) {
        free(loop->inlined);
        free(loop);
        return rc;
    }
    loop->tick = TICK_MAX;
    loop->times = calloc(UINT16_MAX + 1, sizeof *loop->times); /* Pages of it come with use. */
    loop->tick_us = (uint32_t)gv_option_number(GV_OPTION_TICK_US);
    loop->inline_max = gv_option_number(GV_OPTION_INLINE) != 0 ? INLINE_MAX : 0;
    loop->inline_all = gv_option_number(GV_OPTION_INLINE) == 2;
    loop->handover = gv_option_number(GV_OPTION_HANDOVER) != 0;
    loop->shuffled = gv_option_number(GV_OPTION_SHUFFLE) != 0;
    loop->turn_clock = gv_option_number(GV_OPTION_TURN_CLOCK) != 0 ? GV_TURN_CLOCK_ALL : 0;
    gv_blocks_init(&loop->blocks, index, gv_runtime.pools);
    loop->blocks.tracts.huge = gv_option_number(GV_OPTION_HUGE_PAGES) != 0;
    gv_stacks_init(&loop->stacks, (uint32_t)gv_option_number(GV_OPTION_STACKS_MAX));
    gv_slots_init(&loop->slots, index);
    gv_inbox_init(&loop->inbox);
    gv_lend_open(loop);
    loop->n_waits = (uint64_t)index << GV_WAIT_LOOP_SHIFT;
    loop->log = gv_log_ring_new();
    gv_loop_look(loop);
    gv_wheel_init(&loop->wheel, gv_epoch_grains(loop->now_ns));
    loop->started_ns = loop->now_ns;
    *result = loop;
    return 0;
}

static void forget(struct gv_loop *loop, struct gv_message *message)
{
    while (message != NULL) {
        struct gv_message *next = message->next;

        gv_parcel_discard(&loop->blocks, message);
        message = next;
    }
}

void gv_loop_forget(struct gv_loop *loop)
{
    for (unsigned to = 0; to < gv_runtime.n_loops; to++) {
        forget(loop, loop->out[to].newest);
        loop->out[to].newest = loop->out[to].oldest = NULL;
        loop->out[to].n = 0;
    }
    loop->out_dirty = 0;
    forget(loop, loop->came);
    loop->came = NULL;
    forget(loop, gv_inbox_take(&loop->inbox));
    gv_blocks_flush(&loop->blocks);
}

void gv_loop_close(struct gv_loop *loop)
{
    gv_assert(loop->n_parked == 0);
    loop->env->poller_close(loop->poller);
    while (loop->idle != NULL) {
        struct gv_stack *stack = loop->idle;

        loop->idle = stack->next;
        gv_stack_give(&loop->stacks, stack);
    }
    gv_log_ring_free(loop->log);
    gv_stacks_deinit(&loop->stacks);
    gv_blocks_deinit(&loop->blocks);
    free(loop->inlined);
    free(loop->times);
    free(loop);
}
