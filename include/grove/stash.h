/*
 * Stash: messages that an actor puts aside until it can handle them.
 *
 *     static int withdraw(struct account *me, …)
 *     {
 *         if (!me->opened)
 *             return grove_stash();       kept, in order; what is returned does not matter then
 *         …
 *     static int open(struct account *me, …)
 *     {
 *         me->opened = true;
 *         return grove_unstash_all();     they are handled next, before all that came later
 *
 * A stash holds as many messages and bytes as the mailbox may (depth_max,
 * bytes_max). Calls in it wait on within their deadlines; one whose caller
 * leaves is taken out, and what has expired is not handled. The stash outlives a
 * restart of its actor. When the actor ends, calls in it fail with GROVE_EDOWN, and
 * the rest are dead letters.
 */
#ifndef GROVE_STASH_H
#define GROVE_STASH_H

#include <stdint.h>

#include <grove/export.h>

/*
 * In a handler: puts the message that it handles aside. What the handler
 * returns does not matter any more; change nothing before. Returns 0,
 * GROVE_EFULL (return that to the caller), GROVE_ENOMEM, or GROVE_EUSAGE where
 * no message is handled: in main, init, deinit, a greenlet, or twice in one turn.
 * Never suspends.
 */
GROVE_API int grove_stash(void);

/*
 * In a handler: puts all stashed messages back in front of the mailbox, in the
 * order in which they were put aside. They may find it full: then it is over its bound
 * until they have been handled. Returns 0, or GROVE_EUSAGE outside of an actor.
 * Never suspends.
 */
GROVE_API int grove_unstash_all(void);

/* How many messages the running actor has put aside. Never suspends. */
GROVE_API uint32_t grove_stashed(void);

#endif
