/*
 * Running: all postings by date, with the balance of each account beside them.
 *
 * First every transaction without a balance assignment is balanced, in the
 * order written. Then its postings, and the other transactions as a whole,
 * pass in the order of dates, those of one day as written. Each posting
 * changes the balance of its account, and then its assertion must hold. An
 * assignment sets the balance, and the difference becomes its amount.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/books_mixed.h"

/* A posting, or a transaction with assignments if posting is BANK_NONE. */
struct item {
    bank_date date;
    uint32_t transaction;
    uint32_t posting;
};

struct run {
    struct bank_reader *reader;
    struct bank_mixed *balances; /* by account, without its subaccounts */
    struct item *items;
    size_t n_items;
    struct bank_mixed assigned; /* amounts of the assignments of one transaction */
    struct bank_mixed new;      /* scratch of one assignment: the wanted balance, */
    struct bank_mixed scratch;  /*  and sums on the way to it */
};

/* The posting that is at work. */
struct turn {
    const struct bank_raw_transaction *transaction;
    const struct bank_raw_posting *posting;
    const struct bank_extra *extra; /* or NULL */
};

static int fail_sum(struct run *run, const struct turn *turn, int rc)
{
    struct bank_reader *reader = run->reader;

    if (rc == -ENOMEM)
        return bank_fail_memory(reader);
    return bank_fail_at(reader, bank_place_of(turn->transaction, turn->posting),
                        "the balance of %.200s does not fit 64 bits; use smaller numbers",
                        reader->accounts.names[turn->posting->account].text);
}

static int add_to_balance(struct run *run, const struct turn *turn, const struct bank_entry *entry)
{
    struct bank_mixed *balance = &run->balances[turn->posting->account];
    struct bank_decimal ignored;
    size_t position;
    int rc;

    rc = bank_mixed_add(run->reader, balance, entry, &position);
    if (rc == 0)
        rc = bank_wide_narrow(balance->entries[position].quantity, &ignored);
    return rc < 0 ? fail_sum(run, turn, rc) : 0;
}

static int add_inferred(struct run *run, const struct turn *turn)
{
    const struct bank_raw_posting *posting = turn->posting;

    for (uint32_t i = 0; i < posting->n_inferred; i++) {
        struct bank_entry entry = bank_entry_from(
            &run->reader->inferred[posting->first_inferred + i], BANK_NO_PRICE, NULL);

        if (add_to_balance(run, turn, &entry) < 0)
            return -EINVAL;
    }
    return 0;
}

/* The node after this one in the tree below top, or BANK_NONE. */
static uint32_t next_below(const struct bank_reader *reader, uint32_t top, uint32_t node)
{
    if (reader->nodes[node].first_child != BANK_NONE)
        return reader->nodes[node].first_child;
    while (node != top && reader->nodes[node].next_sibling == BANK_NONE)
        node = reader->nodes[node].parent;
    return node == top ? BANK_NONE : reader->nodes[node].next_sibling;
}

/* Appends the entries of the subaccounts to a mixed amount; of one commodity or of all. */
static int push_subaccounts(struct run *run, uint32_t account, uint32_t commodity, bool negate,
                            struct bank_mixed *sum)
{
    const struct bank_reader *reader = run->reader;
    uint32_t top = reader->node_of_account[account];

    for (uint32_t node = next_below(reader, top, top); node != BANK_NONE;
         node = next_below(reader, top, node)) {
        uint32_t sub = reader->nodes[node].account;

        for (size_t i = 0; sub != BANK_NONE && i < run->balances[sub].n; i++) {
            struct bank_entry entry = run->balances[sub].entries[i];

            if (commodity != BANK_NONE && entry.commodity != commodity)
                continue;
            if (negate)
                bank_entry_negate(&entry);
            if (bank_mixed_push(sum, &entry) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* Gives an account's quantity of a commodity, as an assertion sees it. */
static int actual_quantity(struct run *run, const struct turn *turn,
                           const struct bank_mixed *actual, uint32_t commodity,
                           struct bank_wide *quantity)
{
    const struct bank_entry *entry = bank_mixed_find(run->reader, actual, commodity);
    uint32_t account = turn->posting->account;
    struct bank_mixed *sum = &run->scratch;
    int rc = 0;

    *quantity = (struct bank_wide){0};
    if (turn->extra->with_subs) {
        const struct bank_mixed *own = &run->balances[account];

        sum->n = 0;
        for (size_t i = 0; i < own->n && rc == 0; i++)
            if (own->entries[i].commodity == commodity)
                rc = bank_mixed_push(sum, &own->entries[i]);
        if (rc == 0)
            rc = push_subaccounts(run, account, commodity, false, sum);
        if (rc == 0)
            rc = bank_mixed_merge(run->reader, sum, BANK_KEEP_LAST);
        if (rc < 0)
            return fail_sum(run, turn, rc);
        entry = bank_mixed_find(run->reader, sum, commodity);
    }
    if (entry)
        *quantity = entry->quantity;
    return 0;
}

static void format_wide(struct bank_wide quantity, char *text)
{
    struct bank_decimal narrow;

    if (bank_wide_narrow(quantity, &narrow) == 0)
        (void)bank_decimal_format(narrow, narrow.scale, text);
    else
        (void)snprintf(text, BANK_DECIMAL_TEXT_MAX, "too much");
}

static int check_commodity(struct run *run, const struct turn *turn,
                           const struct bank_mixed *actual, const struct bank_amount *asserted)
{
    struct bank_wide wanted = bank_wide_from(asserted->quantity);
    char actual_text[BANK_DECIMAL_TEXT_MAX], wanted_text[BANK_DECIMAL_TEXT_MAX];
    struct bank_reader *reader = run->reader;
    struct bank_wide quantity, difference, negative;
    struct bank_place place;

    if (actual_quantity(run, turn, actual, asserted->commodity, &quantity) < 0)
        return -EINVAL;
    negative = (struct bank_wide){.mantissa = -wanted.mantissa, .scale = wanted.scale};
    if (bank_wide_add(quantity, negative, &difference) == 0 && difference.mantissa == 0)
        return 0;
    format_wide(quantity, actual_text);
    format_wide(wanted, wanted_text);
    place = bank_place_of(turn->transaction, turn->posting);
    place.column = turn->extra->asserted_column;
    return bank_fail_at(reader, place,
                        "the balance assertion fails, %.160s has %.40s %.40s and not %.40s; "
                        "correct an amount or the assertion",
                        reader->accounts.names[turn->posting->account].text, actual_text,
                        reader->symbols.names[asserted->commodity].text, wanted_text);
}

static int check_assertion(struct run *run, const struct turn *turn,
                           const struct bank_mixed *actual)
{
    if (!turn->extra || !turn->extra->asserts)
        return 0;
    if (check_commodity(run, turn, actual, &turn->extra->asserted) < 0)
        return -EINVAL;
    for (size_t i = 0; turn->extra->is_total && i < actual->n; i++) {
        struct bank_amount nothing = {.commodity = actual->entries[i].commodity};

        if (nothing.commodity != turn->extra->asserted.commodity
            && check_commodity(run, turn, actual, &nothing) < 0)
            return -EINVAL;
    }
    return 0;
}

static int copy_entries(struct bank_mixed *to, const struct bank_mixed *from, bool negate)
{
    for (size_t i = 0; i < from->n; i++) {
        struct bank_entry entry = from->entries[i];

        if (negate)
            bank_entry_negate(&entry);
        if (bank_mixed_push(to, &entry) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The balance that an assignment asks for: the commodity's new, and perhaps the others' old. */
static int wanted_balance(struct run *run, const struct turn *turn)
{
    const struct bank_extra *extra = turn->extra;
    const struct bank_mixed *old = &run->balances[turn->posting->account];
    struct bank_entry entry =
        bank_entry_from(&extra->asserted, extra->asserted_price_kind, &extra->asserted_price);
    int rc = 0;

    run->new.n = 0;
    for (size_t i = 0; !extra->is_total && i < old->n && rc == 0; i++)
        if (old->entries[i].commodity != extra->asserted.commodity)
            rc = bank_mixed_push(&run->new, &old->entries[i]);
    if (rc == 0)
        rc = bank_mixed_push(&run->new, &entry);
    return rc < 0 ? rc : bank_mixed_merge(run->reader, &run->new, BANK_KEEP_LAST);
}

/* Sets the account's balance, and notes the difference as the posting's amounts. */
static int set_balance(struct run *run, const struct turn *turn, const struct bank_mixed *balance)
{
    uint32_t account = turn->posting->account;
    struct bank_mixed difference = {0};
    struct bank_decimal ignored;
    int rc;

    rc = copy_entries(&difference, balance, false);
    if (rc == 0)
        rc = copy_entries(&difference, &run->balances[account], true);
    if (rc == 0)
        rc = bank_mixed_merge(run->reader, &difference, BANK_KEEP_LAST);
    for (size_t i = 0; i < balance->n && rc == 0; i++)
        rc = bank_wide_narrow(balance->entries[i].quantity, &ignored);
    if (rc == 0) {
        run->balances[account].n = 0;
        rc = copy_entries(&run->balances[account], balance, false);
    }
    for (size_t i = 0; i < difference.n && rc == 0; i++) {
        difference.entries[i].posting = (uint32_t)(turn->posting - run->reader->postings);
        if (!bank_entry_is_zero(&difference.entries[i]))
            rc = bank_mixed_push(&run->assigned, &difference.entries[i]);
    }
    bank_mixed_deinit(&difference);
    return rc;
}

static int assign(struct run *run, const struct turn *turn)
{
    struct bank_mixed exclusive = {0};
    int rc;

    rc = wanted_balance(run, turn);
    if (rc == 0)
        rc = copy_entries(&exclusive, &run->new, false);
    if (rc == 0 && turn->extra->with_subs) {
        rc = push_subaccounts(run, turn->posting->account, BANK_NONE, true, &exclusive);
        if (rc == 0)
            rc = bank_mixed_merge(run->reader, &exclusive, BANK_KEEP_LAST);
    }
    if (rc == 0)
        rc = set_balance(run, turn, &exclusive);
    bank_mixed_deinit(&exclusive);
    if (rc < 0)
        return fail_sum(run, turn, rc);
    return check_assertion(run, turn, &run->new);
}

static struct turn turn_of(const struct bank_reader *reader,
                           const struct bank_raw_transaction *transaction, uint32_t posting)
{
    struct turn turn = {.transaction = transaction, .posting = &reader->postings[posting]};

    if (turn.posting->extra > 0)
        turn.extra = &reader->extras[turn.posting->extra - 1];
    return turn;
}

static int run_explicit(struct run *run, const struct turn *turn)
{
    struct bank_entry entry = bank_entry_from(&turn->posting->amount, BANK_NO_PRICE, NULL);

    if (add_to_balance(run, turn, &entry) < 0)
        return -EINVAL;
    return check_assertion(run, turn, &run->balances[turn->posting->account]);
}

/* Makes the amounts of the assignments those of their postings. */
static int keep_assigned(struct run *run)
{
    struct bank_reader *reader = run->reader;

    for (size_t i = 0; i < run->assigned.n; i++) {
        const struct bank_entry *entry = &run->assigned.entries[i];
        struct bank_raw_posting *posting = &reader->postings[entry->posting];
        struct bank_amount amount = {.commodity = entry->commodity, .style = entry->style};
        struct bank_amount *grown;

        if (bank_wide_narrow(entry->quantity, &amount.quantity) < 0)
            return -ERANGE;
        grown = bank_array_grow(reader->inferred, &reader->inferred_capacity, reader->n_inferred,
                                sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        reader->inferred = grown;
        if (posting->n_inferred++ == 0)
            posting->first_inferred = (uint32_t)reader->n_inferred;
        reader->inferred[reader->n_inferred++] = amount;
    }
    return 0;
}

/* Passes the explicit and the assigned postings of a transaction, in their order. */
static int run_known(struct run *run, const struct bank_raw_transaction *transaction)
{
    for (uint32_t i = 0; i < transaction->n_postings; i++) {
        struct turn turn = turn_of(run->reader, transaction, transaction->first_posting + i);
        int rc = 0;

        if (turn.posting->has_amount)
            rc = run_explicit(run, &turn);
        else if (turn.extra && turn.extra->asserts)
            rc = assign(run, &turn);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run_assigning(struct run *run, const struct bank_raw_transaction *transaction)
{
    struct bank_reader *reader = run->reader;
    struct turn turn = {.transaction = transaction};
    int rc;

    for (uint32_t i = 0; i < transaction->n_postings; i++) {
        turn = turn_of(reader, transaction, transaction->first_posting + i);
        if (!turn.posting->has_amount && turn.extra && turn.extra->asserts
            && turn.posting->own_date)
            return bank_fail_at(reader, bank_place_of(transaction, turn.posting),
                                "an assignment in a posting with its own date; write the amount");
    }
    run->assigned.n = 0;
    rc = run_known(run, transaction);
    if (rc == 0)
        rc = bank_balance_transaction(reader, transaction, &run->assigned);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < transaction->n_postings; i++) {
        turn = turn_of(reader, transaction, transaction->first_posting + i);
        if (!turn.posting->has_amount && add_inferred(run, &turn) < 0)
            return -EINVAL;
    }
    rc = keep_assigned(run);
    return rc < 0 ? fail_sum(run, &turn, rc) : 0;
}

static int run_item(struct run *run, const struct item *item)
{
    const struct bank_raw_transaction *transaction = &run->reader->transactions[item->transaction];
    struct turn turn;

    if (item->posting == BANK_NONE)
        return run_assigning(run, transaction);
    turn = turn_of(run->reader, transaction, item->posting);
    return turn.posting->has_amount ? run_explicit(run, &turn) : add_inferred(run, &turn);
}

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left, *b = right;

    if (a->date != b->date)
        return a->date < b->date ? -1 : 1;
    if (a->transaction != b->transaction)
        return a->transaction < b->transaction ? -1 : 1;
    return (a->posting > b->posting) - (a->posting < b->posting);
}

/* Balances what can be balanced alone, and lists all that is to pass. */
static int list_items(struct run *run)
{
    struct bank_reader *reader = run->reader;

    for (uint32_t i = 0; i < reader->n_transactions; i++) {
        const struct bank_raw_transaction *transaction = &reader->transactions[i];
        int rc;

        if (transaction->assigns) {
            run->items[run->n_items++] =
                (struct item){.date = transaction->date, .transaction = i, .posting = BANK_NONE};
            continue;
        }
        rc = bank_balance_transaction(reader, transaction, NULL);
        if (rc < 0)
            return rc;
        for (uint32_t j = 0; j < transaction->n_postings; j++) {
            uint32_t index = transaction->first_posting + j;
            bank_date own = reader->postings[index].own_date;

            run->items[run->n_items++] = (struct item){
                .date = own ? own : transaction->date, .transaction = i, .posting = index};
        }
    }
    return 0;
}

static int run_all(struct run *run)
{
    struct bank_reader *reader = run->reader;
    size_t n_accounts = reader->accounts.n_names;
    int rc;

    run->balances = calloc(n_accounts + 1, sizeof(*run->balances));
    run->items = calloc(reader->n_postings + 1, sizeof(*run->items));
    if (!run->balances || !run->items)
        return bank_fail_memory(reader);
    rc = list_items(run);
    qsort(run->items, run->n_items, sizeof(*run->items), compare_items);
    for (size_t i = 0; i < run->n_items && rc == 0; i++)
        rc = run_item(run, &run->items[i]);
    return rc;
}

int bank_run(struct bank_reader *reader)
{
    struct run run = {.reader = reader};
    int rc = run_all(&run);

    for (size_t i = 0; run.balances && i < reader->accounts.n_names; i++)
        bank_mixed_deinit(&run.balances[i]);
    free(run.balances);
    free(run.items);
    bank_mixed_deinit(&run.assigned);
    bank_mixed_deinit(&run.new);
    bank_mixed_deinit(&run.scratch);
    return rc;
}
