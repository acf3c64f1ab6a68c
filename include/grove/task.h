/*
 * Greenlets and waiting: straight-line code beside the actors.
 *
 * grove_go runs a function on a stack of its own (64 KiB, guarded). It has a
 * ref and a mailbox like an actor, may await everything, and ends when the
 * function returns.
 */
#ifndef GROVE_TASK_H
#define GROVE_TASK_H

#include <stdint.h>

#include <grove/actor.h>
#include <grove/export.h>
#include <grove/monitor.h>
#include <grove/ref.h>

typedef void (*grove_go_fn)(void *argument);

/*
 * Starts function(argument) as a greenlet. options may be NULL (`label`,
 * `place`, mailbox bounds, argument_bytes as for actors). ref may be NULL.
 * Returns 0, GROVE_ENOMEM, GROVE_ESTOPPING, GROVE_EUSAGE (no such loop, a
 * bound out of range) or GROVE_ETOOBIG (argument_bytes over about 3900).
 * Never suspends: the greenlet runs first when the caller suspends or
 * returns.
 */
GROVE_API int grove_go(grove_go_fn function, void *argument,
                       const struct grove_spawn_options *options, grove_ref *ref);

/*
 * Suspends for timeout_ms: never shorter, and longer only by what the kernel
 * takes to wake the loop and the loop to come round to the caller. Returns
 * 0, or GROVE_ECANCELED if the caller is being stopped.
 */
GROVE_API int grove_sleep_await(uint32_t timeout_ms);

/*
 * Lets others run first: every woken handler, and up to 32 tasks of the run
 * queue. Returns 0, GROVE_ECANCELED or GROVE_ENOSTACK. Suspends.
 */
GROVE_API int grove_yield_await(void);

/*
 * A message received by a greenlet. Lent until the next receive, or
 * the end of the scope it was received in.
 */
struct grove_letter {
    const struct grove_method *method; /* which rpc was sent; NULL: none, see down */
    const ProtobufCMessage *request;
    const struct grove_down *down; /* somebody that is watched has ended (monitor.h); else NULL */
    uint64_t call;                 /* ours: 0 if nobody waits for an answer */
    grove_ref from;                /* the sender, GROVE_NOBODY if it has no ref */
};

/*
 * In a greenlet of grove_go: suspends until a message comes, at most
 * timeout_ms (GROVE_INFINITE: no limit). In main, which has no ref: until
 * one of its monitors tells. Returns 0, GROVE_ETIMEDOUT,
 * GROVE_ECANCELED when stopped, GROVE_EUSAGE in an actor's
 * handler, and in main while it has no monitor.
 */
GROVE_API int grove_receive_await(uint32_t timeout_ms, struct grove_letter *letter);

/*
 * Answers a received call: with response (of the method's response type)
 * when code is 0, else with the refusal or failure code and the text of
 * the last grove_refuse. A call that is never answered fails with
 * GROVE_EDOWN at the next receive or when the greenlet ends. Returns 0,
 * GROVE_EUSAGE if it was answered already or needs none; GROVE_ETOOBIG or
 * GROVE_ENOMEM, which the caller hears too. Never suspends.
 */
GROVE_API int grove_letter_answer(const struct grove_letter *letter, int code,
                                  const ProtobufCMessage *response);

/* True while the caller may suspend: in a handler, a greenlet, or main. Never suspends. */
GROVE_API int grove_can_await(void);

#endif
