/*
 * Deadlock: calls that would wait for each other in a circle.
 *
 * An actor whose handler is parked takes no mail, so a circle of calls would
 * stand until its deadlines. It is found instead, by following waits: the
 * call of one target, room in a mailbox, the end of a task, every arm of an
 * `all`, and an `any` of which each arm leads back: while one of them may
 * still come it is no edge.
 *
 * On one loop the walk happens before the call that would close the circle
 * is sent; that call fails at once. Over loops a search follows the waits
 * from loop to loop, first after 1 ms, then at doubling distance up to 1 s.
 * It takes what it has met along (knot.h), and where that is proof it goes
 * round once more. Both laps must prove the very same, each wait known by its
 * number; since no number is used twice, all of them stood at the moment the
 * first lap ended. Of the waits in the circle that search the newest one
 * fails: it is the one that closed the circle, and its request was never
 * begun.
 *
 * Bounds: a search over loops looks at 1024 waits, that need 2048 things
 * (knot.h), and is a message of less than 256 bytes while it has met one,
 * of 110 KiB at most. A wait has one search under way at a time, unless a
 * loop takes longer than the distance to the next. A circle beyond these
 * bounds ends at its deadlines.
 */
#ifndef GV_DEADLOCK_H
#define GV_DEADLOCK_H

#include <stdbool.h>

#include "runtime/loop.h"

/* Searches in the frame of a wait. */
struct gv_cycle {
    struct gv_timer timer; /* when the next probe leaves */
    struct gv_wait *wait;
    uint64_t order; /* later than all waits that caused it, on any loop */
    uint32_t delay_ms;
    bool far;                /* the waits lead to another loop: worth probing */
    char text[GV_WHY_BYTES]; /* "a -> b -> a", set when a circle was found */
};

/*
 * True if no circle can close when the turn waits for this one task: it
 * lives here and waits for nobody. The usual case, and no search.
 */
static inline bool gv_deadlock_is_free(const struct gv_loop *loop, const struct gv_turn *turn,
                                       const struct gv_task *task)
{
    if (task->loop != loop->index || task == turn->task)
        return false;
    return task->turn == NULL || task->turn->wait == NULL || task->turn->wait->woken;
}

/* True if parking in wait would close a circle on this loop; cycle->text names it. */
bool gv_deadlock_closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle);

/* In chase.c: the same where an `any` of several has been met. */
bool gv_deadlock_knot_closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle);

/* Around the park: sends probes while the wait lasts, if it leads to another loop. */
void gv_deadlock_watch(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle);
void gv_deadlock_unwatch(struct gv_loop *loop, struct gv_cycle *cycle);

/* Ends a wait of this loop that has become part of the circle that cycle names. */
void gv_deadlock_tell(struct gv_loop *loop, struct gv_wait *wait, const struct gv_cycle *cycle);

/* A search came from another loop. Owns message. */
void gv_deadlock_probe_came(struct gv_loop *loop, struct gv_message *message);

/* Frees what the searches of a loop have needed; with the loop. */
void gv_deadlock_close(const struct gv_loop *loop);

#endif
