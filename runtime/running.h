/*
 * Running: which turn a loop runs, seen from another thread.
 *
 * What changes with a turn is written anyway: which one runs, how many have
 * ended, how many waits and rounds there were. If all of it is the same at
 * two moments, it is the same turn, without a pause between.
 *
 * What another thread's turn and task hold is copied through a function that
 * fails where a load would fault, and believed only if the turn is still the
 * same after.
 */
#ifndef GV_RUNNING_H
#define GV_RUNNING_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

struct gv_running {
    const struct gv_turn *turn;
    uint64_t n_turns, n_waits, n_rounds;
};

/* Who that is. */
struct gv_running_who {
    uint64_t id; /* of the task, also while it is lent; 0: main */
    char task[64];
    const struct grove_method *method; /* NULL: none */
    uint16_t index;                    /* of it, 0 if there is none */
    bool begins;                       /* its first turn */
};

/* At this moment. Any thread. */
struct gv_running gv_running_now(const struct gv_loop *loop);

static inline bool gv_running_same(const struct gv_running *a, const struct gv_running *b)
{
    return a->turn == b->turn && a->n_turns == b->n_turns && a->n_waits == b->n_waits
           && a->n_rounds == b->n_rounds;
}

/* Tells who runs, which is a turn. False if it has ended meanwhile, and so what was read may be another's. */
bool gv_running_who(const struct gv_loop *loop, const struct gv_running *running, gv_read_fn read,
                    struct gv_running_who *who);

#endif
