#include "links/frame.h"

#include "runtime/assert.h"

/* Everything after `length` counts; length itself is proved by the checksum being where it says. */
#define CRC_FROM 4u

static uint16_t read_16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t read_32(const uint8_t *bytes)
{
    return read_16(bytes) | (uint32_t)read_16(bytes + 2) << 16;
}

static uint64_t read_64(const uint8_t *bytes)
{
    return read_32(bytes) | (uint64_t)read_32(bytes + 4) << 32;
}

static void write_16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static void write_32(uint8_t *bytes, uint32_t value)
{
    write_16(bytes, (uint16_t)value);
    write_16(bytes + 2, (uint16_t)(value >> 16));
}

static void write_64(uint8_t *bytes, uint64_t value)
{
    write_32(bytes, (uint32_t)value);
    write_32(bytes + 4, (uint32_t)(value >> 32));
}

/* --- reading ------------------------------------------------------------------------------------ */

void gv_frame_read_head(struct gv_frame *frame, const uint8_t bytes[GV_FRAME_HEAD_BYTES])
{
    *frame = (struct gv_frame){
        .length = read_32(bytes),
        .type = bytes[4],
        .flags = bytes[5],
        .method = read_16(bytes + 6),
        .call = read_64(bytes + 8),
        .target = read_64(bytes + 16),
        .budget_us = read_32(bytes + 24),
        .aux = read_16(bytes + 28),
        .extension_units = bytes[30],
        .hops_lane = bytes[31],
    };
}

const char *gv_frame_check(const struct gv_frame *frame, uint32_t length_max)
{
    if (frame->length > length_max)
        return "a frame is longer than was agreed";
    if (frame->length < 8u * frame->extension_units + GV_FRAME_CHECK_BYTES)
        return "a frame is shorter than its extension and checksum";
    if (frame->flags & GV_FRAME_RESERVED)
        return "a reserved flag of a frame is set";
    if (frame->type == 0 || (frame->type >= GV_FRAME_PROBE && frame->type < GV_FRAME_OPTIONAL))
        return "a frame is of a type that nobody knows";
    return NULL;
}

const char *gv_frame_open(struct gv_frame *frame, const uint8_t *bytes, uint32_t number)
{
    size_t end = GV_FRAME_HEAD_BYTES + frame->length - GV_FRAME_CHECK_BYTES;
    size_t extension_bytes = 8u * frame->extension_units;

    if (read_32(bytes + end) != gv_crc32c(number, bytes + CRC_FROM, end - CRC_FROM))
        return "the checksum of a frame is wrong";
    frame->extension = bytes + GV_FRAME_HEAD_BYTES;
    frame->body = frame->extension + extension_bytes;
    frame->body_bytes = frame->length - GV_FRAME_CHECK_BYTES - extension_bytes;
    return NULL;
}

/* --- writing ------------------------------------------------------------------------------------ */

uint8_t *gv_frame_write_head(const struct gv_frame *frame, uint8_t *bytes, size_t body_bytes)
{
    gv_assert(body_bytes <= UINT32_MAX - GV_FRAME_CHECK_BYTES);
    write_32(bytes, (uint32_t)(body_bytes + GV_FRAME_CHECK_BYTES));
    bytes[4] = frame->type;
    bytes[5] = frame->flags;
    write_16(bytes + 6, frame->method);
    write_64(bytes + 8, frame->call);
    write_64(bytes + 16, frame->target);
    write_32(bytes + 24, frame->budget_us);
    write_16(bytes + 28, frame->aux);
    bytes[30] = 0;
    bytes[31] = frame->hops_lane;
    return bytes + GV_FRAME_HEAD_BYTES;
}

void gv_frame_seal(uint8_t *bytes, uint32_t number)
{
    size_t end = GV_FRAME_HEAD_BYTES + read_32(bytes) - GV_FRAME_CHECK_BYTES;

    write_32(bytes + end, gv_crc32c(number, bytes + CRC_FROM, end - CRC_FROM));
}
