#include "actors/alarm.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/timer.h>

#include "actors/actor.h"
#include "actors/alarm_table.h"
#include "actors/kept.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define AGAIN_MS 1u /* a tick that found no room, or no memory, is tried again so much later */

static_assert(sizeof(struct gv_tick) % 16 == 0, "the request behind it is aligned");

/* --- at home ---------------------------------------------------------------------------------- */

static void free_alarm(struct gv_loop *loop, struct gv_alarm *alarm)
{
    gv_wheel_disarm(&loop->wheel, &alarm->timer);
    if (alarm->sample != NULL)
        gv_message_give(&loop->blocks, alarm->sample);
    free(alarm);
}

static struct gv_tick *tick_of(struct gv_message *message)
{
    return (struct gv_tick *)(void *)message->body;
}

static void *request_of(struct gv_message *message)
{
    return message->body + sizeof(struct gv_tick);
}

/* A tick like the sample; NULL without memory. */
static struct gv_message *copy_sample(struct gv_loop *loop, struct gv_message *sample)
{
    const struct grove_shape *shape = gv_methods[sample->method].method->request;
    void *request = request_of(sample);
    /* What copy wrote of one that is not flat begins with the struct itself. */
    size_t bytes = grove_shape_bytes(shape, request);
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_tick) + bytes);

    if (message == NULL)
        return NULL;
    message->method = sample->method;
    *tick_of(message) = *tick_of(sample);
    if (shape->flat)
        memcpy(request_of(message), request, bytes);
    else
        shape->copy(request_of(message), request);
    return message;
}

/* Puts a tick into the mailbox, or behind those that wait for room. On failure it stays the caller's. */
static int deliver(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    int rc = task->flags & GV_TASK_WAITED ? GROVE_EFULL : gv_task_push(loop, task, message);

    return rc == GROVE_EFULL ? gv_task_wait_for_room(task, message) : rc;
}

static void miss(struct gv_loop *loop, struct gv_alarm *alarm, uint64_t n)
{
    /* relaxed: a count; only home changes it. */
    atomic_store_explicit(&alarm->n_missed,
                          atomic_load_explicit(&alarm->n_missed, memory_order_relaxed)
                              + (uint32_t)n,
                          memory_order_relaxed);
    gv_figure_set(&loop->stats.ticks_missed, loop->stats.ticks_missed + n);
}

/* A tick is due. False if it could not be sent for now. */
static bool send_tick(struct gv_loop *loop, struct gv_alarm *alarm)
{
    struct gv_task *task = gv_slot_find(alarm->task);
    struct gv_message *message;

    gv_assert(task != NULL); /* Its end has freed its alarms. */
    if (task->flags & GV_TASK_STOPPING)
        return true; /* It takes no new mail. */
    message = alarm->mode == GROVE_ONCE ? alarm->sample : copy_sample(loop, alarm->sample);
    if (message == NULL)
        return false;
    message->form_flags = GV_FORM_TICK;
    message->to = message->from = alarm->task;
    message->deadline_ms = 0;
    tick_of(message)->due_grains = alarm->due_grains;
    /* release: pairs with the acquire in strikes, which clears it. */
    atomic_store_explicit(&alarm->waiting, true, memory_order_release);
    gv_probe(&loop->probes, TIMER, alarm->task, alarm->due_grains);
    if (deliver(loop, task, message) == 0) {
        if (alarm->mode == GROVE_ONCE)
            alarm->sample = NULL;
        return true;
    }
    atomic_store_explicit(&alarm->waiting, false, memory_order_relaxed);
    if (alarm->mode != GROVE_ONCE)
        gv_message_give(&loop->blocks, message);
    return false;
}

/* It goes on at its rate. What is over is not made up for. */
static void arm_next(struct gv_loop *loop, struct gv_alarm *alarm, uint64_t now_grains)
{
    uint64_t period_grains = (uint64_t)alarm->ms * GV_GRAINS_PER_MS;
    uint64_t n_over =
        now_grains > alarm->due_grains ? (now_grains - alarm->due_grains) / period_grains : 0;

    if (n_over > 0)
        miss(loop, alarm, n_over);
    alarm->due_grains += (1 + n_over) * period_grains;
    gv_wheel_arm_exactly(&loop->wheel, &alarm->timer, alarm->due_grains);
}

static void fire(struct gv_timer *timer)
{
    struct gv_alarm *alarm = (struct gv_alarm *)((char *)timer - offsetof(struct gv_alarm, timer));
    struct gv_loop *loop = gv_loop_here;
    uint64_t now_grains = gv_epoch_grains(loop->now_ns);
    bool sent = true;

    /* acquire: pairs with the release in strikes, so that what it counted comes before. */
    if (!atomic_load_explicit(&alarm->waiting, memory_order_acquire))
        sent = send_tick(loop, alarm);
    else
        miss(loop, alarm, 1);
    /* One that could not be sent keeps its time: it gets later only. */
    if (!sent)
        gv_wheel_arm_exactly(&loop->wheel, timer, now_grains + AGAIN_MS * GV_GRAINS_PER_MS);
    else if (alarm->mode == GROVE_FIXED_RATE)
        arm_next(loop, alarm, now_grains);
}

static void arm(struct gv_loop *loop, struct gv_alarm *alarm, uint64_t due_grains)
{
    alarm->due_grains = due_grains;
    alarm->timer.fire = fire;
    gv_wheel_arm_exactly(&loop->wheel, &alarm->timer, due_grains);
}

void gv_alarms_end(struct gv_loop *loop, struct gv_alarms *alarms)
{
    struct gv_alarm *alarm;

    while ((alarm = gv_alarm_take_any(alarms)) != NULL)
        free_alarm(loop, alarm);
    while (alarms->left != NULL) {
        alarm = alarms->left;
        alarms->left = alarm->next;
        free_alarm(loop, alarm);
    }
    free(alarms->buckets);
    *alarms = (struct gv_alarms){.last_number = alarms->last_number};
}

/* --- from the turns of the task --------------------------------------------------------------- */

/* What a borrower tells home: due_grains 0 means that the alarm is to be freed. */
struct note {
    struct gv_alarm *alarm;
    uint64_t due_grains;
};

static_assert(sizeof(struct note) <= sizeof(struct gv_tick), "a note fits a tick's message");

void gv_alarm_told(struct gv_loop *loop, struct gv_message *message)
{
    struct note note = *(struct note *)(void *)message->body;

    gv_message_give(&loop->blocks, message);
    if (note.due_grains != 0)
        arm(loop, note.alarm, note.due_grains);
    else
        free_alarm(loop, note.alarm);
}

/* Sees to it that home does what note says; at once if this is home. False without memory. Message may be NULL. */
static bool tell(struct gv_loop *loop, struct gv_task *own, struct note note,
                 struct gv_message *message)
{
    if (own->loop == loop->index) {
        if (message != NULL)
            gv_message_give(&loop->blocks, message);
        if (note.due_grains != 0)
            arm(loop, note.alarm, note.due_grains);
        else
            free_alarm(loop, note.alarm);
        return true;
    }
    if (message == NULL)
        message = gv_message_take(&loop->blocks, sizeof note);
    if (message == NULL)
        return false;
    message->method = GV_SIGNAL_ALARM;
    message->form_flags = 0;
    message->call = 0;
    message->to = gv_task_id(own);
    *(struct note *)(void *)message->body = note;
    gv_loop_post(loop, own->loop, message);
    return true;
}

/* Frees one that was taken out of the table. */
static void drop(struct gv_loop *loop, struct gv_task *own, struct gv_alarms *alarms,
                 struct gv_alarm *alarm)
{
    if (tell(loop, own, (struct note){alarm, 0}, NULL))
        return;
    /* Without memory for the word it lives on until its task ends, and its ticks are dropped. */
    alarm->next = alarms->left;
    alarms->left = alarm;
}

/* The first grain that begins no sooner than a period from now. */
static uint64_t due_from_now(struct gv_loop *loop, const struct gv_alarm *alarm)
{
    gv_loop_look(loop);
    return gv_epoch_grains(loop->now_ns + (uint64_t)alarm->ms * 1000000 - (alarm->ms > 0)) + 1;
}

/* What is wrong with a timer, 0 if nothing is. */
static int check(const struct gv_loop *loop, const struct grove_timer *timer,
                 const struct grove_service *service, uint32_t method,
                 const ProtobufCMessage *request)
{
    const struct gv_task *task;
    uint16_t index;

    if (loop == NULL)
        return gv_usage_thread("a timer");
    if (loop->turn == NULL || loop->turn->task == NULL)
        return gv_usage("a timer: main has no mailbox for its ticks; arm it in a handler or in a "
                        "greenlet, or use grove_sleep_await");
    if (timer == NULL || request == NULL)
        return gv_usage_null("a timer", timer == NULL ? "the timer" : "the request");
    if (method >= service->n_methods)
        return gv_service_lacks(service, method);
    index = gv_method_index(service, method);
    if (index == 0)
        return GROVE_EUSAGE; /* Registering it has said why. */
    if (timer->mode > GROVE_FIXED_DELAY || (timer->mode != GROVE_ONCE && timer->ms == 0))
        return gv_usage("timer %llu: %s", (unsigned long long)timer->key,
                        timer->ms == 0 ? "a period has at least 1 ms"
                                       : "there is no such mode; see enum grove_timer_mode");
    task = gv_kept_task(loop, loop->turn->task);
    if (task->class == &gv_actor_class
        && !gv_type_handles(((const struct gv_actor *)task)->type, index))
        return gv_usage("timer %llu: a tick comes to the running actor itself, which has no "
                        "function for %s",
                        (unsigned long long)timer->key, service->methods[method].name);
    return 0;
}

/* The message that all ticks will be like. Returns 0, GROVE_ETOOBIG or GROVE_ENOMEM. */
static int make_sample(struct gv_loop *loop, const struct gv_task *own, uint16_t index,
                       const ProtobufCMessage *request, struct gv_message **sample)
{
    const struct grove_shape *shape = gv_methods[index].method->request;
    size_t bytes = grove_shape_bytes(shape, request);

    if (bytes == SIZE_MAX) {
        (void)gv_usage("a timer: %s", gv_mail_reason(GROVE_EUSAGE)); /* Its code is next. */
        return GROVE_EUSAGE;
    }
    if (bytes > GV_BLOCK_BYTES_MAX - sizeof(struct gv_message) - sizeof(struct gv_tick))
        return GROVE_ETOOBIG;
    *sample = gv_message_take(&loop->blocks, sizeof(struct gv_tick) + bytes);
    if (*sample == NULL)
        return GROVE_ENOMEM;
    if (gv_message_charge(*sample) > (uint32_t)own->bounds.bytes_max_64k << 16) {
        gv_message_give(&loop->blocks, *sample);
        return GROVE_ETOOBIG;
    }
    (*sample)->method = index;
    shape->copy(request_of(*sample), request);
    return 0;
}

/* A new alarm beside those there are. Returns 0 or a code. */
static int make_alarm(struct gv_loop *loop, struct gv_alarms *alarms,
                      const struct grove_timer *timer, struct gv_message *sample,
                      struct gv_alarm **alarm)
{
    if (alarms->n >= GROVE_TIMERS_MAX && gv_alarm_find(alarms, timer->key) == NULL) {
        (void)gv_usage("timer %llu: an actor has at most %d timers at once; cancel some, or keep a "
                       "list and one timer for the first of it",
                       (unsigned long long)timer->key, GROVE_TIMERS_MAX);
        return GROVE_EFULL;
    }
    *alarm = gv_alarm_grow(alarms) ? calloc(1, sizeof **alarm) : NULL;
    if (*alarm == NULL)
        return GROVE_ENOMEM;
    (*alarm)->key = timer->key;
    (*alarm)->number = ++alarms->last_number;
    (*alarm)->task = gv_task_id(loop->turn->task);
    (*alarm)->mode = (uint8_t)timer->mode;
    (*alarm)->ms = timer->ms;
    (*alarm)->sample = sample;
    tick_of(sample)->key = timer->key;
    tick_of(sample)->number = (*alarm)->number;
    return 0;
}

/* The new one takes the place of the one before. */
static int replace(struct gv_loop *loop, struct gv_task *own, struct gv_alarms *alarms,
                   struct gv_alarm *alarm)
{
    struct gv_alarm *before;
    struct note note = {alarm, due_from_now(loop, alarm)};

    if (!tell(loop, own, note, NULL))
        return GROVE_ENOMEM;
    before = gv_alarm_take(alarms, alarm->key);
    if (before != NULL)
        drop(loop, own, alarms, before);
    gv_alarm_put(alarms, alarm);
    return 0;
}

int grove_timer_arm(const struct grove_timer *timer, const struct grove_service *service,
                    uint32_t method, const ProtobufCMessage *request)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_message *sample;
    struct gv_alarm *alarm;
    struct gv_kept *kept;
    struct gv_task *own;
    int rc = check(loop, timer, service, method, request);

    if (rc != 0)
        return rc;
    own = gv_kept_task(loop, loop->turn->task);
    kept = gv_kept_find(loop, loop->turn->task, true);
    if (kept == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    rc = make_sample(loop, own, gv_method_index(service, method), request, &sample);
    if (rc != 0)
        return gv_failed(rc, gv_mail_reason(rc));
    rc = make_alarm(loop, &kept->alarms, timer, sample, &alarm);
    if (rc != 0) {
        gv_message_give(&loop->blocks, sample);
        return rc;
    }
    rc = replace(loop, own, &kept->alarms, alarm);
    if (rc != 0)
        free_alarm(loop, alarm);
    return rc;
}

/* What the running task keeps; NULL outside of one. */
static struct gv_kept *kept_here(const struct gv_loop *loop)
{
    return loop != NULL && loop->turn != NULL && loop->turn->task != NULL
               ? gv_kept_find(loop, loop->turn->task, false)
               : NULL;
}

bool grove_timer_cancel(uint64_t key)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_kept *kept = kept_here(loop);
    struct gv_alarm *alarm = kept != NULL ? gv_alarm_take(&kept->alarms, key) : NULL;

    if (alarm != NULL)
        drop(loop, gv_kept_task(loop, loop->turn->task), &kept->alarms, alarm);
    return alarm != NULL;
}

static uint64_t in_us(uint64_t grains)
{
    return grains * 1000 / GV_GRAINS_PER_MS;
}

bool grove_timer_look(uint64_t key, struct grove_timer_state *state)
{
    struct gv_kept *kept = kept_here(gv_loop_here);
    struct gv_alarm *alarm = kept != NULL ? gv_alarm_find(&kept->alarms, key) : NULL;

    if (state == NULL)
        (void)gv_usage_null("grove_timer_look",
                            "the place for its state"); /* A bool is all it returns. */
    if (alarm == NULL || state == NULL)
        return false;
    *state = (struct grove_timer_state){
        .n_ticks = alarm->n_ticks,
        .n_missed = atomic_load_explicit(&alarm->n_missed, memory_order_relaxed), /* as in miss */
        .late_us = in_us(alarm->late_grains),
        .late_max_us = in_us(alarm->latest_grains),
        .mode = (enum grove_timer_mode)alarm->mode,
    };
    return true;
}

/* --- ticks ------------------------------------------------------------------------------------ */

bool gv_alarm_strikes(struct gv_loop *loop, struct gv_task *task, struct gv_message *message,
                      struct gv_tick *tick)
{
    struct gv_kept *kept = gv_kept_find(loop, task, false);
    struct gv_alarm *alarm;
    uint64_t now;

    *tick = *tick_of(message);
    if (tick->number == 0)
        return true;
    alarm = kept != NULL ? gv_alarm_find(&kept->alarms, tick->key) : NULL;
    if (alarm == NULL || alarm->number != tick->number)
        return false;
    gv_loop_look(loop);
    now = gv_epoch_grains(loop->now_ns);
    alarm->late_grains = now > tick->due_grains ? now - tick->due_grains : 0;
    if (alarm->late_grains > alarm->latest_grains)
        alarm->latest_grains = alarm->late_grains;
    alarm->n_ticks++;
    gv_figure_set(&loop->stats.ticks, loop->stats.ticks + 1);
    /* release: pairs with the acquire in fire. */
    atomic_store_explicit(&alarm->waiting, false, memory_order_release);
    if (alarm->mode != GROVE_ONCE)
        return true;
    (void)gv_alarm_take(&kept->alarms, tick->key); /* It is alarm. */
    drop(loop, gv_kept_task(loop, task), &kept->alarms, alarm);
    return true;
}

void gv_alarm_struck(struct gv_loop *loop, struct gv_task *task, const struct gv_tick *tick,
                     struct gv_message *message)
{
    struct gv_kept *kept = gv_kept_find(loop, task, false);
    struct gv_alarm *alarm = kept != NULL ? gv_alarm_find(&kept->alarms, tick->key) : NULL;

    if (alarm != NULL && alarm->number == tick->number && alarm->mode == GROVE_FIXED_DELAY) {
        struct note note = {alarm, due_from_now(loop, alarm)};

        if (!tell(loop, gv_kept_task(loop, task), note, message))
            gv_log(GV_LOG_ERROR, "timer.lost", "key=%llu why=\"no memory\"",
                   (unsigned long long)tick->key);
        return;
    }
    if (message != NULL)
        gv_message_give(&loop->blocks, message);
}
