/*
 * Dates: 2008-01-31, 2008/1/31, 2008.1.31, or 1/31 with a default year.
 *
 * Four digits or more make a year; a year-first date needs three parts, any
 * other has two. Both separators must be the same, and the day must exist.
 */
#include <errno.h>
#include <string.h>

#include "apps/bank/books_reader.h"

enum { YEAR_DIGITS_MIN = 4, PART_MAX = 1000000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_separator(char c)
{
    return c == '-' || c == '/' || c == '.';
}

/* Reads digits; a number beyond any date stays beyond any date. */
static const char *read_part(const char *at, int *part)
{
    *part = 0;
    for (; is_digit(*at); at++)
        if (*part < PART_MAX)
            *part = *part * 10 + (*at - '0');
    return at;
}

static bool exists(int year, int month, int day)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (month < 1 || month > 12 || day < 1)
        return false;
    return day <= DAYS[month - 1] + (month == 2 && is_leap);
}

static bank_date make_date(int year, int month, int day)
{
    return year * 10000 + month * 100 + day;
}

int bank_read_date(struct bank_reader *reader, const char **at, int year, bank_date *date)
{
    static const char HELP[] = "write dates as YYYY-MM-DD";
    const char *start = *at, *next;
    bool is_full;
    char separator;
    int month, day;

    next = read_part(start, &month);
    if (next == start)
        return bank_fail(reader, start, "a date should stand here; %s", HELP);
    is_full = next - start >= YEAR_DIGITS_MIN;
    if (is_full)
        year = month;
    separator = *next;
    if (!is_separator(separator) || !is_digit(next[1]))
        return bank_fail(reader, next, "the date is not complete; %s", HELP);
    next = read_part(next + 1, is_full ? &month : &day);
    if (is_full) {
        if (!is_separator(*next) || !is_digit(next[1]))
            return bank_fail(reader, next, "the date is not complete; %s", HELP);
        if (*next != separator)
            return bank_fail(reader, next, "the date has two different separators; %s", HELP);
        next = read_part(next + 1, &day);
    }
    if (year > BANK_YEAR_MAX)
        return bank_fail(reader, start, "years end at %d; %s", (int)BANK_YEAR_MAX, HELP);
    if (!exists(year, month, day))
        return bank_fail(reader, start, "there is no such day; correct the date");
    *at = next;
    *date = make_date(year, month, day);
    return 0;
}

int bank_date_parse(const char *text, bank_date *date)
{
    int year, month, day;
    const char *next = read_part(text, &year);
    char separator = *next;

    if (next - text < YEAR_DIGITS_MIN || !is_separator(separator) || !is_digit(next[1]))
        return -EINVAL;
    next = read_part(next + 1, &month);
    if (*next != separator || !is_digit(next[1]))
        return -EINVAL;
    next = read_part(next + 1, &day);
    if (*next != '\0' || year > BANK_YEAR_MAX || !exists(year, month, day))
        return -EINVAL;
    *date = make_date(year, month, day);
    return 0;
}
