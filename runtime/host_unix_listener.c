/*
 * Listeners: names in the file system that peers dial, on unix sockets.
 *
 * Peers that hang up at once, and times without descriptors (then after a
 * pause), must not make us deaf. Peers that say nothing or nonsense are
 * streams like others, and the business of whoever adopts them.
 *
 * The owner's handle is gone when close returns. The memory goes when libuv
 * has let go of both handles.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum {
    ACCEPTS_MAX = 64, /* in one poll */
    RETRY_MS = 10     /* after an accept failed for want of descriptors or memory */
};

struct door {
    struct gv_listener base;
    struct gv_poller *poller;
    const struct gv_listen_events *events;
    void *owner;
    int fd;
    struct sockaddr_un address;
    uv_poll_t poll;
    uv_timer_t timer; /* of a pause */
    bool failing;     /* the last accept failed, and the log knows */
    bool closed;
    unsigned n_handles; /* that libuv still has */
};

/* --- accepting ------------------------------------------------------------------------------ */

static void listen_on(struct door *door);

static void on_pause_over(uv_timer_t *timer)
{
    listen_on(timer->data);
}

/* Tells the log of the first of several failures in a row, and rests. */
static void rest(struct door *door, int error)
{
    char line[128];
    int n;

    gv_assert(uv_poll_stop(&door->poll) == 0);
    gv_assert(uv_timer_start(&door->timer, on_pause_over, RETRY_MS, 0) == 0);
    if (door->failing)
        return;
    door->failing = true;
    n = snprintf(line, sizeof(line), "a listener cannot accept: %s; it tries on", strerror(error));
    gv_assert(n > 0 && (size_t)n < sizeof(line));
    gv_host_log_write(NULL, line, (size_t)n);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct door *door = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_MAX && !door->closed; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            door->failing = false;
            gv_host_unix_accepted(door->poller, fd, door->events, door->owner);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            rest(door, errno);
            return;
        }
    }
}

static void listen_on(struct door *door)
{
    gv_assert(uv_poll_start(&door->poll, UV_READABLE, on_ready) == 0);
}

/* --- life ----------------------------------------------------------------------------------- */

/* A name that nobody listens on is left over from a process that died. */
static bool is_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0
                 && errno == ECONNREFUSED;

    if (fd >= 0)
        (void)close(fd);
    return stale;
}

/* A socket that listens, which nobody but us may reach. Returns it, or -errno. */
static int open_socket(const struct sockaddr_un *address)
{
    const struct sockaddr *name = (const struct sockaddr *)address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc, error;

    if (fd < 0)
        return -errno;
    rc = bind(fd, name, sizeof(*address));
    if (rc != 0 && errno == EADDRINUSE) {
        if (is_stale(address))
            (void)unlink(address->sun_path); /* If it cannot be, bind says so. */
        rc = bind(fd, name, sizeof(*address));
    }
    /* Nobody gets in between bind and listen, whatever the name's mode is then. */
    if (rc == 0)
        rc = chmod(address->sun_path, 0600);
    if (rc == 0)
        rc = listen(fd, SOMAXCONN);
    if (rc == 0)
        return fd;
    error = errno;
    (void)close(fd);
    return -error;
}

static void on_let_go(uv_handle_t *handle)
{
    struct door *door = handle->data;

    if (--door->n_handles > 0)
        return;
    gv_host_release(door->poller);
    free(door);
}

static void close_door(struct gv_listener *listener)
{
    struct door *door = (struct door *)listener;

    gv_assert(!door->closed);
    door->closed = true;
    uv_close((uv_handle_t *)&door->poll, on_let_go);
    uv_close((uv_handle_t *)&door->timer, on_let_go);
    (void)unlink(door->address.sun_path); /* Somebody may have been faster. */
    (void)close(door->fd);                /* after uv_close has taken it out of the set */
}

int gv_host_unix_listen(struct gv_poller *poller, const char *url,
                        const struct gv_listen_events *events, void *owner,
                        struct gv_listener **listener)
{
    struct door *door = calloc(1, sizeof(*door));
    int rc;

    if (door == NULL)
        return -ENOMEM;
    gv_host_unix_address(url, &door->address);
    door->fd = open_socket(&door->address);
    rc = door->fd < 0 ? door->fd : uv_poll_init(&poller->loop, &door->poll, door->fd);
    if (rc != 0)
        goto free_door;

    rc = uv_timer_init(&poller->loop, &door->timer);
    gv_assert(rc == 0);
    door->poll.data = door->timer.data = door;
    door->n_handles = 2;
    door->base.close = close_door;
    door->poller = poller;
    door->events = events;
    door->owner = owner;
    gv_host_hold(poller);
    listen_on(door);
    *listener = &door->base;
    return 0;

free_door:
    if (door->fd >= 0) {
        (void)unlink(door->address.sun_path); /* It was ours. */
        (void)close(door->fd);
    }
    free(door);
    return rc;
}
