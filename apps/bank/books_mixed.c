/* Mixed amount: what an account or a transaction holds. See books_mixed.h. */
#include "apps/bank/books_mixed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Below this, moving entries one by one is faster than qsort. */
enum { INSERTION_SORT_MAX = 24 };

/* Commodities by symbol, no price before any price, total before unit prices. */
static int compare_keys(const struct bank_reader *reader, const struct bank_entry *a,
                        const struct bank_entry *b)
{
    const struct bank_name *symbols = reader->symbols.names;

    if (a->commodity != b->commodity)
        return strcmp(symbols[a->commodity].text, symbols[b->commodity].text);
    if (a->price_kind == BANK_NO_PRICE || b->price_kind == BANK_NO_PRICE)
        return (a->price_kind != BANK_NO_PRICE) - (b->price_kind != BANK_NO_PRICE);
    if (a->price_commodity != b->price_commodity)
        return strcmp(symbols[a->price_commodity].text, symbols[b->price_commodity].text);
    if (a->price_kind != b->price_kind)
        return a->price_kind == BANK_TOTAL_PRICE ? -1 : 1;
    return a->price_kind == BANK_UNIT_PRICE ? bank_decimal_compare(a->unit, b->unit) : 0;
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const struct bank_entry *a = left, *b = right;
    int order = compare_keys(context, a, b);

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

int bank_mixed_push(struct bank_mixed *mixed, const struct bank_entry *entry)
{
    struct bank_entry *grown;

    grown = bank_array_grow(mixed->entries, &mixed->capacity, mixed->n, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    mixed->entries = grown;
    mixed->entries[mixed->n] = *entry;
    mixed->entries[mixed->n].order = (uint32_t)mixed->n;
    mixed->n++;
    return 0;
}

/* Adds an entry to an earlier one of the same key. */
static int absorb(struct bank_reader *reader, struct bank_entry *first,
                  const struct bank_entry *second, enum bank_keep keep)
{
    int rc;

    rc = bank_wide_add(first->quantity, second->quantity, &first->quantity);
    if (rc == 0 && first->price_kind == BANK_TOTAL_PRICE)
        rc = bank_wide_add(first->total, second->total, &first->total);
    if (rc < 0 || first->style == second->style)
        return rc;
    if (keep == BANK_KEEP_FIRST)
        return bank_style_merge(reader, first->style, second->style, &first->style);
    return bank_style_merge(reader, second->style, first->style, &first->style);
}

static void sort(struct bank_reader *reader, struct bank_mixed *mixed)
{
    struct bank_entry *entries = mixed->entries;

    if (mixed->n > INSERTION_SORT_MAX) {
        qsort_r(entries, mixed->n, sizeof(*entries), compare_entries, reader);
        return;
    }
    for (size_t i = 1; i < mixed->n; i++) {
        struct bank_entry moving = entries[i];
        size_t hole = i;

        for (; hole > 0 && compare_entries(&entries[hole - 1], &moving, reader) > 0; hole--)
            entries[hole] = entries[hole - 1];
        entries[hole] = moving;
    }
}

int bank_mixed_merge(struct bank_reader *reader, struct bank_mixed *mixed, enum bank_keep keep)
{
    struct bank_entry *entries = mixed->entries;
    size_t n_merged = 0;

    sort(reader, mixed);
    for (size_t i = 0; i < mixed->n; i++) {
        if (n_merged > 0 && compare_keys(reader, &entries[n_merged - 1], &entries[i]) == 0) {
            int rc = absorb(reader, &entries[n_merged - 1], &entries[i], keep);

            if (rc < 0)
                return rc;
            continue;
        }
        entries[n_merged++] = entries[i];
    }
    mixed->n = n_merged;
    return 0;
}

/* Position of the first entry that is not before the wanted one. */
static size_t lower_bound(const struct bank_reader *reader, const struct bank_mixed *mixed,
                          const struct bank_entry *wanted)
{
    size_t low = 0, high = mixed->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_keys(reader, &mixed->entries[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int bank_mixed_add(struct bank_reader *reader, struct bank_mixed *mixed,
                   const struct bank_entry *entry, size_t *position)
{
    size_t at = lower_bound(reader, mixed, entry);
    struct bank_entry moving = *entry;
    int rc;

    *position = at;
    if (at < mixed->n && compare_keys(reader, &mixed->entries[at], entry) == 0)
        return absorb(reader, &mixed->entries[at], entry, BANK_KEEP_LAST);
    rc = bank_mixed_push(mixed, entry);
    if (rc < 0)
        return rc;
    memmove(&mixed->entries[at + 1], &mixed->entries[at],
            (mixed->n - 1 - at) * sizeof(*mixed->entries));
    mixed->entries[at] = moving;
    return 0;
}

static int cost_of(const struct bank_entry *entry, struct bank_entry *cost)
{
    *cost = (struct bank_entry){.commodity = entry->price_commodity, .style = entry->price_style};
    if (entry->price_kind == BANK_TOTAL_PRICE) {
        cost->quantity = entry->total;
        return 0;
    }
    return bank_wide_product(entry->quantity, bank_wide_from(entry->unit), &cost->quantity);
}

int bank_mixed_cost(struct bank_reader *reader, const struct bank_mixed *mixed,
                    struct bank_mixed *cost)
{
    int rc = 0;

    cost->n = 0;
    for (size_t i = 0; i < mixed->n && rc == 0; i++)
        if (mixed->entries[i].price_kind == BANK_NO_PRICE)
            rc = bank_mixed_push(cost, &mixed->entries[i]);
    for (size_t i = 0; i < mixed->n && rc == 0; i++) {
        struct bank_entry converted;

        if (mixed->entries[i].price_kind == BANK_NO_PRICE)
            continue;
        rc = cost_of(&mixed->entries[i], &converted);
        if (rc == 0)
            rc = bank_mixed_push(cost, &converted);
    }
    return rc < 0 ? rc : bank_mixed_merge(reader, cost, BANK_KEEP_FIRST);
}

const struct bank_entry *bank_mixed_find(const struct bank_reader *reader,
                                         const struct bank_mixed *mixed, uint32_t commodity)
{
    struct bank_entry wanted = {.commodity = commodity};
    size_t at = lower_bound(reader, mixed, &wanted);

    if (at == mixed->n || mixed->entries[at].commodity != commodity)
        return NULL;
    return &mixed->entries[at];
}

bool bank_entry_is_zero(const struct bank_entry *entry)
{
    return entry->quantity.mantissa == 0
           && (entry->price_kind != BANK_TOTAL_PRICE || entry->total.mantissa == 0);
}

void bank_entry_negate(struct bank_entry *entry)
{
    entry->quantity.mantissa = -entry->quantity.mantissa;
    entry->total.mantissa = -entry->total.mantissa;
}

struct bank_entry bank_entry_from(const struct bank_amount *amount, uint8_t price_kind,
                                  const struct bank_amount *price)
{
    struct bank_entry entry = {
        .quantity = bank_wide_from(amount->quantity),
        .commodity = amount->commodity,
        .style = amount->style,
        .price_kind = price_kind,
    };

    if (price_kind == BANK_NO_PRICE)
        return entry;
    entry.price_commodity = price->commodity;
    entry.price_style = price->style;
    if (price_kind == BANK_TOTAL_PRICE)
        entry.total = bank_wide_from(price->quantity);
    else
        entry.unit = price->quantity;
    return entry;
}

void bank_mixed_deinit(struct bank_mixed *mixed)
{
    free(mixed->entries);
    *mixed = (struct bank_mixed){0};
}
