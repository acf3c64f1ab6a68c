/*
 * Entries: a transaction with its postings, as written.
 *
 *     2008-01-31=2008-02-01 * (code) description  ; comment
 *         * account name  10.00 EUR @ $1.20 = 110.00 EUR  ; comment
 *
 * The postings are the lines below that begin with white space and are not
 * blank. Nothing is balanced here.
 */
#include <errno.h>
#include <string.h>

#include "apps/bank/books_reader.h"

static char read_status(const char **at)
{
    const char *next = bank_skip_spaces(*at);

    if (*next != '*' && *next != '!')
        return ' ';
    *at = next + 1;
    return *next;
}

/* Reads the text in parentheses before the description, if there is one. */
static int read_code(struct bank_reader *reader, uint32_t *code)
{
    const char *start = bank_skip_spaces(reader->file->at), *end;

    if (start == reader->file->at || *start != '(')
        return bank_text_intern(reader, "", "", code);
    start++;
    end = start + strcspn(start, ")\n");
    if (*end != ')')
        return bank_fail(reader, start, "the transaction code does not end; add a )");
    reader->file->at = end + 1;
    return bank_text_intern(reader, start, end, code);
}

static int read_description(struct bank_reader *reader, uint32_t *description)
{
    const char *start = reader->file->at;
    const char *end = start + strcspn(start, ";\n");

    reader->file->at = end;
    bank_trim(&start, &end);
    return bank_text_intern(reader, start, end, description);
}

static int read_head(struct bank_reader *reader, struct bank_raw_transaction *transaction)
{
    struct bank_comment comment = {0};
    struct bank_file *file = reader->file;
    const char *at = file->at;
    bank_date secondary;

    if (bank_read_date(reader, &at, reader->scope.year, &transaction->date) < 0)
        return -EINVAL;
    if (*at == '=') {
        at++;
        if (bank_read_date(reader, &at, transaction->date / 10000, &secondary) < 0)
            return -EINVAL;
    }
    if (*at != '\n' && bank_space_length(at) == 0)
        return bank_fail(reader, at, "a space should follow the date; add one");
    transaction->status = read_status(&at);
    file->at = at;
    if (read_code(reader, &transaction->code) < 0
        || read_description(reader, &transaction->description) < 0)
        return -EINVAL;
    return bank_read_comments(reader, &comment);
}

static int read_assertion(struct bank_reader *reader, struct bank_extra *extra)
{
    const char *at = reader->file->at;

    extra->asserts = true;
    extra->asserted_column = bank_column(reader->file, at);
    at++;
    extra->is_total = *at == '=';
    at += extra->is_total;
    extra->with_subs = *at == '*';
    at += extra->with_subs;
    reader->file->at = bank_skip_spaces(at);
    if (bank_read_amount(reader, &extra->asserted) < 0)
        return -EINVAL;
    return bank_read_price(reader, &extra->asserted, false, &extra->asserted_price,
                           &extra->asserted_price_kind);
}

static int keep_posting(struct bank_reader *reader, struct bank_raw_posting *posting,
                        const struct bank_extra *extra)
{
    struct bank_raw_posting *postings;

    if (extra->asserts || extra->price_kind != BANK_NO_PRICE) {
        struct bank_extra *extras = bank_array_grow(reader->extras, &reader->extra_capacity,
                                                    reader->n_extras, sizeof(*extras));

        if (!extras)
            return bank_fail_memory(reader);
        reader->extras = extras;
        reader->extras[reader->n_extras++] = *extra;
        posting->extra = (uint32_t)reader->n_extras;
    }
    postings = bank_array_grow(reader->postings, &reader->posting_capacity, reader->n_postings,
                               sizeof(*postings));
    if (!postings)
        return bank_fail_memory(reader);
    reader->postings = postings;
    reader->postings[reader->n_postings++] = *posting;
    return 0;
}

static int read_posting(struct bank_reader *reader, struct bank_raw_transaction *transaction,
                        struct bank_raw_posting *posting)
{
    struct bank_comment comment = {.year = transaction->date / 10000, .dates = true};
    struct bank_extra extra = {0};
    struct bank_file *file = reader->file;

    posting->line = file->line;
    posting->column = bank_column(file, file->at);
    if (bank_read_account(reader, &posting->account) < 0)
        return -EINVAL;
    file->at = bank_skip_spaces(file->at);
    posting->has_amount = bank_amount_follows(file->at);
    if (posting->has_amount) {
        if (bank_read_amount(reader, &posting->amount) < 0
            || bank_read_price(reader, &posting->amount, true, &extra.price, &extra.price_kind) < 0)
            return -EINVAL;
        bank_note_amount_style(reader, &posting->amount);
    }
    file->at = bank_skip_spaces(file->at);
    if (*file->at == '=' && read_assertion(reader, &extra) < 0)
        return -EINVAL;
    if (bank_read_comments(reader, &comment) < 0)
        return -EINVAL;
    posting->own_date = comment.date;
    transaction->assigns |= extra.asserts && !posting->has_amount;
    return keep_posting(reader, posting, &extra);
}

/* Reads the next line if it is a posting. */
static int read_next_posting(struct bank_reader *reader, struct bank_raw_transaction *transaction,
                             bool *found)
{
    struct bank_raw_posting posting = {0};
    const char *at = reader->file->at;

    *found = false;
    if (bank_space_length(at) == 0)
        return 0;
    posting.status = read_status(&at);
    at = bank_skip_spaces(at);
    if (*at == '\n')
        return 0;
    *found = true;
    reader->file->at = at;
    transaction->n_postings++;
    return read_posting(reader, transaction, &posting);
}

int bank_read_transaction(struct bank_reader *reader)
{
    struct bank_raw_transaction transaction = {
        .file = reader->file->file,
        .line = reader->file->line,
        .first_posting = (uint32_t)reader->n_postings,
    };
    struct bank_raw_transaction *grown;
    bool found = true;

    if (read_head(reader, &transaction) < 0)
        return -EINVAL;
    while (found)
        if (read_next_posting(reader, &transaction, &found) < 0)
            return -EINVAL;
    grown = bank_array_grow(reader->transactions, &reader->transaction_capacity,
                            reader->n_transactions, sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->transactions = grown;
    reader->transactions[reader->n_transactions++] = transaction;
    return 0;
}
