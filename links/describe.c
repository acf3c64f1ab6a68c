/*
 * Describing messages to the other side of a link: from protobuf-c's
 * descriptors to grove.link.v1.Schema.
 */
#include <string.h>

#include <grove/error.h>

#include "links/agree.h"

/* Types met so far; each is described once. */
struct types {
    struct gv_capped_arena *arena;
    size_t n_messages, n_enums;
    const ProtobufCMessageDescriptor *messages[GV_AGREE_TYPES_MAX];
    const ProtobufCEnumDescriptor *enums[GV_AGREE_TYPES_MAX];
};

static int meet_message(struct types *types, const ProtobufCMessageDescriptor *descriptor)
{
    for (size_t i = 0; i < types->n_messages; i++)
        if (types->messages[i] == descriptor)
            return 0;
    if (types->n_messages == GV_AGREE_TYPES_MAX)
        return GROVE_ETOOBIG;
    types->messages[types->n_messages++] = descriptor;
    return 0;
}

static int meet_enum(struct types *types, const ProtobufCEnumDescriptor *descriptor)
{
    for (size_t i = 0; i < types->n_enums; i++)
        if (types->enums[i] == descriptor)
            return 0;
    if (types->n_enums == GV_AGREE_TYPES_MAX)
        return GROVE_ETOOBIG;
    types->enums[types->n_enums++] = descriptor;
    return 0;
}

/* An array of n pointers to n structs of bytes each; NULL when the arena is used up. */
static void **take_list(struct types *types, size_t n, size_t bytes)
{
    void **list = gv_capped_arena_alloc(types->arena, (n != 0 ? n : 1) * sizeof *list);

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = gv_capped_arena_alloc(types->arena, bytes);
        if (list[i] == NULL)
            return NULL;
    }
    return list;
}

static int describe_field(struct types *types, const ProtobufCFieldDescriptor *ours,
                          Grove__Link__V1__FieldSchema *field)
{
    grove__link__v1__field_schema__init(field);
    field->name = (char *)ours->name;
    field->number = ours->id;
    field->type = (uint32_t)ours->type;
    field->label = (uint32_t)ours->label;
    field->in_oneof = (ours->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (ours->type == PROTOBUF_C_TYPE_MESSAGE) {
        field->type_name = (char *)((const ProtobufCMessageDescriptor *)ours->descriptor)->name;
        return meet_message(types, ours->descriptor);
    }
    if (ours->type == PROTOBUF_C_TYPE_ENUM) {
        field->type_name = (char *)((const ProtobufCEnumDescriptor *)ours->descriptor)->name;
        return meet_enum(types, ours->descriptor);
    }
    return 0;
}

static int describe_message(struct types *types, const ProtobufCMessageDescriptor *ours,
                            Grove__Link__V1__MessageSchema *message)
{
    int rc = 0;

    grove__link__v1__message_schema__init(message);
    message->name = (char *)ours->name;
    message->n_fields = ours->n_fields;
    message->fields =
        (Grove__Link__V1__FieldSchema **)take_list(types, ours->n_fields, sizeof **message->fields);
    if (message->fields == NULL)
        return GROVE_ENOMEM;
    for (unsigned i = 0; rc == 0 && i < ours->n_fields; i++)
        rc = describe_field(types, &ours->fields[i], message->fields[i]);
    return rc;
}

static int describe_enum(struct types *types, const ProtobufCEnumDescriptor *ours,
                         Grove__Link__V1__EnumSchema *schema)
{
    grove__link__v1__enum_schema__init(schema);
    schema->name = (char *)ours->name;
    schema->n_values = ours->n_values;
    schema->values = (Grove__Link__V1__EnumValueSchema **)take_list(types, ours->n_values,
                                                                    sizeof **schema->values);
    if (schema->values == NULL)
        return GROVE_ENOMEM;
    for (unsigned i = 0; i < ours->n_values; i++) {
        grove__link__v1__enum_value_schema__init(schema->values[i]);
        schema->values[i]->name = (char *)ours->values[i].name;
        schema->values[i]->number = ours->values[i].value;
    }
    return 0;
}

static int describe_methods(struct types *types, const struct grove_method *const *methods,
                            Grove__Link__V1__Schema *schema)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < schema->n_methods; i++) {
        Grove__Link__V1__MethodSchema *method = schema->methods[i];

        grove__link__v1__method_schema__init(method);
        method->name = (char *)methods[i]->name;
        method->request = (char *)methods[i]->request->descriptor->name;
        method->response = (char *)methods[i]->response->descriptor->name;
        rc = meet_message(types, methods[i]->request->descriptor);
        if (rc == 0)
            rc = meet_message(types, methods[i]->response->descriptor);
    }
    return rc;
}

/* Describing a message may meet more of them: they are described in turn. */
static int describe_types(struct types *types, Grove__Link__V1__Schema *schema)
{
    Grove__Link__V1__MessageSchema *described[GV_AGREE_TYPES_MAX];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < types->n_messages; i++) {
        described[i] = gv_capped_arena_alloc(types->arena, sizeof *described[i]);
        rc = described[i] != NULL ? describe_message(types, types->messages[i], described[i])
                                  : GROVE_ENOMEM;
    }
    if (rc != 0)
        return rc;
    schema->n_messages = types->n_messages;
    schema->messages =
        gv_capped_arena_alloc(types->arena, (types->n_messages + 1) * sizeof *schema->messages);
    schema->n_enums = types->n_enums;
    schema->enums =
        (Grove__Link__V1__EnumSchema **)take_list(types, types->n_enums, sizeof **schema->enums);
    if (schema->messages == NULL || schema->enums == NULL)
        return GROVE_ENOMEM;
    memcpy(schema->messages, described, types->n_messages * sizeof *schema->messages);
    for (size_t i = 0; rc == 0 && i < types->n_enums; i++)
        rc = describe_enum(types, types->enums[i], schema->enums[i]);
    return rc;
}

int gv_agree_describe(const struct grove_method *const *methods, size_t n_methods,
                      struct gv_capped_arena *arena, Grove__Link__V1__Schema *schema)
{
    struct types types = {.arena = arena};
    int rc;

    grove__link__v1__schema__init(schema);
    schema->n_methods = n_methods;
    schema->methods =
        (Grove__Link__V1__MethodSchema **)take_list(&types, n_methods, sizeof **schema->methods);
    if (schema->methods == NULL)
        return GROVE_ENOMEM;
    rc = describe_methods(&types, methods, schema);
    return rc != 0 ? rc : describe_types(&types, schema);
}
