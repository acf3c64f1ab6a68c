/*
 * Kin: who spawned whom, and ends with him.
 *
 * What a handler spawns is its actor's child. When an incarnation of an
 * actor is over its children end before its deinit runs: the newest first,
 * one after the other, each with its own children before it:
 *
 *     up ──stops, fails, rests──▶ lingers ──the last child has ended──▶ deinit ──▶ end, or down
 *                                   │ ▲
 *                    stop the newest▼ │has ended
 *                                  child
 *
 * One that lingers is GV_TASK_BUSY and GV_TASK_NOW, and has no turn. A
 * child that ends by itself is only forgotten.
 *
 * The tree lies in a table beside the slots, 16 bytes for each, so that an
 * actor's slot is not larger for it, and needs no memory:
 *
 *     of a slot: parent, next (older), before (newer)   written by the parent's home;
 *                                       nobody's child: in `next` its number (roll.h)
 *                first (its newest child), how it lingers   written by its own home
 *
 * A child whose parent lives elsewhere therefore keeps its slot, dead, until
 * its parent's home has taken it out of the list: a message in the dead slot
 * goes there and comes back. A child that is spawned while its parent is
 * lent is sent home first (GV_SIGNAL_ADOPT), and from there to its own.
 *
 * Always: a parent is alive as long as it has children. Who is alive finds
 * all its ancestors alive, on whatever loop they are.
 */
#ifndef GV_KIN_H
#define GV_KIN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "actors/actor.h"
#include "runtime/go.h"
#include "runtime/slot.h"

#define GV_KIN_FAILED_MS 5000u /* that children may take when their parent has failed */

/* Numbers of slots, plus 1; 0: none. */
struct gv_kin {
    _Atomic uint32_t parent;
    uint32_t next, before;
    uint32_t first; /* and above GV_KIN_NUMBER, while it lingers: GV_KIN_LINGERS and a mode */
};

static_assert(sizeof(struct gv_kin) == 16, "four to a cache line");

#define GV_KIN_NUMBER     ((UINT32_C(1) << 29) - 1)
#define GV_KIN_FAR        (UINT32_C(1) << 29) /* of `parent`: its home is not the child's */
#define GV_KIN_LINGERS    (UINT32_C(1) << 31)
#define GV_KIN_MODE_SHIFT 29u
#define GV_KIN_MODE       (UINT32_C(3) << GV_KIN_MODE_SHIFT)

/* One for each slot that can be; by number plus 1. */
extern struct gv_kin *gv_kin_table;

/* Takes address space for the table. Returns 0 or GROVE_ENOMEM. */
int gv_kin_open(void);
void gv_kin_close(void);

static inline struct gv_kin *gv_kin_of(const struct gv_task *task)
{
    return &gv_kin_table[(gv_task_id(task) >> GV_SLOT_SHIFT) + 1];
}

/* The actor, or the guest of one, whose running turn is a parent of what it spawns; NULL: nobody is. */
static inline struct gv_task *gv_kin_spawner(const struct gv_loop *loop)
{
    struct gv_task *task = loop->turn != NULL ? loop->turn->task : NULL;

    return task != NULL && (task->class == &gv_actor_class || task->class == gv_actor_class.guest)
               ? task
               : NULL;
}

/* Makes a new task the newest child of an actor of this loop; far: 0, or GV_KIN_FAR if its own home is another one. */
static GV_INLINE void gv_kin_link(struct gv_task *parent, struct gv_task *child, uint32_t far)
{
    struct gv_kin *table = gv_kin_table;
    uint32_t parents = (uint32_t)(gv_task_id(parent) >> GV_SLOT_SHIFT) + 1;
    uint32_t childs = (uint32_t)(gv_task_id(child) >> GV_SLOT_SHIFT) + 1;
    struct gv_kin *above = &table[parents], *kin = &table[childs];
    uint32_t next = above->first & GV_KIN_NUMBER;

    child->child = 1;
    parent->parent = 1;
    /* relaxed: who looks from elsewhere has had a message since. */
    atomic_store_explicit(&kin->parent, parents | far, memory_order_relaxed);
    kin->next = next;
    kin->before = 0;
    if (next != 0)
        table[next].before = childs;
    above->first += childs - next;
}

/* Numbers one that is nobody's child, in the place of its links: for the roll at the end, see roll.h. */
static GV_INLINE void gv_kin_number(struct gv_loop *loop, const struct gv_task *task)
{
    gv_kin_of(task)->next = ++loop->n_spawned;
}

/* The slot of a number plus 1. */
static inline struct gv_task *gv_kin_task(uint32_t number)
{
    return gv_slot_task((uint64_t)((number & GV_KIN_NUMBER) - 1) << GV_SLOT_SHIFT);
}

/* Its parent, NULL: it has none. Any loop, while it is alive. */
static inline struct gv_task *gv_kin_parent(const struct gv_task *task)
{
    /* relaxed: see gv_kin_link. */
    uint32_t parent = atomic_load_explicit(&gv_kin_of(task)->parent, memory_order_relaxed);

    return parent != 0 ? gv_kin_task(parent) : NULL;
}

/* True if this task's incarnation is over, and its children have not ended yet. On its home. */
static inline bool gv_kin_lingers(const struct gv_task *task)
{
    return task->parent && gv_kin_of(task)->first & GV_KIN_LINGERS;
}

/* True if children of it live. On its home. */
static inline bool gv_kin_has_children(const struct gv_task *task)
{
    return task->parent && gv_kin_of(task)->first & GV_KIN_NUMBER;
}

/* True if the living task with this id descends from ancestor. Any loop. */
bool gv_kin_descends(uint64_t id, const struct gv_task *ancestor) GV_RARE;

/* A new child, not started, whose parent is lent to this loop: it goes home with its INIT. Owns init. */
void gv_kin_send_home(struct gv_loop *loop, const struct gv_task *guest, struct gv_task *child,
                      struct gv_message *init, grove_ref *ref) GV_RARE;

/* One of the three signals came; task is whom it names, NULL: that is dead. Owns message. */
void gv_kin_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* The incarnation of an idle actor with task->parent is over. True: it has children, and goes on when they have ended. */
bool gv_kin_linger(struct gv_loop *loop, struct gv_actor *actor);

/* One with task->parent is told to stop in this mode: if it lingers its children are told too. */
void gv_kin_told(struct gv_loop *loop, struct gv_actor *actor, enum grove_stop_mode mode);

/* The stop deadline of one that lingers has come, as it has for its children. */
void gv_kin_abandon(struct gv_loop *loop, struct gv_actor *actor) GV_RARE;

/* Takes a child out of the list of its parent, which lives here. */
static GV_INLINE void gv_kin_unlink(struct gv_kin *kin, struct gv_kin *above)
{
    if (kin->before != 0)
        gv_kin_table[kin->before].next = kin->next;
    else
        above->first = (above->first & ~GV_KIN_NUMBER) | kin->next;
    if (kin->next != 0)
        gv_kin_table[kin->next].before = kin->before;
    atomic_store_explicit(&kin->parent, 0, memory_order_relaxed); /* as in gv_kin_link */
}

/* The parent that this is of lives here, lingers, and has a child less: it goes on. */
void gv_kin_goes_on(struct gv_loop *loop, const struct gv_kin *above) GV_RARE;

/* The end of a child whose parent lives elsewhere. */
void gv_kin_leave_far(struct gv_loop *loop, struct gv_task *task, uint32_t parent) GV_RARE;

/* The end of an actor, in the stead of gv_task_leave: its parent, if it has one, forgets it. On its home. */
static GV_INLINE void gv_kin_leave(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_kin *above = gv_kin_table; /* Nobody's: number 0. */

    if (task->child) {
        struct gv_kin *kin = gv_kin_of(task);
        /* relaxed: see gv_kin_link. */
        uint32_t parent = atomic_load_explicit(&kin->parent, memory_order_relaxed);

        gv_assert(kin->first == 0);
        if (gv_unlikely(parent & GV_KIN_FAR)) {
            gv_kin_leave_far(loop, task, parent);
            return;
        }
        above = &gv_kin_table[parent];
        gv_kin_unlink(kin, above);
    }
    gv_task_leave(loop, task);
    if (gv_unlikely(above->first & GV_KIN_LINGERS))
        gv_kin_goes_on(loop, above);
}

#endif
