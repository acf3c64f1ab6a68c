/*
 * Calls: the untyped verbs below the generated ones.
 *
 *     NAME_RPC_await(ref, &request, &response)           suspends until the answer
 *     NAME_RPC_send(ref, &request)                       never suspends, no answer
 *     NAME_RPC_send_await(ref, &request)                 waits for room, no answer
 *     NAME_RPC_start(ref, &request, &response, &future)  goes on; await the future later
 *
 * A message of an rpc with `option (grove.overflow) = DROP_OLDEST` that finds
 * the mailbox full takes the place of the oldest queued one of its rpc, which is a
 * dead letter; if that was a call it fails with GROVE_EFULL. If there is none, it fares like any
 * other.
 *
 * The request is lent: it has been copied when the verb returns or
 * suspends. The response is written only when the call returns 0; its
 * pointers live until the end of the turn or scope (see memory.h).
 *
 * Every call has a deadline: the least of what remains of the caller's own,
 * grove_within, and the method's timeout (5 s, WORKER 30 s unless the
 * .proto says otherwise).
 *
 * Of its answer and its deadline that one counts which the caller's loop sees
 * first, and the loop looks for answers before it looks at the time. So an
 * answer that has come is never thrown away because the caller, or its whole
 * loop, was busy while the deadline went by: 0 may be returned a little after
 * it. GROVE_ETIMEDOUT means that there was no answer by then; one that comes
 * later touches nothing.
 *
 * A call to an actor that is idle and lives on the same loop may run at once,
 * on the caller's own stack, if its messages are flat and its method neither
 * waits nor takes long. A caller cannot tell, but for two things. It saves
 * time; and when a method waits for the first time, which is then known, its
 * caller leaves no sooner than the handler does: at the caller's deadline, or
 * when it is stopped, what the handler waits for ends with GROVE_ECANCELED.
 * The option GROVE_INLINE=0 queues every call. Such a handler finds at least
 * half of a stack: 30 KiB.
 *
 * A message has at most 64 MiB between actors, as it lies in memory, and no
 * more than the receiver's mailbox may hold; to or from a worker at most
 * 16 MiB, packed. Beyond that: GROVE_ETOOBIG, with the limit in grove_why().
 */
#ifndef GROVE_CALL_H
#define GROVE_CALL_H

#include <stdint.h>

#include <grove/error.h>
#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

/* For grove_within: lifts the default timeout, never an inherited deadline. */
#define GROVE_INFINITE UINT32_MAX

/*
 * Sends the request of methods[method] and suspends until its answer.
 * response must be a message of the method's response type, never NULL.
 * Returns 0 with *response filled; > 0 a refusal; GROVE_EFULL, GROVE_ENOACTOR, GROVE_ESTOPPING,
 * GROVE_ETIMEDOUT, GROVE_ECANCELED, GROVE_EDEADLK, GROVE_EDOWN, GROVE_ECRASHED, GROVE_ENOTSUP,
 * GROVE_ETOOBIG, GROVE_ENOMEM, GROVE_ENOSTACK, or what the handler returned.
 * grove_failure() tells whether the handler had begun. A full mailbox is
 * waited for: GROVE_ETIMEDOUT, started NO, if the deadline comes first; a full
 * worker queue is not: GROVE_EFULL. Of one caller at most 1024 messages, and
 * as many bytes as the mailbox may hold, wait for room at one receiver, and
 * 65 536 and 64 MiB of one loop: GROVE_EFULL.
 */
GROVE_API int grove_call_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                               const ProtobufCMessage *request, ProtobufCMessage *response);

/*
 * Puts the request into the receiver's mailbox; nobody answers. Returns 0,
 * or at once GROVE_EFULL, GROVE_ENOACTOR, GROVE_ESTOPPING, GROVE_ETOOBIG,
 * GROVE_ENOMEM. To another loop, GROVE_EFULL is known only within a window of
 * messages: a message beyond it is a dead letter there. Never suspends.
 */
GROVE_API int grove_send(grove_ref ref, const struct grove_service *service, uint32_t method,
                         const ProtobufCMessage *request);

/*
 * The same, but while the mailbox is full it suspends, until the deadline
 * (GROVE_EFULL). To another loop the message may wait for room there without
 * its sender: up to 1024 small ones between two loops go ahead like that, and
 * none of them is lost for want of room; but an actor that ends meanwhile
 * leaves dead letters. Beyond that it suspends until the message has entered.
 */
GROVE_API int grove_send_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                               const ProtobufCMessage *request);

/*
 * A call in flight. Lives in the caller's frame; all fields but response
 * are ours. A future that was started must be awaited before the handler
 * returns: one that was not is cancelled there.
 */
struct grove_future {
    ProtobufCMessage *response;        /* where the answer goes; set by the generated verb */
    void *waiter;                      /* ours */
    const struct grove_method *method; /* ours */
    uint64_t call;                     /* ours */
    uint64_t target;                   /* ours: whom it waits for */
    int rc;                            /* valid once done: what await would return */
    uint8_t done;                      /* 1 once answered */
    uint8_t started;                   /* enum grove_started, once done */
};

/*
 * Sends the request and returns at once. future->response, set before, is
 * where the answer will go. On 0 the future is in flight; it and the
 * response must live until it is awaited. A full mailbox is waited for as
 * in grove_call_await, by the future and not here. Errors as
 * grove_call_await before its request has left. Never suspends.
 */
GROVE_API int grove_call_start(grove_ref ref, const struct grove_service *service, uint32_t method,
                               const ProtobufCMessage *request, struct grove_future *future);

/* Suspends until the future is done; returns its rc as grove_call_await would. */
GROVE_API int grove_future_await(struct grove_future *future);

/*
 * Suspends until all n futures (1 to 1024) are done. Returns 0 if each
 * returned 0, else the rc of the first in the array that did not; each rc
 * stands in its future. n = 0 returns 0.
 */
GROVE_API int grove_all_await(struct grove_future *const futures[], unsigned n);

/*
 * Suspends until one of n futures (1 to 1024) is done and writes its place
 * to *which; the others stay in flight. Returns its rc. A future that was
 * returned once stays done: leave it out of the next call's array.
 */
GROVE_API int grove_any_await(struct grove_future *const futures[], unsigned n, unsigned *which);

/*
 * Gives a future up: the request is taken back if it is still queued,
 * else its handler is cancelled. Never suspends.
 */
GROVE_API void grove_future_cancel(struct grove_future *future);

/*
 * The next call of this turn (of any verb) must end within timeout_ms; it
 * replaces the method's timeout and narrows the inherited deadline.
 * GROVE_INFINITE lifts the method's timeout. Never suspends.
 */
GROVE_API void grove_within(uint32_t timeout_ms);

/*
 * Milliseconds until the running handler's deadline; GROVE_INFINITE
 * if it has none, 0 if it is over.
 */
GROVE_API uint32_t grove_remaining_ms(void);

#endif
