/*
 * Simulation: what the simulations of grove's own tests share: the short
 * names of the simulator.
 *
 * A new one is a file with a struct sim_simulation, a line in simulations[]
 * (tests/sim/main.c) and one in meson.build.
 */
#ifndef SIM_SIMULATION_H
#define SIM_SIMULATION_H

#include <grove/sim.h>

#include "sim/harness.h"
#include "sim/world.h"

#define sim_simulation grove_simulation
#define sim            gv_sim
#define sim_mix        gv_sim_mix
#define sim_draw       gv_sim_draw
#define sim_random     gv_sim_random
#define sim_happens    gv_sim_happens
#define sim_note       gv_sim_note
#define sim_fail       gv_sim_fail
#define sim_option     gv_sim_option
#define sim_wait_for   gv_sim_wait_for
#define SIM_CHECK      GV_SIM_CHECK
#define SIM_NEVER      GV_SIM_NEVER
#define SIM_ORDER      GV_SIM_ORDER
#define SIM_CLOCK      GV_SIM_CLOCK
#define SIM_WORLD      GV_SIM_WORLD
#define SIM_APP        GV_SIM_APP
#define SIM_LOAD       GV_SIM_LOAD

extern const struct sim_simulation sim_withdraw_naive, sim_withdraw_actor, sim_cycles, sim_calls,
    sim_calls_lent, sim_mail, sim_pool, sim_sleepers, sim_sleepers_lent, sim_sleeps, sim_ticks,
    sim_ticks_lent, sim_duties, sim_duties_lent, sim_trees, sim_readers, sim_stops, sim_stops_lent,
    sim_storms, sim_storms_lent, sim_names, sim_names_lent, sim_streams, sim_kin, sim_kin_lent;

#endif
