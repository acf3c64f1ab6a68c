/*
 * Url: host and port of "tcp://host:port".
 */
#ifndef GV_WORLD_URL_H
#define GV_WORLD_URL_H

#include <stdbool.h>

#include <grove/dns.h>
#include <grove/stream.h>

struct gv_url {
    bool is_tcp;                 /* else unix */
    bool is_number;              /* host is an address */
    char host[GROVE_HOST_BYTES]; /* without brackets; of unix the path */
    char port[8];
};

/* Reads a URL. Returns 0 or GROVE_EUSAGE, with function in the reason. */
int gv_url_read(const char *function, const char *text, struct gv_url *url);

/* "tcp://address:port", with brackets where they are needed. */
void gv_url_write(char text[GROVE_URL_BYTES], const char *address, const char *port);

#endif
