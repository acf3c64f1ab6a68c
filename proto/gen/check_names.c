/*
 * Checks of names: buf lint STANDARD, without the rule that folders follow
 * packages. Only the file itself is checked, not what it imports.
 */
#include <ctype.h>
#include <string.h>

#include "proto/gen/check.h"
#include "proto/gen/names.h"

/* The last part of a package: v1, v2, v1beta1, v1alpha2. */
static bool is_version(const char *part)
{
    static const char *const stages[] = {"alpha", "beta", "test"};

    if (*part++ != 'v' || !isdigit((unsigned char)*part) || *part == '0')
        return false;
    part += strspn(part, "0123456789");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (gen_starts_with(part, stages[i]))
            return strspn(part + strlen(stages[i]), "0123456789")
                   == strlen(part + strlen(stages[i]));
    }
    return *part == '\0';
}

static void check_package(struct gen *gen)
{
    const struct gen_place root = {.file = gen->file};
    const struct gen_place place = gen_place_part(&root, GEN_FILE_PACKAGE);
    const char *package = gen->file->package;
    const char *dot;

    if (package == NULL || package[0] == '\0') {
        gen_complain(gen, &root, "the file has no package; add one such as: package bank.v1;");
        return;
    }
    dot = strrchr(package, '.');
    if (dot == NULL || !is_version(dot + 1))
        gen_complain(gen, &place, "package %s has no version; call it %s.v1", package, package);
    for (const char *at = package; *at != '\0';) {
        size_t n = strcspn(at, ".");

        if (!gen_is_lower_snake(gen_prefix(at, n)))
            gen_complain(gen, &place, "package %s is not in lower_snake_case; rename it", package);
        at += n + (at[n] == '.');
    }
}

static void check_file_name(struct gen *gen)
{
    const struct gen_place root = {.file = gen->file};
    const char *slash = strrchr(gen->file_name, '/');
    const char *name = slash == NULL ? gen->file_name : slash + 1;

    if (!gen_is_lower_snake(gen_prefix(name, strlen(name) - strlen(".proto"))))
        gen_complain(gen, &root, "file %s is not in lower_snake_case; rename it", name);
}

static void check_message(struct gen *gen, const struct gen_type *type)
{
    const gen_message *message = type->message;

    if (!gen_is_pascal(message->name))
        gen_complain(gen, &type->place, "message %s is not in PascalCase; rename it",
                     message->name);
    for (size_t i = 0; i < message->n_field; i++) {
        const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_FIELD, i);

        if (!gen_is_lower_snake(message->field[i]->name))
            gen_complain(gen, &place, "field %s is not in lower_snake_case; call it %s",
                         message->field[i]->name, gen_lower(message->field[i]->name));
    }
    for (size_t i = 0; i < message->n_oneof_decl; i++) {
        const struct gen_place place = gen_place_in(&type->place, GEN_MESSAGE_ONEOF, i);
        const char *name = message->oneof_decl[i]->name;

        /* protoc makes one with an underscore for each proto3 optional, which is refused already. */
        if (name[0] != '_' && !gen_is_lower_snake(name))
            gen_complain(gen, &place, "oneof %s is not in lower_snake_case; call it %s", name,
                         gen_lower(name));
    }
}

static void check_enum(struct gen *gen, const struct gen_type *type)
{
    const gen_enum *enumeration = type->enumeration;
    const struct gen_place options = gen_place_part(&type->place, GEN_ENUM_OPTIONS);
    const char *prefix = gen_printf("%s_", gen_upper(enumeration->name));

    if (!gen_is_pascal(enumeration->name))
        gen_complain(gen, &type->place, "enum %s is not in PascalCase; rename it",
                     enumeration->name);
    if (enumeration->options != NULL && enumeration->options->allow_alias)
        gen_complain(gen, &options, "enum %s has two names for one number; remove allow_alias",
                     enumeration->name);
    for (size_t i = 0; i < enumeration->n_value; i++) {
        const struct gen_place place = gen_place_in(&type->place, GEN_ENUM_VALUE, i);
        const char *name = enumeration->value[i]->name;

        if (!gen_is_upper_snake(name))
            gen_complain(gen, &place, "enum value %s is not in UPPER_SNAKE_CASE; rename it", name);
        if (!gen_starts_with(name, prefix))
            gen_complain(gen, &place, "enum value %s shares its scope with others; call it %s%s",
                         name, prefix, name);
        if (enumeration->value[i]->number == 0 && !gen_ends_with(name, "_UNSPECIFIED"))
            gen_complain(gen, &place, "enum value %s is what nobody has set; call it %sUNSPECIFIED",
                         name, prefix);
    }
}

/* Which rpc of the file uses a message first; the place of another use is complained about. */
static void check_used_once(const struct gen_unit *unit, const struct gen_type *type)
{
    unsigned n_uses = 0;

    for (size_t i = 0; i < unit->n_services; i++) {
        for (size_t k = 0; k < unit->services[i].n_methods; k++) {
            const struct gen_method *method = &unit->services[i].methods[k];

            n_uses += (method->request == type) + (method->response == type);
            if (n_uses > 1) {
                gen_complain(unit->gen, &method->place,
                             "%s is taken or returned by another rpc too, which could then not "
                             "change alone; give rpc %s messages of its own",
                             type->full_name, method->rpc->name);
                return;
            }
        }
    }
}

static void check_service(struct gen *gen, const struct gen_service *service)
{
    const char *name = service->proto->name;

    if (!gen_is_pascal(name))
        gen_complain(gen, &service->place, "service %s is not in PascalCase; rename it", name);
    if (!gen_ends_with(name, "Service") || strcmp(name, "Service") == 0)
        gen_complain(gen, &service->place, "service %s does not end in Service; call it %sService",
                     name, name);
    for (size_t i = 0; i < service->n_methods; i++) {
        if (!gen_is_pascal(service->methods[i].rpc->name))
            gen_complain(gen, &service->methods[i].place, "rpc %s is not in PascalCase; rename it",
                         service->methods[i].rpc->name);
    }
}

void gen_check_names(const struct gen_unit *unit)
{
    struct gen *gen = unit->gen;

    check_package(gen);
    check_file_name(gen);
    for (size_t i = 0; i < gen->n_types; i++) {
        const struct gen_type *type = &gen->types[i];

        if (type->place.file != gen->file || type->is_map_entry)
            continue;
        if (type->message != NULL)
            check_message(gen, type);
        else
            check_enum(gen, type);
    }
    for (size_t i = 0; i < unit->n_services; i++)
        check_service(gen, &unit->services[i]);
    for (size_t i = 0; i < gen->n_types; i++) {
        if (gen->types[i].message != NULL)
            check_used_once(unit, &gen->types[i]);
    }
}
