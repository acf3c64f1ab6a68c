/*
 * Schema: the descriptor set of one .proto and its imports, ready to ask.
 *
 * Built on google/protobuf/descriptor.proto as protoc-c compiles it. Types
 * are indexed by full name. A place is protoc's path to a thing inside its
 * file; line, column and comments are looked up by it. Complaints are
 * printed at once, counted, and decide about the exit status at the end, so
 * that one run shows them all.
 */
#ifndef GEN_SCHEMA_H
#define GEN_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/descriptor.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet gen_set;
typedef Google__Protobuf__FileDescriptorProto gen_file;
typedef Google__Protobuf__DescriptorProto gen_message;
typedef Google__Protobuf__EnumDescriptorProto gen_enum;
typedef Google__Protobuf__FieldDescriptorProto gen_field;
typedef Google__Protobuf__ServiceDescriptorProto gen_service_proto;
typedef Google__Protobuf__MethodDescriptorProto gen_rpc;

/* Field numbers of descriptor.proto that places are made of. */
enum gen_step {
    GEN_FILE_PACKAGE = 2,
    GEN_FILE_DEPENDENCY = 3,
    GEN_FILE_MESSAGE = 4,
    GEN_FILE_ENUM = 5,
    GEN_FILE_SERVICE = 6,
    GEN_FILE_OPTIONS = 8,
    GEN_FILE_SYNTAX = 12,
    GEN_MESSAGE_FIELD = 2,
    GEN_MESSAGE_MESSAGE = 3,
    GEN_MESSAGE_ENUM = 4,
    GEN_MESSAGE_ONEOF = 8,
    GEN_ENUM_VALUE = 2,
    GEN_ENUM_OPTIONS = 3,
    GEN_SERVICE_RPC = 2,
    GEN_SERVICE_OPTIONS = 3,
    GEN_RPC_INPUT = 2,
    GEN_RPC_OUTPUT = 3,
    GEN_RPC_OPTIONS = 4,
    GEN_FIELD_OPTIONS = 8,
};

/* Definitions nested deeper than this half are refused. */
#define GEN_PLACE_STEPS_MAX 40

struct gen_place {
    const gen_file *file;
    int32_t steps[GEN_PLACE_STEPS_MAX];
    size_t n_steps;
};

/* A message or an enum. */
struct gen_type {
    const char *full_name;       /* "bank.v1.WithdrawRequest" */
    const char *c_type;          /* "Bank__V1__WithdrawRequest" */
    const char *c_lower;         /* "bank__v1__withdraw_request" */
    const char *c_upper;         /* "BANK__V1__WITHDRAW_REQUEST" */
    const char *local;           /* "withdraw_request", with the package if it is another's */
    const gen_message *message;  /* NULL for an enum */
    const gen_enum *enumeration; /* NULL for a message */
    struct gen_place place;
    uint64_t fingerprint; /* 0: not computed yet */
    bool is_map_entry;
    bool is_flat;   /* numbers, bools and enums only */
    bool has_shape; /* an rpc takes or returns it */
    bool is_part;   /* a deep message is copied with it */
    enum { GEN_UNSEEN, GEN_ON_PATH, GEN_SEEN } mark;
};

struct gen {
    const char *path;      /* of the .proto, as the user wrote it */
    const char *file_name; /* as protoc calls it */
    gen_set *set;
    const gen_file *file;
    struct gen_type *types; /* messages before the messages nested in them */
    size_t n_types;
    unsigned n_complaints;
};

/* Reads the set that protoc wrote; false after a complaint. */
bool gen_schema_open(struct gen *gen, const uint8_t *bytes, size_t n_bytes);

/* The type of a full name with or without its leading dot, NULL if there is none. */
struct gen_type *gen_type_find(const struct gen *gen, const char *full_name);

/* The place of child number index under place; of an option, give its extension number. */
struct gen_place gen_place_in(const struct gen_place *place, enum gen_step step, size_t index);

/* The place of a part that is not repeated, such as the type of a rpc. */
struct gen_place gen_place_part(const struct gen_place *place, enum gen_step step);

/* The comment right above a place, NULL if there is none. */
const char *gen_place_comment(const struct gen_place *place);

/* Prints FILE:LINE:COL: and the complaint. A place without a line of its own takes its parent's. */
void gen_complain(struct gen *gen, const struct gen_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True for files of google/ and grove/options.proto, which need no code and no rules of ours. */
bool gen_file_is_known(const gen_file *file);

bool gen_field_is_repeated(const gen_field *field);
bool gen_field_is_message(const gen_field *field);
bool gen_field_is_enum(const gen_field *field);
/* Neither repeated nor string, bytes, message. */
bool gen_field_is_number(const gen_field *field);

#endif
