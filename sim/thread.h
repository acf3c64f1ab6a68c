/*
 * Thread: the simulated threads, coroutines on one real thread.
 *
 * A thread goes on until it waits: in a poll, for another one's end, or in a
 * pause. Then the seed chooses who goes on among those that can. Time jumps
 * to the next moment at which somebody can go on only when nobody can now.
 *
 *     uniform: each one that can go on is as likely
 *     pct:     the one of highest priority; at a few drawn steps the running
 *              one falls to the lowest. Finds what needs few, but rare,
 *              switches. Who runs on without end falls too.
 *
 * gv_loop_here belongs to the simulated thread and is switched with it.
 */
#ifndef GV_SIM_THREAD_H
#define GV_SIM_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/env.h"
#include "runtime/switch.h"

struct gv_loop;

#define GV_SIM_THREADS_MAX 64u

struct gv_sim_thread {
    struct gv_context context;
    struct gv_process *process; /* whose thread it is */
    struct gv_loop *here;       /* its gv_loop_here */
    void (*run)(void *argument);
    void *argument;
    struct gv_sim_thread *joiner; /* who waits for its end */
    uint64_t wake_ns;             /* when it can go on; GV_SIM_NEVER while somebody must wake it */
    uint64_t priority;            /* with pct: the highest goes on */
    void *stack;     /* kept for the next one in this place; NULL: the real thread's own */
    uint32_t number; /* of the seed */
    char name[16];
    bool alive;
};

/* Begins a seed: the running real thread becomes the thread of process. */
void gv_sim_threads_open(struct gv_process *process);

/* A new thread, that goes on for the first time at wake_ns. NULL when there are GV_SIM_THREADS_MAX. */
struct gv_sim_thread *gv_sim_thread_start(struct gv_process *process, const char *name,
                                          uint64_t wake_ns, void (*run)(void *), void *argument);

struct gv_sim_thread *gv_sim_thread_running(void);
const char *gv_sim_thread_name(void);

/* The running thread waits until a moment; others go on. It may be woken earlier, or never come back. */
void gv_sim_thread_wait(uint64_t until_ns);

/* A waiting thread can go on at wake_ns at the latest. */
void gv_sim_thread_wake(struct gv_sim_thread *thread, uint64_t wake_ns);

/* Waits for its end. */
void gv_sim_thread_join(struct gv_sim_thread *thread);

/* Ends a thread that is not running: it never goes on. */
void gv_sim_thread_kill(struct gv_sim_thread *thread);

#endif
