/*
 * Ticker: an actor that notes what it handles, for the tests of overflow and groups.
 */
#ifndef TICKER_H
#define TICKER_H

#include <grove.h>

#include "ticker.grove.h"
#include "ticker.pb-c.h"

#define TICKER_SEEN_MAX 4096u
#define TICKER_NOTE     1000000u /* is added to the number of a note */

/* What one of them has handled, in order. Read it when it has settled. */
struct seen {
    _Atomic(unsigned) n;
    _Atomic(unsigned) n_naps; /* that have begun */
    uint32_t numbers[TICKER_SEEN_MAX];
};

/* Starts one that writes to seen, on a loop, with a mailbox of so many messages and bytes (0: the usual). */
grove_ref ticker_spawn_at(unsigned loop, struct seen *seen, uint32_t depth_max, uint32_t bytes_max);

/* The verbs, by number. */
int ticker_send(grove_ref ref, uint32_t number);
int ticker_send_load(grove_ref ref, uint32_t number, size_t bytes);
int ticker_send_note(grove_ref ref, uint32_t number);
int ticker_call_note(grove_ref ref, uint32_t number); /* suspends */
int ticker_start_tick(grove_ref ref, uint32_t number, Ticker__V1__TickResponse *response,
                      struct grove_future *future);
int ticker_start_note(grove_ref ref, uint32_t number, Ticker__V1__NoteResponse *response,
                      struct grove_future *future);

/* Has one nap for ms; returns when it does. */
void ticker_nap(grove_ref ref, struct seen *seen, uint32_t ms);

#endif
