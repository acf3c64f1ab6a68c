/*
 * Books: a plain-text-accounting journal, read, checked and balanced. See books.h.
 *
 * This file leads through the work: parse all items, settle the styles, run
 * the accounts, and put what came out into the arrays of struct bank_books.
 */
#include "apps/bank/books.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/bank/books_reader.h"

static int read_item(struct bank_reader *reader)
{
    const char *at = reader->file->at;
    const char *next = bank_skip_spaces(at);
    bool found;
    int rc;

    if (*next == '\n' || strchr(";#*", *next)) {
        bank_next_line(reader);
        return 0;
    }
    if (*at >= '0' && *at <= '9')
        return bank_read_transaction(reader);
    if (next != at)
        return bank_fail(reader, next,
                         "an indented line outside of a transaction; remove the empty line above "
                         "it or the indent");
    if (*at == '=')
        return bank_fail(reader, at,
                         "automated transactions are not supported; write the postings out");
    if (*at == '~')
        return bank_fail(reader, at,
                         "periodic transactions are not supported; write each transaction out");
    if (bank_starts_with(at, "comment") && at[strlen("comment")] != 'a')
        return bank_skip_block_comment(reader);
    rc = bank_read_directive(reader, &found);
    if (rc == 0 && !found)
        return bank_fail(reader, at,
                         "neither a transaction nor a known directive; make it a comment with ;");
    return rc;
}

static int read_items(struct bank_reader *reader)
{
    int rc = 0;

    while (reader->file && rc == 0) {
        struct bank_file *file = reader->file;

        if (file->pending) {
            rc = bank_include_next(reader);
        } else if (*file->at != '\0') {
            rc = read_item(reader);
        } else {
            if (reader->n_stack == 1)
                reader->final_scope = reader->scope;
            bank_file_close(reader);
        }
    }
    return rc;
}

static int compare_symbols(const void *left, const void *right, void *context)
{
    const struct bank_name *symbols = context;

    return strcmp(symbols[*(const uint32_t *)left].text, symbols[*(const uint32_t *)right].text);
}

static int finish_commodities(struct bank_reader *reader)
{
    struct bank_books *books = reader->books;
    uint32_t n = reader->symbols.n_names;
    uint32_t order[BANK_COMMODITIES_MAX + 1];

    books->commodities = calloc(n + 1, sizeof(*books->commodities));
    if (!books->commodities)
        return bank_fail_memory(reader);
    books->n_commodities = n;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), compare_symbols, reader->symbols.names);
    for (uint32_t i = 0; i < n; i++) {
        const struct bank_name *symbol = &reader->symbols.names[order[i]];
        uint32_t text;

        if (bank_text_intern(reader, symbol->text, symbol->text + symbol->length, &text) < 0)
            return -ENOMEM;
        books->commodities[order[i]] = (struct bank_commodity){
            .symbol = books->texts.names[text].text,
            .style = reader->commodities[order[i]].style,
            .sort_order = i,
        };
    }
    return 0;
}

static int finish_styles(struct bank_reader *reader)
{
    struct bank_books *books = reader->books;
    uint32_t n = reader->style_names.n_names;

    books->styles = calloc(n + 1, sizeof(*books->styles));
    if (!books->styles)
        return bank_fail_memory(reader);
    books->n_styles = n;
    for (uint32_t i = 0; i < n; i++)
        books->styles[i] = *bank_style_of(reader, i);
    return 0;
}

static int finish_prices(struct bank_reader *reader)
{
    struct bank_books *books = reader->books;

    books->prices = calloc(reader->n_prices + 1, sizeof(*books->prices));
    if (!books->prices)
        return bank_fail_memory(reader);
    books->n_prices = reader->n_prices;
    for (size_t i = 0; i < reader->n_prices; i++)
        books->prices[i] = (struct bank_price){
            .date = reader->prices[i].date,
            .commodity = reader->prices[i].commodity,
            .price_commodity = reader->prices[i].price.commodity,
            .price = reader->prices[i].price.quantity,
        };
    return 0;
}

static void add_posting(struct bank_reader *reader, const struct bank_raw_transaction *transaction,
                        const struct bank_raw_posting *posting, const struct bank_amount *amount)
{
    struct bank_books *books = reader->books;

    books->postings[books->n_postings++] = (struct bank_posting){
        .account = posting->account,
        .commodity = amount->commodity,
        .style = amount->style,
        .date = posting->own_date ? posting->own_date : transaction->date,
        .quantity = amount->quantity,
        .status = posting->status,
    };
}

static void add_transaction(struct bank_reader *reader, uint32_t number)
{
    const struct bank_raw_transaction *raw = &reader->transactions[number];
    struct bank_books *books = reader->books;
    struct bank_transaction *transaction = &books->transactions[books->n_transactions++];

    *transaction = (struct bank_transaction){
        .date = raw->date,
        .number = number,
        .status = raw->status,
        .code = books->texts.names[raw->code].text,
        .description = books->texts.names[raw->description].text,
        .file = raw->file,
        .line = raw->line,
        .first_posting = books->n_postings,
    };
    for (uint32_t i = 0; i < raw->n_postings; i++) {
        const struct bank_raw_posting *posting = &reader->postings[raw->first_posting + i];

        books->accounts[posting->account].used = true;
        if (posting->has_amount)
            add_posting(reader, raw, posting, &posting->amount);
        for (uint32_t j = 0; j < posting->n_inferred; j++)
            add_posting(reader, raw, posting, &reader->inferred[posting->first_inferred + j]);
    }
    transaction->n_postings = books->n_postings - transaction->first_posting;
}

static int compare_dates(const void *left, const void *right, void *context)
{
    const struct bank_raw_transaction *transactions = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    if (transactions[a].date != transactions[b].date)
        return transactions[a].date < transactions[b].date ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int finish_transactions(struct bank_reader *reader)
{
    struct bank_books *books = reader->books;
    size_t n = reader->n_transactions;
    uint32_t *order;

    books->transactions = calloc(n + 1, sizeof(*books->transactions));
    books->postings = calloc(reader->n_postings + reader->n_inferred + 1, sizeof(*books->postings));
    order = calloc(n + 1, sizeof(*order));
    if (!books->transactions || !books->postings || !order) {
        free(order);
        return bank_fail_memory(reader);
    }
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, n, sizeof(*order), compare_dates, reader->transactions);
    for (size_t i = 0; i < n; i++)
        add_transaction(reader, order[i]);
    free(order);
    return 0;
}

static int read_everything(struct bank_reader *reader)
{
    int rc;

    rc = read_items(reader);
    if (rc == 0)
        rc = bank_styles_finish(reader);
    if (rc == 0)
        rc = bank_run(reader);
    if (rc == 0)
        rc = bank_accounts_finish(reader);
    if (rc == 0)
        rc = finish_commodities(reader);
    if (rc == 0)
        rc = finish_styles(reader);
    if (rc == 0)
        rc = finish_prices(reader);
    return rc < 0 ? rc : finish_transactions(reader);
}

static void reader_free(struct bank_reader *reader)
{
    while (reader->file)
        bank_file_close(reader);
    for (size_t i = 0; i < reader->n_applied; i++)
        free(reader->applied[i]);
    free(reader->applied);
    bank_names_deinit(&reader->style_names);
    bank_names_deinit(&reader->symbols);
    bank_names_deinit(&reader->accounts);
    bank_names_deinit(&reader->nodes_by_key);
    free(reader->commodities);
    free(reader->nodes);
    free(reader->node_of_account);
    free(reader->transactions);
    free(reader->postings);
    free(reader->extras);
    free(reader->prices);
    free(reader->inferred);
    free(reader);
}

static int current_year(void)
{
    time_t now = time(NULL);
    struct tm local;

    return localtime_r(&now, &local) ? local.tm_year + 1900 : 1970;
}

/* Reads from the source, or from the file it names if it has no text. */
static int read_source(const struct bank_books_source *source, struct bank_books **books,
                       struct bank_error *error)
{
    struct bank_reader *reader = calloc(1, sizeof(*reader));
    int rc;

    *error = (struct bank_error){0};
    (void)snprintf(error->file, sizeof(error->file), "%s", source->name);
    if (reader)
        reader->books = calloc(1, sizeof(*reader->books));
    if (!reader || !reader->books) {
        free(reader);
        (void)snprintf(error->text, sizeof(error->text), "out of memory; split the journal");
        return -ENOMEM;
    }
    reader->error = error;
    reader->no_include = source->no_include;
    reader->scope.year = source->year ? source->year : current_year();
    reader->scope.default_commodity = BANK_NONE;
    reader->scope.default_style = BANK_NONE;
    rc = source->text ? bank_file_open_text(reader, source) : bank_file_open(reader, source->name);
    if (rc == 0)
        rc = read_everything(reader);
    if (rc == 0)
        *books = reader->books;
    else
        bank_books_free(reader->books);
    reader_free(reader);
    return rc;
}

int bank_books_read(const char *path, struct bank_books **books, struct bank_error *error)
{
    struct bank_books_source source = {.name = path};

    return read_source(&source, books, error);
}

int bank_books_read_text(const struct bank_books_source *source, struct bank_books **books,
                         struct bank_error *error)
{
    struct bank_books_source copy = *source;

    if (!copy.text)
        copy.text = "";
    return read_source(&copy, books, error);
}

void bank_books_free(struct bank_books *books)
{
    if (!books)
        return;
    free(books->commodities);
    free(books->accounts);
    free(books->transactions);
    free(books->postings);
    free(books->prices);
    free(books->styles);
    free(books->files);
    bank_names_deinit(&books->texts);
    free(books);
}

int bank_error_format(const struct bank_error *error, char *text, size_t size)
{
    if (error->line == 0)
        return snprintf(text, size, "%s: %s", error->file, error->text);
    return snprintf(text, size, "%s:%zu:%zu: %s", error->file, error->line, error->column,
                    error->text);
}
