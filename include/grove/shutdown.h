/*
 * Shutdown: how a process that was asked to stop does so.
 *
 *     int main(int argc, char **argv)
 *     {
 *         grove_init(&argc, &argv);
 *         ...spawn, open pools, listen...
 *         grove_run_await();
 *         return grove_deinit();
 *     }
 *
 * SIGTERM, SIGINT (Ctrl-C) or grove_terminate asks; a second one hurries.
 * Then, in this order:
 *
 *     1 asked     grove_terminating() is true; grove_terminated_await returns
 *     2 ingress   listeners are closed: no new peers come                     ┐ grove_run_await,
 *     3 drain     until no request is under way, at most half of stop_ms      ┘ grove_drain_await
 *     4 stop      nothing more is spawned. Greenlets are told to stop, then   ┐
 *                 actors: the newest of main's first, the next one when it    │
 *                 has ended. Running handlers end, what is queued fails       │
 *     5 kill      after an eighth of the rest: awaits fail (GROVE_ECANCELED)  │ grove_deinit
 *     6 abandon   after five eighths: handlers that still wait are abandoned  │
 *     7 pools     when the actors are gone: workers end, sockets are removed  │
 *     8 loops     end, memory returns; grove_deinit returns 0                 ┘
 *
 * All of it takes at most stop_ms (GROVE_STOP_MS, 8000). Who holds out until
 * then, on the CPU or in a call that blocks, is named in the log, and the
 * process ends with status 70; also if it is loop 0 that is held up, or main
 * itself, a second and a half later. Hurrying ends the drain at once, kills,
 * and leaves a second to the rest. A second signal within 200 ms is the first
 * one: who signals a group reaches a program twice.
 *
 * Until main waits here, the two signals end the process like any other; so
 * a program that never does behaves as programs do. One whose start takes
 * long, and who must not be torn out of it, says so at its begin:
 *
 *     grove_init(&argc, &argv);
 *     grove_terminate_on_signals();
 *     ...replay, connect, spawn...          signals are kept
 *     grove_run_await();                    returns at once if one came
 *
 * Sockets that a killed process has left are removed by the next pool that
 * opens.
 */
#ifndef GROVE_SHUTDOWN_H
#define GROVE_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/export.h>

/*
 * Suspends main until the process shall stop, closes the listeners, and lets
 * what is under way end: grove_terminated_await, then grove_drain_await.
 * Call grove_deinit next. Returns 0 when all was quiet in time; also
 * GROVE_ETIMEDOUT is no reason not to call grove_deinit. GROVE_EUSAGE if it
 * is not main that calls.
 */
GROVE_API int grove_run_await(void);

/*
 * From now on SIGTERM and SIGINT ask the process to stop, whether main waits
 * yet or not. One that comes is kept, and stop_ms counts from it: what starts
 * may look at grove_terminating() and leave early; grove_run_await and
 * grove_terminated_await, which call this themselves, then return at once. It
 * starts the loops: set options before. Main alone, GROVE_EUSAGE elsewhere;
 * or -errno. Never suspends.
 */
GROVE_API int grove_terminate_on_signals(void);

/*
 * Suspends main until the process shall stop, and does nothing about it yet.
 * Returns the number of the signal, 0 for grove_terminate; or GROVE_EUSAGE,
 * -errno.
 */
GROVE_API int grove_terminated_await(void);

/*
 * Closes all listeners, and suspends main until no actor is handling or has
 * mail, and no greenlet waits for an answer; at most timeout_ms, and no
 * longer once somebody hurries. Returns 0, GROVE_ETIMEDOUT or GROVE_EUSAGE.
 */
GROVE_API int grove_drain_await(uint32_t timeout_ms);

/*
 * Asks the process to stop, as SIGTERM does; once more: to hurry. On
 * any of grove's threads. Never suspends.
 */
GROVE_API void grove_terminate(void);

/*
 * True once the process has been asked to stop: a handler may refuse
 * what takes long. Any thread. Never suspends.
 */
GROVE_API bool grove_terminating(void);

#endif
