/*
 * Interleaving: exceptions from "one message at a time", each opted into.
 *
 * An actor takes its next message when its handler has returned, also while
 * the handler awaits. Two things may be let in beside a handler that waits:
 *
 * 1. Readers among readers. An rpc that only reads says so in the .proto:
 *
 *        rpc Balance(BalanceRequest) returns (BalanceResponse) {
 *          option (grove.readonly) = true;
 *        }
 *
 *    Its function gets a `const` state. While such a handler waits, further
 *    readonly requests of the same actor run; any other message waits until
 *    all readers have ended, and whoever came after it waits behind it. So
 *    what a reader has read is still true after its awaits.
 *
 * 2. A grant for one call's chain. An rpc whose handler may be asked back by
 *    those it calls says `option (grove.reentrant) = true`, and its handler
 *    where:
 *
 *        grove_grant_begin();
 *        rc = fraud_check_await(me->fraud, &check, &verdict);    it may ask this account back
 *        end_rc = grove_grant_end_await();
 *
 *    Between begin and end, while the handler waits, a call to this actor is
 *    let in if it was made on behalf of this very handler: by whom it called,
 *    or by whom those called, over any loops. Nobody else is. What the
 *    handler checked before may have changed by its own chain afterwards.
 *
 * Actors with such rpcs live on their own loop: they are never lent.
 */
#ifndef GROVE_INTERLEAVE_H
#define GROVE_INTERLEAVE_H

#include <grove/export.h>

/*
 * From here to the end this handler's own chain of calls may enter the actor
 * while the handler waits. Does not nest. Returns 0, or GROVE_EUSAGE: not in
 * a handler of an rpc with (grove.reentrant), or there is a grant already.
 * Never suspends.
 */
GROVE_API int grove_grant_begin(void);

/*
 * Ends the grant. Returns when whoever was let in has ended: at once, unless
 * an awaited call came to its end before what it had led to, as at a
 * deadline; those handlers have been cancelled then, and end soon. So after it nobody else
 * is inside. Returns 0, GROVE_EUSAGE without a grant, or GROVE_ENOSTACK: then
 * some are still inside. A grant that is left open ends with its handler.
 */
GROVE_API int grove_grant_end_await(void);

/* For generated code: the running turn only reads. */
GROVE_API void grove_turn_reads(void);

#endif
