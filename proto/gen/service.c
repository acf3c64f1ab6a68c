/*
 * Service: see service.h.
 */
#include "proto/gen/service.h"

#include <stdlib.h>
#include <string.h>

#include "proto/gen/names.h"
#include "proto/gen/text.h"

/* --- options ------------------------------------------------------------------------------- */

static const ProtobufCMessageUnknownField *find_option(const ProtobufCMessage *options,
                                                       enum gen_option option)
{
    for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
        if (options->unknown_fields[i].tag == (uint32_t)option)
            return &options->unknown_fields[i];
    }
    return NULL;
}

static uint64_t read_varint(const uint8_t *bytes, size_t n_bytes, size_t *n_used)
{
    uint64_t number = 0;
    size_t i = 0;

    for (unsigned shift = 0; i < n_bytes && shift < 64; shift += 7) {
        number |= (uint64_t)(bytes[i] & 0x7f) << shift;
        if ((bytes[i++] & 0x80) == 0)
            break;
    }
    *n_used = i;
    return number;
}

bool gen_option_is_set(const ProtobufCMessage *options, enum gen_option option)
{
    return find_option(options, option) != NULL;
}

bool gen_option_number(const ProtobufCMessage *options, enum gen_option option, uint64_t *number)
{
    const ProtobufCMessageUnknownField *field = find_option(options, option);
    size_t n_used;

    if (field == NULL || field->wire_type != PROTOBUF_C_WIRE_TYPE_VARINT)
        return false;
    *number = read_varint(field->data, field->len, &n_used);
    return true;
}

bool gen_option_text(const ProtobufCMessage *options, enum gen_option option, const char **text)
{
    const ProtobufCMessageUnknownField *field = find_option(options, option);
    size_t n_used;

    if (field == NULL || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return false;
    /* protobuf-c keeps the length in front of the bytes. */
    size_t n = (size_t)read_varint(field->data, field->len, &n_used);
    if (n > field->len - n_used)
        return false;
    *text = gen_prefix((const char *)field->data + n_used, n);
    return true;
}

uint32_t gen_marked_field(const gen_message *message, enum gen_option option)
{
    for (size_t i = 0; i < message->n_field; i++) {
        uint64_t on = 0;

        if (gen_option_number(GEN_BASE(message->field[i]->options), option, &on) && on != 0)
            return (uint32_t)message->field[i]->number;
    }
    return 0;
}

const char *gen_connect_code(const Google__Protobuf__EnumValueDescriptorProto *value)
{
    static const char *const names[] = {
        NULL,
        "invalid_argument",
        "not_found",
        "already_exists",
        "permission_denied",
        "unauthenticated",
        "resource_exhausted",
        "aborted",
        "out_of_range",
        "unimplemented",
        "unavailable",
        "internal",
        "data_loss",
        "deadline_exceeded",
        "canceled",
        "unknown",
    };
    uint64_t code = 0;

    (void)gen_option_number(GEN_BASE(value->options), GEN_OPTION_CODE, &code); /* 0 if not set */
    return code < sizeof names / sizeof names[0] ? names[code] : NULL;
}

/* --- services ------------------------------------------------------------------------------ */

static unsigned idempotency_of(const Google__Protobuf__MethodOptions *options)
{
    if (options == NULL || !options->has_idempotency_level)
        return 0;
    switch (options->idempotency_level) {
    case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS:
        return 1;
    case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT:
        return 2;
    default:
        return 0;
    }
}

static void fill_method(const struct gen *gen, const struct gen_service *service, size_t index,
                        struct gen_method *method)
{
    const gen_rpc *rpc = service->proto->method[index];
    const ProtobufCMessage *options = GEN_BASE(rpc->options);

    method->rpc = rpc;
    method->place = gen_place_in(&service->place, GEN_SERVICE_RPC, index);
    method->full_name = gen_printf("%s/%s", service->full_name, rpc->name);
    method->member = gen_not_keyword(gen_lower(rpc->name));
    method->verb = gen_printf("%s_%s", service->local, gen_lower(rpc->name));
    method->constant = gen_printf("%s_METHOD_%s", gen_upper(service->local), gen_upper(rpc->name));
    method->request = gen_type_find(gen, rpc->input_type);
    method->response = gen_type_find(gen, rpc->output_type);
    (void)gen_option_text(options, GEN_OPTION_POOL, &method->pool); /* each keeps its zero */
    (void)gen_option_number(options, GEN_OPTION_ISOLATION, &method->isolation);
    (void)gen_option_number(options, GEN_OPTION_TIMEOUT_MS, &method->timeout_ms);
    (void)gen_option_number(options, GEN_OPTION_AUDIENCE, &method->audience);
    (void)gen_option_number(options, GEN_OPTION_OVERFLOW, &method->overflow);
    (void)gen_option_number(options, GEN_OPTION_PRIORITY, &method->priority);
    (void)gen_option_number(options, GEN_OPTION_READONLY, &method->readonly);
    (void)gen_option_number(options, GEN_OPTION_REENTRANT, &method->reentrant);
    (void)gen_option_number(options, GEN_OPTION_CREDIT, &method->credit);
    method->streams = rpc->server_streaming != 0;
    method->idempotency = idempotency_of(rpc->options);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gen_method *)a)->full_name,
                  ((const struct gen_method *)b)->full_name);
}

static void fill_service(const struct gen *gen, size_t index, struct gen_service *service)
{
    const struct gen_place root = {.file = gen->file};
    const char *package = gen->file->package;

    service->proto = gen->file->service[index];
    service->place = gen_place_in(&root, GEN_FILE_SERVICE, index);
    service->full_name = package == NULL || package[0] == '\0'
                             ? service->proto->name
                             : gen_printf("%s.%s", package, service->proto->name);
    service->local = gen_service_local(service->proto->name);
    service->state = gen_not_keyword(gen_printf("%s", service->local));
    if (gen_option_text(GEN_BASE(service->proto->options), GEN_OPTION_REFUSALS,
                        &service->refusals_name))
        service->refusals = gen_type_find(gen, service->refusals_name);

    service->n_methods = service->proto->n_method;
    service->methods = gen_alloc(sizeof *service->methods * (service->n_methods + 1));
    for (size_t i = 0; i < service->n_methods; i++) {
        fill_method(gen, service, i, &service->methods[i]);
        service->has_actor = service->has_actor || service->methods[i].isolation != GEN_WORKER;
    }
    qsort(service->methods, service->n_methods, sizeof *service->methods, by_name);
}

struct gen_service *gen_services(const struct gen *gen, size_t *n_services)
{
    struct gen_service *services = gen_alloc(sizeof *services * (gen->file->n_service + 1));

    for (size_t i = 0; i < gen->file->n_service; i++)
        fill_service(gen, i, &services[i]);
    *n_services = gen->file->n_service;
    return services;
}
