/*
 * Door: the simulated world as a gv_env.
 */
#ifndef SIM_DOOR_H
#define SIM_DOOR_H

#include "runtime/env.h"

extern const struct gv_env sim_env;

#endif
