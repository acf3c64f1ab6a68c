/*
 * Beside: further turns of an actor while its handler is parked. What users
 * need of it stands in <grove/interleave.h>.
 *
 *     actor's own run:   reader 1 ── parked ───────────────────────── ends
 *     a side's run:              reader 2 ── parked ──── ends
 *     a side's run:                    reader 3 ─ ends
 *     a writer:                            waits ………………………………………………… begins
 *
 * A turn that reads, or has granted its chain the way back, leaves the actor
 * open: GV_TASK_RECEIVING. Then new mail is looked at though the actor is
 * busy. What is let in gets a side: an entry of the run queue whose run
 * handles that one message as a turn of the actor. A message is let in if
 * every turn that is open lets it in:
 *
 *     a reader lets a readonly message in that is the first of the mailbox
 *     a turn with a grant lets in what has that very turn behind it (chain.h)
 *
 * So nobody overtakes a writer that waits, but for who was granted that.
 *
 * Who asks the task for its turn finds gv_turn_beside while there are sides,
 * and asks here for all of them. The actor is busy until the last of its
 * turns has ended; then it stops, restarts or goes on as after any other.
 *
 * Owner: a side is a block of its loop, from when its message is let in to
 * the end of its turn. Nothing exists, and nothing is paid, for actors that
 * were never open.
 *
 * Always: only actors that are pinned are open. At most GV_BESIDE_MAX sides.
 */
#ifndef GV_BESIDE_H
#define GV_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/actor.h"
#include "actors/chain.h"

#define GV_BESIDE_MAX   63u
#define GV_BESIDE_HEARD 4u /* answers of petitions that are kept */

/* One message that was let in. */
struct gv_side {
    struct gv_task queued; /* its place in the run queue; the turn itself is the actor's */
    struct gv_actor *actor;
    struct gv_side *older;      /* of the same actor */
    struct gv_message *message; /* not begun yet; else NULL */
    struct gv_turn *turn;       /* begun; else NULL */
    uint64_t call;              /* of the message, 0 = none */
    bool reads;                 /* it is a reader among readers */
};

/* What a petition found behind a call that must wait all the same. */
struct gv_heard {
    uint64_t call; /* 0: none */
    struct gv_chain_walk walk;
};

/* Of an actor with sides; hangs on its rare part. */
struct gv_beside {
    struct gv_side *newest;
    struct gv_turn *main; /* that of the actor's own run, NULL if that has ended */
    uint32_t n;           /* sides */
    bool looking;         /* somebody looks already who may come in */
    bool main_left;       /* main was abandoned: the actor's next run buries it */
    uint8_t n_heard;      /* ever, modulo 256 */
    struct gv_heard heard[GV_BESIDE_HEARD]; /* the last ones */
};

/* What `turn` of an actor with sides points to: a turn parked in a wait that says nothing. Never written. */
extern const struct gv_turn gv_turn_beside;

/* Of gv_actor_class. */
void gv_beside_mail_came(struct gv_loop *loop, struct gv_task *task);
void gv_beside_parked(struct gv_loop *loop, struct gv_turn *turn);
bool gv_beside_cancel(struct gv_loop *loop, struct gv_task *task, uint64_t call);

/* The stop deadline of an actor with sides has come: all its turns are abandoned, the newest first. */
void gv_beside_abandon(struct gv_loop *loop, struct gv_task *task);

/* A turn of the actor's own run, or one that ran inline, has ended: true if the actor stays busy, as sides are open. */
bool gv_beside_main_ended(struct gv_loop *loop, struct gv_actor *actor);

/* In a run of the actor that is open: true if it stays busy. Buries the turn of its own run, if that was abandoned. */
bool gv_beside_stays(struct gv_loop *loop, struct gv_actor *actor);

/* The chain behind a call that waits at the task has been followed to its end. */
void gv_beside_heard(struct gv_loop *loop, struct gv_task *task, uint64_t call,
                     const struct gv_chain_walk *walk);

/* What somebody waits for at a task, as the search for circles sees it. */
struct gv_edge {
    const struct gv_wait *wait;        /* NULL: on another loop */
    uint64_t call;                     /* 0: none, or it has not been sent */
    const struct grove_method *method; /* NULL: of none */
    uint8_t kind;                      /* enum gv_wait_kind */
};

/* Room for the turns below. */
struct gv_blockers {
    struct gv_turn *turns[1 + GV_BESIDE_MAX];
    bool unknown;
};

/*
 * The turns of a task whose end the edge must wait for, at most 1 +
 * GV_BESIDE_MAX; for a task that is not open its one turn. *unknown: there
 * may be others, which only a petition will tell.
 */
unsigned gv_beside_blockers(struct gv_loop *loop, struct gv_task *task, const struct gv_edge *edge,
                            struct gv_turn *turns[1 + GV_BESIDE_MAX], bool *unknown);

/* The turn of a side has begun: the task's own one is where it was. */
void gv_beside_begun(struct gv_side *side, struct gv_turn *turn);

/* In dispatch.c: handles one message as a turn of the actor beside others. Owns message. */
void gv_actor_handle_beside(struct gv_loop *loop, struct gv_side *side, struct gv_message *message);

#endif
