/*
 * Chase: the search for circles over loops. A knot (knot.h) travels from
 * loop to loop and grows by what each of them knows; deadlock.h tells why
 * two laps of it are proof.
 *
 *     send_probe ─▶ look around here ─▶ judge ─open─▶ to the next loop: look around there ─▶ …
 *                                         ├─free───▶ it ends: most do, where somebody still runs
 *                                         └─closed─▶ home: the second lap; then the verdict
 *
 * What a loop has posted is published before the knot leaves it. So
 * whatever was on its way to a wait when the first lap came by has reached
 * it before the second one does.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/deadlock.h"
#include "actors/edge.h"
#include "actors/knot.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define FIRST_PROBE_MS 1u
#define LAST_PROBE_MS  1024u

/* Where each loop works on a knot; made with its first one. Touched by that loop alone. */
static struct gv_knot *workplaces[GV_LOOPS_MAX];

static struct gv_knot *workplace(const struct gv_loop *loop)
{
    struct gv_knot **place = &workplaces[loop->index];

    if (*place == NULL)
        *place = malloc(sizeof **place);
    return *place;
}

void gv_deadlock_close(const struct gv_loop *loop)
{
    free(workplaces[loop->index]);
    workplaces[loop->index] = NULL;
}

/* The circle in words, from a knot that has been judged. */
static void copy_text(const struct gv_knot *knot, struct gv_cycle *cycle)
{
    gv_assert(knot->head.n_text <= sizeof cycle->text);
    memcpy(cycle->text, knot->text, knot->head.n_text);
}

/* --- looking around --------------------------------------------------------------------------- */

/* Who stands for the task on this loop: itself, or its guest; NULL if it is gone, or on its way home. */
static struct gv_task *find_here(struct gv_loop *loop, uint64_t id)
{
    struct gv_task *task = gv_slot_find(id);

    return task != NULL && task->loop != loop->index ? gv_guest_find(loop, id) : task;
}

/* An arm that is to be looked at here: by whom is it held up? */
static void look_at(struct gv_loop *loop, struct gv_knot *knot, unsigned place)
{
    struct gv_knot_arm *arm = &knot->arms[place];
    const struct gv_wait *wait = knot->waits[arm->owner];
    const struct gv_edge edge = {wait, arm->call, arm->method, arm->kind};
    struct gv_blockers blockers = {.unknown = false};
    struct gv_task *task;
    unsigned n = 0;

    if (wait != NULL && gv_wait_is_inline(wait)) {
        blockers.turns[n++] = wait->above;
    } else {
        task = find_here(loop, arm->target);
        if (task != NULL && gv_task_is_out(task)) {
            arm->loop = (uint8_t)gv_lend_borrower(task);
            return;
        }
        if (task != NULL)
            n = gv_beside_blockers(loop, task, &edge, blockers.turns, &blockers.unknown);
    }
    knot->is_vague |= blockers.unknown;
    for (unsigned i = 0; i < n && !blockers.unknown; i++) {
        const struct gv_turn *turn = blockers.turns[i];
        /* The origin may not be parked yet. */
        const struct gv_wait *first = knot->waits[0], *next = first != NULL && turn == first->turn
                                                                  ? first
                                                                  : gv_wait_of(turn);

        if (next != NULL && turn->task != NULL)
            gv_knot_link(knot, loop, place, next);
    }
    gv_knot_close_arm(knot, place);
}

static void look_around(struct gv_loop *loop, struct gv_knot *knot)
{
    /* Arms that are found meanwhile are added behind. */
    for (unsigned i = 0; i < knot->head.n_arms && !knot->head.is_over; i++)
        if (knot->arms[i].state == GV_ARM_OPEN && knot->arms[i].loop == loop->index)
            look_at(loop, knot, i);
}

/* --- one loop alone ---------------------------------------------------------------------------- */

bool gv_deadlock_knot_closes(struct gv_loop *loop, struct gv_wait *wait, struct gv_cycle *cycle)
{
    struct gv_knot *knot = workplace(loop);

    if (knot == NULL) {
        cycle->far = true; /* The searches may have memory later. */
        return false;
    }
    knot->head = (struct gv_knot_head){.lap = 1, .order = UINT64_MAX};
    knot->is_vague = false;
    (void)gv_knot_node(knot, loop, wait); /* The first one: there is room. */
    knot->nodes[0].order = UINT64_MAX;    /* Nobody has begun to wait later. */
    look_around(loop, knot);
    cycle->far |= knot->is_vague;
    for (unsigned i = 0; i < knot->head.n_arms; i++)
        cycle->far |= knot->arms[i].loop != loop->index;
    if (gv_knot_judge(knot) != GV_KNOT_CLOSED)
        return false;
    gv_knot_name(knot);
    copy_text(knot, cycle);
    return true;
}

/* --- travelling ------------------------------------------------------------------------------- */

static void send_to(struct gv_loop *loop, const struct gv_knot *knot, unsigned to)
{
    struct gv_message *message = gv_message_take(&loop->blocks, gv_knot_bytes(knot));

    /* Without memory this search is lost; the next one comes later. */
    if (message == NULL)
        return;
    message->method = GV_SIGNAL_PROBE;
    message->to = knot->head.task;
    gv_knot_pack(knot, message->body);
    gv_loop_publish(loop);
    gv_loop_post(loop, to, message);
}

static void send_on(struct gv_loop *loop, const struct gv_knot *knot)
{
    unsigned i = 0;

    while (knot->arms[i].state != GV_ARM_OPEN)
        i++;
    gv_assert(knot->arms[i].loop != loop->index);
    send_to(loop, knot, knot->arms[i].loop);
}

/* The wait where it all began, NULL if that is over. On its loop. */
static struct gv_wait *find_origin(struct gv_loop *loop, const struct gv_knot_head *head)
{
    /* As who waits for room: that is for the end of whatever turn there is. */
    const struct gv_edge edge = {.kind = GV_WAIT_ROOM};
    struct gv_task *task = find_here(loop, head->task);
    struct gv_blockers blockers;
    unsigned n = 0;

    if (task != NULL && !gv_task_is_out(task))
        n = gv_beside_blockers(loop, task, &edge, blockers.turns, &blockers.unknown);
    for (unsigned i = 0; i < n; i++) {
        struct gv_wait *wait = gv_wait_of(blockers.turns[i]);

        if (wait != NULL && wait->number == head->number)
            return wait->cycle != NULL ? wait : NULL;
    }
    return NULL;
}

/* Both laps have proved the same: the origin is told. */
static void tell(struct gv_loop *loop, const struct gv_knot *knot, struct gv_wait *wait)
{
    copy_text(knot, wait->cycle);
    gv_wake(loop, wait, GROVE_EDEADLK);
}

/* A lap has found a circle: the next one begins, or the verdict is there. True if that is to be seen to here. */
static bool end_lap(struct gv_loop *loop, struct gv_knot *knot)
{
    struct gv_knot_head *head = &knot->head;

    if (head->lap == 1) {
        if (knot->digest != head->proof)
            return false; /* Something has changed. If there still is a circle, a later search will see it. */
        gv_knot_name(knot);
        head->n_nodes = head->n_arms = head->n_links = 0;
    } else {
        gv_knot_clear(knot);
        head->proof = knot->digest;
    }
    head->lap++;
    if (head->home == loop->index)
        return true;
    send_to(loop, knot, head->home);
    return false;
}

/* The knot is here: does what there is to do here, and sends it on. */
static void work_on(struct gv_loop *loop, struct gv_knot *knot)
{
    enum gv_knot_verdict verdict;

    do {
        if (knot->head.n_nodes == 0) {
            struct gv_wait *wait = find_origin(loop, &knot->head);

            if (wait == NULL)
                return;
            if (knot->head.lap == 2) {
                tell(loop, knot, wait);
                return;
            }
            (void)gv_knot_node(knot, loop, wait); /* The first one: there is room. */
        }
        look_around(loop, knot);
        verdict = gv_knot_judge(knot);
        if (verdict == GV_KNOT_OPEN)
            send_on(loop, knot);
    } while (verdict == GV_KNOT_CLOSED && end_lap(loop, knot));
}

void gv_deadlock_probe_came(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_knot *knot = workplace(loop);

    if (knot != NULL)
        gv_knot_unpack(knot, message->body);
    gv_message_give(&loop->blocks, message);
    if (knot != NULL)
        work_on(loop, knot);
}

/* --- for those who wait ----------------------------------------------------------------------- */

static void send_probe(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_cycle *cycle = (struct gv_cycle *)((char *)timer - offsetof(struct gv_cycle, timer));
    struct gv_wait *wait = cycle->wait;
    struct gv_knot *knot = workplace(loop);

    if (knot != NULL) {
        knot->head = (struct gv_knot_head){
            .task = gv_task_id(wait->turn->task),
            .number = wait->number,
            .order = cycle->order,
            .home = loop->index,
        };
        work_on(loop, knot);
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

void gv_deadlock_tell(struct gv_loop *loop, struct gv_wait *wait, const struct gv_cycle *cycle)
{
    if (wait->cycle != NULL)
        memcpy(wait->cycle->text, cycle->text, sizeof cycle->text);
    gv_wake(loop, wait, GROVE_EDEADLK);
}

void gv_deadlock_unwatch(struct gv_loop *loop, struct gv_cycle *cycle)
{
    if (cycle->wait != NULL)
        gv_wheel_disarm(&loop->wheel, &cycle->timer);
}
