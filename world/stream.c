#include "world/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/usage.h"

enum { UNREAD_ROOM_MIN = 512 };

/* --- what was not read yet -------------------------------------------------------------------- */

/* Room for n_bytes more behind what is kept. */
static bool make_room(struct grove_stream *stream, size_t n_bytes)
{
    size_t room = stream->unread_room > 0 ? stream->unread_room : UNREAD_ROOM_MIN;
    uint8_t *unread;

    if (stream->unread_at > 0) {
        memmove(stream->unread, stream->unread + stream->unread_at, stream->n_unread);
        stream->unread_at = 0;
    }
    while (room < stream->n_unread + n_bytes)
        room *= 2;
    if (room == stream->unread_room)
        return true;
    unread = realloc(stream->unread, room);
    if (unread == NULL)
        return false;
    stream->unread = unread;
    stream->unread_room = room;
    return true;
}

static void keep(struct grove_stream *stream, const uint8_t *bytes, size_t n_bytes)
{
    if (!make_room(stream, n_bytes)) {
        /* A gap in the bytes would be worse than their end. */
        stream->error = GROVE_ENOMEM;
        stream->broken = true;
        stream->loop->env->stream_close(stream->base);
        return;
    }
    memcpy(stream->unread + stream->unread_at + stream->n_unread, bytes, n_bytes);
    stream->n_unread += n_bytes;
    if (stream->n_unread >= GV_UNREAD_BYTES && !stream->paused) {
        stream->paused = true;
        stream->loop->env->stream_pause(stream->base);
    }
}

void gv_stream_drop(struct grove_stream *stream, size_t n_bytes)
{
    stream->unread_at += n_bytes;
    stream->n_unread -= n_bytes;
    if (stream->n_unread > 0)
        return;
    free(stream->unread);
    stream->unread = NULL;
    stream->unread_at = stream->unread_room = 0;
    if (stream->paused && stream->base != NULL) {
        stream->paused = false;
        stream->loop->env->stream_resume(stream->base);
    }
}

/* --- what the env tells ----------------------------------------------------------------------- */

static void free_stream(struct grove_stream *stream)
{
    free(stream->unread);
    free(stream);
}

static void on_connected(void *owner)
{
    struct grove_stream *stream = owner;

    gv_io_wake(stream->loop, &stream->reader, 0);
}

static void on_received(void *owner, const uint8_t *bytes, size_t n_bytes)
{
    struct grove_stream *stream = owner;
    struct gv_reading *reading = stream->reading;
    size_t n_taken = 0;

    if (stream->closed || stream->error != 0)
        return;
    if (gv_likely(gv_io_waits(&stream->reader))) {
        if (gv_likely(reading->to != NULL)) {
            n_taken = n_bytes < reading->room ? n_bytes : reading->room;
            memcpy(reading->to, bytes, n_taken);
            reading->n_bytes = n_taken;
        }
        gv_wake(stream->loop, stream->reader, 0);
    }
    if (n_taken < n_bytes)
        keep(stream, bytes + n_taken, n_bytes - n_taken);
}

static void on_ended(void *owner)
{
    struct grove_stream *stream = owner;

    stream->ended = true;
    gv_io_wake(stream->loop, &stream->reader, 0);
}

static void on_written(void *owner)
{
    struct grove_stream *stream = owner;

    gv_io_wake(stream->loop, &stream->writer, 0);
}

static void on_closed(void *owner, int error)
{
    struct grove_stream *stream = owner;

    stream->base = NULL;
    if (stream->closed) {
        free_stream(stream);
        return;
    }
    if (stream->error == 0)
        stream->error = error;
    stream->ended = stream->broken = true;
    gv_io_wake(stream->loop, &stream->reader, stream->error);
    gv_io_wake(stream->loop, &stream->writer, stream->error != 0 ? stream->error : -EPIPE);
}

const struct gv_stream_events gv_world_stream_events = {
    .connected = on_connected,
    .received = on_received,
    .ended = on_ended,
    .written = on_written,
    .closed = on_closed,
};

/* --- life ------------------------------------------------------------------------------------- */

static void close_holding(struct gv_holding *holding)
{
    grove_stream_close((struct grove_stream *)holding);
}

struct grove_stream *gv_world_stream_new(struct gv_loop *loop, const char *peer)
{
    struct grove_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->loop = loop;
    stream->holding.close = close_holding;
    (void)snprintf(stream->peer, sizeof stream->peer, "%s", peer); /* A cut name is still a name. */
    return stream;
}

void gv_world_stream_adopt(struct grove_stream *stream, struct gv_stream *base)
{
    stream->base = base;
    stream->loop->env->stream_adopt(base, &gv_world_stream_events, stream);
}

void grove_stream_close(struct grove_stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->loop != gv_loop_here) {
        (void)gv_usage("grove_stream_close: the stream belongs to loop %u; close it there",
                       stream->loop->index); /* There is no way to return it. */
        return;
    }
    gv_holding_remove(&stream->holding);
    gv_io_forsake(stream->loop, &stream->reader, GROVE_ECANCELED);
    gv_io_forsake(stream->loop, &stream->writer, GROVE_ECANCELED);
    stream->closed = true;
    if (stream->base != NULL)
        stream->loop->env->stream_close(stream->base);
    else
        free_stream(stream);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Nobody knows how much has left: nothing more may. */
static void break_off(struct grove_stream *stream, int error)
{
    stream->broken = true;
    if (stream->error == 0)
        stream->error = error;
    if (stream->base != NULL)
        stream->loop->env->stream_close(stream->base);
}

/* The bytes may lie on the stack that goes away. */
static void leave_writer(struct gv_wait **place)
{
    break_off((struct grove_stream *)((char *)place - offsetof(struct grove_stream, writer)),
              -EPIPE);
}

/* What did not leave at once. */
static GV_APART int write_rest(struct gv_loop *loop, struct grove_stream *stream, const void *bytes,
                               size_t n_bytes)
{
    uint32_t deadline_ms = gv_io_deadline(loop);
    bool gone;
    int rc = loop->env->stream_write(stream->base, bytes, n_bytes);

    if (rc != 0) {
        break_off(stream, rc);
        return gv_io_failed(loop, rc, "write to", stream->peer);
    }
    stream->n_at_once = 0;
    rc = gv_io_await_or(loop, &stream->writer, deadline_ms, &gone, leave_writer);
    if (rc == 0)
        return 0;
    /* From here on the env does not look at the bytes any more. */
    if (!gone)
        break_off(stream, rc == GROVE_ETIMEDOUT || rc == GROVE_ECANCELED ? -EPIPE : rc);
    return gv_io_failed(loop, rc, "write to", gone ? "a stream" : stream->peer);
}

int grove_write_await(struct grove_stream *stream, const void *bytes, size_t n_bytes)
{
    struct gv_loop *loop;
    ssize_t n_put = 0;
    int rc = gv_stream_begin(stream, "grove_write_await", &loop);

    if (gv_unlikely(rc != 0))
        return rc;
    if (gv_unlikely(stream->writer != NULL))
        return gv_usage("grove_write_await: another turn writes to %s already; let one write",
                        stream->peer);
    if (gv_unlikely(stream->broken || stream->base == NULL)) {
        loop->turn->within_ms = 0;
        return gv_io_failed(loop, stream->error != 0 ? stream->error : -EPIPE, "write to",
                            stream->peer);
    }
    if (gv_unlikely(n_bytes == 0 || bytes == NULL))
        return n_bytes == 0 ? 0 : gv_usage("grove_write_await: the bytes are NULL");
    if (gv_likely(loop->env->stream_try_write != NULL))
        n_put = loop->env->stream_try_write(stream->base, bytes, n_bytes);
    if (gv_unlikely(n_put < 0)) {
        stream->broken = true; /* What has come may still be read. */
        return gv_io_failed(loop, (int)n_put, "write to", stream->peer);
    }
    if (gv_unlikely((size_t)n_put < n_bytes))
        return write_rest(loop, stream, (const uint8_t *)bytes + n_put, n_bytes - (size_t)n_put);
    loop->turn->within_ms = 0;
    return gv_stream_done_at_once(loop, stream);
}

/* --- the rest --------------------------------------------------------------------------------- */

int grove_stream_shutdown(struct grove_stream *stream)
{
    struct gv_loop *loop = gv_loop_now();
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_thread("grove_stream_shutdown");
    if (stream == NULL)
        return gv_usage("grove_stream_shutdown: there is no stream");
    if (stream->loop != loop)
        return gv_usage("grove_stream_shutdown: the stream belongs to loop %u; use it there",
                        stream->loop->index);
    if (stream->writer != NULL)
        return gv_usage("grove_stream_shutdown: a write to %s is under way; wait for its end",
                        stream->peer);
    if (stream->base == NULL || stream->broken)
        return gv_io_failed(loop, -ENOTCONN, "shut down", stream->peer);
    if (loop->env->stream_shutdown == NULL)
        return gv_io_failed(loop, GROVE_ENOSIM, "shut down", stream->peer);
    rc = loop->env->stream_shutdown(stream->base);
    if (rc != 0)
        return gv_io_failed(loop, rc, "shut down", stream->peer);
    stream->broken = true;
    return 0;
}

int grove_stream_give(struct grove_stream *stream, grove_ref owner)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_holding **head;
    int rc;

    if (stream == NULL)
        return gv_usage("grove_stream_give: there is no stream");
    if (loop == NULL || stream->loop != loop)
        return gv_usage("grove_stream_give: the stream belongs to loop %u; give it away there",
                        stream->loop->index);
    rc = gv_holding_heir(loop, "grove_stream_give", owner, &head);
    if (rc != 0)
        return rc;
    gv_holding_remove(&stream->holding);
    gv_holding_put(head, &stream->holding);
    return 0;
}

const char *grove_stream_peer(const struct grove_stream *stream)
{
    return stream->peer;
}

void grove_stream_identity(const struct grove_stream *stream, long long *pid, long long *uid)
{
    struct gv_identity identity = {.pid = -1, .uid = -1};

    if (stream->base != NULL)
        stream->loop->env->stream_identity(stream->base, &identity);
    *pid = identity.pid;
    *uid = identity.uid;
}

int grove_stream_from(int fd, struct grove_stream **stream)
{
    struct gv_loop *loop = gv_io_loop();
    struct gv_holding **head;
    struct grove_stream *made;
    struct gv_stream *base;
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_stream_from");
    if (stream == NULL)
        return gv_usage_null("grove_stream_from", "the place for the stream");
    if (loop->env->stream_from == NULL)
        return gv_io_failed(loop, GROVE_ENOSIM, "make a stream of", "a descriptor");
    rc = gv_holding_owner(loop, "grove_stream_from", &head);
    if (rc != 0)
        return rc;
    made = gv_world_stream_new(loop, "a descriptor");
    if (made == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "make a stream of", "a descriptor");
    rc = loop->env->stream_from(loop->poller, fd, GV_BOTH_WAYS, &base);
    if (rc != 0)
        free_stream(made);
    if (rc == -EPERM)
        return gv_io_refused(loop, rc,
                             "make a stream of a descriptor: it is a file or a folder; "
                             "use grove/file.h for those");
    if (rc != 0) {
        return gv_io_failed(loop, rc, "make a stream of", "a descriptor");
    }
    gv_world_stream_adopt(made, base);
    gv_holding_put(head, &made->holding);
    *stream = made;
    return 0;
}
