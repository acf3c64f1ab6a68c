/* Shards: the ledger as its users see it. See shards.h. */
#include "apps/bank/shards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/ledger.h"

enum { OPEN_BATCH = 64 }; /* accounts in one message, even if all have the longest names */

/* FNV-1a: the same on every machine, as the home of an account should be. */
static uint8_t shard_of_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return (uint8_t)((hash >> 32) % BANK_SHARDS);
}

/* The decimals that a quantity really needs. */
static uint8_t scale_of(struct bank_decimal quantity)
{
    while (quantity.scale > 0 && quantity.mantissa % 10 == 0) {
        quantity.mantissa /= 10;
        quantity.scale--;
    }
    return quantity.scale;
}

static int make_tables(struct bank_shards *shards, const struct bank_books *books, bank_date at)
{
    shards->shard_of = calloc(books->n_accounts + 1, sizeof *shards->shard_of);
    shards->scales = calloc(books->n_commodities + 1, sizeof *shards->scales);
    if (shards->shard_of == NULL || shards->scales == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < books->n_accounts; i++)
        shards->shard_of[i] = shard_of_name(books->accounts[i].name);
    for (size_t i = 0; i < books->n_postings; i++) {
        const struct bank_posting *posting = &books->postings[i];
        uint8_t scale = scale_of(posting->quantity);

        if (posting->date <= at && scale > shards->scales[posting->commodity])
            shards->scales[posting->commodity] = scale;
    }
    return 0;
}

static int open_accounts_await(const struct bank_shards *shards, unsigned shard)
{
    Bank__V1__OpenAccountsRequest request = BANK__V1__OPEN_ACCOUNTS_REQUEST__INIT;
    Bank__V1__OpenAccountsResponse response = BANK__V1__OPEN_ACCOUNTS_RESPONSE__INIT;
    Bank__V1__Account accounts[OPEN_BATCH];
    Bank__V1__Account *pointers[OPEN_BATCH];
    size_t n = shards->books->n_accounts;
    int rc = 0;

    request.accounts = pointers;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (shards->shard_of[i] == shard) {
            Bank__V1__Account *account = &accounts[request.n_accounts];

            bank__v1__account__init(account);
            account->number = (uint32_t)i;
            account->name = (char *)shards->books->accounts[i].name; /* only read */
            pointers[request.n_accounts++] = account;
        }
        if (request.n_accounts == OPEN_BATCH || (i + 1 == n && request.n_accounts > 0)) {
            rc = ledger_open_accounts_await(shards->refs[shard], &request, &response);
            request.n_accounts = 0;
        }
    }
    return rc;
}

int bank_shards_open_await(struct bank_shards *shards, const struct bank_books *books, bank_date at)
{
    int rc;

    *shards = (struct bank_shards){.books = books};
    rc = make_tables(shards, books, at);
    for (unsigned i = 0; i < BANK_SHARDS && rc == 0; i++) {
        const struct grove_spawn_options options = {
            .place = GROVE_ON_LOOP(i % grove_loops()),
            .label = "ledger",
        };

        rc = ledger_spawn_await(&bank_ledger, NULL, &options, &shards->refs[i]);
        if (rc == 0)
            rc = open_accounts_await(shards, i);
    }
    if (rc != 0)
        bank_shards_close_await(shards);
    return rc;
}

int bank_shards_seal_await(const struct bank_shards *shards)
{
    Bank__V1__SealRequest request = BANK__V1__SEAL_REQUEST__INIT;
    Bank__V1__SealResponse response = BANK__V1__SEAL_RESPONSE__INIT;
    int rc = 0;

    for (unsigned i = 0; i < BANK_SHARDS && rc == 0; i++)
        rc = ledger_seal_await(shards->refs[i], &request, &response);
    return rc;
}

/* Reads one page of balances. *next is where the following one begins, 0 if this was the last. */
static int each_of_page_await(grove_ref shard, uint32_t *next, bank_shards_each_fn each,
                              void *context)
{
    Bank__V1__ListBalancesRequest request = BANK__V1__LIST_BALANCES_REQUEST__INIT;
    Bank__V1__ListBalancesResponse response = BANK__V1__LIST_BALANCES_RESPONSE__INIT;
    int rc;

    request.first = *next;
    rc = ledger_list_balances_await(shard, &request, &response);
    for (size_t i = 0; i < response.n_balances && rc == 0; i++)
        rc = each(context, response.balances[i]);
    *next = response.next;
    return rc;
}

int bank_shards_each_await(const struct bank_shards *shards, bank_shards_each_fn each,
                           void *context)
{
    int rc = 0;

    for (unsigned i = 0; i < BANK_SHARDS && rc == 0; i++) {
        uint32_t next = 0;

        do {
            struct grove_scope scope;

            grove_scope_begin(&scope);
            rc = each_of_page_await(shards->refs[i], &next, each, context);
            grove_scope_end(&scope);
        } while (rc == 0 && next != 0);
    }
    return rc;
}

struct collection {
    const struct bank_shards *shards;
    struct bank_balances *balances;
};

static int collect(void *context, const Bank__V1__Balance *balance)
{
    const struct collection *collection = context;
    const struct bank_decimal quantity = {
        .mantissa = balance->amount,
        .scale = collection->shards->scales[balance->commodity],
    };

    return bank_balances_add(collection->balances, balance->account, balance->commodity, quantity);
}

int bank_shards_balances_await(const struct bank_shards *shards, struct bank_balances *balances)
{
    struct collection collection = {shards, balances};

    return bank_shards_each_await(shards, collect, &collection);
}

void bank_shards_close_await(struct bank_shards *shards)
{
    for (unsigned i = 0; i < BANK_SHARDS; i++) {
        if (!grove_ref_is_nobody(shards->refs[i]))
            (void)grove_stop_await(shards->refs[i], GROVE_STOP_NOW); /* Gone already is as well. */
    }
    free(shards->shard_of);
    free(shards->scales);
    *shards = (struct bank_shards){0};
}
