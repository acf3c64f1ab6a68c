/*
 * Clean-ups: what must be undone however a handler ends.
 *
 *     int fd = open(path, O_RDONLY);
 *
 *     if (fd < 0 || grove_defer(close_it, &fd) != 0)
 *         ...
 *     ...awaits; return from wherever it suits...
 *
 * They run in reverse order: when the handler has returned (0, a refusal or
 * a failure) and before its answer leaves; when the function of a greenlet,
 * an init or a deinit has returned; at the grove_scope_end of the scope in
 * which they were deferred; and when the handler is abandoned at its stop
 * deadline (grove_stop_within), whose own code never goes on. Then they are
 * the only ones who can undo what it had begun. Each runs exactly once.
 *
 * A clean-up finds what its argument points to as the handler left it, local
 * variables too. It may await like the handler; in one that was stopped by
 * KILL or abandoned every await fails at once with GROVE_ECANCELED. That of
 * an abandoned handler spawns no children (GROVE_ESTOPPING), only `detached`.
 */
#ifndef GROVE_DEFER_H
#define GROVE_DEFER_H

#include <grove/export.h>

typedef void (*grove_defer_fn)(void *argument);

/*
 * function(argument) runs when the running handler, greenlet or scope ends,
 * before what was deferred earlier. argument is lent until then. In main it
 * runs in grove_deinit, in a worker when the job ends. Returns 0 or
 * GROVE_ENOMEM: then nothing was noted, and the caller undoes what he did by
 * himself. Without a turn (a unit test that calls the handler as a function)
 * nothing is noted either, and it returns 0. Never suspends.
 */
GROVE_API int grove_defer(grove_defer_fn function, void *argument);

#endif
