/*
 * Place: where a new task lives, and its way there.
 *
 * A task gets its slot, and so its ref, on the loop of its spawner; if its
 * home is another loop, it is sent there by its first message, INIT. From
 * then on only its home touches it. One that stays with its spawner needs
 * no message.
 */
#ifndef GV_PLACE_H
#define GV_PLACE_H

#include <grove/actor.h>
#include <grove/error.h>
#include <grove/ref.h>

#include "runtime/hint.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"

#define GV_REF_KIND_SHIFT 8u

/* The ref of a task of this process. */
static inline grove_ref gv_task_ref(const struct gv_task *task)
{
    return (grove_ref){
        .node_kind = gv_runtime.incarnation << (64 - GV_INCARNATION_BITS)
                     | (uint64_t)task->class->kind << GV_REF_KIND_SHIFT,
        .slot_generation = gv_task_id(task),
    };
}

/* The number of the loop that a place other than GROVE_HERE names. Returns 0 or GROVE_EUSAGE. */
int gv_place_home(int place, unsigned *home);

/* Counts a task whose home was chosen. Before it is alive: its home may look at it from then on. */
void gv_place_chosen(struct gv_task *task);

/* Where GROVE_HERE is: with the running task, and that is at its home, also while it is lent. */
static inline unsigned gv_place_near(const struct gv_loop *loop)
{
    const struct gv_turn *turn = loop->turn;

    return turn != NULL && turn->task != NULL ? turn->task->loop : loop->index;
}

/*
 * Takes a slot of `bytes` for a task at `place` (see grove/actor.h). The task
 * is alive but nobody knows it yet: fill it, then start or undo. Returns 0,
 * GROVE_ENOMEM, GROVE_ESTOPPING, GROVE_EUSAGE (no such loop), GROVE_ETOOBIG.
 */
static GV_INLINE int gv_place_task(struct gv_loop *loop, int place,
                                   const struct gv_task_class *class, size_t bytes,
                                   struct gv_task **result)
{
    struct gv_task *task;
    unsigned home;
    int rc;

    if (gv_unlikely(place != GROVE_HERE)) {
        rc = gv_place_home(place, &home);
        if (rc != 0)
            return rc;
    } else {
        home = gv_place_near(loop);
    }
    if (gv_unlikely(bytes > GV_SLOT_BYTES_MAX))
        return GROVE_ETOOBIG;
    /* relaxed: a late one is stopped like the rest */
    if (gv_unlikely(atomic_load_explicit(&gv_runtime.closing, memory_order_relaxed)))
        return GROVE_ESTOPPING;
    task = gv_slot_take(&loop->slots, home, bytes);
    if (gv_unlikely(task == NULL))
        return GROVE_ENOMEM;
    task->class = class;
    if (gv_unlikely(place == GROVE_ANYWHERE))
        gv_place_chosen(task);
    gv_slot_live(task);
    *result = task;
    return 0;
}

/* Sends it its INIT: the class's signal function gets it on its home loop. ref may be NULL. Owns init. */
void gv_place_start(struct gv_loop *loop, struct gv_task *task, struct gv_message *init,
                    grove_ref *ref);

/* The same for a task whose home is this loop, but without an INIT: it has arrived, and its spawner starts it. */
static inline void gv_place_here(struct gv_loop *loop, struct gv_task *task, grove_ref *ref)
{
    if (ref != NULL)
        *ref = gv_task_ref(task);
    gv_loop_count(loop, 1);
    gv_probe(&loop->probes, SPAWN, gv_task_id(task), task->loop);
    task->arrived = 1;
}

/* Gives an unstarted task's slot back. */
void gv_place_undo(struct gv_loop *loop, struct gv_task *task);

/* enum grove_ref_kind of a ref. */
static inline unsigned gv_ref_kind(grove_ref ref)
{
    return ref.node_kind >> GV_REF_KIND_SHIFT & 0xff;
}

/* True if this process has made it. */
static inline bool gv_ref_is_ours(grove_ref ref)
{
    return ref.node_kind >> (64 - GV_INCARNATION_BITS) == gv_runtime.incarnation;
}

/* The id of a task of this process that ref names, 0 if it is of another process or of nothing that has a task. */
static inline uint64_t gv_ref_id(grove_ref ref)
{
    return gv_ref_is_ours(ref) ? ref.slot_generation : 0;
}

/* Hands a message to a task that may live anywhere: at once if here, else posted. Signals only. Owns message. */
void gv_signal_send(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

#endif
