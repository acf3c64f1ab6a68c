/*
 * Inside: who is in an open actor, and whom each of them lets in. What
 * beside.c, blockers.c and grant.c have in common; beside.h tells the whole.
 */
#ifndef GV_INSIDE_H
#define GV_INSIDE_H

#include "actors/beside.h"
#include "runtime/message.h"

static inline struct gv_beside *gv_beside_of(const struct gv_task *task)
{
    const struct gv_rare *rare =
        task->class == &gv_actor_class ? gv_actor_rare((const struct gv_actor *)task) : NULL;

    return rare != NULL ? rare->beside : NULL;
}

/* The first side of a task, NULL if it has none. */
static inline struct gv_side *gv_beside_first(const struct gv_task *task)
{
    const struct gv_beside *beside = gv_beside_of(task);

    return beside != NULL ? beside->newest : NULL;
}

/* The turn of its own run. */
static inline struct gv_turn *gv_beside_main(const struct gv_task *task)
{
    return task->turn == &gv_turn_beside ? gv_beside_of(task)->main : task->turn;
}

static inline bool gv_beside_any_grants(const struct gv_task *task)
{
    const struct gv_turn *turn = gv_beside_main(task);

    if (turn != NULL && turn->opens & GV_OPENS_GRANTS)
        return true;
    for (const struct gv_side *side = gv_beside_first(task); side != NULL; side = side->older)
        if (side->turn != NULL && side->turn->opens & GV_OPENS_GRANTS)
            return true;
    return false;
}

/* A request that wants to come in, or may have to wait. */
struct gv_entrant {
    bool reads; /* its method does */
    bool first; /* nobody is before it in the mailbox */
    const struct gv_chain_walk *walk;
};

static inline bool gv_turn_lets_in(const struct gv_turn *turn, const struct gv_entrant *guest)
{
    if (turn->opens & GV_OPENS_READS && guest->reads && guest->first)
        return true;
    return turn->opens & GV_OPENS_GRANTS && guest->walk != NULL
           && gv_chain_has(guest->walk, turn->grants);
}

static inline bool gv_side_lets_in(const struct gv_side *side, const struct gv_entrant *guest)
{
    if (side->turn != NULL)
        return gv_turn_lets_in(side->turn, guest);
    return side->reads && guest->reads && guest->first;
}

static inline bool gv_entrant_is_request(const struct gv_message *message)
{
    return message->method < GV_SIGNAL_FIRST
           && (message->form_flags & GV_FORM_MASK) == GV_FORM_STRUCT;
}

/* What a petition has found behind a call, NULL if it has not been, or it was forgotten. */
static inline const struct gv_chain_walk *gv_beside_heard_of(const struct gv_task *task,
                                                             uint64_t call)
{
    const struct gv_beside *beside = gv_beside_of(task);

    for (unsigned i = 0; beside != NULL && i < GV_BESIDE_HEARD; i++)
        if (beside->heard[i].call == call)
            return &beside->heard[i].walk;
    return NULL;
}

/* The first of those that wait for room. */
static inline struct gv_message *gv_beside_first_waiting(const struct gv_task *task)
{
    return task->flags & GV_TASK_WAITED
               ? gv_actor_rare((const struct gv_actor *)task)->waitlist.head
               : NULL;
}

static inline struct gv_message *gv_beside_find_waiting(const struct gv_task *task, uint64_t call)
{
    struct gv_message *request = task->mailbox.head;

    while (request != NULL && (request->call != call || !gv_entrant_is_request(request)))
        request = request->next;
    if (request == NULL)
        for (request = gv_beside_first_waiting(task); request != NULL && request->call != call;)
            request = request->next;
    return request;
}

/* True if the turn waits for those it has let in, and all have left that are newer than it and no readers with it. */
static inline bool gv_beside_is_alone(const struct gv_task *task, const struct gv_turn *turn)
{
    for (const struct gv_side *side = gv_beside_first(task); side != NULL && side->turn != turn;
         side = side->older)
        if (!(side->reads && turn->opens & GV_OPENS_READS))
            return false;
    return true;
}

#endif
