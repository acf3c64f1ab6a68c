/*
 * The outgoing half of a link: buffers, window, and cutting of large bodies.
 */
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "links/link.h"

#define ROOM_BYTES_MIN  4096u
#define ROOM_BYTES_KEEP (256u << 10) /* a buffer that grew beyond is freed when it is empty */

/* --- bytes ---------------------------------------------------------------------------------------- */

bool gv_bytes_grow(struct gv_bytes *bytes, size_t n_bytes)
{
    size_t room_bytes = bytes->room_bytes != 0 ? bytes->room_bytes : ROOM_BYTES_MIN;
    uint8_t *grown;

    if (bytes->room_bytes - bytes->n_bytes >= n_bytes)
        return true;
    while (room_bytes - bytes->n_bytes < n_bytes)
        room_bytes *= 2;
    grown = realloc(bytes->bytes, room_bytes);
    if (grown == NULL)
        return false;
    bytes->bytes = grown;
    bytes->room_bytes = room_bytes;
    return true;
}

void gv_bytes_free(struct gv_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (struct gv_bytes){0};
}

static void empty(struct gv_bytes *bytes)
{
    bytes->n_bytes = 0;
    if (bytes->room_bytes > ROOM_BYTES_KEEP)
        gv_bytes_free(bytes);
}

/* --- sending -------------------------------------------------------------------------------------- */

/* Appends one frame, to what leaves next or to what waits for the window. */
static int append(struct gv_link *link, const struct gv_frame *frame, const uint8_t *body,
                  size_t body_bytes)
{
    size_t n_bytes = gv_frame_bytes(body_bytes);
    struct gv_bytes *to = &link->out;
    uint8_t *at;

    if (gv_link_is_data(frame->type) || frame->type == GV_FRAME_CHUNK) {
        if (link->held.n_bytes > 0 || link->out_window < n_bytes)
            to = &link->held;
        else
            link->out_window -= n_bytes;
    }
    if (!gv_bytes_grow(to, n_bytes))
        return GROVE_ENOMEM;
    at = to->bytes + to->n_bytes;
    to->n_bytes += n_bytes;
    if (body_bytes > 0)
        memcpy(gv_frame_write_head(frame, at, body_bytes), body, body_bytes);
    else
        (void)gv_frame_write_head(frame, at, 0); /* There is no body to put there. */
    if (to == &link->out) /* What is held is numbered when it follows: others overtake it. */
        gv_frame_seal(at, link->out_number++);
    return 0;
}

int gv_link_send(struct gv_link *link, const struct gv_frame *frame, const uint8_t *body,
                 size_t body_bytes)
{
    size_t part_bytes = link->frame_max - GV_FRAME_CHECK_BYTES;
    struct gv_frame part = *frame;
    int rc;

    if (link->state >= GV_LINK_CLOSING || link->state == GV_LINK_DIALLING)
        return GROVE_EDOWN;
    if (body_bytes > GV_LINK_MESSAGE_MAX)
        return GROVE_ETOOBIG;
    while (body_bytes > part_bytes) {
        part.flags = frame->flags | GV_FRAME_MORE;
        rc = append(link, &part, body, part_bytes);
        if (rc != 0) {
            /* Half a message would block the rest of the link for good. */
            gv_link_drop(link, "memory is short");
            return rc;
        }
        body += part_bytes;
        body_bytes -= part_bytes;
        part = (struct gv_frame){.type = GV_FRAME_CHUNK, .call = frame->call};
    }
    part.flags = frame->flags;
    return append(link, &part, body, body_bytes);
}

/* Frames that have left make room, or a link that always holds something back would grow for ever. */
static void close_gap(struct gv_link *link)
{
    struct gv_bytes *held = &link->held;

    /* Less would be moved too often: so each byte that left pays for one that moves. */
    if (link->held_from < held->n_bytes - link->held_from)
        return;
    held->n_bytes -= link->held_from;
    memmove(held->bytes, held->bytes + link->held_from, held->n_bytes);
    link->held_from = 0;
}

void gv_link_refill(struct gv_link *link, uint64_t n_bytes)
{
    link->out_window += n_bytes;
    while (link->held_from < link->held.n_bytes) {
        const uint8_t *at = link->held.bytes + link->held_from;
        struct gv_frame frame;
        size_t frame_bytes;

        gv_frame_read_head(&frame, at);
        frame_bytes = GV_FRAME_HEAD_BYTES + (size_t)frame.length;
        if (frame_bytes > link->out_window) {
            close_gap(link);
            return;
        }
        if (!gv_bytes_grow(&link->out, frame_bytes)) {
            gv_link_drop(link, "memory is short");
            return;
        }
        memcpy(link->out.bytes + link->out.n_bytes, at, frame_bytes);
        gv_frame_seal(link->out.bytes + link->out.n_bytes, link->out_number++);
        link->out.n_bytes += frame_bytes;
        link->out_window -= frame_bytes;
        link->held_from += frame_bytes;
        link->urgent = true;
    }
    link->held_from = 0;
    empty(&link->held);
}

/* --- writing -------------------------------------------------------------------------------------- */

void gv_link_flush(struct gv_link *link)
{
    struct gv_bytes free_bytes = link->writing;

    if (link->out.n_bytes == 0 || link->state >= GV_LINK_CLOSING || link->state == GV_LINK_DIALLING)
        return;
    if (link->writing.n_bytes > 0) {
        link->flush_wanted = true;
        return;
    }
    link->writing = link->out;
    link->out = free_bytes;
    link->urgent = false;
    link->flush_wanted = false;
    if (link->held.n_bytes == 0)
        link->writing_mark = link->mark;
    /* It fails for a stream that is ending only; then `closed` comes and says so. */
    (void)link->env->stream_write(link->stream, link->writing.bytes, link->writing.n_bytes);
}

void gv_link_has_written(void *owner)
{
    struct gv_link *link = owner;

    empty(&link->writing);
    link->written_mark = link->writing_mark;
    if (link->flush_wanted)
        gv_link_flush(link);
}
