#include "runtime/tract.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "runtime/assert.h"

#define TRACT_BYTES (64 * GV_TRACT_SLAB_BYTES)
#define HUGE_BYTES  ((size_t)2 << 20)

struct gv_tract {
    struct gv_tract *next;
    char *start;
    char *mapped;  /* start, and what lies before it for the alignment */
    uint64_t free; /* bit per slab */
};

/* Puts a new tract in front. */
static struct gv_tract *map_tract(struct gv_tracts *tracts)
{
    struct gv_tract *tract = malloc(sizeof *tract);
    char *mapped;

    if (tract == NULL)
        return NULL;
    mapped = mmap(NULL, TRACT_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        free(tract);
        return NULL;
    }
    *tract = (struct gv_tract){
        .next = tracts->first,
        .start = mapped + (-(uintptr_t)mapped & (HUGE_BYTES - 1)),
        .mapped = mapped,
        .free = UINT64_MAX,
    };
    /* Not the first one: most pools never need a whole huge page. Without huge pages it is a tract all the same. */
    if (tracts->first != NULL && tracts->huge)
        (void)madvise(tract->start, TRACT_BYTES, MADV_HUGEPAGE);
    tracts->first = tract;
    return tract;
}

static void unmap_tract(struct gv_tract *tract)
{
    int rc = munmap(tract->mapped, TRACT_BYTES + HUGE_BYTES);

    gv_assert(rc == 0);
    free(tract);
}

void *gv_tract_take(struct gv_tracts *tracts)
{
    struct gv_tract *tract = tracts->first;
    unsigned i;

    while (tract != NULL && tract->free == 0)
        tract = tract->next;
    if (tract == NULL)
        tract = map_tract(tracts);
    if (tract == NULL)
        return NULL;
    i = (unsigned)__builtin_ctzll(tract->free);
    tract->free &= tract->free - 1;
    return tract->start + i * GV_TRACT_SLAB_BYTES;
}

void gv_tract_give(struct gv_tracts *tracts, void *slab)
{
    struct gv_tract **place = &tracts->first, *tract;
    uint64_t bit;
    int rc;

    while ((size_t)((char *)slab - (*place)->start) >= TRACT_BYTES)
        place = &(*place)->next;
    tract = *place;
    bit = UINT64_C(1) << ((size_t)((char *)slab - tract->start) / GV_TRACT_SLAB_BYTES);
    gv_assert((tract->free & bit) == 0);
    tract->free |= bit;
    if (tract->free == UINT64_MAX) {
        *place = tract->next;
        unmap_tract(tract);
        return;
    }
    rc = madvise(slab, GV_TRACT_SLAB_BYTES, MADV_DONTNEED);
    gv_assert(rc == 0);
}
