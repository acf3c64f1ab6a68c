/*
 * Edge: what a parked turn waits for, as both searches for circles read it:
 * deadlock.c on one loop, chase.c over loops.
 */
#ifndef GV_EDGE_H
#define GV_EDGE_H

#include "actors/beside.h"
#include "actors/service.h"
#include "runtime/lend.h"
#include "runtime/loop.h"

/* What a turn waits for; nothing, if that has come and it only has not run since. */
static inline struct gv_wait *gv_wait_of(const struct gv_turn *turn)
{
    return turn->wait != NULL && !turn->wait->woken ? turn->wait : NULL;
}

/* A task whose wait another loop knows: one that lives there, or that it has borrowed. */
static inline bool gv_task_is_elsewhere(const struct gv_loop *loop, const struct gv_task *task)
{
    return task->loop != loop->index || gv_task_is_out(task);
}

/* It waits for the turn above it on the same stack, and not for whom that has delegated the call to. */
static inline bool gv_wait_is_inline(const struct gv_wait *wait)
{
    return wait->above != NULL && gv_task_id(wait->above->task) == wait->target;
}

/* One of several may come: then it is no edge, unless all of them are. */
static inline bool gv_wait_is_choice(const struct gv_wait *wait)
{
    return wait->kind == GV_WAIT_ANY && wait->n_futures > 1;
}

/* How many targets a wait has. */
static inline unsigned gv_wait_targets(const struct gv_wait *wait)
{
    switch ((enum gv_wait_kind)wait->kind) {
    case GV_WAIT_CALL:
    case GV_WAIT_ROOM:
    case GV_WAIT_STOP:
    case GV_WAIT_SPAWN:
    case GV_WAIT_BESIDE:
        return 1;
    case GV_WAIT_ALL:
    case GV_WAIT_ANY:
        return wait->n_futures;
    case GV_WAIT_SLEEP:
    case GV_WAIT_YIELD:
    case GV_WAIT_MAIL:
    case GV_WAIT_IO:
    case GV_WAIT_THREAD:
    case GV_WAIT_ITEM: /* Workers wait for no actor. */
    case GV_WAIT_OUT:
        break;
    }
    return 0;
}

static inline bool gv_wait_is_of_futures(const struct gv_wait *wait)
{
    return wait->kind == GV_WAIT_ALL || wait->kind == GV_WAIT_ANY;
}

/* The i-th target of a wait, 0 if that one has come. */
static inline uint64_t gv_wait_target(const struct gv_wait *wait, unsigned i)
{
    if (!gv_wait_is_of_futures(wait))
        return wait->target;
    return wait->futures[i]->done ? 0 : wait->futures[i]->target;
}

static inline struct gv_edge gv_wait_edge(const struct gv_wait *wait, unsigned i)
{
    if (gv_wait_is_of_futures(wait))
        return (struct gv_edge){wait, wait->futures[i]->call, wait->futures[i]->method,
                                GV_WAIT_CALL};
    return (struct gv_edge){wait, wait->call, gv_methods[wait->method].method, wait->kind};
}

/*
 * What a search leaves in the waits it meets. serial is of the loop of the
 * task where it began, and used once. Without marks, `all` waits that meet
 * again and again would double a search at every step.
 */
static inline uint64_t gv_search_mark(const struct gv_task *origin, uint64_t serial)
{
    return (gv_task_id(origin) ^ serial << 8) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

#endif
