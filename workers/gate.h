/*
 * Gate: what the running function of a stream may still send, in its worker.
 *
 * A CALL with STREAM opens it with its first credit; CREDIT frames add to
 * it, ITEMs take from it. With none left the function stands in the gate,
 * and the worker with it: it lives on by polling its link, so that credit
 * and CANCEL reach it, and other CALLs are filed for later.
 *
 * An item that has passed is on its way: its function may compute for long
 * before it gives another one, and nothing is held back for company.
 */
#ifndef GV_GATE_H
#define GV_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/method.h>

#include "links/link.h"
#include "runtime/env.h"

struct gv_gate {
    struct grove_answer items; /* where the running function's go */
    struct gv_poller *poller;
    struct gv_link *link;
    struct gv_bytes item;             /* packed */
    const _Atomic uint64_t *given_up; /* the pool writes the call here when its caller has left */
    uint64_t call;                    /* the running stream's, 0 = none runs */
    uint64_t deadline_ns;             /* 0 = none */
    int64_t bytes_left;               /* the last item may go beyond */
    uint32_t items_left;
    bool cancelled;
};

/* For all streams of a worker, one after the other. The parts are lent. */
void gv_gate_init(struct gv_gate *gate, struct gv_link *link, struct gv_poller *poller,
                  const _Atomic uint64_t *given_up);

/* A stream's function begins; and has ended. */
void gv_gate_open(struct gv_gate *gate, const struct gv_frame *call, uint64_t deadline_ns);
void gv_gate_close(struct gv_gate *gate);

/* CREDIT or CANCEL of a call has come, whichever that is. */
void gv_gate_credit(struct gv_gate *gate, const struct gv_frame *credit);
void gv_gate_cancel(struct gv_gate *gate, uint64_t call);

#endif
