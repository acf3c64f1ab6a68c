#include "workers/gate.h"

#include <stdatomic.h>

#include <grove/error.h>
#include <grove/items.h>

#include "runtime/assert.h"
#include "runtime/usage.h"
#include "workers/given.h"

/* Sent and not written: a socket that is full so far is waited for. */
#define UNWRITTEN_BYTES_MAX (64u << 10)
#define ITEM_BYTES_KEEP     (256u << 10)

static_assert(GROVE_CREDIT_BYTES == GV_STREAM_BYTES, "both ends count with the same figure");
static_assert(GROVE_CREDIT_MAX <= UINT16_MAX, "it fits a frame's aux");

void gv_gate_open(struct gv_gate *gate, const struct gv_frame *call, uint64_t deadline_ns)
{
    gv_assert(gate->call == 0);
    gate->call = call->call;
    gate->deadline_ns = deadline_ns;
    gate->items_left = call->aux;
    gate->bytes_left = GV_STREAM_BYTES;
    gate->cancelled = false;
}

void gv_gate_close(struct gv_gate *gate)
{
    gate->call = 0;
    if (gate->item.room_bytes > ITEM_BYTES_KEEP)
        gv_bytes_free(&gate->item);
}

void gv_gate_credit(struct gv_gate *gate, const struct gv_frame *credit)
{
    if (credit->call != gate->call)
        return; /* Of a stream that has ended: the frames have crossed. */
    gate->items_left += credit->aux;
    gate->bytes_left += (int64_t)credit->target;
}

void gv_gate_cancel(struct gv_gate *gate, uint64_t call)
{
    gate->cancelled |= call == gate->call;
}

/* Why no item may pass any more, 0 if one may, now or later. */
static int barred(const struct gv_gate *gate, uint64_t now_ns)
{
    if (gate->link->state >= GV_LINK_CLOSING)
        return GROVE_EDOWN;
    /* relaxed: a hint, as the CANCEL that says the same is on its way. */
    if (gate->cancelled || atomic_load_explicit(gate->given_up, memory_order_relaxed) == gate->call)
        return gate->deadline_ns != 0 && now_ns >= gate->deadline_ns ? GROVE_ETIMEDOUT
                                                                     : GROVE_ECANCELED;
    return gate->deadline_ns != 0 && now_ns >= gate->deadline_ns ? GROVE_ETIMEDOUT : 0;
}

static bool has_room(const struct gv_gate *gate)
{
    return gate->items_left > 0 && gate->bytes_left > 0
           && gv_link_unwritten(gate->link) <= UNWRITTEN_BYTES_MAX;
}

/* Waits until an item may pass. */
static int wait_for_room(struct gv_gate *gate)
{
    const struct gv_env *env = gate->link->env;
    uint64_t now_ns = env->now_ns(env->world);
    int rc = barred(gate, now_ns);

    /* A write that has left is known by a poll only, and holds the next one back. */
    if (rc == 0 && gate->link->writing.n_bytes > 0)
        env->poller_poll(gate->poller, 0);
    while (rc == 0 && !has_room(gate)) {
        gv_link_flush(gate->link);
        env->poller_poll(gate->poller,
                         gate->deadline_ns != 0 ? (int64_t)(gate->deadline_ns - now_ns) : -1);
        now_ns = env->now_ns(env->world);
        rc = barred(gate, now_ns);
    }
    return rc != 0 ? rc : barred(gate, now_ns);
}

static int pass(struct gv_gate *gate)
{
    struct gv_frame frame = {.type = GV_FRAME_ITEM,
                             .flags = GV_FRAME_CALLEE,
                             .call = gate->call,
                             .budget_us = GV_BUDGET_NONE};
    int rc = wait_for_room(gate);

    if (rc == 0)
        rc = gv_link_send(gate->link, &frame, gate->item.bytes, gate->item.n_bytes);
    if (rc != 0)
        return rc;
    gate->items_left--;
    gate->bytes_left -= (int64_t)gate->item.n_bytes;
    gv_link_flush(gate->link);
    return 0;
}

static int put(struct grove_answer *answer, const struct grove_shape *shape,
               const ProtobufCMessage *item)
{
    struct gv_gate *gate = (struct gv_gate *)answer; /* Its first member. */
    int rc = gv_given_take(&gate->item, NULL, item, "item");

    (void)shape;
    if (rc != 0)
        return rc;
    rc = pass(gate);
    return rc != 0 ? gv_failed(rc, NULL) : 0;
}

void gv_gate_init(struct gv_gate *gate, struct gv_link *link, struct gv_poller *poller,
                  const _Atomic uint64_t *given_up)
{
    *gate = (struct gv_gate){
        .items = {.put = put}, .poller = poller, .link = link, .given_up = given_up};
}
