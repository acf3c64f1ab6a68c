/*
 * The incoming half of a link: from bytes in any portions to whole frames,
 * and from CHUNKs to whole bodies.
 *
 * Frames are looked at where the bytes lie. Only the begin of a frame whose
 * rest has not come is copied, and bodies in parts.
 */
#include <stdlib.h>
#include <string.h>

#include "links/link.h"

/* --- bodies in parts ------------------------------------------------------------------------------ */

static struct gv_assembly **find_assembly(struct gv_link *link, const struct gv_frame *frame)
{
    struct gv_assembly **at = &link->assemblies;

    while (*at != NULL
           && ((*at)->head.call != frame->call
               || ((*at)->head.flags ^ frame->flags) & GV_FRAME_CALLEE))
        at = &(*at)->next;
    return at;
}

static const char *add_part(struct gv_assembly *assembly, const struct gv_frame *frame)
{
    if (frame->body_bytes > GV_LINK_MESSAGE_MAX - assembly->body.n_bytes)
        return "a body in parts is longer than may be";
    if (frame->body_bytes == 0)
        return NULL; /* There may be no memory yet to add nothing to. */
    if (!gv_bytes_grow(&assembly->body, frame->body_bytes))
        return "memory is short";
    memcpy(assembly->body.bytes + assembly->body.n_bytes, frame->body, frame->body_bytes);
    assembly->body.n_bytes += frame->body_bytes;
    return NULL;
}

static const char *begin_parts(struct gv_link *link, const struct gv_frame *frame)
{
    struct gv_assembly *assembly;

    if (link->state != GV_LINK_READY)
        return "its greeting comes in parts";
    if (!gv_link_is_data(frame->type))
        return "it cut a frame that may not be cut";
    if (*find_assembly(link, frame) != NULL)
        return "it began a second body for one call";
    if (link->n_assemblies == GV_LINK_ASSEMBLIES_MAX)
        return "it sends too many bodies in parts at once";
    if (!gv_peer_may_send((enum gv_peer_class)link->class, !link->dialled, frame->type))
        return "it sent a frame that its class may not send";
    assembly = calloc(1, sizeof *assembly);
    if (assembly == NULL)
        return "memory is short";
    assembly->head = *frame;
    assembly->next = link->assemblies;
    link->assemblies = assembly;
    link->n_assemblies++;
    return add_part(assembly, frame);
}

static const char *chunk_came(struct gv_link *link, const struct gv_frame *frame)
{
    struct gv_assembly **at = find_assembly(link, frame), *assembly = *at;
    const char *why;

    if (assembly == NULL)
        return "it sent a part of no body";
    why = add_part(assembly, frame);
    if (why != NULL || frame->flags & GV_FRAME_MORE)
        return why;
    *at = assembly->next;
    link->n_assemblies--;
    assembly->head.flags &= (uint8_t)~GV_FRAME_MORE;
    assembly->head.body = assembly->body.bytes;
    assembly->head.body_bytes = assembly->body.n_bytes;
    why = gv_link_handle(link, &assembly->head);
    gv_bytes_free(&assembly->body);
    free(assembly);
    return why;
}

/* --- whole frames --------------------------------------------------------------------------------- */

/* Takes the bytes of a data frame from what the peer may send, and gives back in large portions. */
static const char *count_window(struct gv_link *link, const struct gv_frame *frame)
{
    uint64_t n_bytes = GV_FRAME_HEAD_BYTES + (uint64_t)frame->length;
    struct gv_frame credit = {.type = GV_FRAME_CREDIT, .budget_us = GV_BUDGET_NONE};

    if (!gv_link_is_data(frame->type) && frame->type != GV_FRAME_CHUNK)
        return NULL;
    if (n_bytes > link->in_window)
        return "it sent more than its window";
    link->in_window -= n_bytes;
    link->in_taken += n_bytes;
    if (link->in_taken < GV_LINK_WINDOW / 2)
        return NULL;
    credit.target = link->in_taken;
    if (gv_link_send(link, &credit, NULL, 0) != 0)
        return "memory is short";
    link->urgent = true;
    link->in_window += link->in_taken;
    link->in_taken = 0;
    return NULL;
}

static const char *frame_came(struct gv_link *link, struct gv_frame *frame, const uint8_t *bytes)
{
    const char *why = gv_frame_open(frame, bytes, link->in_number++);

    if (why == NULL)
        why = count_window(link, frame);
    if (why != NULL)
        return why;
    if (link->state == GV_LINK_READY && frame->type == GV_FRAME_CHUNK)
        return chunk_came(link, frame);
    if (frame->flags & GV_FRAME_MORE)
        return begin_parts(link, frame);
    return gv_link_handle(link, frame);
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* Bytes that the next piece (preface, header, whole frame) needs, given the n_bytes of it that are here. */
static const char *piece_bytes(struct gv_link *link, const uint8_t *bytes, size_t n_bytes,
                               size_t *need)
{
    struct gv_frame frame;
    const char *why;

    *need = link->preface_came ? GV_FRAME_HEAD_BYTES : GV_FRAME_PREFACE_BYTES;
    if (!link->preface_came || n_bytes < GV_FRAME_HEAD_BYTES)
        return NULL;
    gv_frame_read_head(&frame, bytes);
    why = gv_frame_check(&frame, link->frame_max);
    if (why == NULL)
        *need += frame.length;
    return why;
}

/* Takes one whole piece. */
static const char *piece_came(struct gv_link *link, const uint8_t *bytes)
{
    struct gv_frame frame;

    if (!link->preface_came) {
        if (memcmp(bytes, GV_FRAME_PREFACE, GV_FRAME_PREFACE_BYTES) != 0)
            return "it does not speak this protocol";
        link->preface_came = true;
        return NULL;
    }
    gv_frame_read_head(&frame, bytes);
    return frame_came(link, &frame, bytes);
}

/* Takes as many pieces as there are in the bytes; *used is where the rest begins. */
static const char *take_pieces(struct gv_link *link, const uint8_t *bytes, size_t n_bytes,
                               size_t *used)
{
    *used = 0;
    while (link->state < GV_LINK_CLOSING) {
        size_t need;
        const char *why = piece_bytes(link, bytes + *used, n_bytes - *used, &need);

        if (why != NULL)
            return why;
        if (n_bytes - *used < need)
            return NULL;
        why = piece_came(link, bytes + *used);
        if (why != NULL)
            return why;
        *used += need;
    }
    return NULL;
}

/* Adds bytes to the begun piece until it is whole, and takes it. *used is how many were needed. */
static const char *complete_piece(struct gv_link *link, const uint8_t *bytes, size_t n_bytes,
                                  size_t *used)
{
    *used = 0;
    while (link->in.n_bytes > 0 && link->state < GV_LINK_CLOSING) {
        size_t need, more;
        const char *why = piece_bytes(link, link->in.bytes, link->in.n_bytes, &need);

        if (why != NULL)
            return why;
        if (link->in.n_bytes == need) {
            why = piece_came(link, link->in.bytes);
            link->in.n_bytes = 0;
            return why;
        }
        more = need - link->in.n_bytes;
        if (more > n_bytes - *used)
            more = n_bytes - *used;
        if (more == 0)
            return NULL;
        if (!gv_bytes_grow(&link->in, need - link->in.n_bytes))
            return "memory is short";
        memcpy(link->in.bytes + link->in.n_bytes, bytes + *used, more);
        link->in.n_bytes += more;
        *used += more;
    }
    return NULL;
}

/* Keeps the begin of a piece for the next time. */
static const char *keep(struct gv_link *link, const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes == 0)
        return NULL;
    if (!gv_bytes_grow(&link->in, n_bytes))
        return "memory is short";
    memcpy(link->in.bytes + link->in.n_bytes, bytes, n_bytes);
    link->in.n_bytes += n_bytes;
    return NULL;
}

void gv_link_received(void *owner, const uint8_t *bytes, size_t n_bytes)
{
    struct gv_link *link = owner;
    size_t used = 0, more = 0;
    const char *why;

    link->heard = true;
    why = complete_piece(link, bytes, n_bytes, &used);
    if (why == NULL && link->in.n_bytes == 0)
        why = take_pieces(link, bytes + used, n_bytes - used, &more);
    if (why == NULL && link->state < GV_LINK_CLOSING && link->in.n_bytes == 0)
        why = keep(link, bytes + used + more, n_bytes - used - more);
    if (why != NULL) {
        gv_link_drop(link, why);
        return;
    }
    if (link->state == GV_LINK_READY)
        link->due_ns =
            link->in.n_bytes > 0 ? link->env->now_ns(link->env->world) + GV_LINK_HALF_FRAME_NS : 0;
    /* What the owner has sent leaves when the owner says so: it may be gathering more. */
    if (link->urgent)
        gv_link_flush(link);
}
