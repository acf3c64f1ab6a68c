/*
 * Slot: memory of tasks, found by number.
 *
 * One region of address space per size class (128 to 4096 bytes), reserved
 * once and never unmapped, so that a stale ref can be looked up without a
 * lock and without a fault. A slot's number holds its class and index:
 *
 *     slot 28 = class 3 | index 25        id = slot 28 | generation 36
 *
 * The generation grows by one at birth and at death: odd means alive. A slot
 * whose generation would wrap is retired. Slots are carved in chunks for one
 * home loop; a freed slot stays with its home. A loop may carve for another
 * one: that is how a far spawn knows its ref without waiting. What a home
 * has too many of lies in a depot, from where such spawners take again.
 *
 * Always: gv_slot_task returns memory that may be read; only an id that
 * matches names a living task.
 */
#ifndef GV_SLOT_H
#define GV_SLOT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runtime/assert.h"
#include "runtime/block.h"
#include "runtime/hint.h"
#include "runtime/task.h"

#define GV_SLOT_CLASSES    6u
#define GV_SLOT_BYTES_MIN  128u
#define GV_SLOT_BYTES_MAX  4096u
#define GV_SLOT_MAGAZINE   64u /* slots that go to a depot, or come from it, together */
#define GV_SLOT_SHIFT      36u
#define GV_SLOT_INDEX_BITS 25u
#define GV_SLOT_INDEX_MAX  (1u << GV_SLOT_INDEX_BITS)
#define GV_SLOT_GENERATION ((UINT64_C(1) << GV_SLOT_SHIFT) - 1)

/* Free slots, linked by run_next to NULL. */
struct gv_slot_list {
    struct gv_task *first;
    uint32_t n;
};

/* One loop's free slots: its own, and such as it may give to tasks of other homes. */
struct gv_slots {
    struct gv_slot_list stock[GV_LOOPS_MAX][GV_SLOT_CLASSES];
    struct gv_slot_list spare[GV_SLOT_CLASSES]; /* of this home: a full magazine, or nothing */
    struct {
        char *next, *end; /* fresh rest of a chunk */
    } fresh[GV_LOOPS_MAX][GV_SLOT_CLASSES];
    unsigned loop;
};

void gv_slots_init(struct gv_slots *slots, unsigned loop);

/* One size class's address space. Eight, so that every id's class has one; the last two stay empty. */
struct gv_slot_region {
    _Atomic(char *) base;
    _Atomic uint32_t n_carved; /* slots cut so far, a multiple of a chunk */
    uint32_t slot_bytes;
};

extern struct gv_slot_region gv_slot_regions[8];

/* The memory of the slot that id names, NULL if there never was one. Any thread. */
static inline struct gv_task *gv_slot_task(uint64_t id)
{
    struct gv_slot_region *region = &gv_slot_regions[id >> (GV_SLOT_SHIFT + GV_SLOT_INDEX_BITS)];
    uint64_t index = id >> GV_SLOT_SHIFT & (GV_SLOT_INDEX_MAX - 1);

    /* relaxed: a slot that has been cut stays, and refs to it travel by synchronised ways. */
    if (index >= atomic_load_explicit(&region->n_carved, memory_order_relaxed))
        return NULL;
    /* acquire: pairs with the exchange in slot.c, so that the mapping is there. */
    return (struct gv_task *)(atomic_load_explicit(&region->base, memory_order_acquire)
                              + index * region->slot_bytes);
}

/* The living task that id names, NULL if it is dead or never was. On its home loop it stays true. */
static inline struct gv_task *gv_slot_find(uint64_t id)
{
    struct gv_task *task = gv_slot_task(id);

    return gv_likely(task != NULL) && gv_likely(gv_task_id(task) == id) && gv_likely(id & 1) ? task
                                                                                             : NULL;
}

/* The rare ways of take and give below, and the size class of so many bytes. */
struct gv_task *gv_slot_take_slowly(struct gv_slots *slots, unsigned home, size_t bytes);
void gv_slot_give_slowly(struct gv_slots *slots, struct gv_task *task);
unsigned gv_slot_class(size_t bytes);

/*
 * Zeroes a slot for its next life, but for what others may read at any
 * time: its id, and the loop that it will always belong to.
 */
static inline void gv_slot_clear(struct gv_task *task, size_t bytes)
{
    gv_mailbox_init(&task->mailbox);
    task->run_next = NULL;
    task->class = NULL;
    task->turn = NULL;
    task->flags = 0;
    task->marks = 0;
    task->bounds = (struct gv_bounds){0};
    if (bytes <= GV_SLOT_BYTES_MIN)
        memset(task + 1, 0, GV_SLOT_BYTES_MIN - sizeof *task); /* a few stores, and no call */
    else
        memset(task + 1, 0, bytes - sizeof *task);
}

/*
 * A dead task of at least `bytes` (head included) whose home is `home`, all
 * zeros but loop, size class and id. bytes <= GV_SLOT_BYTES_MAX. Returns
 * NULL when the region or memory is exhausted. Give it life with
 * gv_slot_live.
 */
static inline struct gv_task *gv_slot_take(struct gv_slots *slots, unsigned home, size_t bytes)
{
    unsigned class = bytes <= GV_SLOT_BYTES_MIN ? 0 : gv_slot_class(bytes);
    struct gv_slot_list *stock = &slots->stock[home][class];
    struct gv_task *task = stock->first;

    if (gv_unlikely(stock->n == 0))
        return gv_slot_take_slowly(slots, home, bytes);
    stock->first = task->run_next;
    stock->n--;
    __builtin_prefetch(stock->first, 1); /* It may have lain in no cache for long. */
    gv_slot_clear(task, bytes);
    return task;
}

/* Makes a taken task alive (its generation turns odd). */
static inline void gv_slot_live(struct gv_task *task)
{
    uint64_t id = gv_task_id(task);

    gv_assert((id & 1) == 0);
    /* release: pairs with the acquire in gv_slots_each, so that a task it meets has its loop. */
    atomic_store_explicit(&task->id, id + 1, memory_order_release);
}

/* Ends the life of a task and gives its slot back: on its home loop, or where it was taken if it was never started. */
static inline void gv_slot_give(struct gv_slots *slots, struct gv_task *task)
{
    struct gv_slot_list *stock = &slots->stock[task->loop][task->size_class];
    uint64_t id = gv_task_id(task);

    gv_assert(id & 1);
    if (gv_unlikely(stock->n >= GV_SLOT_MAGAZINE - 1)
        || gv_unlikely((id & GV_SLOT_GENERATION) == GV_SLOT_GENERATION)) {
        gv_slot_give_slowly(slots, task);
        return;
    }
    atomic_store_explicit(&task->id, id + 1, memory_order_relaxed);
    task->run_next = stock->first;
    stock->first = task;
    stock->n++;
}

/* Ends the life of a task, whose slot is given back later, with give_dead, on its home. */
void gv_slot_kill(struct gv_task *task);
void gv_slot_give_dead(struct gv_slots *slots, struct gv_task *task);

/* Calls each(loop, task) for every living task of a home loop that has arrived there; each may end it. On that loop. */
void gv_slots_each(struct gv_loop *loop, unsigned home,
                   void (*each)(struct gv_loop *, struct gv_task *));

/* Unmaps all regions; no loop may run. */
void gv_slots_close(void);

#endif
