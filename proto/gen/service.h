/*
 * Service: what grove-gen knows of each service and rpc before it writes
 * code: C names, options, refusals, in the order of the method table.
 */
#ifndef GEN_SERVICE_H
#define GEN_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/gen/schema.h"

/* Numbers of grove/options.proto. */
enum gen_option {
    GEN_OPTION_ISOLATION = 51001,
    GEN_OPTION_TIMEOUT_MS = 51002,
    GEN_OPTION_POOL = 51003,
    GEN_OPTION_AUDIENCE = 51004,
    GEN_OPTION_OVERFLOW = 51006,
    GEN_OPTION_PRIORITY = 51009,
    GEN_OPTION_CREDIT = 51010,
    GEN_OPTION_READONLY = 51007,
    GEN_OPTION_REENTRANT = 51008,
    GEN_OPTION_REFUSALS = 51011,
    GEN_OPTION_CODE = 51021,
    GEN_OPTION_KEY = 51031,
    GEN_OPTION_PLACEMENT = 51032,
    GEN_OPTION_SHOW = 51033,
    GEN_OPTION_SECRET = 51034,
    GEN_OPTION_PB_C = 1019, /* protobuf-c's own, which change names and types */
};

enum gen_isolation { GEN_INLINE = 0, GEN_THREAD = 1, GEN_WORKER = 2 };

struct gen_method {
    const gen_rpc *rpc;
    struct gen_place place;
    const char *full_name; /* "bank.v1.AccountService/Withdraw" */
    const char *member;    /* "withdraw", "do_" */
    const char *verb;      /* "account_withdraw", before _await and the others */
    const char *constant;  /* "ACCOUNT_METHOD_WITHDRAW" */
    struct gen_type *request;
    struct gen_type *response;
    const char *pool; /* NULL: the default one */
    uint64_t isolation;
    uint64_t timeout_ms;
    uint64_t audience;
    uint64_t overflow;
    uint64_t priority;
    uint64_t readonly;
    uint64_t reentrant;
    uint64_t credit;
    bool streams;         /* items, from a worker */
    unsigned idempotency; /* as grove/method.h numbers it */
};

struct gen_service {
    const gen_service_proto *proto;
    struct gen_place place;
    const char *full_name;      /* "bank.v1.AccountService" */
    const char *local;          /* "account" */
    const char *state;          /* "account", "register_" */
    struct gen_method *methods; /* in name order */
    size_t n_methods;
    const char *refusals_name; /* as the option says it, NULL without */
    struct gen_type *refusals;
    bool has_actor; /* at least one rpc is no WORKER's */
};

/* The services of the file; *n_services of them. Never complains. */
struct gen_service *gen_services(const struct gen *gen, size_t *n_services);

/* Reads an option from what protobuf-c kept of it as unknown; options may be NULL. False if not set. */
bool gen_option_number(const ProtobufCMessage *options, enum gen_option option, uint64_t *number);
bool gen_option_text(const ProtobufCMessage *options, enum gen_option option, const char **text);
bool gen_option_is_set(const ProtobufCMessage *options, enum gen_option option);

/* The number of the field of message that is marked with option, 0 if none is. */
uint32_t gen_marked_field(const gen_message *message, enum gen_option option);

/* The Connect code of an enum value, NULL for failed_precondition. */
const char *gen_connect_code(const Google__Protobuf__EnumValueDescriptorProto *value);

/* The base of options that may be NULL. */
#define GEN_BASE(options) ((options) == NULL ? NULL : &(options)->base)

#endif
