/*
 * Addresses of sockets: between the URLs that the env speaks and what the
 * kernel wants.
 *
 *     unix:///path                       a name in the file system
 *     tcp://192.0.2.1:80  tcp://[::1]:80 a number and a port; names are looked up above
 *     tcp://%any:80                      every address of this machine, old and new kind
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum { PORT_MAX = 65535, HOST_BYTES = INET6_ADDRSTRLEN + IF_NAMESIZE + 1 };

/* Splits HOST:PORT or [HOST]:PORT. Returns the port, or -1. */
static long split(const char *text, char host[HOST_BYTES])
{
    const char *colon = strrchr(text, ':');
    size_t n_bytes;
    char *end;
    long port;

    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return -1;
    port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port > PORT_MAX)
        return -1;
    n_bytes = (size_t)(colon - text);
    if (n_bytes >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        n_bytes -= 2;
    }
    if (n_bytes == 0 || n_bytes >= HOST_BYTES)
        return -1;
    memcpy(host, text, n_bytes);
    host[n_bytes] = '\0';
    return port;
}

static int read_tcp(const char *text, struct gv_host_address *address)
{
    struct sockaddr_in *old = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *new = (struct sockaddr_in6 *)&address->storage;
    char host[HOST_BYTES], *scope;
    long port = split(text, host);

    if (port < 0)
        return -EINVAL;
    if (inet_pton(AF_INET, host, &old->sin_addr) == 1) {
        old->sin_family = AF_INET;
        old->sin_port = htons((uint16_t)port);
        address->n_bytes = sizeof(*old);
        return 0;
    }
    address->any = strcmp(host, "%any") == 0;
    scope = strchr(host, '%');
    if (scope != NULL)
        *scope = '\0';
    if (inet_pton(AF_INET6, address->any ? "::" : host, &new->sin6_addr) != 1)
        return -EINVAL;
    if (scope != NULL && !address->any)
        new->sin6_scope_id = if_nametoindex(scope + 1);
    new->sin6_family = AF_INET6;
    new->sin6_port = htons((uint16_t)port);
    address->n_bytes = sizeof(*new);
    return 0;
}

int gv_host_address_read(const char *url, struct gv_host_address *address)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&address->storage;
    const char *rest = strstr(url, "//") + 2;

    memset(address, 0, sizeof(*address));
    if (strncmp(url, "tcp:", 4) == 0)
        return read_tcp(rest, address);
    gv_assert(strlen(rest) < sizeof(name->sun_path)); /* the URL was checked */
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, rest, strlen(rest));
    address->n_bytes = sizeof(*name);
    return 0;
}

void gv_host_address_any(struct gv_host_address *address)
{
    struct sockaddr_in6 new = *(struct sockaddr_in6 *)&address->storage;
    struct sockaddr_in *old = (struct sockaddr_in *)&address->storage;

    memset(address, 0, sizeof(*address));
    old->sin_family = AF_INET;
    old->sin_port = new.sin6_port;
    address->n_bytes = sizeof(*old);
}

void gv_host_address_write(const struct gv_host_address *address, char *url, size_t room)
{
    const struct sockaddr_in *old = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *new = (const struct sockaddr_in6 *)&address->storage;
    char host[INET6_ADDRSTRLEN] = "?";

    /* A cut text is still a text; and the room of a number is enough. */
    if (address->storage.ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &old->sin_addr, host, sizeof(host));
        (void)snprintf(url, room, "tcp://%s:%u", host, ntohs(old->sin_port));
    } else if (address->storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&new->sin6_addr)) {
        (void)inet_ntop(AF_INET, &new->sin6_addr.s6_addr[12], host, sizeof(host));
        (void)snprintf(url, room, "tcp://%s:%u", host, ntohs(new->sin6_port));
    } else if (address->storage.ss_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &new->sin6_addr, host, sizeof(host));
        (void)snprintf(url, room, "tcp://[%s]:%u", host, ntohs(new->sin6_port));
    } else if (address->storage.ss_family == AF_UNIX) {
        (void)snprintf(url, room, "unix://%s",
                       ((const struct sockaddr_un *)&address->storage)->sun_path);
    } else {
        (void)snprintf(url, room, "%s", "");
    }
}
