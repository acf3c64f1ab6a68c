#include "sim/liar.h"

#include <stdlib.h>
#include <string.h>

#include "links/frame.h"
#include "sim/fault.h"
#include "sim/world.h"

#define GARBAGE_MAX 200u
#define FRAMES_MAX  64u /* of a write that are looked at */

static void insert(struct gv_sim_bytes *to, size_t at, const uint8_t *bytes, size_t n)
{
    uint8_t *grown = malloc(to->n + n);

    if (grown == NULL)
        gv_sim_crash("no memory for bytes on their way");
    memcpy(grown, to->bytes, at);
    memcpy(grown + at, bytes, n);
    memcpy(grown + at + n, to->bytes + at, to->n - at);
    free(to->bytes);
    to->bytes = grown;
    to->n += n;
}

static void cut_out(struct gv_sim_bytes *from, size_t at, size_t n)
{
    memmove(from->bytes + at, from->bytes + at + n, from->n - at - n);
    from->n -= n;
}

/* --- frames ------------------------------------------------------------------------------------- */

/* Length of the whole frame that begins at `at`, 0 if there is none. */
static size_t frame_bytes(const struct gv_sim_bytes *write, size_t at, struct gv_frame *frame)
{
    if (write->n - at < GV_FRAME_HEAD_BYTES)
        return 0;
    gv_frame_read_head(frame, write->bytes + at);
    if (gv_frame_check(frame, GV_FRAME_MAX_DEFAULT) != NULL
        || write->n - at < GV_FRAME_HEAD_BYTES + (size_t)frame->length)
        return 0;
    return GV_FRAME_HEAD_BYTES + frame->length;
}

/* Where the first frame begins: behind the preface, if that is part of it. */
static size_t first_frame(const struct gv_sim_bytes *write)
{
    return write->n >= GV_FRAME_PREFACE_BYTES
                   && memcmp(write->bytes, GV_FRAME_PREFACE, GV_FRAME_PREFACE_BYTES) == 0
               ? GV_FRAME_PREFACE_BYTES
               : 0;
}

void gv_sim_liar_number(struct gv_sim_liar *liar, struct gv_sim_bytes *write)
{
    size_t at = first_frame(write), n;
    struct gv_frame frame;

    while ((n = frame_bytes(write, at, &frame)) != 0) {
        gv_frame_seal(write->bytes + at, liar->n_frames++);
        at += n;
    }
}

struct gv_sim_bytes gv_sim_liar_release(struct gv_sim_liar *liar)
{
    struct gv_sim_bytes released = {liar->withheld, liar->n_withheld};

    liar->withheld = NULL;
    gv_sim_liar_number(liar, &released);
    return released;
}

/* --- lies --------------------------------------------------------------------------------------- */

/* A REPLY of this write, one of several by chance; 0 bytes if there is none. */
static size_t choose_reply(const struct gv_sim_bytes *write, size_t *place)
{
    size_t at = first_frame(write), n, chosen = 0;
    struct gv_frame frame;
    uint32_t n_replies = 0;

    while ((n = frame_bytes(write, at, &frame)) != 0) {
        if (frame.type == GV_FRAME_REPLY && !(frame.flags & GV_FRAME_MORE)
            && gv_sim_draw(GV_SIM_WORLD, ++n_replies) == 0) {
            *place = at;
            chosen = n;
        }
        at += n;
    }
    return chosen;
}

static void add_garbage(struct gv_sim_bytes *write)
{
    uint8_t garbage[GARBAGE_MAX];
    uint32_t n = 1 + gv_sim_draw(GV_SIM_WORLD, GARBAGE_MAX);

    for (uint32_t i = 0; i < n; i++)
        garbage[i] = (uint8_t)gv_sim_draw(GV_SIM_WORLD, 256);
    insert(write, write->n, garbage, n);
    gv_sim_detail(GV_SIM_LIES_GARBAGE);
}

/* The checksum is right, all else by chance. Calls that exist are not named: what they answer could be true. */
static void add_nonsense(struct gv_sim_bytes *write)
{
    uint8_t bytes[GV_FRAME_HEAD_BYTES + GARBAGE_MAX + GV_FRAME_CHECK_BYTES], *body;
    uint32_t n_body = gv_sim_draw(GV_SIM_WORLD, GARBAGE_MAX);
    struct gv_frame frame = {.budget_us = GV_BUDGET_NONE};

    frame.type = (uint8_t)(1 + gv_sim_draw(GV_SIM_WORLD, GV_FRAME_PROBE - 1));
    frame.flags = gv_sim_draw(GV_SIM_WORLD, 2) == 0 ? GV_FRAME_CALLEE : 0;
    frame.call = gv_sim_random(GV_SIM_WORLD) | UINT64_C(1) << 63;
    frame.target = gv_sim_draw(GV_SIM_WORLD, 1000);
    body = gv_frame_write_head(&frame, bytes, n_body);
    for (uint32_t i = 0; i < n_body; i++)
        body[i] = (uint8_t)gv_sim_draw(GV_SIM_WORLD, 256);
    insert(write, write->n, bytes, gv_frame_bytes(n_body));
    gv_sim_detail(GV_SIM_LIES_FRAME);
}

static void rename_call(uint8_t *bytes)
{
    bytes[15] ^= 0x40; /* of the call, which is never as high */
    gv_sim_detail(GV_SIM_LIES_WRONG_ID);
}

static void hold_back(struct gv_sim_liar *liar, struct gv_sim_bytes *write, size_t at, size_t n)
{
    liar->withheld = malloc(n);
    if (liar->withheld == NULL)
        gv_sim_crash("no memory for a frame held back");
    memcpy(liar->withheld, write->bytes + at, n);
    liar->n_withheld = n;
    cut_out(write, at, n);
    gv_sim_detail(GV_SIM_LIES_LATE);
}

bool gv_sim_liar_lie(struct gv_sim_liar *liar, struct gv_sim_bytes *write)
{
    size_t at = 0, n = choose_reply(write, &at);
    uint32_t kind = gv_sim_draw(GV_SIM_WORLD, 5);

    if (kind == 0) {
        add_garbage(write);
        return true;
    }
    if (kind == 1) {
        add_nonsense(write);
        return true;
    }
    if (n == 0 || (kind == 4 && liar->withheld != NULL))
        return false;
    if (kind == 2) {
        insert(write, at, write->bytes + at, n);
        gv_sim_detail(GV_SIM_LIES_TWICE);
    } else if (kind == 3) {
        rename_call(write->bytes + at);
    } else {
        hold_back(liar, write, at, n);
    }
    return true;
}

/* --- the wire ----------------------------------------------------------------------------------- */

/* Part [*from, *to) of the bytes: whole frames, or any. */
static void choose_part(const struct gv_sim_bytes *bytes, size_t *from, size_t *to)
{
    size_t borders[FRAMES_MAX + 1], at = first_frame(bytes), n;
    uint32_t n_borders = 0, k;
    struct gv_frame frame;

    borders[n_borders++] = at;
    while (n_borders <= FRAMES_MAX && (n = frame_bytes(bytes, at, &frame)) != 0)
        borders[n_borders++] = at += n;
    if (n_borders > 1 && gv_sim_draw(GV_SIM_WORLD, 2) == 0) {
        k = gv_sim_draw(GV_SIM_WORLD, n_borders - 1);
        *from = borders[k];
        *to = borders[k + 1];
        return;
    }
    *from = gv_sim_draw(GV_SIM_WORLD, (uint32_t)bytes->n);
    *to = *from + 1 + gv_sim_draw(GV_SIM_WORLD, (uint32_t)(bytes->n - *from));
}

void gv_sim_wire_spoil(enum grove_sim_fault kind, struct gv_sim_bytes *bytes)
{
    size_t from, to;

    if (bytes->n == 0)
        return;
    if (kind == GROVE_SIM_FLIP) {
        uint32_t bit = gv_sim_draw(GV_SIM_WORLD, (uint32_t)bytes->n * 8);

        gv_sim_note("flip", bit, bytes->n);
        bytes->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        return;
    }
    choose_part(bytes, &from, &to);
    gv_sim_note(gv_sim_fault_name(kind), from, to);
    if (kind == GROVE_SIM_LOSE) {
        cut_out(bytes, from, to - from);
    } else if (kind == GROVE_SIM_DOUBLE) {
        insert(bytes, to, bytes->bytes + from, to - from);
    } else {
        /* The part comes after all that followed it. */
        size_t n = bytes->n;

        insert(bytes, n, bytes->bytes + from, to - from);
        cut_out(bytes, from, to - from);
    }
}
