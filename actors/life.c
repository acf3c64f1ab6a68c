/*
 * Life: an actor's first turn, its last one, and what is left to do after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/abandon.h"
#include "actors/actor.h"
#include "actors/call.h"
#include "actors/deadletter.h"
#include "actors/defer.h"
#include "actors/holding.h"
#include "actors/kept.h"
#include "actors/kin.h"
#include "actors/mail.h"
#include "actors/monitor.h"
#include "actors/passivate.h"
#include "actors/post.h"
#include "actors/verb.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/log.h"

struct gv_rare *gv_actor_make_rare(struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor), *made;

    if (rare != NULL)
        return rare;
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    /*
     * While it is lent, home and borrower may both want one. release: pairs
     * with the acquire in gv_actor_rare; acquire: the other's is as good.
     */
    if (atomic_compare_exchange_strong_explicit(&actor->rare, &rare, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    free(made);
    return rare;
}

static void begin_turn(struct gv_loop *loop, struct gv_actor *actor, struct gv_turn *turn)
{
    turn->task = &actor->task;
    turn->message = NULL;
    turn->method = NULL;
    turn->index = 0;
    turn->deadline_ms = 0;
    gv_turn_begin(loop, turn);
}

/* Whoever waits for the birth is told. Owns message. */
static void answer_birth(struct gv_loop *loop, const struct gv_turn *turn,
                         struct gv_message *message, int rc)
{
    if (rc != 0) {
        gv_call_fail(loop, message, rc, GROVE_STARTED_YES, gv_turn_reason(turn, rc));
    } else if (message->call != 0) {
        message->code = 0;
        gv_call_answer(loop, message);
    } else {
        gv_message_give(&loop->blocks, message);
    }
}

void gv_actor_note_failure(struct gv_task *task, const char *why, int code)
{
    struct gv_actor *actor = (struct gv_actor *)gv_actor_of(task);
    struct gv_rare *rare;

    task->failed = 1;
    if (why == NULL || why[0] == '\0')
        why = grove_error_name(code);
    rare = gv_actor_make_rare(actor);
    /* Without memory nobody is told why. */
    if (rare == NULL)
        return;
    free(rare->why);
    rare->why = strdup(why);
}

/* What a failure makes of its flags: one that may be restarted goes on to take mail. */
static uint8_t end_flags(const struct gv_task *task)
{
    return gv_actor_post((const struct gv_actor *)task) != NULL ? GV_TASK_NOW
                                                                : GV_TASK_STOPPING | GV_TASK_NOW;
}

void gv_actor_failed(const struct gv_turn *turn)
{
    char name[64];

    turn->task->class->describe(turn->task, name, sizeof name);
    gv_log(GV_LOG_ERROR, "actor.failed", "actor=%s method=%s why=\"%s\"", name,
           turn->method != NULL ? turn->method->name : "down", turn->why);
    gv_dead_note_turn(gv_loop_here, turn);
    gv_actor_note_failure(turn->task, turn->why, GROVE_EDOWN);
    turn->task->flags |= end_flags(gv_actor_of(turn->task));
}

int gv_actor_judge(struct gv_turn *turn, int code)
{
    const struct gv_actor *actor = (const struct gv_actor *)gv_actor_of(turn->task);
    const struct gv_post *post = gv_actor_post(actor);
    char why[GV_WHY_BYTES];
    const char *reason;

    if (code >= 0 || gv_turn_has_failed(turn) || turn->cancelled
        || !(actor->type->on_error || (post != NULL && post->on_error)))
        return code;
    reason = gv_turn_reason(turn, code);
    (void)snprintf(why, sizeof why, "%s returned %s%s%.120s", turn->method->local_name,
                   grove_error_name(code), reason != NULL && reason[0] != '\0' ? ": " : "",
                   reason != NULL ? reason : ""); /* A cut reason is still a reason. */
    turn->odd |= GV_ODD_FAILED;
    (void)gv_turn_failure(turn); /* Only for its room. */
    memcpy(turn->why, why, sizeof why);
    gv_actor_failed(turn);
    return GROVE_EDOWN;
}

/* Its init has done what few do. Returns what it is taken to have returned instead of rc. */
static GV_RARE int end_oddly(struct gv_turn *turn, int rc)
{
    gv_turn_clean_up(turn);
    return gv_turn_has_failed(turn) ? GROVE_EDOWN : rc;
}

void gv_actor_first_turn(struct gv_loop *loop, struct gv_actor *actor)
{
    const struct gv_type *type = actor->type;
    struct gv_birth *birth = gv_actor_birth(actor);
    struct gv_message *message = birth->message;
    const void *argument = birth->argument;
    _Alignas(16) unsigned char copied[GV_BIRTH_COPIED_MAX];
    struct gv_turn turn;
    int rc = 0;

    if (gv_unlikely(type->passivates)) {
        if (!gv_passivation_may_wake(actor))
            return;
    } else if (argument == birth->copied) {
        argument = memcpy(copied, birth->copied, sizeof copied);
        memset(birth->copied, 0, sizeof copied);
    }
    birth->message = NULL;
    birth->argument = NULL; /* From here on it is state. */
    begin_turn(loop, actor, &turn);
    turn.message = message; /* Whoever abandons the turn answers it. */
    if (gv_unlikely(type->passivates))
        rc = gv_passivation_revive(actor);
    if (type->has_init && rc == 0)
        rc = type->service->init(type->functions, gv_actor_state(actor), argument);
    if (gv_unlikely(turn.odd))
        rc = end_oddly(&turn, rc);
    gv_turn_settle(loop, &turn);
    if (message != NULL)
        answer_birth(loop, &turn, message, rc);
    gv_turn_end_of(loop, &turn, &actor->task);
    if (rc == 0) {
        actor->task.flags &= (uint8_t)~GV_TASK_UNBORN;
        if (gv_unlikely(type->passivates) && gv_passivation_watch(loop, actor))
            return;
        if (gv_actor_post(actor) != NULL)
            gv_post_is_up(loop, actor);
        return;
    }
    gv_actor_note_failure(&actor->task, gv_turn_reason(&turn, rc), rc);
    actor->task.flags |= end_flags(&actor->task);
    if (gv_actor_post(actor) != NULL)
        gv_actor_post(actor)->code = rc;
    birth->message = NULL; /* That was state, and its end must find no message there. */
}

void gv_actor_last_turn(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_turn turn;

    actor->task.flags |= GV_TASK_BUSY;
    begin_turn(loop, actor, &turn);
    turn.odd = GV_ODD_LAST;
    actor->type->service->deinit(actor->type->functions, gv_actor_state(actor));
    gv_turn_clean_up(&turn);
    gv_turn_settle(loop, &turn);
    gv_turn_end(loop, &turn);
    actor->task.flags &= (uint8_t)~GV_TASK_BUSY;
}

enum grove_down_reason gv_actor_ending(const struct gv_task *task)
{
    if (task->failed)
        return GROVE_DOWN_FAILED;
    return task->killed ? GROVE_DOWN_KILLED : GROVE_DOWN_STOPPED;
}

void gv_actor_forget(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);

    if (rare == NULL)
        return;
    gv_holdings_close(&rare->waitlist.held);
    gv_doom_lift(loop, &rare->waitlist);
    if (rare->waitlist.kept != NULL) {
        gv_alarms_end(loop, &rare->waitlist.kept->alarms);
        gv_replies_end(loop, &rare->waitlist.kept->replies);
    }
    gv_monitors_forget(loop, &rare->waitlist);
}

void gv_actor_free_parts(struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);

    if (actor->type->state_apart)
        free(*(void **)(void *)actor->state);
    if (actor->type->passivates)
        free(gv_actor_passivation(actor)->copied);
    if (rare != NULL)
        free(rare->why);
    if (rare != NULL)
        free(rare->beside);
    free(rare);
}

/* What few actors have. Returns who waits for the end. */
static GV_RARE struct gv_message *end_parts(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);
    struct gv_message *waiters = NULL;

    gv_task_orphan_mail(loop, &actor->task, GROVE_ENOACTOR);
    if (actor->type->passivates)
        gv_passivation_end(loop, actor);
    if (rare != NULL) {
        waiters = rare->waitlist.stop_waiters;
        gv_holdings_close(&rare->waitlist.held);
        gv_doom_lift(loop, &rare->waitlist);
        if (rare->post != NULL)
            gv_post_end(loop, actor);
        gv_kept_end(loop, rare->waitlist.kept);
        gv_monitors_end(loop, &actor->task, &rare->waitlist,
                        &(struct gv_ending){gv_actor_ending(&actor->task), rare->why});
    }
    gv_actor_free_parts(actor);
    return waiters;
}

bool gv_actor_bury(struct gv_loop *loop, struct gv_actor *actor)
{
    bool was_last = actor->task.turn->method == NULL && !(actor->task.flags & GV_TASK_UNBORN);

    gv_bury(loop, &actor->task);
    if (actor->task.flags & GV_TASK_UNBORN)
        gv_actor_birth(actor)->message = NULL; /* It was state by then. */
    return was_last;
}

/* Of one whose end means more than that its slot is free. */
static GV_APART void end_apart(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;
    struct gv_message *waiters = NULL;
    bool deinit_is_over = gv_unlikely(task->turn != NULL) && gv_actor_bury(loop, actor);

    task->flags |= GV_TASK_STOPPING;
    if (!(task->flags & GV_TASK_UNBORN)) {
        if (actor->type->has_deinit && !deinit_is_over)
            gv_actor_last_turn(loop, actor);
    } else if (gv_actor_birth(actor)->message != NULL) {
        gv_mail_orphaned(loop, gv_actor_birth(actor)->message, GROVE_ENOACTOR, GROVE_DEAD_STOPPED);
    }
    if (task->mailbox.head != NULL || actor->rare != NULL || actor->type->state_apart)
        waiters = end_parts(loop, actor);
    gv_kin_leave(loop, task);
    if (gv_unlikely(waiters != NULL))
        gv_task_ended(loop, waiters);
}

void gv_actor_end(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;
    const struct gv_type *type = actor->type;

    if (task->turn != NULL || task->flags & GV_TASK_UNBORN || task->mailbox.head != NULL
        || gv_actor_rare(actor) != NULL || type->has_deinit || type->state_apart)
        end_apart(loop, actor);
    else
        gv_kin_leave(loop, task);
}
