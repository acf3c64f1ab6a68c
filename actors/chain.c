#include "actors/chain.h"

#include "actors/beside.h"
#include "actors/call.h"
#include "runtime/runtime.h"

struct petition {
    struct gv_chain_walk walk;
    uint64_t call;
};

/* The turn that made a call whose record is here; NULL if none did, or the call is over. */
static const struct gv_turn *caller_of(struct gv_loop *loop, uint64_t id)
{
    const struct gv_call *call = gv_call_find(loop, id);

    if (call == NULL)
        return NULL;
    if (call->kind == GV_SINK_WAIT || call->kind == GV_SINK_INLINE)
        return call->sink.wait->turn;
    return call->kind == GV_SINK_FUTURE ? call->turn : NULL;
}

/* Notes the turn, and those below it on the same stack; returns the call that the lowest one handles, 0 for none. */
static uint64_t climb(struct gv_chain_walk *walk, const struct gv_turn *turn)
{
    for (;; turn = turn->below->turn) {
        if (turn->opens & GV_OPENS_GRANTS && turn->task != NULL
            && gv_task_id(turn->task) == walk->task && walk->n < GV_CHAIN_GRANTS)
            walk->grants[walk->n++] = turn->grants;
        if (turn->below == NULL)
            return turn->message != NULL ? turn->message->call : 0;
    }
}

void gv_chain_follow(struct gv_loop *loop, struct gv_chain_walk *walk, const struct gv_turn *turn)
{
    if (turn != NULL)
        walk->at = climb(walk, turn);
    while (walk->at != 0 && gv_chain_next_loop(walk) == loop->index) {
        turn = walk->hops++ < GV_CHAIN_HOPS ? caller_of(loop, walk->at) : NULL;
        walk->at = turn != NULL ? climb(walk, turn) : 0;
    }
    if (gv_chain_next_loop(walk) >= gv_runtime.n_loops)
        walk->at = 0; /* From a link, which stands for nobody here. */
}

bool gv_chain_has(const struct gv_chain_walk *walk, uint64_t grant)
{
    for (unsigned i = 0; i < walk->n; i++)
        if (walk->grants[i] == grant)
            return true;
    return false;
}

static void pass_on(struct gv_loop *loop, struct gv_message *message, unsigned to)
{
    if (to == loop->index)
        gv_chain_came(loop, message);
    else
        gv_loop_post(loop, to, message);
}

void gv_chain_ask(struct gv_loop *loop, const struct gv_chain_walk *walk, uint64_t call)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct petition));

    /* Without memory the call waits until its deadline, or until the actor is free. */
    if (message == NULL)
        return;
    message->method = GV_SIGNAL_CHAIN;
    message->to = walk->task;
    *(struct petition *)(void *)message->body = (struct petition){.walk = *walk, .call = call};
    pass_on(loop, message, gv_chain_next_loop(walk));
}

void gv_chain_came(struct gv_loop *loop, struct gv_message *message)
{
    struct petition *petition = (struct petition *)(void *)message->body;
    struct gv_task *task = gv_slot_find(message->to);

    gv_chain_follow(loop, &petition->walk, NULL);
    if (petition->walk.at != 0) {
        pass_on(loop, message, gv_chain_next_loop(&petition->walk));
    } else if (task != NULL && task->loop != loop->index) {
        gv_loop_post(loop, task->loop, message);
    } else {
        if (task != NULL)
            gv_beside_heard(loop, task, petition->call, &petition->walk);
        gv_message_give(&loop->blocks, message);
    }
}
