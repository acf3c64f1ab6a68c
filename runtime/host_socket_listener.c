/*
 * Listeners: names in the file system and TCP ports that peers dial.
 *
 * Peers that hang up at once, and times without descriptors (then after a
 * pause), must not make us deaf. Peers that say nothing or nonsense are
 * streams like others, and the business of whoever adopts them.
 *
 * The owner's handle is gone when close returns. The memory goes when libuv
 * has let go of both handles.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/log.h"

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
    struct gv_host_address address;
    uv_poll_t poll;
    uv_timer_t timer; /* of a pause */
    bool failing;     /* the last accept failed, and the log knows */
    bool paused;      /* by its owner */
    bool resting;     /* after a failure */
    bool closed;
    unsigned n_handles; /* that libuv still has */
};

/* --- accepting ------------------------------------------------------------------------------ */

static void listen_on(struct door *door);

static void on_rest_over(uv_timer_t *timer)
{
    struct door *door = timer->data;

    door->resting = false;
    listen_on(door);
}

/* Tells the log of the first of several failures in a row, and rests. */
static void rest(struct door *door, int error)
{
    door->resting = true;
    gv_assert(uv_poll_stop(&door->poll) == 0);
    gv_assert(uv_timer_start(&door->timer, on_rest_over, RETRY_MS, 0) == 0);
    if (door->failing)
        return;
    door->failing = true;
    gv_log(GV_LOG_ERROR, "listener.failing",
           "why=\"%s\" advice=\"it tries on; raise ulimit -n, or close some\"", strerror(error));
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct door *door = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_MAX && !door->closed && !door->paused; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            door->failing = false;
            gv_host_socket_accepted(door->poller, fd, door->events, door->owner);
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
    if (door->paused || door->resting || door->closed)
        return;
    gv_assert(uv_poll_start(&door->poll, UV_READABLE, on_ready) == 0);
}

/* --- life ----------------------------------------------------------------------------------- */

/* A file or a folder: somebody's, and never ours to remove. */
static bool is_other(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

/* A socket that nobody listens on is left over from a process that died. */
static bool is_stale(const struct gv_host_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = fd >= 0
                 && connect(fd, (const struct sockaddr *)&address->storage, address->n_bytes) != 0
                 && errno == ECONNREFUSED;

    if (fd >= 0)
        (void)close(fd);
    return stale;
}

static int bind_to(int fd, const struct gv_host_address *address)
{
    return bind(fd, (const struct sockaddr *)&address->storage, address->n_bytes);
}

/* Binds to a name, which nobody but its owner may reach, unless the listener says otherwise. */
static int bind_name(int fd, const struct gv_host_address *address,
                     const struct gv_listen_events *events)
{
    const char *path = ((const struct sockaddr_un *)&address->storage)->sun_path;
    int rc = bind_to(fd, address);

    if (rc != 0 && errno == EADDRINUSE) {
        if (is_other(path)) {
            errno = EEXIST;
            return rc;
        }
        if (is_stale(address))
            (void)unlink(path); /* If it cannot be, bind says so. */
        rc = bind_to(fd, address);
    }
    /* Nobody gets in between bind and listen, whatever the name's mode is then. */
    return rc != 0 ? rc : chmod(path, events->mode != 0 ? events->mode : 0600);
}

static int bind_port(int fd, const struct gv_host_address *address,
                     const struct gv_listen_events *events)
{
    const int yes = 1, only_new = !address->any;

    /* Connections of an earlier run that linger must not keep us out. It cannot fail. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (events->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0)
        return -1;
    if (address->storage.ss_family == AF_INET6
        && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_new, sizeof(only_new)) != 0)
        return -1;
    return bind_to(fd, address);
}

/* A socket that listens, or -errno. */
static int open_socket(const struct gv_host_address *address, const struct gv_listen_events *events)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc, error;

    if (fd < 0)
        return -errno;
    rc = address->storage.ss_family == AF_UNIX ? bind_name(fd, address, events)
                                               : bind_port(fd, address, events);
    if (rc == 0)
        rc = listen(fd, events->backlog != 0 ? events->backlog : SOMAXCONN);
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

/* Takes the name out of the file system, if it has one. */
static void forget_name(const struct door *door)
{
    if (door->address.storage.ss_family == AF_UNIX)
        (void)unlink(((const struct sockaddr_un *)&door->address.storage)
                         ->sun_path); /* Somebody may have been faster. */
}

static void close_door(struct gv_listener *listener)
{
    struct door *door = (struct door *)listener;

    gv_assert(!door->closed);
    door->closed = true;
    uv_close((uv_handle_t *)&door->poll, on_let_go);
    uv_close((uv_handle_t *)&door->timer, on_let_go);
    forget_name(door);
    (void)close(door->fd); /* after uv_close has taken it out of the set */
}

static void pause_door(struct gv_listener *listener, bool pause)
{
    struct door *door = (struct door *)listener;

    if (door->paused == pause)
        return;
    door->paused = pause;
    if (pause && !door->resting)
        gv_assert(uv_poll_stop(&door->poll) == 0);
    else
        listen_on(door);
}

static void write_url(const struct gv_listener *listener, char *url, size_t room)
{
    struct gv_host_address address = ((const struct door *)listener)->address;

    /* The port may have been chosen for us. */
    if (address.storage.ss_family != AF_UNIX) {
        address.n_bytes = sizeof(address.storage);
        (void)getsockname(((const struct door *)listener)->fd, (struct sockaddr *)&address.storage,
                          &address.n_bytes); /* It cannot fail. */
    }
    gv_host_address_write(&address, url, room);
}

int gv_host_socket_listen(struct gv_poller *poller, const char *url,
                          const struct gv_listen_events *events, void *owner,
                          struct gv_listener **listener)
{
    struct door *door = calloc(1, sizeof(*door));
    int rc;

    if (door == NULL)
        return -ENOMEM;
    rc = gv_host_address_read(url, &door->address);
    gv_assert(rc == 0); /* it was checked */
    door->fd = open_socket(&door->address, events);
    if (door->fd == -EAFNOSUPPORT && door->address.any) {
        gv_host_address_any(&door->address);
        door->fd = open_socket(&door->address, events);
    }
    rc = door->fd < 0 ? door->fd : uv_poll_init(&poller->loop, &door->poll, door->fd);
    if (rc != 0)
        goto free_door;

    rc = uv_timer_init(&poller->loop, &door->timer);
    gv_assert(rc == 0);
    door->poll.data = door->timer.data = door;
    door->n_handles = 2;
    door->base = (struct gv_listener){pause_door, write_url, close_door};
    door->poller = poller;
    door->events = events;
    door->owner = owner;
    gv_host_hold(poller);
    listen_on(door);
    *listener = &door->base;
    return 0;

free_door:
    if (door->fd >= 0) {
        forget_name(door);
        (void)close(door->fd);
    }
    free(door);
    return rc;
}
