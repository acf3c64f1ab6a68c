/*
 * Flat messages: numbers, bools, enums, and oneofs of them. Only the fields
 * travel, as a struct ordered by size so that nothing is lost to padding.
 * A oneof is its case and a union.
 */
#include <string.h>

#include "proto/gen/emit.h"
#include "proto/gen/names.h"

const char *gen_number_type(const struct gen *gen, const gen_field *field)
{
    switch (field->type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE:
        return "double";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FLOAT:
        return "float";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SFIXED64:
        return "int64_t";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FIXED64:
        return "uint64_t";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FIXED32:
        return "uint32_t";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL:
        return "uint8_t";
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM:
        return gen_type_find(gen, field->type_name)->c_type;
    default:
        return "int32_t";
    }
}

char *gen_case_member(const gen_message *message, const gen_field *field)
{
    return gen_printf("%s_case", gen_lower(message->oneof_decl[field->oneof_index]->name));
}

char *gen_case_constant(const struct gen_type *type, const gen_field *field)
{
    struct gen_text name = {0};
    const char *oneof = type->message->oneof_decl[field->oneof_index]->name;

    gen_put(&name, "%s__%s_", type->c_upper, gen_upper(oneof));
    for (const char *at = field->name; *at != '\0'; at++)
        gen_put(&name, "%c", *at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    return name.bytes;
}

static unsigned bytes_of(const struct gen *gen, const gen_field *field)
{
    const char *type = gen_number_type(gen, field);

    if (gen_field_is_enum(field))
        return 4;
    if (strcmp(type, "uint8_t") == 0)
        return 1;
    return strcmp(type, "double") == 0 || strstr(type, "64") != NULL ? 8 : 4;
}

/* The bytes of a oneof's union: those of its widest member. */
static unsigned union_bytes(const struct gen *gen, const gen_message *message, int32_t oneof)
{
    unsigned widest = 0;

    for (size_t i = 0; i < message->n_field; i++) {
        const gen_field *field = message->field[i];

        if (field->has_oneof_index && field->oneof_index == oneof && bytes_of(gen, field) > widest)
            widest = bytes_of(gen, field);
    }
    return widest;
}

static void emit_union(const struct gen *gen, const gen_message *message, int32_t oneof,
                       struct gen_text *out)
{
    gen_put(out, "    union {\n");
    for (size_t i = 0; i < message->n_field; i++) {
        const gen_field *field = message->field[i];

        if (field->has_oneof_index && field->oneof_index == oneof)
            gen_put(out, "        %s %s;\n", gen_number_type(gen, field),
                    gen_c_member(field->name));
    }
    gen_put(out, "    };\n");
}

static void emit_struct(const struct gen *gen, const struct gen_type *type, struct gen_text *out)
{
    const gen_message *message = type->message;

    gen_put(out, "struct flat_%s {\n", type->local);
    for (unsigned width = 8; width > 0; width = width == 8 ? 4 : width == 4 ? 1 : 0) {
        for (size_t i = 0; i < message->n_field; i++) {
            const gen_field *field = message->field[i];

            if (!field->has_oneof_index && bytes_of(gen, field) == width)
                gen_put(out, "    %s %s;\n", gen_number_type(gen, field),
                        gen_c_member(field->name));
        }
        for (size_t i = 0; i < message->n_oneof_decl; i++) {
            const char *oneof = gen_lower(message->oneof_decl[i]->name);

            if (union_bytes(gen, message, (int32_t)i) == width)
                emit_union(gen, message, (int32_t)i, out);
            if (width == 4)
                gen_put(out, "    uint32_t %s_case;\n", oneof);
        }
    }
    gen_put(out, "};\n\n");
}

/* One way or the other: to->x = from->x for all fields, a switch for each oneof. */
static void emit_fields(const struct gen_type *type, struct gen_text *out)
{
    const gen_message *message = type->message;

    for (size_t i = 0; i < message->n_field; i++) {
        const char *member = gen_c_member(message->field[i]->name);
        bool is_bool =
            message->field[i]->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL;

        if (!message->field[i]->has_oneof_index)
            gen_put(out, "    to->%s = from->%s%s;\n", member, member, is_bool ? " != 0" : "");
    }
    for (size_t k = 0; k < message->n_oneof_decl; k++) {
        const char *oneof = gen_lower(message->oneof_decl[k]->name);

        gen_put(out, "    to->%s_case = from->%s_case;\n    switch ((unsigned)from->%s_case) {\n",
                oneof, oneof, oneof);
        for (size_t i = 0; i < message->n_field; i++) {
            const gen_field *field = message->field[i];
            const char *member = gen_c_member(field->name);
            bool is_bool = field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL;

            if (field->has_oneof_index && field->oneof_index == (int32_t)k)
                gen_put(out, "    case %s:\n        to->%s = from->%s%s;\n        break;\n",
                        gen_case_constant(type, field), member, member, is_bool ? " != 0" : "");
        }
        gen_put(out, "    default:\n        break;\n    }\n");
    }
}

static void emit_empty(const struct gen_type *type, struct gen_text *out)
{
    gen_put(out,
            "static void copy_%s(void *body, const ProtobufCMessage *message)\n{\n"
            "    (void)body;\n    (void)message;\n}\n\n",
            type->local);
    gen_put(out,
            "static void open_%s(ProtobufCMessage *message, void *body)\n{\n    (void)body;\n"
            "    *message = (ProtobufCMessage)PROTOBUF_C_MESSAGE_INIT(&%s__descriptor);\n}\n\n",
            type->local, type->c_lower);
}

void gen_emit_flat(const struct gen *gen, const struct gen_type *type, struct gen_text *out)
{
    if (type->message->n_field == 0) {
        emit_empty(type, out);
        return;
    }

    emit_struct(gen, type, out);
    gen_put(out,
            "static void copy_%s(void *body, const ProtobufCMessage *message)\n{\n"
            "    const %s *from = (const %s *)message;\n    struct flat_%s *to = body;\n\n",
            type->local, type->c_type, type->c_type, type->local);
    emit_fields(type, out);
    gen_put(out, "}\n\n");

    gen_put(out,
            "static void open_%s(ProtobufCMessage *message, void *body)\n{\n"
            "    %s *to = (%s *)message;\n    const struct flat_%s *from = body;\n\n"
            "    to->base = (ProtobufCMessage)PROTOBUF_C_MESSAGE_INIT(&%s__descriptor);\n",
            type->local, type->c_type, type->c_type, type->local, type->c_lower);
    emit_fields(type, out);
    gen_put(out, "}\n\n");
}
