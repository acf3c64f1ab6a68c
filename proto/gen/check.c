/*
 * Checks of files and in general: see check.h.
 */
#include "proto/gen/check.h"

#include <string.h>

/* Options of protobuf-c itself rename what our code refers to. */
static bool has_pb_c(const ProtobufCMessage *options)
{
    return gen_option_is_set(options, GEN_OPTION_PB_C);
}

static void check_import(struct gen *gen, const struct gen_place *root, size_t index)
{
    const struct gen_place place = gen_place_in(root, GEN_FILE_DEPENDENCY, index);
    const char *name = root->file->dependency[index];

    if (gen_starts_with(name, "google/") || gen_starts_with(name, "protobuf-c/"))
        gen_complain(gen, &place,
                     "\"%s\" has no code in a grove program; declare the fields you need in a "
                     "message of your own",
                     name);
}

static void check_file(struct gen *gen, const gen_file *file)
{
    const struct gen_place root = {.file = file};
    const struct gen_place syntax = gen_place_part(&root, GEN_FILE_SYNTAX);
    const struct gen_place options = gen_place_part(&root, GEN_FILE_OPTIONS);

    if (file->syntax == NULL || strcmp(file->syntax, "proto3") != 0)
        gen_complain(gen, &syntax, "this is proto2; begin the file with: syntax = \"proto3\";");
    for (size_t i = 0; i < file->n_dependency; i++)
        check_import(gen, &root, i);
    for (size_t i = 0; i < file->n_public_dependency; i++) {
        const struct gen_place place =
            gen_place_in(&root, GEN_FILE_DEPENDENCY, (size_t)file->public_dependency[i]);
        gen_complain(gen, &place,
                     "a public import is one that readers cannot see; import \"%s\" "
                     "where it is used",
                     file->dependency[file->public_dependency[i]]);
    }
    if (file->n_extension > 0)
        gen_complain(gen, &root, "extensions are not read by grove-gen; use plain fields");
    if (file->options == NULL)
        return;
    if (file->options->optimize_for == GOOGLE__PROTOBUF__FILE_OPTIONS__OPTIMIZE_MODE__CODE_SIZE)
        gen_complain(gen, &options,
                     "optimize_for = CODE_SIZE leaves the descriptors without names, "
                     "which reports and JSON need; remove it");
    if (has_pb_c(&file->options->base))
        gen_complain(gen, &options, "options of protobuf-c are not read by grove-gen; remove them");
}

void gen_check(const struct gen_unit *unit)
{
    struct gen *gen = unit->gen;

    for (size_t i = 0; i < gen->set->n_file; i++) {
        if (!gen_file_is_known(gen->set->file[i]))
            check_file(gen, gen->set->file[i]);
    }
    gen_check_messages(unit);
    gen_check_services(unit);
    gen_check_names(unit);
}
