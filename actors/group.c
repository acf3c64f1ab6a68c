#include "actors/group.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/name.h>

#include "runtime/assert.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define NO_GROUP    "there is no such group, or nobody lives at the member's ref"
#define ROOM_MIN    8u
#define PLACES      1024u /* of the hash of names */
#define GROUP_CLASS 7u    /* no class of slots has this number */
#define CLASS_SHIFT (GV_SLOT_SHIFT + GV_SLOT_INDEX_BITS)

static_assert(GROUP_CLASS >= GV_SLOT_CLASSES, "the id of a group is no task's");
static_assert(GV_GROUPS_MAX <= GV_SLOT_INDEX_MAX, "an id has room for the place of a group");

/* The members on one loop. */
struct part {
    _Alignas(64) atomic_flag busy;
    _Atomic uint32_t n; /* written under the lock */
    uint32_t room;
    uint64_t *ids; /* ascending */
};

struct gv_group {
    _Atomic uint64_t id;   /* class 3 | place 25 | generation 36: odd while open */
    struct gv_group *next; /* under the lock: of the same hash, or free */
    char name[GROVE_NAME_MAX + 1];
    struct part parts[]; /* one for each loop */
};

static atomic_flag busy = ATOMIC_FLAG_INIT; /* the lock of names and free records */
static struct gv_group *names[PLACES];
static struct gv_group *closed;
static struct gv_group *_Atomic groups[GV_GROUPS_MAX];
static uint32_t n_groups; /* ever made */
static unsigned n_parts;  /* of each: the loops there are */

/* --- locks ------------------------------------------------------------------------------------ */

/* All of them are held for a few steps, or for one copy, so whoever meets another one waits in place. */
static void lock(atomic_flag *flag)
{
    /* acquire: pairs with the release in unlock. */
    while (atomic_flag_test_and_set_explicit(flag, memory_order_acquire))
        continue;
}

static void unlock(atomic_flag *flag)
{
    atomic_flag_clear_explicit(flag, memory_order_release);
}

/* --- members of a part, under its lock ---------------------------------------------------------- */

static uint32_t count(const struct part *part)
{
    /* relaxed: who must see a join has heard of it, which orders it. */
    return atomic_load_explicit(&((struct part *)part)->n, memory_order_relaxed);
}

static void set_count(struct part *part, uint32_t n)
{
    atomic_store_explicit(&part->n, n, memory_order_relaxed); /* relaxed: as above. */
}

/* The place of the first member with at least this id. */
static uint32_t place_of(const struct part *part, uint64_t id)
{
    uint32_t low = 0, high = count(part);

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (part->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void bury(struct part *part)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count(part); i++)
        if (gv_slot_find(part->ids[i]) != NULL)
            part->ids[n++] = part->ids[i];
    set_count(part, n);
}

/* Room for one more. Returns 0, GROVE_EFULL or GROVE_ENOMEM. */
static int make_room(struct part *part)
{
    uint32_t room = part->room == 0 ? ROOM_MIN : 2 * part->room;
    uint64_t *ids;

    if (count(part) < part->room)
        return 0;
    bury(part);
    /* At least as many must come as there are now before the dead are looked for again. */
    if (count(part) <= part->room / 2 && part->room > 0)
        return 0;
    if (count(part) >= GV_GROUP_MEMBERS_MAX)
        return GROVE_EFULL;
    ids = realloc(part->ids, room * sizeof *ids);
    if (ids == NULL)
        return count(part) < part->room ? 0 : GROVE_ENOMEM;
    part->ids = ids;
    part->room = room;
    return 0;
}

static int put_in(struct part *part, uint64_t id)
{
    uint32_t i = place_of(part, id), n = count(part);
    int rc;

    if (i < n && part->ids[i] == id)
        return 0;
    rc = make_room(part);
    if (rc != 0)
        return rc;
    i = place_of(part, id);
    n = count(part);
    memmove(&part->ids[i + 1], &part->ids[i], (n - i) * sizeof part->ids[0]);
    part->ids[i] = id;
    set_count(part, n + 1);
    return 0;
}

static int take_out(struct part *part, uint64_t id)
{
    uint32_t i = place_of(part, id), n = count(part);

    if (i == n || part->ids[i] != id)
        return GROVE_ENOACTOR;
    memmove(&part->ids[i], &part->ids[i + 1], (n - i - 1) * sizeof part->ids[0]);
    set_count(part, n - 1);
    return 0;
}

/* --- groups by ref and name --------------------------------------------------------------------- */

static uint64_t id_of(const struct gv_group *group)
{
    /* acquire: pairs with the release in open_record, so that its parts are empty. */
    return atomic_load_explicit(&((struct gv_group *)group)->id, memory_order_acquire);
}

/* The open group with this id, NULL if there is none. It stays readable, but may close at any time. */
struct gv_group *gv_group_find_id(uint64_t id)
{
    uint64_t place = id >> GV_SLOT_SHIFT & (GV_SLOT_INDEX_MAX - 1);
    struct gv_group *group;

    if (id >> CLASS_SHIFT != GROUP_CLASS || place >= GV_GROUPS_MAX || !(id & 1))
        return NULL;
    /* acquire: pairs with the release in make_record. */
    group = atomic_load_explicit(&groups[place], memory_order_acquire);
    return group != NULL && id_of(group) == id ? group : NULL;
}

struct gv_group *gv_group_find(grove_ref ref)
{
    return gv_ref_kind(ref) == GROVE_REF_GROUP ? gv_group_find_id(gv_ref_id(ref)) : NULL;
}

static grove_ref ref_of(const struct gv_group *group)
{
    return (grove_ref){gv_runtime.incarnation << (64 - GV_INCARNATION_BITS)
                           | (uint64_t)GROVE_REF_GROUP << GV_REF_KIND_SHIFT,
                       id_of(group)};
}

static struct gv_group **names_like(const char *name)
{
    uint32_t hash = 2166136261u;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &names[(hash ^ hash >> 16) % PLACES];
}

/* The link to the group of this name, or to NULL. Under the lock. */
static struct gv_group **find_name(const char *name)
{
    struct gv_group **link = names_like(name);

    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

/* A new record, closed. Under the lock. NULL when there are enough of them, or memory is short. */
static struct gv_group *make_record(void)
{
    size_t bytes = sizeof(struct gv_group) + gv_runtime.n_loops * sizeof(struct part);
    struct gv_group *group =
        n_groups < GV_GROUPS_MAX ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;

    if (group == NULL)
        return NULL;
    memset(group, 0, bytes);
    n_parts = gv_runtime.n_loops;
    atomic_init(&group->id,
                (uint64_t)GROUP_CLASS << CLASS_SHIFT | (uint64_t)n_groups << GV_SLOT_SHIFT);
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        atomic_flag_clear(&group->parts[i].busy);
    /* release: pairs with the acquire in find_id. */
    atomic_store_explicit(&groups[n_groups++], group, memory_order_release);
    return group;
}

/* The group of this name, made if there is none. Under the lock. */
static int open_record(const char *name, struct gv_group **result)
{
    struct gv_group **link = find_name(name), *group = *link;

    *result = group;
    if (group != NULL)
        return 0;
    group = closed;
    if (group != NULL)
        closed = group->next;
    else
        group = make_record();
    if (group == NULL)
        return n_groups < GV_GROUPS_MAX ? GROVE_ENOMEM : GROVE_EFULL;
    memcpy(group->name, name, strlen(name) + 1); /* It fits: open has looked. */
    group->next = *link;
    *link = group;
    /* release: pairs with the acquire in id_of. */
    atomic_store_explicit(&group->id, id_of(group) + 1, memory_order_release);
    *result = group;
    return 0;
}

int grove_group_open(const char *name, grove_ref *ref)
{
    struct gv_group *group;
    int rc;

    if (gv_loop_now() == NULL)
        return gv_usage_thread("grove_group_open");
    if (ref == NULL)
        return gv_usage_null("grove_group_open", "the place for its ref");
    if (name == NULL || name[0] == '\0' || strnlen(name, GROVE_NAME_MAX + 1) > GROVE_NAME_MAX)
        return gv_usage("grove_group_open: a group needs a name of 1 to %d bytes", GROVE_NAME_MAX);
    lock(&busy);
    rc = open_record(name, &group);
    if (rc == 0)
        *ref = ref_of(group);
    unlock(&busy);
    return rc;
}

/* Under the lock: from here on nobody finds it. Who is about to put a member in looks again under the part's lock. */
static void close_record(struct gv_group *group)
{
    struct gv_group **link = find_name(group->name);

    atomic_store_explicit(&group->id, id_of(group) + 1, memory_order_release); /* As in open. */
    *link = group->next;
    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        lock(&group->parts[i].busy);
        set_count(&group->parts[i], 0);
        unlock(&group->parts[i].busy);
    }
    group->next = closed;
    closed = group;
}

int grove_group_close(grove_ref ref)
{
    struct gv_group *group;

    lock(&busy);
    group = gv_group_find(ref);
    if (group != NULL)
        close_record(group);
    unlock(&busy);
    return group != NULL ? 0 : GROVE_ENOACTOR;
}

/* --- joining ---------------------------------------------------------------------------------- */

/* Where a member is, or would be; NULL if there is no such group. *id is the member's. */
static struct part *part_for(grove_ref ref, grove_ref member, uint64_t *id)
{
    struct gv_group *group = gv_group_find(ref);
    struct gv_task *task;

    *id = gv_ref_id(member);
    task = gv_slot_find(*id);
    return group != NULL && task != NULL ? &group->parts[task->loop] : NULL;
}

/* Locks the part; false if the group has closed meanwhile. */
static bool lock_open(struct part *part, grove_ref ref)
{
    lock(&part->busy);
    if (gv_group_find(ref) != NULL)
        return true;
    unlock(&part->busy);
    return false;
}

int grove_group_join(grove_ref ref, grove_ref member)
{
    struct part *part;
    uint64_t id;
    int rc;

    if (!grove_ref_is_nobody(member) && gv_ref_kind(member) != GROVE_REF_ACTOR)
        return gv_usage(
            "grove_group_join: a member is an actor or a greenlet, no pool and no group");
    part = part_for(ref, member, &id);
    if (part == NULL || !lock_open(part, ref))
        return gv_failed(GROVE_ENOACTOR, NO_GROUP);
    rc = put_in(part, id);
    unlock(&part->busy);
    return rc == 0 ? 0 : gv_failed(rc, NULL);
}

int grove_group_leave(grove_ref ref, grove_ref member)
{
    struct part *part;
    uint64_t id;
    int rc;

    part = part_for(ref, member, &id);
    if (part == NULL || !lock_open(part, ref))
        return gv_failed(GROVE_ENOACTOR, NO_GROUP);
    rc = take_out(part, id);
    unlock(&part->busy);
    return rc == 0 ? 0 : gv_failed(rc, "it is no member of this group");
}

uint32_t gv_group_some(struct gv_group *group, uint64_t id, unsigned loop, uint64_t after,
                       uint64_t ids[GV_GROUP_SOME])
{
    struct part *part = &group->parts[loop];
    uint32_t from, n;

    lock(&part->busy);
    if (id_of(group) != id) {
        unlock(&part->busy);
        return 0;
    }
    from = place_of(part, after + 1);
    n = count(part) - from;
    n = n < GV_GROUP_SOME ? n : GV_GROUP_SOME;
    memcpy(ids, part->ids != NULL ? &part->ids[from] : ids, n * sizeof ids[0]);
    unlock(&part->busy);
    return n;
}

int grove_group_members(grove_ref ref, grove_ref *members, unsigned n)
{
    struct gv_group *group = gv_group_find(ref);
    uint64_t ids[GV_GROUP_SOME], id = gv_ref_id(ref);
    unsigned n_found = 0;

    if (group == NULL)
        return gv_failed(GROVE_ENOACTOR, NO_GROUP);
    for (unsigned loop = 0; loop < gv_runtime.n_loops; loop++) {
        uint64_t after = 0;
        uint32_t n_some;

        while ((n_some = gv_group_some(group, id, loop, after, ids)) > 0) {
            for (uint32_t i = 0; i < n_some; i++) {
                struct gv_task *task = gv_slot_find(ids[i]);

                if (task != NULL && n_found++ < n)
                    members[n_found - 1] = (grove_ref){
                        ref.node_kind
                            ^ (uint64_t)(GROVE_REF_GROUP ^ GROVE_REF_ACTOR) << GV_REF_KIND_SHIFT,
                        ids[i]};
            }
            after = ids[n_some - 1];
        }
    }
    return (int)n_found;
}

uint32_t gv_group_count(const struct gv_group *group, unsigned loop)
{
    return count(&group->parts[loop]);
}

void gv_group_bury(struct gv_group *group, unsigned loop)
{
    struct part *part = &group->parts[loop];

    lock(&part->busy);
    bury(part);
    unlock(&part->busy);
}

uint32_t gv_group_entries(grove_ref ref)
{
    const struct gv_group *group = gv_group_find(ref);
    uint32_t n = 0;

    for (unsigned i = 0; group != NULL && i < gv_runtime.n_loops; i++)
        n += count(&group->parts[i]);
    return n;
}

/* --- the end ---------------------------------------------------------------------------------- */

void gv_groups_close(void)
{
    gv_assert(gv_runtime.n_loops == 0);
    for (uint32_t i = 0; i < n_groups; i++) {
        struct gv_group *group = atomic_load_explicit(&groups[i], memory_order_relaxed);

        for (unsigned k = 0; k < n_parts; k++)
            free(group->parts[k].ids);
        free(group);
        atomic_store_explicit(&groups[i], NULL, memory_order_relaxed);
    }
    n_groups = 0;
    closed = NULL;
    memset(names, 0, sizeof names);
}
