/*
 * Inline: a call that runs on its caller's own stack.
 *
 * Most calls go to an actor that is here, idle and has no mail. Then nothing
 * needs to be queued, parked, timed or woken: the handler runs as a plain
 * function while its caller waits below it. What can be told apart from a
 * call through the mailbox is only the time it takes, since
 *
 *     - request and response are copied all the same: neither side ever sees
 *       the other's memory. Only flat ones are, so that copies are cheap.
 *     - the caller has its wait, which names its target, and the actor is
 *       busy: circles are found, mail queues, stop and kill find their way.
 *     - a method that has ever parked on this loop, or whose callee has on
 *       its stack, is queued from then on. The first time it does so inline,
 *       its caller can leave no sooner than its handler does: when the caller
 *       is cancelled or its deadline comes, what the handler waits for is
 *       cancelled too. Whatever the handler then returns, the caller is told
 *       what it would have been told had it left.
 *     - a handler that puts its answer off makes a message of its call; its
 *       caller then parks when the handler has returned. Until then it stands
 *       below it: a handler that first hands such a call on and then calls its
 *       caller is told of a circle. That, too, is known from then on.
 *     - a method that takes over 10 µs three times in a row is queued from
 *       then on; one call in 64 is timed.
 *     - 64 calls in a row, or the tick's worth of messages: then a call is
 *       queued, so that others have their turn; half of the stack: then it is,
 *       so that the rest suffices for the handler above. Who waits for a call
 *       for these reasons alone is inline again afterwards.
 */
#ifndef GV_INLINE_H
#define GV_INLINE_H

#include "actors/actor.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/hint.h"
#include "runtime/loop.h"

#define GV_INLINE_BYTES 64u /* of a request or response */

/* Marks the methods whose messages are flat and small; on registration. */
bool gv_inline_fits(const struct grove_method *method);

/* Of a stack of the pool, at least half is free. main has a large one. */
static inline bool gv_inline_has_stack(const struct gv_loop *loop)
{
    const char *here = __builtin_frame_address(0);

    return loop->stack == NULL
           || (size_t)(here - loop->stack->low) > gv_stack_room(loop->stack) / 2;
}

/* True if nobody else's turn is due, and there is room: row, tick and stack have something left. */
static inline bool gv_inline_has_turn(const struct gv_loop *loop)
{
    return loop->inline_left > 0 && loop->budget > 0 && gv_inline_has_stack(loop);
}

/* True if the verb's call can run here, once it has its turn. */
static GV_INLINE bool gv_inline_may(const struct gv_verb *verb)
{
    const struct gv_loop *loop = verb->loop;
    const struct gv_task *task = verb->task;

    /*
     * First of all that it lives here: nobody else's flags may be looked at.
     * Without flags it is born, idle and has no mail, and nobody stops it.
     */
    return task->loop == loop->index && task->flags == 0 && task->class == &gv_actor_class
           && gv_methods[verb->index].fits_inline
           && (loop->inlined[verb->index] != GV_INLINE_NEVER || loop->inline_all)
           && gv_type_handles(((const struct gv_actor *)task)->type, verb->index);
}

/*
 * Makes a message of the inline call that the turn handles, as if it had come
 * through the mailbox: its handler defers, delegates or stashes it. turn->message
 * is it then. Returns 0 or GROVE_ENOMEM.
 */
int gv_inline_convert(struct gv_loop *loop, struct gv_turn *turn);

/* Runs the call. Returns as grove_call_await; a failure is noted in the caller's turn. */
int gv_inline_call(const struct gv_verb *verb, const ProtobufCMessage *request,
                   ProtobufCMessage *response);

#endif
