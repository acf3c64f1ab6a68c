/*
 * Directives: the lines that say something about the books as a whole.
 *
 * All that hledger 1.25 knows are read. Those without influence on balances
 * (payee, tag, N, C) are checked and then forgotten.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "apps/bank/books_reader.h"

typedef int directive_fn(struct bank_reader *reader);

static const char MARK_HELP[] =
    "the amount has no decimal mark; write 1000. or 1,000.00 to make its digits clear";

/* Ends directives that hledger takes without looking at the rest of the line. */
static int end_loosely(struct bank_reader *reader)
{
    const char *at = bank_skip_spaces(reader->file->at);

    if (*at != '\0' && strchr(";#*", *at)) {
        bank_next_line(reader);
        return 0;
    }
    return bank_end_line(reader);
}

static int need_space(struct bank_reader *reader)
{
    const char *at = reader->file->at;

    reader->file->at = bank_skip_spaces(at);
    if (reader->file->at == at)
        return bank_fail(reader, at, "a space should follow the directive; add one");
    return 0;
}

/* An amount with all that may follow one; its price means nothing here. */
static int read_whole_amount(struct bank_reader *reader, struct bank_amount *amount)
{
    struct bank_amount price;
    uint8_t kind;

    if (bank_read_amount(reader, amount) < 0)
        return -EINVAL;
    return bank_read_price(reader, amount, true, &price, &kind);
}

static int read_alias(struct bank_reader *reader)
{
    struct bank_applied alias = {0};
    const char *old, *old_end, *new, *end, *equals;

    if (need_space(reader) < 0)
        return -EINVAL;
    old = reader->file->at;
    end = bank_line_end(old);
    equals = memchr(old, '=', (size_t)(end - old));
    if (*old == '/')
        return bank_fail(reader, old,
                         "regular expressions in aliases are not supported; write OLD=NEW");
    if (!equals || equals == old)
        return bank_fail(reader, old, "an alias should stand here; write OLD=NEW");
    old_end = equals;
    new = equals + 1;
    bank_trim(&old, &old_end);
    bank_trim(&new, &end);
    if (bank_text_intern(reader, old, old_end, &alias.old) < 0
        || bank_text_intern(reader, new, end, &alias.text) < 0
        || bank_apply(reader, &reader->scope.aliases, alias) < 0)
        return -EINVAL;
    bank_next_line(reader);
    return 0;
}

static int end_aliases(struct bank_reader *reader)
{
    reader->scope.aliases = NULL;
    return end_loosely(reader);
}

static int apply_account(struct bank_reader *reader)
{
    struct bank_applied parent = {0};
    char name[BANK_ACCOUNT_LENGTH_MAX];
    const char *start;
    size_t length;

    if (need_space(reader) < 0)
        return -EINVAL;
    start = reader->file->at;
    if (bank_read_account_text(reader, name, &length) < 0)
        return -EINVAL;
    if (bank_is_virtual(name, length))
        return bank_fail(reader, start, "virtual accounts are not supported; remove the brackets");
    if (bank_text_intern(reader, name, name + length, &parent.text) < 0
        || bank_apply(reader, &reader->scope.parents, parent) < 0)
        return -EINVAL;
    return bank_end_line(reader);
}

static int end_apply_account(struct bank_reader *reader)
{
    if (!reader->scope.parents)
        return bank_fail(reader, reader->file->line_start,
                         "no apply account to end; remove this line");
    reader->scope.parents = reader->scope.parents->next;
    return end_loosely(reader);
}

static bool is_account_type(const char *start, const char *end)
{
    static const char *const TYPES[] = {
        "asset", "a",       "liability", "l",    "equity", "e",          "revenue",
        "r",     "expense", "x",         "cash", "c",      "conversion", "v",
    };

    bank_trim(&start, &end);
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
        if (strlen(TYPES[i]) == (size_t)(end - start)
            && strncasecmp(TYPES[i], start, (size_t)(end - start)) == 0)
            return true;
    return false;
}

/* Reads the name in an account directive; one in brackets is counted, and of no effect. */
static int read_declaration(struct bank_reader *reader)
{
    const char *start = reader->file->at;
    char name[BANK_ACCOUNT_LENGTH_MAX];
    uint32_t account;
    size_t length;

    if (bank_read_account_text(reader, name, &length) < 0)
        return -EINVAL;
    if (bank_is_virtual(name, length)) {
        reader->file->n_declarations++;
        return 0;
    }
    reader->file->at = start;
    if (bank_read_account(reader, &account) < 0)
        return -EINVAL;
    bank_account_declare(reader, account);
    return 0;
}

static int read_account_directive(struct bank_reader *reader)
{
    struct bank_comment comment = {0};
    struct bank_place place = {.file = reader->file->file, .line = reader->file->line, .column = 1};

    if (need_space(reader) < 0 || read_declaration(reader) < 0
        || bank_read_comments(reader, &comment) < 0)
        return -EINVAL;
    if (comment.type_at && !is_account_type(comment.type_at, comment.type_end))
        return bank_fail_at(reader, place, "no such account type; use one of A, L, E, R, X, C, V");
    /* Indented lines below are Ledger's business. */
    while (bank_space_length(reader->file->at) > 0)
        bank_next_line(reader);
    return 0;
}

/* Lines of the form `format AMOUNT` below a commodity directive. */
static int read_formats(struct bank_reader *reader, uint32_t commodity, uint32_t *style)
{
    struct bank_comment comment = {0};

    while (bank_space_length(reader->file->at) > 0) {
        const char *at = bank_skip_spaces(reader->file->at);
        struct bank_amount amount;

        if (!bank_starts_with(at, "format"))
            return bank_fail(reader, at, "only format may stand here; remove the line");
        reader->file->at = at + strlen("format");
        if (need_space(reader) < 0)
            return -EINVAL;
        at = reader->file->at;
        if (read_whole_amount(reader, &amount) < 0)
            return -EINVAL;
        if (amount.commodity != commodity)
            return bank_fail(reader, at, "the format is of another commodity; use the same");
        if (!bank_style_of(reader, amount.style)->mark)
            return bank_fail(reader, at, "%s", MARK_HELP);
        *style = amount.style;
        if (bank_read_comments(reader, &comment) < 0)
            return -EINVAL;
    }
    return 0;
}

static int read_commodity(struct bank_reader *reader)
{
    struct bank_comment comment = {0};
    struct bank_amount amount;
    uint32_t style = BANK_NONE;
    const char *start;

    if (need_space(reader) < 0)
        return -EINVAL;
    start = reader->file->at;
    /* Either an amount as an example, or a symbol and formats below it. */
    if (read_whole_amount(reader, &amount) == 0) {
        if (!bank_style_of(reader, amount.style)->mark)
            return bank_fail(reader, start, "%s", MARK_HELP);
        style = amount.style;
        if (bank_read_comments(reader, &comment) < 0)
            return -EINVAL;
    } else {
        reader->file->at = start;
        if (bank_read_symbol(reader, &amount.commodity) < 0
            || bank_read_comments(reader, &comment) < 0
            || read_formats(reader, amount.commodity, &style) < 0)
            return -EINVAL;
    }
    reader->commodities[amount.commodity].declared = style;
    return 0;
}

static int read_default_commodity(struct bank_reader *reader)
{
    struct bank_amount amount;
    const char *start;

    if (need_space(reader) < 0)
        return -EINVAL;
    start = reader->file->at;
    if (read_whole_amount(reader, &amount) < 0)
        return -EINVAL;
    if (!bank_style_of(reader, amount.style)->mark)
        return bank_fail(reader, start, "%s", MARK_HELP);
    reader->scope.default_commodity = amount.commodity;
    reader->scope.default_style = amount.style;
    bank_next_line(reader);
    return 0;
}

static int read_default_year(struct bank_reader *reader)
{
    const char *start = bank_skip_spaces(reader->file->at);
    const char *end = start + strspn(start, "0123456789");
    int year = 0;

    if (end - start < 4)
        return bank_fail(reader, start, "a year should stand here; write four digits");
    for (const char *at = start; at < end; at++) {
        year = year * 10 + (*at - '0');
        if (year > BANK_YEAR_MAX)
            return bank_fail(reader, start, "years end at %d; write an earlier one",
                             (int)BANK_YEAR_MAX);
    }
    reader->scope.year = year;
    reader->file->at = end;
    return end_loosely(reader);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Steps over hh:mm or hh:mm:ss, with a zone, behind the date of a price. */
static int skip_time(struct bank_reader *reader, const char **at)
{
    const char *next = bank_skip_spaces(*at);
    int hour, minute, second = 0;

    if (!is_digit(next[0]) || !is_digit(next[1]) || next[2] != ':' || !is_digit(next[3])
        || !is_digit(next[4]))
        return 0;
    hour = (next[0] - '0') * 10 + next[1] - '0';
    minute = (next[3] - '0') * 10 + next[4] - '0';
    *at = next + 5;
    if (next[5] == ':' && is_digit(next[6]) && is_digit(next[7])) {
        second = (next[6] - '0') * 10 + next[7] - '0';
        *at = next + 8;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return bank_fail(reader, next, "there is no such time; correct it or leave it out");
    if ((**at == '+' || **at == '-') && strspn(*at + 1, "0123456789") >= 4)
        *at += 5;
    return 0;
}

static int read_market_price(struct bank_reader *reader)
{
    struct bank_raw_price price, *grown;
    const char *at = reader->file->at;
    uint8_t ignored_kind;
    struct bank_amount ignored;

    at = bank_skip_spaces(at);
    if (bank_read_date(reader, &at, reader->scope.year, &price.date) < 0
        || skip_time(reader, &at) < 0)
        return -EINVAL;
    reader->file->at = at;
    if (need_space(reader) < 0 || bank_read_symbol(reader, &price.commodity) < 0)
        return -EINVAL;
    reader->file->at = bank_skip_spaces(reader->file->at);
    if (bank_read_amount(reader, &price.price) < 0
        || bank_read_price(reader, &price.price, true, &ignored, &ignored_kind) < 0)
        return -EINVAL;
    bank_note_price_style(reader, &price.price);
    grown =
        bank_array_grow(reader->prices, &reader->price_capacity, reader->n_prices, sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->prices = grown;
    reader->prices[reader->n_prices++] = price;
    bank_next_line(reader);
    return 0;
}

static int read_no_market(struct bank_reader *reader)
{
    uint32_t ignored;

    if (need_space(reader) < 0 || bank_read_symbol(reader, &ignored) < 0)
        return -EINVAL;
    bank_next_line(reader);
    return 0;
}

static int read_conversion(struct bank_reader *reader)
{
    struct bank_amount ignored;

    if (need_space(reader) < 0 || read_whole_amount(reader, &ignored) < 0)
        return -EINVAL;
    reader->file->at = bank_skip_spaces(reader->file->at);
    if (*reader->file->at != '=')
        return bank_fail(reader, reader->file->at, "write C AMOUNT = AMOUNT");
    reader->file->at = bank_skip_spaces(reader->file->at + 1);
    if (read_whole_amount(reader, &ignored) < 0)
        return -EINVAL;
    bank_next_line(reader);
    return 0;
}

static int read_decimal_mark(struct bank_reader *reader)
{
    const char *at;

    if (need_space(reader) < 0)
        return -EINVAL;
    at = reader->file->at;
    if (*at != '.' && *at != ',')
        return bank_fail(reader, at, "a decimal mark should stand here; write . or ,");
    reader->scope.decimal_mark = *at;
    bank_next_line(reader);
    return 0;
}

static int read_payee(struct bank_reader *reader)
{
    struct bank_comment comment = {0};

    if (need_space(reader) < 0)
        return -EINVAL;
    if (strchr(";\n", *reader->file->at))
        return bank_fail(reader, reader->file->at, "a payee should stand here; write a name");
    reader->file->at += strcspn(reader->file->at, ";\n");
    return bank_read_comments(reader, &comment);
}

static int read_tag(struct bank_reader *reader)
{
    if (need_space(reader) < 0)
        return -EINVAL;
    if (*reader->file->at == '\n')
        return bank_fail(reader, reader->file->at, "a tag should stand here; write a name");
    bank_next_line(reader);
    return 0;
}

static int skip_line(struct bank_reader *reader)
{
    bank_next_line(reader);
    return 0;
}

/* Compares words that any white space may separate. Returns what follows, or NULL. */
static const char *match_words(const char *at, const char *words)
{
    for (; *words; words++) {
        const char *next = *words == ' ' ? bank_skip_spaces(at) : at + 1;

        if (*words == ' ' ? next == at : *at != *words)
            return NULL;
        at = next;
    }
    return at;
}

int bank_read_directive(struct bank_reader *reader, bool *found)
{
    static const struct {
        const char *words;
        directive_fn *read;
    } DIRECTIVES[] = {
        {"include", bank_read_include},
        {"alias", read_alias},
        {"end aliases", end_aliases},
        {"account", read_account_directive},
        {"apply account", apply_account},
        {"commodity", read_commodity},
        {"end apply account", end_apply_account},
        {"payee", read_payee},
        {"tag", read_tag},
        {"end tag", skip_line},
        {"pop", skip_line},
        {"decimal-mark", read_decimal_mark},
        {"Y", read_default_year},
        {"D", read_default_commodity},
        {"C", read_conversion},
        {"N", read_no_market},
        {"P", read_market_price},
    };
    const char *at = reader->file->at;

    at += *at == '!';
    *found = false;
    for (size_t i = 0; i < sizeof(DIRECTIVES) / sizeof(DIRECTIVES[0]); i++) {
        const char *rest = match_words(at, DIRECTIVES[i].words);

        if (!rest)
            continue;
        *found = true;
        reader->file->at = rest;
        return DIRECTIVES[i].read(reader);
    }
    return 0;
}
