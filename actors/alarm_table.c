#include "actors/alarm_table.h"

#include <stdlib.h>

#define BUCKETS_MIN 4u

static struct gv_alarm **bucket_of(const struct gv_alarms *alarms, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    return &alarms->buckets[hash & (alarms->n_buckets - 1)];
}

/* Where the alarm of a key hangs; *place is NULL if there is none. NULL without a table. */
static struct gv_alarm **find_place(const struct gv_alarms *alarms, uint64_t key)
{
    struct gv_alarm **place;

    if (alarms->n_buckets == 0)
        return NULL;
    place = bucket_of(alarms, key);
    while (*place != NULL && (*place)->key != key)
        place = &(*place)->next;
    return place;
}

struct gv_alarm *gv_alarm_find(const struct gv_alarms *alarms, uint64_t key)
{
    struct gv_alarm **place = find_place(alarms, key);

    return place != NULL ? *place : NULL;
}

struct gv_alarm *gv_alarm_take(struct gv_alarms *alarms, uint64_t key)
{
    struct gv_alarm **place = find_place(alarms, key);
    struct gv_alarm *alarm = place != NULL ? *place : NULL;

    if (alarm == NULL)
        return NULL;
    *place = alarm->next;
    alarms->n--;
    return alarm;
}

void gv_alarm_put(struct gv_alarms *alarms, struct gv_alarm *alarm)
{
    struct gv_alarm **bucket = bucket_of(alarms, alarm->key);

    alarm->next = *bucket;
    *bucket = alarm;
    alarms->n++;
}

bool gv_alarm_grow(struct gv_alarms *alarms)
{
    uint32_t n_buckets = alarms->n_buckets != 0 ? alarms->n_buckets * 2 : BUCKETS_MIN;
    struct gv_alarms larger = {.n_buckets = n_buckets};

    if (alarms->n < alarms->n_buckets)
        return true;
    larger.buckets = calloc(n_buckets, sizeof(struct gv_alarm *));
    if (larger.buckets == NULL)
        return alarms->n_buckets != 0; /* Then its lists get longer. */
    for (uint32_t i = 0; i < alarms->n_buckets; i++)
        while (alarms->buckets[i] != NULL)
            gv_alarm_put(&larger, gv_alarm_take(alarms, alarms->buckets[i]->key));
    free(alarms->buckets);
    alarms->buckets = larger.buckets;
    alarms->n_buckets = n_buckets;
    alarms->n = larger.n;
    return true;
}

struct gv_alarm *gv_alarm_take_any(struct gv_alarms *alarms)
{
    for (uint32_t i = 0; i < alarms->n_buckets && alarms->n > 0; i++)
        if (alarms->buckets[i] != NULL)
            return gv_alarm_take(alarms, alarms->buckets[i]->key);
    return NULL;
}
