/*
 * Tract: address space for slabs, mapped many at a time.
 *
 * Mapping stops every other thread of the process that takes a page fault,
 * so a pool maps a tract of 64 slabs at once. Memory is only what has been
 * touched. A slab that is given back loses its memory at once, and a tract
 * without slabs in use its address space.
 *
 *     tract: 4 MiB, aligned to a huge page = 64 slabs of 64 KiB, a bit each
 *
 * Owner: the pool that took a slab gives it back. One thread at a time.
 */
#ifndef GV_TRACT_H
#define GV_TRACT_H

#include <stdbool.h>
#include <stddef.h>

#define GV_TRACT_SLAB_BYTES ((size_t)64 << 10)

struct gv_tract;

struct gv_tracts {
    struct gv_tract *first; /* NULL when no slab is in use */
    bool huge;              /* ask for huge pages, but for the first tract */
};

/* A slab of zeros, aligned to its size; the lowest free one of a tract. Returns NULL when memory is short. */
void *gv_tract_take(struct gv_tracts *tracts);

/* Gives a slab back, and its memory to the system. */
void gv_tract_give(struct gv_tracts *tracts, void *slab);

#endif
