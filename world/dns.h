/*
 * Dns: names looked up on a thread, for others of this folder.
 */
#ifndef GV_WORLD_DNS_H
#define GV_WORLD_DNS_H

#include <grove/dns.h>

#include "runtime/loop.h"

/* grove_lookup_await with a deadline that was made before. */
int gv_world_lookup(struct gv_loop *loop, const char *host, uint32_t deadline_ms,
                    struct grove_addresses *addresses);

#endif
