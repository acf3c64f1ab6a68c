#include "runtime/slot.h"

#include <string.h>
#include <sys/mman.h>

#include "runtime/assert.h"
#include "runtime/options.h"
#include "runtime/switch.h"

#define CHUNK_SLOTS 64u
#define SMALL_BYTES ((size_t)4 << 20) /* of a region, never huge pages */

/* Address space of one class; instrumented runs have less of it to give. */
#if GV_SANITIZED
#    define REGION_BYTES ((size_t)512 << 20)
#else
#    define REGION_BYTES ((size_t)8 << 30)
#endif

struct gv_slot_region gv_slot_regions[8] = {
    {.slot_bytes = 128}, {.slot_bytes = 192},  {.slot_bytes = 256},
    {.slot_bytes = 512}, {.slot_bytes = 1024}, {.slot_bytes = 4096},
};

/*
 * Free slots that a home has too many of, for whoever spawns there from
 * another loop; otherwise such a spawner would carve for ever. Reached once
 * in GV_SLOT_MAGAZINE slots, so a lock will do.
 */
static struct depot {
    atomic_flag busy;
    struct gv_task *_Atomic head; /* first slot of the first magazine */
} depots[GV_LOOPS_MAX][GV_SLOT_CLASSES];

static uint32_t region_slots(unsigned class)
{
    size_t n = REGION_BYTES / gv_slot_regions[class].slot_bytes;

    return n < GV_SLOT_INDEX_MAX ? (uint32_t)n : GV_SLOT_INDEX_MAX;
}

/* The region's first byte; maps it on first use. Two loops may race here: the loser unmaps its own. */
static char *region(unsigned class)
{
    /* acquire: pairs with the exchange below, so that the mapping is there. */
    char *base = atomic_load_explicit(&gv_slot_regions[class].base, memory_order_acquire);
    char *mine, *none = NULL;

    if (base != NULL)
        return base;
    mine = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mine == MAP_FAILED)
        return NULL;
    /* Not at its beginning: most programs never need a whole huge page. Without them it is a region all the same. */
    if (gv_option_number(GV_OPTION_HUGE_PAGES) != 0)
        (void)madvise(mine + SMALL_BYTES, REGION_BYTES - SMALL_BYTES, MADV_HUGEPAGE);
    /* acq_rel: publishes our mapping, or sees the winner's. */
    if (atomic_compare_exchange_strong_explicit(&gv_slot_regions[class].base, &none, mine,
                                                memory_order_acq_rel, memory_order_acquire))
        return mine;
    (void)munmap(mine, REGION_BYTES); /* Ours and unused: nothing is lost if it stays. */
    return none;
}

unsigned gv_slot_class(size_t bytes)
{
    unsigned class = 0;

    gv_assert(bytes <= GV_SLOT_BYTES_MAX);
    while (gv_slot_regions[class].slot_bytes < bytes)
        class ++;
    return class;
}

void gv_slots_init(struct gv_slots *slots, unsigned loop)
{
    memset(slots, 0, sizeof *slots);
    slots->loop = loop;
}

/* Cuts a chunk of fresh slots for a home loop and numbers them. */
static int carve(struct gv_slots *slots, unsigned home, unsigned class)
{
    char *base = region(class);
    uint32_t first;

    if (base == NULL)
        return -1;
    /* relaxed: the count only hands out numbers; refs to the slots travel by synchronised ways. */
    first = atomic_load_explicit(&gv_slot_regions[class].n_carved, memory_order_relaxed);
    do
        if (first + CHUNK_SLOTS > region_slots(class))
            return -1;
    while (!atomic_compare_exchange_weak_explicit(&gv_slot_regions[class].n_carved, &first,
                                                  first + CHUNK_SLOTS, memory_order_relaxed,
                                                  memory_order_relaxed));
    for (uint32_t i = first; i < first + CHUNK_SLOTS; i++) {
        struct gv_task *task =
            (struct gv_task *)(base + (size_t)i * gv_slot_regions[class].slot_bytes);
        uint64_t slot = (uint64_t) class << GV_SLOT_INDEX_BITS | i;

        task->loop = (uint8_t)home;
        task->size_class = (uint8_t) class;
        atomic_store_explicit(&task->id, slot << GV_SLOT_SHIFT, memory_order_relaxed);
    }
    slots->fresh[home][class].next = base + (size_t)first * gv_slot_regions[class].slot_bytes;
    slots->fresh[home][class].end =
        slots->fresh[home][class].next + (size_t)CHUNK_SLOTS * gv_slot_regions[class].slot_bytes;
    return 0;
}

/* --- depots ----------------------------------------------------------------------------------- */

static void lock(struct depot *depot)
{
    /* acquire: pairs with the release in unlock, so that the slots are as their last user left them. */
    while (atomic_flag_test_and_set_explicit(&depot->busy, memory_order_acquire))
        continue;
}

static void unlock(struct depot *depot)
{
    atomic_flag_clear_explicit(&depot->busy, memory_order_release);
}

/* A full magazine's slots are linked as in any list; the next magazine's first slot is named behind its own first head. */
static struct gv_task **next_magazine(struct gv_task *first)
{
    return (struct gv_task **)(void *)(first + 1);
}

static void depot_put(struct depot *depot, struct gv_slot_list *list)
{
    gv_assert(list->n == GV_SLOT_MAGAZINE);
    lock(depot);
    *next_magazine(list->first) = depot->head;
    depot->head = list->first;
    unlock(depot);
    *list = (struct gv_slot_list){0};
}

/* A magazine, or nothing. */
static struct gv_slot_list depot_take(struct depot *depot)
{
    struct gv_slot_list list = {0};

    /* relaxed: only a look; what we miss comes the next time. */
    if (atomic_load_explicit(&depot->head, memory_order_relaxed) == NULL)
        return list;
    lock(depot);
    list.first = depot->head;
    if (list.first != NULL) {
        list.n = GV_SLOT_MAGAZINE;
        depot->head = *next_magazine(list.first);
    }
    unlock(depot);
    return list;
}

static struct gv_task *list_take(struct gv_slot_list *list)
{
    struct gv_task *task = list->first;

    list->first = task->run_next;
    list->n--;
    return task;
}

static void list_put(struct gv_slot_list *list, struct gv_task *task)
{
    task->run_next = list->first;
    list->first = task;
    list->n++;
}

/* --- taking and giving ------------------------------------------------------------------------ */

struct gv_task *gv_slot_take_slowly(struct gv_slots *slots, unsigned home, size_t bytes)
{
    unsigned class = gv_slot_class(bytes);
    struct gv_slot_list *stock = &slots->stock[home][class];
    struct gv_task *task;

    if (home == slots->loop) {
        *stock = slots->spare[class];
        slots->spare[class] = (struct gv_slot_list){0};
    }
    if (stock->n == 0 && slots->fresh[home][class].next == slots->fresh[home][class].end) {
        *stock = depot_take(&depots[home][class]);
        if (stock->n == 0 && carve(slots, home, class) != 0)
            return NULL;
    }
    if (stock->n > 0) {
        task = list_take(stock);
        gv_slot_clear(task, bytes);
        return task;
    }
    /* Fresh ones are zeros, and lines that nobody needs yet stay untouched. */
    task = (struct gv_task *)slots->fresh[home][class].next;
    slots->fresh[home][class].next += gv_slot_regions[class].slot_bytes;
    return task;
}

void gv_slot_kill(struct gv_task *task)
{
    uint64_t id = gv_task_id(task);

    gv_assert(id & 1);
    /* The last generation is followed by none: the slot is retired. */
    atomic_store_explicit(&task->id,
                          (id & GV_SLOT_GENERATION) == GV_SLOT_GENERATION ? id & ~GV_SLOT_GENERATION
                                                                          : id + 1,
                          memory_order_relaxed);
}

void gv_slot_give_slowly(struct gv_slots *slots, struct gv_task *task)
{
    gv_slot_kill(task);
    gv_slot_give_dead(slots, task);
}

void gv_slot_give_dead(struct gv_slots *slots, struct gv_task *task)
{
    struct gv_slot_list *stock = &slots->stock[task->loop][task->size_class];

    if ((gv_task_id(task) & GV_SLOT_GENERATION) == 0)
        return; /* retired */
    list_put(stock, task);
    if (stock->n < GV_SLOT_MAGAZINE || task->loop != slots->loop)
        return;
    if (slots->spare[task->size_class].n > 0)
        depot_put(&depots[slots->loop][task->size_class], &slots->spare[task->size_class]);
    slots->spare[task->size_class] = *stock;
    *stock = (struct gv_slot_list){0};
}

void gv_slots_each(struct gv_loop *loop, unsigned home,
                   void (*each)(struct gv_loop *, struct gv_task *))
{
    for (unsigned class = 0; class < GV_SLOT_CLASSES; class ++) {
        char *base = atomic_load_explicit(&gv_slot_regions[class].base, memory_order_acquire);
        uint32_t n = atomic_load_explicit(&gv_slot_regions[class].n_carved, memory_order_relaxed);

        for (uint32_t i = 0; base != NULL && i < n; i++) {
            struct gv_task *task =
                (struct gv_task *)(base + (size_t)i * gv_slot_regions[class].slot_bytes);

            /* acquire: pairs with the release in gv_slot_live. */
            if ((atomic_load_explicit(&task->id, memory_order_acquire) & 1) == 0
                || task->loop != home)
                continue;
            if (task->arrived)
                each(loop, task);
        }
    }
}

void gv_slots_close(void)
{
    for (unsigned class = 0; class < GV_SLOT_CLASSES; class ++) {
        char *base = atomic_load_explicit(&gv_slot_regions[class].base, memory_order_acquire);

        if (base != NULL)
            (void)munmap(
                base,
                REGION_BYTES); /* Nothing uses it any more; a failure only keeps address space. */
        atomic_store_explicit(&gv_slot_regions[class].base, NULL, memory_order_relaxed);
        atomic_store_explicit(&gv_slot_regions[class].n_carved, 0, memory_order_relaxed);
        for (unsigned home = 0; home < GV_LOOPS_MAX; home++)
            depots[home][class].head = NULL;
    }
}
