/*
 * Giving up: what a handler sees when nobody waits for its answer any more,
 * and how it tidies up all the same.
 *
 * When a caller leaves (its deadline, a cancelled future, a future that was
 * not awaited, its own end), a request that is still queued is taken back.
 * If its handler runs already, that one turn is cancelled: the await it is
 * parked in returns GROVE_ECANCELED at once, and so do all later ones. So it
 * returns soon, what it called is given up in turn, and a worker's job is
 * taken back or killed. The actor lives on with its state, and the next
 * message's turn knows nothing of it. GROVE_STOP_KILL does the same to the
 * running handler, and every stop to a greenlet. Sends still go through.
 *
 * Who has half of a thing done when that happens puts a shield up:
 *
 *     rc = ledger_post_await(me->ledger, &post, &posted);
 *     if (rc != 0 && grove_shield_begin(200) == 0) {
 *         (void)ledger_void_await(me->ledger, &void_, &voided);
 *         grove_shield_end();
 *     }
 *     return rc;
 *
 * Between begin and end awaits work, whatever has become of the caller, and
 * have a time of their own: it neither ends with the caller's nor lasts
 * longer than it was given. What is called from there inherits that time.
 */
#ifndef GROVE_CANCEL_H
#define GROVE_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/export.h>

#define GROVE_SHIELD_MAX_MS 60000u /* the most that a shield lasts */
#define GROVE_SHIELDS_MAX   8u     /* open within each other */

/*
 * True once the running turn has been cancelled, also while a shield holds
 * that up. For handlers that compute long between awaits. In a worker's
 * function: true once the job's caller has left or its deadline is over; a
 * function that asks now and then and returns within the pool's grace_ms is not killed.
 * false outside of any turn. Never suspends.
 */
GROVE_API bool grove_cancelled(void);

/*
 * From here to the matching end the turn is not cancelled, and its deadline
 * is timeout_ms (1 to GROVE_SHIELD_MAX_MS) from now, both for calls and for
 * grove_remaining_ms. When that time is over calls return GROVE_ETIMEDOUT,
 * all else that waits GROVE_ECANCELED, until the end of the shield. Shields
 * nest, up to GROVE_SHIELDS_MAX; an inner one only narrows the time. One that
 * is left open ends with the turn. Returns 0, GROVE_EUSAGE (no turn, no
 * such time, too deep), GROVE_ENOMEM: then there is no shield, and
 * grove_shield_end must not be called. Never suspends.
 */
GROVE_API int grove_shield_begin(uint32_t timeout_ms);

/*
 * Ends the innermost shield: the deadline is what it was before; a
 * turn that was cancelled is so again. Never suspends.
 */
GROVE_API void grove_shield_end(void);

#endif
