#include "world/host_dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The resolver's number for an error as -errno; 0 stays 0. */
static int error_of(int rv)
{
    switch (rv) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_AGAIN:
    case EAI_FAIL:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno != 0 ? -errno : -EIO;
    default:
        return -EINVAL;
    }
}

/* What every machine is to itself, also one without /etc/hosts (RFC 6761, 6.3). */
static int lookup_ourselves(const char *host, struct grove_addresses *addresses)
{
    if (strcasecmp(host, "localhost") != 0)
        return -ENOENT;
    addresses->n = 1;
    (void)strcpy(addresses->text[0], "127.0.0.1"); /* It fits. */
    return 0;
}

int gv_host_lookup(const char *host, struct grove_addresses *addresses)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int rc = error_of(getaddrinfo(host, NULL, &hints, &found));

    if (rc == -ENOENT)
        return lookup_ourselves(host, addresses);
    if (rc != 0)
        return rc;
    addresses->n = 0;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        if (addresses->n >= GROVE_ADDRESSES_MAX)
            break;
        if (getnameinfo(each->ai_addr, each->ai_addrlen, addresses->text[addresses->n],
                        GROVE_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST)
            == 0)
            addresses->n++;
    }
    freeaddrinfo(found);
    return addresses->n > 0 ? 0 : -ENOENT;
}

int gv_host_lookup_name(const char *address, char host[GROVE_HOST_BYTES])
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    int rc = error_of(getaddrinfo(address, NULL, &hints, &found));

    if (rc != 0)
        return rc == -ENOENT ? -EINVAL : rc; /* it is no address */
    rc = error_of(getnameinfo(found->ai_addr, found->ai_addrlen, host, GROVE_HOST_BYTES, NULL, 0,
                              NI_NAMEREQD));
    freeaddrinfo(found);
    if (rc == -ENOENT && (strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0)) {
        (void)strcpy(host, "localhost"); /* It fits. */
        rc = 0;
    }
    return rc;
}
