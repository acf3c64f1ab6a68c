#include "actors/beside.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/abandon.h"
#include "actors/call.h"
#include "actors/inside.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/runtime.h"

static const struct gv_wait wait_beside = {.kind = GV_WAIT_OUT};
const struct gv_turn gv_turn_beside = {.wait = (struct gv_wait *)&wait_beside};

static void run_side(struct gv_loop *loop, struct gv_task *task);
static void describe_side(const struct gv_task *task, char *text, size_t room);

/* Of the entries in the run queue; nobody sends to them. */
static const struct gv_task_class side_class = {
    .name = "further turn",
    .run = run_side,
    .describe = describe_side,
    .form = GV_FORM_STRUCT,
    .kind = GROVE_REF_ACTOR,
};

/* --- who may come in ---------------------------------------------------------------------------- */

static bool reads(const struct gv_message *message)
{
    return gv_entrant_is_request(message) && gv_methods[message->method].method->readonly;
}

/* True if all that are inside let it in. */
static bool all_let_in(const struct gv_task *task, const struct gv_entrant *guest)
{
    const struct gv_turn *turn = gv_beside_main(task);

    if (turn != NULL && !gv_turn_lets_in(turn, guest))
        return false;
    for (const struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
        if (!gv_side_lets_in(side, guest))
            return false;
    return true;
}

/* Makes a side for a message that is in no mailbox any more; false without memory. */
static bool let_in(struct gv_loop *loop, struct gv_task *task, struct gv_message *request,
                   bool as_reader)
{
    struct gv_beside *beside = gv_beside_of(task);
    struct gv_message *block = gv_message_take(&loop->blocks, sizeof(struct gv_side));
    struct gv_side *side;

    if (block == NULL)
        return false;
    side = (struct gv_side *)(void *)block->body;
    *side = (struct gv_side){
        .queued = {.class = &side_class, .loop = task->loop, .arrived = 1, .pinned = 1},
        .actor = (struct gv_actor *)task,
        .older = beside->newest,
        .message = request,
        .call = request->call,
        .reads = as_reader,
    };
    atomic_init(&side->queued.id, gv_task_id(task));
    if (beside->n++ == 0) {
        beside->main = task->turn;
        beside->main_left = false;
    }
    beside->newest = side;
    task->turn = (struct gv_turn *)&gv_turn_beside;
    gv_sched_ready(loop, &side->queued);
    return true;
}

/* A message goes back to the front of the mailbox it was taken from. */
static void put_back(struct gv_task *task, struct gv_message *message)
{
    uint64_t share = gv_mailbox_share(message);
    struct gv_mailbox batch = {message, message, share};

    message->next = NULL;
    task->mailbox.load += share;
    gv_mailbox_rejoin(&task->mailbox, &batch, share);
}

/* Readers at the head of the mailbox come in while all inside are readers. */
static void let_readers_in(struct gv_loop *loop, struct gv_task *task)
{
    const struct gv_entrant reader = {.reads = true, .first = true};

    while (task->mailbox.head != NULL && reads(task->mailbox.head)
           && gv_beside_of(task)->n < GV_BESIDE_MAX && all_let_in(task, &reader)) {
        struct gv_message *request = gv_mailbox_take(&task->mailbox);

        if (!let_in(loop, task, request, true)) {
            put_back(task, request);
            return;
        }
        if (task->flags & GV_TASK_WAITED)
            gv_task_let_in(loop, task);
    }
}

/* Takes a request that the chain of its call lets in; true if it came in. */
static bool let_chained_in(struct gv_loop *loop, struct gv_task *task, uint64_t call,
                           const struct gv_chain_walk *walk)
{
    const struct gv_entrant guest = {.walk = walk};
    struct gv_message *request;

    if (gv_beside_of(task)->n == GV_BESIDE_MAX || !all_let_in(task, &guest))
        return false;
    request = gv_task_take_back(loop, task, call);
    gv_assert(request != NULL);
    if (let_in(loop, task, request, false))
        return true;
    put_back(task, request);
    return false;
}

/* A request that waits: does a grant let it in? Asks other loops if only they know. */
static bool try_chained(struct gv_loop *loop, struct gv_task *task, struct gv_message *request)
{
    struct gv_chain_walk walk = {.task = gv_task_id(task), .at = request->call};

    if (!gv_entrant_is_request(request) || request->call == 0
        || request->form_flags
               & (GV_FLAG_ENTRY | GV_FLAG_COUNTED | GV_FLAG_ASKED | GV_FLAG_STRANGER))
        return false;
    gv_chain_follow(loop, &walk, NULL);
    if (walk.at != 0 && gv_beside_heard_of(task, request->call) != NULL)
        walk = *gv_beside_heard_of(task, request->call);
    if (walk.at == 0)
        return let_chained_in(loop, task, request->call, &walk);
    request->form_flags |= GV_FLAG_ASKED;
    gv_chain_ask(loop, &walk, request->call);
    return false;
}

/* One comes in at most: it lets in nobody itself before it has granted something. */
static void let_chain_in(struct gv_loop *loop, struct gv_task *task)
{
    for (struct gv_message *request = task->mailbox.head; request != NULL; request = request->next)
        if (try_chained(loop, task, request))
            return;
    for (struct gv_message *request = gv_beside_first_waiting(task); request != NULL;
         request = request->next)
        if (try_chained(loop, task, request))
            return;
}

/* Looks who may come in now. */
static void look(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_rare *rare = gv_actor_make_rare((struct gv_actor *)task);

    if (rare != NULL && rare->beside == NULL)
        rare->beside = calloc(1, sizeof *rare->beside);
    /* Without memory they wait until the actor is free. */
    if (rare == NULL || rare->beside == NULL || task->flags & GV_TASK_NOW || rare->beside->looking)
        return;
    rare->beside->looking = true;
    let_readers_in(loop, task);
    if (gv_beside_any_grants(task))
        let_chain_in(loop, task);
    rare->beside->looking = false;
}

void gv_beside_mail_came(struct gv_loop *loop, struct gv_task *task)
{
    look(loop, task);
}

void gv_beside_parked(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->task->mailbox.head != NULL)
        look(loop, turn->task);
}

void gv_beside_heard(struct gv_loop *loop, struct gv_task *task, uint64_t call,
                     const struct gv_chain_walk *walk)
{
    struct gv_message *request;

    if (!(task->flags & GV_TASK_RECEIVING) || gv_beside_of(task) == NULL)
        return;
    request = gv_beside_find_waiting(task, call);
    if (request == NULL)
        return; /* Taken back, or handled meanwhile. */
    request->form_flags &= (uint8_t)~GV_FLAG_ASKED;
    if (walk->n == 0) {
        request->form_flags |= GV_FLAG_STRANGER;
    } else if (!let_chained_in(loop, task, call, walk)) {
        struct gv_beside *beside = gv_beside_of(task);

        beside->heard[beside->n_heard++ % GV_BESIDE_HEARD] = (struct gv_heard){call, *walk};
    }
}

/* --- the turns ---------------------------------------------------------------------------------- */

static void wake_if_alone(struct gv_loop *loop, const struct gv_task *task, struct gv_turn *turn)
{
    if (turn != NULL && turn->wait != NULL && turn->wait->kind == GV_WAIT_BESIDE
        && !turn->wait->woken && gv_beside_is_alone(task, turn))
        gv_wake(loop, turn->wait, 0);
}

/* One of several turns has ended. */
static void go_on(struct gv_loop *loop, struct gv_task *task)
{
    wake_if_alone(loop, task, gv_beside_main(task));
    for (struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
        wake_if_alone(loop, task, side->turn);
    look(loop, task);
}

static void side_ended(struct gv_loop *loop, struct gv_side *side)
{
    struct gv_actor *actor = side->actor;
    struct gv_task *task = &actor->task;
    struct gv_beside *beside = gv_beside_of(task);
    struct gv_side **place = &beside->newest;

    while (*place != side)
        place = &(*place)->older;
    *place = side->older;
    gv_message_give(&loop->blocks,
                    (struct gv_message *)((char *)side - offsetof(struct gv_message, body)));
    /* The end of its turn has left nothing there. */
    task->turn = --beside->n == 0 ? beside->main : (struct gv_turn *)&gv_turn_beside;
    if (beside->n == 0 && (beside->main == NULL || beside->main->opens == 0))
        task->flags &= (uint8_t)~GV_TASK_RECEIVING;
    if (beside->n == 0 && (beside->main == NULL || beside->main_left))
        gv_actor_rest(loop,
                      actor); /* The end of the actor, if nothing else, buries one that is left. */
    else
        go_on(loop, task);
}

static void run_side(struct gv_loop *loop, struct gv_task *queued)
{
    struct gv_side *side = (struct gv_side *)queued;
    struct gv_message *message = side->message;
    struct gv_task *task = &side->actor->task;

    side->message = NULL;
    loop->budget--;
    if (side->turn != NULL)
        gv_bury_turn(loop, side->turn); /* The run that began it lies on the stack it had. */
    else if (message != NULL && task->flags & GV_TASK_NOW)
        put_back(task, message); /* What becomes of it is decided with the others. */
    else if (message != NULL)
        gv_actor_handle_beside(loop, side, message);
    side->turn = NULL;
    side_ended(loop, side);
}

static void describe_side(const struct gv_task *queued, char *text, size_t room)
{
    const struct gv_actor *actor = ((const struct gv_side *)queued)->actor;

    gv_actor_class.describe(&actor->task, text, room);
}

void gv_beside_begun(struct gv_side *side, struct gv_turn *turn)
{
    side->turn = turn;
    side->actor->task.turn = (struct gv_turn *)&gv_turn_beside;
}

bool gv_beside_main_ended(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;
    struct gv_beside *beside = gv_beside_of(task);

    if (beside == NULL || beside->n == 0) {
        task->flags &= (uint8_t)~GV_TASK_RECEIVING;
        return false;
    }
    beside->main = NULL;
    task->turn = (struct gv_turn *)&gv_turn_beside;
    go_on(loop, task);
    return true;
}

bool gv_beside_stays(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;
    struct gv_beside *beside = gv_beside_of(task);

    task->flags |= GV_TASK_BUSY;
    if (beside->main_left) {
        beside->main_left = false;
        gv_bury_turn(loop, beside->main); /* Meanwhile the sides may end. */
        beside->main = NULL;
        task->turn = beside->n > 0 ? (struct gv_turn *)&gv_turn_beside : NULL;
    }
    if (beside->n == 0)
        task->flags &= (uint8_t)~GV_TASK_BUSY;
    return beside->n > 0;
}

static bool cancel_if(struct gv_loop *loop, struct gv_turn *turn, uint64_t call)
{
    if (turn == NULL || (call != 0 && (turn->message == NULL || turn->message->call != call)))
        return false;
    gv_turn_cancel(loop, turn);
    return true;
}

bool gv_beside_cancel(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    bool any = cancel_if(loop, gv_beside_main(task), call);

    for (struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older) {
        any |= cancel_if(loop, side->turn, call);
        if (side->message == NULL || call == 0 || side->call != call)
            continue;
        gv_message_give(&loop->blocks, side->message); /* It has not begun, and never will. */
        side->message = NULL;
        any = true;
    }
    return any;
}

void gv_beside_abandon(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_turn *main = gv_beside_main(task);

    /* The newest first, as clean-ups run. */
    for (struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
        if (side->turn != NULL && gv_abandon_turn(loop, side->turn))
            gv_sched_ready(loop, &side->queued);
    if (main == NULL || !gv_abandon_turn(loop, main))
        return;
    gv_beside_of(task)->main_left = true;
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    gv_sched_ready(loop, task);
}
