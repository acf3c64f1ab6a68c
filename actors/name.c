#include "actors/name.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/name.h>

#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define TABLES     16u
#define PLACES_MIN 64u
#define ENTRY_MAX  (GV_NAMES_MAX / TABLES)

struct entry {
    struct entry *next;
    uint64_t hash;
    grove_ref ref;
    char name[];
};

static struct table {
    _Alignas(64) atomic_flag busy;
    struct entry **places; /* a power of two; NULL until the first name */
    uint32_t n_places;
    uint32_t n_entries;
} tables[TABLES];

/* --- one table -------------------------------------------------------------------------------- */

static void lock(struct table *table)
{
    /* acquire: pairs with the release in unlock. Held for a few steps, so whoever meets another one waits in place. */
    while (atomic_flag_test_and_set_explicit(&table->busy, memory_order_acquire))
        continue;
}

static void unlock(struct table *table)
{
    atomic_flag_clear_explicit(&table->busy, memory_order_release);
}

/* FNV-1a, and a mix, as the low bits choose the table and the next ones the place. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static bool is_alive(grove_ref ref)
{
    return gv_slot_find(gv_ref_id(ref)) != NULL;
}

static struct entry **place_of(struct table *table, uint64_t hash)
{
    return &table->places[hash / TABLES & (table->n_places - 1)];
}

/* Drops all entries of the dead. */
static void bury(struct table *table)
{
    for (uint32_t i = 0; i < table->n_places; i++)
        for (struct entry **link = &table->places[i]; *link != NULL;) {
            struct entry *entry = *link;

            if (is_alive(entry->ref)) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            table->n_entries--;
            free(entry);
        }
}

/* Room for one more entry. Returns 0, GROVE_EFULL or GROVE_ENOMEM. */
static int make_room(struct table *table)
{
    struct entry **places, **old = table->places;
    uint32_t n_old = table->n_places, n = n_old == 0 ? PLACES_MIN : 2 * n_old;

    if (table->n_entries < n_old)
        return 0;
    bury(table);
    if (table->n_entries >= ENTRY_MAX)
        return GROVE_EFULL;
    /* At least as many names must come as there are now before the dead are looked for again. */
    if (n_old > 0 && table->n_entries <= n_old / 2)
        return 0;
    places = calloc(n, sizeof *places);
    if (places == NULL)
        return table->n_entries < n_old ? 0 : GROVE_ENOMEM;
    table->places = places;
    table->n_places = n;
    for (uint32_t i = 0; i < n_old; i++)
        while (old[i] != NULL) {
            struct entry *entry = old[i], **place = place_of(table, entry->hash);

            old[i] = entry->next;
            entry->next = *place;
            *place = entry;
        }
    free(old);
    return 0;
}

/* The link to the entry of a living holder, or to NULL: then the name is free. */
static struct entry **find(struct table *table, uint64_t hash, const char *name)
{
    static struct entry *none;
    struct entry **link;

    if (table->places == NULL)
        return &none;
    for (link = place_of(table, hash); *link != NULL; link = &(*link)->next) {
        struct entry *entry = *link;

        if (entry->hash != hash || strcmp(entry->name, name) != 0)
            continue;
        if (is_alive(entry->ref))
            return link;
        *link = entry->next;
        table->n_entries--;
        free(entry);
        return &none;
    }
    return &none;
}

/* --- registering ------------------------------------------------------------------------------ */

static int check_name(const char *function, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return gv_usage("%s: there is no name; give it 1 to %d bytes", function, GROVE_NAME_MAX);
    if (strnlen(name, GROVE_NAME_MAX + 1) > GROVE_NAME_MAX)
        return gv_usage("%s: the name %.20s... has more than %d bytes", function, name,
                        GROVE_NAME_MAX);
    return 0;
}

/* Says who has the name; returns -EEXIST. */
static int taken(const char *name, grove_ref ref)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_task *task = gv_slot_find(gv_ref_id(ref));
    char text[GROVE_REF_TEXT_BYTES], label[64] = "", why[GV_WHY_BYTES];

    if (loop == NULL)
        return -EEXIST;
    /* Of one that lives elsewhere only the ref may be looked at. */
    if (task != NULL && task->arrived && task->loop == loop->index)
        task->class->describe(task, label, sizeof label);
    (void)snprintf(why, sizeof why,
                   "the name \"%s\" belongs to %s%s%s: stop that one, unregister the name, or "
                   "take another one",
                   name, label, label[0] != '\0' ? ", " : "",
                   grove_ref_print(ref, text)); /* A cut reason is still a reason. */
    return gv_turn_failed(loop->turn, NULL, -EEXIST, GROVE_STARTED_NO, why);
}

/* Under the lock. *holder is who has the name if the answer is -EEXIST. Owns entry only on 1: it is in the table. */
static int put(struct table *table, struct entry *entry, grove_ref *holder)
{
    struct entry **link = find(table, entry->hash, entry->name);
    int rc;

    if (*link != NULL) {
        *holder = (*link)->ref;
        return grove_ref_equal(*holder, entry->ref) ? 0 : -EEXIST;
    }
    rc = make_room(table);
    if (rc != 0)
        return rc;
    link = place_of(table, entry->hash);
    entry->next = *link;
    *link = entry;
    table->n_entries++;
    return 1;
}

int grove_register(const char *name, grove_ref ref)
{
    int rc = check_name("grove_register", name);
    struct table *table;
    struct entry *entry;
    grove_ref holder;
    size_t bytes;

    if (rc != 0)
        return rc;
    if (!is_alive(ref))
        return gv_failed(GROVE_ENOACTOR, NULL);
    bytes = strlen(name) + 1;
    entry = malloc(sizeof *entry + bytes);
    if (entry == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    entry->hash = hash_of(name);
    entry->ref = ref;
    memcpy(entry->name, name, bytes);
    table = &tables[entry->hash % TABLES];
    lock(table);
    rc = put(table, entry, &holder);
    unlock(table);
    if (rc == 1)
        return 0;
    free(entry);
    return rc == -EEXIST ? taken(name, holder) : rc == 0 ? 0 : gv_failed(rc, NULL);
}

static int nobody_has(const char *name)
{
    char why[GV_WHY_BYTES];

    (void)snprintf(why, sizeof why, "nobody has the name \"%s\": register it first, or mend it",
                   name); /* It fits. */
    return gv_failed(GROVE_ENOACTOR, why);
}

int grove_whereis(const char *name, grove_ref *ref)
{
    int rc = check_name("grove_whereis", name);
    struct entry **link;
    struct table *table;
    uint64_t hash;

    if (rc == 0 && ref == NULL)
        rc = gv_usage("grove_whereis: there is no place for the ref");
    if (rc != 0)
        return rc;
    hash = hash_of(name);
    table = &tables[hash % TABLES];
    lock(table);
    link = find(table, hash, name);
    if (*link != NULL)
        *ref = (*link)->ref;
    else
        rc = GROVE_ENOACTOR;
    unlock(table);
    return rc == 0 ? 0 : nobody_has(name);
}

int grove_unregister(const char *name)
{
    int rc = check_name("grove_unregister", name);
    struct entry **link, *entry;
    struct table *table;
    uint64_t hash;

    if (rc != 0)
        return rc;
    hash = hash_of(name);
    table = &tables[hash % TABLES];
    lock(table);
    link = find(table, hash, name);
    entry = *link;
    if (entry != NULL) {
        *link = entry->next;
        table->n_entries--;
    }
    unlock(table);
    free(entry);
    return entry != NULL ? 0 : nobody_has(name);
}

uint32_t gv_names_entries(void)
{
    uint32_t n = 0;

    for (unsigned t = 0; t < TABLES; t++) {
        lock(&tables[t]);
        n += tables[t].n_entries;
        unlock(&tables[t]);
    }
    return n;
}

/* --- the end ---------------------------------------------------------------------------------- */

void gv_names_close(void)
{
    gv_assert(gv_runtime.n_loops == 0);
    for (unsigned t = 0; t < TABLES; t++) {
        struct table *table = &tables[t];

        for (uint32_t i = 0; i < table->n_places; i++)
            while (table->places[i] != NULL) {
                struct entry *entry = table->places[i];

                table->places[i] = entry->next;
                free(entry);
            }
        free(table->places);
        *table = (struct table){.busy = ATOMIC_FLAG_INIT};
    }
}
