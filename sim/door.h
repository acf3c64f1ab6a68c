/*
 * Door: the simulated world as a gv_env.
 */
#ifndef GV_SIM_DOOR_H
#define GV_SIM_DOOR_H

#include "runtime/env.h"

extern const struct gv_env gv_sim_env;

#endif
