/*
 * Schema: see schema.h.
 */
#include "proto/gen/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/gen/names.h"
#include "proto/gen/text.h"

/* Beyond this the first complaints are the useful ones. */
#define COMPLAINTS_MAX 50

/* --- places -------------------------------------------------------------------------------- */

static void step_down(struct gen_place *place, int32_t step)
{
    if (place->n_steps < GEN_PLACE_STEPS_MAX)
        place->steps[place->n_steps++] = step;
}

struct gen_place gen_place_part(const struct gen_place *place, enum gen_step step)
{
    struct gen_place part = *place;

    step_down(&part, (int32_t)step);
    return part;
}

struct gen_place gen_place_in(const struct gen_place *place, enum gen_step step, size_t index)
{
    struct gen_place child = *place;

    step_down(&child, (int32_t)step);
    step_down(&child, (int32_t)index);
    return child;
}

static const Google__Protobuf__SourceCodeInfo__Location *locate(const struct gen_place *place,
                                                                size_t n_steps)
{
    const Google__Protobuf__SourceCodeInfo *info = place->file->source_code_info;

    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        if (info->location[i]->n_path == n_steps
            && memcmp(info->location[i]->path, place->steps, n_steps * sizeof place->steps[0]) == 0)
            return info->location[i];
    }
    return NULL;
}

const char *gen_place_comment(const struct gen_place *place)
{
    const Google__Protobuf__SourceCodeInfo__Location *location = locate(place, place->n_steps);

    return location == NULL ? NULL : location->leading_comments;
}

void gen_complain(struct gen *gen, const struct gen_place *place, const char *format, ...)
{
    const Google__Protobuf__SourceCodeInfo__Location *location = NULL;
    va_list arguments;

    if (++gen->n_complaints > COMPLAINTS_MAX)
        return;
    for (size_t n = place->n_steps; n > 0 && location == NULL; n--)
        location = locate(place, n);
    bool known = location != NULL && location->n_span >= 2;

    (void)fprintf(stderr, "%s:%d:%d: ", place->file == gen->file ? gen->path : place->file->name,
                  known ? location->span[0] + 1 : 1, known ? location->span[1] + 1 : 1);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* --- types --------------------------------------------------------------------------------- */

static size_t count_nested(const gen_message *message)
{
    /* protoc itself bounds how deep definitions nest. */
    size_t n = 1 + message->n_enum_type;

    for (size_t i = 0; i < message->n_nested_type; i++)
        n += count_nested(message->nested_type[i]);
    return n;
}

static struct gen_type *add_type(struct gen *gen, const char *scope, const char *name,
                                 const struct gen_place *place)
{
    struct gen_type *type = &gen->types[gen->n_types++];
    const char *package = gen->file->package;
    const char *shown;

    type->full_name = scope[0] == '\0' ? name : gen_printf("%s.%s", scope, name);
    type->c_type = gen_c_type(type->full_name);
    type->c_lower = gen_c_lower(type->full_name);
    type->c_upper = gen_c_upper(type->full_name);
    type->place = *place;

    shown = type->full_name;
    if (package != NULL && gen_starts_with(shown, gen_printf("%s.", package)))
        shown += strlen(package) + 1;
    type->local = gen_c_lower(shown);
    return type;
}

static void add_enum(struct gen *gen, const char *scope, const gen_enum *enumeration,
                     const struct gen_place *place)
{
    add_type(gen, scope, enumeration->name, place)->enumeration = enumeration;
}

static void add_message(struct gen *gen, const char *scope, const gen_message *message,
                        const struct gen_place *place)
{
    struct gen_type *type = add_type(gen, scope, message->name, place);

    type->message = message;
    type->is_map_entry = message->options != NULL && message->options->map_entry;
    if (place->n_steps + 4 > GEN_PLACE_STEPS_MAX) {
        gen_complain(gen, place, "messages are declared inside each other too deep; move one out");
        return;
    }
    for (size_t i = 0; i < message->n_nested_type; i++) {
        struct gen_place inner = gen_place_in(place, GEN_MESSAGE_MESSAGE, i);
        add_message(gen, type->full_name, message->nested_type[i], &inner);
    }
    for (size_t i = 0; i < message->n_enum_type; i++) {
        struct gen_place inner = gen_place_in(place, GEN_MESSAGE_ENUM, i);
        add_enum(gen, type->full_name, message->enum_type[i], &inner);
    }
}

static size_t count_types(const gen_set *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n_file; i++) {
        n += set->file[i]->n_enum_type;
        for (size_t k = 0; k < set->file[i]->n_message_type; k++)
            n += count_nested(set->file[i]->message_type[k]);
    }
    return n;
}

static void add_types_of(struct gen *gen, const gen_file *file)
{
    const struct gen_place root = {.file = file};
    const char *package = file->package == NULL ? "" : file->package;

    for (size_t i = 0; i < file->n_message_type; i++) {
        struct gen_place place = gen_place_in(&root, GEN_FILE_MESSAGE, i);
        add_message(gen, package, file->message_type[i], &place);
    }
    for (size_t i = 0; i < file->n_enum_type; i++) {
        struct gen_place place = gen_place_in(&root, GEN_FILE_ENUM, i);
        add_enum(gen, package, file->enum_type[i], &place);
    }
}

bool gen_schema_open(struct gen *gen, const uint8_t *bytes, size_t n_bytes)
{
    gen->set = google__protobuf__file_descriptor_set__unpack(&gen_allocator, n_bytes, bytes);
    if (gen->set == NULL || gen->set->n_file == 0) {
        (void)fprintf(stderr, "grove-gen: protoc wrote no descriptor set for %s\n", gen->path);
        return false;
    }

    /* protoc writes imports first and the file itself last. */
    gen->file = gen->set->file[gen->set->n_file - 1];
    gen->file_name = gen->file->name;
    gen->types = gen_alloc(sizeof *gen->types * (count_types(gen->set) + 1));
    for (size_t i = 0; i < gen->set->n_file; i++)
        add_types_of(gen, gen->set->file[i]);
    return true;
}

struct gen_type *gen_type_find(const struct gen *gen, const char *full_name)
{
    if (full_name == NULL)
        return NULL;
    if (full_name[0] == '.')
        full_name++;
    for (size_t i = 0; i < gen->n_types; i++) {
        if (strcmp(gen->types[i].full_name, full_name) == 0)
            return &gen->types[i];
    }
    return NULL;
}

bool gen_file_is_known(const gen_file *file)
{
    return gen_starts_with(file->name, "google/") || strcmp(file->name, "grove/options.proto") == 0;
}

/* --- fields -------------------------------------------------------------------------------- */

bool gen_field_is_repeated(const gen_field *field)
{
    return field->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
}

bool gen_field_is_message(const gen_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE;
}

bool gen_field_is_enum(const gen_field *field)
{
    return field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM;
}

bool gen_field_is_number(const gen_field *field)
{
    return !gen_field_is_repeated(field) && !gen_field_is_message(field)
           && field->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING
           && field->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES
           && field->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP;
}
