/*
 * Includes: other files, by path or by pattern, relative to the including one.
 *
 * The files that a pattern matches are read in the order of their names. A
 * file sees what directives have set before the include; what it sets itself
 * (default year and commodity, aliases, parents) ends with it, only
 * commodity directives stay.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/books_reader.h"

/* Formats that hledger would read with another reader. */
static bool is_other_format(const char *path, size_t length)
{
    static const char *const PREFIXES[] = {"timeclock:", "timedot:", "csv:", "rules:"};
    static const char *const SUFFIXES[] = {".timeclock", ".timedot", ".csv", ".tsv", ".ssv"};

    for (size_t i = 0; i < sizeof(PREFIXES) / sizeof(PREFIXES[0]); i++)
        if (strncmp(path, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof(SUFFIXES) / sizeof(SUFFIXES[0]); i++) {
        size_t n = strlen(SUFFIXES[i]);

        if (length >= n && memcmp(path + length - n, SUFFIXES[i], n) == 0)
            return true;
    }
    return false;
}

/* Appends bytes to a path; special characters of patterns are escaped if wanted. */
static bool append(char *path, size_t *length, const char *from, size_t n, bool escape)
{
    for (size_t i = 0; i < n; i++) {
        if (*length + 3 > BANK_PATH_MAX)
            return false;
        if (escape && strchr("*?[]\\", from[i]))
            path[(*length)++] = '\\';
        path[(*length)++] = from[i];
    }
    path[*length] = '\0';
    return true;
}

/* Makes the path or pattern complete: the home folder, or the includer's folder before it. */
static int complete(struct bank_reader *reader, const char *start, const char *end, bool escape,
                    char *path)
{
    const char *includer = reader->books->files[reader->file->file];
    const char *slash = strrchr(includer, '/');
    const char *home = getenv("HOME");
    size_t length = 0;
    bool fits = true;

    if (*start == '~') {
        if (start[1] != '/' || !home)
            return bank_fail(reader, start, "this home folder is not known; write the whole path");
        fits = append(path, &length, home, strlen(home), escape);
        start++;
    } else if (*start != '/' && slash) {
        fits = append(path, &length, includer, (size_t)(slash + 1 - includer), escape);
    }
    if (!fits || !append(path, &length, start, (size_t)(end - start), false))
        return bank_fail(reader, start, "a path of more than %d bytes; shorten it",
                         (int)BANK_PATH_MAX);
    return 0;
}

static int add_pending(struct bank_reader *reader, char *const *paths, size_t n)
{
    struct bank_file *file = reader->file;

    for (size_t i = 0; i < file->n_pending; i++)
        free(file->pending[i]);
    free(file->pending);
    file->n_pending = file->next_pending = 0;
    file->pending = calloc(n, sizeof(*file->pending));
    if (!file->pending)
        return bank_fail_memory(reader);
    for (; file->n_pending < n; file->n_pending++) {
        file->pending[file->n_pending] = strdup(paths[file->n_pending]);
        if (!file->pending[file->n_pending])
            return bank_fail_memory(reader);
    }
    return 0;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int add_matches(struct bank_reader *reader, const char *pattern)
{
    glob_t matches;
    int rc = glob(pattern, GLOB_NOSORT, NULL, &matches);

    if (rc == GLOB_NOSPACE)
        return bank_fail_memory(reader);
    if (rc != 0)
        return bank_fail(reader, reader->file->at, "no file matches %s; check the include",
                         pattern);
    qsort(matches.gl_pathv, matches.gl_pathc, sizeof(*matches.gl_pathv), compare_paths);
    rc = add_pending(reader, matches.gl_pathv, matches.gl_pathc);
    globfree(&matches);
    return rc;
}

int bank_read_include(struct bank_reader *reader)
{
    const char *start = bank_skip_spaces(reader->file->at);
    const char *end = bank_line_end(start);
    char path[BANK_PATH_MAX];
    char *only = path;
    bool is_pattern;

    if (start == reader->file->at || start == end)
        return bank_fail(reader, start, "a path should stand here; write include PATH");
    reader->file->at = start;
    if (reader->no_include)
        return bank_fail(reader, start, "no other files may be read here; remove the include");
    if (bank_starts_with(start, "journal:"))
        start += strlen("journal:");
    if (is_other_format(start, (size_t)(end - start)))
        return bank_fail(reader, start,
                         "only journals can be included; convert it with hledger print");
    is_pattern = strcspn(start, "*?[<\n") < (size_t)(end - start);
    if (is_pattern
        && (memmem(start, (size_t)(end - start), "**", 2)
            || memchr(start, '<', (size_t)(end - start))))
        return bank_fail(reader, start,
                         "** and <> in patterns are not supported; use * ? [] or several includes");
    if (complete(reader, start, end, is_pattern, path) < 0)
        return -EINVAL;
    return is_pattern ? add_matches(reader, path) : add_pending(reader, &only, 1);
}

int bank_include_next(struct bank_reader *reader)
{
    struct bank_file *file = reader->file;

    if (file->next_pending < file->n_pending)
        return bank_file_open(reader, file->pending[file->next_pending++]);
    for (size_t i = 0; i < file->n_pending; i++)
        free(file->pending[i]);
    free(file->pending);
    file->pending = NULL;
    file->n_pending = file->next_pending = 0;
    bank_next_line(reader);
    return 0;
}
