/*
 * Amounts: numbers, commodity symbols, prices, lots.
 *
 * A number may have digit groups and a decimal mark, and it is for us to
 * tell which is which: a mark that comes once, last and differs from an
 * earlier one is decimal; one that comes twice separates groups. A single
 * mark is decimal too, unless a directive has fixed another decimal mark for
 * the commodity (books are full of 1,000 and mean a thousand).
 */
#include <errno.h>
#include <string.h>

#include "apps/bank/books_reader.h"

enum { GROUP_LENGTH_MAX = 255, DIGITS_MAX = 38, EXPONENT_MAX = 1000 };

/* A number as written, before we know what its marks mean. */
struct number {
    const char *start;
    const char *decimals; /* first digit behind the decimal mark, or NULL */
    const char *end;      /* behind the last digit or mark */
    char mark;            /* decimal mark, or 0 */
    char group_mark;      /* or 0 */
    bool is_ambiguous;    /* its only mark may be either */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_decimal_mark(char c)
{
    return c == '.' || c == ',';
}

static bool is_simple(char c)
{
    return c != '\0' && !strchr("0123456789-+.@*;\t\n \"{}=", c);
}

static const char *skip_digits(const char *at)
{
    while (is_digit(*at))
        at++;
    return at;
}

bool bank_amount_follows(const char *at)
{
    return *at != '\0' && !strchr("=;\n*@{}", *at);
}

int bank_style_intern(struct bank_reader *reader, const struct bank_style *style, uint32_t *index)
{
    if (bank_names_intern(&reader->style_names, (const char *)style, sizeof(*style), index) < 0)
        return bank_fail_memory(reader);
    return 0;
}

static int add_commodity(struct bank_reader *reader, const char *start, const char *end,
                         uint32_t *commodity)
{
    struct bank_raw_commodity *grown;
    size_t n_known = reader->symbols.n_names;

    if (end - start == 4 && memcmp(start, "AUTO", 4) == 0)
        return bank_fail(reader, start,
                         "AUTO means a missing amount; give the commodity another name");
    if (end - start > BANK_SYMBOL_LENGTH_MAX)
        return bank_fail(reader, start, "a commodity of more than %d bytes; shorten it",
                         (int)BANK_SYMBOL_LENGTH_MAX);
    grown =
        bank_array_grow(reader->commodities, &reader->commodity_capacity, n_known, sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->commodities = grown;
    if (bank_names_intern(&reader->symbols, start, (size_t)(end - start), commodity) < 0)
        return bank_fail_memory(reader);
    if (*commodity < n_known)
        return 0;
    if (n_known == BANK_COMMODITIES_MAX)
        return bank_fail(reader, start, "more than %d commodities; is this a commodity?",
                         (int)BANK_COMMODITIES_MAX);
    reader->commodities[*commodity] = (struct bank_raw_commodity){
        .declared = BANK_NONE, .style = BANK_NONE, .grouped = {BANK_NONE, BANK_NONE}};
    return 0;
}

int bank_read_symbol(struct bank_reader *reader, uint32_t *commodity)
{
    const char *start = reader->file->at, *end;

    if (*start == '"') {
        start++;
        end = start + strcspn(start, ";\n\"");
        if (*end != '"' || end == start)
            return bank_fail(reader, start, "the quoted commodity does not end; add a \"");
        reader->file->at = end + 1;
        return add_commodity(reader, start, end, commodity);
    }
    for (end = start; is_simple(*end);)
        end++;
    if (end == start)
        return bank_fail(reader, start, "a commodity should stand here; quote unusual ones");
    reader->file->at = end;
    return add_commodity(reader, start, end, commodity);
}

/* Finds where a number ends and which marks it has, without a judgement on them. */
static int scan_number(struct bank_reader *reader, struct number *number)
{
    const char *at = reader->file->at, *next;

    *number = (struct number){.start = at};
    next = skip_digits(at);
    if (next == at && !(is_decimal_mark(*at) && is_digit(at[1])))
        return bank_fail(reader, at, "a number should stand here; write one, or quote the symbol");
    if (next != at && (is_decimal_mark(*next) || *next == ' ') && is_digit(next[1])) {
        char separator = *next;
        size_t n_groups = 1;

        for (; *next == separator && is_digit(next[1]); n_groups++)
            next = skip_digits(next + 1);
        number->group_mark = separator;
        number->is_ambiguous = n_groups == 2 && is_decimal_mark(separator);
        if (is_decimal_mark(*next) && *next != separator) {
            number->mark = *next;
            number->decimals = next + 1;
            number->is_ambiguous = false;
            next = skip_digits(next + 1);
        }
    } else if (is_decimal_mark(*next)) {
        number->mark = *next;
        number->decimals = next + 1;
        next = skip_digits(next + 1);
    }
    number->end = next;
    if (is_decimal_mark(*next))
        return bank_fail(reader, next, "the number has too many separators; correct it");
    if (*next == ' ' && is_digit(next[1]))
        return bank_fail(reader, next, "the number has more digits behind it; remove the space");
    reader->file->at = next;
    return 0;
}

/* Reads e10 or E-3 behind a number, if there is one. */
static void read_exponent(const char **at, bool *found, int *exponent)
{
    const char *next = *at;
    bool is_negative;

    *found = false;
    *exponent = 0;
    if (*next != 'e' && *next != 'E')
        return;
    next++;
    is_negative = *next == '-';
    if (*next == '-' || *next == '+')
        next = bank_skip_spaces(next + 1);
    if (!is_digit(*next))
        return;
    for (; is_digit(*next); next++)
        if (*exponent < EXPONENT_MAX)
            *exponent = *exponent * 10 + (*next - '0');
    if (is_negative)
        *exponent = -*exponent;
    *found = true;
    *at = next;
}

/* Decides what a single mark means. */
static void settle_marks(struct number *number, char decimal_mark)
{
    const char *mark;

    if (!number->is_ambiguous)
        return;
    if (decimal_mark != 0 && decimal_mark != number->group_mark)
        return;
    mark = skip_digits(number->start);
    number->mark = *mark;
    number->decimals = mark + 1;
    number->group_mark = 0;
}

/* Group sizes from right to left; a leftmost group that is shorter says nothing. */
static void fill_groups(const struct number *number, struct bank_style *style)
{
    const char *end = number->decimals ? number->decimals - 1 : number->end;
    const char *at = number->start;
    size_t first = 0, second = 0, n_sizes = 0;

    style->group_mark = (uint8_t)number->group_mark;
    first = (size_t)(skip_digits(at) - at);
    at += first + 1;
    second = (size_t)(skip_digits(at) - at);
    for (const char *left = end; left > number->start;) {
        const char *right = left;
        size_t size;

        while (left > number->start && is_digit(left[-1]))
            left--;
        size = (size_t)(right - left);
        if (left == number->start && first < second)
            break;
        if (n_sizes < BANK_GROUPS_MAX)
            style->groups[n_sizes++] = (uint8_t)(size < GROUP_LENGTH_MAX ? size : GROUP_LENGTH_MAX);
        if (left > number->start)
            left--;
    }
    style->n_groups = (uint8_t)n_sizes;
}

/* Gives the value of a number and its precision, as hledger counts decimals. */
static int evaluate(const struct number *number, int exponent, struct bank_decimal *quantity,
                    uint8_t *precision)
{
    long scale = (number->decimals ? number->end - number->decimals : 0) - exponent;
    unsigned n_digits = 0;
    struct bank_wide value = {0};

    for (const char *at = number->start; at < number->end; at++) {
        if (!is_digit(*at))
            continue;
        if (n_digits == DIGITS_MAX)
            return -ERANGE;
        value.mantissa = value.mantissa * 10 + (*at - '0');
        n_digits += value.mantissa != 0;
    }
    if (scale > UINT8_MAX)
        return -ERANGE;
    *precision = (uint8_t)(scale < 0 ? 0 : scale);
    if (value.mantissa == 0)
        scale = 0;
    if (scale < 0)
        return bank_wide_shift(value, (unsigned)-scale, &value) < 0
                   ? -ERANGE
                   : bank_wide_narrow(value, quantity);
    for (; scale > BANK_SCALE_MAX && value.mantissa % 10 == 0; scale--)
        value.mantissa /= 10;
    if (scale > BANK_SCALE_MAX)
        return -ERANGE;
    value.scale = (uint8_t)scale;
    return bank_wide_narrow(value, quantity);
}

/* A number that is scanned, with everything but the symbol. */
struct scanned {
    struct number number;
    bool has_exponent;
    int exponent;
};

static int scan(struct bank_reader *reader, struct scanned *scanned)
{
    int rc = scan_number(reader, &scanned->number);

    if (rc < 0)
        return rc;
    read_exponent(&reader->file->at, &scanned->has_exponent, &scanned->exponent);
    return 0;
}

/* Fills quantity and precision, mark and groups of the style. */
static int interpret(struct bank_reader *reader, struct scanned *scanned, char decimal_mark,
                     struct bank_decimal *quantity, struct bank_style *style)
{
    struct number *number = &scanned->number;

    settle_marks(number, decimal_mark);
    if (scanned->has_exponent && number->group_mark)
        return bank_fail(reader, number->start,
                         "digit groups and an exponent do not go together; write one of them");
    if (evaluate(number, scanned->exponent, quantity, &style->precision) < 0)
        return bank_fail(reader, number->start,
                         "the number does not fit 64 bits; write fewer digits");
    style->mark = (uint8_t)number->mark;
    if (number->group_mark)
        fill_groups(number, style);
    return 0;
}

/* The decimal mark that directives have fixed for a commodity, or 0. */
static char fixed_mark(const struct bank_reader *reader, uint32_t commodity)
{
    const struct bank_scope *scope = &reader->scope;
    uint32_t style = BANK_NONE;

    if (scope->decimal_mark)
        return scope->decimal_mark;
    if (commodity != BANK_NONE)
        style = reader->commodities[commodity].declared;
    if (style == BANK_NONE)
        style = scope->default_style;
    return style == BANK_NONE ? 0 : (char)bank_style_of(reader, style)->mark;
}

static int negate_if(struct bank_reader *reader, const char *at, bool is_negative,
                     struct bank_decimal *quantity)
{
    if (is_negative && bank_decimal_negate(*quantity, quantity) < 0)
        return bank_fail(reader, at, "the number does not fit 64 bits; write fewer digits");
    return 0;
}

static bool read_sign(struct bank_reader *reader)
{
    const char *at = reader->file->at;

    if (*at != '-' && *at != '+')
        return false;
    reader->file->at = bank_skip_spaces(at + 1);
    return *at == '-';
}

static int read_left_amount(struct bank_reader *reader, bool is_negative,
                            struct bank_amount *amount)
{
    struct bank_style style = {0};
    struct scanned scanned;
    const char *next;
    int rc;

    rc = bank_read_symbol(reader, &amount->commodity);
    if (rc < 0)
        return rc;
    next = bank_skip_spaces(reader->file->at);
    style.spaced = next != reader->file->at;
    reader->file->at = next;
    is_negative ^= read_sign(reader);
    rc = scan(reader, &scanned);
    if (rc < 0)
        return rc;
    rc = interpret(reader, &scanned, fixed_mark(reader, amount->commodity), &amount->quantity,
                   &style);
    if (rc < 0)
        return rc;
    rc = bank_style_intern(reader, &style, &amount->style);
    return rc < 0 ? rc : negate_if(reader, next, is_negative, &amount->quantity);
}

/* A bare number is in the commodity of the last D, if there is one. */
static int finish_bare_amount(struct bank_reader *reader, struct scanned *scanned,
                              struct bank_amount *amount)
{
    const struct bank_scope *scope = &reader->scope;
    uint32_t nothing = bank_names_find(&reader->symbols, "", 0);
    struct bank_style style = {0};
    int rc;

    rc = interpret(reader, scanned, fixed_mark(reader, nothing), &amount->quantity, &style);
    if (rc < 0)
        return rc;
    if (scope->default_commodity == BANK_NONE) {
        rc = add_commodity(reader, "", "", &amount->commodity);
    } else {
        uint8_t precision = style.precision;

        style = *bank_style_of(reader, scope->default_style);
        if (style.precision < precision)
            style.precision = precision;
        amount->commodity = scope->default_commodity;
    }
    return rc < 0 ? rc : bank_style_intern(reader, &style, &amount->style);
}

static int read_right_amount(struct bank_reader *reader, bool is_negative,
                             struct bank_amount *amount)
{
    const char *start = reader->file->at, *next;
    struct bank_style style = {.on_right = true};
    struct scanned scanned;
    int rc;

    rc = scan(reader, &scanned);
    if (rc < 0)
        return rc;
    next = bank_skip_spaces(reader->file->at);
    if (*next == '"' || is_simple(*next)) {
        style.spaced = next != reader->file->at;
        reader->file->at = next;
        rc = bank_read_symbol(reader, &amount->commodity);
        if (rc == 0)
            rc = interpret(reader, &scanned, fixed_mark(reader, amount->commodity),
                           &amount->quantity, &style);
        if (rc == 0)
            rc = bank_style_intern(reader, &style, &amount->style);
    } else {
        rc = finish_bare_amount(reader, &scanned, amount);
    }
    return rc < 0 ? rc : negate_if(reader, start, is_negative, &amount->quantity);
}

int bank_read_amount(struct bank_reader *reader, struct bank_amount *amount)
{
    bool is_negative = read_sign(reader);
    const char *at = reader->file->at;

    if (*at == '"' || is_simple(*at))
        return read_left_amount(reader, is_negative, amount);
    return read_right_amount(reader, is_negative, amount);
}

/* @ PRICE, @@ PRICE, (@) PRICE or (@@) PRICE. */
static int read_cost(struct bank_reader *reader, const struct bank_amount *base,
                     struct bank_amount *price, uint8_t *kind)
{
    const char *at = reader->file->at;
    bool in_parentheses = *at == '(';

    at += in_parentheses;
    if (*at != '@')
        return bank_fail(reader, at, "a price should stand here; write @ or @@ and an amount");
    *kind = at[1] == '@' ? BANK_TOTAL_PRICE : BANK_UNIT_PRICE;
    at += *kind == BANK_TOTAL_PRICE ? 2 : 1;
    if (in_parentheses && *at++ != ')')
        return bank_fail(reader, at - 1, "the price mark does not end; add a )");
    reader->file->at = bank_skip_spaces(at);
    if (bank_read_amount(reader, price) < 0)
        return -EINVAL;
    /* A total price goes the way of what it pays for. */
    return negate_if(reader, at, *kind == BANK_TOTAL_PRICE && base->quantity.mantissa < 0,
                     &price->quantity);
}

/* {PRICE}, {=PRICE}, {{PRICE}} or {{=PRICE}}: checked, and of no effect, as in hledger. */
static int skip_lot_price(struct bank_reader *reader)
{
    struct bank_amount ignored;
    const char *at = reader->file->at + 1;
    bool is_double = *at == '{';

    at = bank_skip_spaces(at + is_double);
    if (*at == '=')
        at = bank_skip_spaces(at + 1);
    reader->file->at = at;
    if (bank_read_amount(reader, &ignored) < 0)
        return -EINVAL;
    at = bank_skip_spaces(reader->file->at);
    if (*at != '}' || (is_double && at[1] != '}'))
        return bank_fail(reader, at, "the lot price does not end; add a }");
    reader->file->at = at + 1 + is_double;
    return 0;
}

/* [DATE]: checked, and of no effect, as in hledger. */
static int skip_lot_date(struct bank_reader *reader)
{
    const char *at = bank_skip_spaces(reader->file->at + 1);
    bank_date ignored;

    if (bank_read_date(reader, &at, reader->scope.year, &ignored) < 0)
        return -EINVAL;
    at = bank_skip_spaces(at);
    if (*at != ']')
        return bank_fail(reader, at, "the lot date does not end; add a ]");
    reader->file->at = at + 1;
    return 0;
}

int bank_read_price(struct bank_reader *reader, const struct bank_amount *base, bool lots,
                    struct bank_amount *price, uint8_t *kind)
{
    bool has_lot_price = !lots, has_lot_date = !lots;

    *kind = BANK_NO_PRICE;
    for (;;) {
        const char *at = bank_skip_spaces(reader->file->at);
        int rc;

        reader->file->at = at;
        if ((*at == '@' || *at == '(') && *kind == BANK_NO_PRICE) {
            rc = read_cost(reader, base, price, kind);
        } else if (*at == '{' && !has_lot_price) {
            has_lot_price = true;
            rc = skip_lot_price(reader);
        } else if (*at == '[' && !has_lot_date) {
            has_lot_date = true;
            rc = skip_lot_date(reader);
        } else {
            return 0;
        }
        if (rc < 0)
            return rc;
    }
}
