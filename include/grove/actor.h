/*
 * Actors: a state struct and one plain function per rpc, one message at a
 * time. Use the generated forms (`account_spawn(&functions, argument,
 * &options, &ref)`); these are what lies below them.
 *
 * An actor handles its next message only after the handler has returned,
 * also when the handler awaits. So what it checked before an await is still
 * true after it.
 *
 * An actor lives on one loop. Where another loop is idle and the actor has
 * waited long, that loop may handle a batch of its messages: the actor is
 * lent. Nothing changes for it, nor for those it talks to. But two actors of
 * one loop may then run at the same time: what they share must be atomic, or
 * belong to one of them. `pinned` keeps an actor on its loop, the option
 * lend=0 all of them.
 */
#ifndef GROVE_ACTOR_H
#define GROVE_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

/* Where an actor lives; it never moves. */
enum grove_place {
    GROVE_HERE = 0,      /* on the loop of the spawner, also while that is lent */
    GROVE_ANYWHERE = -1, /* on the loop with the fewest that were placed so: spread evenly */
    /* n >= 1: on loop n - 1 */
};
/* The place for loop number k. */
#define GROVE_ON_LOOP(k) ((int)(k) + 1)

/* What may be set at spawn; zero means the default. */
struct grove_spawn_options {
    int place;             /* enum grove_place or GROVE_ON_LOOP(k) */
    uint32_t depth_max;    /* messages in the mailbox, default 1024 */
    uint32_t bytes_max;    /* bytes in the mailbox, default 1 MiB */
    const char *label;     /* for reports, copied, at most 31 bytes */
    size_t argument_bytes; /* > 0: argument is copied; 0: the pointer is passed on */
    bool pinned;           /* all its turns run on its own loop: it is never lent */
    bool detached;         /* it is nobody's child: it outlives the actor that spawns it */
    /*
     * Idle for so long, it gives its state back until the next
     * message; see passivate.h. 0: as its type says.
     */
    uint32_t passivate_after_ms;
};

/*
 * Spawns an actor of a service. functions (struct NAME_service, lent for the
 * life of the actor) begins with a grove_actor_functions; every rpc that
 * is no WORKER needs a function. argument goes to init; without argument_bytes it must
 * live until init has run. options may be NULL. On 0 *ref is the actor,
 * which accepts messages at once; init is its first turn. If init returns
 * not 0 the actor stops and every queued call fails with GROVE_ENOACTOR.
 * Errors: GROVE_EUSAGE (grove_why() says what is missing), GROVE_ENOMEM,
 * GROVE_ESTOPPING (grove ends; or deinit of the spawner runs). Never suspends.
 *
 * It is a temporary child of its spawner, if that is an actor: it is never
 * begun anew, and ends with the incarnation of the actor whose handler (or
 * init) spawned it. When that has stopped, in whatever way, or failed, its
 * children end first, then its deinit runs: the newest first, one after the
 * other, on whatever loop they live, each with its own children before it.
 * They are stopped in the mode in which the spawner was, and within the same
 * deadline; with GROVE_STOP_KILL and within 5 s if it has failed. One that is
 * begun anew by its supervisor has no children then. A child's own end means
 * nothing to its spawner: who wants to know monitors it (monitor.h); to have
 * it begun anew, add it to a supervisor (supervise.h). What main and
 * greenlets (grove_go) spawn, and what is spawned with `detached`, is nobody's child.
 */
GROVE_API int grove_spawn(const struct grove_service *service, const void *functions,
                          const void *argument, const struct grove_spawn_options *options,
                          grove_ref *ref);

/*
 * The same, but suspends until init has returned and returns what it
 * returned. On failure no actor is left.
 */
GROVE_API int grove_spawn_await(const struct grove_service *service, const void *functions,
                                const void *argument, const struct grove_spawn_options *options,
                                grove_ref *ref);

/* The ref of the running actor or greenlet, GROVE_NOBODY in a plain thread. Never suspends. */
GROVE_API grove_ref grove_self(void);

enum grove_stop_mode {
    GROVE_STOP_DRAIN = 0, /* handle what is queued, then deinit */
    GROVE_STOP_NOW = 1,   /* finish the running handler, fail what is queued, then deinit */
    GROVE_STOP_KILL = 2,  /* as NOW, and the running handler's awaits fail with GROVE_ECANCELED */
};

/*
 * Asks an actor, or a greenlet of grove_go, to stop. Goes before all queued
 * messages. From then on calls and sends to it fail with GROVE_ESTOPPING, and
 * with GROVE_ENOACTOR once it is gone; what was queued by then, too. Returns 0
 * or GROVE_ENOACTOR. Never suspends.
 */
GROVE_API int grove_stop(grove_ref ref, enum grove_stop_mode mode);

/*
 * The same, but suspends until the actor is gone. A deadline applies as in
 * calls: GROVE_ETIMEDOUT. GROVE_EDEADLK if the actor waits for the caller,
 * directly or not, unless it is killed: started NO, it was not told to stop;
 * started UNKNOWN, it was, and the circle leads over other loops.
 */
GROVE_API int grove_stop_await(grove_ref ref, enum grove_stop_mode mode);

/*
 * Asks it to stop, and sees to it that it is gone timeout_ms from now,
 * whatever it does then:
 *
 *     has mail         that is no longer handled: its calls fail with GROVE_ENOACTOR
 *     waits            its handler is abandoned: it never goes on. The clean-ups of
 *                      grove_defer run in reverse order, its caller gets GROVE_EDOWN, its
 *                      stack, memory, futures and messages return; then deinit runs
 *     runs             on the CPU, or in a call that blocks: nobody can take it away, and it
 *                      ends when it returns; the stall watch names it. At the end of the
 *                      process that ends with status 70 (shutdown.h)
 *
 * A handler that waits for a call on a thread which uses memory of the
 * handler (blocking.h) cannot be taken away either, nor one that parked on
 * its caller's stack (call.h) where frames cannot be walked: all its awaits
 * fail from then on, also behind a shield, and it must return by itself. Of
 * several deadlines the earliest holds. GROVE_INFINITE: none. A deadline of
 * a pool ends the patience of DRAIN. Returns 0 or GROVE_ENOACTOR,
 * GROVE_ENOMEM. Never suspends.
 */
GROVE_API int grove_stop_within(grove_ref ref, enum grove_stop_mode mode, uint32_t timeout_ms);

/* The same, but suspends until the actor is gone; 0 also if it was gone before the wait began. */
GROVE_API int grove_stop_within_await(grove_ref ref, enum grove_stop_mode mode,
                                      uint32_t timeout_ms);

#endif
