#include "actors/beside.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/interleave.h>

#include "actors/call.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

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

/* --- who is inside ------------------------------------------------------------------------------ */

static struct gv_beside *beside_of(const struct gv_task *task)
{
    const struct gv_rare *rare = task->class == &gv_actor_class
                                     ? gv_actor_rare((const struct gv_actor *)task)
                                     : NULL;

    return rare != NULL ? rare->beside : NULL;
}

/* The first side of a task, NULL if it has none. */
static struct gv_side *first_side(const struct gv_task *task)
{
    const struct gv_beside *beside = beside_of(task);

    return beside != NULL ? beside->newest : NULL;
}

/* The turn of its own run. */
static struct gv_turn *main_of(const struct gv_task *task)
{
    return task->turn == &gv_turn_beside ? beside_of(task)->main : task->turn;
}

static bool any_grants(const struct gv_task *task)
{
    const struct gv_turn *turn = main_of(task);

    if (turn != NULL && turn->opens & GV_OPENS_GRANTS)
        return true;
    for (const struct gv_side *side = first_side(task); side != NULL; side = side->older)
        if (side->turn != NULL && side->turn->opens & GV_OPENS_GRANTS)
            return true;
    return false;
}

/* --- who may come in ---------------------------------------------------------------------------- */

/* A request that wants to come in, or may have to wait. */
struct guest {
    bool reads; /* its method does */
    bool first; /* nobody is before it in the mailbox */
    const struct gv_chain_walk *walk;
};

static bool is_request(const struct gv_message *message)
{
    return message->method < GV_SIGNAL_FIRST
           && (message->form_flags & GV_FORM_MASK) == GV_FORM_STRUCT;
}

static bool reads(const struct gv_message *message)
{
    return is_request(message) && gv_methods[message->method].method->readonly;
}

static bool turn_lets_in(const struct gv_turn *turn, const struct guest *guest)
{
    if (turn->opens & GV_OPENS_READS && guest->reads && guest->first)
        return true;
    return turn->opens & GV_OPENS_GRANTS && guest->walk != NULL
           && gv_chain_has(guest->walk, turn->grants);
}

static bool side_lets_in(const struct gv_side *side, const struct guest *guest)
{
    if (side->turn != NULL)
        return turn_lets_in(side->turn, guest);
    return side->reads && guest->reads && guest->first;
}

/* True if all that are inside let it in. */
static bool all_let_in(const struct gv_task *task, const struct guest *guest)
{
    const struct gv_turn *turn = main_of(task);

    if (turn != NULL && !turn_lets_in(turn, guest))
        return false;
    for (const struct gv_side *side = first_side(task); side != NULL; side = side->older)
        if (!side_lets_in(side, guest))
            return false;
    return true;
}

/* Makes a side for a message that is in no mailbox any more; false without memory. */
static bool let_in(struct gv_loop *loop, struct gv_task *task, struct gv_message *request,
                   bool as_reader)
{
    struct gv_beside *beside = beside_of(task);
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
    if (beside->n++ == 0)
        beside->main = task->turn;
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
    const struct guest reader = {.reads = true, .first = true};

    while (task->mailbox.head != NULL && reads(task->mailbox.head)
           && beside_of(task)->n < GV_BESIDE_MAX && all_let_in(task, &reader)) {
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
    const struct guest guest = {.walk = walk};
    struct gv_message *request;

    if (beside_of(task)->n == GV_BESIDE_MAX || !all_let_in(task, &guest))
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

    if (!is_request(request) || request->call == 0
        || request->form_flags
               & (GV_FLAG_ENTRY | GV_FLAG_COUNTED | GV_FLAG_ASKED | GV_FLAG_STRANGER))
        return false;
    gv_chain_follow(loop, &walk, NULL);
    if (walk.at == 0)
        return let_chained_in(loop, task, request->call, &walk);
    request->form_flags |= GV_FLAG_ASKED;
    gv_chain_ask(loop, &walk, request->call);
    return false;
}

/* The first of those that wait for room. */
static struct gv_message *first_waiting(const struct gv_task *task)
{
    return task->flags & GV_TASK_WAITED ? gv_actor_rare((const struct gv_actor *)task)->waitlist.head
                                        : NULL;
}

/* One comes in at most: it lets in nobody itself before it has granted something. */
static void let_chain_in(struct gv_loop *loop, struct gv_task *task)
{
    for (struct gv_message *request = task->mailbox.head; request != NULL; request = request->next)
        if (try_chained(loop, task, request))
            return;
    for (struct gv_message *request = first_waiting(task); request != NULL; request = request->next)
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
    if (any_grants(task))
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

static struct gv_message *find_waiting(const struct gv_task *task, uint64_t call)
{
    struct gv_message *request = task->mailbox.head;

    while (request != NULL && (request->call != call || !is_request(request)))
        request = request->next;
    if (request == NULL)
        for (request = first_waiting(task); request != NULL && request->call != call;)
            request = request->next;
    return request;
}

void gv_beside_heard(struct gv_loop *loop, struct gv_task *task, uint64_t call,
                     const struct gv_chain_walk *walk)
{
    struct gv_message *request;

    if (!(task->flags & GV_TASK_RECEIVING) || beside_of(task) == NULL)
        return;
    request = find_waiting(task, call);
    if (request == NULL)
        return; /* Taken back, or handled meanwhile. */
    request->form_flags &= (uint8_t)~GV_FLAG_ASKED;
    if (walk->n == 0)
        request->form_flags |= GV_FLAG_STRANGER;
    else
        (void)let_chained_in(loop, task, call, walk); /* Else it is asked for again later. */
}

/* --- the turns ---------------------------------------------------------------------------------- */

/* True if the turn waits for those it has let in, and all have left that are newer than it and no readers with it. */
static bool waits_no_more(const struct gv_task *task, const struct gv_turn *turn)
{
    for (const struct gv_side *side = first_side(task); side != NULL && side->turn != turn;
         side = side->older)
        if (!(side->reads && turn->opens & GV_OPENS_READS))
            return false;
    return true;
}

static void wake_if_alone(struct gv_loop *loop, const struct gv_task *task, struct gv_turn *turn)
{
    if (turn != NULL && turn->wait != NULL && turn->wait->kind == GV_WAIT_BESIDE
        && !turn->wait->woken && waits_no_more(task, turn))
        gv_wake(loop, turn->wait, 0);
}

/* One of several turns has ended. */
static void go_on(struct gv_loop *loop, struct gv_task *task)
{
    wake_if_alone(loop, task, main_of(task));
    for (struct gv_side *side = first_side(task); side != NULL; side = side->older)
        wake_if_alone(loop, task, side->turn);
    look(loop, task);
}

static void side_ended(struct gv_loop *loop, struct gv_side *side)
{
    struct gv_task *task = &side->actor->task;
    struct gv_beside *beside = beside_of(task);
    struct gv_side **place = &beside->newest;

    while (*place != side)
        place = &(*place)->older;
    *place = side->older;
    gv_message_give(&loop->blocks,
                    (struct gv_message *)((char *)side - offsetof(struct gv_message, body)));
    if (--beside->n == 0)
        task->turn = beside->main;
    if (beside->n == 0 && (beside->main == NULL || beside->main->opens == 0))
        task->flags &= (uint8_t)~GV_TASK_RECEIVING;
    if (beside->n == 0 && beside->main == NULL)
        gv_actor_rest(loop, side->actor);
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
    if (message != NULL && task->flags & GV_TASK_NOW)
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
    struct gv_beside *beside = beside_of(task);

    if (beside == NULL || beside->n == 0) {
        task->flags &= (uint8_t)~GV_TASK_RECEIVING;
        return false;
    }
    beside->main = NULL;
    task->turn = (struct gv_turn *)&gv_turn_beside;
    go_on(loop, task);
    return true;
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
    bool any = cancel_if(loop, main_of(task), call);

    for (struct gv_side *side = first_side(task); side != NULL; side = side->older) {
        any |= cancel_if(loop, side->turn, call);
        if (side->message == NULL || call == 0 || side->call != call)
            continue;
        gv_message_give(&loop->blocks, side->message); /* It has not begun, and never will. */
        side->message = NULL;
        any = true;
    }
    return any;
}

/* --- circles ------------------------------------------------------------------------------------ */

/* Which turn handles the call; *is_inside also if it is about to begin. */
static struct gv_turn *handler_of(const struct gv_task *task, uint64_t call, bool *is_inside)
{
    struct gv_turn *turn = main_of(task);

    *is_inside = call != 0;
    if (call == 0)
        return NULL;
    if (turn != NULL && turn->message != NULL && turn->message->call == call)
        return turn;
    for (struct gv_side *side = first_side(task); side != NULL; side = side->older)
        if (side->call == call)
            return side->turn;
    *is_inside = false;
    return NULL;
}

/* Fills walk with what stands behind the edge. False if that is known on other loops only. */
static bool follow_edge(struct gv_loop *loop, const struct gv_task *task,
                        const struct gv_edge *edge, struct gv_chain_walk *walk)
{
    const struct gv_message *request;

    *walk = (struct gv_chain_walk){.task = gv_task_id(task), .at = edge->call};
    gv_chain_follow(loop, walk, edge->call == 0 && edge->wait != NULL ? edge->wait->turn : NULL);
    if (walk->at == 0 || edge->call == 0)
        return walk->at == 0;
    request = find_waiting(task, edge->call);
    return request != NULL && request->form_flags & GV_FLAG_STRANGER;
}

/* The turns of an open task that do not let the guest in. */
static unsigned collect(const struct gv_task *task, const struct guest *guest,
                        struct gv_turn *turns[])
{
    struct gv_turn *turn = main_of(task);
    unsigned n = 0;

    if (turn != NULL && !turn_lets_in(turn, guest))
        turns[n++] = turn;
    for (struct gv_side *side = first_side(task); side != NULL; side = side->older)
        if (side->turn != NULL && !side_lets_in(side, guest))
            turns[n++] = side->turn;
    return n;
}

static unsigned blockers_of_call(struct gv_loop *loop, struct gv_task *task,
                                 const struct gv_edge *edge, struct gv_turn *turns[], bool *unknown)
{
    const struct gv_message *head = task->mailbox.head;
    struct gv_chain_walk walk;
    struct guest guest = {.walk = &walk,
                          .reads = gv_methods[edge->method].method->readonly,
                          .first = edge->call != 0 ? head != NULL && head->call == edge->call
                                                   : head == NULL};

    if (any_grants(task) && !follow_edge(loop, task, edge, &walk)) {
        *unknown = true;
        return 0;
    }
    if (!any_grants(task))
        guest.walk = NULL;
    /* A reader behind others waits for the first of them, and that for whom it may. */
    if (guest.reads && !guest.first && head != NULL && head->call != 0 && is_request(head)) {
        const struct gv_edge first = {
            .call = head->call, .method = head->method, .kind = GV_WAIT_CALL};

        return blockers_of_call(loop, task, &first, turns, unknown);
    }
    return collect(task, &guest, turns);
}

unsigned gv_beside_blockers(struct gv_loop *loop, struct gv_task *task, const struct gv_edge *edge,
                            struct gv_turn *turns[1 + GV_BESIDE_MAX], bool *unknown)
{
    const struct guest nobody = {.reads = false};
    bool is_inside;

    if (!(task->flags & GV_TASK_RECEIVING) || task->class != &gv_actor_class) {
        turns[0] = task->turn;
        return task->turn != NULL;
    }
    if (edge->kind == GV_WAIT_BESIDE) {
        unsigned n = 0;

        for (struct gv_side *side = first_side(task);
             side != NULL && edge->wait != NULL && side->turn != edge->wait->turn;
             side = side->older)
            if (side->turn != NULL && !(side->reads && edge->wait->turn->opens & GV_OPENS_READS))
                turns[n++] = side->turn;
        return n;
    }
    if (edge->kind != GV_WAIT_CALL)
        return collect(task, &nobody, turns);
    turns[0] = handler_of(task, edge->call, &is_inside);
    if (is_inside)
        return turns[0] != NULL;
    return blockers_of_call(loop, task, edge, turns, unknown);
}

/* --- for users ---------------------------------------------------------------------------------- */

void grove_turn_reads(void)
{
    struct gv_turn *turn = gv_loop_here->turn;

    if (turn == NULL || turn->task == NULL || turn->task->class != &gv_actor_class)
        return;
    turn->opens |= GV_OPENS_READS;
    turn->task->flags |= GV_TASK_RECEIVING;
}

/* What was known of those that wait is no longer so. */
static void forget_strangers(const struct gv_task *task)
{
    const uint8_t known = GV_FLAG_ASKED | GV_FLAG_STRANGER;

    for (struct gv_message *request = task->mailbox.head; request != NULL; request = request->next)
        request->form_flags &= (uint8_t)~known;
    for (struct gv_message *request = first_waiting(task); request != NULL; request = request->next)
        request->form_flags &= (uint8_t)~known;
}

int grove_grant_begin(void)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn == NULL || turn->task == NULL || turn->method == NULL || !turn->method->reentrant)
        return gv_usage("grove_grant_begin: only the handler of an rpc with `option "
                        "(grove.reentrant) = true` may let its own chain in");
    if (turn->opens & GV_OPENS_GRANTS)
        return gv_usage("grove_grant_begin: this handler has granted that already; is a "
                        "grove_grant_end_await missing?");
    turn->grants = ++loop->n_waits;
    turn->opens |= GV_OPENS_GRANTS;
    turn->task->flags |= GV_TASK_RECEIVING;
    forget_strangers(turn->task);
    return 0;
}

int grove_grant_end_await(void)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    uint8_t cancelled;
    int rc = 0;

    if (turn == NULL || !(turn->opens & GV_OPENS_GRANTS))
        return gv_usage("grove_grant_end_await: there is no grant here");
    turn->opens &= (uint8_t)~GV_OPENS_GRANTS;
    cancelled = turn->cancelled;
    while (rc == 0 && !waits_no_more(turn->task, turn)) {
        struct gv_wait wait;

        /* Who is cancelled waits all the same: what it let in has been cancelled too, and touches its state. */
        cancelled |= turn->cancelled;
        turn->cancelled = 0;
        gv_wait_init(loop, &wait, GV_WAIT_BESIDE, 0);
        wait.target = gv_task_id(turn->task);
        rc = gv_park(loop, &wait);
        rc = rc == GROVE_ECANCELED ? 0 : rc;
    }
    turn->cancelled |= cancelled;
    if (turn->opens == 0 && main_of(turn->task) == turn && first_side(turn->task) == NULL)
        turn->task->flags &= (uint8_t)~GV_TASK_RECEIVING;
    return rc;
}
