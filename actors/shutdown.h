/*
 * Shutdown: the end of the process, from the signal to the last task. What
 * happens in which order stands in <grove/shutdown.h>.
 *
 * Loop 0 watches the signals and main does the rest, in straight lines: it
 * tells all loops what to do with their tasks, and looks until they are gone.
 *
 * Ingress is what lets new work in from outside. Each has a record on the
 * loop it belongs to, and is closed there when the process drains.
 */
#ifndef GV_SHUTDOWN_H
#define GV_SHUTDOWN_H

#include <stdbool.h>

#include "runtime/loop.h"

struct gv_ingress {
    struct gv_ingress *next;
    struct gv_ingress **place;                 /* what points to it; NULL: it is in no list */
    void (*close)(struct gv_ingress *ingress); /* takes it out of the list */
};

/* The loop begins: nothing of it is closed yet. Before it has a thread. */
void gv_ingress_open(const struct gv_loop *loop);

/* On its loop, which the running thread is. If the process drains already it is closed at once. */
void gv_ingress_add(struct gv_loop *loop, struct gv_ingress *ingress);
void gv_ingress_remove(struct gv_ingress *ingress);

/* Ends all tasks of all loops; main calls it. False if some are left when the time is over. */
bool gv_shutdown_tasks(struct gv_loop *loop);

/* No task is left: forgets that anybody asked. Before the loops end. */
void gv_shutdown_close(struct gv_loop *loop);

#endif
