/*
 * Lend: a loop with too much to do lets another one handle a batch of a
 * task's messages. The task stays at home and busy; who runs on the borrower
 * is its guest, a task head of its own with the batch as its mailbox.
 *
 *     home                                     borrower
 *     ready task, waited over tick_us ◀hungry─ before it sleeps, or with little left
 *       busy, `turn` says out
 *       batch of ≤ 64 ──────LEND─────────────▶ guest queued ──▶ its turns, like any task's
 *       new mail only queues                     │ a handler parks: its stack stays here
 *       stop, cancel, probe ──TELL──────────────▶│ acts on the guest; gone: no matter
 *       what is left goes back in front ◀──HOME──┘ batch done, or told to stop
 *       idle, or ready again
 *
 * Who may touch what while a task is out: home all of the head but what lies
 * behind `turn`, as ever; the borrower its state, the guest and the batch.
 * So "only its home loop touches a task" holds on, and the hot path sees
 * nothing but a busy task.
 *
 * Order: what is sent to a task waits in its mailbox at home, which never
 * moves. What the task itself sends stays in order because a loop publishes
 * all it has posted before it publishes a LEND or a HOME, and inboxes keep
 * the order of publishing whoever the senders are (inbox.h): so a third
 * loop takes what was sent from here before what is sent from there.
 *
 * The batch stays charged to the mailbox until it is home: the bounds are
 * those of a task that never leaves. Calls, timers, stacks and the arena of
 * a turn are the borrower's; all end with the turn. What a handler spawns
 * "here" lives at the task's home. A request that is out can no longer be
 * taken back for certain, like one on another loop.
 *
 * Never lent: greenlets and pools (their class has no guest), tasks that are
 * pinned, stopping, or have not had their first turn; a parked handler. Loop
 * 0 borrows nothing: while main computes, or blocks, it stands still, and
 * nobody of another loop shall have to wait for that.
 *
 * Owner: the loan is the LEND message itself. It travels out, lies with the
 * borrower, and comes home as HOME, where it is given back.
 *
 * Always: a task is out at most once; n_out <= GV_LEND_OUT_MAX.
 */
#ifndef GV_LEND_H
#define GV_LEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/message.h"
#include "runtime/task.h"

#define GV_LEND_BATCH   64u  /* messages that leave together */
#define GV_LEND_OUT_MAX 256u /* tasks of one loop that are out at once */

struct gv_loop;
struct gv_loan;
struct gv_turn;

/* Values of the option `lend`. */
enum gv_lend_mode {
    GV_LEND_OFF = 0,
    GV_LEND_ON = 1,
    GV_LEND_FORCE = 2, /* whatever can be lent, as chance has it: for tests */
};

/* What a loop knows of lending. */
struct gv_lending {
    struct gv_loan *guests; /* what it has borrowed */
    uint32_t n_out;         /* tasks of its own that are out */
    uint32_t message_ns;    /* what a message costs here, on average of late */
    uint8_t mode;           /* enum gv_lend_mode */
    uint8_t fed;            /* who got something last: the next round begins behind it */
    /* Other loops look at it, and clear it when they lend: 1 + guests that can still run here; 0: sated. */
    _Alignas(64) _Atomic uint8_t hungry;
};

/* Before the loop's first step. */
void gv_lend_open(struct gv_loop *loop);

/* What a tick of n messages cost. */
void gv_lend_learn(struct gv_loop *loop, uint32_t n, uint64_t took_ns);

/* Tells the others whether this loop could do more. Before it looks at the world. */
void gv_lend_ask(struct gv_loop *loop);

/* Lends to those that are hungry. Before the first tick behind each look at the world. */
void gv_lend_offer(struct gv_loop *loop);

/* A LEND, TELL or HOME came from another loop. Owns message. */
void gv_lend_came(struct gv_loop *loop, struct gv_message *message);

/* Sends a guest home. It must be idle, and not queued. */
void gv_lend_return(struct gv_loop *loop, struct gv_task *guest);

/* The task that a guest stands in for. Only what never changes in it may be looked at from here. */
struct gv_task *gv_guest_task(const struct gv_task *guest);

/* The same on any thread, through read; false: there is no guest any more. */
bool gv_guest_peek(const struct gv_task *guest, gv_read_fn read, const struct gv_task **task);

/* The guest of this loop that stands in for task id; NULL if there is none. */
struct gv_task *gv_guest_find(struct gv_loop *loop, uint64_t id);

/* A task is told to stop on the very loop that has borrowed it: its guest ends after the running handler. */
void gv_guest_stop(struct gv_loop *loop, uint64_t id, bool cancel);

/* --- for the home of a task that is out --- */

/* What `turn` of such a task points to: a turn parked in a wait that nobody here can follow. Never written. */
extern const struct gv_turn gv_turn_out;

static inline bool gv_task_is_out(const struct gv_task *task)
{
    return task->turn == &gv_turn_out;
}

/* The loop that has borrowed it. */
unsigned gv_lend_borrower(const struct gv_task *task);

/* What of its mailbox's load is with the borrower, or was when it left. */
uint64_t gv_lend_charge(const struct gv_task *task);

/* Its guest shall end after the running handler; cancel: which is to be cancelled. */
void gv_lend_stop(struct gv_loop *loop, struct gv_task *task, bool cancel);

/* Its guest shall end now: a handler that is parked is abandoned. */
void gv_lend_abandon(struct gv_loop *loop, struct gv_task *task);

/* A call is given up: its request is taken back if the batch holds it, or its turn is cancelled if it runs. */
void gv_lend_take_back(struct gv_loop *loop, struct gv_task *task, uint64_t call);

#endif
