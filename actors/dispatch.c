/*
 * Dispatch: an actor's turns, and the signals that come in between.
 *
 * run is inlined into the dispatcher. It handles up to 64 messages by plain
 * calls; a handler that awaits parks this very frame, and everything here
 * goes on when it returns. So nothing of the loop's tick may
 * be kept in a local over a call of a handler.
 */
#include "actors/actor.h"

#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "actors/abandon.h"
#include "actors/alarm.h"
#include "actors/beside.h"
#include "actors/call.h"
#include "actors/deadletter.h"
#include "actors/deadlock.h"
#include "actors/defer.h"
#include "actors/envelope.h"
#include "actors/future.h"
#include "actors/kin.h"
#include "actors/mail.h"
#include "actors/monitor.h"
#include "actors/passivate.h"
#include "actors/post.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/dispatcher.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/log.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

#define TURNS_MAX 64u /* messages of one actor before the next one's turn */

/* --- one turn --------------------------------------------------------------------------------- */

/* Why a message cannot be handled, 0 if it can. */
static inline int obstacle(struct gv_loop *loop, const struct gv_type *type,
                           const struct gv_message *message)
{
    if (gv_unlikely(!gv_type_handles(type, message->method))
        || gv_unlikely((message->form_flags & GV_FORM_MASK) != GV_FORM_STRUCT))
        return GROVE_ENOTSUP;
    if (message->deadline_ms != 0
        && gv_unlikely(!gv_ms_before(loop->now_ms + GV_NEAR_MS, message->deadline_ms)))
        return gv_loop_has_come(loop, message->deadline_ms) ? GROVE_ETIMEDOUT : 0;
    return 0;
}

/* The handler has done what few do. Returns what its caller is told instead of code. */
static GV_RARE int end_oddly(struct gv_turn *turn, int code)
{
    gv_turn_clean_up(turn);
    if (!gv_turn_has_failed(turn))
        return code;
    gv_actor_failed(turn);
    return GROVE_EDOWN;
}

/* A tick of a timer, if that is still armed: a turn like others, but nobody is answered. Owns message. */
static GV_APART void handle_tick(struct gv_loop *loop, struct gv_actor *actor, struct gv_task *task,
                                 struct gv_message *message)
{
    const struct gv_type *type = actor->type;
    struct gv_tick tick;
    struct gv_turn turn;
    int code;

    if (!gv_alarm_strikes(loop, task, message, &tick)) {
        gv_message_give(&loop->blocks, message);
        return;
    }
    turn.task = task;
    turn.message = message;
    turn.method = &type->methods[message->method - type->first_index];
    turn.index = message->method;
    turn.deadline_ms = 0;
    gv_turn_begin(loop, &turn);
    code = turn.method->thunk(type->functions, gv_actor_state(actor), message->body + sizeof tick,
                              NULL);
    if (gv_unlikely(turn.odd))
        code = end_oddly(&turn, code);
    (void)gv_actor_judge(&turn, code); /* Nobody asks for the code. */
    gv_turn_settle(loop, &turn);
    gv_turn_end(loop, &turn);
    gv_alarm_struck(loop, task, &tick, turn.message);
}

/* What is no rpc, or must not be handled. Owns message. */
static GV_APART void handle_other(struct gv_loop *loop, struct gv_actor *actor,
                                  struct gv_task *task, struct gv_message *message, int code)
{
    if (gv_monitor_is_down(message))
        gv_monitor_down_turn(loop, actor, task, message);
    else if ((message->form_flags & GV_FORM_MASK) == GV_FORM_TICK)
        handle_tick(loop, actor, task, message);
    else
        gv_mail_orphaned(loop, message, code,
                         code == GROVE_ETIMEDOUT ? GROVE_DEAD_EXPIRED : GROVE_DEAD_UNSUPPORTED);
}

/* task is the actor's own, or its guest. Always inlined: its turn then lies in the one frame of a whole run. */
static GV_INLINE void handle(struct gv_loop *loop, struct gv_actor *actor, struct gv_task *task,
                             struct gv_message *message)
{
    const struct gv_type *type = actor->type;
    struct gv_envelope envelope;
    struct gv_turn turn;
    int code = obstacle(loop, type, message);

    if (gv_unlikely(code != 0)) {
        handle_other(loop, actor, task, message, code);
        return;
    }
    turn.task = task;
    turn.message = message;
    turn.method = &type->methods[message->method - type->first_index];
    turn.index = message->method;
    turn.deadline_ms = message->deadline_ms;
    gv_turn_begin(loop, &turn);
    code =
        turn.method->thunk(type->functions, gv_actor_state(actor), message->body,
                           message->call != 0 ? gv_envelope_open(&envelope, loop, message) : NULL);
    if (gv_unlikely(turn.odd))
        code = end_oddly(&turn, code);
    gv_turn_settle(loop, &turn);
    if (gv_likely(code == 0))
        gv_envelope_send(loop, &envelope, message);
    else
        gv_envelope_fail(loop, &turn, &envelope, gv_actor_judge(&turn, code));
    gv_turn_end_of(loop, &turn, task);
}

void gv_actor_handle_beside(struct gv_loop *loop, struct gv_side *side, struct gv_message *message)
{
    struct gv_actor *actor = side->actor;
    const struct gv_type *type = actor->type;
    struct gv_envelope envelope;
    struct gv_turn turn;
    int code = obstacle(loop, type, message);

    if (code != 0) {
        handle_other(loop, actor, &actor->task, message, code);
        return;
    }
    turn.task = &actor->task;
    turn.message = message;
    turn.method = &type->methods[message->method - type->first_index];
    turn.index = message->method;
    turn.deadline_ms = message->deadline_ms;
    gv_turn_begin(loop, &turn);
    gv_beside_begun(side, &turn);
    code =
        turn.method->thunk(type->functions, gv_actor_state(actor), message->body,
                           message->call != 0 ? gv_envelope_open(&envelope, loop, message) : NULL);
    if (turn.odd)
        code = end_oddly(&turn, code);
    gv_turn_settle(loop, &turn);
    if (code == 0)
        gv_envelope_send(loop, &envelope, message);
    else
        gv_envelope_fail(loop, &turn, &envelope, code);
    gv_turn_end(loop, &turn);
}

/* After a turn of one that was open, or for whose room others wait. */
static GV_RARE void look_around(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;

    if (task->flags & GV_TASK_RECEIVING && gv_beside_main_ended(loop, actor))
        return;
    if (task->flags & GV_TASK_WAITED)
        gv_task_let_in(loop, task);
}

void gv_actor_rest_apart(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;

    if (task->flags & GV_TASK_RECEIVING && gv_beside_main_ended(loop, actor))
        task->flags |= GV_TASK_BUSY; /* Until the last of its turns ends. */
    else if (task->mailbox.head != NULL || task->flags & (GV_TASK_STOPPING | GV_TASK_NOW))
        gv_sched_ready(loop, task);
}

/* It is to stop, to be restarted, or to be passive; or further turns of it are open. */
static GV_APART void leave(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;

    if (gv_passivation_is_due(actor))
        gv_passivation_run(loop, actor);
    else if (task->flags & GV_TASK_RECEIVING && gv_beside_stays(loop, actor))
        return;
    else if (!(task->flags & GV_TASK_NOW) && task->mailbox.head != NULL)
        gv_sched_ready(loop, task);
    else if (task->parent && gv_kin_linger(loop, actor))
        return; /* It comes here again when its children have ended. */
    else if (gv_actor_post(actor) != NULL)
        gv_post_leave(loop, actor);
    else
        gv_actor_end(loop, actor);
}

/* Runs its queued messages: the class's run. */
static GV_INLINE void run(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_actor *actor = (struct gv_actor *)task;
    unsigned n = TURNS_MAX;

    task->flags |= GV_TASK_BUSY;
    if (gv_unlikely(task->flags & GV_TASK_UNBORN) && !(task->flags & GV_TASK_NOW)) {
        loop->budget--;
        gv_actor_first_turn(loop, actor);
    }
    while (n-- > 0 && !(task->flags & (GV_TASK_NOW | GV_TASK_RECEIVING))) {
        struct gv_message *message = gv_mailbox_take(&task->mailbox);

        if (message == NULL)
            break;
        loop->budget--;
        handle(loop, actor, task, message);
        if (gv_unlikely(task->flags & (GV_TASK_WAITED | GV_TASK_RECEIVING)))
            look_around(loop, actor);
        if (loop->budget <= 0)
            break;
    }
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    if (gv_unlikely(task->flags & (GV_TASK_STOPPING | GV_TASK_NOW | GV_TASK_RECEIVING)))
        leave(loop, actor);
    else if (task->mailbox.head != NULL)
        gv_sched_ready(loop, task);
}

void gv_actor_dispatch(void *loop)
{
    gv_dispatcher(loop, &gv_actor_class, run);
}

static void run_apart(struct gv_loop *loop, struct gv_task *task)
{
    run(loop, task);
}

/* --- signals ---------------------------------------------------------------------------------- */

void gv_actor_stop_apart(struct gv_loop *loop, struct gv_task *task, enum grove_stop_mode mode)
{
    if (((struct gv_actor *)task)->type->passivates)
        gv_passivation_withdraw(loop, (struct gv_actor *)task);
    task->flags |= mode != GROVE_STOP_DRAIN ? GV_TASK_STOPPING | GV_TASK_NOW : GV_TASK_STOPPING;
    if (mode == GROVE_STOP_KILL) {
        task->killed = 1;
        gv_task_cancel(loop, task);
    } else if (mode == GROVE_STOP_NOW && gv_task_is_out(task)) {
        gv_lend_stop(loop, task, false);
    }
    if (task->flags & GV_TASK_UNBORN)
        gv_post_is_stopped((struct gv_actor *)task);
    if (task->parent)
        gv_kin_told(loop, (struct gv_actor *)task, mode);
    gv_sched_ready(loop, task);
}

static void signal_actor(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    switch (message->method) {
    case GV_SIGNAL_INIT:
        gv_actor_start(loop, (struct gv_actor *)task, message);
        break;
    case GV_SIGNAL_STOP:
        gv_actor_stop(loop, task, ((struct gv_stop_body *)(void *)message->body)->mode);
        if (message->deadline_ms != 0)
            gv_doom_set(loop, task, message);
        else
            gv_task_tell_end(loop, task, message);
        break;
    case GV_SIGNAL_ORDER:
        gv_post_order(loop, (struct gv_actor *)task, message);
        break;
    case GV_SIGNAL_CANCEL:
        gv_task_cancel_request(loop, task, message);
        break;
    case GV_SIGNAL_ALARM:
        gv_alarm_told(loop, message);
        break;
    case GV_SIGNAL_PASSIVATE:
        gv_passivation_asked(loop, (struct gv_actor *)task, message);
        break;
    default:
        gv_message_give(&loop->blocks, message);
    }
}

static struct gv_waitlist *actor_waitlist(struct gv_task *task, bool make)
{
    struct gv_actor *actor = (struct gv_actor *)task;
    struct gv_rare *rare = make ? gv_actor_make_rare(actor) : gv_actor_rare(actor);

    return rare != NULL ? &rare->waitlist : NULL;
}

static void describe_actor(const struct gv_task *task, char *text, size_t room)
{
    const struct gv_actor *actor = (const struct gv_actor *)task;
    const struct gv_rare *rare = gv_actor_rare(actor);
    const char *name = actor->type->service->local_name;

    if (rare != NULL && rare->label[0] != '\0')
        (void)snprintf(text, room, "%s/%s", name, rare->label); /* A cut name is still a name. */
    else
        (void)snprintf(text, room, "%s/#%llu", name,
                       (unsigned long long)(gv_task_id(task) >> GV_SLOT_SHIFT));
}

/* Types, services and their names never change and never go; which they are is read from what may have. */
static void peek_actor(const struct gv_task *task, gv_read_fn read, char *text, size_t room)
{
    struct gv_actor actor;
    struct gv_type type;
    struct grove_service service;
    const struct gv_rare *rare;
    char label[GV_LABEL_BYTES] = "", name[32];
    size_t n = 0;

    if (!read(task, &actor, sizeof actor) || !read(actor.type, &type, sizeof type)
        || !read(type.service, &service, sizeof service))
        return;
    while (n < sizeof name - 1 && read(service.local_name + n, &name[n], 1) && name[n] != '\0')
        n++;
    name[n] = '\0';
    rare = gv_actor_rare(&actor);
    if (rare != NULL && read(rare->label, label, sizeof label) && label[0] != '\0')
        (void)snprintf(text, room, "%s/%.*s", name, (int)sizeof label,
                       label); /* A cut name is still a name. */
    else
        (void)snprintf(text, room, "%s/#%llu", name,
                       (unsigned long long)(gv_task_id(&actor.task) >> GV_SLOT_SHIFT));
}

/* --- on another loop -------------------------------------------------------------------------- */

/* The batch of an actor that is lent, then its way home. */
static void run_guest(struct gv_loop *loop, struct gv_task *guest)
{
    struct gv_actor *actor = (struct gv_actor *)gv_guest_task(guest);
    unsigned n = TURNS_MAX;

    guest->flags |= GV_TASK_BUSY;
    while (n-- > 0 && !(guest->flags & GV_TASK_NOW)) {
        struct gv_message *message = gv_mailbox_take(&guest->mailbox);

        if (message == NULL)
            break;
        loop->budget--;
        handle(loop, actor, guest, message);
        if (loop->budget <= 0)
            break;
    }
    guest->flags &= (uint8_t)~GV_TASK_BUSY;
    if (gv_unlikely(guest->turn != NULL))
        gv_bury(loop, guest);
    if (guest->mailbox.head != NULL && !(guest->flags & GV_TASK_NOW))
        gv_sched_ready(loop, guest);
    else
        gv_lend_return(loop, guest);
}

static void describe_guest(const struct gv_task *guest, char *text, size_t room)
{
    describe_actor(gv_guest_task(guest), text, room);
}

static void peek_guest(const struct gv_task *guest, gv_read_fn read, char *text, size_t room)
{
    const struct gv_task *task;

    if (gv_guest_peek(guest, read, &task))
        peek_actor(task, read, text, room);
}

static const struct gv_task_class guest_class = {
    .name = "lent actor",
    .run = run_guest,
    .describe = describe_guest,
    .peek = peek_guest,
    .form = GV_FORM_STRUCT,
    .kind = GROVE_REF_ACTOR,
};

const struct gv_task_class gv_actor_class = {
    .name = "actor",
    .run = run_apart,
    .signal = signal_actor,
    .waitlist = actor_waitlist,
    .describe = describe_actor,
    .peek = peek_actor,
    .mail_came = gv_beside_mail_came,
    .parked = gv_beside_parked,
    .cancel = gv_beside_cancel,
    .guest = &guest_class,
    .form = GV_FORM_STRUCT,
    .kind = GROVE_REF_ACTOR,
};
