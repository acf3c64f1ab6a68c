/*
 * Frame: what every link carries, one format for workers, clients, nodes and
 * admin tools. Little-endian; a header of 32 bytes, then an optional
 * extension, the body, and a checksum.
 *
 *     offset size
 *          0    4  length     bytes after the header: extension + body + checksum
 *          4    1  type       enum gv_frame_type
 *          5    1  flags      enum gv_frame_flag
 *          6    2  method     number in the receiver's list of methods, 0 = none
 *          8    8  call       the caller's id, echoed in answers; 0 = the link itself
 *         16    8  target     whom it is for; CREDIT: bytes given back
 *         24    4  budget_us  time left, GV_BUDGET_NONE = no deadline; REPLY: time it took
 *         28    2  aux        CALL: attempt, with STREAM its first credit; REPLY: class 4,
 *                             started 2, code 10; CREDIT of a stream: items given back
 *         30    1  extension  its length in units of 8 bytes
 *         31    1  hops 4 | lane 4
 *         32    …  extension: a packed CallInfo, zero-padded; then the body
 *       last    4  CRC-32C of everything after `length`, going on from the number of
 *                  the frame on its way of this connection, which begins with 0: so a
 *                  frame that was lost, doubled or overtaken is noticed by the next one
 *
 * A CALL with STREAM is answered by ITEMs and one REPLY, which has no body if
 * it is DONE. An ITEM may be sent while credit is left, of items and of
 * bytes: of these GV_STREAM_BYTES at first, and the last ITEM may go beyond.
 * A CREDIT that names the call gives back what was taken.
 *
 * A connection begins with the preface, eight bytes that say the version.
 *
 * Always: gv_frame_check lets a header through before a byte is allocated
 * for what it announces; gv_frame_open gives slices that lie inside it.
 */
#ifndef GV_FRAME_H
#define GV_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_FRAME_HEAD_BYTES    32u
#define GV_FRAME_CHECK_BYTES   4u
#define GV_FRAME_MAX_DEFAULT   (256u << 10) /* of `length`, unless less is agreed */
#define GV_FRAME_MAX_LEAST     4096u        /* nobody may ask for less */
#define GV_FRAME_PREFACE       "GROVE\r\n\x01"
#define GV_FRAME_PREFACE_BYTES 8u
#define GV_BUDGET_NONE         UINT32_MAX
#define GV_STREAM_BYTES        (256u << 10) /* of ITEMs' bodies that are not yet taken, and one more */

enum gv_frame_type {
    GV_FRAME_HELLO = 1,
    GV_FRAME_WELCOME = 2,
    GV_FRAME_CALL = 3,
    GV_FRAME_REPLY = 4,
    GV_FRAME_ITEM = 5,
    GV_FRAME_CREDIT = 6,
    GV_FRAME_CANCEL = 7,
    GV_FRAME_STARTED = 8,
    GV_FRAME_PROGRESS = 9,
    GV_FRAME_PING = 10,
    GV_FRAME_PONG = 11,
    GV_FRAME_DRAIN = 12,
    GV_FRAME_BYE = 13,
    GV_FRAME_CHUNK = 14,
    GV_FRAME_SCHEMA = 15,
    GV_FRAME_MONITOR = 16,
    GV_FRAME_DEMONITOR = 17,
    GV_FRAME_DOWN = 18,
    GV_FRAME_PROBE = 19, /* reserved, as are EXIT and OWNER */
    GV_FRAME_EXIT = 20,
    GV_FRAME_OWNER = 21,
    GV_FRAME_TYPES,
    GV_FRAME_OPTIONAL = 64, /* unknown types from here on are skipped */
};

enum gv_frame_flag {
    GV_FRAME_ONEWAY = 1,
    GV_FRAME_MORE = 2, /* CHUNKs with the rest of the body follow */
    GV_FRAME_SLAB = 4,
    GV_FRAME_STREAM = 8,
    GV_FRAME_LAST = 16,
    GV_FRAME_CALLEE = 32, /* sent by the side that was called */
    GV_FRAME_RETRY_OK = 64,
    GV_FRAME_RESERVED = 128,
};

struct gv_frame {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint16_t method;
    uint64_t call;
    uint64_t target;
    uint32_t budget_us;
    uint16_t aux;
    uint8_t extension_units;
    uint8_t hops_lane;
    /* Not of the header: slices of the bytes that were opened. */
    const uint8_t *extension;
    const uint8_t *body;
    size_t body_bytes;
};

/* Fields of a REPLY's aux. code is only for who looks at the wire; the body says it in full. */
static inline uint16_t gv_frame_outcome(unsigned class, unsigned started, unsigned code)
{
    return (uint16_t)((class & 15) << 12 | (started & 3) << 10 | (code & 1023));
}

static inline unsigned gv_frame_class(const struct gv_frame *frame)
{
    return frame->aux >> 12;
}

static inline unsigned gv_frame_started(const struct gv_frame *frame)
{
    return frame->aux >> 10 & 3;
}

/* Reads a header; body and extension stay unset. */
void gv_frame_read_head(struct gv_frame *frame, const uint8_t bytes[GV_FRAME_HEAD_BYTES]);

/*
 * Why a frame with this header cannot be taken when `length` may be at most
 * length_max; NULL if it can. Lent forever.
 */
const char *gv_frame_check(const struct gv_frame *frame, uint32_t length_max);

/*
 * Opens a whole frame of 32 + length bytes whose header was read and
 * checked: compares the checksum with that of frame number `number`, sets
 * extension and body. Returns NULL, or why not.
 */
const char *gv_frame_open(struct gv_frame *frame, const uint8_t *bytes, uint32_t number);

/* Bytes that a frame without extension takes on the wire. */
static inline size_t gv_frame_bytes(size_t body_bytes)
{
    return GV_FRAME_HEAD_BYTES + body_bytes + GV_FRAME_CHECK_BYTES;
}

/*
 * Writes the header, for body_bytes of body and no extension, and returns
 * where the body belongs; fill it, then seal.
 */
uint8_t *gv_frame_write_head(const struct gv_frame *frame, uint8_t *bytes, size_t body_bytes);

/* Writes the checksum of a frame whose header and body are written: the last thing before it leaves. */
void gv_frame_seal(uint8_t *bytes, uint32_t number);

/* CRC-32C (Castagnoli) of bytes, going on from crc; begin with 0. */
uint32_t gv_crc32c(uint32_t crc, const uint8_t *bytes, size_t n_bytes);

/* The same by table, for processors without the instruction, and for tests. */
uint32_t gv_crc32c_table(uint32_t crc, const uint8_t *bytes, size_t n_bytes);

#endif
