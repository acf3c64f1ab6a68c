/*
 * Ground: the runtime without the floors above it. Tasks whose turn is a
 * function of the test, upcalls that count, one loop in virtual time (which
 * jumps to the next timer when nothing can run) or several in real time.
 */
#ifndef GROUND_H
#define GROUND_H

#include "runtime/go.h"
#include "runtime/loop.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

struct worker {
    struct gv_task task;
    void (*act)(struct worker *me);
    void *argument;
};

/* What the upcalls saw. */
extern _Atomic(unsigned) ground_orphaned, ground_answered;

/* How often the world was looked at in virtual time. */
extern unsigned ground_n_polls;

/* Lets virtual time pass, as a turn does that takes so long. */
void ground_pass(uint64_t ns);

/* Opens one loop in virtual time; option may be NULL. */
void ground_open(const char *option, const char *value);
void ground_open_loops(unsigned n);

/* All tasks must be gone. */
void ground_close(void);

/* A task on a loop that runs act in a turn each time it gets mail, and for its INIT. */
struct worker *ground_worker(unsigned loop, void (*act)(struct worker *me), void *argument);

/* Gives it mail, from its own loop. */
void ground_poke(struct worker *worker);

/* Makes it end after its turn. From inside act, or while it is idle. */
void ground_end(struct worker *worker);

/* Lets the loops work until no task lives. */
void ground_drain(void);

#endif
