#include "actors/roll.h"

#include <stdlib.h>
#include <string.h>

#include <grove/actor.h>
#include <grove/error.h>

#include "actors/actor.h"
#include "actors/kin.h"
#include "actors/post.h"
#include "actors/supervisor.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

#define AGAIN_MS 8u /* all slots are looked at each time */

struct entry {
    uint64_t id;
    uint32_t number; /* of its spawn: the higher the newer */
    bool alone;      /* others can see when it ends */
};

/* Those of one loop: written there, and read by main when all have answered. */
struct part {
    struct entry *entries;
    uint32_t n, room;
};

static struct part parts[GV_LOOPS_MAX];

static struct {
    struct entry *entries; /* all, in order; NULL: it is not called */
    uint32_t n, n_told, n_gone;
    bool asked;       /* the loops */
    uint32_t next_ms; /* when it is called again, after one with nobody */
    _Atomic uint32_t n_answers;
} roll;

/* --- on each loop ----------------------------------------------------------------------------- */

static bool is_listed(const struct gv_task *task)
{
    return (task->class == &gv_actor_class || task->class == &gv_supervisor_class) && !task->child
           && !(task->flags & GV_TASK_STOPPING) && !gv_post_is_supervised(task);
}

static bool is_alone(const struct gv_task *task)
{
    return task->class != &gv_actor_class || task->turn != NULL || task->mailbox.head != NULL
           || task->parent || task->flags != 0 || ((const struct gv_actor *)task)->type->has_deinit;
}

static void count_one(struct gv_loop *loop, struct gv_task *task)
{
    parts[loop->index].room += is_listed(task);
}

static void list_one(struct gv_loop *loop, struct gv_task *task)
{
    struct part *part = &parts[loop->index];

    if (gv_task_is_greenlet(task) || (is_listed(task) && part->n == part->room))
        gv_roll_tell(loop, task); /* Nobody calls a greenlet; it is who calls. */
    else if (is_listed(task))
        part->entries[part->n++] = (struct entry){
            .id = gv_task_id(task), .number = gv_kin_of(task)->next, .alone = is_alone(task)};
}

static void list_here(void *unused)
{
    struct gv_loop *loop = gv_loop_here;
    struct part *part = &parts[loop->index];

    (void)unused;
    *part = (struct part){NULL, 0, 0};
    gv_slots_each(loop, loop->index, count_one);
    part->entries = malloc((part->room + 1) * sizeof *part->entries);
    if (part->entries == NULL)
        part->room = 0;
    gv_slots_each(loop, loop->index, list_one);
    /* release: pairs with the acquire in all_answered. */
    atomic_fetch_add_explicit(&roll.n_answers, 1, memory_order_release);
}

/* --- main ------------------------------------------------------------------------------------- */

static bool ask(struct gv_loop *loop)
{
    if (roll.next_ms != 0 && gv_ms_before(loop->now_ms, roll.next_ms))
        return false;
    atomic_store_explicit(&roll.n_answers, 0, memory_order_relaxed); /* Nobody is asked yet. */
    for (unsigned i = 1; i < gv_runtime.n_loops; i++)
        if (gv_loop_call(loop, i, list_here, NULL) != 0)
            /* Without memory: it has none to be told of. relaxed: no entry comes by it. */
            atomic_fetch_add_explicit(&roll.n_answers, 1, memory_order_relaxed);
    list_here(NULL);
    return true;
}

static bool all_answered(void)
{
    return atomic_load_explicit(&roll.n_answers, memory_order_acquire) == gv_runtime.n_loops;
}

/* The newest first. Numbers of two loops say nothing of each other: then by loop and slot, so that it is the same each time. */
static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    if (a->number != b->number)
        return a->number < b->number ? 1 : -1;
    return a->id < b->id ? 1 : -1;
}

/* Makes one list of all. False: there is nobody, or no memory; then the next round tries again. */
static bool merge(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        n += parts[i].n;
    roll.entries = n > 0 ? malloc(n * sizeof *roll.entries) : NULL;
    roll.n = roll.n_told = roll.n_gone = 0;
    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        if (roll.entries != NULL && parts[i].n > 0) {
            memcpy(roll.entries + roll.n, parts[i].entries, parts[i].n * sizeof *roll.entries);
            roll.n += parts[i].n;
        }
        free(parts[i].entries);
        parts[i] = (struct part){NULL, 0, 0};
    }
    if (roll.entries == NULL)
        return false;
    qsort(roll.entries, roll.n, sizeof *roll.entries, compare);
    return true;
}

/* False without memory: the next round tries again. */
static bool tell(uint64_t id)
{
    struct gv_task *task = gv_slot_find(id);

    return task == NULL || grove_stop(gv_task_ref(task), GROVE_STOP_NOW) != GROVE_ENOMEM;
}

static bool call_next(bool all)
{
    uint32_t n_gone = roll.n_gone;

    while (roll.n_gone < roll.n_told && gv_slot_find(roll.entries[roll.n_gone].id) == NULL)
        roll.n_gone++;
    if (roll.n_gone < roll.n_told && (!all || roll.n_told == roll.n))
        return roll.n_gone > n_gone;
    while (roll.n_told < roll.n && tell(roll.entries[roll.n_told].id)) {
        bool alone = roll.entries[roll.n_told++].alone;

        if (!all && (alone || (roll.n_told < roll.n && roll.entries[roll.n_told].alone)))
            break;
    }
    return true;
}

bool gv_roll_go_on(struct gv_loop *loop, bool all)
{
    if (roll.entries == NULL && !roll.asked)
        return roll.asked = ask(loop);
    if (roll.entries == NULL && !all_answered())
        return false;
    if (roll.entries == NULL) {
        roll.asked = false;
        roll.next_ms = merge() ? 0 : gv_deadline_in(loop, AGAIN_MS);
        return roll.next_ms == 0;
    }
    if (roll.n_gone < roll.n)
        return call_next(all);
    gv_roll_close();
    return true;
}

void gv_roll_close(void)
{
    free(roll.entries);
    roll.entries = NULL;
    roll.n = roll.n_told = roll.n_gone = 0;
}

void gv_roll_end(void)
{
    gv_roll_close();
    for (unsigned i = 0; i < GV_LOOPS_MAX; i++) {
        free(parts[i].entries);
        parts[i] = (struct part){NULL, 0, 0};
    }
    roll.asked = false;
    roll.next_ms = 0;
}
