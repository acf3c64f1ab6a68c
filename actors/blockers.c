/*
 * Blockers: for whose end something must wait that waits at an actor: the
 * edges of the search for circles, where an actor may have several turns.
 */
#include "actors/beside.h"

#include "actors/inside.h"
#include "actors/service.h"

/* Which turn handles the call; *is_inside also if it is about to begin. */
static struct gv_turn *handler_of(const struct gv_task *task, uint64_t call, bool *is_inside)
{
    struct gv_turn *turn = gv_beside_main(task);

    *is_inside = call != 0;
    if (call == 0)
        return NULL;
    if (turn != NULL && turn->message != NULL && turn->message->call == call)
        return turn;
    for (struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
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
    if (walk->at != 0 && edge->call != 0 && gv_beside_heard_of(task, edge->call) != NULL)
        *walk = *gv_beside_heard_of(task, edge->call);
    if (walk->at == 0 || edge->call == 0)
        return walk->at == 0;
    request = gv_beside_find_waiting(task, edge->call);
    return request != NULL && request->form_flags & GV_FLAG_STRANGER;
}

/* The turns of an open task that do not let the guest in. */
static unsigned collect(const struct gv_task *task, const struct gv_entrant *guest,
                        struct gv_turn *turns[])
{
    struct gv_turn *turn = gv_beside_main(task);
    unsigned n = 0;

    if (turn != NULL && !gv_turn_lets_in(turn, guest))
        turns[n++] = turn;
    for (struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
        if (side->turn != NULL && !gv_side_lets_in(side, guest))
            turns[n++] = side->turn;
    return n;
}

static unsigned blockers_of_call(struct gv_loop *loop, struct gv_task *task,
                                 const struct gv_edge *edge, struct gv_turn *turns[], bool *unknown)
{
    const struct gv_message *head = task->mailbox.head;
    struct gv_chain_walk walk;
    struct gv_entrant guest = {.walk = &walk,
                               .reads = edge->method != NULL && edge->method->readonly,
                               .first = edge->call != 0 ? head != NULL && head->call == edge->call
                                                        : head == NULL};

    if (gv_beside_any_grants(task) && !follow_edge(loop, task, edge, &walk)) {
        *unknown = true;
        return 0;
    }
    if (!gv_beside_any_grants(task))
        guest.walk = NULL;
    /* A reader behind others waits for the first of them, and that for whom it may. */
    if (guest.reads && !guest.first && head != NULL && head->call != 0
        && gv_entrant_is_request(head)) {
        const struct gv_edge first = {
            .call = head->call, .method = gv_methods[head->method].method, .kind = GV_WAIT_CALL};
        unsigned n_first = blockers_of_call(loop, task, &first, turns, unknown), n = 0;

        /* Who has granted it the way back lets it overtake. */
        for (unsigned i = 0; i < n_first; i++)
            if (!gv_turn_lets_in(turns[i], &guest))
                turns[n++] = turns[i];
        return n;
    }
    return collect(task, &guest, turns);
}

unsigned gv_beside_blockers(struct gv_loop *loop, struct gv_task *task, const struct gv_edge *edge,
                            struct gv_turn *turns[1 + GV_BESIDE_MAX], bool *unknown)
{
    const struct gv_entrant nobody = {.reads = false};
    bool is_inside;

    if (!(task->flags & GV_TASK_RECEIVING) || task->class != &gv_actor_class) {
        turns[0] = task->turn;
        return task->turn != NULL;
    }
    if (edge->kind == GV_WAIT_BESIDE) {
        unsigned n = 0;

        for (struct gv_side *side = gv_beside_first(task);
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
