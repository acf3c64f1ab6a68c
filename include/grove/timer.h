/*
 * Timers: messages that an actor, or a greenlet of grove_go, sends to itself
 * later. Use the generated forms:
 *
 *     NAME_RPC_after(key, delay_ms, &request)         once
 *     NAME_RPC_every(key, period_ms, mode, &request)  again and again
 *
 * A tick is a message like any other: it waits its turn in the mailbox and is
 * handled by the function of its rpc; nobody gets the response, and it has
 * no deadline. `key` is a number of your choice. Arming a key again replaces
 * its timer. After grove_timer_cancel, or after a key was armed anew, no tick
 * of the old timer is handled any more, not even one that is in the mailbox
 * already.
 *
 * At most one tick of a timer waits. If one is due while the last one has
 * not been handled, the two become one, and that is counted as missed. So a
 * slow actor is never flooded, and a stop of the machine for an hour is
 * followed by one tick. If the mailbox is full, the tick waits at it, before
 * the messages that come later.
 *
 *     GROVE_FIXED_RATE    due at start + n periods, whatever the handler takes; what
 *                         was missed is not made up for, and the phase is kept
 *     GROVE_FIXED_DELAY   due a period after the handler of the last one has returned
 *                         (in a greenlet: after it was received)
 *
 * A tick never comes early; how late it is, grove_timer_look tells. Timers
 * end with their actor and do not keep a program from ending; when an actor
 * is restarted, they are cancelled, since its state is new: init arms what it
 * needs. To another actor there are no timers, since nothing could be taken
 * back from its mailbox: send from the handler of your own tick.
 */
#ifndef GROVE_TIMER_H
#define GROVE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/export.h>
#include <grove/method.h>

/* Timers of one actor at once. */
#define GROVE_TIMERS_MAX 4096

enum grove_timer_mode {
    GROVE_ONCE = 0,
    GROVE_FIXED_RATE = 1,
    GROVE_FIXED_DELAY = 2,
};

/* What to arm. */
struct grove_timer {
    uint64_t key;
    uint32_t ms; /* to the first tick, and from one to the next; at least 1 if it repeats */
    enum grove_timer_mode mode;
};

/*
 * Arms a timer of the running actor or greenlet; request is copied. Returns
 * 0; GROVE_EUSAGE (grove_why() says what is wrong: main has no mailbox, a
 * period of 0, a method that the actor has no function for), GROVE_EFULL
 * beyond GROVE_TIMERS_MAX, GROVE_ETOOBIG, GROVE_ENOMEM; the timer that the
 * key had before is then as it was. Never suspends.
 */
GROVE_API int grove_timer_arm(const struct grove_timer *timer, const struct grove_service *service,
                              uint32_t method, const ProtobufCMessage *request);

/*
 * Cancels the running actor's timer of this key: no tick of it is handled
 * from now on. True if there was one. Never suspends.
 */
GROVE_API bool grove_timer_cancel(uint64_t key);

/* What has become of a timer so far. */
struct grove_timer_state {
    uint64_t n_ticks;     /* handled, the running one included */
    uint64_t n_missed;    /* due, but one with another that was not handled yet */
    uint64_t late_us;     /* how long after its time the last one was handled */
    uint64_t late_max_us; /* and the latest one */
    enum grove_timer_mode mode;
};

/*
 * Fills *state for the running actor's timer of this key. False if there is
 * none: it was never armed, was cancelled, or was GROVE_ONCE and its tick is
 * being handled. Never suspends.
 */
GROVE_API bool grove_timer_look(uint64_t key, struct grove_timer_state *state);

#endif
