/*
 * Runtime: the loops of this process and what they share.
 *
 * Loop 0 lives on the thread that called gv_runtime_open, usually main's;
 * the others have threads of their own. The upper floor hands down one
 * function for messages that arrive from other loops.
 *
 * Always: between open and close the fields below do not change, but for
 * `closing`.
 */
#ifndef GV_RUNTIME_H
#define GV_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/hint.h"
#include "runtime/loop.h"

#define GV_INCARNATION_BITS 48

struct gv_upcalls {
    /* What every stack of a pool runs, see dispatcher.h; NULL: the plain one. */
    void (*dispatch)(void *loop);
    /* A message for a task of this loop, or a reply to one of its calls, came from another loop. Owns it. */
    void (*arrived)(struct gv_loop *loop, struct gv_message *message);
    /* No handler will see this message: answer its caller with code (started: NO), or count a dead letter. Owns it. */
    void (*orphaned)(struct gv_loop *loop, struct gv_message *message, int code);
    /* Answers the call of this message with its code. Owns it. */
    void (*answer)(struct gv_loop *loop, struct gv_message *message);
    /* A message that waited for room is in the mailbox now. Lent. */
    void (*entered)(struct gv_loop *loop, struct gv_message *message);
    /* A greenlet's function has returned: cancel the futures it left, fail the calls it did not answer. */
    void (*turn_ending)(struct gv_loop *loop, struct gv_turn *turn);
    /* A task that is watched, or watches, has ended; list is its waiting list. */
    void (*watched_ended)(struct gv_loop *loop, const struct gv_task *task,
                          struct gv_waitlist *list);
    /* A caller has left whose request is not queued: a task may keep it for later. */
    void (*forgotten)(struct gv_loop *loop, struct gv_task *task, uint64_t call);
    /* The stop deadline of a task has come while a turn of it is parked, see doom.h. NULL: it is only cancelled. */
    void (*abandon)(struct gv_loop *loop, struct gv_task *task);
    /* A turn of gv_turn_leave_when_resumed is running again. Does not return, if it can. */
    void (*leave)(struct gv_loop *loop, struct gv_turn *turn);
    /* Ends the turn of an abandoned task, that task->turn still names, in the run that ends the task. */
    void (*bury)(struct gv_loop *loop, struct gv_task *task);
    /* A loop was opened, or is about to be closed: make or free what hangs on it. Returns 0 or a code. */
    int (*loop_opened)(struct gv_loop *loop);
    void (*loop_closing)(struct gv_loop *loop);
};

struct gv_runtime {
    const struct gv_env *env;
    const struct gv_upcalls *upcalls;
    struct gv_loop *loops[GV_LOOPS_MAX];
    struct gv_blocks *pools[GV_LOOPS_MAX];
    unsigned n_loops;       /* 0 while closed */
    struct gv_bounds usual; /* of a mailbox, where nobody asks for others */
    uint64_t epoch_ns;      /* millisecond 1 of all deadlines */
    uint64_t incarnation;   /* of this process; the high bits of its refs */
    _Atomic bool closing;   /* no new tasks */
};

extern struct gv_runtime gv_runtime;

/* Starts the runtime on this thread if it may, see actors/system.h; returns loop 0 or NULL. Set by the upper floor. */
extern struct gv_loop *(*gv_runtime_starter)(void);

/* The loop of this thread; starts the runtime if nothing has yet. NULL where there is none. */
static inline struct gv_loop *gv_loop_now(void)
{
    if (gv_likely(gv_loop_here != NULL))
        return gv_loop_here;
    return gv_runtime_starter != NULL ? gv_runtime_starter() : NULL;
}

/*
 * Opens n_loops loops (1 to GV_LOOPS_MAX) and starts the threads of all but
 * loop 0. Returns 0, -errno or GROVE_ENOMEM; on failure nothing is left.
 */
int gv_runtime_open(const struct gv_env *env, const struct gv_upcalls *upcalls, unsigned n_loops);

/* Ends the threads and frees the loops. All tasks must be gone. On loop 0's thread, from its main stack. */
void gv_runtime_close(void);

/* Grains of the epoch that have begun at a moment of the env's clock: 256 are 1 000 000 ns. */
static inline uint64_t gv_epoch_grains(uint64_t now_ns)
{
    return (now_ns - gv_runtime.epoch_ns) * 4 / 15625 + GV_GRAINS_PER_MS;
}

/* The moment at which a grain begins, in whole ns. */
static inline uint64_t gv_epoch_ns(uint64_t grains)
{
    return gv_runtime.epoch_ns + ((grains - GV_GRAINS_PER_MS) * 15625 + 3) / 4;
}

/* Milliseconds of the epoch at a moment of the env's clock; never 0. */
static inline uint32_t gv_epoch_ms(uint64_t now_ns)
{
    uint32_t ms = (uint32_t)(gv_epoch_grains(now_ns) / GV_GRAINS_PER_MS);

    return ms != 0 ? ms : 1;
}

/*
 * How long an idle loop may spin while so many loops, and so many worker
 * processes, are at work; 0: not at all. From loop 0, or before the loops run.
 */
uint64_t gv_runtime_spin_ns(unsigned n_loops, unsigned n_busy);

#endif
