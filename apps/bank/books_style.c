/*
 * Styles: how the amounts of each commodity look, and so how they round.
 *
 * A directive decides; else the last D of the main file, for its commodity;
 * else all amounts of P directives and of postings together: the symbol
 * stands as in the first of them, digit groups as in the first that has
 * any, the precision is the greatest. Prices behind @ do not count, so a
 * commodity that comes only there has no style, and its amounts keep theirs.
 */
#include "apps/bank/books_reader.h"

enum { IN_PRICES, IN_POSTINGS };

static void note(struct bank_reader *reader, const struct bank_amount *amount, int where)
{
    struct bank_raw_commodity *commodity = &reader->commodities[amount->commodity];
    const struct bank_style *style = bank_style_of(reader, amount->style);

    if (commodity->n_seen[where]++ == 0)
        commodity->first[where] = amount->style;
    if (style->group_mark && commodity->grouped[where] == BANK_NONE)
        commodity->grouped[where] = amount->style;
    if (style->mark && !commodity->mark[where])
        commodity->mark[where] = style->mark;
    if (commodity->precision < style->precision)
        commodity->precision = style->precision;
}

void bank_note_price_style(struct bank_reader *reader, const struct bank_amount *amount)
{
    note(reader, amount, IN_PRICES);
}

void bank_note_amount_style(struct bank_reader *reader, const struct bank_amount *amount)
{
    note(reader, amount, IN_POSTINGS);
}

/* Joins the styles of all amounts of a commodity, prices first. */
static int infer(struct bank_reader *reader, struct bank_raw_commodity *commodity)
{
    int first = commodity->n_seen[IN_PRICES] > 0 ? IN_PRICES : IN_POSTINGS;
    struct bank_style style = *bank_style_of(reader, commodity->first[first]);
    uint32_t grouped = commodity->grouped[IN_PRICES];
    uint8_t mark = commodity->mark[IN_PRICES];

    /* A single amount is its own style, to the last detail. */
    if (commodity->n_seen[IN_PRICES] + commodity->n_seen[IN_POSTINGS] == 1) {
        commodity->style = commodity->first[first];
        return 0;
    }
    if (grouped == BANK_NONE)
        grouped = commodity->grouped[IN_POSTINGS];
    if (mark == 0)
        mark = commodity->mark[IN_POSTINGS];
    style.precision = commodity->precision;
    style.mark = mark ? mark : '.';
    if (grouped != BANK_NONE) {
        struct bank_style groups = *bank_style_of(reader, grouped);

        groups.on_right = style.on_right;
        groups.spaced = style.spaced;
        groups.precision = style.precision;
        groups.mark = groups.group_mark == '.' ? ',' : '.';
        style = groups;
    }
    return bank_style_intern(reader, &style, &commodity->style);
}

static int with_precision(struct bank_reader *reader, uint32_t style, uint8_t precision,
                          uint32_t *result)
{
    struct bank_style copy = *bank_style_of(reader, style);

    copy.precision = precision;
    return bank_style_intern(reader, &copy, result);
}

/* Gives an amount the style of its commodity, but leaves it its decimals. */
static int style_except_precision(struct bank_reader *reader, struct bank_amount *amount)
{
    uint32_t style = reader->commodities[amount->commodity].style;

    if (style == BANK_NONE)
        return 0;
    return with_precision(reader, style, bank_style_of(reader, amount->style)->precision,
                          &amount->style);
}

/* Gives all amounts that were written their styles, prices and assertions keep their decimals. */
static int apply(struct bank_reader *reader)
{
    int rc = 0;

    for (size_t i = 0; i < reader->n_postings; i++) {
        struct bank_amount *amount = &reader->postings[i].amount;

        if (reader->postings[i].has_amount)
            amount->style = reader->commodities[amount->commodity].style;
    }
    for (size_t i = 0; i < reader->n_extras && rc == 0; i++) {
        struct bank_extra *extra = &reader->extras[i];

        if (extra->price_kind != BANK_NO_PRICE)
            rc = style_except_precision(reader, &extra->price);
        if (rc == 0 && extra->asserts)
            rc = style_except_precision(reader, &extra->asserted);
    }
    return rc;
}

static int settle_all(struct bank_reader *reader)
{
    for (uint32_t i = 0; i < reader->symbols.n_names; i++) {
        struct bank_raw_commodity *commodity = &reader->commodities[i];
        int rc = 0;

        if (commodity->declared != BANK_NONE)
            commodity->style = commodity->declared;
        else if (reader->final_scope.default_commodity == i)
            commodity->style = reader->final_scope.default_style;
        else if (commodity->n_seen[IN_PRICES] + commodity->n_seen[IN_POSTINGS] > 0)
            rc = infer(reader, commodity);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int bank_styles_finish(struct bank_reader *reader)
{
    int rc = settle_all(reader);

    return rc < 0 ? rc : apply(reader);
}

int bank_style_merge(struct bank_reader *reader, uint32_t keep, uint32_t other, uint32_t *merged)
{
    uint8_t precision = bank_style_of(reader, other)->precision;

    if (bank_style_of(reader, keep)->precision >= precision) {
        *merged = keep;
        return 0;
    }
    return with_precision(reader, keep, precision, merged);
}
