/*
 * Names: see names.h. Characters are ASCII; protoc lets no others through.
 */
#include "proto/gen/names.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "proto/gen/text.h"

static const char *const keywords[] = {
    "and",          "and_eq",  "asm",      "auto",      "bitand",
    "bitor",        "bool",    "break",    "case",      "catch",
    "char",         "class",   "compl",    "const",     "const_cast",
    "continue",     "default", "delete",   "do",        "double",
    "dynamic_cast", "else",    "enum",     "explicit",  "extern",
    "false",        "float",   "for",      "friend",    "goto",
    "if",           "inline",  "int",      "long",      "mutable",
    "namespace",    "new",     "not",      "not_eq",    "operator",
    "or",           "or_eq",   "private",  "protected", "public",
    "register",     "return",  "short",    "signed",    "reinterpret_cast",
    "sizeof",       "static",  "struct",   "switch",    "static_cast",
    "template",     "this",    "throw",    "true",      "try",
    "typedef",      "typeid",  "typename", "union",     "unsigned",
    "using",        "virtual", "void",     "volatile",  "wchar_t",
    "while",        "xor",     "xor_eq",
};

static bool is_upper(char c)
{
    return isupper((unsigned char)c) != 0;
}

/* An underscore goes before a capital that follows no capital. */
static char *snake(const char *camel, int (*fold)(int))
{
    struct gen_text text = {0};
    bool was_upper = true;

    for (; *camel != '\0'; camel++) {
        if (is_upper(*camel) && !was_upper)
            gen_put(&text, "_");
        gen_put(&text, "%c", fold((unsigned char)*camel));
        was_upper = is_upper(*camel);
    }
    return text.bytes == NULL ? gen_printf("%s", "") : text.bytes;
}

char *gen_lower(const char *camel)
{
    return snake(camel, tolower);
}

char *gen_upper(const char *camel)
{
    return snake(camel, toupper);
}

/* Each piece between underscores begins with a capital, the underscores go. */
static char *camel(const char *name)
{
    struct gen_text text = {0};
    bool first = true;

    for (; *name != '\0'; name++) {
        if (*name == '_') {
            first = true;
            continue;
        }
        gen_put(&text, "%c", first ? toupper((unsigned char)*name) : *name);
        first = false;
    }
    return text.bytes == NULL ? gen_printf("%s", "") : text.bytes;
}

/* Folds each piece between dots and joins them with two underscores. */
static char *join(const char *full_name, char *(*fold)(const char *))
{
    struct gen_text text = {0};

    while (*full_name != '\0') {
        size_t n = strcspn(full_name, ".");

        if (n > 0)
            gen_put(&text, "%s%s", text.used > 0 ? "__" : "", fold(gen_prefix(full_name, n)));
        full_name += n + (full_name[n] == '.');
    }
    return text.bytes == NULL ? gen_printf("%s", "") : text.bytes;
}

char *gen_c_type(const char *full_name)
{
    return join(full_name, camel);
}

char *gen_c_lower(const char *full_name)
{
    return join(full_name, gen_lower);
}

char *gen_c_upper(const char *full_name)
{
    return join(full_name, gen_upper);
}

char *gen_not_keyword(char *text)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(text, keywords[i]) == 0)
            return gen_printf("%s_", text);
    }
    return text;
}

char *gen_c_member(const char *field)
{
    char *name = gen_printf("%s", field);

    for (char *at = name; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return gen_not_keyword(name);
}

char *gen_service_local(const char *service)
{
    size_t n = strlen(service);

    if (gen_ends_with(service, "Service") && n > strlen("Service"))
        n -= strlen("Service");
    return gen_lower(gen_prefix(service, n));
}

bool gen_is_pascal(const char *name)
{
    return is_upper(name[0]) && strchr(name, '_') == NULL;
}

static bool is_snake(const char *name, int (*in_case)(int))
{
    if (!in_case((unsigned char)name[0]) || gen_ends_with(name, "_") || strstr(name, "__") != NULL)
        return false;
    for (; *name != '\0'; name++) {
        if (*name != '_' && !isdigit((unsigned char)*name) && !in_case((unsigned char)*name))
            return false;
    }
    return true;
}

bool gen_is_lower_snake(const char *name)
{
    return is_snake(name, islower);
}

bool gen_is_upper_snake(const char *name)
{
    return is_snake(name, isupper);
}
