/*
 * Shapes: which messages travel, flat or deep, and their struct grove_shape.
 */
#include <string.h>

#include "proto/gen/emit.h"

static bool is_flat(const gen_message *message)
{
    for (size_t i = 0; i < message->n_field; i++) {
        if (!gen_field_is_number(message->field[i]))
            return false;
    }
    return true;
}

/* Marks a message and all messages inside; there are no cycles here. */
static void mark_parts(const struct gen *gen, struct gen_type *type)
{
    type->is_part = true;
    for (size_t i = 0; i < type->message->n_field; i++) {
        const gen_field *field = type->message->field[i];

        if (gen_field_is_message(field) && !gen_type_find(gen, field->type_name)->is_part)
            mark_parts(gen, gen_type_find(gen, field->type_name));
    }
}

static void mark_shape(const struct gen *gen, struct gen_type *type)
{
    type->has_shape = true;
    type->is_flat = is_flat(type->message);
    if (!type->is_flat)
        mark_parts(gen, type);
}

/* Callees first. */
static void emit_parts(const struct gen *gen, struct gen_type *type, struct gen_text *out)
{
    if (!type->is_part)
        return;
    type->is_part = false;
    for (size_t i = 0; i < type->message->n_field; i++) {
        if (gen_field_is_message(type->message->field[i]))
            emit_parts(gen, gen_type_find(gen, type->message->field[i]->type_name), out);
    }
    gen_emit_deep(gen, type, out);
}

static void emit_deep_shape(const struct gen_type *type, struct gen_text *out)
{
    gen_put(out,
            "static size_t size_of_%s(const ProtobufCMessage *message)\n{\n"
            "    return bytes_of_%s((const %s *)message);\n}\n\n",
            type->local, type->local, type->c_type);
    gen_put(out,
            "static void copy_%s(void *body, const ProtobufCMessage *message)\n{\n"
            "    char *tail = body;\n\n    (void)put_%s(&tail, (const %s *)message); /* is body "
            "itself */\n}\n\n",
            type->local, type->local, type->c_type);
    gen_put(out,
            "static void open_%s(ProtobufCMessage *message, void *body)\n{\n"
            "    *(%s *)message = *(const %s *)body;\n}\n\n",
            type->local, type->c_type, type->c_type);
}

static void emit_shape(const struct gen_type *type, struct gen_text *out)
{
    gen_put(out,
            "static const struct grove_shape shape_of_%s = {\n"
            "    .descriptor = &%s__descriptor,\n    .copy = copy_%s,\n    .open = open_%s,\n",
            type->local, type->c_lower, type->local, type->local);
    if (!type->is_flat)
        gen_put(out, "    .size = size_of_%s,\n", type->local);
    else if (type->message->n_field == 0)
        gen_put(out, "    .flat = 1,\n");
    else
        gen_put(out,
                "    .flat_bytes = (sizeof(struct flat_%s) + 7) & ~(size_t)7,\n    .flat = 1,\n",
                type->local);
    gen_put(out, "};\n\n");
}

void gen_emit_shapes(const struct gen_unit *unit, struct gen_text *out)
{
    struct gen *gen = unit->gen;

    for (size_t i = 0; i < unit->n_services; i++) {
        for (size_t k = 0; k < unit->services[i].n_methods; k++) {
            mark_shape(gen, unit->services[i].methods[k].request);
            mark_shape(gen, unit->services[i].methods[k].response);
        }
    }
    for (size_t i = 0; i < gen->n_types; i++) {
        struct gen_type *type = &gen->types[i];

        if (!type->has_shape)
            continue;
        gen_put(out, "/* --- %s --- */\n\n", type->full_name);
        emit_parts(gen, type, out);
        if (type->is_flat)
            gen_emit_flat(gen, type, out);
        else
            emit_deep_shape(type, out);
        emit_shape(type, out);
    }
}
