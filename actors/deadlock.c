#include "actors/deadlock.h"

#include <stdio.h>
#include <string.h>

#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define NODES_MAX      256u /* tasks looked at in one local walk */
#define HOPS_MAX       64u  /* waits a probe follows */
#define SHARES_MAX     256u /* copies of a probe on their way at once */
#define FIRST_PROBE_MS 1u
#define LAST_PROBE_MS  1024u

/* --- following waits -------------------------------------------------------------------------- */

/* What a task waits for; nothing, if that has come and it only has not run since. */
static struct gv_wait *wait_of(const struct gv_task *task)
{
    struct gv_wait *wait = task->turn != NULL ? task->turn->wait : NULL;

    return wait != NULL && !wait->woken ? wait : NULL;
}

/* A task whose wait another loop knows: one that lives there, or that it has borrowed. */
static bool is_elsewhere(const struct gv_loop *loop, const struct gv_task *task)
{
    return task->loop != loop->index || gv_task_is_out(task);
}

/* How many targets a wait has that must all come before it wakes. */
static unsigned n_targets(const struct gv_wait *wait)
{
    switch ((enum gv_wait_kind)wait->kind) {
    case GV_WAIT_CALL:
    case GV_WAIT_ROOM:
    case GV_WAIT_STOP:
    case GV_WAIT_SPAWN:
        return 1;
    case GV_WAIT_ALL:
        return wait->n_futures;
    case GV_WAIT_ANY:
        return wait->n_futures == 1 ? 1 : 0;
    case GV_WAIT_SLEEP:
    case GV_WAIT_YIELD:
    case GV_WAIT_MAIL:
    case GV_WAIT_IO:
    case GV_WAIT_OUT:
        break;
    }
    return 0;
}

/* The i-th target of a wait, 0 if that one has come. */
static uint64_t target_of(const struct gv_wait *wait, unsigned i)
{
    if (wait->kind != GV_WAIT_ALL && wait->kind != GV_WAIT_ANY)
        return wait->target;
    return wait->futures[i]->done ? 0 : wait->futures[i]->target;
}

/*
 * What a search leaves in the waits it meets. serial is of the loop of the
 * task where it began, and used once. Without marks, `all` waits that meet
 * again and again would double a search at every step.
 */
static uint64_t mark_of(const struct gv_task *origin, uint64_t serial)
{
    return (gv_task_id(origin) ^ serial << 8) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* --- one loop --------------------------------------------------------------------------------- */

struct node {
    struct gv_task *task;
    uint32_t parent;
};

struct walk {
    struct node nodes[NODES_MAX];
    uint32_t n;
    uint64_t mark; /* of this walk: a wait that bears it has been met */
};

/* Writes "me -> … -> last -> me" by going back over the parents. */
static void name_cycle(struct walk *walk, uint32_t last, char *text, size_t room)
{
    uint32_t path[NODES_MAX], n = 0;
    size_t used = 0;

    for (uint32_t i = last; i != 0; i = walk->nodes[i].parent)
        path[n++] = i;
    path[n++] = 0;
    for (uint32_t i = n; i-- > 0 && used + 1 < room;) {
        char name[64];

        walk->nodes[path[i]].task->class->describe(walk->nodes[path[i]].task, name, sizeof name);
        used += (size_t)snprintf(text + used, room - used, "%s%s", used > 0 ? " -> " : "", name);
    }
    if (used + 1 < room) {
        char name[64];

        walk->nodes[0].task->class->describe(walk->nodes[0].task, name, sizeof name);
        (void)snprintf(text + used, room - used, " -> %s",
                       name); /* A cut circle is still named at its begin. */
    }
}

/* Adds the targets of a wait; true when one of them is where the walk began. */
static bool follow(struct gv_loop *loop, struct walk *walk, const struct gv_wait *wait,
                   uint32_t parent, struct gv_cycle *cycle)
{
    unsigned n = n_targets(wait);

    for (unsigned i = 0; i < n && walk->n < NODES_MAX; i++) {
        uint64_t id = target_of(wait, i);
        struct gv_task *task = id != 0 ? gv_slot_find(id) : NULL;
        struct gv_wait *next;

        if (task == NULL)
            continue;
        /* By id: who began the walk may be a guest. */
        if (id == gv_task_id(walk->nodes[0].task)) {
            name_cycle(walk, parent, cycle->text, sizeof cycle->text);
            return true;
        }
        if (is_elsewhere(loop, task)) {
            cycle->far = true;
            continue;
        }
        next = wait_of(task);
        if (next == NULL || next->searched == walk->mark)
            continue;
        next->searched = walk->mark;
        walk->nodes[walk->n++] = (struct node){task, parent};
    }
    return false;
}

static bool walk_closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle)
{
    struct walk walk;

    walk.nodes[0] = (struct node){wait->turn->task, 0};
    walk.n = 1;
    walk.mark = mark_of(walk.nodes[0].task, gv_loop_next_wait(loop));
    if (follow(loop, &walk, wait, 0, cycle))
        return true;
    for (uint32_t i = 1; i < walk.n; i++)
        if (follow(loop, &walk, wait_of(walk.nodes[i].task), i, cycle))
            return true;
    return false;
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
    if (walk_closes(loop, wait, cycle))
        return true;
    if (cycle->far)
        cycle->order = next_order(); /* before the request leaves */
    return false;
}

/* --- over loops: probes ----------------------------------------------------------------------- */

struct probe {
    uint64_t origin;     /* task whose wait is probed */
    uint64_t number;     /* of that wait */
    uint64_t mark;       /* of this lap */
    uint64_t path;       /* digest of the waits met in this lap */
    uint64_t first_path; /* of those in the first lap */
    uint64_t newest;     /* order of the newest wait met that sends probes */
    uint16_t hops;
    uint16_t shares; /* into so many copies it may still split, in this lap */
    uint16_t lap;
    char text[160]; /* names met in the second lap */
};

static struct probe *probe_of(struct gv_message *message)
{
    return (struct probe *)(void *)message->body;
}

static void note_wait(struct probe *probe, const struct gv_task *task, const struct gv_wait *wait)
{
    uint64_t id = gv_task_id(task);
    size_t used = strlen(probe->text);

    probe->path = (probe->path ^ id) * UINT64_C(0x9e3779b97f4a7c15) + wait->number;
    /* A wait that looked no further than its own loop sends no probe: were it chosen, nobody would be told. */
    if (wait->cycle != NULL && probe->newest < wait->cycle->order)
        probe->newest = wait->cycle->order;
    /* Most probes end in their first lap, and need no names. */
    if (probe->lap == 1 && used + 8 < sizeof probe->text) {
        char name[64];

        task->class->describe(task, name, sizeof name);
        (void)snprintf(probe->text + used, sizeof probe->text - used, "%s -> ",
                       name); /* A cut path is still a path. */
    }
}

/* Where a probe for a task goes that is elsewhere: to its home, and from there on to who has borrowed it. */
static unsigned loop_of(const struct gv_loop *loop, const struct gv_task *task)
{
    return task->loop != loop->index ? task->loop : gv_lend_borrower(task);
}

/* Sends a copy of the probe to each target of the wait; those that stay here are returned as a list. */
static struct gv_message *spread(struct gv_loop *loop, const struct probe *probe,
                                 const struct gv_wait *wait, struct gv_message *list)
{
    unsigned n = n_targets(wait), shares = n > 0 ? probe->shares / n : 0;

    /* Searches from many sides wipe out each other's marks: what bounds them then is this. */
    if (shares == 0) {
        n = n < probe->shares ? n : probe->shares;
        shares = 1;
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t id = target_of(wait, i);
        struct gv_task *task = id != 0 ? gv_slot_find(id) : NULL;
        struct gv_message *copy =
            task != NULL ? gv_message_take(&loop->blocks, sizeof *probe) : NULL;

        if (copy == NULL)
            continue; /* Without memory this probe is lost; the next one comes later. */
        copy->method = GV_SIGNAL_PROBE;
        copy->to = id;
        *probe_of(copy) = *probe;
        probe_of(copy)->shares = (uint16_t)shares;
        if (is_elsewhere(loop, task)) {
            gv_loop_post(loop, loop_of(loop, task), copy);
        } else {
            copy->next = list;
            list = copy;
        }
    }
    return list;
}

/* The probe is home. Returns true if it must go round once more. */
static bool came_home(struct gv_loop *loop, struct gv_wait *wait, struct probe *probe)
{
    struct gv_cycle *cycle = wait->cycle;

    if (wait->number != probe->number || cycle == NULL || probe->newest != cycle->order)
        return false;
    if (probe->lap == 0) {
        if (wait->searched == probe->mark)
            return false; /* It came by a shorter way already. */
        wait->searched = probe->mark;
        probe->lap = 1;
        probe->mark = ~probe->mark;
        probe->first_path = probe->path;
        probe->path = 0;
        probe->hops = 0;
        probe->shares = SHARES_MAX;
        return true;
    }
    if (probe->path != probe->first_path)
        return false;
    (void)snprintf(cycle->text, sizeof cycle->text, "%sback to it",
                   probe->text); /* Its room is the larger one. */
    gv_wake(loop, wait, GROVE_EDEADLK);
    return false;
}

/* One probe at one task: follows its wait. Returns the list with what stays on this loop. */
static struct gv_message *visit(struct gv_loop *loop, struct gv_task *task,
                                struct gv_message *message, struct gv_message *list)
{
    struct gv_wait *wait = task != NULL ? wait_of(task) : NULL;
    struct probe *probe = probe_of(message);

    if (wait == NULL || probe->hops++ >= HOPS_MAX)
        return list;
    if (gv_task_id(task) == probe->origin) {
        if (!came_home(loop, wait, probe))
            return list;
    } else if (wait->searched == probe->mark) {
        return list;
    } else {
        wait->searched = probe->mark;
    }
    note_wait(probe, task, wait);
    return spread(loop, probe, wait, list);
}

void gv_deadlock_probe_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_message *list;

    if (task != NULL && task->loop == loop->index && gv_task_is_out(task)) {
        gv_loop_post(loop, gv_lend_borrower(task), message);
        return;
    }
    if (task != NULL && task->loop != loop->index)
        task = gv_guest_find(
            loop, message->to); /* NULL: it is on its way home. A later probe meets it. */
    list = visit(loop, task, message, NULL);

    gv_message_give(&loop->blocks, message);
    while (list != NULL) {
        message = list;
        list = list->next;
        list = visit(loop, gv_slot_find(message->to), message, list);
        gv_message_give(&loop->blocks, message);
    }
}

static void send_probe(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_cycle *cycle = (struct gv_cycle *)((char *)timer - offsetof(struct gv_cycle, timer));
    struct gv_wait *wait = cycle->wait;
    struct gv_task *task = wait->turn->task;
    struct probe probe = {.origin = gv_task_id(task), .number = wait->number, .shares = SHARES_MAX};
    struct gv_message *list;

    probe.mark = mark_of(task, gv_loop_next_wait(loop));
    note_wait(&probe, task, wait);
    list = spread(loop, &probe, wait, NULL);
    while (list != NULL) {
        struct gv_message *message = list;

        list = list->next;
        gv_deadlock_probe_came(loop, gv_slot_find(message->to), message);
    }
    if (wait->woken)
        return;
    cycle->delay_ms = cycle->delay_ms < LAST_PROBE_MS ? cycle->delay_ms * 2 : LAST_PROBE_MS;
    gv_wheel_arm(&loop->wheel, &cycle->timer, loop->now_ms + cycle->delay_ms);
}

void gv_deadlock_watch(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle)
{
    if (!cycle->far)
        return;
    cycle->wait = wait;
    cycle->delay_ms = FIRST_PROBE_MS;
    cycle->text[0] = '\0';
    wait->cycle = cycle;
    cycle->timer = (struct gv_timer){.fire = send_probe};
    gv_wheel_arm(&loop->wheel, &cycle->timer, loop->now_ms + FIRST_PROBE_MS);
}

void gv_deadlock_unwatch(struct gv_loop *loop, struct gv_cycle *cycle)
{
    if (cycle->wait != NULL)
        gv_wheel_disarm(&loop->wheel, &cycle->timer);
}
