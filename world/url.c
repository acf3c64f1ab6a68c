#include "world/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "runtime/usage.h"

enum { PATH_BYTES_MAX = 107, PORT_MAX = 65535 };

static int refuse(const char *function, const char *text, const char *why)
{
    return gv_usage("%s: \"%.100s\" %s", function, text, why);
}

static bool is_port(const char *text)
{
    unsigned long port = 0;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || c - text >= 5)
            return false;
        port = port * 10 + (unsigned long)(*c - '0');
    }
    return *text != '\0' && port <= PORT_MAX;
}

/* Digits and dots, or something with a colon: nothing else that can be dialled is an address. */
static bool is_number(const char *host)
{
    return strchr(host, ':') != NULL || host[strspn(host, "0123456789.")] == '\0';
}

/* A number that the kernel takes; behind a % stands an interface. */
static bool is_address(const char *host)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t n_bytes = strcspn(host, "%");

    if (n_bytes >= sizeof bare)
        return false;
    memcpy(bare, host, n_bytes);
    bare[n_bytes] = '\0';
    return inet_pton(strchr(bare, ':') != NULL ? AF_INET6 : AF_INET, bare, &address) == 1;
}

static int read_tcp(const char *function, const char *text, struct gv_url *url)
{
    const char *host = text + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    size_t n_bytes;

    if (colon == NULL || !is_port(colon + 1))
        return refuse(function, text, "has no port: write tcp://host:port, with 0 to 65535");
    n_bytes = (size_t)(colon - host);
    if (n_bytes > 2 && host[0] == '[' && colon[-1] == ']') {
        host++;
        n_bytes -= 2;
    } else if (memchr(host, ':', n_bytes) != NULL) {
        return refuse(function, text, "has more than one colon: write tcp://[address]:port");
    }
    if (n_bytes == 0 || n_bytes >= sizeof url->host)
        return refuse(function, text, "has no host, or too long a one: write tcp://host:port");
    memcpy(url->host, host, n_bytes);
    url->host[n_bytes] = '\0';
    memcpy(url->port, colon + 1, strlen(colon + 1) + 1);
    url->is_tcp = true;
    url->is_number = is_number(url->host);
    if (url->is_number && !is_address(url->host))
        return refuse(function, text, "has no address: write four numbers of 0 to 255, or a name");
    return 0;
}

int gv_url_read(const char *function, const char *text, struct gv_url *url)
{
    const char *path;

    memset(url, 0, sizeof *url);
    if (text == NULL)
        return gv_usage("%s: there is no URL: write tcp://host:port or unix:///path", function);
    path = text + strlen("unix://");
    if (strncmp(text, "tcp://", 6) == 0)
        return read_tcp(function, text, url);
    if (strncmp(text, "unix://", 7) != 0)
        return refuse(function, text, "is no URL: write tcp://host:port or unix:///path");
    if (path[0] != '/')
        return refuse(function, text, "has no whole path: write unix:///path");
    if (strlen(path) > PATH_BYTES_MAX)
        return refuse(function, text, "is too long: a socket's path has at most 107 bytes");
    memcpy(url->host, path, strlen(path) + 1);
    return 0;
}

void gv_url_write(char text[GROVE_URL_BYTES], const char *address, const char *port)
{
    bool is_new = strchr(address, ':') != NULL;

    (void)snprintf(text, GROVE_URL_BYTES, "tcp://%s%.*s%s:%s", is_new ? "[" : "",
                   GROVE_ADDRESS_BYTES, address, is_new ? "]" : "", port); /* It fits. */
}
