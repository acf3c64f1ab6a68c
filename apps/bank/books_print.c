/*
 * Printing balances. See books_balances.h.
 *
 * An account has one line per commodity, right-aligned to at least 20
 * columns, and its name behind the last of them. Balances of zero are not
 * shown, but one that only looks like zero beside another that does not is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/books_balances.h"

enum { WIDTH_MIN = 20 };

bool bank_balance_looks_zero(const struct bank_balance *balance)
{
    return bank_decimal_looks_zero(balance->quantity, balance->precision);
}

static uint32_t decode(const unsigned char **at)
{
    uint32_t c = *(*at)++;
    int n_more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    if (n_more > 0)
        c &= 0x3fu >> n_more;
    for (; n_more > 0; n_more--)
        c = c << 6 | (*(*at)++ & 0x3f);
    return c;
}

/* Columns that a text takes on a terminal: none for marks on letters, two for wide letters. */
static size_t columns_of(const char *text)
{
    static const uint32_t WIDE[][2] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},
        {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
    };
    const unsigned char *at = (const unsigned char *)text;
    size_t columns = 0;

    while (*at) {
        uint32_t c = decode(&at);

        if (c >= 0x300 && c <= 0x36f)
            continue;
        columns++;
        for (size_t i = 0; i < sizeof(WIDE) / sizeof(WIDE[0]); i++)
            columns += c >= WIDE[i][0] && c <= WIDE[i][1];
    }
    return columns;
}

/* Copies digits with separators between groups; the last size repeats. */
static size_t group_digits(const char *digits, size_t n, const struct bank_style *style, char *text)
{
    size_t length = 0;

    for (size_t i = 0; i < n; i++) {
        size_t right = n - i, group = 0;

        /* A separator belongs where whole groups are to the right. */
        while (style->group_mark && style->n_groups > 0 && right > 0 && i > 0) {
            size_t size = style->groups[group];

            if (size > right)
                break;
            right -= size;
            if (group + 1u < style->n_groups)
                group++;
        }
        if (right == 0 && i > 0 && style->group_mark && style->n_groups > 0)
            text[length++] = (char)style->group_mark;
        text[length++] = digits[i];
    }
    return length;
}

static size_t format_quantity(const struct bank_balance *balance, const struct bank_style *style,
                              char *text)
{
    char plain[BANK_DECIMAL_TEXT_MAX];
    char *digits = plain;
    size_t n_digits, length = 0;

    (void)bank_decimal_format(balance->quantity, balance->precision, plain);
    if (*digits == '-')
        text[length++] = *digits++;
    n_digits = strcspn(digits, ".");
    length += group_digits(digits, n_digits, style, text + length);
    if (digits[n_digits] == '.')
        text[length++] = style->mark ? (char)style->mark : '.';
    digits += n_digits + (digits[n_digits] == '.');
    return length + (size_t)(stpcpy(text + length, digits) - (text + length));
}

/* A symbol is quoted where it could not be read again otherwise. */
static char *append_symbol(char *text, const char *symbol)
{
    const char *quote = strpbrk(symbol, "0123456789-+.@*;\t\n \"{}=") ? "\"" : "";

    return stpcpy(stpcpy(stpcpy(text, quote), symbol), quote);
}

size_t bank_balance_format(const struct bank_balance *balance, const struct bank_books *books,
                           char *text)
{
    static const struct bank_style PLAIN = {.mark = '.'};
    const struct bank_style *style =
        balance->style == BANK_NONE ? &PLAIN : &books->styles[balance->style];
    const char *symbol = books->commodities[balance->commodity].symbol;
    const char *space = style->spaced && *symbol ? " " : "";
    char *end = text;

    if (bank_balance_looks_zero(balance)) {
        (void)strcpy(text, "0");
        return 1;
    }
    if (!style->on_right)
        end = stpcpy(append_symbol(end, symbol), space);
    end += format_quantity(balance, style, end);
    if (style->on_right)
        (void)append_symbol(stpcpy(end, space), symbol);
    return columns_of(text);
}

/* Returns where the rows of the same account end. */
static size_t account_end(const struct bank_balances *balances, size_t first)
{
    size_t end = first;

    while (end < balances->n_rows && balances->rows[end].account == balances->rows[first].account)
        end++;
    return end;
}

static bool all_look_zero(const struct bank_balances *balances, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (!bank_balance_looks_zero(&balances->rows[i]))
            return false;
    return true;
}

/* Prints the lines of one account, which takes two turns: the widest line decides. */
static void print_account(const struct bank_balances *balances, const struct bank_books *books,
                          size_t first, FILE *out)
{
    size_t end = account_end(balances, first), last = first, width = WIDTH_MIN;
    char text[BANK_AMOUNT_TEXT_MAX];

    for (size_t i = first; i < end; i++) {
        size_t columns = bank_balance_format(&balances->rows[i], books, text);

        if (balances->rows[i].quantity.mantissa == 0)
            continue;
        last = i;
        if (width < columns)
            width = columns;
    }
    for (size_t i = first; i <= last; i++) {
        size_t columns = bank_balance_format(&balances->rows[i], books, text);

        if (balances->rows[i].quantity.mantissa == 0)
            continue;
        (void)fprintf(out, "%*s%s", (int)(width - columns), "", text);
        if (i == last)
            (void)fprintf(out, "  %s", books->accounts[balances->rows[i].account].name);
        (void)fputc('\n', out);
    }
}

/* Writes what is buffered. The stream remembers a write that failed before, but not why. */
static int finish(FILE *out)
{
    errno = 0;
    if (fflush(out) == 0 && !ferror(out))
        return 0;
    return errno != 0 ? -errno : -EIO;
}

int bank_balances_print(struct bank_balances *balances, const struct bank_books *books,
                        bank_date at, FILE *out)
{
    int rc = bank_balances_finish(balances, books, at);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < balances->n_rows; i = account_end(balances, i))
        if (!all_look_zero(balances, i, account_end(balances, i)))
            print_account(balances, books, i, out);
    return finish(out);
}

/* Quotes a field where commas, quotes or line ends ask for it. */
static void print_field(const char *field, FILE *out)
{
    if (!strpbrk(field, ",\"\r\n")) {
        (void)fputs(field, out);
        return;
    }
    (void)fputc('"', out);
    for (; *field; field++) {
        if (*field == '"')
            (void)fputc('"', out);
        (void)fputc(*field, out);
    }
    (void)fputc('"', out);
}

int bank_balances_print_csv(struct bank_balances *balances, const struct bank_books *books,
                            bank_date at, FILE *out)
{
    char amount[BANK_DECIMAL_TEXT_MAX];
    int rc = bank_balances_finish(balances, books, at);

    if (rc < 0)
        return rc;
    (void)fputs("account,commodity,amount\n", out);
    for (size_t i = 0; i < balances->n_rows; i++) {
        const struct bank_balance *row = &balances->rows[i];

        if (bank_balance_looks_zero(row))
            continue;
        print_field(books->accounts[row->account].name, out);
        (void)fputc(',', out);
        print_field(books->commodities[row->commodity].symbol, out);
        (void)bank_decimal_format(row->quantity, row->precision, amount);
        (void)fprintf(out, ",%s\n", amount);
    }
    return finish(out);
}
