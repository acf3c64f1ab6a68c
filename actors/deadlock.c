#include "actors/deadlock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/edge.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define NODES_MAX  65536u /* waits looked at in one local walk */
#define NODES_HERE 64u    /* of them without memory of the heap */

/* --- following waits -------------------------------------------------------------------------- */

/* The turns that a wait's i-th target, a task of this loop, must end before it wakes. */
static unsigned blockers_of(struct gv_loop *loop, const struct gv_wait *wait, unsigned i,
                            struct gv_task *task, struct gv_blockers *blockers)
{
    const struct gv_edge edge = gv_wait_edge(wait, i);

    blockers->unknown = false;
    if (!gv_wait_is_inline(wait))
        return gv_beside_blockers(loop, task, &edge, blockers->turns, &blockers->unknown);
    blockers->turns[0] = wait->above;
    return 1;
}

/* --- one loop --------------------------------------------------------------------------------- */

struct node {
    struct gv_wait *wait; /* of whom */
    uint32_t parent;
};

struct walk {
    struct node *nodes; /* here, or on the heap */
    uint32_t n, room;
    uint32_t last;   /* the node whose target is where the walk began */
    bool has_choice; /* it has met an `any` of several */
    bool is_full;
    uint64_t mark; /* of this walk: a wait that bears it has been met */
    struct gv_blockers blockers;
    struct node here[NODES_HERE];
};

static void describe_node(const struct walk *walk, uint32_t i, char *text, size_t room)
{
    const struct gv_task *task = walk->nodes[i].wait->turn->task;

    if (task != NULL)
        task->class->describe(task, text, room);
    else
        (void)snprintf(text, room, "main"); /* It fits. */
}

/* Writes "me -> … -> last -> me"; of long circles the beginning. */
static void name_cycle(const struct walk *walk, char *text, size_t room)
{
    uint32_t depth = 0;
    size_t used = 0;
    char name[64];

    for (uint32_t i = walk->last; i != 0; i = walk->nodes[i].parent)
        depth++;
    for (uint32_t k = 0; k <= depth && used + 1 < room; k++) {
        uint32_t i = walk->last;

        for (uint32_t up = depth - k; up > 0; up--)
            i = walk->nodes[i].parent;
        describe_node(walk, i, name, sizeof name);
        used += (size_t)snprintf(text + used, room - used, "%s%s", used > 0 ? " -> " : "", name);
    }
    describe_node(walk, 0, name, sizeof name);
    if (used + 1 < room)
        (void)snprintf(text + used, room - used, " -> %s",
                       name); /* A cut circle is still named at its begin. */
}

static void add(struct walk *walk, struct gv_wait *wait, uint32_t parent)
{
    if (walk->n == walk->room) {
        bool is_here = walk->nodes == walk->here;
        struct node *nodes =
            walk->room < NODES_MAX
                ? realloc(is_here ? NULL : walk->nodes, 2 * (size_t)walk->room * sizeof *nodes)
                : NULL;

        if (nodes == NULL) {
            walk->is_full = true;
            return;
        }
        if (is_here)
            memcpy(nodes, walk->here, sizeof walk->here);
        walk->nodes = nodes;
        walk->room *= 2;
    }
    wait->searched = walk->mark;
    walk->nodes[walk->n++] = (struct node){wait, parent};
}

/* Adds what node `at` waits for; true when that is where the walk began. */
static bool follow(struct gv_loop *loop, struct walk *walk, uint32_t at, struct gv_cycle *cycle)
{
    const struct gv_wait *wait = walk->nodes[at].wait;
    const struct gv_turn *origin = walk->nodes[0].wait->turn;
    unsigned n = gv_wait_targets(wait);

    for (unsigned i = 0; i < n && !walk->is_full; i++) {
        uint64_t id = gv_wait_target(wait, i);
        struct gv_task *task = id != 0 ? gv_slot_find(id) : NULL;
        unsigned n_turns;

        if (task == NULL)
            continue;
        /* By id: who began the walk may be a guest. */
        if (id == gv_task_id(origin->task) && !(origin->task->flags & GV_TASK_RECEIVING)) {
            walk->last = at;
            return true;
        }
        if (gv_task_is_elsewhere(loop, task)) {
            cycle->far = true;
            continue;
        }
        n_turns = blockers_of(loop, wait, i, task, &walk->blockers);
        cycle->far |= walk->blockers.unknown;
        for (unsigned k = 0; k < n_turns; k++) {
            struct gv_wait *next = gv_wait_of(walk->blockers.turns[k]);

            if (walk->blockers.turns[k] == origin) {
                walk->last = at;
                return true;
            }
            if (next != NULL && next->searched != walk->mark)
                add(walk, next, at);
        }
    }
    return false;
}

/* Follows what must come; of an `any` notes only that there is one: then a walk is not enough. */
static bool walk_closes(struct gv_loop *loop, struct walk *walk, struct gv_cycle *cycle)
{
    for (uint32_t i = 0; i < walk->n; i++) {
        if (gv_wait_is_choice(walk->nodes[i].wait))
            walk->has_choice = true;
        else if (follow(loop, walk, i, cycle))
            return true;
    }
    return false;
}

static bool closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle)
{
    struct walk walk = {.n = 1, .room = NODES_HERE};
    bool found;

    walk.nodes = walk.here;
    walk.here[0] = (struct node){wait, 0};
    walk.mark = gv_search_mark(wait->turn->task, gv_loop_next_wait(loop));
    wait->searched = walk.mark;
    found = walk_closes(loop, &walk, cycle);
    if (!found && walk.has_choice)
        found = gv_deadlock_knot_closes(loop, wait, cycle);
    else if (found)
        name_cycle(&walk, cycle->text, sizeof cycle->text);
    if (walk.nodes != walk.here)
        free(walk.nodes);
    return found;
}

/*
 * Numbers the waits that send probes, over all loops. A clock would not do:
 * who takes the later number is certain to have closed the circle, and its
 * request cannot have been begun by somebody who waited already.
 */
static uint64_t next_order(void)
{
    static _Atomic uint64_t last;

    /* relaxed: messages between the loops order what must be ordered; for the rest any order will do. */
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

bool gv_deadlock_closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle)
{
    cycle->wait = NULL;
    cycle->far = false;
    cycle->text[0] = '\0';
    if (wait->turn->task == NULL)
        return false; /* Nobody can call main. */
    if (closes(loop, wait, cycle))
        return true;
    if (cycle->far)
        cycle->order = next_order(); /* before the request leaves */
    return false;
}
