/*
 * Codec: see codec.h.
 */
#include "proto/codec.h"

#include <assert.h>

#include <grove/error.h>

int gv_unpack(const ProtobufCMessageDescriptor *descriptor, struct gv_packed packed,
              struct gv_capped_arena *arena, ProtobufCMessage **message,
              struct gv_validate_error *error)
{
    struct gv_validate_error ours;

    if (error == NULL)
        error = &ours;
    if (!gv_validate(descriptor, packed.bytes, packed.n_bytes, NULL, error))
        return GROVE_EPROTO;

    /* The validator bounds all three, so this cannot overflow. */
    gv_capped_arena_init(arena, GV_UNPACK_FACTOR * packed.n_bytes + GV_UNPACK_BYTES_MORE
                                    + error->scratch_bytes);
    ProtobufCMessage *unpacked =
        protobuf_c_message_unpack(descriptor, &arena->allocator, packed.n_bytes, packed.bytes);
    if (unpacked == NULL) {
        int rc = arena->is_short ? GROVE_ENOMEM : GROVE_ETOOBIG;

        gv_capped_arena_deinit(arena);
        return rc;
    }
    *message = unpacked;
    return 0;
}

/* --- packing ------------------------------------------------------------------------------- */

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static bool is_whole(const ProtobufCMessage *message, unsigned depth);

static bool is_repeated_whole(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field, unsigned depth)
{
    size_t n = *(const size_t *)member(message, field->quantifier_offset);
    const void *array = *(void *const *)member(message, field->offset);

    if (n > 0 && array == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (field->type == PROTOBUF_C_TYPE_MESSAGE
            && !is_whole(((ProtobufCMessage *const *)array)[i], depth))
            return false;
        if (field->type == PROTOBUF_C_TYPE_STRING && ((char *const *)array)[i] == NULL)
            return false;
        if (field->type == PROTOBUF_C_TYPE_BYTES && ((const ProtobufCBinaryData *)array)[i].len > 0
            && ((const ProtobufCBinaryData *)array)[i].data == NULL)
            return false;
    }
    return true;
}

static bool is_field_whole(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           unsigned depth)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return is_repeated_whole(message, field, depth);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0
        && *(const uint32_t *)member(message, field->quantifier_offset) != field->id)
        return true;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *inner = *(ProtobufCMessage *const *)member(message, field->offset);

        return inner == NULL || is_whole(inner, depth);
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = member(message, field->offset);

        return data->len == 0 || data->data != NULL;
    }
    return true;
}

/*
 * True if nothing in it would make protobuf-c follow NULL. Its own
 * protobuf_c_message_check looks at members of a oneof that are not set.
 * Recursion ends: generated message types do not contain themselves.
 */
static bool is_whole(const ProtobufCMessage *message, unsigned depth)
{
    if (message == NULL || depth == 0)
        return false;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        if (!is_field_whole(message, &message->descriptor->fields[i], depth - 1))
            return false;
    }
    return true;
}

int gv_packed_size(const ProtobufCMessage *message, size_t bytes_max, size_t *n_bytes)
{
    if (!is_whole(message, GV_DEPTH_MAX))
        return GROVE_EUSAGE;

    size_t n = protobuf_c_message_get_packed_size(message);
    if (n > bytes_max)
        return GROVE_ETOOBIG;
    *n_bytes = n;
    return 0;
}

void gv_pack(const ProtobufCMessage *message, uint8_t *bytes, size_t n_bytes)
{
    size_t n = protobuf_c_message_pack(message, bytes);

    /* More would have overwritten what lies behind; less means another thread changed it. */
    assert(n == n_bytes);
    (void)n;
    (void)n_bytes;
}
