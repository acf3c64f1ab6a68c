/*
 * Read: bytes, a number of bytes, or a line, out of what is kept or comes.
 */
#include <errno.h>
#include <string.h>

#include "runtime/usage.h"
#include "world/stream.h"

enum {
    LINE_BYTES_MAX = GV_UNREAD_BYTES - 1 /* one too long is seen before the peer must wait */
};

/* How a stream without unread bytes has ended; 0 if well. */
static int ended(struct gv_loop *loop, const struct grove_stream *stream)
{
    return stream->error == 0 ? 0 : gv_io_failed(loop, stream->error, "read from", stream->peer);
}

/* Waits until something has come or ended. *gone: the stream is not there any more. */
static int wait_for_bytes(struct gv_loop *loop, struct grove_stream *stream,
                          struct gv_reading *reading, uint32_t deadline_ms, bool *gone)
{
    int rc;

    stream->n_at_once = 0;
    stream->reading = reading;
    rc = gv_io_await_or(loop, &stream->reader, deadline_ms, gone, gv_io_leave);
    if (gv_likely(rc == 0))
        return 0;
    return gv_io_failed(loop, rc, "read from", *gone ? "a stream" : stream->peer);
}

static int check_reader(const struct grove_stream *stream, const char *function)
{
    if (gv_unlikely(stream->reader != NULL))
        return gv_usage("%s: another turn reads from %s already; let one read, and hand on what "
                        "it gets",
                        function, stream->peer);
    return 0;
}

static int read_some(struct gv_loop *loop, struct grove_stream *stream, struct gv_reading *reading,
                     uint32_t deadline_ms, bool *gone)
{
    *gone = false;
    if (stream->n_unread > 0) {
        size_t n = stream->n_unread < reading->room ? stream->n_unread : reading->room;

        memcpy(reading->to, stream->unread + stream->unread_at, n);
        gv_stream_drop(stream, n);
        reading->n_bytes = n;
        return 0;
    }
    if (gv_unlikely(stream->ended))
        return ended(loop, stream);
    return wait_for_bytes(loop, stream, reading, deadline_ms, gone);
}

int grove_read_await(struct grove_stream *stream, void *bytes, size_t room, size_t *n_bytes)
{
    struct gv_reading reading = {.to = bytes, .room = room};
    struct gv_loop *loop;
    bool gone = false;
    int rc = gv_stream_begin(stream, "grove_read_await", &loop);

    if (rc == 0 && (bytes == NULL || n_bytes == NULL))
        rc = gv_usage_null("grove_read_await", bytes == NULL ? "`bytes`" : "`n_bytes`");
    if (rc == 0 && room == 0)
        rc = gv_usage("grove_read_await: there is no room; give at least one byte");
    if (rc == 0)
        rc = check_reader(stream, "grove_read_await");
    if (rc == 0)
        rc = read_some(loop, stream, &reading, gv_io_deadline(loop), &gone);
    if (rc != 0)
        return rc;
    *n_bytes = reading.n_bytes;
    return gone ? 0 : gv_stream_done_at_once(loop, stream);
}

int grove_read_all_await(struct grove_stream *stream, void *bytes, size_t n_bytes)
{
    struct gv_loop *loop;
    int rc = gv_stream_begin(stream, "grove_read_all_await", &loop);
    uint32_t deadline_ms;
    bool gone = false;

    if (rc == 0)
        rc = check_reader(stream, "grove_read_all_await");
    if (rc != 0)
        return rc;
    deadline_ms = gv_io_deadline(loop);
    for (size_t n_done = 0; n_done < n_bytes && rc == 0;) {
        struct gv_reading reading = {.to = (uint8_t *)bytes + n_done, .room = n_bytes - n_done};

        if (gone)
            return gv_io_failed(loop, GROVE_ECANCELED, "read from", "a stream");
        rc = read_some(loop, stream, &reading, deadline_ms, &gone);
        n_done += reading.n_bytes;
        if (rc == 0 && reading.n_bytes == 0)
            rc = gv_io_refused(loop, -ENODATA, "the peer ended after %zu of %zu bytes: ask it why",
                               n_done, n_bytes);
    }
    return rc != 0 || gone ? rc : gv_stream_done_at_once(loop, stream);
}

/* Takes a line out of what is kept. False if there is none yet. */
static bool take_line(struct grove_stream *stream, char *text, size_t room, size_t *n_bytes)
{
    const uint8_t *line = stream->n_unread > 0 ? stream->unread + stream->unread_at : NULL;
    const uint8_t *end = line != NULL ? memchr(line, '\n', stream->n_unread) : NULL;
    size_t n = end != NULL ? (size_t)(end - line) : stream->n_unread;
    size_t n_taken = end != NULL ? n + 1 : n;

    if (n_taken == 0 || (end == NULL && !stream->ended))
        return false;
    if (n > 0 && end != NULL && line[n - 1] == '\r')
        n--;
    if (n >= room)
        return false;
    memcpy(text, line, n);
    text[n] = '\0';
    gv_stream_drop(stream, n_taken);
    if (n_bytes != NULL)
        *n_bytes = n;
    return true;
}

int grove_read_line_await(struct grove_stream *stream, char *text, size_t room, size_t *n_bytes)
{
    struct gv_reading reading = {.to = NULL};
    struct gv_loop *loop;
    uint32_t deadline_ms;
    bool gone = false;
    int rc = gv_stream_begin(stream, "grove_read_line_await", &loop);

    if (rc == 0 && text == NULL)
        rc = gv_usage_null("grove_read_line_await", "`text`");
    if (rc == 0 && (room == 0 || room > LINE_BYTES_MAX))
        rc = gv_usage("grove_read_line_await: room is %zu; give 1 to %u bytes", room,
                      (unsigned)LINE_BYTES_MAX);
    if (rc == 0)
        rc = check_reader(stream, "grove_read_line_await");
    if (rc != 0)
        return rc;
    deadline_ms = gv_io_deadline(loop);
    while (rc == 0 && !take_line(stream, text, room, n_bytes)) {
        /* With "\r\n" and the NUL, a line of room bytes and one more is too long for certain. */
        if (stream->n_unread > room || (stream->n_unread > 0 && stream->ended))
            return gv_io_refused(loop, GROVE_ETOOBIG,
                                 "a line from %.100s is longer than %zu bytes: give more room, or "
                                 "hang up",
                                 stream->peer, room - 1);
        if (stream->ended)
            return stream->error != 0
                       ? ended(loop, stream)
                       : gv_io_refused(loop, -ENODATA, "%.100s has no more lines", stream->peer);
        rc = wait_for_bytes(loop, stream, &reading, deadline_ms, &gone);
        if (gone)
            return rc != 0 ? rc : gv_io_failed(loop, GROVE_ECANCELED, "read from", "a stream");
    }
    return rc == 0 ? gv_stream_done_at_once(loop, stream) : rc;
}
