#include "runtime/place.h"

#include <stdio.h>

#include <grove/actor.h>
#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

/* Living tasks for which this home was chosen. A guess where other loops choose at this moment. */
static uint64_t n_chosen(const struct gv_loop *loop)
{
    /* relaxed: nothing depends on it. */
    return atomic_load_explicit(&loop->n_chosen, memory_order_relaxed)
           - gv_figure_read(&loop->n_chosen_ended);
}

/*
 * The loop with the fewest tasks for which it was chosen, so that those are
 * spread evenly. All others do not count: were it so, a thousand idle actors
 * at home would drive everything that is placed anywhere to the other loops.
 */
static unsigned choose(void)
{
    uint64_t fewest = UINT64_MAX;
    unsigned chosen = 0;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        uint64_t n = n_chosen(gv_runtime.loops[i]);

        if (n < fewest) {
            fewest = n;
            chosen = i;
        }
    }
    return chosen;
}

int gv_place_home(int place, unsigned *home)
{
    if (place != GROVE_ANYWHERE && (place < 1 || (unsigned)place > gv_runtime.n_loops))
        return gv_usage("place %d is none: say GROVE_HERE, GROVE_ANYWHERE, or GROVE_ON_LOOP(0) "
                        "to GROVE_ON_LOOP(%u)",
                        place, gv_runtime.n_loops - 1);
    *home = place == GROVE_ANYWHERE ? choose() : (unsigned)place - 1;
    return 0;
}

void gv_place_chosen(struct gv_task *task)
{
    task->anywhere = 1;
    /* relaxed: a guess at the load, as in n_chosen. */
    atomic_fetch_add_explicit(&gv_runtime.loops[task->loop]->n_chosen, 1, memory_order_relaxed);
}

void gv_place_undo(struct gv_loop *loop, struct gv_task *task)
{
    if (task->anywhere)
        /* relaxed: as above. */
        atomic_fetch_sub_explicit(&gv_runtime.loops[task->loop]->n_chosen, 1, memory_order_relaxed);
    gv_slot_give(&loop->slots, task);
}

void gv_place_start(struct gv_loop *loop, struct gv_task *task, struct gv_message *init,
                    grove_ref *ref)
{
    init->method = GV_SIGNAL_INIT;
    init->to = gv_task_id(task);
    if (task->loop == loop->index) {
        gv_place_here(loop, task, ref);
        task->class->signal(loop, task, init);
        return;
    }
    if (ref != NULL)
        *ref = gv_task_ref(task);
    /* relaxed: a figure for reports and placement. */
    atomic_fetch_add_explicit(&gv_runtime.loops[task->loop]->n_sent_in, 1, memory_order_relaxed);
    gv_probe(&loop->probes, SPAWN, init->to, task->loop);
    gv_loop_post(loop, task->loop, init);
}

void gv_signal_send(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (task->loop == loop->index)
        task->class->signal(loop, task, message);
    else
        gv_loop_post(loop, task->loop, message);
}

grove_ref grove_self(void)
{
    struct gv_loop *loop = gv_loop_here;

    return loop != NULL && loop->turn != NULL && loop->turn->task != NULL
               ? gv_task_ref(loop->turn->task)
               : GROVE_NOBODY;
}

const char *grove_ref_print(grove_ref ref, char text[GROVE_REF_TEXT_BYTES])
{
    static const char *const kinds[] = {"none", "actor", "service", "pool", "group", "linked"};
    unsigned kind = (ref.node_kind >> GV_REF_KIND_SHIFT) & 0xff;

    (void)snprintf(text, GROVE_REF_TEXT_BYTES, "%s/%llu.%llu", kind < 6 ? kinds[kind] : "unknown",
                   (unsigned long long)(ref.slot_generation >> GV_SLOT_SHIFT),
                   (unsigned long long)(ref.slot_generation
                                        & GV_SLOT_GENERATION)); /* Two numbers always fit. */
    return text;
}
