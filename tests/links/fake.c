#include "tests/links/fake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/assert.h"
#include "runtime/log.h"

struct fake fake;

static uint64_t now_ns(void *world)
{
    (void)world;
    return fake.now_ns;
}

static int64_t wall_ms(void *world)
{
    (void)world;
    return 0;
}

static void log_write(void *world, const char *line, size_t n_bytes)
{
    (void)world;
    fake.n_lines++;
    (void)snprintf(fake.line, sizeof fake.line, "%.*s", (int)n_bytes,
                   line); /* A cut line will do. */
}

static int dial(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                void *owner, struct gv_stream **stream)
{
    (void)poller;
    (void)url;
    fake.a.events = events;
    fake.a.owner = owner;
    fake.a.dialled = true;
    *stream = &fake.a;
    return 0;
}

static void stream_adopt(struct gv_stream *stream, const struct gv_stream_events *events,
                         void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

static void stream_identity(const struct gv_stream *stream, struct gv_identity *identity)
{
    (void)stream;
    *identity = (struct gv_identity){.pid = 42, .uid = 1};
}

static int stream_write(struct gv_stream *stream, const void *bytes, size_t n_bytes)
{
    gv_assert(n_bytes > 0);
    if (stream->closing)
        return -EPIPE;
    gv_assert(stream->n_writing == 0);
    stream->writing = bytes;
    stream->n_writing = n_bytes;
    return 0;
}

static void stream_close(struct gv_stream *stream)
{
    stream->closing = true;
}

void fake_reset(void)
{
    gv_bytes_free(&fake.a.kept);
    gv_bytes_free(&fake.b.kept);
    fake = (struct fake){
        .env =
            {
                .now_ns = now_ns,
                .wall_ms = wall_ms,
                .log_write = log_write,
                .dial = dial,
                .stream_adopt = stream_adopt,
                .stream_identity = stream_identity,
                .stream_write = stream_write,
                .stream_close = stream_close,
            },
        .now_ns = 1,
    };
    gv_log_open(&fake.env);
}

void fake_feed(struct gv_stream *stream, const uint8_t *bytes, size_t n_bytes)
{
    size_t portion = fake.portion != 0 ? fake.portion : n_bytes;

    for (size_t at = 0; at < n_bytes && !stream->closing; at += portion) {
        size_t n = n_bytes - at < portion ? n_bytes - at : portion;

        stream->events->received(stream->owner, bytes + at, n);
    }
}

static bool finish_write(struct gv_stream *stream)
{
    if (stream->n_writing == 0 || stream->closed)
        return false;
    if (stream->peer != NULL) {
        fake_feed(stream->peer, stream->writing, stream->n_writing);
    } else if (stream->kept.n_bytes + stream->n_writing <= FAKE_BYTES_MAX) {
        gv_assert(gv_bytes_grow(&stream->kept, stream->n_writing));
        memcpy(stream->kept.bytes + stream->kept.n_bytes, stream->writing, stream->n_writing);
        stream->kept.n_bytes += stream->n_writing;
    }
    stream->n_writing = 0;
    if (!stream->closing)
        stream->events->written(stream->owner);
    return true;
}

static bool finish_close(struct gv_stream *stream)
{
    if (!stream->closing || stream->closed)
        return false;
    stream->closed = true;
    if (stream->peer != NULL)
        stream->peer->closing = true;
    stream->events->closed(stream->owner, 0);
    return true;
}

void fake_run(void)
{
    bool busy = true;

    while (busy) {
        busy = false;
        if (fake.a.dialled && !fake.a.connected) {
            fake.a.connected = true;
            fake.a.events->connected(fake.a.owner);
            busy = true;
        }
        busy |= finish_write(&fake.a);
        busy |= finish_write(&fake.b);
        busy |= finish_close(&fake.a);
        busy |= finish_close(&fake.b);
    }
}
