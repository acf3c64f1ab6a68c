/*
 * Checks of messages: cycles, presence, marks.
 */
#include <string.h>

#include "proto/gen/check.h"
#include "proto/gen/names.h"

static bool is_marked(const gen_field *field, enum gen_option option)
{
    uint64_t on = 0;

    (void)gen_option_number(GEN_BASE(field->options), option, &on); /* 0 if not set */
    return on != 0;
}

static void check_mark(struct gen *gen, const struct gen_type *type, enum gen_option option,
                       const char *name)
{
    unsigned n_marked = 0;

    for (size_t i = 0; i < type->message->n_field; i++) {
        const gen_field *field = type->message->field[i];
        const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_FIELD, i);

        if (!is_marked(field, option))
            continue;
        if (gen_field_is_repeated(field) || gen_field_is_message(field) || field->has_oneof_index)
            gen_complain(gen, &place,
                         "(grove.%s) needs one value that is always there; mark a number, string "
                         "or bytes field that is neither repeated nor in a oneof",
                         name);
        if (++n_marked == 2)
            gen_complain(gen, &place, "%s has two fields marked (grove.%s); mark one",
                         type->full_name, name);
    }
}

/* Two members of one struct with one name would not compile. */
static void check_members(struct gen *gen, const struct gen_type *type, size_t index)
{
    const gen_message *message = type->message;
    const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_FIELD, index);
    const char *member = gen_c_member(message->field[index]->name);

    if (strcmp(member, "base") == 0)
        gen_complain(gen, &place, "every message in C has a member base already; rename the field");
    for (size_t i = 0; i < message->n_field; i++) {
        const char *other = gen_c_member(message->field[i]->name);

        if (i < index && strcmp(member, other) == 0)
            gen_complain(gen, &place, "%s and %s are both called %s in C; rename one",
                         message->field[i]->name, message->field[index]->name, member);
        if (gen_field_is_repeated(message->field[i])
            && strcmp(member, gen_printf("n_%s", other)) == 0)
            gen_complain(gen, &place, "%s is the length of %s in C; rename one", member,
                         message->field[i]->name);
        if (message->field[i]->has_oneof_index && i != index
            && strcmp(member, gen_case_member(message, message->field[i])) == 0)
            gen_complain(gen, &place, "%s tells in C which field of a oneof is set; rename it",
                         member);
    }
}

static void check_field(struct gen *gen, const struct gen_type *type, size_t index)
{
    const gen_field *field = type->message->field[index];
    const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_FIELD, index);

    if (field->proto3_optional)
        gen_complain(gen, &place,
                     "protobuf-c knows no optional in proto3; put %s alone into a oneof, or use a "
                     "message-typed field, which can be absent",
                     field->name);
    if (is_marked(field, GEN_OPTION_SHOW) && is_marked(field, GEN_OPTION_SECRET))
        gen_complain(gen, &place, "%s is marked (grove.show) and (grove.secret); choose one",
                     field->name);
    if (gen_option_is_set(GEN_BASE(field->options), GEN_OPTION_PB_C))
        gen_complain(gen, &place, "options of protobuf-c are not read by grove-gen; remove them");
    check_members(gen, type, index);
}

/* Follows fields into messages; a message that is met on its own way down holds itself. */
static void find_cycle(struct gen *gen, struct gen_type *type)
{
    type->mark = GEN_ON_PATH;
    for (size_t i = 0; i < type->message->n_field; i++) {
        struct gen_type *inner = NULL;

        if (gen_field_is_message(type->message->field[i]))
            inner = gen_type_find(gen, type->message->field[i]->type_name);
        if (inner == NULL || inner->mark == GEN_SEEN)
            continue;
        if (inner->mark == GEN_UNSEEN) {
            find_cycle(gen, inner);
            continue;
        }
        const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_FIELD, i);
        gen_complain(gen, &place,
                     "%s contains itself through %s, so nothing bounds how deep it is; use a flat "
                     "list with ids, or send the parts as bytes",
                     inner->full_name, type->message->field[i]->name);
    }
    type->mark = GEN_SEEN;
}

void gen_check_messages(const struct gen_unit *unit)
{
    struct gen *gen = unit->gen;

    for (size_t i = 0; i < gen->n_types; i++) {
        struct gen_type *type = &gen->types[i];

        if (type->message == NULL || type->is_map_entry || gen_file_is_known(type->place.file))
            continue;
        for (size_t k = 0; k < type->message->n_field; k++)
            check_field(gen, type, k);
        check_mark(gen, type, GEN_OPTION_KEY, "key");
        check_mark(gen, type, GEN_OPTION_PLACEMENT, "placement");
        if (type->mark == GEN_UNSEEN)
            find_cycle(gen, type);
    }
}
