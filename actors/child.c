/*
 * Child: a supervisor's record of one: what it is told, and how often it was
 * begun anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/supervisor.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/watchdog.h"

#define RESTARTS_USUAL   5u
#define PERIOD_USUAL_MS  30000u
#define BACKOFF_USUAL_MS 50u

#define RETRY_MS 10u /* without memory for an order */

/* --- life ------------------------------------------------------------------------------------- */

struct gv_child *gv_child_new(const struct grove_restart_rule *rule, uint32_t shutdown_ms)
{
    uint32_t restarts_max = rule->restarts_max != 0 ? rule->restarts_max : RESTARTS_USUAL;
    struct gv_child *child = calloc(1, sizeof *child + restarts_max * sizeof child->times[0]);

    if (child == NULL)
        return NULL;
    child->rule = *rule;
    child->rule.restarts_max = restarts_max;
    if (rule->period_ms == 0)
        child->rule.period_ms = PERIOD_USUAL_MS;
    if (rule->backoff_ms == 0)
        child->rule.backoff_ms = BACKOFF_USUAL_MS;
    if (rule->shutdown_ms == 0)
        child->rule.shutdown_ms = shutdown_ms;
    return child;
}

void gv_child_free(struct gv_child *child)
{
    free(child->last_why);
    free(child);
}

void gv_child_unlink(struct gv_child *child)
{
    struct gv_supervisor *me = child->supervisor;

    if (me->cursor == child)
        me->cursor = child->before;
    if (child->before != NULL)
        child->before->next = child->next;
    else
        me->head = child->next;
    if (child->next != NULL)
        child->next->before = child->before;
    else
        me->tail = child->before;
}

void gv_child_append(struct gv_supervisor *me, struct gv_child *child)
{
    child->supervisor = me;
    child->number = ++me->n_added;
    child->before = me->tail;
    child->next = NULL;
    if (me->tail != NULL)
        me->tail->next = child;
    else
        me->head = child;
    me->tail = child;
}

/* --- orders ----------------------------------------------------------------------------------- */

/* To its home. Owns message. */
static void send(struct gv_loop *loop, const struct gv_child *child, struct gv_message *message)
{
    const struct gv_task *slot = gv_slot_task(child->id);
    struct gv_task *task;

    message->to = child->id;
    message->call = 0;
    message->form_flags = 0;
    if (slot->loop != loop->index) {
        gv_loop_post(loop, slot->loop, message);
        return;
    }
    task = gv_slot_find(child->id);
    if (task == NULL) {
        gv_message_give(&loop->blocks, message);
        return;
    }
    if (message->method == GV_SIGNAL_INIT)
        task->arrived = 1;
    task->class->signal(loop, task, message);
}

/* In a message of the caller's. Owns it. */
static void order_in(struct gv_loop *loop, const struct gv_child *child, struct gv_order order,
                     struct gv_message *message)
{
    message->method = GV_SIGNAL_ORDER;
    *(struct gv_order *)(void *)message->body = order;
    send(loop, child, message);
}

/* In a new one. False without memory. */
bool gv_child_order(struct gv_loop *loop, const struct gv_child *child, struct gv_order what)
{
    /* A KILL stays there until the child is down, see post.c. */
    size_t bytes = what.kind == GV_ORDER_KILL ? sizeof(struct gv_stop_body) : sizeof what;
    struct gv_message *message = gv_message_take(&loop->blocks, bytes);

    if (message == NULL)
        return false;
    order_in(loop, child, what, message);
    return true;
}

static struct gv_message *take_spare(struct gv_child *child)
{
    struct gv_message *message = child->spare;

    gv_assert(message != NULL);
    child->spare = NULL;
    return message;
}

/* It begins: for the first time, or anew. */
void gv_child_begin(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_message *message = take_spare(child);

    child->state = GROVE_CHILD_STARTING;
    if (child->placed) {
        child->n_restarts++;
        order_in(loop, child, (struct gv_order){.kind = GV_ORDER_BEGIN}, message);
        return;
    }
    child->placed = true;
    gv_probe(&loop->probes, SPAWN, child->id, gv_slot_task(child->id)->loop);
    message->method = GV_SIGNAL_INIT;
    send(loop, child, message);
}

void gv_child_abandon(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_task *task = gv_slot_task(child->id);
    struct gv_message *message = take_spare(child);

    /* Nobody else touches what is not placed yet. */
    if (child->is_supervisor)
        ((struct gv_supervisor *)task)->stillborn = true;
    else
        gv_actor_post((struct gv_actor *)task)->stillborn = true;
    message->method = GV_SIGNAL_INIT;
    send(loop, child, message);
    gv_child_free(child);
}

/* Down, it is told to be no more. */
void gv_child_end(struct gv_loop *loop, struct gv_child *child)
{
    child->state = GROVE_CHILD_ENDING;
    order_in(loop, child, (struct gv_order){.kind = GV_ORDER_END}, take_spare(child));
}

void gv_child_too_late(struct gv_timer *timer)
{
    struct gv_child *child = (struct gv_child *)((char *)timer - offsetof(struct gv_child, timer));
    struct gv_loop *loop = gv_loop_here;

    if (child->state != GROVE_CHILD_STOPPING)
        return;
    /* Its loop may be held up, and hear of no kill. A supervisor has no turns. */
    gv_watchdog_expect(loop, child->id, gv_deadline_in(loop, GV_KILL_MS));
    if (!gv_child_order(loop, child, (struct gv_order){.kind = GV_ORDER_KILL}))
        gv_wheel_arm(&loop->wheel, &child->timer, gv_deadline_in(loop, RETRY_MS));
}

/* Up, it is told to go down. */
void gv_child_lay_down(struct gv_loop *loop, struct gv_child *child)
{
    const struct gv_supervisor *me = child->supervisor;
    uint32_t shutdown_ms = me->killing ? 0 : child->rule.shutdown_ms;
    struct gv_order what = {.kind = GV_ORDER_REST};
    bool told;

    if (me->aim == GV_AIM_END || me->finishing || child->leaving)
        what = (struct gv_order){.kind = GV_ORDER_FINISH,
                                 .mode = child->leaving ? GROVE_STOP_NOW
                                                        : (enum grove_stop_mode)me->end_mode};
    child->state = GROVE_CHILD_STOPPING;
    told = gv_child_order(loop, child, what);
    gv_timer_init(&child->timer, gv_child_too_late);
    if (!told || shutdown_ms != GROVE_INFINITE)
        gv_wheel_arm(&loop->wheel, &child->timer,
                     gv_deadline_in(loop, told ? shutdown_ms : RETRY_MS));
}

/* Answers a call that waits for something of a child; *call is 0 from then on. */
void gv_child_answer(struct gv_loop *loop, uint64_t *call, int code, const char *why)
{
    size_t bytes = code != 0 && why != NULL ? strlen(why) + 1 : 0;
    struct gv_message *message = *call != 0 ? gv_message_take(&loop->blocks, bytes) : NULL;

    if (message != NULL) {
        message->call = *call;
        message->code = code;
        if (bytes > 0) {
            memcpy(message->body, why, bytes);
            message->form_flags |= GV_FLAG_TEXT;
        }
        gv_call_answer(loop, message);
    }
    *call = 0; /* Without memory it ends at its deadline. */
}

/* --- how often -------------------------------------------------------------------------------- */

/* Restarts that were noted within the period before now. */
static uint32_t count_recent(const struct gv_child *child, uint32_t now_ms)
{
    uint32_t max = child->rule.restarts_max, n = child->n_times < max ? child->n_times : max;

    for (uint32_t i = 0; i < n; i++)
        if (now_ms - child->times[(child->n_times - 1 - i) % max] >= child->rule.period_ms)
            return i;
    return n;
}

bool gv_child_may_restart(struct gv_child *child, uint32_t now_ms)
{
    if (count_recent(child, now_ms) == child->rule.restarts_max)
        return false;
    child->times[child->n_times++ % child->rule.restarts_max] = now_ms;
    return true;
}

uint32_t gv_child_delay_ms(const struct gv_loop *loop, const struct gv_child *child)
{
    uint32_t last_ms = child->times[(child->n_times - 1) % child->rule.restarts_max];
    uint32_t n = count_recent(child, last_ms);
    uint64_t ms = child->rule.backoff_ms;

    if (n <= 1)
        return 0;
    for (uint32_t i = 2; i < n && ms < GV_BACKOFF_MAX_MS; i++)
        ms *= 2;
    if (ms > GV_BACKOFF_MAX_MS)
        ms = GV_BACKOFF_MAX_MS;
    /* Who failed together shall not come back together. */
    return (uint32_t)(ms - loop->env->random(loop->env->world) % (ms / 5 + 1));
}

void gv_child_history(const struct gv_loop *loop, const struct gv_child *child, char *text,
                      size_t room)
{
    uint32_t n = count_recent(child, loop->now_ms);
    size_t used;

    used = (size_t)snprintf(text, room, "%u times in %u ms (", n, child->rule.period_ms);
    for (uint32_t i = n; i-- > 0 && used + 16 < room;)
        used += (size_t)snprintf(
            text + used, room - used, "%s%u", i + 1 < n ? ", " : "",
            loop->now_ms - child->times[(child->n_times - 1 - i) % child->rule.restarts_max]);
    (void)snprintf(text + used, room - used, " ms ago)"); /* Cut, it still tells. */
}
