/*
 * Code that blocks: a driver, a library that knows nothing of grove, a slow
 * system call. It runs on a thread of a pool kept for that, so that neither
 * the loop nor grove's own files and names wait for it.
 *
 * On such a thread no function of grove may be called but grove_now_ns and
 * grove_log: what needs an await is done before or after. Several run at
 * once: what they share they must lock.
 *
 * The options blocking_threads (16) and blocking_queue (1024) bound the pool.
 * An rpc that is nothing but such code can be marked `isolation = THREAD` in
 * its .proto instead.
 */
#ifndef GROVE_BLOCKING_H
#define GROVE_BLOCKING_H

#include <stddef.h>

#include <grove/export.h>

/* The most that is copied for a function. */
#define GROVE_BLOCKING_BYTES_MAX (1u << 20)

typedef int (*grove_blocking_fn)(void *argument);

/*
 * Runs function(argument) on such a thread; suspends until it has returned,
 * and returns what it did.
 *
 * With argument_bytes > 0 the function works on a copy of the argument, which
 * is copied back when it has returned. A caller whose deadline comes before,
 * or who is stopped, leaves at once (GROVE_ETIMEDOUT, GROVE_ECANCELED): the
 * function cannot be ended, goes on with its copy, and what it finds is dropped.
 *
 * With argument_bytes 0 the pointer is passed on, and the caller stays
 * until the function has returned, whatever happens: what it points to
 * is safe, and no deadline holds.
 *
 * Errors: GROVE_EFULL when the pool's queue is full, GROVE_ENOMEM,
 * GROVE_ENOSTACK, GROVE_EUSAGE. In simulation the function runs on the one
 * thread there is, at a moment that the seed says.
 */
GROVE_API int grove_blocking_await(grove_blocking_fn function, void *argument,
                                   size_t argument_bytes);

#endif
