/*
 * Reply: answers that come later than their handler's return.
 *
 *     handler: defer ──▶ token {whose, slot | generation}     the request has no caller any more,
 *                         │                                    so that whatever the handler
 *                         ▼                                    returns is not sent
 *     slot of the actor: an empty envelope with the call's id, deadline, method
 *                         │
 *     reply, drop, end ───┴──▶ gv_call_answer, gv_call_fail
 *     delegate ─▶ a request of the same call to somebody else; its record is told: MOVED
 *
 * The envelope is taken when the call is deferred, so that its end can always
 * be told. Slots belong to who runs the turns of the task (kept.h). A caller
 * that leaves empties its envelope; the token stays good for nothing.
 *
 * Always: an envelope in a slot is one that the actor must answer, or one
 * with call 0, whose caller has left.
 */
#ifndef GV_REPLY_H
#define GV_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

struct gv_reply_slot {
    struct gv_message *envelope; /* NULL while free */
    uint32_t generation;
    uint32_t next;    /* of a free one: 1 + the next free one */
    bool left_last;   /* the last token of it was taken away, as its caller had left */
    bool left_before; /* and one of those before it was */
};

/* The tokens of one task. All zeros is none. */
struct gv_replies {
    struct gv_reply_slot *slots;
    uint32_t n_slots;
    uint32_t n;    /* in use */
    uint32_t free; /* 1 + the first free one, 0 = none */
};

/* A caller has left: its token is no longer wanted. */
void gv_replies_forget(struct gv_replies *replies, uint64_t call);

/* True if a caller still waits for one of them. */
bool gv_replies_wait(const struct gv_replies *replies);

/*
 * Fails all callers that still wait: the task has ended, or is another one
 * now. The slots stay, so that a token of the old one fits none of the new one's.
 */
void gv_replies_end(struct gv_loop *loop, struct gv_replies *replies);

/* Another loop says who is to answer a call from now on. Owns message. */
void gv_reply_moved(struct gv_loop *loop, struct gv_message *message);

#endif
