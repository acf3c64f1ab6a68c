/*
 * Codec: messages from and to bytes that cross a process.
 *
 * From outside, bytes are validated first and then unpacked into a capped
 * arena. Both need a thread's main stack: 10 KiB for the validator, up to
 * 32 levels of protobuf-c at 1 KiB each for the rest.
 */
#ifndef GV_CODEC_H
#define GV_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/arena.h"
#include "proto/validate.h"

/*
 * A message may take this many times its bytes in memory, and this much
 * more; what protobuf-c needs beside it while unpacking is not counted.
 */
#define GV_UNPACK_FACTOR     16
#define GV_UNPACK_BYTES_MORE ((size_t)64 << 10)

/* Bytes of a message, lent. */
struct gv_packed {
    const uint8_t *bytes;
    size_t n_bytes;
};

/*
 * Validates (default limits) and unpacks n_bytes into *message. On 0 the
 * message lives in *arena, which was initialised here and is the caller's to
 * deinit. Else there is nothing to deinit: GROVE_EPROTO if the bytes are not
 * such a message (*error says why; it may be NULL), GROVE_ETOOBIG if
 * it needs more memory than it may, GROVE_ENOMEM. Unknown fields are kept.
 */
int gv_unpack(const ProtobufCMessageDescriptor *descriptor, struct gv_packed packed,
              struct gv_capped_arena *arena, ProtobufCMessage **message,
              struct gv_validate_error *error);

/*
 * Measures the packed form. Returns 0 with *n_bytes; GROVE_EUSAGE if the
 * message has NULL for an array or among its elements; GROVE_ETOOBIG beyond
 * bytes_max.
 */
int gv_packed_size(const ProtobufCMessage *message, size_t bytes_max, size_t *n_bytes);

/* Packs a measured message into the n_bytes that were measured. */
void gv_pack(const ProtobufCMessage *message, uint8_t *bytes, size_t n_bytes);

#endif
