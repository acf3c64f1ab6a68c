/*
 * Validate: see validate.h.
 *
 * A stack of frames stands for the messages that are open. For each open
 * message there is one counter per declared field, all in one array that
 * grows and shrinks with the stack: it finds singular fields that come
 * twice and counts the elements of repeated ones.
 */
#include "proto/validate.h"

#include <string.h>

const struct gv_limits gv_limits_default = {
    .bytes_max = 16u << 20,
    .depth_max = GV_DEPTH_MAX,
    .field_elements_max = 4096,
    .elements_max = 65536,
};

#define NUMBER_MAX       ((1u << 29) - 1)
#define TAG_BYTES_MAX    5
#define LENGTH_BYTES_MAX 5 /* protobuf-c reads no more */
#define VARINT_BYTES_MAX 10

struct frame {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *end;   /* of this message */
    size_t first_counter; /* of its fields */
    uint32_t n_members;   /* read so far, unknown ones too */
};

struct walk {
    const struct gv_limits *limits;
    const uint8_t *begin;
    const uint8_t *at;
    const char *why;                       /* NULL while all is well */
    const ProtobufCFieldDescriptor *field; /* NULL: unknown */
    uint32_t number;
    uint32_t n_elements;
    size_t scratch_bytes;
    size_t n_counters;
    unsigned depth; /* frames in use */
    struct frame frames[GV_DEPTH_MAX];
    uint32_t counters[GV_OPEN_FIELDS_MAX];
};

static bool refuse(struct walk *walk, const char *why)
{
    walk->why = why;
    return false;
}

static struct frame *top(struct walk *walk)
{
    return &walk->frames[walk->depth - 1];
}

/* --- small things -------------------------------------------------------------------------- */

/* Reads a varint of at most bytes_max bytes before end; the bytes it has, 0 if there is none. */
static unsigned read_varint(const uint8_t *at, const uint8_t *end, unsigned bytes_max,
                            uint64_t *number)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < bytes_max && at + i < end; i++) {
        sum |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if ((at[i] & 0x80) == 0) {
            *number = sum;
            return i + 1;
        }
    }
    return 0;
}

/* How many bytes the UTF-8 character at *at has, 0 if it is none (RFC 3629, table 3-7 of Unicode). */
static unsigned character_bytes(const uint8_t *at, size_t n_bytes)
{
    uint8_t first = at[0];
    unsigned n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if (n == 0 || first > 0xf4 || n > n_bytes)
        return 0;
    if (n > 1 && (at[1] < low || at[1] > high))
        return 0;
    for (unsigned i = 2; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

static bool check_string(struct walk *walk, size_t n_bytes)
{
    const uint8_t *at = walk->at;
    const uint8_t *end = walk->at + n_bytes;

    if (n_bytes > 0 && memchr(at, 0, n_bytes) != NULL)
        return refuse(walk, "the string has a NUL in it");
    while (at < end) {
        unsigned n = character_bytes(at, (size_t)(end - at));

        if (n == 0)
            return refuse(walk, "the string is not UTF-8");
        at += n;
    }
    return true;
}

static bool check_enum(struct walk *walk, uint64_t number)
{
    const ProtobufCEnumDescriptor *descriptor = walk->field->descriptor;

    /* Parsers keep the low 32 bits. */
    if (walk->limits->unknown_enums
        || protobuf_c_enum_descriptor_get_value(descriptor, (int)(uint32_t)number) != NULL)
        return true;
    return refuse(walk, "the enum has no such value");
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* --- counting ------------------------------------------------------------------------------ */

static bool count(struct walk *walk, uint64_t n)
{
    if (n > walk->limits->elements_max - walk->n_elements)
        return refuse(walk, "the message has too many fields and elements in all");
    walk->n_elements += (uint32_t)n;
    return true;
}

/* Counts n more elements of the current repeated field. */
static bool count_field(struct walk *walk, uint64_t n)
{
    const struct frame *frame = top(walk);
    uint32_t *counter =
        &walk->counters[frame->first_counter + (size_t)(walk->field - frame->descriptor->fields)];

    if (n > walk->limits->field_elements_max - *counter)
        return refuse(walk, "the repeated field has too many elements");
    *counter += (uint32_t)n;
    return true;
}

/* A singular field may come once, and of a oneof one member. */
static bool count_singular(struct walk *walk)
{
    const struct frame *frame = top(walk);
    const ProtobufCFieldDescriptor *fields = frame->descriptor->fields;
    uint32_t *counters = &walk->counters[frame->first_counter];

    if (counters[walk->field - fields]++ > 0)
        return refuse(walk, "the field stands there twice");
    if ((walk->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return true;
    for (unsigned i = 0; i < frame->descriptor->n_fields; i++) {
        bool same = (fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0
                    && fields[i].quantifier_offset == walk->field->quantifier_offset;

        if (same && &fields[i] != walk->field && counters[i] > 0)
            return refuse(walk, "two members of one oneof are set");
    }
    return true;
}

/* --- messages ------------------------------------------------------------------------------ */

static bool open_message(struct walk *walk, const ProtobufCMessageDescriptor *descriptor,
                         size_t n_bytes)
{
    if (walk->depth >= walk->limits->depth_max || walk->depth >= GV_DEPTH_MAX)
        return refuse(walk, "messages are nested too deep");
    if (descriptor->n_fields > GV_OPEN_FIELDS_MAX - walk->n_counters)
        return refuse(walk, "the open messages have too many kinds of fields");

    walk->frames[walk->depth++] =
        (struct frame){descriptor, walk->at + n_bytes, walk->n_counters, 0};
    memset(&walk->counters[walk->n_counters], 0, descriptor->n_fields * sizeof walk->counters[0]);
    walk->n_counters += descriptor->n_fields;
    return true;
}

/*
 * protobuf-c notes each member of a message in 32 bytes before it reads any:
 * 16 on its stack, then in slabs of 32, 64, 128 ... that it allocates.
 */
static size_t slab_bytes(uint32_t n_members)
{
    size_t n_noted = 16;
    size_t bytes = 0;

    for (size_t slab = 32; n_noted < n_members; slab *= 2) {
        n_noted += slab;
        bytes += slab * 32;
    }
    return bytes;
}

static void close_message(struct walk *walk)
{
    walk->scratch_bytes += slab_bytes(top(walk)->n_members);
    walk->n_counters = top(walk)->first_counter;
    walk->depth--;
}

/* --- fields -------------------------------------------------------------------------------- */

static bool check_packed_varints(struct walk *walk, const uint8_t *end)
{
    while (walk->at < end) {
        uint64_t number;
        unsigned n = read_varint(walk->at, end, VARINT_BYTES_MAX, &number);

        if (n == 0)
            return refuse(walk, "a packed number is cut off or too long");
        /* protobuf-c takes packed bools as one byte each. */
        if (walk->field->type == PROTOBUF_C_TYPE_BOOL && (n > 1 || number > 1))
            return refuse(walk, "a packed bool is neither 0 nor 1");
        if (walk->field->type == PROTOBUF_C_TYPE_ENUM && !check_enum(walk, number))
            return false;
        if (!count(walk, 1) || !count_field(walk, 1))
            return false;
        walk->at += n;
    }
    return true;
}

static bool check_packed(struct walk *walk, size_t n_bytes)
{
    ProtobufCWireType wire_type = wire_type_of(walk->field->type);
    size_t element_bytes = wire_type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;

    if (wire_type == PROTOBUF_C_WIRE_TYPE_VARINT)
        return check_packed_varints(walk, walk->at + n_bytes);
    if (n_bytes % element_bytes != 0)
        return refuse(walk, "a packed number is cut off");
    if (!count(walk, n_bytes / element_bytes) || !count_field(walk, n_bytes / element_bytes))
        return false;
    walk->at += n_bytes;
    return true;
}

/* What stands behind a length: string, bytes, message, packed numbers, or anything if unknown. */
static bool check_length_prefixed(struct walk *walk)
{
    const uint8_t *end = top(walk)->end;
    uint64_t n_bytes;
    unsigned n = read_varint(walk->at, end, LENGTH_BYTES_MAX, &n_bytes);

    if (n == 0)
        return refuse(walk, "the length is cut off or too long");
    if (n_bytes > (uint64_t)(end - walk->at) - n)
        return refuse(walk, "the length leads behind the end");
    walk->at += n;

    if (walk->field != NULL && walk->field->type == PROTOBUF_C_TYPE_MESSAGE)
        return open_message(walk, walk->field->descriptor, (size_t)n_bytes);
    if (walk->field != NULL
        && wire_type_of(walk->field->type) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return check_packed(walk, (size_t)n_bytes);
    if (walk->field != NULL && walk->field->type == PROTOBUF_C_TYPE_STRING
        && !check_string(walk, (size_t)n_bytes))
        return false;
    walk->at += n_bytes;
    return true;
}

static bool check_value(struct walk *walk, unsigned wire_type)
{
    size_t rest = (size_t)(top(walk)->end - walk->at);
    uint64_t number;
    unsigned n;

    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        n = read_varint(walk->at, top(walk)->end, VARINT_BYTES_MAX, &number);
        if (n == 0)
            return refuse(walk, "the number is cut off or too long");
        if (walk->field != NULL && walk->field->type == PROTOBUF_C_TYPE_ENUM
            && !check_enum(walk, number))
            return false;
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        n = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        n = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return check_length_prefixed(walk);
    default:
        return refuse(walk, "groups and unknown wire types are not read");
    }
    if (n > rest)
        return refuse(walk, "the number is cut off");
    walk->at += n;
    return true;
}

/* Tag and value of one field. A message field leaves its message open on the stack. */
static bool check_field(struct walk *walk)
{
    uint64_t tag;
    unsigned n = read_varint(walk->at, top(walk)->end, TAG_BYTES_MAX, &tag);
    unsigned wire_type = (unsigned)(tag & 7);

    walk->field = NULL;
    walk->number = 0;
    if (n == 0)
        return refuse(walk, "the tag is cut off or too long");
    /* The last byte of the shortest form is not zero. */
    if (n > 1 && walk->at[n - 1] == 0)
        return refuse(walk, "the tag is longer than need be");
    if (tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)
        return refuse(walk, "no field has this number");

    top(walk)->n_members++;
    walk->number = (uint32_t)(tag >> 3);
    walk->field = protobuf_c_message_descriptor_get_field(top(walk)->descriptor, walk->number);
    walk->at += n;
    if (walk->field == NULL)
        return count(walk, 1) && check_value(walk, wire_type);

    bool is_repeated = walk->field->label == PROTOBUF_C_LABEL_REPEATED;
    bool is_packed = is_repeated && wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED
                     && wire_type_of(walk->field->type) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    if (!is_packed && wire_type != (unsigned)wire_type_of(walk->field->type))
        return refuse(walk, "the field has another type");
    if (!count(walk, 1))
        return false;
    if (is_repeated ? !is_packed && !count_field(walk, 1) : !count_singular(walk))
        return false;
    return check_value(walk, wire_type);
}

static bool check_all(struct walk *walk, const ProtobufCMessageDescriptor *descriptor,
                      size_t n_bytes)
{
    if (n_bytes > walk->limits->bytes_max)
        return refuse(walk, "the message is larger than the limit");
    if (!open_message(walk, descriptor, n_bytes))
        return false;
    while (walk->depth > 0) {
        if (walk->at == top(walk)->end)
            close_message(walk);
        else if (!check_field(walk))
            return false;
    }
    return true;
}

bool gv_validate(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t n_bytes,
                 const struct gv_limits *limits, struct gv_validate_error *error)
{
    struct walk walk;

    /* Not all of it: the counters are cleared as they are taken. */
    memset(&walk, 0, offsetof(struct walk, frames));
    walk.limits = limits == NULL ? &gv_limits_default : limits;
    walk.begin = bytes == NULL ? (const uint8_t *)"" : bytes;
    walk.at = walk.begin;
    if (check_all(&walk, descriptor, n_bytes)) {
        if (error != NULL)
            *error = (struct gv_validate_error){.scratch_bytes = walk.scratch_bytes};
        return true;
    }
    if (error != NULL)
        *error = (struct gv_validate_error){
            .why = walk.why,
            .message = walk.depth == 0 ? descriptor->name : top(&walk)->descriptor->name,
            .field = walk.field == NULL ? NULL : walk.field->name,
            .number = walk.number,
            .offset = (size_t)(walk.at - walk.begin),
        };
    return false;
}
