/* Plan: which transfers a demo makes up. See plan.h. */
#include "apps/bank/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/books_names.h"

enum {
    AMOUNT_SHARE = 10,   /* amounts go up to a tenth of the average that may be spent */
    ANY_ONE_IN = 4,      /* accounts drawn from all, not only from those that began with money */
    NEAR_ONE_IN = 50,    /* payees that resemble one of the watch list */
    PARTICIPANTS_MIN = 2 /* of each commodity */
};

/* The accounts between which one commodity moves. */
struct market {
    uint32_t commodity;
    uint32_t *accounts; /* those with money to spend at the beginning come first */
    size_t n_accounts;
    size_t n_rich; /* how many those are */
    size_t capacity;
    unsigned __int128 spendable; /* the sum of what is above the floors */
    int64_t amount_max;
};

struct bank_plan {
    struct market *markets; /* by commodity while it is made, then those that have money */
    size_t n_markets;
    size_t n_accounts; /* of all markets together */
    struct bank_names payees;
    struct bank_watchlist *watchlist;
};

/* A random number below n; n > 0. */
static uint64_t below(uint64_t n)
{
    uint64_t random = grove_random();

    return (uint64_t)((unsigned __int128)random * n >> 64);
}

static int add_account(struct market *market, uint32_t account)
{
    uint32_t *accounts =
        bank_array_grow(market->accounts, &market->capacity, market->n_accounts, sizeof *accounts);

    if (accounts == NULL)
        return -ENOMEM;
    market->accounts = accounts;
    market->accounts[market->n_accounts++] = account;
    return 0;
}

static int note_balance(void *context, const Bank__V1__Balance *balance)
{
    struct bank_plan *plan = context;
    struct market *market = &plan->markets[balance->commodity];
    int rc = add_account(market, balance->account);

    if (rc != 0 || balance->amount <= balance->floor)
        return rc;
    market->spendable += (unsigned __int128)((__int128)balance->amount - balance->floor);
    market->accounts[market->n_accounts - 1] = market->accounts[market->n_rich];
    market->accounts[market->n_rich++] = balance->account;
    return 0;
}

/* Adds accounts that hold nothing yet until there are enough. */
static int fill_up(struct market *market, size_t n_accounts)
{
    for (uint32_t i = 0; i < n_accounts && market->n_accounts < PARTICIPANTS_MIN; i++) {
        int rc = 0;

        if (market->n_accounts == 0 || market->accounts[0] != i)
            rc = add_account(market, i);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Keeps the markets in which something can be bought, and settles their amounts. */
static int finish_markets(struct bank_plan *plan, const struct bank_books *books)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_markets; i++) {
        struct market *market = &plan->markets[i];
        struct market kept;
        unsigned __int128 amount_max;
        int rc;

        if (market->spendable == 0)
            continue;
        rc = fill_up(market, books->n_accounts);
        if (rc != 0)
            return rc;
        if (market->n_accounts < PARTICIPANTS_MIN)
            continue;
        amount_max = market->spendable / market->n_accounts / AMOUNT_SHARE;
        market->amount_max = amount_max > INT64_MAX ? INT64_MAX : (int64_t)amount_max;
        if (market->amount_max == 0)
            market->amount_max = 1;
        /* Swapped, so that each list is still freed once. */
        kept = *market;
        *market = plan->markets[n];
        plan->markets[n++] = kept;
        plan->n_accounts += kept.n_accounts;
    }
    for (size_t i = n; i < plan->n_markets; i++)
        free(plan->markets[i].accounts);
    plan->n_markets = n;
    return n > 0 ? 0 : -ENODATA;
}

/* In a description such as `Green Grocer | weekly`, the payee stands before the bar. */
static int collect_payees(struct bank_plan *plan, const struct bank_books *books)
{
    for (size_t i = 0; i < books->n_transactions; i++) {
        const char *text = books->transactions[i].description;
        size_t length = strcspn(text, "|");
        uint32_t index;
        int rc;

        while (length > 0 && text[length - 1] == ' ')
            length--;
        if (length == 0)
            continue;
        rc = bank_names_intern(&plan->payees, text, length, &index);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int bank_plan_new_await(const struct bank_shards *shards, struct bank_plan **result)
{
    const struct bank_books *books = shards->books;
    struct bank_plan *plan = calloc(1, sizeof *plan);
    int rc;

    if (plan == NULL)
        return -ENOMEM;
    plan->markets = calloc(books->n_commodities + 1, sizeof *plan->markets);
    plan->watchlist = bank_watchlist_new();
    rc = plan->markets != NULL && plan->watchlist != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        plan->n_markets = books->n_commodities;
        for (size_t i = 0; i < plan->n_markets; i++)
            plan->markets[i].commodity = (uint32_t)i;
        rc = bank_shards_each_await(shards, note_balance, plan);
    }
    if (rc == 0)
        rc = finish_markets(plan, books);
    if (rc == 0)
        rc = collect_payees(plan, books);
    if (rc != 0) {
        bank_plan_free(plan);
        return rc;
    }
    *result = plan;
    return 0;
}

void bank_plan_free(struct bank_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->n_markets; i++)
        free(plan->markets[i].accounts);
    free(plan->markets);
    bank_names_deinit(&plan->payees);
    bank_watchlist_free(plan->watchlist);
    free(plan);
}

/* A name of the watch list with one letter changed. */
static char *draw_near_name(const struct bank_plan *plan, char payee[BANK_PAYEE_MAX])
{
    const char *name = plan->watchlist->names[below(BANK_WATCHLIST_NAMES)];
    size_t place = (size_t)below(strlen(name));
    char letter = (char)('a' + below(26));

    strcpy(payee, name); /* Both have room for the longest name. */
    payee[place] = letter;
    return payee;
}

static char *draw_payee(const struct bank_plan *plan, char payee[BANK_PAYEE_MAX])
{
    if (below(NEAR_ONE_IN) == 0)
        return draw_near_name(plan, payee);
    if (plan->payees.n_names == 0)
        return strcpy(payee, "cash");
    /* The cast is safe: a request is only read. */
    return (char *)plan->payees.names[below(plan->payees.n_names)].text;
}

/* A market, the likelier the more accounts it has. */
static const struct market *draw_market(const struct bank_plan *plan)
{
    uint64_t place = below(plan->n_accounts);
    const struct market *market = plan->markets;

    for (; place >= market->n_accounts; market++)
        place -= market->n_accounts;
    return market;
}

/*
 * The place of an account, mostly one that began with money. Sources and
 * destinations are drawn alike, so that no account drains for good.
 */
static uint64_t draw_account(const struct market *market)
{
    bool any = below(ANY_ONE_IN) == 0;

    return below(any ? market->n_accounts : market->n_rich);
}

void bank_plan_draw(const struct bank_plan *plan, Bank__V1__TransferRequest *transfer,
                    char payee[BANK_PAYEE_MAX])
{
    const struct market *market = draw_market(plan);
    uint64_t source = draw_account(market);
    uint64_t destination = draw_account(market);

    if (destination == source) {
        uint64_t other = (source + 1 + below(market->n_accounts - 1)) % market->n_accounts;

        if (below(2) == 0)
            source = other;
        else
            destination = other;
    }
    transfer->commodity = market->commodity;
    transfer->source = market->accounts[source];
    transfer->destination = market->accounts[destination];
    transfer->amount = 1 + (int64_t)below((uint64_t)market->amount_max);
    transfer->payee = draw_payee(plan, payee);
}
