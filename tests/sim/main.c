/*
 * grove-sim: grove's own simulations.
 */
#include <grove/sim.h>

#include "tests/sim/simulation.h"

static const struct grove_simulation *const simulations[] = {
    &sim_withdraw_naive, &sim_withdraw_actor,
    &sim_cycles,         &sim_calls,
    &sim_calls_lent,     &sim_mail,
    &sim_pool,           &sim_sleepers,
    &sim_sleepers_lent,  &sim_sleeps,
    &sim_ticks,          &sim_ticks_lent,
    &sim_duties,         &sim_duties_lent,
    &sim_trees,          &sim_readers,
    &sim_stops,          &sim_stops_lent,
    &sim_storms,         &sim_storms_lent,
    &sim_names,          &sim_names_lent,
    &sim_streams,        &sim_kin,
    &sim_kin_lent,       NULL,
};

int main(int argc, char **argv)
{
    return grove_sim_main(argc, argv, simulations);
}
