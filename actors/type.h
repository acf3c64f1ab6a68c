/*
 * Type: a service with one struct of functions, made at its first spawn.
 *
 * The table is hashed by the functions' address and read without a lock; who
 * adds a type takes one. Entries never go.
 */
#ifndef GV_TYPE_H
#define GV_TYPE_H

#include <stdatomic.h>

#include "actors/actor.h"

/* Twice as many places as types, so that a search is short. */
#define GV_TYPE_PLACES (2 * GV_TYPES_MAX)

extern const struct gv_type *_Atomic gv_type_places[GV_TYPE_PLACES];

/* Where the type is, or where it would go; *found is NULL then. */
static inline const struct gv_type *_Atomic *gv_type_place(const struct grove_service *service,
                                                           const void *functions,
                                                           const struct gv_type **found)
{
    uint32_t i = (uint32_t)((uintptr_t)functions * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; i++) {
        /* acquire: pairs with the release in type.c, so that the entry is filled. */
        const struct gv_type *type =
            atomic_load_explicit(&gv_type_places[i & (GV_TYPE_PLACES - 1)], memory_order_acquire);

        *found = type;
        if (type == NULL || (type->functions == functions && type->service == service))
            return &gv_type_places[i & (GV_TYPE_PLACES - 1)];
    }
}

/* One that is not known yet (type is NULL then), or whose actors are passivated. NULL with a reason if there can be none. */
const struct gv_type *gv_type_other(const struct grove_service *service, const void *functions,
                                    const struct grove_spawn_options *options,
                                    const struct gv_type *type) GV_RARE;

#endif
