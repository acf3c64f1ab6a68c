/*
 * Accounts: their names, aliases, parents, and the order they are shown in.
 *
 * A name ends at two spaces or at the end of the line, so it may hold any
 * single space. Colons divide it into levels; every prefix is a node of one
 * tree, which knows the declarations and gives the order of reports.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bank/books_reader.h"

int bank_read_account_text(struct bank_reader *reader, char *name, size_t *length)
{
    const char *start = reader->file->at, *at = start;
    size_t n = 0;

    while (*at != '\n' && *at != '\0') {
        size_t space = bank_space_length(at);

        if (space > 0 && (at == start || bank_space_length(at + space) > 0 || at[space] == '\n'))
            break;
        if (n >= BANK_ACCOUNT_LENGTH_MAX)
            return bank_fail(reader, start, "an account name of more than %d bytes; shorten it",
                             (int)BANK_ACCOUNT_LENGTH_MAX);
        /* Any kind of space inside a name is a plain one. */
        name[n++] = space > 0 ? ' ' : *at;
        at += space > 0 ? space : 1;
    }
    if (n == 0)
        return bank_fail(reader, start, "an account name should stand here; write one");
    *length = n;
    reader->file->at = at;
    return 0;
}

bool bank_is_virtual(const char *name, size_t length)
{
    return length > 0
           && ((name[0] == '(' && name[length - 1] == ')')
               || (name[0] == '[' && name[length - 1] == ']'));
}

int bank_apply(struct bank_reader *reader, const struct bank_applied **list,
               struct bank_applied item)
{
    struct bank_applied **grown, *kept;

    item.next = *list;
    item.depth = *list ? (*list)->depth + 1 : 1;
    if (item.depth > BANK_APPLIED_MAX)
        return bank_fail(reader, reader->file->at, "more than %d at once; end some of them",
                         (int)BANK_APPLIED_MAX);
    grown = bank_array_grow(reader->applied, &reader->applied_capacity, reader->n_applied,
                            sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->applied = grown;
    kept = malloc(sizeof(*kept));
    if (!kept)
        return bank_fail_memory(reader);
    *kept = item;
    reader->applied[reader->n_applied++] = kept;
    *list = kept;
    return 0;
}

/* Replaces the first n_old bytes of a name. */
static int replace_start(struct bank_reader *reader, char *name, size_t *length, size_t n_old,
                         const struct bank_name *new)
{
    if (*length - n_old + new->length > BANK_ACCOUNT_LENGTH_MAX)
        return bank_fail(reader, reader->file->at,
                         "the account name becomes longer than %d bytes; shorten it",
                         (int)BANK_ACCOUNT_LENGTH_MAX);
    memmove(name + new->length, name + n_old, *length - n_old);
    memcpy(name, new->text, new->length);
    *length = *length - n_old + new->length;
    return 0;
}

static int apply_parents(struct bank_reader *reader, char *name, size_t *length)
{
    static const struct bank_name COLON = {.text = ":", .length = 1};
    const struct bank_names *texts = &reader->books->texts;

    for (const struct bank_applied *item = reader->scope.parents; item; item = item->next)
        if (replace_start(reader, name, length, 0, &COLON) < 0
            || replace_start(reader, name, length, 0, &texts->names[item->text]) < 0)
            return -EINVAL;
    return 0;
}

static int apply_aliases(struct bank_reader *reader, char *name, size_t *length)
{
    const struct bank_names *texts = &reader->books->texts;

    for (const struct bank_applied *item = reader->scope.aliases; item; item = item->next) {
        const struct bank_name *old = &texts->names[item->old];

        if (*length < old->length || memcmp(name, old->text, old->length) != 0
            || (*length > old->length && name[old->length] != ':'))
            continue;
        if (replace_start(reader, name, length, old->length, &texts->names[item->text]) < 0)
            return -EINVAL;
    }
    return 0;
}

/* Finds or makes the node of one component below a parent. */
static int find_node(struct bank_reader *reader, uint32_t parent, uint32_t component,
                     uint32_t *index)
{
    const uint32_t key[2] = {parent, component};
    uint32_t n_known = reader->nodes_by_key.n_names;
    struct bank_node *grown;

    grown = bank_array_grow(reader->nodes, &reader->node_capacity, n_known, sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->nodes = grown;
    if (bank_names_intern(&reader->nodes_by_key, (const char *)key, sizeof(key), index) < 0)
        return bank_fail_memory(reader);
    if (*index < n_known)
        return 0;
    reader->nodes[*index] = (struct bank_node){
        .parent = parent,
        .component = component,
        .level = parent == BANK_NONE ? 1 : reader->nodes[parent].level + 1,
        .declaration = BANK_NONE,
        .account = BANK_NONE,
        .first_child = BANK_NONE,
        .next_sibling = BANK_NONE,
    };
    if (parent != BANK_NONE) {
        reader->nodes[*index].next_sibling = reader->nodes[parent].first_child;
        reader->nodes[parent].first_child = *index;
    }
    return 0;
}

static int add_nodes(struct bank_reader *reader, const char *name, size_t length, uint32_t *node)
{
    const char *end = name + length;
    uint32_t parent = BANK_NONE;

    for (;;) {
        const char *colon = memchr(name, ':', (size_t)(end - name));
        uint32_t component;
        int rc;

        rc = bank_text_intern(reader, name, colon ? colon : end, &component);
        if (rc == 0)
            rc = find_node(reader, parent, component, node);
        if (rc < 0)
            return rc;
        if (reader->nodes[*node].level > BANK_ACCOUNT_LEVELS_MAX)
            return bank_fail(reader, reader->file->at,
                             "an account name of more than %d levels; shorten it",
                             (int)BANK_ACCOUNT_LEVELS_MAX);
        if (!colon)
            return 0;
        parent = *node;
        name = colon + 1;
    }
}

static int add_account(struct bank_reader *reader, const char *name, size_t length,
                       uint32_t *account)
{
    uint32_t n_known = reader->accounts.n_names, node = BANK_NONE;
    uint32_t *grown;
    int rc;

    grown = bank_array_grow(reader->node_of_account, &reader->account_capacity, n_known,
                            sizeof(*grown));
    if (!grown)
        return bank_fail_memory(reader);
    reader->node_of_account = grown;
    if (bank_names_intern(&reader->accounts, name, length, account) < 0)
        return bank_fail_memory(reader);
    if (*account < n_known)
        return 0;
    rc = add_nodes(reader, name, length, &node);
    if (rc < 0)
        return rc;
    reader->nodes[node].account = *account;
    reader->node_of_account[*account] = node;
    return 0;
}

int bank_read_account(struct bank_reader *reader, uint32_t *account)
{
    const char *start = reader->file->at;
    char name[BANK_ACCOUNT_LENGTH_MAX];
    size_t length;

    if (bank_read_account_text(reader, name, &length) < 0)
        return -EINVAL;
    /* An alias sees a virtual account without its brackets; we refuse those anyway. */
    if (bank_is_virtual(name, length))
        return bank_fail(reader, start, "virtual accounts are not supported; remove the brackets");
    if (apply_parents(reader, name, &length) < 0 || apply_aliases(reader, name, &length) < 0)
        return -EINVAL;
    if (length == 0 || bank_is_virtual(name, length))
        return bank_fail(reader, start, "the alias makes this no real account; change the alias");
    return add_account(reader, name, length, account);
}

void bank_account_declare(struct bank_reader *reader, uint32_t account)
{
    struct bank_node *node = &reader->nodes[reader->node_of_account[account]];

    /* As in hledger the count begins anew in each file, and the first place wins. */
    reader->file->n_declarations++;
    if (node->declaration == BANK_NONE)
        node->declaration = reader->file->n_declarations;
}

/* Declared before undeclared siblings, then by name. */
static int compare_siblings(const struct bank_reader *reader, uint32_t a, uint32_t b)
{
    const struct bank_node *x = &reader->nodes[a], *y = &reader->nodes[b];

    if (x->declaration != y->declaration)
        return x->declaration < y->declaration ? -1 : 1;
    return strcmp(reader->books->texts.names[x->component].text,
                  reader->books->texts.names[y->component].text);
}

/* A parent stands before its children; else the branches below the common parent decide. */
static int compare_nodes(const void *left, const void *right, void *context)
{
    const struct bank_reader *reader = context;
    uint32_t a = reader->node_of_account[*(const uint32_t *)left];
    uint32_t b = reader->node_of_account[*(const uint32_t *)right];
    int deeper = (int)reader->nodes[a].level - (int)reader->nodes[b].level;

    for (int i = deeper; i > 0; i--)
        a = reader->nodes[a].parent;
    for (int i = deeper; i < 0; i++)
        b = reader->nodes[b].parent;
    if (a == b)
        return deeper;
    while (reader->nodes[a].parent != reader->nodes[b].parent) {
        a = reader->nodes[a].parent;
        b = reader->nodes[b].parent;
    }
    return compare_siblings(reader, a, b);
}

int bank_accounts_finish(struct bank_reader *reader)
{
    struct bank_books *books = reader->books;
    uint32_t n = reader->accounts.n_names;
    uint32_t *order;

    books->accounts = calloc(n ? n : 1, sizeof(*books->accounts));
    order = calloc(n ? n : 1, sizeof(*order));
    if (!books->accounts || !order) {
        free(order);
        return bank_fail_memory(reader);
    }
    books->n_accounts = n;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), compare_nodes, reader);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t text, account = order[i];
        const struct bank_name *name = &reader->accounts.names[account];

        if (bank_text_intern(reader, name->text, name->text + name->length, &text) < 0) {
            free(order);
            return -ENOMEM;
        }
        books->accounts[account] = (struct bank_account){
            .name = books->texts.names[text].text,
            .sort_order = i,
            .declared = reader->nodes[reader->node_of_account[account]].declaration != BANK_NONE,
        };
    }
    free(order);
    return 0;
}
