/*
 * Inbox: where other loops put messages for this one. The only lock-free
 * structure of grove.
 *
 * A sender links its messages newest first and publishes the whole chain
 * with one compare-and-swap in front of what is there. The receiver swaps
 * everything out at once and turns it round. So no message is ever half
 * linked, and a sender that stands still holds nobody up.
 *
 * Nobody may sleep while there is mail:
 *
 *     sender                         receiver, out of work
 *     publish the chain  (seq_cst)   sleeping = true      (seq_cst)
 *     read sleeping      (seq_cst)   look at the inbox    (seq_cst)
 *     set: clear it, wake            empty: poll;  else: go on
 *
 * In the one order that all seq_cst steps have, either the chain comes
 * before the look, or the flag before the reading. Only a sender that found
 * the inbox empty reads the flag: whoever made it non-empty did so before.
 * tests/runtime/test_inbox_schedules.c runs all schedules of this.
 *
 * Owner: messages belong to the inbox from publish to take.
 *
 * Always: messages are taken in the order in which they were published,
 * whoever published them. Lending relies on it (lend.h): an actor sends from
 * two loops, one after the other.
 */
#ifndef GV_INBOX_H
#define GV_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/message.h"

struct gv_inbox {
    _Alignas(64) _Atomic(struct gv_message *) newest;
    _Alignas(64) _Atomic bool sleeping; /* the receiver polls, or is about to */
};

/* Any thread may call publish, only the receiver the others. */

void gv_inbox_init(struct gv_inbox *inbox);

/*
 * Hands over a chain linked by `next` from newest to oldest; the next of
 * oldest is overwritten. Returns true if the receiver sleeps: the caller must
 * wake its poller.
 */
bool gv_inbox_publish(struct gv_inbox *inbox, struct gv_message *newest, struct gv_message *oldest);

/* All that is there, oldest first, linked by `next`; the caller owns it. NULL when empty. */
struct gv_message *gv_inbox_take(struct gv_inbox *inbox);

/*
 * Announces that the receiver is about to poll. Returns false, and takes
 * the announcement back, if there is mail.
 */
bool gv_inbox_sleep(struct gv_inbox *inbox);

/* The poll is over. */
void gv_inbox_awake(struct gv_inbox *inbox);

/* A look that costs a load. */
static inline bool gv_inbox_empty(struct gv_inbox *inbox)
{
    /* relaxed: whoever finds something takes it with acquire, who does not looks again */
    return atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL;
}

/* Between two looks, while spinning. */
static inline void gv_inbox_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
