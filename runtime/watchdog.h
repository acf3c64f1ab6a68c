/*
 * Watchdog: who can neither be taken away at a stop deadline nor waited for.
 *
 * A handler that is parked then is abandoned by its loop (doom.h). One that
 * is on the CPU, or in a call that blocks, holds its loop, which can do
 * nothing about it. So a thread that no loop can hold up looks, the one of
 * signals. If the same turn runs for a second behind the deadline without a
 * pause, it is named in the log and the process ends with status 70: what it
 * has half done nobody else can undo, and whoever supervises the process
 * begins it anew.
 *
 *     a stop with a deadline, a supervisor's kill ─▶ gv_watchdog_expect ─┐
 *     SIGTERM, grove_deinit ─▶ gv_watchdog_end_by ───────────────────────┤ deadline
 *                                                                        ▼
 *                 over ◀── it pauses, or ends ── a look every 100 ms: ten the same ──▶ exit 70
 *
 * Looks are counted and not the time between them: while the process, or the
 * machine, stood still, the turn did not run either.
 *
 * Of one task only its own turn counts: if somebody else holds the loop, it
 * is late, and that one is the stall watch's business. Of the process, the
 * turn that holds loop 0, whose main ends it; whoever holds another loop is
 * found by main, when the time is over. Works without the stall watch.
 *
 * Always: a stop without a deadline costs nothing. In simulation there is no
 * watchdog: there no turn takes time.
 */
#ifndef GV_WATCHDOG_H
#define GV_WATCHDOG_H

#include <stdint.h>

#include "runtime/loop.h"

#define GV_WATCHDOG_LATE_MS 1000u /* behind the deadline: a turn that ends by then is no harm */
#define GV_WATCHDOG_STATUS  70    /* EX_SOFTWARE, also what supervisors escalate to */
#define GV_WATCHDOG_MAX \
    65536u /* deadlines that may be pending; beyond, one is not watched, and the log says so */

/* Begins; and ends, with the loops' threads, before their memory goes. */
void gv_watchdog_open(void);
void gv_watchdog_close(void);

/* From now on loops are freed, and not looked at: only the time of the process counts. */
void gv_watchdog_closing(void);

/* The task is to be gone by then, or the turn that runs to have ended. From any loop. */
void gv_watchdog_expect(struct gv_loop *loop, uint64_t task, uint32_t deadline_ms);

/* The process is to be gone by then, unless that was said before of an earlier moment. */
void gv_watchdog_end_by(uint32_t deadline_ms);

/* From now on each of these signals asks for the end of the process, within so many ms. */
void gv_watchdog_end_on(uint64_t signals, uint32_t within_ms);

/* When the first of them came, in ms of the epoch; 0: none has. Any thread. */
uint32_t gv_watchdog_asked_ms(void);

/* Names whoever has held a loop for a second without a pause, but for the calling thread's own. Returns how many. */
unsigned gv_watchdog_name_stuck(void);

#endif
