/*
 * Loop: one thread's world. Run queue, ready list, stacks, timers, blocks,
 * the inbox that other loops write to, and the poller that waits.
 *
 * gv_loop_step is one round: flush what was sent, look at the world (or
 * wait for it when nothing is runnable), take the inbox in, fire timers,
 * then let a dispatcher run up to `tick` messages. The tick adapts, 1 to 256
 * messages aimed at a quarter of tick_us, so that no clock is read per turn.
 * While there is work, a round looks at the world only if the last look was
 * tick_us (100 µs) ago.
 *
 * Only the poller's thread touches a loop, but for `inbox`, `hungry` and the
 * atomic counters. `gv_loop_here` is the loop of the running thread.
 *
 * Always: poll runs on the thread's main stack with no handler above it;
 * upcalls only enqueue.
 */
#ifndef GV_LOOP_H
#define GV_LOOP_H

#include <grove/stats.h>

#include "runtime/block.h"
#include "runtime/env.h"
#include "runtime/figure.h"
#include "runtime/hint.h"
#include "runtime/inbox.h"
#include "runtime/lend.h"
#include "runtime/message.h"
#include "runtime/parcel.h"
#include "runtime/probe.h"
#include "runtime/slot.h"
#include "runtime/stack.h"
#include "runtime/task.h"
#include "runtime/timer.h"
#include "runtime/times.h"
#include "runtime/turn.h"

#define GV_WINDOW_MAX   8192u /* plain far sends not yet taken in, per pair of loops */
#define GV_WINDOW_LEAST 256u  /* the same, while most of them are turned away there */
#define GV_TAKE_IN_MAX \
    1024u /* messages of other loops taken in between two ticks; a parcel more at most */
#define GV_AHEAD_MAX    1024u /* far sends that may wait for room there, per pair of loops */
#define GV_CHAIN_MAX    GV_PARCEL_MAX /* far messages published at the latest together */
#define GV_INLINE_NEVER 0xffu         /* turns of this method park, or take long */

#define GV_TURN_CLOCK_ALL    1u /* by an option */
#define GV_TURN_CLOCK_SAMPLE 2u /* the next ones, as the stall watch asked */
#define GV_TURN_CLOCK_LEAVES \
    4u /* of those that go on one may be abandoned: no clock, the same test */

#define GV_WAIT_LOOP_SHIFT 56u /* no two loops give a wait the same number */

struct gv_calls;
struct gv_holding;
struct gv_log_ring;
struct gv_thread;

/* Something to do before the next look at the world, such as writing out a link's frames. */
struct gv_flush {
    struct gv_flush *next;
    void (*run)(struct gv_flush *flush);
    bool queued;
};

/* Bounds what a loop sends to another one before that one is done with it. */
struct gv_window {
    uint32_t n_sent; /* ever */
    uint32_t n_may;  /* how far n_sent may go, by the last look at what is done */
};

/* Who floods, as the window of plain sends knows it. */
struct gv_flooding {
    uint32_t n_done, n_refused; /* as of the last judgement */
    bool most_refused;
};

/* Messages for one other loop, collected until the handler suspends or returns; newest first. */
struct gv_out {
    _Alignas(64) struct gv_message *newest;
    struct gv_message *oldest;
    uint32_t n;
    struct gv_window plain; /* sends; done: taken in */
    struct gv_window ahead; /* sends that may wait for room; done: in the mailbox, or dead */
    struct gv_flooding flooding;
    /* The done ones, ever. The receiver writes them, so they have a line of their own. */
    _Alignas(64) _Atomic uint32_t n_plain_done;
    _Atomic uint32_t n_plain_refused; /* of these: turned away by their receiver */
    _Atomic uint32_t n_ahead_done;
};

/* One more of a window, if it is not full: n_max, less those that are done. */
static inline bool gv_window_take(struct gv_window *window, uint32_t n_max,
                                  const _Atomic uint32_t *n_done)
{
    if (window->n_sent == window->n_may) {
        /* relaxed: it may be seen late; then less is sent than could be. */
        window->n_may = atomic_load_explicit(n_done, memory_order_relaxed) + n_max;
        if (window->n_sent == window->n_may)
            return false;
    }
    window->n_sent++;
    return true;
}

/* Makes room in the window of plain sends, if some are done since the last look; false if there is none. */
bool gv_window_look(struct gv_out *out) GV_RARE;

/*
 * One more plain send. While most of them are turned away, far fewer may be
 * under way: what others send there waits behind them.
 */
static inline bool gv_window_take_plain(struct gv_out *out)
{
    if (gv_unlikely(out->plain.n_sent == out->plain.n_may) && !gv_window_look(out))
        return false;
    out->plain.n_sent++;
    return true;
}

/* So many more are done. Only the receiver's loop counts them, so this need not be one step. */
static inline void gv_window_done(_Atomic uint32_t *n_done, uint32_t n)
{
    /* relaxed: it is only a count. */
    atomic_store_explicit(n_done, atomic_load_explicit(n_done, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct gv_loop {
    /* What a turn touches. */
    struct gv_turn *turn; /* the running one, NULL between turns */
    struct gv_task *run_head, *run_tail;
    struct gv_wait *ready_head, *ready_tail;
    struct gv_stack *idle;  /* parked dispatchers */
    struct gv_stack *stack; /* the running one, NULL on the main stack */
    int32_t budget;         /* messages left in this tick */
    uint32_t burst;         /* actors a dispatcher may still run before a ready handler */
    uint32_t streak;        /* ready handlers resumed in a row */
    uint32_t now_ms;        /* of the process epoch, as of the tick */
    uint64_t out_dirty;     /* bit per loop: far messages not yet published */
    uint64_t far_to; /* the task of another loop posted to last, until that leaves; 0 = none */
    struct gv_task *came_for; /* whom the last message from another loop was for; may be dead */
    struct gv_message *came;  /* out of the inbox, not yet taken in; oldest first */
    struct gv_out *taken_of;  /* whose plain sends the next two count, which it is told of later */
    uint32_t n_taken, n_turned_away;
    uint32_t inline_left; /* calls that may still run inline, until the next tick or a resume */
    uint32_t inline_max;  /* 0: every call goes through the mailbox */
    uint8_t far_home;     /* its loop */
    uint8_t index;
    uint8_t handover;   /* 0: parked handlers resume through a dispatcher */
    uint8_t shuffled;   /* the run queue is drawn by env->choose */
    uint8_t turn_clock; /* GV_TURN_CLOCK_*: turns are timed */
    uint8_t
        times_wanted; /* by the stall watch, which sets it: GV_TURN_CLOCK_SAMPLE from the next round on */
    uint8_t inline_all; /* also methods that park */
    uint8_t *inlined;   /* by method: GV_INLINE_NEVER, or a count of its inline calls */
    struct gv_probes probes;
    struct gv_blocks blocks;
    struct gv_wheel wheel;
    struct gv_stacks stacks;
    struct gv_slots slots;
    struct gv_log_ring *log; /* records not yet written; NULL: written at once */
    struct gv_calls *calls;  /* the upper floor's call records */
    struct gv_context main;  /* the thread's own stack */
    const struct gv_env *env;
    struct gv_poller *poller;
    struct gv_flush *flushes;
    struct gv_turn main_turn;     /* of main, on loop 0 */
    struct gv_holding *main_held; /* what main, or this loop itself, has open: the upper floor's */
    uint64_t now_ns;              /* as of the tick */
    uint64_t tick_ns;             /* when the running tick began */
    uint64_t started_ns;
    uint64_t
        turn_started_ns; /* with turn_clock: when the running turn began or was resumed; else 0 */
    uint32_t n_timed;    /* of the sample of turns that is being timed */
    struct gv_times *times; /* by method; NULL without memory */
    uint64_t n_rounds;      /* of gv_loop_step, and looks while it spins; for the stall watch */
    uint64_t n_stalls, stalled_ns;      /* written by the monitor */
    _Atomic(struct gv_thread *) thread; /* as the monitor sees it; NULL: it does not */
    uint64_t n_waits;                   /* numbers of waits given out; begins with the loop's own */
    uint32_t n_spawned;                 /* here, nobody's children: numbers for actors/roll.h */
    uint64_t n_monitors;                /* ever made here */
    uint64_t spin_ns;                   /* 0: never */
    uint64_t slept_ns;                  /* waited for the world, in all */
    uint64_t rest;                      /* the same for readers; see gv_loop_busy_ns */
    uint64_t trimmed_ns;                /* when memory was last given back */
    bool spin_pays;                     /* the last sleep was shorter than spin_ns */
    uint64_t polled_ns;                 /* when the world was last looked at */
    uint64_t turn_ns;                   /* how long turns take, of the longest ticks of late */
    uint32_t n_ticks;                   /* since the last look at the world */
    uint32_t tick;                      /* messages per tick, adaptive */
    uint32_t tick_us;                   /* how often the world is looked at */
    uint32_t n_parked;
    uint32_t n_leaving;            /* turns with GV_PARKED_LEAVES */
    uint32_t n_noyield;            /* regions of the running turn in which it may not park */
    uint32_t inline_kept;          /* inline_left, for when they have ended */
    bool started;                  /* has a thread of its own that must be joined */
    _Atomic bool stop;             /* its thread shall leave */
    struct grove_loop_stats stats; /* written here, read by anyone without a lock */
    uint64_t
        n_home; /* tasks spawned here to stay, less those that ended here; see gv_loop_actors */
    _Atomic uint64_t n_sent_in; /* tasks that other loops have ever sent here */
    _Atomic uint64_t n_chosen;  /* tasks for which this home was ever chosen */
    uint64_t n_chosen_ended;    /* those of them that have ended */
    struct gv_out out[GV_LOOPS_MAX];
    struct gv_lending lending;
    _Alignas(64) struct gv_inbox inbox; /* the one thing that other loops write */
};

/*
 * What rest holds: while the loop is awake, how long it has slept so far;
 * while it sleeps, this mark and how long it was busy before. So one load
 * tells how busy it has been, and a sleep does not count before it ends.
 */
#define GV_LOOP_ASLEEP ((uint64_t)1 << 63)

/* How long a loop has been busy until wall_ns after its start. Any thread. */
static inline uint64_t gv_loop_busy_ns(uint64_t rest, uint64_t wall_ns)
{
    if (rest & GV_LOOP_ASLEEP)
        return rest & ~GV_LOOP_ASLEEP;
    return wall_ns > rest ? wall_ns - rest : 0;
}

/* Counts tasks that begin (1) or end (-1) here. On that loop. */
static inline void gv_loop_count(struct gv_loop *loop, int change)
{
    /* release: pairs with the acquire in gv_loop_actors. */
    __atomic_store_n(&loop->n_home, loop->n_home + (uint64_t)(int64_t)change, __ATOMIC_RELEASE);
}

/* Living tasks of a loop, with those on their way to it. Any thread. */
static inline uint64_t gv_loop_actors(const struct gv_loop *loop)
{
    /* acquire: pairs with the release in gv_loop_count. A task that is seen to have ended is seen to have come. */
    uint64_t n_home = __atomic_load_n(&loop->n_home, __ATOMIC_ACQUIRE);

    return n_home + atomic_load_explicit(&loop->n_sent_in, memory_order_relaxed);
}

/* Tells the sender what it may send again. */
void gv_loop_tell_taken(struct gv_loop *loop);

/* Counts a plain send that is taken in. The sender is told of many at once: it looks at this line, too. */
static inline void gv_loop_count_taken(struct gv_loop *loop, struct gv_out *of)
{
    if (gv_unlikely(loop->taken_of != of)) {
        gv_loop_tell_taken(loop);
        loop->taken_of = of;
    }
    loop->n_taken++;
}

/* The number of a new wait. */
static inline uint64_t gv_loop_next_wait(struct gv_loop *loop)
{
    uint64_t number = loop->n_waits + 1;

    gv_figure_set(&loop->n_waits, number); /* The stall watch looks at it. */
    return number;
}

/* Notes the turn that runs, or none. */
static inline void gv_loop_set_turn(struct gv_loop *loop, struct gv_turn *turn)
{
    /* relaxed: the stall watch compares it with what it was, and reads what it points to with care. */
    __atomic_store_n(&loop->turn, turn, __ATOMIC_RELAXED);
}

/* The loop of this thread, NULL in a thread that is none. In simulation it follows the simulated thread. */
extern __thread struct gv_loop *gv_loop_here __attribute__((tls_model("initial-exec")));

/* Opens loop `index` with a poller of env. Returns 0, -errno or GROVE_ENOMEM. */
int gv_loop_open(struct gv_loop **loop, unsigned index);

/* Gives back what was still under way between loops when the threads ended. After all of them have. */
void gv_loop_forget(struct gv_loop *loop);

/* Frees it; its thread must have ended and nothing may be parked. */
void gv_loop_close(struct gv_loop *loop);

/* One round. Waits for the world if nothing is runnable and may_wait. */
void gv_loop_step(struct gv_loop *loop, bool may_wait);

/* Makes the calling thread, on whose own stack this is, the loop's. Before its first step. */
void gv_loop_enter(struct gv_loop *loop);

/* Rounds until gv_loop_quit; what a loop's thread runs. */
void gv_loop_run(void *loop);

/* Makes gv_loop_run return soon. Any thread. */
void gv_loop_quit(struct gv_loop *loop);

/* Reads the clock: now_ns and now_ms. For who must be exact after a long handler. */
void gv_loop_look(struct gv_loop *loop);

/* Who has less time left than this must not be judged by the time of the tick, which may be old. */
#define GV_NEAR_MS 32u

/* Has that moment come? Reads the clock. */
bool gv_loop_has_come(struct gv_loop *loop, uint32_t deadline_ms);

/* Sends message to another loop: published when the running handler suspends or returns. Owns message. */
void gv_loop_post(struct gv_loop *loop, unsigned to, struct gv_message *message);

/* Publishes what was posted. */
void gv_loop_publish(struct gv_loop *loop);

/* Runs flush->run before the next look at the world. Once, however often it is asked for. */
void gv_loop_flush_later(struct gv_loop *loop, struct gv_flush *flush);

/* Runs function(argument) on another loop, soon, on its main stack. Any loop. Returns 0 or GROVE_ENOMEM. */
int gv_loop_call(struct gv_loop *loop, unsigned to, void (*function)(void *), void *argument);

/* a is before b, in ms of the epoch, also over a wrap. */
static inline bool gv_ms_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

#endif
