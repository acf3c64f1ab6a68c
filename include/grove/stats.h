/*
 * Counters of the runtime, for tables at the end of a run and for tests.
 */
#ifndef GROVE_STATS_H
#define GROVE_STATS_H

#include <stdint.h>

#include <grove/export.h>

struct grove_loop_stats {
    uint64_t turns;           /* messages handled */
    uint64_t busy_ns;         /* time not spent waiting for the world */
    uint64_t wall_ns;         /* time since the loop started */
    uint64_t longest_turn_ns; /* longest time between two looks at the clock while busy */
    uint64_t sent_far;        /* messages sent to other loops */
    uint64_t dead_letters;    /* accepted messages that no handler saw, see deadletter.h */
    uint64_t actors;          /* alive now */
    uint64_t stacks;          /* stacks in existence */
    uint64_t parked;          /* stacks of waiting handlers and greenlets */
    uint64_t lent;            /* batches of messages lent to other loops */
    uint64_t ticks;           /* of timers, handled */
    uint64_t ticks_missed;    /* due, but one with another that had not been handled */
    uint64_t passive;         /* actors without a state for now, see <grove/passivate.h> */
    uint64_t passivations;    /* how often one became so */
    uint64_t stalls;          /* turns that held the loop up, see <grove/stall.h> */
    uint64_t stalled_ns;      /* and how long, once they were over; a part of busy_ns */
};

/*
 * Fills *stats for loop number k. Any thread; figures may be a moment
 * old. Returns 0 or GROVE_EUSAGE.
 */
GROVE_API int grove_loop_stats(unsigned k, struct grove_loop_stats *stats);

#endif
