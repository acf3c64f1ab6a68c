/*
 * Post: an actor's place under a supervisor, seen from the actor.
 *
 *     waiting ──begin──▶ first turn ──▶ up ──fails, is stopped──▶ deinit ──▶ down ─┐
 *        ▲                  └──────fails──────────────────────────────────▶        │
 *        └────────────────── begin: a new incarnation ◀────────────────────────────┤
 *                                                       gone ◀──── end ────────────┘
 *
 * An actor with a post does not end by itself: it goes down and reports why,
 * and its supervisor has it begin anew, or end. While it is down it keeps
 * its slot, ref, mailbox and watchers; state, timers and its own monitors
 * are gone. Mail queues meanwhile, but for calls whose deadline would pass
 * before it can be up again: those fail at once.
 *
 * Down is: GV_TASK_BUSY without a turn, GV_TASK_NOW and GV_TASK_UNBORN. So
 * nothing else in the runtime runs it, lends it, or calls it inline.
 *
 * Supervisor and actor may live on different loops; all that passes between
 * them are the two signals below. `child` in them is the supervisor's own
 * record: the actor only carries it. It stays until the actor has reported
 * GV_REPORT_ENDED, which is the last that it says.
 *
 * Each DOWN travels in the message of the last BEGIN, and each BEGIN or END in
 * that of the last DOWN: so neither can fail for want of memory.
 *
 * Always: deinit of one incarnation has returned before init of the next
 * begins.
 */
#ifndef GV_POST_H
#define GV_POST_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/monitor.h>

#include "actors/actor.h"

#define GV_KILL_MS \
    1000u /* that one who was killed may take for its clean-ups before it is abandoned */

struct gv_child;

enum gv_report_kind {
    GV_REPORT_UP,    /* its init has returned 0 */
    GV_REPORT_DOWN,  /* this incarnation is over; decide */
    GV_REPORT_ENDED, /* it is no more */
};

/* Body of GV_SIGNAL_REPORT, which goes to the supervisor. */
struct gv_report {
    struct gv_child *child;
    char *why; /* of DOWN, on the heap, NULL for none; the receiver frees it */
    enum gv_report_kind kind;
    enum grove_down_reason reason;
    int code; /* of an init that failed */
};

enum gv_order_kind {
    GV_ORDER_BEGIN,  /* down: a new incarnation */
    GV_ORDER_END,    /* down: be no more */
    GV_ORDER_REST,   /* up: finish the running handler and go down; mail stays */
    GV_ORDER_FINISH, /* up: the same, for good: takes no mail from now on; mode says how */
    GV_ORDER_KILL,   /* up: go down, and let what the handler waits for fail */
    GV_ORDER_WAIT,   /* down: it will take at least so long */
};

/* Body of GV_SIGNAL_ORDER, which comes from the supervisor. */
struct gv_order {
    enum gv_order_kind kind;
    enum grove_stop_mode mode;
    uint32_t wait_ms;
};

/* What an actor knows of its post; hangs on its rare part, set before it is started and there until its end. */
struct gv_post {
    uint64_t supervisor; /* task id */
    struct gv_child *child;
    const void *argument;     /* of every init */
    void *copied;             /* the same, if it was copied: on the heap */
    struct gv_message *spare; /* of the next DOWN or ENDED */
    uint32_t until_ms;        /* calls with an earlier deadline fail; 0: all are kept */
    int code;                 /* of the init that failed last */
    bool on_error;            /* a handler that returns < 0 is a failure */
    bool lingers; /* its children have not ended: their calls, and their children's, fail */
    bool down;
    bool stopped;     /* by somebody else than its supervisor, while it was down */
    uint64_t n_begun; /* incarnations, but for the first */
    bool stillborn;   /* its supervisor is gone: it ends instead of beginning */
};

/* Its post; NULL for most. Any loop that runs its turns, and its home. */
static inline struct gv_post *gv_actor_post(const struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);

    return gv_unlikely(rare != NULL) ? rare->post : NULL;
}

/* Sends a report in a message of the caller's, with room for one. Owns message, and what->why. */
void gv_report_send(struct gv_loop *loop, uint64_t supervisor, struct gv_message *message,
                    const struct gv_report *what);

/* Its first incarnation begins: on its home, with a message that will be its first report. Owns message. */
void gv_post_start(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message);

/* Its incarnation is over: deinit, then down. On its home, in a dispatcher, not busy. */
void gv_post_leave(struct gv_loop *loop, struct gv_actor *actor);

/* Its incarnation is over, but its children have not ended yet. */
void gv_post_lingers(struct gv_loop *loop, struct gv_actor *actor);

/* Its init has returned 0. */
void gv_post_is_up(struct gv_loop *loop, struct gv_actor *actor);

/* An order has come. Owns message. */
void gv_post_order(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message);

/* True if a message that comes for an actor between two incarnations may queue; false: it shall fail with GROVE_EDOWN. */
bool gv_post_admits(const struct gv_task *task, const struct gv_message *message);

/* Somebody stops it that may be down. On its home. */
void gv_post_is_stopped(struct gv_actor *actor);

/* What a task's supervisor stops: leave it alone in a general sweep. */
bool gv_post_is_supervised(const struct gv_task *task);

/* It ends for good: says so, and frees its post. On its home. */
void gv_post_end(struct gv_loop *loop, struct gv_actor *actor);

#endif
