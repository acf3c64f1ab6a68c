/*
 * Mixed amount: what an account or a transaction holds, in several commodities.
 *
 * As in hledger, amounts of one commodity that have different prices stay
 * apart: the key of an entry is its commodity, the commodity of its price,
 * and the unit price. A mixed amount is a list of entries; after a merge it
 * is sorted by key and each key comes once. Zero entries are kept, because
 * a total assertion also looks at commodities that are present but zero.
 */
#ifndef BANK_BOOKS_MIXED_H
#define BANK_BOOKS_MIXED_H

#include "apps/bank/books_reader.h"

struct bank_entry {
    struct bank_wide quantity;
    struct bank_wide total;   /* of a total price: its quantity */
    struct bank_decimal unit; /* of a unit price: its quantity */
    uint32_t commodity;
    uint32_t style;
    uint32_t price_commodity;
    uint32_t price_style;
    uint32_t posting; /* where it comes from, as index into postings */
    uint32_t order;   /* makes sorting stable */
    uint8_t price_kind;
};

struct bank_mixed {
    struct bank_entry *entries;
    size_t n;
    size_t capacity;
};

/* What to do with the style when two entries of one key become one. */
enum bank_keep { BANK_KEEP_FIRST, BANK_KEEP_LAST };

/* All return 0 or a negative errno; -ERANGE if a sum does not fit, with no error filled. */

/* Puts an entry at the end. The mixed amount is then not merged. */
int bank_mixed_push(struct bank_mixed *mixed, const struct bank_entry *entry);
/* Sorts by key and makes one entry of each key. */
int bank_mixed_merge(struct bank_reader *reader, struct bank_mixed *mixed, enum bank_keep keep);
/* Adds an entry to a merged mixed amount, which stays merged. Gives its position. */
int bank_mixed_add(struct bank_reader *reader, struct bank_mixed *mixed,
                   const struct bank_entry *entry, size_t *position);
/* Converts a merged mixed amount to cost; the result is merged. */
int bank_mixed_cost(struct bank_reader *reader, const struct bank_mixed *mixed,
                    struct bank_mixed *cost);
/* Returns the first entry of a commodity in a merged mixed amount, or NULL. */
const struct bank_entry *bank_mixed_find(const struct bank_reader *reader,
                                         const struct bank_mixed *mixed, uint32_t commodity);
/* Neither the quantity nor a total price is other than zero. */
bool bank_entry_is_zero(const struct bank_entry *entry);
void bank_entry_negate(struct bank_entry *entry);
/* Makes an entry of an amount, with its price unless that is BANK_NO_PRICE. */
struct bank_entry bank_entry_from(const struct bank_amount *amount, uint8_t price_kind,
                                  const struct bank_amount *price);
void bank_mixed_deinit(struct bank_mixed *mixed);

#endif
