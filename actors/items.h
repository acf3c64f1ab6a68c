/*
 * Items: the caller's end of a stream from a worker.
 *
 * A stream is a call whose answer items come before. Its record hangs on its
 * turn as that of a future does, so that it is given up when the turn ends,
 * whatever becomes of the struct in the caller's frame. Items arrive as
 * replies of their own, by the way of every answer, so they stay in order
 * and before the end:
 *
 *     pool ─▶ item, item, … , answer ─▶ record's loop ─▶ queue ─▶ next_await
 *       ◀──────── GV_SIGNAL_CREDIT, when half of it has been taken ◀───┘
 *
 * The pool lets no more into the queue than credit says, so nothing here
 * grows.
 *
 * Always: an item is in the queue, or is the one that was taken last; after
 * the end nothing is queued.
 */
#ifndef GV_ITEMS_H
#define GV_ITEMS_H

#include <grove/items.h>

#include "runtime/loop.h"

struct gv_call;

struct gv_items {
    struct gv_message *head, *tail; /* that have come and were not taken */
    struct gv_message *taken;       /* the last one: its memory is the caller's */
    struct gv_wait *waiter;
    uint64_t bytes_back; /* taken, and not yet told to the pool */
    uint32_t items_back;
    uint32_t credit;
    bool any_came;
    int code; /* once the call is answered, without a message: how it has ended */
    enum grove_started started;
};

/* The body of GV_SIGNAL_CREDIT. */
struct gv_credit {
    uint64_t call;
    uint64_t n_bytes;
    uint32_t n_items;
};

/* The credit of a streaming rpc. */
static inline uint32_t gv_items_credit(const struct grove_method *method)
{
    return method->credit == 0                  ? GROVE_CREDIT
           : method->credit <= GROVE_CREDIT_MAX ? method->credit
                                                : GROVE_CREDIT_MAX;
}

/* An item or the answer has come to the call of a stream. Owns reply. */
void gv_items_came(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply);

/* Frees what the record of a stream holds. */
void gv_items_free(struct gv_loop *loop, struct gv_items *items);

#endif
