/*
 * Alarms: an actor that arms and cancels timers of its own, and notes their
 * ticks, for the tests of timers.
 */
#ifndef ALARMS_H
#define ALARMS_H

#include "stage.h"

#define TICKS_MAX 32

/* What came of the ticks of one test. */
struct ticks {
    unsigned n;
    unsigned long long at_ms[TICKS_MAX];
    unsigned long long began_ms;
    uint32_t takes_ms; /* what a tick's handler takes */
    bool parks;        /* by sleeping */
    struct grove_timer_state state;
    bool found;
    char text[64];
};

extern struct ticks seen;

/* Performed by a tick: notes it. Its timer has key `number`. */
extern struct script tick;

/* For cmocka: nothing has come yet. */
int alarms_set_up(void **state);

/* The request of a timer whose tick performs script. */
Play__V1__PerformRequest request_for(struct script *script);

/* Arms what the script says: key number, ms, mode in n_ends. */
int act_arm(struct play *me, struct script *script);

/* Arms timer 1, sleeps until its tick waits in the mailbox, then cancels it (n_ends 0) or arms it anew. */
int act_outwait(struct play *me, struct script *script);

/* ref arms its timer 1, or cancels it: true if there was one. */
void arm(grove_ref ref, uint32_t ms, enum grove_timer_mode mode);
bool cancel(grove_ref ref);

void let_pass(uint32_t ms);

#endif
