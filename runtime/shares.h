/*
 * Shares: how the time of a turn went, and which kind of stall that makes.
 *
 * Added up from looks of the monitor at the turn's thread: on a CPU, waiting
 * for one, blocked, on a disk. schedstat charges the wait for a CPU only when
 * it is over; until then a thread that is runnable, uses no CPU and has not
 * slept is one that waits, and what is counted so is not counted again.
 *
 * What the turn needed by itself, on a CPU or blocked, must come to the
 * threshold; then the larger of the two it is. Else it is starved.
 *
 * Always: the parts come to the time that was added.
 */
#ifndef GV_SHARES_H
#define GV_SHARES_H

#include <grove/stall.h>

#include "runtime/monitor.h"

/* How the time of a turn went, as far as it was looked at. */
struct gv_shares {
    uint64_t cpu_ns, queued_ns, blocked_ns, disk_ns;
    uint64_t unseen_ns; /* blocked, but over when it was looked at: nobody knows for what */
    uint64_t owed_ns;   /* of queued_ns, what the kernel has not charged yet */
};

/* Adds what happened between two looks that were gap_ns apart. */
void gv_shares_add(struct gv_shares *shares, const struct gv_look *before,
                   const struct gv_look *now, uint64_t gap_ns);

/* All of it; and what of it was spent blocked, on whatever. */
uint64_t gv_shares_sum(const struct gv_shares *shares);
uint64_t gv_shares_blocked(const struct gv_shares *shares);

/* Of age_ns, what the turn needed by itself. */
uint64_t gv_shares_own(const struct gv_shares *shares, uint64_t age_ns);

/* What kind of stall it is, after so long. */
enum grove_stall_kind gv_shares_kind(const struct gv_shares *shares, uint64_t age_ns,
                                     uint64_t threshold_ns);

#endif
