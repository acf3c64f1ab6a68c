/*
 * Comments: the text behind ; and what hledger finds in it.
 *
 * The comment of an item begins on its line and goes on in indented lines
 * that begin with a semicolon. Inside, NAME:VALUE is a tag up to a comma or
 * the end of the line. Of all tags only two change the books: date: gives a
 * posting a date of its own, as does [DATE] in brackets, and type: on an
 * account must be a type that exists.
 */
#include <errno.h>
#include <string.h>

#include "apps/bank/books_reader.h"

static bool is_date_character(char c)
{
    return c != '\0' && strchr("0123456789/-.=", c);
}

static void found_date(struct bank_comment *comment, bank_date date)
{
    if (comment->date == 0)
        comment->date = date;
}

/* Does the bracket at `at` hold something that tries to be a date? */
static bool is_bracketed_date(const char *at)
{
    bool has_digit = false, has_separator = false;

    for (at++; is_date_character(*at); at++) {
        has_digit |= *at >= '0' && *at <= '9';
        has_separator |= *at == '/' || *at == '-' || *at == '.';
    }
    return *at == ']' && has_digit && has_separator;
}

/* [DATE], [DATE=DATE2] or [=DATE2]; the second date has no effect on balances. */
static int read_bracketed_date(struct bank_reader *reader, const char *at,
                               struct bank_comment *comment)
{
    int year = comment->year;
    bank_date date, secondary;

    at++;
    if (*at != '=') {
        if (bank_read_date(reader, &at, year, &date) < 0)
            return -EINVAL;
        found_date(comment, date);
        year = date / 10000;
    }
    if (*at == '=') {
        at++;
        if (bank_read_date(reader, &at, year, &secondary) < 0)
            return -EINVAL;
    }
    if (*at != ']')
        return bank_fail(reader, at, "the date in brackets does not end; add a ]");
    return 0;
}

/* Moves to the stop character or the newline, minding dates in brackets. */
static int read_up_to(struct bank_reader *reader, const char **at, char stop,
                      struct bank_comment *comment)
{
    for (; **at != stop && **at != '\n'; (*at)++)
        if (**at == '[' && comment->dates && is_bracketed_date(*at)
            && read_bracketed_date(reader, *at, comment) < 0)
            return -EINVAL;
    return 0;
}

/* The word directly before a colon is the tag's name. */
static const char *last_word(const char *start, const char *end)
{
    const char *word = start;

    while (start < end) {
        size_t length = bank_space_length(start);

        start += length > 0 ? length : 1;
        if (length > 0)
            word = start;
    }
    return word;
}

static bool is_named(const char *name, const char *end, const char *wanted)
{
    return (size_t)(end - name) == strlen(wanted) && memcmp(name, wanted, strlen(wanted)) == 0;
}

static int read_tag_value(struct bank_reader *reader, const char *name, const char **at,
                          struct bank_comment *comment)
{
    const char *name_end = *at, *value;
    bool is_date;

    value = bank_skip_spaces(name_end + 1);
    *at = value;
    if (name == name_end)
        return 0;
    is_date = is_named(name, name_end, "date");
    if (comment->dates && (is_date || is_named(name, name_end, "date2"))) {
        bank_date date;

        if (bank_read_date(reader, at, comment->year, &date) < 0)
            return -EINVAL;
        if (is_date)
            found_date(comment, date);
    }
    if (read_up_to(reader, at, ',', comment) < 0)
        return -EINVAL;
    if (is_named(name, name_end, "type") && !comment->type_at) {
        comment->type_at = value;
        comment->type_end = *at;
    }
    return 0;
}

static int read_tags(struct bank_reader *reader, const char *at, struct bank_comment *comment)
{
    while (*at != '\n') {
        const char *start = at;

        if (read_up_to(reader, &at, ':', comment) < 0)
            return -EINVAL;
        if (*at != ':')
            return 0;
        if (read_tag_value(reader, last_word(start, at), &at, comment) < 0)
            return -EINVAL;
        if (*at == ',')
            at++;
    }
    return 0;
}

static int read_following_lines(struct bank_reader *reader, struct bank_comment *comment)
{
    for (;;) {
        const char *at = bank_skip_spaces(reader->file->at);

        if (at == reader->file->at || *at != ';')
            return 0;
        if (read_tags(reader, bank_skip_spaces(at + 1), comment) < 0)
            return -EINVAL;
        bank_next_line(reader);
    }
}

int bank_read_comments(struct bank_reader *reader, struct bank_comment *comment)
{
    const char *at = bank_skip_spaces(reader->file->at);

    comment->date = 0;
    comment->type_at = NULL;
    if (*at == ';' && read_tags(reader, bank_skip_spaces(at + 1), comment) < 0)
        return -EINVAL;
    if (*at == ';')
        bank_next_line(reader);
    else if (bank_end_line(reader) < 0)
        return -EINVAL;
    return read_following_lines(reader, comment);
}

int bank_skip_block_comment(struct bank_reader *reader)
{
    reader->file->at += strlen("comment");
    if (bank_end_line(reader) < 0)
        return -EINVAL;
    while (*reader->file->at != '\0') {
        if (bank_starts_with(reader->file->at, "end comment")) {
            reader->file->at += strlen("end comment");
            return bank_end_line(reader);
        }
        bank_next_line(reader);
    }
    return 0;
}
