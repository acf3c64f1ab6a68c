/*
 * Call: a request that somebody waits for.
 *
 * The call record, not a greenlet, is what waits: it has an id, a deadline
 * and a sink. The sink resumes a parked turn, fills a future, or calls a
 * function on the record's loop; so links and workers enter without a
 * stack. The id travels in the envelope and comes back with the answer:
 *
 *     id = loop 8 | slot 20 | generation 36
 *
 *     request: caller ─▶ mailbox ─▶ handler          (same loop, or over the inbox, or a pool)
 *     answer:  gv_call_answer ─▶ record's loop ─▶ sink
 *
 * Only the record's own loop touches it. An answer whose record is gone is
 * late: its message is given back and nothing else happens, so a caller that
 * has left cannot be written to.
 *
 * Always: a record is closed exactly once: by its answer or by its caller
 * giving up.
 */
#ifndef GV_CALL_H
#define GV_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/call.h>
#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/hint.h"
#include "runtime/loop.h"

#define GV_CALLS_MAX  (1u << 20) /* open at once on a loop */
#define GV_CALL_CHUNK 256u       /* records are made so many at a time */

#define GV_CALL_LOOP_SHIFT 56u
#define GV_CALL_SLOT_SHIFT 36u
#define GV_CALL_GENERATION ((UINT64_C(1) << GV_CALL_SLOT_SHIFT) - 1)

enum gv_sink {
    GV_SINK_WAIT,
    GV_SINK_FUTURE,
    GV_SINK_CALLBACK,
    GV_SINK_STREAM, /* items come before the answer, see actors/items.h */
    GV_SINK_INLINE, /* a wait whose turn is not parked yet: its call runs inline, but is answered otherwise */
};

/* What became of a call, for callback sinks. */
struct gv_outcome {
    int code; /* 0, a refusal, a failure */
    enum grove_started started;
    const char *text;         /* the reason, "" if none; lent */
    struct gv_message *reply; /* code 0: the response in its body; lent until the sink returns */
};

struct gv_items;

struct gv_call {
    uint64_t id;
    uint64_t target;       /* task id */
    struct gv_timer timer; /* of futures, streams and callbacks; a parked turn has its own */
    struct gv_call *next;  /* free list; of a future or stream: its turn's other ones */
    struct gv_turn *turn;  /* of a future or stream: who started it */
    struct gv_message
        *reply; /* of a future or stream: the answer until it is awaited; else not used */
    union {
        struct gv_wait *wait;
        struct grove_future *future;
        struct gv_items *items;
        struct {
            void (*function)(void *owner, const struct gv_outcome *outcome);
            void *owner;
        } callback;
    } sink;
    uint32_t deadline_ms;
    uint16_t method;
    uint8_t kind; /* enum gv_sink */
    uint8_t open;
    uint8_t answered; /* of a future or stream: takes no other answer */
};

/* The records of one loop. */
struct gv_calls {
    struct gv_call *free;
    uint32_t n_chunks;
    struct gv_call *chunks[GV_CALLS_MAX / GV_CALL_CHUNK];
};

/* Made and freed with the loop. Returns 0 or GROVE_ENOMEM. */
int gv_calls_open(struct gv_loop *loop);
void gv_calls_close(struct gv_loop *loop);

/* Makes another chunk of free records; false when GV_CALLS_MAX are open or memory is short. */
bool gv_calls_grow(struct gv_loop *loop);

/* A new open record; NULL when GV_CALLS_MAX are open or memory is short. Set its sink before anything can answer. */
static inline struct gv_call *gv_call_take(struct gv_loop *loop, uint64_t target, uint16_t method,
                                           uint32_t deadline_ms)
{
    struct gv_calls *calls = loop->calls;
    struct gv_call *call = calls->free;

    if (gv_unlikely(call == NULL)) {
        if (!gv_calls_grow(loop))
            return NULL;
        call = calls->free;
    }
    calls->free = call->next;
    call->target = target;
    call->deadline_ms = deadline_ms;
    call->method = method;
    call->open = 1;
    return call;
}

/* The open record of this loop that id names, or NULL. */
static inline struct gv_call *gv_call_find(struct gv_loop *loop, uint64_t id)
{
    uint64_t slot = id >> GV_CALL_SLOT_SHIFT & (GV_CALLS_MAX - 1);
    struct gv_call *call;

    if (id >> GV_CALL_LOOP_SHIFT != loop->index || slot / GV_CALL_CHUNK >= loop->calls->n_chunks)
        return NULL;
    call = &loop->calls->chunks[slot / GV_CALL_CHUNK][slot % GV_CALL_CHUNK];
    return call->open && call->id == id ? call : NULL;
}

/* Closes a record without an answer. Nothing is taken back from the target: see gv_call_give_up. */
static inline void gv_call_give(struct gv_loop *loop, struct gv_call *call)
{
    uint64_t generation = (call->id + 1) & GV_CALL_GENERATION;

    gv_assert(call->open);
    gv_wheel_disarm(&loop->wheel, &call->timer);
    call->open = 0;
    /* 2^36 calls in one slot take longer than any deadline: a wrap meets no old answer. */
    call->id = (call->id & ~GV_CALL_GENERATION) | (generation != 0 ? generation : 1);
    call->next = loop->calls->free;
    loop->calls->free = call;
}

/*
 * The caller no longer waits: takes the request back where it is still
 * queued, else cancels the turn that handles it, or the worker's job. True if
 * it is certain that no handler will see the request; for a target on
 * another loop it never is.
 */
bool gv_call_withdraw(struct gv_loop *loop, struct gv_call *call);

/* The same, and closes the record. */
bool gv_call_give_up(struct gv_loop *loop, struct gv_call *call);

/*
 * Answers a call wherever its record lives: reply->call names it, reply->code
 * is the outcome, flags and body as message.h says. Owns reply.
 */
void gv_call_answer(struct gv_loop *loop, struct gv_message *reply);

/*
 * Answers the request with a code that is not 0 and a reason (may be NULL),
 * and gives the request back. If nobody waits it is only given back. Owns
 * request.
 */
void gv_call_fail(struct gv_loop *loop, struct gv_message *request, int code,
                  enum grove_started started, const char *text);

/* A call without a stack, for links and whoever else enters from outside. */
struct gv_call_options {
    grove_ref ref;
    uint16_t method;
    const ProtobufCMessage *request; /* lent; NULL: */
    const uint8_t *packed;           /* the same in bytes, for a pool; lent */
    size_t packed_bytes;
    bool takes_items; /* of a pool whose items go another way: the end of a stream is GROVE_EEND */
    uint32_t deadline_ms; /* 0 = none */
    void (*function)(void *owner, const struct gv_outcome *outcome);
    void *owner;
};

/*
 * Begins a call with a callback sink: copies or packs the request for the
 * target. function(owner, outcome) comes exactly once, on this loop, never
 * from inside this function. Returns 0 with *id, or a code.
 */
int gv_call_begin(struct gv_loop *loop, const struct gv_call_options *options, uint64_t *id);

/* What is known of a failed call: NO if its code implies it, else what the reply says. */
static inline enum grove_started gv_reply_started(const struct gv_message *reply)
{
    if (reply->form_flags & GV_FLAG_NO_STARTED)
        return GROVE_STARTED_NO;
    return reply->code == GROVE_EUNKNOWN ? GROVE_STARTED_UNKNOWN : GROVE_STARTED_YES;
}

#endif
