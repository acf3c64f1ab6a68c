/*
 * Harness: one seed of a simulation, from its first draw to its verdict.
 *
 * `run` is the main of a simulated program: it may use every public function
 * but grove_init and grove_deinit, which the harness calls around it, and
 * draws its load from GV_SIM_LOAD. What must hold it says with GV_SIM_CHECK.
 * When it returns, everything is stopped, and the harness checks that no
 * actor, block, stack, stream, child or page is left.
 */
#ifndef GV_SIM_HARNESS_H
#define GV_SIM_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/method.h>

struct gv_sim_program {
    void (*run)(void *argument);
    void *argument;
    void (*prepare)(void); /* changes the mix, sets options, registers services; may be NULL */
    const struct grove_worker_entry *first, *end; /* what its workers serve */
};

/* Runs one seed. True if it was guilty; the reason stands in gv_sim.report. */
bool gv_sim_seed_run(const struct gv_sim_program *program, uint64_t seed);

/* Sets an option of the runtime for this seed, in prepare. */
void gv_sim_option(const char *name, int64_t value);

/* Suspends main until *n is n_wanted; guilty if that takes longer than timeout_ms. */
void gv_sim_wait_for(const unsigned *n, unsigned n_wanted, uint32_t timeout_ms);

#endif
