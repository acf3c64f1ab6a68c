/*
 * Deep messages: with strings, bytes, repeated fields or messages inside.
 * They travel as their struct with everything it points to behind it, each
 * piece at a multiple of 8. Per message type two functions: bytes_of_X
 * measures, put_X copies to *tail and moves it on.
 */
#include <string.h>

#include "proto/gen/emit.h"
#include "proto/gen/names.h"

static bool is_string(const gen_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING;
}

static bool is_bytes(const gen_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;
}

/* Adds what one field takes behind the struct. */
static void emit_bytes_of_field(const struct gen *gen, const gen_field *field, int n_spaces,
                                struct gen_text *out)
{
    const char *m = gen_c_member(field->name);

    if (gen_field_is_message(field)) {
        const char *local = gen_type_find(gen, field->type_name)->local;

        if (gen_field_is_repeated(field))
            gen_put(out,
                    "%*sbytes = grove_shape_add(bytes, grove_shape_array(from->%s, from->n_%s, "
                    "sizeof from->%s[0]));\n"
                    "%*sfor (size_t i = 0; bytes < SIZE_MAX && i < from->n_%s; i++)\n"
                    "%*sbytes = grove_shape_add(bytes, bytes_of_%s(from->%s[i]));\n",
                    n_spaces, "", m, m, m, n_spaces, "", m, n_spaces + 4, "", local, m);
        else
            gen_put(out,
                    "%*sif (from->%s != NULL)\n"
                    "%*sbytes = grove_shape_add(bytes, bytes_of_%s(from->%s));\n",
                    n_spaces, "", m, n_spaces + 4, "", local, m);
        return;
    }
    if (!gen_field_is_repeated(field)) {
        gen_put(out, "%*sbytes = grove_shape_add(bytes, grove_shape_%s(from->%s));\n", n_spaces, "",
                is_string(field) ? "text" : "data", m);
        return;
    }
    if (is_string(field) || is_bytes(field))
        gen_put(out, "%*sbytes = grove_shape_add(bytes, grove_shape_%s(from->%s, from->n_%s));\n",
                n_spaces, "", is_string(field) ? "texts" : "datas", m, m);
    else
        gen_put(out,
                "%*sbytes = grove_shape_add(bytes, grove_shape_array(from->%s, from->n_%s, "
                "sizeof from->%s[0]));\n",
                n_spaces, "", m, m, m);
}

/* Copies what one field points to and lets the copy's field point there. */
static void emit_put_field(const struct gen *gen, const gen_field *field, int n_spaces,
                           struct gen_text *out)
{
    const char *m = gen_c_member(field->name);

    if (gen_field_is_message(field)) {
        const char *local = gen_type_find(gen, field->type_name)->local;

        if (gen_field_is_repeated(field))
            gen_put(out,
                    "%*sto->%s = grove_shape_put(tail, from->%s, from->n_%s * sizeof "
                    "from->%s[0]);\n"
                    "%*sfor (size_t i = 0; i < from->n_%s; i++)\n"
                    "%*sto->%s[i] = put_%s(tail, from->%s[i]);\n",
                    n_spaces, "", m, m, m, m, n_spaces, "", m, n_spaces + 4, "", m, local, m);
        else
            gen_put(out, "%*sto->%s = from->%s == NULL ? NULL : put_%s(tail, from->%s);\n",
                    n_spaces, "", m, m, local, m);
        return;
    }
    if (!gen_field_is_repeated(field)) {
        gen_put(out, "%*sto->%s = grove_shape_put_%s(tail, from->%s);\n", n_spaces, "", m,
                is_string(field) ? "text" : "data", m);
        return;
    }
    if (is_string(field) || is_bytes(field))
        gen_put(out, "%*sto->%s = grove_shape_put_%s(tail, from->%s, from->n_%s);\n", n_spaces, "",
                m, is_string(field) ? "texts" : "datas", m, m);
    else
        gen_put(out,
                "%*sto->%s = grove_shape_put(tail, from->%s, from->n_%s * sizeof from->%s[0]);\n",
                n_spaces, "", m, m, m, m);
}

typedef void (*emit_fn)(const struct gen *, const gen_field *, int, struct gen_text *);

static bool points(const gen_field *field)
{
    return !gen_field_is_number(field);
}

/* The members of oneof number k that point somewhere, as a switch. */
static void emit_oneof(const struct gen *gen, const struct gen_type *type, int32_t k, emit_fn emit,
                       struct gen_text *out)
{
    const gen_message *message = type->message;
    bool is_open = false;

    for (size_t i = 0; i < message->n_field; i++) {
        const gen_field *field = message->field[i];

        if (!field->has_oneof_index || field->oneof_index != k || !points(field))
            continue;
        if (!is_open)
            gen_put(out, "    switch ((unsigned)from->%s) {\n", gen_case_member(message, field));
        is_open = true;
        gen_put(out, "    case %s:\n", gen_case_constant(type, field));
        emit(gen, field, 8, out);
        gen_put(out, "        break;\n");
    }
    if (is_open)
        gen_put(out, "    default:\n        break;\n    }\n");
}

static void emit_fields(const struct gen *gen, const struct gen_type *type, emit_fn emit,
                        struct gen_text *out)
{
    const gen_message *message = type->message;

    for (size_t i = 0; i < message->n_field; i++) {
        if (!message->field[i]->has_oneof_index && points(message->field[i]))
            emit(gen, message->field[i], 4, out);
    }
    for (size_t k = 0; k < message->n_oneof_decl; k++)
        emit_oneof(gen, type, (int32_t)k, emit, out);
}

void gen_emit_deep(const struct gen *gen, const struct gen_type *type, struct gen_text *out)
{
    gen_put(out,
            "static size_t bytes_of_%s(const %s *from)\n{\n"
            "    if (from == NULL)\n        return SIZE_MAX;\n\n"
            "    size_t bytes = grove_shape_room(sizeof *from);\n",
            type->local, type->c_type);
    emit_fields(gen, type, emit_bytes_of_field, out);
    gen_put(out, "    return bytes;\n}\n\n");

    gen_put(out,
            "static %s *put_%s(char **tail,\n    const %s *from)\n{\n"
            "    %s *to = grove_shape_put(tail, from, sizeof *from);\n\n"
            "    to->base = (ProtobufCMessage)PROTOBUF_C_MESSAGE_INIT(&%s__descriptor);\n",
            type->c_type, type->local, type->c_type, type->c_type, type->c_lower);
    emit_fields(gen, type, emit_put_field, out);
    gen_put(out, "    return to;\n}\n\n");
}
