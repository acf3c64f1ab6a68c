/*
 * grove-gen: from a .proto to the C that an actor is written against.
 *
 *     bank.proto --protoc--> descriptor set --checks--> bank.grove.h, bank.grove.c
 *                                   |
 *                                   +-- without services and our options --protoc-c--> bank.pb-c.h, .c
 *
 * Services are taken out before protoc-c sees them: its header does not
 * compile for `rpc Do`, and its own stubs are not ours. Complaints are lines
 * FILE:LINE:COL: as a compiler's; nothing is written then. Exit status 0, 1
 * for complaints, 2 for wrong usage.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/gen/check.h"
#include "proto/gen/emit.h"
#include "proto/gen/run.h"

#define PATHS_MAX 64

struct options {
    const char *paths[PATHS_MAX]; /* where protoc looks for imports */
    size_t n_paths;
    const char *out;
    const char *depfile; /* NULL: none */
    const char *protoc;
    const char *protoc_c;
    const char *file; /* as the user wrote it */
    const char *name; /* as protoc finds it */
};

static const char usage[] =
    "usage: grove-gen [--proto_path=DIR]... [--out=DIR] [--depfile=FILE] FILE.proto\n"
    "Writes NAME.pb-c.h, NAME.pb-c.c, NAME.grove.h and NAME.grove.c into DIR.\n"
    "  --proto_path=DIR  look for FILE and its imports here; its own folder if not said\n"
    "  --out=DIR         where the four files go, default .\n"
    "  --depfile=FILE    write a make rule of all files that were read\n"
    "  --protoc=PATH     the compiler of .proto files, default protoc\n"
    "  --protoc-c=PATH   the generator of C messages, default protoc-c\n";

/* The value of argument if it is --name=value, else NULL. */
static const char *value_of(const char *argument, const char *name)
{
    size_t n = strlen(name);

    return strncmp(argument, name, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.out = ".", .protoc = "protoc", .protoc_c = "protoc-c"};
    for (int i = 1; i < argc; i++) {
        const char *value;

        if ((value = value_of(argv[i], "--proto_path")) != NULL && options->n_paths < PATHS_MAX - 2)
            options->paths[options->n_paths++] = value;
        else if ((value = value_of(argv[i], "--out")) != NULL)
            options->out = value;
        else if ((value = value_of(argv[i], "--depfile")) != NULL)
            options->depfile = value;
        else if ((value = value_of(argv[i], "--protoc")) != NULL)
            options->protoc = value;
        else if ((value = value_of(argv[i], "--protoc-c")) != NULL)
            options->protoc_c = value;
        else if (argv[i][0] != '-' && options->file == NULL)
            options->file = argv[i];
        else
            return false;
    }
    return options->file != NULL && gen_ends_with(options->file, ".proto");
}

/* --- where things are ---------------------------------------------------------------------- */

/* An absolute path without links, for comparing; path itself if there is none. */
static char *resolved(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = gen_printf("%s", real == NULL ? path : real);

    free(real);
    return copy;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? gen_printf(".")
                         : gen_prefix(path, (size_t)(slash - path) + (slash == path));
}

/* Makes sure that protoc finds the file itself, and grove/options.proto beside our own program. */
static void complete_paths(struct options *options)
{
    const char *file = resolved(options->file);
    char self[PATH_MAX] = "";

    /* protoc compares paths letter by letter, so it gets the name below one of them. */
    for (size_t i = 0; i < options->n_paths && options->name == NULL; i++) {
        const char *folder = gen_printf("%s/", resolved(options->paths[i]));

        if (gen_starts_with(file, folder))
            options->name = file + strlen(folder);
    }
    if (options->name == NULL) {
        options->name = options->file;
        memmove(options->paths + 1, options->paths, options->n_paths * sizeof options->paths[0]);
        options->paths[0] = folder_of(options->file);
        options->n_paths++;
    }

    if (readlink("/proc/self/exe", self, sizeof self - 1) > 0) {
        char *shared = gen_printf("%s/../share/grove/proto", folder_of(self));

        if (access(shared, R_OK) == 0)
            options->paths[options->n_paths++] = resolved(shared);
    }
}

/* Where protoc found one of the set's files; NULL for those that come with protoc. */
static char *find_file(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->n_paths; i++) {
        char *path = gen_printf("%s/%s", options->paths[i], name);

        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

/* --- steps --------------------------------------------------------------------------------- */

/* protoc: FILE and its imports, parsed, into *bytes. */
static bool compile(const struct options *options, uint8_t **bytes, size_t *n_bytes)
{
    char *set = gen_temporary(options->out);
    const char *arguments[PATHS_MAX + 8];
    size_t n = 0;

    if (set == NULL)
        return false;
    arguments[n++] = options->protoc;
    for (size_t i = 0; i < options->n_paths; i++)
        arguments[n++] = gen_printf("--proto_path=%s", options->paths[i]);
    arguments[n++] = "--include_imports";
    arguments[n++] = "--include_source_info";
    arguments[n++] = gen_printf("--descriptor_set_out=%s", set);
    arguments[n++] = options->name;
    arguments[n] = NULL;

    bool done = gen_run(arguments) && gen_read(set, bytes, n_bytes);
    (void)unlink(set); /* ours, and of no more use */
    return done;
}

/* What protoc-c need not see: services, our options, and the import that declares them. */
static void strip(gen_file *file)
{
    size_t n_kept = 0;

    file->n_service = 0;
    for (size_t i = 0; i < file->n_dependency; i++) {
        if (strcmp(file->dependency[i], "grove/options.proto") != 0)
            file->dependency[n_kept++] = file->dependency[i];
    }
    file->n_dependency = n_kept;
    file->n_public_dependency = 0; /* they count dependencies by place */
    file->n_weak_dependency = 0;
}

static void strip_options(const gen_message *message)
{
    for (size_t i = 0; i < message->n_field; i++) {
        if (message->field[i]->options != NULL)
            message->field[i]->options->base.n_unknown_fields = 0;
    }
    for (size_t i = 0; i < message->n_nested_type; i++)
        strip_options(message->nested_type[i]);
}

static void strip_enum_options(const struct gen *gen)
{
    for (size_t i = 0; i < gen->n_types; i++) {
        const gen_enum *enumeration = gen->types[i].enumeration;

        for (size_t k = 0; enumeration != NULL && k < enumeration->n_value; k++) {
            if (enumeration->value[k]->options != NULL)
                enumeration->value[k]->options->base.n_unknown_fields = 0;
        }
    }
}

/* protoc-c: the messages. The set is of no use to anybody else afterwards. */
static bool write_messages(const struct options *options, struct gen *gen)
{
    gen_set *set = gen->set;
    size_t n_kept = 0;

    strip_enum_options(gen);
    for (size_t i = 0; i < set->n_file; i++) {
        if (gen_file_is_known(set->file[i]))
            continue;
        strip(set->file[i]);
        for (size_t k = 0; k < set->file[i]->n_message_type; k++)
            strip_options(set->file[i]->message_type[k]);
        set->file[n_kept++] = set->file[i];
    }
    set->n_file = n_kept;

    size_t n_bytes = google__protobuf__file_descriptor_set__get_packed_size(set);
    uint8_t *bytes = gen_alloc(n_bytes);
    (void)google__protobuf__file_descriptor_set__pack(set, bytes); /* is n_bytes again */
    char *path = gen_temporary(options->out);
    if (path == NULL)
        return false;
    const char *const arguments[] = {options->protoc_c, gen_printf("--descriptor_set_in=%s", path),
                                     gen_printf("--c_out=%s", options->out), gen->file_name, NULL};
    bool done = gen_write(path, bytes, n_bytes) && gen_run(arguments);
    (void)unlink(path); /* ours, and of no more use */
    return done;
}

static bool write_depfile(const struct options *options, const struct gen_unit *unit)
{
    struct gen_text text = {0};

    if (options->depfile == NULL)
        return true;
    gen_put(&text, "%s/%s.pb-c.h:", options->out, unit->base);
    for (size_t i = 0; i < unit->gen->set->n_file; i++) {
        const char *path = find_file(options, unit->gen->set->file[i]->name);

        if (path != NULL)
            gen_put(&text, " %s", path);
    }
    gen_put(&text, "\n");
    return gen_write(options->depfile, text.bytes, text.used);
}

static bool generate(const struct options *options)
{
    struct gen gen = {.path = options->file};
    struct gen_unit unit = {.gen = &gen};
    struct gen_text header = {0};
    struct gen_text source = {0};
    uint8_t *bytes;
    size_t n_bytes;

    if (!compile(options, &bytes, &n_bytes) || !gen_schema_open(&gen, bytes, n_bytes))
        return false;
    unit.base = gen_prefix(gen.file_name, strlen(gen.file_name) - strlen(".proto"));
    unit.services = gen_services(&gen, &unit.n_services);
    gen_check(&unit);
    if (gen.n_complaints > 0)
        return false;

    gen_emit_header(&unit, &header);
    gen_emit_source(&unit, &source);
    const char *target = gen_printf("%s/%s.grove", options->out, unit.base);
    return write_depfile(options, &unit)
           && gen_write(gen_printf("%s.h", target), header.bytes, header.used)
           && gen_write(gen_printf("%s.c", target), source.bytes, source.used)
           && write_messages(options, &gen);
}

int main(int argc, char **argv)
{
    struct options options;

    if (!parse(argc, argv, &options)) {
        (void)fputs(usage, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    complete_paths(&options);
    bool done = generate(&options);
    gen_free_all();
    return done ? 0 : 1;
}
