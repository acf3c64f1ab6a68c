/*
 * Stash: messages that an actor has put aside.
 *
 *     handler: stash ──▶ a copy of the request, with its call ──▶ end of the list
 *                        the request itself has no caller any more
 *     unstash_all ─────▶ the whole list in front of the mailbox that the turns
 *                        are taken from: the actor's own, or its batch while it is lent
 *
 * The request itself stays where it is until its handler has returned, since
 * that may still read it. The copy is marked GV_FLAG_BEGUN: a handler has seen
 * it, so nobody is told that nothing of it was done. The copy of a tick is to
 * be handled whatever becomes of its timer: the handler had it already.
 *
 * Owner: who runs the turns of the task (kept.h). It outlives a restart.
 */
#ifndef GV_STASH_H
#define GV_STASH_H

#include <stdint.h>

#include "runtime/loop.h"
#include "runtime/mailbox.h"

/* One task's. All zeros is an empty one. */
struct gv_stash {
    struct gv_mailbox messages;
};

/* A caller has left: its request is no longer put aside. */
void gv_stash_forget(struct gv_loop *loop, struct gv_stash *stash, uint64_t call);

/* The task has ended: calls fail, the rest are dead letters. */
void gv_stash_end(struct gv_loop *loop, struct gv_stash *stash);

#endif
