#include "links/agree.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

/* --- comparing ------------------------------------------------------------------------------------ */

/* A pair of message types still to be compared. */
struct pair {
    const ProtobufCMessageDescriptor *ours;
    const char *theirs;
};

struct comparison {
    const Grove__Link__V1__Schema *theirs;
    struct gv_difference *difference;
    size_t n_pairs;
    struct pair pairs[GV_AGREE_TYPES_MAX];
};

static void __attribute__((format(printf, 3, 4)))
note(struct gv_difference *difference, enum gv_agreement agreement, const char *format, ...)
{
    va_list arguments;

    if (agreement <= difference->agreement)
        return;
    difference->agreement = agreement;
    va_start(arguments, format);
    (void)vsnprintf(difference->why, sizeof difference->why, format,
                    arguments); /* A cut reason is still a reason. */
    va_end(arguments);
}

static const Grove__Link__V1__MessageSchema *their_message(const Grove__Link__V1__Schema *schema,
                                                           const char *name)
{
    for (size_t i = 0; i < schema->n_messages; i++)
        if (strcmp(schema->messages[i]->name, name) == 0)
            return schema->messages[i];
    return NULL;
}

static const Grove__Link__V1__EnumSchema *their_enum(const Grove__Link__V1__Schema *schema,
                                                     const char *name)
{
    for (size_t i = 0; i < schema->n_enums; i++)
        if (strcmp(schema->enums[i]->name, name) == 0)
            return schema->enums[i];
    return NULL;
}

static void compare_later(struct comparison *comparison, const ProtobufCMessageDescriptor *ours,
                          const char *theirs)
{
    for (size_t i = 0; i < comparison->n_pairs; i++)
        if (comparison->pairs[i].ours == ours && strcmp(comparison->pairs[i].theirs, theirs) == 0)
            return;
    if (comparison->n_pairs == GV_AGREE_TYPES_MAX) {
        note(comparison->difference, GV_AGREE_BREAKING, "more than %u message types to compare",
             GV_AGREE_TYPES_MAX);
        return;
    }
    comparison->pairs[comparison->n_pairs++] = (struct pair){ours, theirs};
}

static void compare_enum(struct comparison *comparison, const ProtobufCEnumDescriptor *ours,
                         const char *name)
{
    const Grove__Link__V1__EnumSchema *theirs = their_enum(comparison->theirs, name);
    struct gv_difference *difference = comparison->difference;

    if (theirs == NULL) {
        note(difference, GV_AGREE_BREAKING, "enum %s is not described by the other side", name);
        return;
    }
    for (size_t i = 0; i < theirs->n_values; i++) {
        const char *value_name = theirs->values[i]->name;
        const ProtobufCEnumValue *same_name =
            protobuf_c_enum_descriptor_get_value_by_name(ours, value_name);

        if (same_name != NULL && same_name->value != theirs->values[i]->number)
            note(difference, GV_AGREE_BREAKING, "%s of enum %s is %d here and %d there", value_name,
                 ours->name, same_name->value, theirs->values[i]->number);
        else if (same_name == NULL)
            note(difference, GV_AGREE_ADDITIVE, "%s of enum %s is known there alone", value_name,
                 ours->name);
    }
    if (ours->n_values > theirs->n_values)
        note(difference, GV_AGREE_ADDITIVE, "enum %s has more values here", ours->name);
}

static bool in_oneof(const ProtobufCFieldDescriptor *field)
{
    return field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

/* One number that both sides have. */
static void compare_field(struct comparison *comparison, const ProtobufCMessageDescriptor *message,
                          const ProtobufCFieldDescriptor *ours,
                          const Grove__Link__V1__FieldSchema *theirs)
{
    struct gv_difference *difference = comparison->difference;
    bool repeated = ours->label == PROTOBUF_C_LABEL_REPEATED;

    if (theirs->type != (uint32_t)ours->type)
        note(difference, GV_AGREE_BREAKING, "%s.%s has another type there", message->name,
             ours->name);
    else if ((theirs->label == PROTOBUF_C_LABEL_REPEATED) != repeated)
        note(difference, GV_AGREE_BREAKING, "%s.%s is a list on one side alone", message->name,
             ours->name);
    else if (theirs->in_oneof != in_oneof(ours))
        note(difference, GV_AGREE_BREAKING, "%s.%s is in a oneof on one side alone", message->name,
             ours->name);
    else if (ours->type == PROTOBUF_C_TYPE_MESSAGE)
        compare_later(comparison, ours->descriptor, theirs->type_name);
    else if (ours->type == PROTOBUF_C_TYPE_ENUM)
        compare_enum(comparison, ours->descriptor, theirs->type_name);
    if (strcmp(theirs->name, ours->name) != 0)
        note(difference, GV_AGREE_ADDITIVE, "%s.%s is called %s there", message->name, ours->name,
             theirs->name);
    if ((theirs->label == PROTOBUF_C_LABEL_REQUIRED) != (ours->label == PROTOBUF_C_LABEL_REQUIRED))
        note(difference, GV_AGREE_BREAKING, "%s.%s is required on one side alone", message->name,
             ours->name);
}

/* A field that only they have. */
static void compare_their_field(struct comparison *comparison,
                                const ProtobufCMessageDescriptor *message,
                                const Grove__Link__V1__FieldSchema *theirs)
{
    const ProtobufCFieldDescriptor *same_name =
        protobuf_c_message_descriptor_get_field_by_name(message, theirs->name);

    if (same_name != NULL)
        note(comparison->difference, GV_AGREE_BREAKING, "%s.%s has number %u here and %u there",
             message->name, theirs->name, same_name->id, theirs->number);
    else if (theirs->label == PROTOBUF_C_LABEL_REQUIRED)
        note(comparison->difference, GV_AGREE_BREAKING, "%s.%s is required there and unknown here",
             message->name, theirs->name);
    else
        note(comparison->difference, GV_AGREE_ADDITIVE, "%s.%s is known there alone", message->name,
             theirs->name);
}

static void compare_our_field(struct comparison *comparison,
                              const ProtobufCMessageDescriptor *message,
                              const ProtobufCFieldDescriptor *ours,
                              const Grove__Link__V1__MessageSchema *theirs)
{
    for (size_t i = 0; i < theirs->n_fields; i++)
        if (theirs->fields[i]->number == ours->id)
            return;
    if (ours->label == PROTOBUF_C_LABEL_REQUIRED)
        note(comparison->difference, GV_AGREE_BREAKING, "%s.%s is required here and unknown there",
             message->name, ours->name);
    else
        note(comparison->difference, GV_AGREE_ADDITIVE, "%s.%s is known here alone", message->name,
             ours->name);
}

static void compare_pair(struct comparison *comparison, struct pair pair)
{
    const Grove__Link__V1__MessageSchema *theirs = their_message(comparison->theirs, pair.theirs);

    if (theirs == NULL) {
        note(comparison->difference, GV_AGREE_BREAKING,
             "message %s is not described by the other side", pair.theirs);
        return;
    }
    for (size_t i = 0; i < theirs->n_fields; i++) {
        const ProtobufCFieldDescriptor *ours =
            protobuf_c_message_descriptor_get_field(pair.ours, theirs->fields[i]->number);

        if (ours != NULL)
            compare_field(comparison, pair.ours, ours, theirs->fields[i]);
        else
            compare_their_field(comparison, pair.ours, theirs->fields[i]);
    }
    for (unsigned i = 0; i < pair.ours->n_fields; i++)
        compare_our_field(comparison, pair.ours, &pair.ours->fields[i], theirs);
}

void gv_agree_message(const ProtobufCMessageDescriptor *ours, const Grove__Link__V1__Schema *theirs,
                      const char *their_name, struct gv_difference *difference)
{
    struct comparison comparison;

    *difference = (struct gv_difference){.agreement = GV_AGREE_SAME};
    comparison.theirs = theirs;
    comparison.difference = difference;
    comparison.n_pairs = 1;
    comparison.pairs[0] = (struct pair){ours, their_name};
    for (size_t i = 0; i < comparison.n_pairs; i++)
        compare_pair(&comparison, comparison.pairs[i]);
}

void gv_agree_method(const struct grove_method *method, const Grove__Link__V1__Schema *theirs,
                     struct gv_difference *difference)
{
    struct gv_difference response;

    *difference = (struct gv_difference){.agreement = GV_AGREE_SAME};
    for (size_t i = 0; i < theirs->n_methods; i++) {
        const Grove__Link__V1__MethodSchema *same = theirs->methods[i];

        if (strcmp(same->name, method->name) != 0)
            continue;
        gv_agree_message(method->request->descriptor, theirs, same->request, difference);
        gv_agree_message(method->response->descriptor, theirs, same->response, &response);
        if (response.agreement > difference->agreement)
            *difference = response;
        return;
    }
    note(difference, GV_AGREE_BREAKING, "the other side did not describe it");
}
