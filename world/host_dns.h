/*
 * What asks the C library's resolver. These block: they run on a thread of
 * their own (dns.c).
 */
#ifndef GV_WORLD_HOST_DNS_H
#define GV_WORLD_HOST_DNS_H

#include <stdbool.h>

#include <grove/dns.h>

/* The addresses of a name. Returns 0, -ENOENT, -EAGAIN or another -errno. */
int gv_host_lookup(const char *host, struct grove_addresses *addresses);

/* The name of an address. */
int gv_host_lookup_name(const char *address, char host[GROVE_HOST_BYTES]);

#endif
