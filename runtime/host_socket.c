/*
 * Streams over sockets: unix ones, by which processes of one machine speak,
 * and TCP; and over pipes.
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
 * Who listens for `ended` may go on writing after the peer's last byte; for
 * the others that is the end of the stream.
 *
 * Always: the memory is freed when libuv has let go of the handle and no
 * post is on its way. A paused stream is not in the kernel's set of sockets
 * to look at, since that would tell of a peer's end again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    bool dialling; /* the kernel is still connecting */
    bool deaf;     /* there is nothing more to read, or never was */
    bool is_pipe;
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

/* The peer sends no more. */
static void end_receiving(struct connection *stream)
{
    if (stream->events->ended == NULL || stream->out_error != 0) {
        begin_close(stream, stream->out_error);
        return;
    }
    stream->deaf = true; /* else this would be told again and again */
    stream->events->ended(stream->owner);
}

/* Hands on what one receive brings. True if there may be more. */
static bool receive(struct connection *stream)
{
    uint8_t *room = stream->poller->room;
    ssize_t n_bytes = stream->is_pipe ? read(stream->fd, room, ROOM_BYTES)
                                      : recv(stream->fd, room, ROOM_BYTES, 0);

    if (n_bytes > 0)
        stream->events->received(stream->owner, room, (size_t)n_bytes);
    else if (n_bytes == 0)
        end_receiving(stream);
    else if (errno != EAGAIN && errno != EINTR)
        begin_close(stream, stream->out_error != 0 ? stream->out_error : -errno);
    return n_bytes > 0 && !stream->closing && !stream->paused;
}

/* --- writing -------------------------------------------------------------------------------- */

/* Hands over what the kernel takes now: how much, or -errno. */
static inline ssize_t put(struct connection *stream, const void *bytes, size_t n_bytes)
{
    /* A pipe has no way to spare us SIGPIPE, which the process ignores. */
    ssize_t n_put = stream->is_pipe ? write(stream->fd, bytes, n_bytes)
                                    : send(stream->fd, bytes, n_bytes, MSG_NOSIGNAL);

    if (n_put >= 0)
        return n_put;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Sends what the socket takes now. */
static void send_some(struct connection *stream)
{
    ssize_t n_put = put(stream, stream->bytes, stream->n_bytes);

    if (n_put < 0) {
        stream->out_error = (int)n_put;
        stream->n_bytes = 0;
        return;
    }
    stream->bytes += n_put;
    stream->n_bytes -= (size_t)n_put;
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
    for (unsigned i = 0;
         i < LAST_RECEIVES_MAX && !stream->paused && !stream->deaf && receive(stream); i++)
        continue;
    begin_close(stream, stream->out_error);
}

/* --- what libuv and the poller tell ----------------------------------------------------------- */

static void watch(struct connection *stream);

/* The kernel has connected, or failed to. True if the stream is up and asked for. */
static bool end_dialling(struct connection *stream)
{
    socklen_t n_bytes = sizeof(int);
    int error = 0;

    stream->dialling = false;
    gv_assert(getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &n_bytes) == 0);
    if (error != 0) {
        begin_close(stream, -error);
        return false;
    }
    stream->up = true;
    stream->events->connected(stream->owner);
    return !stream->closing;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct connection *stream = poll->data;

    /* A socket in error is no longer polled; it is ready for what was asked, and says why. */
    if (status < 0) {
        events = stream->polled;
        stream->polled = 0;
    }
    if (stream->dialling && !end_dialling(stream))
        return;
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
    int events = (stream->up && !stream->paused && !stream->deaf ? UV_READABLE : 0)
                 | (stream->n_bytes > 0 || stream->dialling ? UV_WRITABLE : 0);

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
    const struct connection *stream = (const struct connection *)base;
    struct gv_host_address peer = {.n_bytes = sizeof(peer.storage)};

    *identity = stream->identity;
    if (!stream->is_pipe && !stream->closing
        && getpeername(stream->fd, (struct sockaddr *)&peer.storage, &peer.n_bytes) == 0
        && peer.storage.ss_family != AF_UNIX)
        gv_host_address_write(&peer, identity->name, sizeof(identity->name));
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

static ssize_t try_write(struct gv_stream *base, const void *bytes, size_t n_bytes)
{
    struct connection *stream = (struct connection *)base;

    if (stream->closing || stream->out_error != 0)
        return -EPIPE;
    if (!stream->up)
        return -ENOTCONN;
    if (stream->out_busy)
        return -EBUSY;
    return put(stream, bytes, n_bytes);
}

static int shutdown_stream(struct gv_stream *base)
{
    struct connection *stream = (struct connection *)base;

    if (stream->closing || !stream->up)
        return -ENOTCONN;
    if (stream->out_busy)
        return -EBUSY;
    if (stream->is_pipe)
        return -EPROTONOSUPPORT;
    return shutdown(stream->fd, SHUT_WR) == 0 ? 0 : -errno;
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
    .try_write = try_write,
    .shutdown = shutdown_stream,
    .close = close_stream,
};

/* --- beginning ------------------------------------------------------------------------------ */

static void learn_identity(struct connection *stream)
{
    struct ucred peer;
    socklen_t n_bytes = sizeof(peer);

    if (getsockopt(stream->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_bytes) != 0)
        return;
    if (peer.pid > 0)
        stream->identity.pid = peer.pid;
    if (peer.uid != (uid_t)-1)
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
    stream->identity = (struct gv_identity){.pid = -1, .uid = -1};
    stream->poll.data = stream;
    stream->up_post = (struct gv_post){NULL, on_up, stream};
    stream->out_post = (struct gv_post){NULL, on_written, stream};
    gv_host_hold(poller);
    return stream;
}

/* Small messages leave at once. For a unix socket it fails, and matters not. */
static void send_at_once(int fd)
{
    const int yes = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

/* Begins to connect. What fails at once is told as what fails later. */
static void begin_dialling(struct connection *stream, const struct gv_host_address *address)
{
    bool is_unix = address->storage.ss_family == AF_UNIX;

    if (connect(stream->fd, (const struct sockaddr *)&address->storage, address->n_bytes) == 0) {
        if (is_unix)
            learn_identity(stream);
        stream->up_posted = true;
        gv_host_post_here(stream->poller, &stream->up_post);
    } else if (errno == EINPROGRESS) {
        stream->dialling = true;
        watch(stream);
    } else {
        begin_close(stream, is_unix && errno == ENOENT ? -ECONNREFUSED : -errno);
    }
}

int gv_host_socket_dial(struct gv_poller *poller, const char *url,
                        const struct gv_stream_events *events, void *owner,
                        struct gv_stream **stream)
{
    struct gv_host_address address;
    struct connection *dialled;
    int fd;

    gv_assert(gv_host_address_read(url, &address) == 0); /* it was checked */
    fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    dialled = new_stream(poller, fd);
    if (dialled == NULL)
        return -ENOMEM;
    dialled->events = events;
    dialled->owner = owner;
    *stream = &dialled->base;
    if (address.storage.ss_family != AF_UNIX)
        send_at_once(fd);
    begin_dialling(dialled, &address);
    return 0;
}

int gv_host_stream_from(struct gv_poller *poller, int fd, enum gv_direction direction,
                        struct gv_stream **stream)
{
    int flags = fcntl(fd, F_GETFL);
    struct connection *made;
    struct stat status;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fstat(fd, &status) != 0) {
        int error = errno;

        (void)close(fd); /* It may not even be open. */
        return -error;
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        (void)close(fd); /* Nobody can wait for these: they are always ready. */
        return -EPERM;
    }
    made = new_stream(poller, fd);
    if (made == NULL)
        return -ENOMEM;
    made->is_pipe = !S_ISSOCK(status.st_mode);
    made->deaf = direction == GV_OUTWARDS;
    *stream = &made->base;
    return 0;
}

void gv_host_socket_accepted(struct gv_poller *poller, int fd,
                             const struct gv_listen_events *events, void *owner)
{
    struct connection *stream = new_stream(poller, fd);

    if (stream == NULL)
        return;
    learn_identity(stream);
    if (stream->identity.pid < 0)
        send_at_once(fd);
    events->accepted(owner, &stream->base);
    gv_assert(stream->events != NULL || stream->closing);
}
