/*
 * No-yield regions: between begin and end nobody else runs on this loop, and
 * the code says so.
 *
 *     grove_noyield_begin();
 *     if (me->balance >= request->cents)      what is checked here …
 *         me->balance -= request->cents;      … is still true here, whoever changes this code
 *     grove_noyield_end();
 *
 * State of an actor needs none: one message at a time is handled, also across
 * awaits. It is for what several greenlets or actors of one loop share, and
 * for code that must not be taught to wait by accident.
 *
 * Every function of grove that ends in _await is forbidden inside. Those of
 * calls, sends, futures, letters and time are noticed whether they would have
 * had to suspend this time or not; those of streams, files and the like when
 * they do. What happens then, the option `noyield` says:
 *
 *     1   the process aborts with a report that names actor, method and await
 *     0   the await fails with GROVE_EYIELD, and a log line says the same
 *
 * 1 is the default of a library that was built with meson's buildtype debug
 * or debugoptimized, 0 of all others; -Dnoyield=abort or fail sets it, and
 * GROVE_NOYIELD at run time. Regions may be nested. One that is still open
 * when its turn ends is closed and reported in the same way.
 */
#ifndef GROVE_NOYIELD_H
#define GROVE_NOYIELD_H

#include <grove/export.h>

/*
 * Opens a region in the running turn: a handler, a greenlet, or main. Returns
 * 0, or GROVE_EUSAGE where nothing could wait anyway. Never suspends.
 */
GROVE_API int grove_noyield_begin(void);

/* Closes the innermost region. Returns 0, or GROVE_EUSAGE if none is open. Never suspends. */
GROVE_API int grove_noyield_end(void);

#endif
