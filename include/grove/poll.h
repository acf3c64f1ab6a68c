/*
 * Readiness of descriptors that belong to somebody else, such as a library
 * that has a socket and wants to be called when it is ready.
 */
#ifndef GROVE_POLL_H
#define GROVE_POLL_H

#include <grove/export.h>

enum grove_ready { GROVE_READABLE = 1, GROVE_WRITABLE = 2 };

/*
 * Suspends until fd is ready for one of `wanted` (GROVE_READABLE |
 * GROVE_WRITABLE) and writes to *ready for what; a descriptor in error, or
 * whose peer has gone, is ready for all that is wanted. ready may be NULL. The
 * descriptor must not be closed meanwhile, and one turn of a loop waits
 * for it at a time (GROVE_EUSAGE). No deadline of its own. Errors: -EBADF,
 * -EPERM (files are always ready), GROVE_ETIMEDOUT, GROVE_ECANCELED,
 * GROVE_EUSAGE, GROVE_ENOSIM.
 */
GROVE_API int grove_poll_await(int fd, unsigned wanted, unsigned *ready);

#endif
