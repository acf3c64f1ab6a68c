/*
 * Chase: probes that follow waits from loop to loop; deadlock.h tells how.
 */
#include <stdio.h>
#include <string.h>

#include "actors/deadlock.h"
#include "actors/edge.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define HOPS_MAX       1024u /* waits a probe follows */
#define SHARES_MAX     256u  /* copies of a probe on their way at once */
#define FIRST_PROBE_MS 1u
#define LAST_PROBE_MS  1024u

struct probe {
    uint64_t origin;     /* task whose wait is probed */
    uint64_t number;     /* of that wait */
    uint64_t mark;       /* of this lap */
    uint64_t path;       /* digest of the waits met in this lap */
    uint64_t first_path; /* of those in the first lap */
    uint64_t newest;     /* order of the newest wait met that sends probes */
    uint64_t call; /* what the last wait needs of the task it is sent to, see struct gv_edge */
    const struct grove_method *method;
    uint8_t kind;
    uint16_t hops;
    uint16_t shares; /* into so many copies it may still split, in this lap */
    uint16_t lap;
    char text[160]; /* names met in the second lap */
};

static struct probe *probe_of(struct gv_message *message)
{
    return (struct probe *)(void *)message->body;
}

static void note_wait(struct probe *probe, const struct gv_wait *wait)
{
    const struct gv_task *task = wait->turn->task;
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

static struct gv_message *visit_turn(struct gv_loop *loop, struct gv_turn *turn, struct probe probe,
                                     struct gv_message *list);

/* A copy of the probe for one target of the wait; if that is on this loop it is put in front of the list. */
static struct gv_message *send_copy(struct gv_loop *loop, const struct probe *probe,
                                    struct gv_edge edge, uint64_t id, struct gv_message *list)
{
    struct gv_task *task = id != 0 ? gv_slot_find(id) : NULL;
    struct gv_message *copy = task != NULL ? gv_message_take(&loop->blocks, sizeof *probe) : NULL;

    if (copy == NULL)
        return list; /* Without memory this probe is lost; the next one comes later. */
    copy->method = GV_SIGNAL_PROBE;
    copy->to = id;
    *probe_of(copy) = *probe;
    probe_of(copy)->call = edge.call;
    probe_of(copy)->method = edge.method;
    probe_of(copy)->kind = edge.kind;
    if (gv_task_is_elsewhere(loop, task)) {
        gv_loop_post(loop, loop_of(loop, task), copy);
        return list;
    }
    copy->next = list;
    return copy;
}

/* Into how many parts a probe splits, each with its share; searches from many sides wipe out each other's marks. */
static unsigned split(struct probe *probe, unsigned n)
{
    unsigned shares = n > 0 ? probe->shares / n : 0;

    if (shares == 0) {
        n = n < probe->shares ? n : probe->shares;
        shares = 1;
    }
    probe->shares = (uint16_t)shares;
    return n;
}

/* Sends a copy of the probe to each target of the wait; those that stay here are returned as a list. */
static struct gv_message *spread(struct gv_loop *loop, struct probe probe,
                                 const struct gv_wait *wait, struct gv_message *list)
{
    unsigned n = gv_wait_is_choice(wait) ? 0 : split(&probe, gv_wait_targets(wait));

    if (gv_wait_is_inline(wait))
        return visit_turn(loop, wait->above, probe, list); /* As deep as calls may run inline. */
    for (unsigned i = 0; i < n; i++)
        list = send_copy(loop, &probe, gv_wait_edge(wait, i), gv_wait_target(wait, i), list);
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

/* One probe at one turn: follows its wait. Returns the list with what stays on this loop. */
static struct gv_message *visit_turn(struct gv_loop *loop, struct gv_turn *turn, struct probe probe,
                                     struct gv_message *list)
{
    struct gv_wait *wait = gv_wait_of(turn);

    if (wait == NULL || turn->task == NULL || probe.hops++ >= HOPS_MAX)
        return list;
    if (wait->number == probe.number) {
        if (!came_home(loop, wait, &probe))
            return list;
    } else if (wait->searched == probe.mark) {
        return list;
    } else {
        wait->searched = probe.mark;
    }
    note_wait(&probe, wait);
    return spread(loop, probe, wait, list);
}

/* One probe at one task: at each turn that what sent it must wait for. */
static struct gv_message *visit(struct gv_loop *loop, struct gv_task *task,
                                struct gv_message *message, struct gv_message *list)
{
    struct probe probe = *probe_of(message);
    const struct gv_edge edge = {NULL, probe.call, probe.method, probe.kind};
    struct gv_blockers blockers;
    unsigned n;

    if (task == NULL)
        return list;
    n = gv_beside_blockers(loop, task, &edge, blockers.turns, &blockers.unknown);
    n = split(&probe, n);
    for (unsigned i = 0; i < n; i++)
        list = visit_turn(loop, blockers.turns[i], probe, list);
    return list;
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

    probe.mark = gv_search_mark(task, gv_loop_next_wait(loop));
    note_wait(&probe, wait);
    list = spread(loop, probe, wait, NULL);
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
