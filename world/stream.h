/*
 * Stream: a connection as a program's straight-line code uses it, on one of
 * the env's.
 *
 *     made ──▶ open ──▶ ended (the peer's last byte came) ──▶ over (the env's is gone)
 *                └────────────────────────────────────────────▲
 *     closed by its owner at any time: freed when the env's is gone
 *
 * Reading stays armed between two reads. A reader that waits gets what comes
 * straight into its memory; what comes while nobody waits is kept in one
 * buffer, which exists only while there is something in it. Beyond
 * GV_UNREAD_BYTES the env's stream is paused.
 */
#ifndef GV_WORLD_STREAM_H
#define GV_WORLD_STREAM_H

#include <grove/stream.h>

#include "actors/holding.h"
#include "actors/io.h"
#include "runtime/env.h"
#include "runtime/usage.h"

#define GV_UNREAD_BYTES (64u * 1024) /* from here on the peer must wait */
#define GV_AT_ONCE_MAX  64u          /* reads and writes of one stream before others have a turn */

/* Of a reader that waits; lies in its frame. */
struct gv_reading {
    uint8_t *to; /* NULL: it only waits for more to be kept */
    size_t room;
    size_t n_bytes; /* that have come */
};

struct grove_stream {
    struct gv_holding holding;
    struct gv_loop *loop;
    struct gv_stream *base; /* the env's; NULL once it is over */
    struct gv_wait *reader; /* or who connects */
    struct gv_wait *writer;
    struct gv_reading *reading; /* valid while reader waits */
    uint8_t *unread;            /* NULL while there is nothing */
    size_t n_unread, unread_at, unread_room;
    unsigned n_at_once; /* reads and writes that did not wait, since one did */
    int error;          /* how it ended, 0: well */
    bool paused;
    bool ended;  /* the peer sends no more, or all is over */
    bool broken; /* nothing more can be written */
    bool closed; /* by its owner */
    char peer[GROVE_URL_BYTES];
};

extern const struct gv_stream_events gv_world_stream_events;

/* A stream without owner; NULL when memory is short. */
struct grove_stream *gv_world_stream_new(struct gv_loop *loop, const char *peer);

/* Takes the env's stream, which has just been accepted or made, and begins to read. */
void gv_world_stream_adopt(struct grove_stream *stream, struct gv_stream *base);

/* The first n_bytes of what is kept have been read. */
void gv_stream_drop(struct grove_stream *stream, size_t n_bytes);

/* The loop of the caller, who may use the stream; or the reason why not. */
static inline int gv_stream_begin(struct grove_stream *stream, const char *function,
                                  struct gv_loop **loop)
{
    *loop = gv_io_loop();
    if (gv_unlikely(*loop == NULL))
        return gv_usage_wait(function);
    if (gv_unlikely(stream == NULL))
        return gv_usage("%s: there is no stream; accept, connect or open one first", function);
    if (gv_unlikely(stream->loop != *loop))
        return gv_usage("%s: the stream belongs to loop %u and this is loop %u; use it where it "
                        "was opened, and send others what was read",
                        function, stream->loop->index, (*loop)->index);
    if (gv_unlikely((*loop)->turn->cancelled))
        return gv_io_failed(*loop, GROVE_ECANCELED, function, stream->peer);
    return 0;
}

/* What never waits must not keep all others from their turns. */
static inline int gv_stream_done_at_once(struct gv_loop *loop, struct grove_stream *stream)
{
    if (gv_likely(++stream->n_at_once < GV_AT_ONCE_MAX))
        return 0;
    stream->n_at_once = 0;
    (void)gv_yield(loop); /* It is done, whatever happens to us meanwhile. */
    return 0;
}

#endif
