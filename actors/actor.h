/*
 * Actor: a task with a service's functions and a state behind it.
 *
 *     struct gv_actor (80 bytes) | state …          slots of 128, 192, … bytes
 *
 * What few actors need hangs on `rare`. States over the largest slot lie on
 * the heap and the slot holds a pointer to them.
 *
 * Until the first turn, what init will need lies where the state will be, so
 * that a spawn on the own loop takes no message. Who has no init is born at
 * once, without a turn.
 */
#ifndef GV_ACTOR_H
#define GV_ACTOR_H

#include <stdatomic.h>

#include <grove/actor.h>
#include <grove/monitor.h>

#include "actors/future.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/lend.h"
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
    uint32_t slot_bytes;  /* of an actor: its head, and its state or a pointer to it */
    bool state_apart;     /* on the heap */
    bool lacks;           /* functions of some rpcs that are not an actor's */
    bool has_init, has_deinit, has_down;
    bool on_error;   /* a handler that returns < 0 has failed */
    bool stays;      /* some of its rpcs may be handled beside others: never lent */
    bool passivates; /* its actors give their state back while they are idle, see passivate.h */
    bool usual;      /* none of: state_apart, stays, passivates */
    size_t state_bytes;
    const struct gv_type *_Atomic passivating; /* the same for those, NULL while there are none */
};

#define GV_BIRTH_COPIED_MAX 24u /* bytes of an argument that need no message */

/* What the first turn of an actor needs. */
struct gv_birth {
    struct gv_message *message; /* INIT, if somebody waits for its answer or it has the argument */
    const void *argument;
    unsigned char copied[GV_BIRTH_COPIED_MAX]; /* the argument, if it was copied and is small */
};

/* What few actors have. */
struct gv_rare {
    struct gv_waitlist waitlist;
    char label[GV_LABEL_BYTES];
    struct gv_post *post;     /* its place under a supervisor, see post.h */
    struct gv_beside *beside; /* further turns; NULL: there never were any */
    uint32_t linger_ms;       /* when its children must have ended, 0: no such time; see kin.h */
    char *why; /* of its failure, on the heap; NULL: it has not failed, or without memory */
};

struct gv_actor {
    struct gv_task task;
    const struct gv_type *type;
    /* NULL for most. While it is lent, each side touches what is its own. */
    _Atomic(struct gv_rare *) rare;
    _Alignas(16) unsigned char state[];
};

static_assert(sizeof(struct gv_actor) == 80,
              "an actor with up to 48 bytes of state fits two cache lines");
static_assert(sizeof(struct gv_actor) + sizeof(void *) + sizeof(struct gv_birth) <= 128,
              "what its birth needs fits the smallest slot");

/* True if the functions have one for this method of the service. */
bool gv_type_has(const struct gv_type *type, uint32_t method);

/* True if a type has a function for the method with this index. */
static inline bool gv_type_handles(const struct gv_type *type, uint16_t index)
{
    uint32_t place = index - type->first_index;

    return place < type->n_methods && (gv_likely(!type->lacks) || gv_type_has(type, place));
}

/* The class of all actors. */
extern const struct gv_task_class gv_actor_class;

/* Where its state is. */
static inline void *gv_actor_state(struct gv_actor *actor)
{
    return actor->type->state_apart ? *(void **)(void *)actor->state : actor->state;
}

/* Where its first turn finds what it needs: beside the pointer to a state that lies apart. */
static inline struct gv_birth *gv_actor_birth(struct gv_actor *actor)
{
    return (struct gv_birth *)(void *)(actor->state + sizeof(void *));
}

/* Its rare part, NULL if it has none. Any loop that runs its turns. */
static inline struct gv_rare *gv_actor_rare(const struct gv_actor *actor)
{
    /* acquire: pairs with the release in gv_actor_make_rare. */
    return atomic_load_explicit(&((struct gv_actor *)actor)->rare, memory_order_acquire);
}

/* The same, made on first use; NULL when memory is short. Any loop that runs its turns, and its home. */
struct gv_rare *gv_actor_make_rare(struct gv_actor *actor);

/* Frees what hangs on its slot. */
void gv_actor_free_parts(struct gv_actor *actor);

/* A dispatcher made for actors: the runtime's upcall. */
void gv_actor_dispatch(void *loop);

/*
 * A slot with an actor that nobody knows yet, for who starts it in his own
 * way: filled, but without an argument. Returns as grove_spawn. unreserve
 * gives it back.
 */
int gv_actor_reserve(struct gv_loop *loop, const struct grove_service *service,
                     const void *functions, const struct grove_spawn_options *options,
                     struct gv_task **task);
void gv_actor_unreserve(struct gv_loop *loop, struct gv_task *task);

/* It has come to its home: its first turn may run. init is what came with it, or NULL. Owns init. */
void gv_actor_start(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *init);

/* The first turn of one that is GV_TASK_UNBORN; if init fails it is GV_TASK_NOW and still unborn. */
void gv_actor_first_turn(struct gv_loop *loop, struct gv_actor *actor);

/* The rare ways of the function below. */
void gv_actor_stop_apart(struct gv_loop *loop, struct gv_task *task, enum grove_stop_mode mode);

/* It is told to stop: its run sees to it; what it waits for ends at once if it is killed. On its home loop. */
static inline void gv_actor_stop(struct gv_loop *loop, struct gv_task *task,
                                 enum grove_stop_mode mode)
{
    if (mode == GROVE_STOP_KILL || task->flags & GV_TASK_UNBORN || task->parent
        || gv_task_is_out(task) || ((struct gv_actor *)task)->type->passivates) {
        gv_actor_stop_apart(loop, task, mode);
        return;
    }
    task->flags |= mode == GROVE_STOP_NOW ? GV_TASK_STOPPING | GV_TASK_NOW : GV_TASK_STOPPING;
    /* Its run sees the flags and ends it; not here, inside somebody else's turn. */
    gv_sched_ready(loop, task);
}

/* A turn of it was abandoned (task->turn is set). True if that was its last one, in which deinit had begun. */
bool gv_actor_bury(struct gv_loop *loop, struct gv_actor *actor) GV_RARE;

/* The last turn of an incarnation. The actor must be idle. */
void gv_actor_last_turn(struct gv_loop *loop, struct gv_actor *actor);

/* What was of one incarnation only: timers, deferred replies, monitors of its own, what it holds. Idle, on its home. */
void gv_actor_forget(struct gv_loop *loop, struct gv_actor *actor);

/* Why it has ended, or is about to. */
enum grove_down_reason gv_actor_ending(const struct gv_task *task);

/* The last turn, then the end. The actor must be idle. */
void gv_actor_end(struct gv_loop *loop, struct gv_actor *actor);

/* The actor's own task, also if that is a guest's. */
static inline struct gv_task *gv_actor_of(struct gv_task *task)
{
    return task->class == &gv_actor_class ? task : gv_guest_task(task);
}

/* The actor fails with a code that is not 0, and a reason that may be NULL. In its turn; task is its own, or its guest. */
void gv_actor_note_failure(struct gv_task *task, const char *why, int code);

/*
 * A handler has returned code. Where errors are failures (restart_on_error), one
 * that is < 0 becomes one, unless the caller has left. Returns what the
 * caller is told.
 */
int gv_actor_judge(struct gv_turn *turn, int code);

/* The turn has called grove_fail: this incarnation of the actor ends, its callers are told. */
void gv_actor_failed(const struct gv_turn *turn);

/* The same for an actor that was open, is to stop, or has mail. */
void gv_actor_rest_apart(struct gv_loop *loop, struct gv_actor *actor);

/* A turn outside of a run is over: what mail came meanwhile, or the end, is for the next run. */
static inline void gv_actor_rest(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;

    task->flags &= (uint8_t)~GV_TASK_BUSY;
    /* Who waits for room waits behind mail. */
    if (gv_unlikely(task->mailbox.head != NULL
                    || task->flags & (GV_TASK_STOPPING | GV_TASK_NOW | GV_TASK_RECEIVING)))
        gv_actor_rest_apart(loop, actor);
}

/* Before a turn ends: gives up its futures. */
static inline void gv_turn_settle(struct gv_loop *loop, struct gv_turn *turn)
{
    if (gv_unlikely(turn->futures != NULL))
        gv_futures_give_up(loop, turn);
}

#endif
