/*
 * Validate: one pass over the bytes of a message before anybody unpacks it.
 *
 * protobuf-c recurses without a limit, takes a field that stands there
 * twice otherwise than Google's parser, and lets NUL and broken UTF-8 into
 * strings. The validator lets through only bytes that every parser reads
 * alike, and that unpack within known bounds of stack and memory. It
 * allocates nothing and does not recurse; it needs 10 KiB of stack, so call
 * it on a thread's main stack.
 *
 * What it cannot see: a map is a repeated message for protobuf-c, so two
 * entries with one key pass.
 */
#ifndef GV_VALIDATE_H
#define GV_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* Messages inside each other, the outermost included. No limit can be set higher. */
#define GV_DEPTH_MAX 32

/* Fields of all message types that are open at once, the sum of their declarations. */
#define GV_OPEN_FIELDS_MAX 2048

struct gv_limits {
    size_t bytes_max;            /* of the whole message */
    uint32_t depth_max;          /* at most GV_DEPTH_MAX */
    uint32_t field_elements_max; /* of one repeated field of one message */
    uint32_t elements_max;       /* fields and elements in all, unknown ones too */
    bool unknown_enums;          /* let values through that the enum does not name */
};

/* 16 MiB, depth 32, 4 096 elements of a field, 65 536 in all, no unknown enum values. */
extern const struct gv_limits gv_limits_default;

/* Why bytes were refused. Texts are lent forever; nothing of the bytes is in them. */
struct gv_validate_error {
    const char *why;     /* "the string is not UTF-8" */
    const char *message; /* type it happened in: "bank.v1.WithdrawRequest" */
    const char *field;   /* its field, NULL if none is known */
    uint32_t number;     /* number of the field on the wire, 0 before one was read */
    size_t offset;       /* of the byte where it was noticed */
    size_t
        scratch_bytes; /* when they pass: what protobuf-c takes beside the message to unpack it */
};

/*
 * True if the n_bytes are a message of the descriptor's type within limits
 * (NULL: the default), with error->scratch_bytes set. Else false, and *error
 * says why. error may be NULL.
 */
bool gv_validate(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t n_bytes,
                 const struct gv_limits *limits, struct gv_validate_error *error);

#endif
