/*
 * Fuzz entry of the validator. The first byte chooses the message type, the
 * rest are its bytes. What passes must unpack below its cap, pack, and read
 * back as the same; anything else aborts.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "kinds.grove.h"
#include "proto/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &kinds__v1__deep_request__descriptor,
    &kinds__v1__flat_request__descriptor,
    &kinds__v1__nest__descriptor,
};

/* Packs into memory of exactly the size measured; the caller frees it. */
static uint8_t *pack(const ProtobufCMessage *message, size_t *n_bytes)
{
    if (gv_packed_size(message, SIZE_MAX, n_bytes) != 0)
        abort();
    uint8_t *bytes = malloc(*n_bytes + 1);
    if (bytes == NULL)
        abort();
    gv_pack(message, bytes, *n_bytes);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct gv_capped_arena arena;
    struct gv_capped_arena again_arena;
    ProtobufCMessage *message;
    ProtobufCMessage *again;
    size_t n_packed;
    size_t n_again;

    if (n_bytes == 0)
        return 0;
    const ProtobufCMessageDescriptor *descriptor =
        descriptors[bytes[0] % (sizeof descriptors / sizeof descriptors[0])];
    int rc =
        gv_unpack(descriptor, (struct gv_packed){bytes + 1, n_bytes - 1}, &arena, &message, NULL);
    if (rc == GROVE_EPROTO || rc == GROVE_ETOOBIG)
        return 0;
    if (rc != 0)
        abort();

    uint8_t *packed = pack(message, &n_packed);
    rc = gv_unpack(descriptor, (struct gv_packed){packed, n_packed}, &again_arena, &again, NULL);
    if (rc == GROVE_ETOOBIG && n_packed < n_bytes - 1)
        goto out; /* longer bytes may take more memory than shorter ones of the same meaning */
    if (rc != 0)
        abort();
    uint8_t *packed_again = pack(again, &n_again);
    if (n_again != n_packed || memcmp(packed, packed_again, n_packed) != 0)
        abort();

    free(packed_again);
    gv_capped_arena_deinit(&again_arena);
out:
    free(packed);
    gv_capped_arena_deinit(&arena);
    return 0;
}
