/*
 * Text: see text.h. Every allocation carries a link in front, so that the
 * sanitizers find nothing left behind when grove-gen runs inside a build.
 */
#include "proto/gen/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct link {
    _Alignas(16) struct link *next;
};

static struct link *newest;

void *gen_alloc(size_t bytes)
{
    struct link *link = bytes > SIZE_MAX / 2 ? NULL : calloc(1, sizeof *link + bytes);

    if (link == NULL) {
        fputs("grove-gen: no memory left; close something and try again\n", stderr);
        exit(1);
    }
    link->next = newest;
    newest = link;
    return link + 1;
}

void gen_free_all(void)
{
    while (newest != NULL) {
        struct link *link = newest;

        newest = link->next;
        free(link);
    }
}

static void *allocate(void *unused, size_t bytes)
{
    (void)unused;
    return gen_alloc(bytes);
}

static void keep(void *unused, void *memory)
{
    (void)unused;
    (void)memory;
}

ProtobufCAllocator gen_allocator = {.alloc = allocate, .free = keep};

static char *print(const char *format, va_list arguments, size_t *n_bytes)
{
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);

    if (n < 0) {
        fputs("grove-gen: a text cannot be printed in this locale; try LC_ALL=C\n", stderr);
        exit(1);
    }
    char *text = gen_alloc((size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, format, arguments); /* fits: it was measured */
    *n_bytes = (size_t)n;
    return text;
}

char *gen_printf(const char *format, ...)
{
    size_t n_bytes;
    va_list arguments;

    va_start(arguments, format);
    char *text = print(format, arguments, &n_bytes);
    va_end(arguments);
    return text;
}

char *gen_prefix(const char *text, size_t n)
{
    char *copy = gen_alloc(n + 1);

    memcpy(copy, text, n);
    return copy;
}

bool gen_starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool gen_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static void append(struct gen_text *text, const char *bytes, size_t n_bytes)
{
    if (text->room - text->used <= n_bytes) {
        size_t room = 2 * (text->used + n_bytes) + 256;
        char *larger = gen_alloc(room);

        if (text->used > 0)
            memcpy(larger, text->bytes, text->used);
        text->bytes = larger;
        text->room = room;
    }
    memcpy(text->bytes + text->used, bytes, n_bytes);
    text->used += n_bytes;
    text->bytes[text->used] = '\0';
}

void gen_put(struct gen_text *text, const char *format, ...)
{
    size_t n_bytes;
    va_list arguments;

    va_start(arguments, format);
    const char *more = print(format, arguments, &n_bytes);
    va_end(arguments);
    append(text, more, n_bytes);
}

/* A comment must not end the one it is copied into, nor seem to open another. */
static char *harmless(const char *line, size_t n)
{
    char *copy = gen_prefix(line, n);

    for (char *at = copy; *at != '\0'; at++) {
        if ((at[0] == '*' && at[1] == '/') || (at[0] == '/' && at[1] == '*'))
            at[1] = ' ';
    }
    while (n > 0 && (copy[n - 1] == ' ' || copy[n - 1] == '\r' || copy[n - 1] == '\t'))
        copy[--n] = '\0';
    return copy;
}

void gen_put_comment(struct gen_text *text, const char *comment, int n_spaces)
{
    if (comment == NULL || comment[strspn(comment, " \t\r\n")] == '\0')
        return;

    size_t n = strlen(comment);
    while (n > 0 && strchr(" \t\r\n", comment[n - 1]) != NULL)
        n--;
    comment = gen_prefix(comment, n);

    if (strchr(comment, '\n') == NULL) {
        comment += strspn(comment, " \t");
        gen_put(text, "%*s/* %s */\n", n_spaces, "", harmless(comment, strlen(comment)));
        return;
    }
    gen_put(text, "%*s/*\n", n_spaces, "");
    while (*comment != '\0') {
        size_t n_line = strcspn(comment, "\n");
        char *line = harmless(comment, n_line);

        /* protoc leaves the space after its slashes in place. */
        gen_put(text, "%*s *%s%s\n", n_spaces, "", line[0] == ' ' || line[0] == '\0' ? "" : " ",
                line);
        comment += n_line + (comment[n_line] == '\n');
    }
    gen_put(text, "%*s */\n", n_spaces, "");
}
