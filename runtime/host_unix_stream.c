/*
 * Streams over unix sockets: how processes of one machine speak.
 *
 * All of it happens on the poller's thread: libuv says when a socket is
 * readable, and one recv and one upcall follow; a write is tried at once, and
 * only what the socket does not take waits until it is writable. So a round
 * trip wakes two threads, where nng's own threads, which hand everything on,
 * make it eleven.
 *
 *   dialled ──► up ──────────► closing ──► closed upcall, memory freed
 *       └────────────────────────►
 *
 * Nothing that has arrived is lost to the peer's death: the kernel tells of
 * the end when what was sent before has been read, and after a write that
 * failed we read on ourselves until the socket is dry.
 *
 * Always: the memory is freed when libuv has let go of the handle and no
 * post is on its way. A paused stream is not in the kernel's set of sockets
 * to look at, since that would tell of a peer's end again and again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum {
    ROOM_BYTES = 64 * 1024, /* of one receive */
    /* Receives after a failed write: together more than a socket holds that nobody fills any more. */
    LAST_RECEIVES_MAX = 64
};

struct connection {
    struct gv_stream base;
    struct gv_poller *poller;
    const struct gv_stream_events *events; /* NULL before it is adopted */
    void *owner;
    struct gv_identity identity;
    int fd;
    uv_poll_t poll;
    int polled; /* what poll waits for */
    bool up;
    bool paused;

    struct gv_post up_post; /* of a dial that has been answered */
    bool up_posted;

    struct gv_post out_post; /* of a write that did not have to wait */
    const uint8_t *bytes;    /* what is left to write */
    size_t n_bytes;
    int out_error;
    bool out_busy;
    bool out_posted;

    bool closing;
    bool let_go; /* by libuv */
    int error;   /* for the closed upcall */
};

/* --- the end -------------------------------------------------------------------------------- */

/* Tells the owner of the end if nothing is under way any more. Frees the stream then. */
static void settle(struct connection *stream)
{
    if (!stream->let_go || stream->up_posted || stream->out_posted)
        return;
    if (stream->events != NULL)
        stream->events->closed(stream->owner, stream->error);
    gv_host_release(stream->poller);
    free(stream);
}

static void on_let_go(uv_handle_t *handle)
{
    struct connection *stream = handle->data;

    stream->let_go = true;
    settle(stream);
}

static void begin_close(struct connection *stream, int error)
{
    if (stream->closing)
        return;
    stream->closing = true;
    stream->error = error;
    uv_close((uv_handle_t *)&stream->poll, on_let_go);
    (void)close(stream->fd); /* after uv_close has taken it out of the set */
}

/* --- receiving ------------------------------------------------------------------------------ */

/* Hands on what one receive brings. True if there may be more. */
static bool receive(struct connection *stream)
{
    uint8_t *room = stream->poller->room;
    ssize_t n_bytes = recv(stream->fd, room, ROOM_BYTES, 0);

    if (n_bytes > 0)
        stream->events->received(stream->owner, room, (size_t)n_bytes);
    else if (n_bytes == 0)
        begin_close(stream, stream->out_error);
    else if (errno != EAGAIN && errno != EINTR)
        begin_close(stream, stream->out_error != 0 ? stream->out_error : -errno);
    return n_bytes > 0 && !stream->closing && !stream->paused;
}

/* --- writing -------------------------------------------------------------------------------- */

/* Sends what the socket takes now. */
static void send_some(struct connection *stream)
{
    ssize_t n_bytes = send(stream->fd, stream->bytes, stream->n_bytes, MSG_NOSIGNAL);

    if (n_bytes >= 0) {
        stream->bytes += n_bytes;
        stream->n_bytes -= (size_t)n_bytes;
    } else if (errno != EAGAIN && errno != EINTR) {
        stream->out_error = -errno;
        stream->n_bytes = 0;
    }
}

/* All has left, or nothing more ever will. */
static void end_write(struct connection *stream)
{
    stream->out_busy = false;
    if (stream->out_error == 0) {
        stream->events->written(stream->owner);
        return;
    }
    /* A paused owner wants no more bytes. */
    for (unsigned i = 0; i < LAST_RECEIVES_MAX && !stream->paused && receive(stream); i++)
        continue;
    begin_close(stream, stream->out_error);
}

/* --- what libuv and the poller tell ----------------------------------------------------------- */

static void watch(struct connection *stream);

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct connection *stream = poll->data;

    /* A socket in error is no longer polled; it is ready for what was asked, and says why. */
    if (status < 0) {
        events = stream->polled;
        stream->polled = 0;
    }
    if ((events & UV_READABLE) != 0)
        (void)receive(stream); /* The rest, if there is one, makes it ready again. */
    if ((events & UV_WRITABLE) != 0 && !stream->closing && stream->n_bytes > 0) {
        send_some(stream);
        if (stream->n_bytes == 0)
            end_write(stream);
    }
    watch(stream);
}

/* Has libuv look for what is of interest now. */
static void watch(struct connection *stream)
{
    int events =
        (stream->up && !stream->paused ? UV_READABLE : 0) | (stream->n_bytes > 0 ? UV_WRITABLE : 0);

    if (stream->closing || events == stream->polled)
        return;
    stream->polled = events;
    /* They fail for closing handles only. */
    if (events != 0)
        gv_assert(uv_poll_start(&stream->poll, events, on_ready) == 0);
    else
        gv_assert(uv_poll_stop(&stream->poll) == 0);
}

static void on_written(void *owner)
{
    struct connection *stream = owner;

    stream->out_posted = false;
    if (!stream->closing)
        end_write(stream);
    settle(stream);
}

static void on_up(void *owner)
{
    struct connection *stream = owner;

    stream->up_posted = false;
    if (!stream->closing) {
        stream->up = true;
        watch(stream);
        stream->events->connected(stream->owner);
    }
    settle(stream);
}

/* --- what the owner asks for ---------------------------------------------------------------- */

static void adopt(struct gv_stream *base, const struct gv_stream_events *events, void *owner)
{
    struct connection *stream = (struct connection *)base;

    gv_assert(stream->events == NULL && !stream->closing);
    stream->events = events;
    stream->owner = owner;
    stream->up = true;
    watch(stream);
}

static void identity(const struct gv_stream *base, struct gv_identity *identity)
{
    *identity = ((const struct connection *)base)->identity;
}

static void pause_stream(struct gv_stream *base)
{
    struct connection *stream = (struct connection *)base;

    stream->paused = true;
    watch(stream);
}

static void resume(struct gv_stream *base)
{
    struct connection *stream = (struct connection *)base;

    stream->paused = false;
    watch(stream);
}

static int write_stream(struct gv_stream *base, const void *bytes, size_t n_bytes)
{
    struct connection *stream = (struct connection *)base;

    gv_assert(n_bytes > 0);
    if (stream->closing || stream->out_error != 0)
        return -EPIPE;
    if (!stream->up)
        return -ENOTCONN;
    if (stream->out_busy)
        return -EBUSY;
    stream->bytes = bytes;
    stream->n_bytes = n_bytes;
    stream->out_busy = true;
    send_some(stream);
    if (stream->n_bytes > 0) {
        watch(stream);
    } else {
        stream->out_posted = true;
        gv_host_post_here(stream->poller, &stream->out_post);
    }
    return 0;
}

static void close_stream(struct gv_stream *base)
{
    begin_close((struct connection *)base, 0);
}

static const struct gv_stream_kind kind = {
    .adopt = adopt,
    .identity = identity,
    .pause = pause_stream,
    .resume = resume,
    .write = write_stream,
    .close = close_stream,
};

/* --- beginning ------------------------------------------------------------------------------ */

static void learn_identity(struct connection *stream)
{
    struct ucred peer;
    socklen_t n_bytes = sizeof(peer);

    stream->identity = (struct gv_identity){.pid = -1, .uid = -1};
    if (getsockopt(stream->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_bytes) != 0)
        return;
    stream->identity.pid = peer.pid;
    stream->identity.uid = peer.uid;
}

/* A stream on this socket, which it takes, or NULL: then the socket is closed. */
static struct connection *new_stream(struct gv_poller *poller, int fd)
{
    struct connection *stream = calloc(1, sizeof(*stream));

    if (poller->room == NULL)
        poller->room = malloc(ROOM_BYTES);
    if (stream == NULL || poller->room == NULL
        || uv_poll_init(&poller->loop, &stream->poll, fd) != 0) {
        free(stream);
        (void)close(fd);
        return NULL;
    }
    stream->base.kind = &kind;
    stream->poller = poller;
    stream->fd = fd;
    stream->poll.data = stream;
    stream->up_post = (struct gv_post){NULL, on_up, stream};
    stream->out_post = (struct gv_post){NULL, on_written, stream};
    gv_host_hold(poller);
    return stream;
}

void gv_host_unix_address(const char *url, struct sockaddr_un *address)
{
    const char *path = url + strlen("unix://");

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    gv_assert(strlen(path) < sizeof(address->sun_path));
    memcpy(address->sun_path, path, strlen(path));
}

int gv_host_unix_dial(struct gv_poller *poller, const char *url,
                      const struct gv_stream_events *events, void *owner, struct gv_stream **stream)
{
    struct connection *dialled;
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    dialled = new_stream(poller, fd);
    if (dialled == NULL)
        return -ENOMEM;
    dialled->events = events;
    dialled->owner = owner;
    *stream = &dialled->base;

    gv_host_unix_address(url, &address);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        learn_identity(dialled);
        dialled->up_posted = true;
        gv_host_post_here(poller, &dialled->up_post);
    } else {
        begin_close(dialled, errno == ENOENT ? -ECONNREFUSED : -errno);
    }
    return 0;
}

void gv_host_unix_accepted(struct gv_poller *poller, int fd, const struct gv_listen_events *events,
                           void *owner)
{
    struct connection *stream = new_stream(poller, fd);

    if (stream == NULL)
        return;
    learn_identity(stream);
    events->accepted(owner, &stream->base);
    gv_assert(stream->events != NULL || stream->closing);
}
