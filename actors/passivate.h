/*
 * Passivation: an actor that nobody needs for a while gives its state back.
 * What users need of it stands in <grove/passivate.h>.
 *
 *     awake ──quiet for passivate_after_ms, or it asks──▶ deinit ──▶ passive ──mail──▶ init ─▶ awake
 *               ▲ a timer looks, never a message                     no state
 *
 * Passive is GV_TASK_UNBORN without being busy: the next message queues the
 * task as it would any, and its run begins with the first turn. So nothing
 * else in the runtime knows of it, and messages pay nothing.
 *
 * How quiet it is, a timer finds out four times in passivate_after_ms: it sets
 * GV_TASK_LINGERS, which the dispatcher clears whenever it runs the task. (A
 * call finds the flag and goes through the mailbox; so inline calls clear it
 * too.) Who bears it still after four looks has been quiet for that long.
 *
 * The timer fires on the main stack, where no turn may run. It makes the
 * task ready with GV_TASK_NOW and `due`, and the task's own run does the
 * rest, if it is idle still. Whoever sets GV_TASK_NOW for another reason
 * meanwhile calls gv_passivation_withdraw before.
 *
 * Such actors are of a type of their own: their state lies apart, on the
 * heap, whatever its size; the slot has the record below instead.
 *
 *     gv_actor | pointer to the state, NULL while passive | gv_birth | gv_passivation     192 bytes
 *
 * Owner: the record is the home loop's. A borrower asks home by a signal.
 *
 * Always: deinit of one activation has returned before init of the next one
 * begins. A passive actor has no timers, monitors of its own, holdings,
 * stash, nor callers that wait for it.
 */
#ifndef GV_PASSIVATE_H
#define GV_PASSIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/actor.h"
#include "runtime/timer.h"

struct gv_passivation {
    struct gv_timer timer;
    const void *argument; /* of every init; under a supervisor its post has it */
    void *copied;         /* the same, if it was copied and is large: on the heap */
    uint32_t after_ms;
    uint8_t n_quiet; /* looks in a row that have found it quiet */
    uint8_t n_asked; /* looks since it has asked, and was not idle */
    bool asked;      /* by itself */
    bool due;        /* GV_TASK_NOW is ours */
    bool passive;
};

/* What its slot holds. */
#define GV_PASSIVATION_SLOT_BYTES                                                  \
    ((uint32_t)(sizeof(struct gv_actor) + sizeof(void *) + sizeof(struct gv_birth) \
                + sizeof(struct gv_passivation)))

static_assert(GV_PASSIVATION_SLOT_BYTES <= 192, "a passive actor is one slot of 192 bytes");

/* Of an actor whose type passivates. */
static inline struct gv_passivation *gv_actor_passivation(const struct gv_actor *actor)
{
    return (struct gv_passivation *)(void *)((unsigned char *)actor->state + sizeof(void *)
                                             + sizeof(struct gv_birth));
}

/* Fills the record of one that is spawned with that argument. Returns 0 or GROVE_ENOMEM. */
int gv_passivation_prepare(struct gv_actor *actor, const void *argument,
                           const struct grove_spawn_options *options);

/* False if nothing is to be done by a passive one: who has woken it has given up, or it is only to end. */
bool gv_passivation_may_wake(struct gv_actor *actor);

/* Before init: makes the state, if there is none. Returns 0 or GROVE_ENOMEM. */
int gv_passivation_revive(struct gv_actor *actor);

/* Its init has returned 0. True if it was passive: nobody need be told that it is up. */
bool gv_passivation_watch(struct gv_loop *loop, struct gv_actor *actor);

/* Its run shall passivate it, if it is idle still. In a dispatcher, not busy. */
static inline bool gv_passivation_is_due(const struct gv_actor *actor)
{
    return gv_unlikely(actor->type->passivates) && gv_actor_passivation(actor)->due;
}
void gv_passivation_run(struct gv_loop *loop, struct gv_actor *actor);

/* It will be stopped, or begun anew: not passivated any more. On its home, before GV_TASK_NOW is set. */
void gv_passivation_withdraw(struct gv_loop *loop, struct gv_actor *actor) GV_RARE;

/* A borrower says that it has asked. Owns message. */
void gv_passivation_asked(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message);

/* Its end, or that of an incarnation. */
void gv_passivation_end(struct gv_loop *loop, struct gv_actor *actor);

#endif
