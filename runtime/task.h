/*
 * Task: whoever has a mailbox and gets turns: an actor, a greenlet of
 * grove_go, a worker pool. What it does with a turn is its class's
 * business; the scheduler knows only this head of 64 bytes, behind which
 * the upper floors keep their own fields.
 *
 *     idle ──mail──▶ queued ──dispatcher──▶ busy ──run returns──▶ idle or queued
 *                                            │ ▲
 *                                      park  ▼ │ wake
 *                                           parked (still busy: mail only queues)
 *
 * A call may find an actor idle and run on its caller's stack: then that is
 * busy meanwhile, and was never queued (actors/inline.h).
 *
 * Always: only the home loop touches a task, but for `loop`, which never
 * changes, and `id`, which others may read to see that it is stale. A task
 * is in the run queue at most once, and never while it is busy. When it is
 * lent, a guest stands in for it elsewhere (lend.h).
 */
#ifndef GV_TASK_H
#define GV_TASK_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/mailbox.h"
#include "runtime/waitlist.h"

struct gv_loop;
struct gv_task;
struct gv_turn;

enum gv_task_flag {
    GV_TASK_QUEUED = 1, /* stands in the run queue */
    GV_TASK_BUSY = 2,   /* a turn has begun and not ended */
    GV_TASK_RECEIVING =
        4, /* new mail is looked at though it is busy: a parked receive, an open actor */
    GV_TASK_STOPPING = 8, /* takes no new mail */
    GV_TASK_NOW = 16,     /* stops after this turn, whatever is queued */
    GV_TASK_LINGERS = 32, /* has not run since lending, or passivation, came by */
    GV_TASK_WAITED = 64,  /* messages wait for room in its mailbox */
    GV_TASK_UNBORN = 128, /* its first turn has not succeeded */
};

/* Copies memory that may not be there; false: it is not. */
typedef bool (*gv_read_fn)(const void *address, void *into, size_t n_bytes);

/* What the scheduler must know of a kind of task. */
struct gv_task_class {
    const char *name;
    /* One turn or a few; called on a dispatcher's stack while not busy. Handlers park inside it. */
    void (*run)(struct gv_loop *loop, struct gv_task *task);
    /* A signal (enum gv_signal) came; called on the home loop at once, also while the task is busy. Owns message. */
    void (*signal)(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);
    /* Its waiting list; make: create it. NULL: there is none, or no memory for it. */
    struct gv_waitlist *(*waitlist)(struct gv_task *task, bool make);
    /* Writes "name/label" for reports. */
    void (*describe)(const struct gv_task *task, char *text, size_t room);
    /* The same on any thread, while the task may end: looks at it through read alone. NULL: its name will do. */
    void (*peek)(const struct gv_task *task, gv_read_fn read, char *text, size_t room);
    /*
     * Of a class whose tasks may have several turns: mail came for an open
     * one; a turn with `opens` has parked; the turns that handle this call,
     * 0 for all, are cancelled, false if there are none. NULL if there is never more than one.
     */
    void (*mail_came)(struct gv_loop *loop, struct gv_task *task);
    void (*parked)(struct gv_loop *loop, struct gv_turn *turn);
    bool (*cancel)(struct gv_loop *loop, struct gv_task *task, uint64_t call);
    /* Of those that stand in for its tasks on other loops, which get no signals; NULL: they are never lent. */
    const struct gv_task_class *guest;
    uint8_t form;         /* enum gv_form in which requests to it are packed */
    uint8_t kind;         /* enum grove_ref_kind of its refs */
    bool fails_when_full; /* calls are answered GROVE_EFULL at once instead of waiting for room */
};

/* How much a mailbox may hold. */
struct gv_bounds {
    uint32_t depth_max     : 20; /* messages */
    uint32_t bytes_max_64k : 12; /* units of 64 KiB */
};

struct gv_task {
    struct gv_mailbox mailbox; /* 24 bytes */
    struct gv_task *run_next;  /* run queue, and free list of slots; while it is out, its guest */
    _Atomic uint64_t id;       /* slot 28 | generation 36; generation odd while alive */
    const struct gv_task_class *class;
    struct gv_turn *turn; /* the turn that has begun, NULL while idle; gv_turn_out */
    uint8_t loop;         /* home, for the life of the slot */
    uint8_t flags;        /* enum gv_task_flag */
    uint8_t size_class;   /* of its slot */
    union {
        struct {
            uint8_t arrived  : 1; /* at its home: others may no longer touch it */
            uint8_t anywhere : 1; /* its home was chosen for it */
            uint8_t pinned   : 1; /* never lent */
            uint8_t failed   : 1; /* ends because of a failure of its own */
            uint8_t killed   : 1; /* ends because it was killed */
            uint8_t child    : 1; /* has a parent: actors/kin.h */
            uint8_t parent   : 1; /* has, or had, children */
        };
        uint8_t marks; /* all of them */
    };
    struct gv_bounds bounds; /* of the mailbox */
};

static_assert(sizeof(struct gv_task) == 64, "the head of a task is one cache line");

/* A bound in bytes in the units of bytes_max_64k. */
static inline uint64_t gv_task_bytes_units(uint64_t bytes)
{
    return (bytes + 65535) / 65536;
}

static inline uint64_t gv_task_id(const struct gv_task *task)
{
    /* relaxed: on the home loop it is our own store; elsewhere it is a hint that the home loop checks again. */
    return atomic_load_explicit(&((struct gv_task *)task)->id, memory_order_relaxed);
}

#endif
