/*
 * Streams: connections over nng_stream.
 *
 * nng completes on threads of its own; its callbacks do nothing but post to
 * the loop, so all that is below runs on the poller's thread.
 *
 *   dialling ──► open ──────────────► closing ──► closed upcall, memory freed
 *       │          └─► draining ──────►  ▲
 *       └────────────────────────────────┘
 *
 * One receive and one write are in flight. A receive is armed before the
 * first write can be asked for, because nng's TLS would wait for ever
 * otherwise. After nng_stream_close no operation is begun: nng 1.5.2 would
 * keep it and never complete it. The end waits for the callbacks that are
 * still to come, and then nothing blocks: nng frees the rest on its reaper.
 *
 * Nothing that has arrived is lost to the peer's death. nng reports an end
 * at once when the peer closed with our bytes unread, although bytes of his
 * wait in the socket: so an end is believed when it comes twice. And after
 * a failed write (draining) we go on reading until the socket is dry.
 *
 * Always: in_busy and out_busy say that a post of that side will come;
 * memory is freed when none will.
 */
#include <errno.h>
#include <stdlib.h>

#include <nng/nng.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum {
    ROOM_BYTES_MIN = 16 * 1024, /* of the first receive; doubled whenever it was filled */
    ROOM_BYTES_MAX = 64 * 1024,
    DRAIN_MS = 10 /* how long a draining stream waits for more */
};

struct connection {
    struct gv_stream base;
    struct gv_poller *poller;
    const struct gv_stream_events *events; /* NULL before it is adopted */
    void *owner;
    struct gv_identity identity;
    nng_stream *nng;           /* NULL while dialling */
    nng_stream_dialer *dialer; /* NULL if accepted */

    nng_aio *in; /* dials, then receives */
    struct gv_post in_post;
    uint8_t *room;
    size_t room_bytes;
    bool in_busy;
    bool in_kept;   /* a receive has ended while paused: its result is still to be told */
    bool in_upcall; /* the owner looks at room */
    bool paused;
    bool ended; /* nng has reported the end once */

    nng_aio *try_out; /* has no callback: see send_now */
    nng_aio *out;
    struct gv_post out_post;
    const uint8_t *bytes; /* what is left to write */
    size_t n_bytes;
    bool out_busy;

    struct gv_post close_post;
    bool close_busy;
    bool draining;
    bool closing;
    int error; /* for the closed upcall */
};

/* --- the end -------------------------------------------------------------------------------- */

static void free_stream(struct connection *stream)
{
    /* The dialer first: the connection's reaper lets go of it last, and frees it then. */
    if (stream->dialer != NULL)
        nng_stream_dialer_free(stream->dialer);
    if (stream->nng != NULL)
        nng_stream_free(stream->nng);
    /* Their callbacks have posted but may not have returned: the reaper waits for that. */
    nng_aio_reap(stream->in);
    nng_aio_reap(stream->out);
    nng_aio_reap(stream->try_out);
    gv_host_release(stream->poller);
    free(stream->room);
    free(stream);
}

static void begin_close(struct connection *stream, int error)
{
    if (stream->closing)
        return;
    stream->closing = true;
    stream->error = error;
    if (stream->nng != NULL)
        nng_stream_close(stream->nng);
    else
        nng_stream_dialer_close(stream->dialer);
}

/* Tells the owner of the end if nothing is under way any more. Frees the stream then. */
static void settle(struct connection *stream)
{
    if (!stream->closing || stream->in_busy || stream->out_busy || stream->close_busy)
        return;
    if (stream->events != NULL)
        stream->events->closed(stream->owner, stream->error);
    free_stream(stream);
}

static void on_close(void *owner)
{
    struct connection *stream = owner;

    stream->close_busy = false;
    settle(stream);
}

/* --- receiving ------------------------------------------------------------------------------ */

static void grow_room(struct connection *stream)
{
    size_t bytes = stream->room == NULL ? ROOM_BYTES_MIN : stream->room_bytes * 2;
    uint8_t *room;

    if (bytes > ROOM_BYTES_MAX)
        return;
    room = malloc(bytes);
    if (room == NULL)
        return; /* a small room will do, and having none is seen by the caller */
    free(stream->room);
    stream->room = room;
    stream->room_bytes = bytes;
}

static void receive(struct connection *stream)
{
    nng_iov iov;

    if (stream->paused || stream->closing || stream->in_busy || stream->in_kept
        || stream->in_upcall)
        return;
    if (stream->room == NULL)
        grow_room(stream);
    if (stream->room == NULL) {
        begin_close(stream, -ENOMEM);
        return;
    }

    iov.iov_buf = stream->room;
    iov.iov_len = stream->room_bytes;
    gv_assert(nng_aio_set_iov(stream->in, 1, &iov) == 0);
    nng_aio_set_timeout(stream->in, stream->draining ? DRAIN_MS : NNG_DURATION_INFINITE);
    stream->in_busy = true;
    nng_stream_recv(stream->nng, stream->in);
}

static void tell_received(struct connection *stream)
{
    size_t n_bytes = nng_aio_count(stream->in);

    stream->in_upcall = true;
    stream->events->received(stream->owner, stream->room, n_bytes);
    stream->in_upcall = false;
    if (n_bytes == stream->room_bytes)
        grow_room(stream);
}

static void on_received(struct connection *stream)
{
    int rv = nng_aio_result(stream->in);

    if (stream->paused && !stream->draining) {
        stream->in_kept = true;
        return;
    }

    if (rv == 0 && !stream->paused)
        tell_received(stream);
    else if (rv == NNG_ECONNSHUT && !stream->ended)
        stream->ended = true;
    else if (!(rv == NNG_ECANCELED && stream->draining))
        begin_close(stream, stream->draining      ? stream->error
                            : rv == NNG_ECONNSHUT ? 0
                                                  : gv_host_nng_error(rv));
    receive(stream);

    /* A paused owner wants no more bytes, and without reading the end would never be seen. */
    if (stream->draining && !stream->in_busy)
        begin_close(stream, stream->error);
}

/* --- writing -------------------------------------------------------------------------------- */

static void begin_send(struct connection *stream, nng_aio *aio)
{
    nng_iov iov = {(void *)(uintptr_t)stream->bytes, stream->n_bytes};

    gv_assert(nng_aio_set_iov(aio, 1, &iov) == 0);
    nng_stream_send(stream->nng, aio);
}

/*
 * Sends what the socket takes now. Without a callback nng completes a send
 * that does not have to wait before it returns, where a callback would cost
 * a turn of another thread and a wake of ours. One that would wait is taken
 * back, and has then sent nothing.
 */
static void send_now(struct connection *stream)
{
    begin_send(stream, stream->try_out);
    nng_aio_cancel(stream->try_out);
    nng_aio_wait(stream->try_out); /* nng's poll thread may be completing it at this moment */
    if (nng_aio_result(stream->try_out) != 0)
        return;
    stream->bytes += nng_aio_count(stream->try_out);
    stream->n_bytes -= nng_aio_count(stream->try_out);
}

static void on_out(void *owner)
{
    struct connection *stream = owner;
    int rv = 0;

    stream->out_busy = false;
    if (stream->closing) {
        settle(stream);
        return;
    }
    if (stream->n_bytes > 0) { /* else send_now has sent it all */
        rv = nng_aio_result(stream->out);
        stream->bytes += nng_aio_count(stream->out);
        stream->n_bytes -= nng_aio_count(stream->out);
    }
    if (rv == 0 && stream->n_bytes > 0) {
        stream->out_busy = true;
        begin_send(stream, stream->out);
        return;
    }
    if (rv == 0) {
        stream->events->written(stream->owner);
        return;
    }

    if (stream->in_busy) {
        stream->draining = true;
        stream->error = gv_host_nng_error(rv);
        nng_aio_cancel(stream->in); /* no effect if it has ended: then its post is on the way */
    } else {
        begin_close(stream, gv_host_nng_error(rv));
        settle(stream);
    }
}

/* --- beginning ------------------------------------------------------------------------------ */

static void learn_identity(struct connection *stream)
{
    uint64_t value;

    stream->identity = (struct gv_identity){.pid = -1, .uid = -1};
    if (nng_stream_get_uint64(stream->nng, NNG_OPT_IPC_PEER_PID, &value) == 0)
        stream->identity.pid = (int64_t)value;
    if (nng_stream_get_uint64(stream->nng, NNG_OPT_IPC_PEER_UID, &value) == 0)
        stream->identity.uid = (int64_t)value;
}

static void on_dialled(struct connection *stream)
{
    int rv = nng_aio_result(stream->in);

    if (rv == 0)
        stream->nng = nng_aio_get_output(stream->in, 0);
    if (stream->closing) {
        if (stream->nng != NULL)
            nng_stream_close(stream->nng); /* it came up while we gave it up */
        return;
    }
    if (rv != 0) {
        begin_close(stream, gv_host_nng_error(rv));
        return;
    }
    learn_identity(stream);
    receive(stream);
    stream->events->connected(stream->owner);
}

static void on_in(void *owner)
{
    struct connection *stream = owner;

    stream->in_busy = false;
    if (stream->nng == NULL)
        on_dialled(stream);
    else if (!stream->closing)
        on_received(stream);
    settle(stream);
}

static void in_completed(void *argument)
{
    struct connection *stream = argument;

    gv_host_post(stream->poller, &stream->in_post);
}

static void out_completed(void *argument)
{
    struct connection *stream = argument;

    gv_host_post(stream->poller, &stream->out_post);
}

/* --- what the owner asks for ---------------------------------------------------------------- */

static void adopt(struct gv_stream *base, const struct gv_stream_events *events, void *owner)
{
    struct connection *stream = (struct connection *)base;

    gv_assert(stream->events == NULL && !stream->closing);
    stream->events = events;
    stream->owner = owner;
    receive(stream);
    if (stream->closing) { /* no memory: the closed upcall comes from inside a poll */
        stream->close_busy = true;
        gv_host_post_here(stream->poller, &stream->close_post);
    }
}

static void identity(const struct gv_stream *base, struct gv_identity *identity)
{
    *identity = ((const struct connection *)base)->identity;
}

static void pause_stream(struct gv_stream *base)
{
    ((struct connection *)base)->paused = true;
}

static int write_stream(struct gv_stream *base, const void *bytes, size_t n_bytes)
{
    struct connection *stream = (struct connection *)base;

    gv_assert(n_bytes > 0);
    if (stream->closing || stream->draining)
        return -EPIPE;
    if (stream->nng == NULL)
        return -ENOTCONN;
    if (stream->out_busy)
        return -EBUSY;
    stream->bytes = bytes;
    stream->n_bytes = n_bytes;
    stream->out_busy = true;
    send_now(stream);
    if (stream->n_bytes > 0)
        begin_send(stream, stream->out);
    else
        gv_host_post_here(stream->poller, &stream->out_post);
    return 0;
}

static void close_stream(struct gv_stream *base)
{
    struct connection *stream = (struct connection *)base;

    begin_close(stream, 0);
    if (stream->close_busy)
        return;
    stream->close_busy = true;
    gv_host_post_here(stream->poller, &stream->close_post);
}

static void resume(struct gv_stream *base)
{
    struct connection *stream = (struct connection *)base;

    stream->paused = false;
    if (stream->closing || stream->nng == NULL)
        return;
    if (stream->in_kept) {
        stream->in_kept = false;
        stream->in_busy = true;
        gv_host_post_here(stream->poller, &stream->in_post);
        return;
    }
    receive(stream);
    if (stream->closing)
        close_stream(base);
}

static const struct gv_stream_kind kind = {
    .adopt = adopt,
    .identity = identity,
    .pause = pause_stream,
    .resume = resume,
    .write = write_stream,
    .close = close_stream,
};

/* --- entries -------------------------------------------------------------------------------- */

/* A stream with what either kind needs, or NULL. */
static struct connection *new_stream(struct gv_poller *poller)
{
    struct connection *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->base.kind = &kind;
    stream->poller = poller;
    stream->in_post = (struct gv_post){NULL, on_in, stream};
    stream->out_post = (struct gv_post){NULL, on_out, stream};
    stream->close_post = (struct gv_post){NULL, on_close, stream};
    if (nng_aio_alloc(&stream->in, in_completed, stream) != 0
        || nng_aio_alloc(&stream->out, out_completed, stream) != 0
        || nng_aio_alloc(&stream->try_out, NULL, NULL) != 0) {
        nng_aio_free(stream->in);
        nng_aio_free(stream->out);
        free(stream);
        return NULL;
    }
    gv_host_hold(poller);
    return stream;
}

int gv_host_nng_dial(struct gv_poller *poller, const char *url,
                     const struct gv_stream_events *events, void *owner, struct gv_stream **stream)
{
    struct connection *dialled;
    int rc;

    gv_host_nng_start();
    dialled = new_stream(poller);
    if (dialled == NULL)
        return -ENOMEM;
    rc = gv_host_nng_error(nng_stream_dialer_alloc(&dialled->dialer, url));
    if (rc != 0) {
        free_stream(dialled);
        return rc;
    }

    dialled->events = events;
    dialled->owner = owner;
    dialled->in_busy = true;
    *stream = &dialled->base;
    nng_stream_dialer_dial(dialled->dialer, dialled->in);
    return 0;
}

void gv_host_nng_accepted(struct gv_poller *poller, struct nng_stream *nng,
                          const struct gv_listen_events *events, void *owner)
{
    struct connection *stream = new_stream(poller);

    if (stream == NULL) {
        nng_stream_close(nng);
        nng_stream_free(nng);
        return;
    }
    stream->nng = nng;
    learn_identity(stream);
    events->accepted(owner, &stream->base);
    gv_assert(stream->events != NULL || stream->closing);
}
