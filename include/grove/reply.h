/*
 * Deferred replies: a handler that returns before it has an answer.
 *
 *     static int wait_for(struct gate *me, const … *request, … *response)
 *     {
 *         return grove_reply_defer(&me->visitors[me->n++]);  returned code, response: no matter
 *     }
 *     static int open(struct gate *me, …)
 *     {
 *         gate_wait_for_reply(&me->visitors[--me->n], 0, &let_in);
 *
 * The actor is free for its next message meanwhile, and the caller waits on,
 * within its deadline. A token is a small value: keep it in the state. It is
 * good for one answer, from any later turn of the actor that made it (or, of
 * a greenlet, any time before it ends). Every caller gets exactly one answer:
 *
 *     NAME_RPC_reply(&token, code, &response)     what a handler returns: 0, a refusal, a failure
 *     NAME_RPC_delegate(&token, ref, &request)    ref answers instead, and the duty is its own
 *     grove_reply_drop(&token)                    the caller fails with GROVE_EBROKEN
 *     the actor ends, or is restarted             the caller fails with GROVE_EDOWN
 *
 * An actor keeps at most as many tokens as its mailbox holds messages
 * (depth_max). Those whose callers have left make room for others.
 */
#ifndef GROVE_REPLY_H
#define GROVE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

/* The duty to answer one call. All zeros: none. */
typedef struct grove_token {
    uint64_t owner;  /* ours */
    uint64_t number; /* ours */
} grove_token;

/*
 * In a handler: the running request is answered later; what the handler
 * returns does not matter any more. In a greenlet: the same for the letter it
 * received last. Returns 0 with *token, GROVE_EFULL (the actor keeps as many
 * as it may: return that to the caller), GROVE_ENOMEM, or GROVE_EUSAGE if
 * nobody waits for an answer: the message was sent, is a tick of a timer, or
 * was deferred already. Never suspends.
 */
GROVE_API int grove_reply_defer(grove_token *token);

/*
 * Answers with response when code is 0, else with the refusal or failure code
 * and the text of the last grove_refuse of this turn. If the caller has left
 * meanwhile nothing is sent, and that is no failure. Returns 0; GROVE_EUSAGE if the
 * token was used already, belongs to another actor, or to another rpc; GROVE_ETOOBIG
 * or GROVE_ENOMEM, which the caller hears too. Never suspends.
 */
GROVE_API int grove_reply(const grove_token *token, const struct grove_service *service,
                          uint32_t method, int code, const ProtobufCMessage *response);

/*
 * True if the token is good and its caller still waits: it has not
 * left, and its deadline is not over. Never suspends.
 */
GROVE_API bool grove_reply_wanted(const grove_token *token);

/*
 * Gives a token up: the caller fails with GROVE_EBROKEN. Nothing
 * happens if it was used already. Never suspends.
 */
GROVE_API void grove_reply_drop(const grove_token *token);

/*
 * Sends request to ref, who answers the call of the token; with NULL that is
 * the running request (of a greenlet, the letter received last), and what the
 * handler returns does not matter any more. The caller's deadline goes with
 * it, and so does its giving up. The rpc must return the same response type,
 * with refusals of the same enum. On a failure nothing has happened, and the
 * duty stays here: GROVE_ENOACTOR, GROVE_ESTOPPING, GROVE_EFULL, GROVE_ETOOBIG,
 * GROVE_ENOMEM, GROVE_EUSAGE, or GROVE_EDEADLK if ref waits for the caller. If ref
 * ends before it has answered, the caller is told so, and that a handler had begun.
 * Over loops, a circle that closes by a delegation may stand until the caller's
 * deadline. Never suspends.
 */
GROVE_API int grove_delegate(const grove_token *token, grove_ref ref,
                             const struct grove_service *service, uint32_t method,
                             const ProtobufCMessage *request);

#endif
