#include "runtime/slot.h"

#include <string.h>
#include <sys/mman.h>

#include "runtime/assert.h"
#include "runtime/switch.h"

#define CHUNK_SLOTS 64u
#define INDEX_BITS  25u
#define INDEX_MAX   (1u << INDEX_BITS)

static const uint32_t class_bytes[GV_SLOT_CLASSES] = {128, 192, 256, 512, 1024, 4096};

/* Address space of one class; instrumented runs have less of it to give. */
#if defined(GV_ASAN) || defined(GV_TSAN)
#    define REGION_BYTES ((size_t)512 << 20)
#else
#    define REGION_BYTES ((size_t)8 << 30)
#endif

static struct {
    _Atomic(char *) base;
    _Atomic uint32_t n_carved; /* slots cut so far, a multiple of CHUNK_SLOTS */
} regions[GV_SLOT_CLASSES];

static uint32_t region_slots(unsigned class)
{
    size_t n = REGION_BYTES / class_bytes[class];

    return n < INDEX_MAX ? (uint32_t)n : INDEX_MAX;
}

/* The region's first byte; maps it on first use. Two loops may race here: the loser unmaps its own. */
static char *region(unsigned class)
{
    /* acquire: pairs with the exchange below, so that the mapping is there. */
    char *base = atomic_load_explicit(&regions[class].base, memory_order_acquire);
    char *mine, *none = NULL;

    if (base != NULL)
        return base;
    mine = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mine == MAP_FAILED)
        return NULL;
    /* acq_rel: publishes our mapping, or sees the winner's. */
    if (atomic_compare_exchange_strong_explicit(&regions[class].base, &none, mine,
                                                memory_order_acq_rel, memory_order_acquire))
        return mine;
    (void)munmap(mine, REGION_BYTES); /* Ours and unused: nothing is lost if it stays. */
    return none;
}

static unsigned class_of(size_t bytes)
{
    unsigned class = 0;

    while (class_bytes[class] < bytes)
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
    first = atomic_fetch_add_explicit(&regions[class].n_carved, CHUNK_SLOTS, memory_order_relaxed);
    if (first + CHUNK_SLOTS > region_slots(class)) {
        atomic_fetch_sub_explicit(&regions[class].n_carved, CHUNK_SLOTS, memory_order_relaxed);
        return -1;
    }
    for (uint32_t i = first; i < first + CHUNK_SLOTS; i++) {
        struct gv_task *task = (struct gv_task *)(base + (size_t)i * class_bytes[class]);
        uint64_t slot = (uint64_t) class << INDEX_BITS | i;

        task->loop = (uint8_t)home;
        task->size_class = (uint8_t) class;
        atomic_store_explicit(&task->id, slot << GV_SLOT_SHIFT, memory_order_relaxed);
    }
    slots->fresh[home][class].next = base + (size_t)first * class_bytes[class];
    slots->fresh[home][class].end =
        slots->fresh[home][class].next + (size_t)CHUNK_SLOTS * class_bytes[class];
    return 0;
}

/*
 * Zeroes a slot for its next life, but for what others may read at any
 * time: its id, and the loop that it will always belong to.
 */
static void clear(struct gv_task *task, size_t bytes)
{
    gv_mailbox_init(&task->mailbox);
    task->run_next = NULL;
    task->class = NULL;
    task->turn = NULL;
    task->flags = 0;
    task->depth_max = 0;
    task->bytes_max_64k = 0;
    memset(task + 1, 0, bytes - sizeof *task);
}

struct gv_task *gv_slot_take(struct gv_slots *slots, unsigned home, size_t bytes)
{
    unsigned class = class_of(bytes);
    struct gv_task *task = home == slots->loop ? slots->free[class] : NULL;

    gv_assert(bytes <= GV_SLOT_BYTES_MAX);
    if (task != NULL) {
        slots->free[class] = task->run_next;
        clear(task, bytes);
        return task;
    }
    if (slots->fresh[home][class].next == slots->fresh[home][class].end
        && carve(slots, home, class) != 0)
        return NULL;
    task = (struct gv_task *)slots->fresh[home][class].next;
    slots->fresh[home][class].next += class_bytes[class];
    return task;
}

void gv_slot_live(struct gv_task *task)
{
    uint64_t id = gv_task_id(task);

    gv_assert((id & 1) == 0);
    atomic_store_explicit(&task->id, id + 1, memory_order_relaxed);
}

void gv_slot_give(struct gv_slots *slots, struct gv_task *task)
{
    uint64_t id = gv_task_id(task);

    gv_assert(task->loop == slots->loop);
    gv_assert(id & 1);
    /* The last generation stays odd but can match no ref any more: the slot is retired. */
    if ((id & GV_SLOT_GENERATION) == GV_SLOT_GENERATION) {
        atomic_store_explicit(&task->id, id & ~GV_SLOT_GENERATION, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&task->id, id + 1, memory_order_relaxed);
    task->run_next = slots->free[task->size_class];
    slots->free[task->size_class] = task;
}

struct gv_task *gv_slot_task(uint64_t id)
{
    uint64_t slot = id >> GV_SLOT_SHIFT;
    uint32_t index = (uint32_t)slot & (INDEX_MAX - 1);
    unsigned class = (unsigned)(slot >> INDEX_BITS);
    char *base;

    if (class >= GV_SLOT_CLASSES)
        return NULL;
    base = atomic_load_explicit(&regions[class].base, memory_order_acquire);
    if (base == NULL
        || index >= atomic_load_explicit(&regions[class].n_carved, memory_order_relaxed))
        return NULL;
    return (struct gv_task *)(base + (size_t)index * class_bytes[class]);
}

void gv_slots_each(struct gv_loop *loop, unsigned home,
                   void (*each)(struct gv_loop *, struct gv_task *))
{
    for (unsigned class = 0; class < GV_SLOT_CLASSES; class ++) {
        char *base = atomic_load_explicit(&regions[class].base, memory_order_acquire);
        uint32_t n = atomic_load_explicit(&regions[class].n_carved, memory_order_relaxed);

        for (uint32_t i = 0; base != NULL && i < n; i++) {
            struct gv_task *task = (struct gv_task *)(base + (size_t)i * class_bytes[class]);

            if (task->loop == home && (gv_task_id(task) & 1))
                each(loop, task);
        }
    }
}

void gv_slots_close(void)
{
    for (unsigned class = 0; class < GV_SLOT_CLASSES; class ++) {
        char *base = atomic_load_explicit(&regions[class].base, memory_order_acquire);

        if (base != NULL)
            (void)munmap(
                base,
                REGION_BYTES); /* Nothing uses it any more; a failure only keeps address space. */
        atomic_store_explicit(&regions[class].base, NULL, memory_order_relaxed);
        atomic_store_explicit(&regions[class].n_carved, 0, memory_order_relaxed);
    }
}
