/*
 * Tables: fingerprints, the field table, the refusal codes, the schema.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/gen/emit.h"

/* --- fingerprints ---------------------------------------------------------------------------
 *
 * FNV-1a of 64 bits over one line of text per message, enum and field:
 *
 *     message bank.v1.WithdrawRequest
 *     field 1 cents type 3 label 1 oneof - of -
 *     field 2 color type 14 label 1 oneof kind of 0123456789abcdef
 *
 * fields in number order; "of" is the fingerprint of the message or enum.
 */

static uint64_t hash(const struct gen_text *text)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < text->used; i++)
        sum = (sum ^ (uint8_t)text->bytes[i]) * 0x100000001b3;
    return sum == 0 ? 1 : sum;
}

static int by_number(const void *a, const void *b)
{
    const gen_field *left = *(gen_field *const *)a;
    const gen_field *right = *(gen_field *const *)b;

    return (left->number > right->number) - (left->number < right->number);
}

/* The fields of a message in number order. */
static gen_field **sorted_fields(const gen_message *message)
{
    gen_field **fields = gen_alloc(sizeof(gen_field *) * (message->n_field + 1));

    for (size_t i = 0; i < message->n_field; i++)
        fields[i] = message->field[i];
    qsort(fields, message->n_field, sizeof(gen_field *), by_number);
    return fields;
}

uint64_t gen_fingerprint(struct gen *gen, struct gen_type *type)
{
    struct gen_text text = {0};

    if (type->fingerprint != 0)
        return type->fingerprint;
    if (type->enumeration != NULL) {
        gen_put(&text, "enum %s\n", type->full_name);
        for (size_t i = 0; i < type->enumeration->n_value; i++)
            gen_put(&text, "value %" PRId32 " %s\n", type->enumeration->value[i]->number,
                    type->enumeration->value[i]->name);
        return type->fingerprint = hash(&text);
    }

    gen_put(&text, "message %s\n", type->full_name);
    gen_field **fields = sorted_fields(type->message);
    for (size_t i = 0; i < type->message->n_field; i++) {
        const gen_field *field = fields[i];
        const char *oneof = "-";
        const char *of = "-";

        if (field->has_oneof_index)
            oneof = type->message->oneof_decl[field->oneof_index]->name;
        if (gen_field_is_message(field) || gen_field_is_enum(field))
            of = gen_printf("%016" PRIx64,
                            gen_fingerprint(gen, gen_type_find(gen, field->type_name)));
        gen_put(&text, "field %" PRId32 " %s type %d label %d oneof %s of %s\n", field->number,
                field->name, (int)field->type, (int)field->label, oneof, of);
    }
    return type->fingerprint = hash(&text);
}

/* --- fields -------------------------------------------------------------------------------- */

static void emit_field(const struct gen *gen, const struct gen_type *type, const gen_field *field,
                       struct gen_text *out)
{
    const struct gen_type *inner = gen_type_find(gen, field->type_name);
    uint64_t show = 0;
    uint64_t secret = 0;

    (void)gen_option_number(GEN_BASE(field->options), GEN_OPTION_SHOW, &show); /* 0 if not set */
    (void)gen_option_number(GEN_BASE(field->options), GEN_OPTION_SECRET, &secret);
    gen_put(out, "    {.message = \"%s\", .name = \"%s\", .json_name = \"%s\", .number = %" PRId32,
            type->full_name, field->name, field->json_name, field->number);
    if (field->has_oneof_index)
        gen_put(out, ", .oneof = \"%s\"", type->message->oneof_decl[field->oneof_index]->name);
    if (inner != NULL && inner->is_map_entry)
        gen_put(out, ", .is_map = 1");
    if (show != 0)
        gen_put(out, ", .show = 1");
    if (secret != 0)
        gen_put(out, ", .secret = 1");
    gen_put(out, "},\n");
}

static void emit_fields(const struct gen_unit *unit, struct gen_text *out)
{
    const struct gen *gen = unit->gen;
    bool any = false;

    for (size_t i = 0; i < gen->n_types; i++) {
        const struct gen_type *type = &gen->types[i];

        if (type->message == NULL || type->is_map_entry || gen_file_is_known(type->place.file))
            continue;
        for (size_t k = 0; k < type->message->n_field; k++) {
            if (!any)
                gen_put(out, "static const struct grove_field fields[] = {\n");
            any = true;
            emit_field(gen, type, type->message->field[k], out);
        }
    }
    if (any)
        gen_put(out, "};\n\n");
    else
        gen_put(out, "/* No message has a field. */\n"
                     "static const struct grove_field fields[1];\n\n");
}

/* --- refusals ------------------------------------------------------------------------------ */

static void emit_refusal_codes(const struct gen_service *service, struct gen_text *out)
{
    const gen_enum *refusals = service->refusals == NULL ? NULL : service->refusals->enumeration;
    bool any = false;

    for (size_t i = 0; refusals != NULL && i < refusals->n_value; i++) {
        const char *code = gen_connect_code(refusals->value[i]);

        if (code == NULL)
            continue;
        if (!any)
            gen_put(out, "static const struct grove_refusal_code %s_refusal_codes[] = {\n",
                    service->local);
        any = true;
        gen_put(out, "    {%" PRId32 ", \"%s\"},\n", refusals->value[i]->number, code);
    }
    if (any)
        gen_put(out, "};\n\n");
}

/* --- schema -------------------------------------------------------------------------------- */

/* The set without comments, and without the files that every reader knows. */
static void emit_schema(const struct gen_unit *unit, struct gen_text *out)
{
    gen_set set = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_SET__INIT;
    const gen_set *from = unit->gen->set;

    set.file = gen_alloc(sizeof set.file[0] * from->n_file);
    for (size_t i = 0; i < from->n_file; i++) {
        if (gen_file_is_known(from->file[i]))
            continue;
        gen_file *file = gen_alloc(sizeof *file);
        *file = *from->file[i];
        file->source_code_info = NULL;
        set.file[set.n_file++] = file;
    }

    size_t n_bytes = google__protobuf__file_descriptor_set__get_packed_size(&set);
    uint8_t *bytes = gen_alloc(n_bytes);
    (void)google__protobuf__file_descriptor_set__pack(&set, bytes); /* is n_bytes again */

    gen_put(out, "/* A FileDescriptorSet: this file and what it imports. */\n"
                 "static const uint8_t schema[] = {");
    for (size_t i = 0; i < n_bytes; i++)
        gen_put(out, "%s0x%02x,", i % 16 == 0 ? "\n    " : " ", bytes[i]);
    gen_put(out, "\n};\n\n");
}

void gen_emit_tables(const struct gen_unit *unit, struct gen_text *out)
{
    gen_put(out, "/* --- tables --- */\n\n");
    emit_fields(unit, out);
    emit_schema(unit, out);
    for (size_t i = 0; i < unit->n_services; i++)
        emit_refusal_codes(&unit->services[i], out);
}
