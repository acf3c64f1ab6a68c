/*
 * Names of machines. What the C library's resolver does is done on threads
 * for that alone, so a name server that is down holds up nothing else.
 */
#ifndef GROVE_DNS_H
#define GROVE_DNS_H

#include <grove/export.h>

#define GROVE_ADDRESSES_MAX 16
#define GROVE_ADDRESS_BYTES 64
#define GROVE_HOST_BYTES    256 /* a name with its NUL */

struct grove_addresses {
    unsigned n;
    char text[GROVE_ADDRESSES_MAX][GROVE_ADDRESS_BYTES]; /* "192.0.2.1", "2001:db8::1" */
};

/*
 * Looks up a name; suspends. On 0 *addresses has at least one, the best
 * first; a number is its own address. Without a deadline of the caller's it
 * takes at most 5 s. Errors: -ENOENT (there is no such name), -EAGAIN (no name
 * server has answered), GROVE_ETIMEDOUT, GROVE_ECANCELED, GROVE_EUSAGE,
 * GROVE_EFULL, GROVE_ENOSIM.
 */
GROVE_API int grove_lookup_await(const char *host, struct grove_addresses *addresses);

/* The name of an address, as text; suspends. Errors as above. */
GROVE_API int grove_lookup_name_await(const char *address, char host[GROVE_HOST_BYTES]);

#endif
