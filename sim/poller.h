/*
 * Poller: what will happen to one loop, and the wait for it.
 *
 * Everything that comes from outside is an event of a poller: a moment and a
 * function. poll waits for the first one, a wake-up or its timeout, and runs
 * what is due, or by seed only some of it: the rest comes with the next poll.
 *
 * Owner: events belong to the poller; whoever frees an object cancels its
 * events first.
 */
#ifndef GV_SIM_POLLER_H
#define GV_SIM_POLLER_H

#include <stdint.h>

#include "runtime/env.h"

struct gv_sim_event;
struct gv_sim_thread;

struct gv_poller {
    struct gv_poller *next; /* of its process */
    struct gv_process *process;
    struct gv_sim_thread *waiter; /* who polls now, NULL if nobody does */
    struct gv_sim_thread *thread; /* the one that thread_start made, or NULL */
    struct gv_sim_event *events;  /* by moment, then by number */
    uint64_t woken_ns;            /* when a wake-up arrives, GV_SIM_NEVER if none is on its way */
    unsigned loop;
    unsigned n_objects; /* streams and listeners on it */
};

/* run(object) is called from inside a poll in delay_ns or later. */
void gv_sim_post(struct gv_poller *poller, uint64_t delay_ns, void (*run)(void *object),
                 void *object);

/* Nothing that was posted for object on this poller will run. */
void gv_sim_cancel(struct gv_poller *poller, const void *object);

/* Frees the poller of a process that has died, with its events. */
void gv_sim_poller_free(struct gv_poller *poller);

int gv_sim_poller_open(void *world, unsigned loop, struct gv_poller **poller);
void gv_sim_poller_poll(struct gv_poller *poller, int64_t timeout_ns);
void gv_sim_poller_wake(struct gv_poller *poller);
void gv_sim_poller_close(struct gv_poller *poller);
int gv_sim_poller_thread_start(void *world, struct gv_poller *poller, void (*run)(void *),
                               void *argument);
void gv_sim_poller_thread_join(struct gv_poller *poller);

#endif
