#include "actors/watching.h"

#include <stdlib.h>

#include <grove/error.h>

#define FIRST_ROOM 8u /* places in a new set */

static uint32_t place_of(const struct gv_watching *set, uint64_t number)
{
    return (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (set->room - 1);
}

/* Where the number stands, or the free place where it would. */
static struct gv_watch *find(struct gv_watching *set, uint64_t number)
{
    uint32_t i = place_of(set, number);

    while (set->watches[i].number != 0 && set->watches[i].number != number)
        i = (i + 1) & (set->room - 1);
    return &set->watches[i];
}

static struct gv_watching *new_set(uint32_t room)
{
    struct gv_watching *set = calloc(1, sizeof *set + room * sizeof set->watches[0]);

    if (set != NULL)
        set->room = room;
    return set;
}

void gv_watching_put(struct gv_watching *set, struct gv_watch watch)
{
    *find(set, watch.number) = watch;
    set->n++;
}

int gv_watching_reserve(struct gv_watching **set)
{
    struct gv_watching *old = *set, *larger;

    if (old != NULL && old->n == GV_MONITORS_MAX)
        return GROVE_EFULL;
    if (old != NULL && old->n < old->room / 2)
        return 0;
    larger = new_set(old != NULL ? old->room * 2 : FIRST_ROOM);
    if (larger == NULL)
        return GROVE_ENOMEM;
    for (uint32_t i = 0; old != NULL && i < old->room; i++)
        if (old->watches[i].number != 0)
            gv_watching_put(larger, old->watches[i]);
    free(old);
    *set = larger;
    return 0;
}

bool gv_watching_take(struct gv_watching *set, uint64_t number, struct gv_watch *taken)
{
    struct gv_watch *hole = set != NULL && number != 0 ? find(set, number) : NULL;
    uint32_t mask, i, free_at;

    if (hole == NULL || hole->number == 0)
        return false;
    *taken = *hole;
    set->n--;
    mask = set->room - 1;
    free_at = (uint32_t)(hole - set->watches);
    /* Those behind it that only stand there because the place was taken move up. */
    for (i = (free_at + 1) & mask; set->watches[i].number != 0; i = (i + 1) & mask)
        if (((i - place_of(set, set->watches[i].number)) & mask) >= ((i - free_at) & mask)) {
            set->watches[free_at] = set->watches[i];
            free_at = i;
        }
    set->watches[free_at].number = 0;
    return true;
}
