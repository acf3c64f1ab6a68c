/* Replay: the transactions of the books, posted to the ledger. See replay.h. */
#include "apps/bank/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENTRIES_MAX = 256 }; /* in one message; a longer transaction takes several */

/* What one shard gets next. */
struct share {
    Bank__V1__PostRequest request;
    Bank__V1__PostResponse response;
    struct grove_future future;
    Bank__V1__Entry entries[ENTRIES_MAX];
    Bank__V1__Entry *pointers[ENTRIES_MAX];
};

struct replay {
    const struct bank_shards *shards;
    struct bank_error *error;
    struct share shares[BANK_SHARDS];
};

static struct replay *replay_new(const struct bank_shards *shards, struct bank_error *error)
{
    struct replay *replay = calloc(1, sizeof *replay);

    if (replay == NULL)
        return NULL;
    replay->shards = shards;
    replay->error = error;
    for (unsigned i = 0; i < BANK_SHARDS; i++) {
        struct share *share = &replay->shares[i];

        bank__v1__post_request__init(&share->request);
        bank__v1__post_response__init(&share->response);
        share->request.entries = share->pointers;
        for (unsigned k = 0; k < ENTRIES_MAX; k++) {
            bank__v1__entry__init(&share->entries[k]);
            share->pointers[k] = &share->entries[k];
        }
    }
    return replay;
}

/* Fills the error with the place of a transaction. Returns rc. */
static int fail_at(const struct replay *replay, const struct bank_transaction *transaction, int rc,
                   const char *why)
{
    const struct bank_books *books = replay->shards->books;
    struct bank_error *error = replay->error;

    /* A cut name or reason still helps. */
    (void)snprintf(error->file, sizeof error->file, "%s", books->files[transaction->file]);
    (void)snprintf(error->text, sizeof error->text, "%s", why);
    error->line = transaction->line;
    error->column = 1;
    return rc;
}

/* Sends what has been collected and waits until all of it is booked. */
static int flush_await(struct replay *replay)
{
    struct grove_future *futures[BANK_SHARDS];
    unsigned n = 0;
    int rc = 0, rc_of_all;

    for (unsigned i = 0; i < BANK_SHARDS && rc == 0; i++) {
        struct share *share = &replay->shares[i];

        if (share->request.n_entries == 0)
            continue;
        rc = ledger_post_start(replay->shards->refs[i], &share->request, &share->response,
                               &share->future);
        share->request.n_entries = 0;
        if (rc == 0)
            futures[n++] = &share->future;
    }
    rc_of_all = grove_all_await(futures, n);
    return rc != 0 ? rc : rc_of_all;
}

/* Brings a quantity to the scale of its commodity, which it does not exceed but for zeros. */
static int to_units(struct bank_decimal quantity, uint8_t scale, int64_t *units)
{
    while (quantity.scale > scale) {
        quantity.mantissa /= 10;
        quantity.scale--;
    }
    for (; quantity.scale < scale; quantity.scale++) {
        if (__builtin_mul_overflow(quantity.mantissa, (int64_t)10, &quantity.mantissa))
            return -ERANGE;
    }
    *units = quantity.mantissa;
    return 0;
}

/* Puts one posting into the share of its shard, sending what is there if that is full. */
static int add_await(struct replay *replay, const struct bank_posting *posting)
{
    struct share *share = &replay->shares[replay->shards->shard_of[posting->account]];
    Bank__V1__Entry *entry;
    int rc;

    if (share->request.n_entries == ENTRIES_MAX) {
        rc = flush_await(replay);
        if (rc != 0)
            return rc;
    }
    entry = &share->entries[share->request.n_entries];
    entry->account = posting->account;
    entry->commodity = posting->commodity;
    rc = to_units(posting->quantity, replay->shards->scales[posting->commodity], &entry->amount);
    if (rc == 0)
        share->request.n_entries++;
    return rc;
}

static int post_await(struct replay *replay, const struct bank_transaction *transaction,
                      bank_date at)
{
    const struct bank_posting *postings =
        &replay->shards->books->postings[transaction->first_posting];
    int rc = 0;

    for (size_t i = 0; i < transaction->n_postings && rc == 0; i++) {
        if (postings[i].date <= at)
            rc = add_await(replay, &postings[i]);
    }
    if (rc == 0)
        rc = flush_await(replay);
    if (rc == -ERANGE)
        return fail_at(
            replay, transaction, rc,
            "an amount does not fit 64 bits with the decimals its commodity has elsewhere; "
            "write fewer of them");
    if (rc != 0)
        return fail_at(replay, transaction, rc < 0 ? rc : -ERANGE, grove_why());
    return 0;
}

int bank_replay_await(const struct bank_shards *shards, bank_date at, struct bank_error *error)
{
    const struct bank_books *books = shards->books;
    struct replay *replay = replay_new(shards, error);
    int rc = 0;

    if (replay == NULL) {
        *error = (struct bank_error){.text = "no memory for the replay"};
        return -ENOMEM;
    }
    for (size_t i = 0; i < books->n_transactions && rc == 0; i++) {
        struct grove_scope scope;

        grove_scope_begin(&scope);
        rc = post_await(replay, &books->transactions[i], at);
        grove_scope_end(&scope);
    }
    free(replay);
    return rc;
}
