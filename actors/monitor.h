/*
 * Monitor: who is told of whose end.
 *
 *     watcher                                      home of the watched one
 *     set of its monitors ──MONITOR──────────────▶ list at its waiting list
 *       {number, whom, message}                      │ it ends
 *       number still there? ◀──the same message────┘
 *         yes: `down` is called, no: nothing
 *     ──DEMONITOR─▶ off the list, if it is not on its way back
 *
 * The message that asks is kept at the watched one and comes back as DOWN:
 * so an end needs no memory to be told. It travels as everything that the
 * watched one sends, in order, and is put at the end of the mailbox, or of
 * those that wait for room there: so it comes after all of that.
 *
 * Only turns of the watcher touch its set, wherever they run: also one that
 * is lent makes, ends and hears monitors without asking its home. The list
 * belongs to the home of the watched one.
 *
 * Always: a number is in its watcher's set exactly while it may still tell.
 */
#ifndef GV_MONITOR_H
#define GV_MONITOR_H

#include <stdbool.h>

#include <grove/monitor.h>

#include "actors/actor.h"
#include "runtime/loop.h"

struct grove_letter;

/* How somebody ended. */
struct gv_ending {
    enum grove_down_reason reason;
    const char *why; /* NULL: nothing is known */
};

/* The task that has this waiting list has ended: tells its watchers, forgets whom it watches. Its id is still good. */
void gv_monitors_end(struct gv_loop *loop, const struct gv_task *task, struct gv_waitlist *list,
                     const struct gv_ending *ending);

/* Forgets whom the task watches. */
void gv_monitors_forget(struct gv_loop *loop, struct gv_waitlist *list);

/* A MONITOR, DEMONITOR or DOWN came for a task of this loop (NULL: it is gone). Owns message. */
void gv_monitor_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* True if nobody handles this message and it was one of the above: it has been seen to. Owns it then. */
bool gv_monitor_orphaned(struct gv_loop *loop, struct gv_message *message);

/* The turn of an actor in which it is told. task is its own, or its guest. Owns message. */
void gv_monitor_down_turn(struct gv_loop *loop, struct gv_actor *actor, struct gv_task *task,
                          struct gv_message *message);

/* True if the message is a DOWN; it is told in *letter if its monitor still is. Else nothing has happened. */
bool gv_monitor_is_down(const struct gv_message *message);
bool gv_monitor_open_letter(struct gv_loop *loop, struct gv_message *message,
                            struct grove_letter *letter);

/* Takes the next DOWN for main; waits as gv_receive does. */
int gv_monitor_receive_main(struct gv_loop *loop, uint32_t timeout_ms, struct gv_message **message);

/* Forgets main's monitors; after everybody else has ended. */
void gv_monitors_close(struct gv_loop *loop);

#endif
