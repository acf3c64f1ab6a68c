/*
 * Signal: what a simulated process is sent from outside.
 *
 * The simulation is whoever sends: an operator with kill, a terminal. Each
 * watcher hears of it after a delay of its own, so that two loops disagree
 * for a while about whether it came.
 */
#ifndef GV_SIM_SIGNAL_H
#define GV_SIM_SIGNAL_H

#include "runtime/env.h"

/* Sends a signal to the process under test. Returns how many watchers will hear it; 0: it has no effect. */
unsigned gv_sim_signal_send(int signal);

int gv_sim_signals_open(struct gv_poller *poller, uint64_t set,
                        void (*came)(void *owner, int signal), void *owner,
                        struct gv_signals **signals);
void gv_sim_signals_close(struct gv_signals *signals);

/* Simulated threads have no masks. */
void gv_sim_signals_block(void *world);

#endif
