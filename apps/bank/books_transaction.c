/*
 * Transactions: does one balance, and what is the amount that it leaves out?
 *
 * The sum of all postings, at cost, must look like zero in every commodity,
 * with the decimals that the commodity is shown with. One posting may leave
 * its amount out and gets the negative of the sum, exact, in as many
 * commodities as it has. If no price and no amount is missing and the sum is
 * of exactly two commodities with opposite signs, they are taken to have
 * been exchanged for each other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/bank/books_mixed.h"

/* What is known of a transaction while it is balanced. */
struct balancing {
    const struct bank_raw_transaction *transaction;
    const struct bank_mixed *assigned;
    struct bank_mixed sum;
    struct bank_mixed cost;
    struct bank_raw_posting *missing; /* the posting without an amount, or NULL */
};

struct bank_place bank_place_of(const struct bank_raw_transaction *transaction,
                                const struct bank_raw_posting *posting)
{
    return (struct bank_place){
        .file = transaction->file,
        .line = posting ? posting->line : transaction->line,
        .column = posting ? posting->column : 1,
    };
}

static bool is_assigned(const struct bank_reader *reader, const struct bank_raw_posting *posting)
{
    return !posting->has_amount && posting->extra > 0 && reader->extras[posting->extra - 1].asserts;
}

static int fail_range(struct bank_reader *reader, const struct balancing *balancing)
{
    return bank_fail_at(reader, bank_place_of(balancing->transaction, balancing->missing),
                        "the sum of the transaction does not fit 64 bits; use smaller numbers");
}

static int push_explicit(struct bank_reader *reader, struct balancing *balancing,
                         const struct bank_raw_posting *posting)
{
    const struct bank_extra *extra =
        posting->extra > 0 ? &reader->extras[posting->extra - 1] : NULL;
    uint8_t kind = extra && !balancing->assigned ? extra->price_kind : BANK_NO_PRICE;
    struct bank_entry entry = bank_entry_from(&posting->amount, kind, extra ? &extra->price : NULL);

    return bank_mixed_push(&balancing->sum, &entry);
}

/* Gathers the amounts of all postings, in their order, and finds the missing one. */
static int gather(struct bank_reader *reader, struct balancing *balancing)
{
    const struct bank_raw_transaction *transaction = balancing->transaction;
    const struct bank_mixed *assigned = balancing->assigned;
    size_t next_assigned = 0;

    for (uint32_t i = 0; i < transaction->n_postings; i++) {
        uint32_t index = transaction->first_posting + i;
        struct bank_raw_posting *posting = &reader->postings[index];
        int rc = 0;

        if (posting->has_amount)
            rc = push_explicit(reader, balancing, posting);
        else if (!is_assigned(reader, posting) && balancing->missing)
            return bank_fail_at(reader, bank_place_of(transaction, posting),
                                "a second posting without an amount; write this one (two spaces "
                                "separate account and amount)");
        else if (!is_assigned(reader, posting))
            balancing->missing = posting;
        while (assigned && rc == 0 && next_assigned < assigned->n
               && assigned->entries[next_assigned].posting == index)
            rc = bank_mixed_push(&balancing->sum, &assigned->entries[next_assigned++]);
        if (rc < 0)
            return bank_fail_memory(reader);
    }
    return 0;
}

static int keep_inferred(struct bank_reader *reader, struct balancing *balancing,
                         const struct bank_entry *entry)
{
    struct bank_amount amount = {.commodity = entry->commodity, .style = entry->style};
    struct bank_wide negative = {.mantissa = -entry->quantity.mantissa,
                                 .scale = entry->quantity.scale};
    uint32_t style = reader->commodities[entry->commodity].style;
    struct bank_amount *grown;

    if (bank_wide_narrow(negative, &amount.quantity) < 0)
        return fail_range(reader, balancing);
    if (style != BANK_NONE)
        amount.style = style;
    grown = bank_array_grow(reader->inferred, &reader->inferred_capacity, reader->n_inferred,
                            sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->inferred = grown;
    reader->inferred[reader->n_inferred++] = amount;
    return 0;
}

static int infer_missing(struct bank_reader *reader, struct balancing *balancing)
{
    struct bank_raw_posting *missing = balancing->missing;

    missing->first_inferred = (uint32_t)reader->n_inferred;
    for (size_t i = 0; i < balancing->cost.n; i++)
        if (keep_inferred(reader, balancing, &balancing->cost.entries[i]) < 0)
            return -EINVAL;
    missing->n_inferred = (uint32_t)balancing->cost.n;
    return 0;
}

/* Finds the two commodities of an exchange: the only ones with a sum, without prices. */
static bool find_exchange(const struct balancing *balancing, const struct bank_entry *pair[2])
{
    size_t n = 0;

    for (size_t i = 0; i < balancing->sum.n; i++) {
        const struct bank_entry *entry = &balancing->sum.entries[i];

        if (bank_entry_is_zero(entry))
            continue;
        if (n == 2 || entry->price_kind != BANK_NO_PRICE)
            return false;
        pair[n++] = entry;
    }
    return n == 2 && (pair[0]->quantity.mantissa < 0) != (pair[1]->quantity.mantissa < 0);
}

/*
 * An assignment may have come to amounts in several commodities. hledger gives
 * such a posting no inferred price, so what it holds of the first of the two
 * commodities would stay in the sum.
 */
static bool converts_wholly(const struct bank_reader *reader, const struct balancing *balancing,
                            const struct bank_entry *pair[2])
{
    const struct bank_raw_transaction *transaction = balancing->transaction;
    const struct bank_mixed *assigned = balancing->assigned;
    uint32_t from = BANK_NONE;
    size_t at = 0;

    for (uint32_t i = 0; i < transaction->n_postings; i++) {
        uint32_t index = transaction->first_posting + i;
        const struct bank_raw_posting *posting = &reader->postings[index];
        size_t first = at;

        if (posting->has_amount && from == BANK_NONE
            && (posting->amount.commodity == pair[0]->commodity
                || posting->amount.commodity == pair[1]->commodity))
            from = posting->amount.commodity;
        for (; assigned && at < assigned->n && assigned->entries[at].posting == index; at++)
            if (from == BANK_NONE
                && (assigned->entries[at].commodity == pair[0]->commodity
                    || assigned->entries[at].commodity == pair[1]->commodity))
                from = assigned->entries[at].commodity;
        for (size_t j = first; at - first > 1 && j < at; j++)
            if (assigned->entries[j].commodity == from)
                return false;
    }
    return true;
}

/* Fails with what is left over, in the first few commodities. */
static int fail_unbalanced(struct bank_reader *reader, const struct balancing *balancing,
                           const struct bank_entry *rest)
{
    const char *symbol = reader->symbols.names[rest->commodity].text;
    char text[BANK_DECIMAL_TEXT_MAX] = "something";
    struct bank_decimal narrow;

    if (bank_wide_narrow(rest->quantity, &narrow) == 0)
        (void)bank_decimal_format(narrow, narrow.scale, text);
    return bank_fail_at(reader, bank_place_of(balancing->transaction, NULL),
                        "the transaction does not balance, %s%s%.64s is left over; correct an "
                        "amount or leave one out",
                        text, *symbol ? " " : "", symbol);
}

static int check_sum(struct bank_reader *reader, const struct balancing *balancing)
{
    for (size_t i = 0; i < balancing->cost.n; i++) {
        const struct bank_entry *entry = &balancing->cost.entries[i];
        uint32_t style = reader->commodities[entry->commodity].style;

        if (style == BANK_NONE)
            style = entry->style;
        if (!bank_wide_looks_zero(entry->quantity, bank_style_of(reader, style)->precision))
            return fail_unbalanced(reader, balancing, entry);
    }
    return 0;
}

static int balance(struct bank_reader *reader, struct balancing *balancing)
{
    const struct bank_entry *pair[2];
    int rc;

    rc = gather(reader, balancing);
    if (rc < 0)
        return rc;
    rc = bank_mixed_merge(reader, &balancing->sum, BANK_KEEP_LAST);
    if (rc == 0 && !balancing->missing && find_exchange(balancing, pair)
        && converts_wholly(reader, balancing, pair))
        return 0;
    if (rc == 0)
        rc = bank_mixed_cost(reader, &balancing->sum, &balancing->cost);
    if (rc == -ERANGE)
        return fail_range(reader, balancing);
    if (rc < 0)
        return bank_fail_memory(reader);
    return balancing->missing ? infer_missing(reader, balancing) : check_sum(reader, balancing);
}

int bank_balance_transaction(struct bank_reader *reader,
                             const struct bank_raw_transaction *transaction,
                             const struct bank_mixed *assigned)
{
    struct balancing balancing = {.transaction = transaction, .assigned = assigned};
    int rc = balance(reader, &balancing);

    bank_mixed_deinit(&balancing.sum);
    bank_mixed_deinit(&balancing.cost);
    return rc;
}
