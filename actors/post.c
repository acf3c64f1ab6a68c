#include "actors/post.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/kin.h"
#include "actors/mail.h"
#include "actors/passivate.h"
#include "actors/supervisor.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/* --- reports -------------------------------------------------------------------------------------- */

void gv_report_send(struct gv_loop *loop, uint64_t supervisor, struct gv_message *message,
                    const struct gv_report *what)
{
    const struct gv_task *task = gv_slot_task(supervisor);

    message->method = GV_SIGNAL_REPORT;
    message->form_flags = 0;
    message->call = 0;
    message->to = supervisor;
    memcpy(message->body, what, sizeof *what);
    if (task->loop != loop->index)
        gv_loop_post(loop, task->loop, message);
    else
        gv_supervisor_report_came(loop, gv_slot_find(supervisor), message);
}

static void report(struct gv_loop *loop, const struct gv_actor *actor, struct gv_message *message,
                   const struct gv_report *what)
{
    message->from = gv_task_id(&actor->task);
    gv_report_send(loop, gv_actor_post(actor)->supervisor, message, what);
}

void gv_post_is_up(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_report));

    /* Without memory its supervisor goes on believing that it starts, until it goes down. */
    if (message != NULL)
        report(loop, actor, message,
               &(struct gv_report){.child = gv_actor_post(actor)->child, .kind = GV_REPORT_UP});
}

void gv_post_end(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_post *post = gv_actor_post(actor);

    if (!post->stillborn)
        report(loop, actor, post->spare,
               &(struct gv_report){.child = post->child, .kind = GV_REPORT_ENDED});
    else
        gv_message_give(&loop->blocks, post->spare);
    free(post->copied);
    free(post);
    gv_actor_rare(actor)->post = NULL;
}

/* --- begin ---------------------------------------------------------------------------------------- */

/* Its next turn is the first one of an incarnation. It is down, or was never up. */
static void begin(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_post *post = gv_actor_post(actor);
    struct gv_task *task = &actor->task;

    gv_actor_birth(actor)->argument = post->argument;
    post->down = false;
    post->until_ms = 0;
    post->lingers = false;
    post->code = 0;
    task->failed = task->killed = 0;
    task->flags &= (uint8_t) ~(GV_TASK_BUSY | GV_TASK_NOW | GV_TASK_STOPPING);
    task->flags |= GV_TASK_UNBORN;
    gv_sched_ready(loop, task);
}

void gv_post_start(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message)
{
    struct gv_post *post = gv_actor_post(actor);

    post->spare = message;
    if (!post->stillborn) {
        begin(loop, actor);
        return;
    }
    actor->task.flags = (actor->task.flags & (uint8_t)~GV_TASK_BUSY) | GV_TASK_STOPPING
                        | GV_TASK_NOW | GV_TASK_UNBORN;
    gv_sched_ready(loop, &actor->task);
}

/* --- down ----------------------------------------------------------------------------------------- */

/* What was of this incarnation only. */
static void forget(struct gv_loop *loop, struct gv_actor *actor)
{
    gv_actor_forget(loop, actor);
    if (actor->type->passivates)
        gv_passivation_end(loop, actor);
    if (gv_actor_state(actor) != NULL) /* It was passive. */
        memset(gv_actor_state(actor), 0, actor->type->state_bytes);
    memset(gv_actor_birth(actor), 0, sizeof(struct gv_birth));
}

static void report_down(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_post *post = gv_actor_post(actor);
    const char *why = gv_actor_rare(actor)->why;
    struct gv_message *message = post->spare;

    post->spare = NULL;
    report(loop, actor, message,
           &(struct gv_report){
               .child = post->child,
               .why = why != NULL ? strdup(why) : NULL, /* Without memory it stays untold. */
               .kind = GV_REPORT_DOWN,
               .reason = gv_actor_ending(&actor->task),
               .code = post->code,
           });
}

void gv_post_leave(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_post *post = gv_actor_post(actor);
    struct gv_task *task = &actor->task;
    bool deinit_is_over;

    if (post->stillborn) {
        gv_actor_end(loop, actor);
        return;
    }
    deinit_is_over = task->turn != NULL && gv_actor_bury(loop, actor);
    if (!(task->flags & GV_TASK_UNBORN) && actor->type->has_deinit && !deinit_is_over)
        gv_actor_last_turn(loop, actor);
    forget(loop, actor);
    task->flags |= GV_TASK_BUSY | GV_TASK_NOW | GV_TASK_UNBORN;
    post->down = true;
    if (task->flags & GV_TASK_STOPPING)
        gv_task_orphan_mail(loop, task, GROVE_ESTOPPING);
    /* The last thing done here: it may begin anew, or be gone, when this returns. */
    report_down(loop, actor);
}

void gv_post_is_stopped(struct gv_actor *actor)
{
    struct gv_post *post = gv_actor_post(actor);

    if (post != NULL && post->down)
        post->stopped = true;
}

/* --- mail meanwhile ------------------------------------------------------------------------------- */

static bool stays(const struct gv_task *task, const struct gv_message *message)
{
    const struct gv_post *post = gv_actor_post((const struct gv_actor *)task);

    if ((post->until_ms == 0 && !post->lingers) || message->call == 0
        || message->form_flags & (GV_FLAG_ENTRY | GV_FLAG_COUNTED)
        || message->method >= GV_NOTICE_FIRST)
        return true;
    if (post->lingers && gv_kin_descends(message->from, task))
        return false; /* It would wait for this one, which waits for it to end. */
    return post->until_ms == 0 || message->deadline_ms == 0
           || !gv_ms_before(message->deadline_ms, post->until_ms);
}

bool gv_post_admits(const struct gv_task *task, const struct gv_message *message)
{
    return task->class != &gv_actor_class || gv_actor_post((const struct gv_actor *)task) == NULL
           || stays(task, message);
}

/* Takes all out of its mail that does not stay, oldest first. */
static struct gv_message *sift(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_message *gone = NULL, **end = &gone, *message;
    struct gv_waitlist *list = task->class->waitlist(task, false);

    for (uint32_t n = gv_mailbox_depth(&task->mailbox); n > 0; n--) {
        message = gv_mailbox_take_user(&task->mailbox);
        if (stays(task, message)
            && gv_mailbox_push(&task->mailbox, message, UINT32_MAX, UINT32_MAX) == 0)
            continue;
        *end = message;
        end = &message->next;
    }
    for (uint32_t n = task->flags & GV_TASK_WAITED ? list->n : 0; n > 0; n--) {
        message = gv_waitlist_take(list);
        if (list->n == 0)
            task->flags &= (uint8_t)~GV_TASK_WAITED;
        if (stays(task, message) && gv_task_wait_for_room(task, message) == 0)
            continue;
        *end = message;
        end = &message->next;
    }
    *end = NULL;
    if (task->flags & GV_TASK_WAITED)
        gv_task_let_in(loop, task);
    return gone;
}

/* Who is not to wait in its mail is told now. */
static void send_away(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_message *message = sift(loop, &actor->task);

    while (message != NULL) {
        struct gv_message *next = message->next;

        gv_call_fail(loop, message, GROVE_EDOWN,
                     message->form_flags & GV_FLAG_BEGUN ? GROVE_STARTED_YES : GROVE_STARTED_NO,
                     gv_mail_reason(GROVE_EDOWN));
        message = next;
    }
}

/* It will be down until then: who cannot wait so long is told now. */
static void wait_until(struct gv_loop *loop, struct gv_actor *actor, uint32_t until_ms)
{
    gv_actor_post(actor)->until_ms = until_ms;
    send_away(loop, actor);
}

void gv_post_lingers(struct gv_loop *loop, struct gv_actor *actor)
{
    gv_actor_post(actor)->lingers = true;
    send_away(loop, actor);
}

/* --- orders --------------------------------------------------------------------------------------- */

/* Ends this incarnation behind the running handler; the mail stays. */
static void rest(struct gv_loop *loop, struct gv_task *task, bool cancel)
{
    if (((struct gv_actor *)task)->type->passivates)
        gv_passivation_withdraw(loop, (struct gv_actor *)task);
    task->flags |= GV_TASK_NOW;
    task->killed |= cancel;
    if (gv_task_is_out(task))
        gv_lend_stop(loop, task, cancel);
    else if (cancel)
        gv_turn_cancel(loop, task->turn);
    if (task->parent)
        gv_kin_told(loop, (struct gv_actor *)task, cancel ? GROVE_STOP_KILL : GROVE_STOP_NOW);
    gv_sched_ready(loop, task);
}

/* What a kill does not end by itself within so long, such as who waits behind a shield, is abandoned. Owns message. */
static void doom(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_stop_body *body = (struct gv_stop_body *)(void *)message->body;

    message->deadline_ms = gv_deadline_in(loop, GV_KILL_MS);
    body->mode = GROVE_STOP_KILL;
    body->doom.mail_stays = true;
    gv_doom_set(loop, task, message);
}

/* Owns message. */
static void begin_anew(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message)
{
    struct gv_post *post = gv_actor_post(actor);
    struct gv_task *task = &actor->task;
    struct gv_rare *rare = gv_actor_rare(actor);
    struct gv_message *waiters = rare->waitlist.stop_waiters;

    gv_assert(post->down);
    post->spare = message;
    rare->waitlist.stop_waiters = NULL;
    if (post->stopped) {
        /* Somebody has stopped it while it was down: as if that had come in its first turn. */
        post->stopped = false;
        task->flags &= (uint8_t)~GV_TASK_STOPPING;
        task->failed = 0;
        report_down(loop, actor);
    } else {
        free(rare->why);
        rare->why = NULL;
        gv_probe(&loop->probes, RESTART, gv_task_id(task), ++post->n_begun);
        begin(loop, actor);
    }
    gv_task_ended(loop, waiters);
}

void gv_post_order(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message)
{
    struct gv_order order = *(struct gv_order *)(void *)message->body;
    struct gv_post *post = gv_actor_post(actor);

    switch (order.kind) {
    case GV_ORDER_BEGIN:
        begin_anew(loop, actor, message);
        return;
    case GV_ORDER_END:
        gv_assert(post->down);
        post->spare = message;
        actor->task.flags &= (uint8_t)~GV_TASK_BUSY;
        gv_actor_end(loop, actor);
        return;
    case GV_ORDER_REST:
        if (!post->down)
            rest(loop, &actor->task, false);
        break;
    case GV_ORDER_KILL:
        if (post->down)
            break;
        rest(loop, &actor->task, true);
        doom(loop, &actor->task, message);
        return;
    case GV_ORDER_FINISH:
        if (!post->down)
            gv_actor_stop(loop, &actor->task, order.mode);
        break;
    case GV_ORDER_WAIT:
        if (post->down)
            wait_until(loop, actor, gv_deadline_in(loop, order.wait_ms));
        break;
    }
    gv_message_give(&loop->blocks, message);
}
