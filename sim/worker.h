/*
 * Worker: a simulated worker process: the real state machine of
 * workers/worker.h over a simulated poller, and the functions of this
 * program.
 *
 * Each job ends with a pause in which the process may die, hang, or only be
 * slow: after its work, before its answer has left.
 */
#ifndef GV_SIM_WORKER_H
#define GV_SIM_WORKER_H

#include <grove/method.h>

#include "runtime/env.h"

/* Whose functions simulated workers run; lent for the seed. */
void gv_sim_workers_open(const struct grove_worker_entry *first,
                         const struct grove_worker_entry *end);

/* What a simulated worker process does instead of main; returns its exit status. */
int gv_sim_worker_run(struct gv_process *self);

#endif
