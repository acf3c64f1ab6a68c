/*
 * Actor: a task with a service's functions and a state behind it.
 *
 *     struct gv_actor (80 bytes) | state …          slots of 128, 192, … bytes
 *
 * What few actors need hangs on `rare`. States over the largest slot lie on
 * the heap and the slot holds a pointer to them.
 */
#ifndef GV_ACTOR_H
#define GV_ACTOR_H

#include <grove/actor.h>

#include "actors/future.h"
#include "runtime/hint.h"
#include "runtime/task.h"
#include "runtime/turn.h"

#define GV_LABEL_BYTES 32u
#define GV_TYPES_MAX   4096u

/* A service with one struct of functions; made at its first spawn, never freed before the end. */
struct gv_type {
    const struct grove_service *service;
    const void *functions;
    const struct grove_method *methods; /* of the service, at hand */
    uint32_t n_methods;
    uint32_t first_index; /* of its methods */
    size_t state_bytes;
    bool state_apart; /* on the heap */
    bool lacks;       /* functions of some rpcs that are not an actor's */
};

/* What few actors have. */
struct gv_rare {
    struct gv_waitlist waitlist;
    char label[GV_LABEL_BYTES];
};

struct gv_actor {
    struct gv_task task;
    const struct gv_type *type;
    struct gv_rare *rare; /* NULL for most */
    _Alignas(16) unsigned char state[];
};

static_assert(sizeof(struct gv_actor) == 80,
              "an actor with up to 48 bytes of state fits two cache lines");

/* True if the functions have one for this method of the service. */
bool gv_type_has(const struct gv_type *type, uint32_t method);

/* The class of all actors. */
extern const struct gv_task_class gv_actor_class;

/* Where its state is. */
static inline void *gv_actor_state(struct gv_actor *actor)
{
    return actor->type->state_apart ? *(void **)(void *)actor->state : actor->state;
}

/* Its rare part, made on first use; NULL when memory is short. */
struct gv_rare *gv_actor_rare(struct gv_actor *actor);

/* A dispatcher made for actors: the runtime's upcall. */
void gv_actor_dispatch(void *loop);

/* The first turn. message is GV_SIGNAL_INIT. Returns what init returned. Owns message. */
int gv_actor_init_turn(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message);

/* The last turn, then the end. The actor must be idle. */
void gv_actor_end(struct gv_loop *loop, struct gv_actor *actor);

/* Frees what hangs on an actor's slot; the runtime's upcall when any task ends. */
void gv_actor_ended(struct gv_loop *loop, struct gv_task *task);

/* Before a turn ends: gives up its futures. */
static inline void gv_turn_settle(struct gv_loop *loop, struct gv_turn *turn)
{
    if (gv_unlikely(turn->futures != NULL))
        gv_futures_give_up(loop, turn);
}

#endif
