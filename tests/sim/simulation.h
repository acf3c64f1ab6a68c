/*
 * Simulation: a run of grove that a seed decides, and what must be true of it.
 *
 * `run` is the main of a simulated program: it may use every public function
 * but grove_init and grove_deinit, which the harness calls around it, and
 * draws its load from SIM_LOAD. What must hold it says with SIM_CHECK. When
 * it returns, everything is stopped, and the harness checks that no actor,
 * block, stack, stream, child or page is left.
 *
 * A new one is a file with a struct sim_simulation, a line in simulations[]
 * (main.c) and one in meson.build.
 */
#ifndef SIM_SIMULATION_H
#define SIM_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/world.h"

struct sim_simulation {
    const char *name;
    const char *what; /* one line for --help */
    void (*run)(void);
    void (*prepare)(void); /* changes the mix, sets options, registers services; may be NULL */
    bool canary;           /* it has a fault that must be found within the seeds */
};

extern const struct sim_simulation sim_withdraw_naive, sim_withdraw_actor, sim_cycles, sim_calls,
    sim_calls_lent, sim_pool, sim_sleeps;

/* Runs one seed. True if it was guilty; the reason stands in sim.report. */
bool sim_seed_run(const struct sim_simulation *simulation, uint64_t seed);

/* Sets an option of the runtime for this seed, in prepare. */
void sim_option(const char *name, int64_t value);

/* Suspends main until *n is n_wanted; guilty if that takes longer than timeout_ms. */
void sim_wait_for(const unsigned *n, unsigned n_wanted, uint32_t timeout_ms);

#endif
