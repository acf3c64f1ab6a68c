#include "actors/passivate.h"

#include <stdlib.h>
#include <string.h>

#include <grove/call.h>
#include <grove/error.h>
#include <grove/passivate.h>

#include "actors/kept.h"
#include "actors/kin.h"
#include "actors/post.h"
#include "actors/verb.h"
#include "actors/watching.h"
#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define LOOKS     4u  /* that must find it quiet */
#define DELAY_MAX 10u /* one who has asked and is not idle is looked at after 1, 2, 4 … 1024 ms */

static struct gv_actor *actor_of(struct gv_timer *timer)
{
    char *record = (char *)timer - offsetof(struct gv_passivation, timer);

    return (struct gv_actor *)(void *)(record - sizeof(struct gv_birth) - sizeof(void *)
                                       - offsetof(struct gv_actor, state));
}

static void **state_of(struct gv_actor *actor)
{
    return (void **)(void *)actor->state;
}

/* --- is it idle? ------------------------------------------------------------------------------ */

/* What its turns have left that somebody waits for; or, unless it has asked, that will wake it. */
static bool is_kept_awake(struct gv_actor *actor, bool asked)
{
    const struct gv_rare *rare = gv_actor_rare(actor);
    const struct gv_waitlist *list;

    if (rare == NULL)
        return false;
    list = &rare->waitlist;
    if (list->kept != NULL
        && (list->kept->stash.messages.head != NULL || gv_replies_wait(&list->kept->replies)
            || (list->kept->alarms.n > 0 && !asked)))
        return true;
    return !asked && (list->held != NULL || (list->watching != NULL && list->watching->n > 0));
}

/* Nothing is to be done by it, here and now. */
static bool is_idle(struct gv_actor *actor)
{
    const struct gv_task *task = &actor->task;

    /* relaxed: one that is passivated while the program ends is stopped all the same. */
    return (task->flags & (uint8_t)~GV_TASK_LINGERS) == 0 && task->mailbox.head == NULL
           && task->turn == NULL && !gv_kin_has_children(task) /* They would end with its state. */
           && !atomic_load_explicit(&gv_runtime.closing, memory_order_relaxed);
}

/* --- the timer -------------------------------------------------------------------------------- */

static void look_in(struct gv_loop *loop, struct gv_passivation *me, uint32_t ms)
{
    gv_wheel_arm_exactly(&loop->wheel, &me->timer,
                         loop->wheel.now_grains + (uint64_t)ms * GV_GRAINS_PER_MS);
}

/* When it is to be looked at the next time. */
static void look_later(struct gv_loop *loop, struct gv_passivation *me)
{
    if (me->asked) {
        look_in(loop, me, 1u << me->n_asked);
        if (me->n_asked < DELAY_MAX)
            me->n_asked++;
    } else if (me->after_ms != GROVE_INFINITE) {
        look_in(loop, me, (me->after_ms - 1) / LOOKS + 1);
    }
}

/* True if it has been quiet for so long that its state can go. Marks it for the next look. */
static bool is_quiet(struct gv_passivation *me, struct gv_task *task)
{
    if (task->flags & GV_TASK_LINGERS)
        return ++me->n_quiet == LOOKS;
    me->n_quiet = 0;
    task->flags |= GV_TASK_LINGERS;
    return false;
}

static void look(struct gv_timer *timer)
{
    struct gv_actor *actor = actor_of(timer);
    struct gv_passivation *me = gv_actor_passivation(actor);
    struct gv_loop *loop = gv_loop_here;

    if (!is_idle(actor) || is_kept_awake(actor, me->asked)) {
        me->n_quiet = 0;
    } else if (me->asked || is_quiet(me, &actor->task)) {
        me->due = true;
        actor->task.flags |= GV_TASK_NOW;
        gv_sched_ready(loop, &actor->task);
        return;
    }
    look_later(loop, me);
}

/* --- there and back --------------------------------------------------------------------------- */

static void count_passive(struct gv_loop *loop, struct gv_actor *actor, bool passive)
{
    gv_actor_passivation(actor)->passive = passive;
    gv_figure_set(&loop->stats.passive, loop->stats.passive + (passive ? 1 : (uint64_t)-1));
    if (passive)
        gv_figure_set(&loop->stats.passivations, loop->stats.passivations + 1);
    gv_probe(&loop->probes, PASSIVE, gv_task_id(&actor->task), passive);
}

/* Those few actors that have once deferred a reply need the numbers of their tokens still. */
static void free_kept(struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);

    if (rare == NULL || rare->waitlist.kept == NULL || rare->waitlist.kept->replies.slots != NULL)
        return;
    free(rare->waitlist.kept);
    rare->waitlist.kept = NULL;
}

/* Its state is gone, and what belonged to that; the next message finds it as a spawned one. */
static void give_back(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);
    struct gv_birth *birth = gv_actor_birth(actor);
    const struct gv_post *post = gv_actor_post(actor);

    gv_actor_forget(loop, actor);
    free_kept(actor);
    free(*state_of(actor));
    *state_of(actor) = NULL;
    birth->message = NULL;
    birth->argument = post != NULL ? post->argument : me->argument;
    me->asked = false;
    me->n_asked = me->n_quiet = 0;
    gv_wheel_disarm(&loop->wheel, &me->timer);
    actor->task.flags |= GV_TASK_UNBORN;
    count_passive(loop, actor, true);
}

void gv_passivation_run(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);
    struct gv_task *task = &actor->task;

    me->due = false;
    task->flags &= (uint8_t)~GV_TASK_NOW;
    if (is_idle(actor) && !is_kept_awake(actor, me->asked)) {
        if (actor->type->has_deinit)
            gv_actor_last_turn(loop, actor);
        give_back(loop, actor);
    } else {
        me->n_quiet = 0;
        look_later(loop, me);
    }
    /* What came meanwhile wakes it, or ends it. */
    if (task->mailbox.head != NULL || task->flags & (GV_TASK_STOPPING | GV_TASK_NOW))
        gv_sched_ready(loop, task);
}

bool gv_passivation_may_wake(struct gv_actor *actor)
{
    return !gv_actor_passivation(actor)->passive || actor->task.mailbox.head != NULL;
}

int gv_passivation_revive(struct gv_actor *actor)
{
    if (*state_of(actor) == NULL)
        *state_of(actor) = calloc(1, actor->type->state_bytes > 0 ? actor->type->state_bytes : 1);
    return *state_of(actor) != NULL ? 0 : GROVE_ENOMEM;
}

bool gv_passivation_watch(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);
    bool was_passive = me->passive;

    if (was_passive)
        count_passive(loop, actor, false);
    me->n_quiet = 0;
    if (!gv_timer_is_armed(&me->timer))
        look_later(loop, me);
    return was_passive;
}

/* --- begin and end ---------------------------------------------------------------------------- */

int gv_passivation_prepare(struct gv_actor *actor, const void *argument,
                           const struct grove_spawn_options *options)
{
    const struct grove_actor_functions *functions = actor->type->functions;
    struct gv_passivation *me = gv_actor_passivation(actor);
    size_t bytes = options->argument_bytes;

    gv_timer_init(&me->timer, look);
    me->after_ms = options->passivate_after_ms != 0 ? options->passivate_after_ms
                                                    : functions->passivate_after_ms;
    me->argument = argument;
    if (bytes > 0 && bytes <= GV_BIRTH_COPIED_MAX)
        me->argument = gv_actor_birth(actor)->copied; /* It will lie there, and stays. */
    if (bytes <= GV_BIRTH_COPIED_MAX)
        return 0;
    me->copied = malloc(bytes);
    if (me->copied == NULL)
        return GROVE_ENOMEM;
    me->argument = memcpy(me->copied, argument, bytes);
    return 0;
}

void gv_passivation_withdraw(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);

    if (!me->due)
        return;
    me->due = false;
    actor->task.flags &= (uint8_t)~GV_TASK_NOW;
    look_later(loop, me);
}

void gv_passivation_end(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);

    gv_wheel_disarm(&loop->wheel, &me->timer);
    me->asked = me->due = false;
    me->n_asked = me->n_quiet = 0;
    if (me->passive)
        count_passive(loop, actor, false);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_passivation *me = gv_actor_passivation(actor);

    me->asked = true;
    me->n_asked = 0;
    look_in(loop, me, 0);
}

void gv_passivation_asked(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message)
{
    gv_message_give(&loop->blocks, message);
    ask(loop, actor);
}

int grove_passivate(void)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct gv_message *message;
    struct gv_task *task;

    if (turn == NULL || turn->task == NULL
        || gv_kept_task(loop, turn->task)->class != &gv_actor_class)
        return gv_usage("grove_passivate: only the handler of an actor can ask for it; a greenlet "
                        "returns when it has nothing to do");
    task = gv_kept_task(loop, turn->task);
    if (!((struct gv_actor *)task)->type->passivates)
        return gv_usage("grove_passivate: spawn this actor with passivate_after_ms, so that it can "
                        "be begun again; GROVE_INFINITE there: only when it asks");
    if (task->loop == loop->index) {
        ask(loop, (struct gv_actor *)task);
        return 0;
    }
    message = gv_message_take(&loop->blocks, 0);
    if (message == NULL)
        return gv_turn_failed(turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    message->method = GV_SIGNAL_PASSIVATE;
    message->to = gv_task_id(task);
    gv_loop_post(loop, task->loop, message);
    return 0;
}
