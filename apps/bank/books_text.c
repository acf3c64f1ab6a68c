/*
 * Text: files in memory, places in them, and the characters of the language.
 *
 * A file is made tidy once, when it is opened, so that the parser can trust
 * it. White space is what Haskell's isSpace takes for it, because an account
 * name ends where hledger sees two of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/bank/books_reader.h"

enum { READ_SIZE = 256 * 1024 };

/* Text that positions are 32 bits into. */
static const size_t LENGTH_MAX = UINT32_MAX - 16;

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

uint32_t bank_column(const struct bank_file *file, const char *at)
{
    uint32_t column = 1;

    for (const char *c = file->line_start; c < at; c++)
        column += !continues(*c);
    return column;
}

static void fill_error(struct bank_error *error, const char *file, const char *format, va_list args)
{
    (void)snprintf(error->file, sizeof(error->file), "%s", file);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
}

int bank_fail(struct bank_reader *reader, const char *at, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill_error(reader->error, reader->books->files[reader->file->file], format, args);
    va_end(args);
    reader->error->line = reader->file->line;
    reader->error->column = bank_column(reader->file, at);
    return -EINVAL;
}

int bank_fail_at(struct bank_reader *reader, struct bank_place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill_error(reader->error, reader->books->files[place.file], format, args);
    va_end(args);
    reader->error->line = place.line;
    reader->error->column = place.column;
    return -EINVAL;
}

int bank_fail_memory(struct bank_reader *reader)
{
    reader->error->line = 0;
    reader->error->column = 0;
    if (reader->file)
        (void)bank_fail(reader, reader->file->at, "out of memory; split the journal");
    else
        (void)snprintf(reader->error->text, sizeof(reader->error->text),
                       "out of memory; split the journal");
    return -ENOMEM;
}

/* Returns the length of the UTF-8 sequence at c, or 0 if it is malformed. */
static size_t sequence_length(const unsigned char *c, size_t left)
{
    if (c[0] < 0x80)
        return c[0] != 0;
    if (c[0] < 0xc2 || left < 2 || !continues((char)c[1]))
        return 0;
    if (c[0] < 0xe0)
        return 2;
    if (left < 3 || !continues((char)c[2]))
        return 0;
    if (c[0] < 0xf0) {
        bool is_overlong = c[0] == 0xe0 && c[1] < 0xa0;
        bool is_surrogate = c[0] == 0xed && c[1] >= 0xa0;

        return is_overlong || is_surrogate ? 0 : 3;
    }
    if (left < 4 || !continues((char)c[3]) || c[0] > 0xf4)
        return 0;
    return (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90) ? 0 : 4;
}

/* Checks the text, drops the mark of byte order, and makes all line ends one, in place. */
static int tidy(struct bank_reader *reader, struct bank_file *file)
{
    const unsigned char *from = (const unsigned char *)file->text;
    const unsigned char *end = from + file->length;
    char *to = file->text;

    if (file->length >= 3 && memcmp(from, "\xef\xbb\xbf", 3) == 0)
        from += 3;
    file->line_start = to;
    while (from < end) {
        size_t length = sequence_length(from, (size_t)(end - from));

        if (length == 0)
            return bank_fail(reader, to,
                             *from == 0 ? "a NUL byte; journals are text, remove it"
                                        : "not UTF-8; save the journal as UTF-8");
        if (*from == '\r' && from + 1 < end && from[1] == '\n')
            from++;
        if (*from == '\n' || *from == '\r') {
            *to = '\n';
            file->line++;
            file->line_start = to + 1;
        } else {
            memmove(to, from, length);
        }
        to += length;
        from += length;
    }
    if (to > file->text && to[-1] != '\n')
        *to++ = '\n';
    *to = '\0';
    file->length = (size_t)(to - file->text);
    file->at = file->text;
    file->line_start = file->text;
    file->line = 1;
    return 0;
}

static int add_name(struct bank_reader *reader, const char *name)
{
    struct bank_books *books = reader->books;
    const char **grown;
    uint32_t text;

    grown = bank_array_grow(books->files, &reader->file_capacity, books->n_files, sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    books->files = grown;
    if (bank_names_intern(&books->texts, name, strlen(name), &text) < 0)
        return bank_fail_memory(reader);
    books->files[books->n_files++] = books->texts.names[text].text;
    return 0;
}

static int push(struct bank_reader *reader, const char *name, struct bank_file **file)
{
    uint32_t index = (uint32_t)reader->books->n_files;
    struct bank_file *top;

    if (reader->n_stack == BANK_INCLUDE_DEPTH_MAX)
        return bank_fail(reader, reader->file->at,
                         "includes nest deeper than %d files; include fewer levels",
                         (int)BANK_INCLUDE_DEPTH_MAX);
    if (reader->books->n_files == BANK_FILES_MAX)
        return bank_fail(reader, reader->file->at, "more than %d files; join some of them",
                         (int)BANK_FILES_MAX);
    if (add_name(reader, name) < 0)
        return -ENOMEM;
    top = &reader->stack[reader->n_stack++];
    *top = (struct bank_file){.file = index, .line = 1, .scope = reader->scope};
    reader->file = top;
    *file = top;
    return 0;
}

/* Reads a stream to its end; two bytes beyond the length are kept for newline and NUL. */
static int read_all(FILE *stream, char **text, size_t *length)
{
    size_t capacity = 0;

    *text = NULL;
    *length = 0;
    for (;;) {
        size_t n;

        if (capacity - *length < READ_SIZE + 2) {
            char *moved;

            capacity = capacity ? capacity * 2 : 2 * READ_SIZE;
            moved = realloc(*text, capacity);
            if (!moved)
                return -ENOMEM;
            *text = moved;
        }
        n = fread(*text + *length, 1, READ_SIZE, stream);
        *length += n;
        if (*length > LENGTH_MAX)
            return -EFBIG;
        if (n < READ_SIZE)
            return ferror(stream) ? -EIO : 0;
    }
}

/* Says that a file cannot be read: where it is included, or of the main file itself. */
static int fail_open(struct bank_reader *reader, const char *path, int rc)
{
    if (reader->file)
        return bank_fail(reader, reader->file->at, "cannot read %s: %s; check the include", path,
                         strerror(-rc));
    (void)snprintf(reader->error->file, sizeof(reader->error->file), "%s", path);
    (void)snprintf(reader->error->text, sizeof(reader->error->text),
                   "cannot read it: %s; check the path", strerror(-rc));
    return rc;
}

int bank_file_open(struct bank_reader *reader, const char *path)
{
    struct stat status;
    struct bank_file *file;
    char *text = NULL;
    size_t length = 0;
    FILE *stream;
    int rc;

    stream = fopen(path, "rb");
    if (!stream)
        return fail_open(reader, path, -errno);
    rc = fstat(fileno(stream), &status) < 0 ? -errno : S_ISDIR(status.st_mode) ? -EISDIR : 0;
    if (rc == 0)
        rc = read_all(stream, &text, &length);
    /* It was only read from, so closing cannot lose anything. */
    (void)fclose(stream);
    if (rc < 0) {
        free(text);
        return fail_open(reader, path, rc);
    }
    for (size_t i = 0; i < reader->n_stack; i++)
        if (reader->stack[i].device == status.st_dev && reader->stack[i].inode == status.st_ino) {
            free(text);
            return bank_fail(reader, reader->file->at,
                             "%s includes itself; remove one of the includes", path);
        }
    rc = push(reader, path, &file);
    if (rc < 0) {
        free(text);
        return rc;
    }
    file->text = text;
    file->length = length;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return tidy(reader, file);
}

int bank_file_open_text(struct bank_reader *reader, const struct bank_books_source *source)
{
    struct bank_file *file;
    int rc;

    rc = push(reader, source->name, &file);
    if (rc < 0)
        return rc;
    if (source->length > LENGTH_MAX)
        return bank_fail(reader, NULL, "larger than 4 GB; split the journal");
    file->text = malloc(source->length + 2);
    if (!file->text)
        return bank_fail_memory(reader);
    if (source->length > 0)
        memcpy(file->text, source->text, source->length);
    file->length = source->length;
    return tidy(reader, file);
}

void bank_file_close(struct bank_reader *reader)
{
    struct bank_file *file = reader->file;

    for (size_t i = 0; i < file->n_pending; i++)
        free(file->pending[i]);
    free(file->pending);
    free(file->text);
    /* What a file sets ends with it. */
    reader->scope = file->scope;
    reader->n_stack--;
    reader->file = reader->n_stack > 0 ? &reader->stack[reader->n_stack - 1] : NULL;
}

const char *bank_line_end(const char *at)
{
    return at + strcspn(at, "\n");
}

size_t bank_space_length(const char *at)
{
    const unsigned char *c = (const unsigned char *)at;

    if (c[0] == ' ' || (c[0] >= '\t' && c[0] <= '\r' && c[0] != '\n'))
        return 1;
    if (c[0] < 0xc2)
        return 0;
    if (c[0] == 0xc2)
        return c[1] == 0xa0 ? 2 : 0;
    if (memcmp(c, "\xe1\x9a\x80", 3) == 0 || memcmp(c, "\xe3\x80\x80", 3) == 0
        || memcmp(c, "\xe2\x81\x9f", 3) == 0 || memcmp(c, "\xe2\x80\xaf", 3) == 0)
        return 3;
    return c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0x80 && c[2] <= 0x8a ? 3 : 0;
}

const char *bank_skip_spaces(const char *at)
{
    size_t length;

    while ((length = bank_space_length(at)) > 0)
        at += length;
    return at;
}

void bank_next_line(struct bank_reader *reader)
{
    struct bank_file *file = reader->file;

    file->at = bank_line_end(file->at);
    if (*file->at != '\n')
        return;
    file->at++;
    file->line++;
    file->line_start = file->at;
}

int bank_end_line(struct bank_reader *reader)
{
    const char *at = bank_skip_spaces(reader->file->at);

    if (*at != '\n' && *at != '\0')
        return bank_fail(reader, at, "unexpected text; start a comment with ; or remove it");
    bank_next_line(reader);
    return 0;
}

bool bank_starts_with(const char *at, const char *word)
{
    return strncmp(at, word, strlen(word)) == 0;
}

void bank_trim(const char **start, const char **end)
{
    const char *last = *start;

    while (*start < *end && bank_space_length(*start) > 0)
        *start += bank_space_length(*start);
    last = *start;
    for (const char *at = *start; at < *end;) {
        size_t length = bank_space_length(at);

        at += length > 0 ? length : 1;
        if (length == 0)
            last = at;
    }
    *end = last;
}

int bank_text_intern(struct bank_reader *reader, const char *start, const char *end,
                     uint32_t *index)
{
    if (bank_names_intern(&reader->books->texts, start, (size_t)(end - start), index) < 0)
        return bank_fail_memory(reader);
    return 0;
}
