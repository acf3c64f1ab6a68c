/*
 * Process: the simulated processes.
 *
 * Process 0 is the one under test. A child runs the function that
 * gv_sim_on_spawn named, as a thread of its own; what a real child would find in
 * its arguments, environment and descriptors stands in the struct below. A
 * child dies when its function returns, by gv_sim_process_exit, by a signal, or
 * by the seed; then its streams end, as the kernel would end them, and later
 * its parent hears of it. What it had allocated is lost, as it would be.
 */
#ifndef GV_SIM_PROCESS_H
#define GV_SIM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/sim.h>

#include "runtime/env.h"

#define GV_SIM_PAGES_MAX       256u
#define GV_SIM_DESCRIPTORS_MAX 8u

/* What a child is at; its death, and what it means, differ. */
enum gv_sim_phase { GV_SIM_UNBORN, GV_SIM_IDLE, GV_SIM_BUSY };

struct gv_sim_thread;

struct gv_process {
    struct gv_process *next;  /* all children that are not yet freed */
    struct gv_poller *parent; /* where `exited` is called; NULL: the process under test */
    void (*exited)(void *owner, int status, int signal);
    void *owner;
    struct gv_sim_thread *thread; /* its first and only one */
    struct gv_poller *pollers;
    struct gv_listener *listeners;
    struct gv_stream *streams;
    char **arguments;   /* NULL at the end */
    char **environment; /* NULL at the end */
    int descriptors[GV_SIM_DESCRIPTORS_MAX];
    unsigned n_descriptors;
    uint16_t mapped[GV_SIM_PAGES_MAX]; /* how often it has mapped each page */
    uint64_t kill_ns; /* when a deadly signal arrives, GV_SIM_NEVER if none is on its way */
    int kill_signal;
    int pid;
    int status, signal; /* how it ended */
    bool stopped;
    bool ended;
    bool immortal; /* the seed lets it live */
    bool lie_next; /* it lies as soon as it can */
    uint8_t phase; /* enum gv_sim_phase */
    void *work;    /* of a worker: what runs its jobs, NULL before and after */
};

/* What a child runs; its value is the exit status. */
void gv_sim_on_spawn(int (*run)(struct gv_process *self));

/* Begins and ends a seed. close frees what is left and fails the seed for each child that lives. */
struct gv_process *gv_sim_processes_open(void);
void gv_sim_processes_close(void);

/* The value of NAME=value in a child's environment, or NULL. */
const char *gv_sim_process_variable(const struct gv_process *process, const char *name);

/* What find says of the first process, the one under test or a child, of which it says not NULL. */
struct gv_listener *
gv_sim_process_first(struct gv_listener *(*find)(const struct gv_process *process, const char *url),
                     const char *url);

/* The living child with this number in the order of birth, from 1; 0: one by chance. NULL if there is none. */
struct gv_process *gv_sim_process_numbered(unsigned number);

/* DIE, HANG or LIE befalls a child, now. */
void gv_sim_process_doom(struct gv_process *process, enum grove_sim_fault kind);

/* Calls function for the process under test and each child. */
void gv_sim_process_each(void (*function)(struct gv_process *process));

/* The running child lives on through this much time; it may die or be stopped in it. */
void gv_sim_process_work(uint64_t ns);

/* Ends the running child. Does not return. */
void gv_sim_process_exit(int status) __attribute__((noreturn));

/* For the scheduler: when a thread of process that waits until wake_ns can go on. */
uint64_t gv_sim_process_wake_ns(const struct gv_process *process, uint64_t wake_ns);

/* For the scheduler: true if the process dies or stops now instead of going on. */
bool gv_sim_process_fated(struct gv_process *process);

int gv_sim_process_spawn(struct gv_poller *poller, const struct gv_process_options *options,
                         void (*exited)(void *owner, int status, int signal), void *owner,
                         struct gv_process **process);
int gv_sim_process_pid(const struct gv_process *process);
int gv_sim_process_kill(struct gv_process *process, int signal);

#endif
