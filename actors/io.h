/*
 * Io: how a turn waits for something of the outside.
 *
 * What is waited for has a place that points to the wait. An upcall on the
 * loop wakes it; or its deadline does, or a stop. The waiter itself clears
 * the place when it goes on. Whoever frees what the place lies in tells the
 * waiter before (gv_io_forsake), which then touches it no more.
 *
 *     place ──▶ wait (in the waiter's frame) ──slot──▶ place
 *
 * Bytes and results come by the same rule as answers of calls: whoever is
 * not of this loop never writes to the waiter's memory, and an upcall writes
 * there only while the waiter still waits. So a waiter may leave at any time.
 *
 * Always: at most one waits at a place.
 */
#ifndef GV_IO_H
#define GV_IO_H

#include <grove/error.h>

#include "runtime/park.h"
#include "runtime/runtime.h"

/* The loop of the running turn, or NULL where nothing may wait; see gv_usage_wait. */
static inline struct gv_loop *gv_io_loop(void)
{
    struct gv_loop *loop = gv_loop_now();

    return loop != NULL && loop->turn != NULL ? loop : NULL;
}

/*
 * The deadline of what the turn waits for now: that of the turn, and what
 * grove_within asked for, which it consumes; 0 = none. What the outside does
 * has no deadline by itself.
 */
uint32_t gv_io_deadline(struct gv_loop *loop);

/*
 * Parks until gv_io_wake. Returns its rc, GROVE_ETIMEDOUT, GROVE_ECANCELED
 * or GROVE_ENOSTACK. *gone: what the place lay in is freed, or another's.
 */
int gv_io_await(struct gv_loop *loop, struct gv_wait **place, uint32_t deadline_ms, bool *gone);

/*
 * The same of a turn that can be abandoned meanwhile: leave(place) then does
 * what its function would have done on its way out. The place is empty by
 * then; the turn's stack is still there.
 */
int gv_io_await_or(struct gv_loop *loop, struct gv_wait **place, uint32_t deadline_ms, bool *gone,
                   void (*leave)(struct gv_wait **place));

/* There is nothing to do. */
void gv_io_leave(struct gv_wait **place);

/* True while somebody waits there whom nothing has woken. */
static inline bool gv_io_waits(struct gv_wait *const *place)
{
    return *place != NULL && !(*place)->woken;
}

/* Wakes who waits there, if anybody does. On its loop. */
static inline void gv_io_wake(struct gv_loop *loop, struct gv_wait **place, int rc)
{
    if (gv_io_waits(place))
        gv_wake(loop, *place, rc);
}

/* The same, before the place is freed. */
void gv_io_forsake(struct gv_loop *loop, struct gv_wait **place, int rc);

/*
 * Notes that `what` could not be done with `name`, and what to do about it,
 * as the turn's last failure. Returns code: a negative code of ours, or
 * -errno; -ENOMEM becomes GROVE_ENOMEM.
 */
int gv_io_failed(struct gv_loop *loop, int code, const char *what, const char *name);

/* The same with words of the caller's own. */
int gv_io_refused(struct gv_loop *loop, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
