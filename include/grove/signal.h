/*
 * Signals as something to wait for. They are caught on a thread that does
 * nothing else, so no handler ever interrupts a loop.
 *
 *     grove_signals_open((const int[]){SIGHUP, SIGUSR1}, 2, &signals);
 *     while (grove_signal_await(signals, &signal) == 0)
 *         ...
 *
 * While a signal is open somewhere it has no other effect; all who have it
 * open hear it, grove itself too: SIGTERM and SIGINT still drain if grove does
 * that. Like a stream, what is open belongs to a loop and to an owner, and is
 * closed with that (stream.h).
 *
 * A signal must be sent to the process (kill, or another process): one that is
 * sent to a single thread of grove's, as by raise(), waits there for ever,
 * since all of them have it blocked (init.h).
 */
#ifndef GROVE_SIGNAL_H
#define GROVE_SIGNAL_H

#include <grove/export.h>

struct grove_signals;

/*
 * From now on these signals are heard here. Errors: GROVE_EUSAGE (one that
 * cannot be caught, such as SIGKILL or SIGSEGV; or who calls), GROVE_ENOMEM,
 * -EAGAIN. Never suspends.
 */
GROVE_API int grove_signals_open(const int *numbers, unsigned n, struct grove_signals **signals);

/*
 * Suspends until one of them has come, also before the call; the lowest first. Two of
 * a kind that came before anybody looked are one. One turn at a time. No
 * deadline of its own. GROVE_ETIMEDOUT, GROVE_ECANCELED, GROVE_EUSAGE.
 */
GROVE_API int grove_signal_await(struct grove_signals *signals, int *number);

/* They have the effect that they had before. NULL is ignored. Never suspends. */
GROVE_API void grove_signals_close(struct grove_signals *signals);

#endif
