/*
 * Streams: connections over nng_stream, on one machine or over TLS.
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
 * Over TLS the first bytes are the peer's name (host_tls.h): a stream is
 * unnamed until they are there, and its owner hears nothing of it. What is
 * done above for dead peers is not done: nng 1.5.2 ends a TLS connection at
 * the first cancelled operation, and after its end one that is begun never
 * completes. So nothing is cancelled there, and the first end is believed.
 *
 * Always: in_busy, out_busy and patience_busy say that a post of that kind
 * will come; memory is freed when none will.
 */
#include <errno.h>
#include <stdlib.h>

#include <nng/nng.h>

#include "runtime/assert.h"
#include "runtime/host_connection.h"

enum {
    ROOM_BYTES_MIN = 16 * 1024, /* of the first receive; doubled whenever it was filled */
    ROOM_BYTES_MAX = 64 * 1024,
    DRAIN_MS = 10 /* how long a draining stream waits for more */
};

/* --- the end -------------------------------------------------------------------------------- */

void gv_connection_free(struct connection *stream)
{
    gv_connection_leave_hall(stream);
    /* The dialer first: the connection's reaper lets go of it last, and frees it then. */
    if (stream->dialer != NULL)
        nng_stream_dialer_free(stream->dialer);
    if (stream->nng != NULL)
        nng_stream_free(stream->nng);
    /* Their callbacks have posted but may not have returned: the reaper waits for that. */
    nng_aio_reap(stream->in);
    nng_aio_reap(stream->out);
    nng_aio_reap(stream->try_out);
    if (stream->patience != NULL)
        nng_aio_reap(stream->patience);
    gv_host_release(stream->poller);
    free(stream->room);
    free(stream);
}

void gv_connection_close(struct connection *stream, int error)
{
    if (stream->closing)
        return;
    stream->closing = true;
    stream->error = error;
    if (stream->patience_busy)
        nng_aio_cancel(stream->patience);
    if (stream->nng != NULL)
        nng_stream_close(stream->nng);
    else
        nng_stream_dialer_close(stream->dialer);
}

/* Tells the owner of the end if nothing is under way any more. Frees the stream then. */
void gv_connection_settle(struct connection *stream)
{
    if (!stream->closing || stream->in_busy || stream->out_busy || stream->close_busy
        || stream->patience_busy)
        return;
    if (stream->events != NULL)
        stream->events->closed(stream->owner, stream->error);
    gv_connection_free(stream);
}

static void on_close(void *owner)
{
    struct connection *stream = owner;

    stream->close_busy = false;
    gv_connection_settle(stream);
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

void gv_connection_receive(struct connection *stream)
{
    nng_iov iov;

    if (stream->paused || stream->closing || stream->in_busy || stream->in_kept
        || stream->in_upcall)
        return;
    if (stream->room == NULL)
        grow_room(stream);
    if (stream->room == NULL) {
        gv_connection_close(stream, -ENOMEM);
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
    else if (rv == NNG_ECONNSHUT && !stream->ended && !stream->tls)
        stream->ended = true;
    else if (!(rv == NNG_ECANCELED && stream->draining))
        gv_connection_close(stream, stream->draining      ? stream->error
                                    : rv == NNG_ECONNSHUT ? 0
                                                          : gv_host_nng_error(rv));
    gv_connection_receive(stream);

    /* A paused owner wants no more bytes, and without reading the end would never be seen. */
    if (stream->draining && !stream->in_busy)
        gv_connection_close(stream, stream->error);
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
        gv_connection_settle(stream);
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

    if (stream->in_busy && !stream->tls) {
        stream->draining = true;
        stream->error = gv_host_nng_error(rv);
        nng_aio_cancel(stream->in); /* no effect if it has ended: then its post is on the way */
    } else {
        gv_connection_close(stream, gv_host_nng_error(rv));
        gv_connection_settle(stream);
    }
}

/* --- what nng's threads say --------------------------------------------------------------------- */

static void on_in(void *owner)
{
    struct connection *stream = owner;

    stream->in_busy = false;
    if (stream->nng == NULL)
        gv_connection_dialled(stream);
    else if (stream->unnamed && !stream->closing)
        gv_connection_named(stream);
    else if (!stream->closing)
        on_received(stream);
    gv_connection_settle(stream);
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
    gv_connection_receive(stream);
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
    if (stream->nng == NULL || stream->unnamed)
        return -ENOTCONN;
    if (stream->out_busy)
        return -EBUSY;
    stream->bytes = bytes;
    stream->n_bytes = n_bytes;
    stream->out_busy = true;
    if (!stream->tls)
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

    gv_connection_close(stream, 0);
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
    gv_connection_receive(stream);
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

static bool open_aios(struct connection *stream)
{
    return nng_aio_alloc(&stream->in, in_completed, stream) == 0
           && nng_aio_alloc(&stream->out, out_completed, stream) == 0
           && nng_aio_alloc(&stream->try_out, NULL, NULL) == 0
           && (!stream->tls
               || nng_aio_alloc(&stream->patience, gv_connection_patience_ended, stream) == 0);
}

/* A stream with what all kinds need, or NULL. */
struct connection *gv_connection_new(struct gv_poller *poller, bool tls)
{
    struct connection *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->base.kind = &kind;
    stream->poller = poller;
    stream->tls = stream->unnamed = tls;
    stream->in_post = (struct gv_post){NULL, on_in, stream};
    stream->out_post = (struct gv_post){NULL, on_out, stream};
    stream->close_post = (struct gv_post){NULL, on_close, stream};
    stream->patience_post = (struct gv_post){NULL, gv_connection_out_of_patience, stream};
    if (!open_aios(stream)) {
        nng_aio_free(stream->in);
        nng_aio_free(stream->out);
        nng_aio_free(stream->try_out);
        free(stream);
        return NULL;
    }
    gv_host_hold(poller);
    return stream;
}
