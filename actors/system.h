/*
 * System: the actor floor's start and end.
 *
 * The loops open at the first spawn, greenlet or await after grove_init, so
 * that options can still be set between the two. grove_deinit stops every
 * task: first NOW, so that running handlers end; after a second KILL, so
 * that their awaits fail; after five it gives up and says who is left.
 */
#ifndef GV_SYSTEM_H
#define GV_SYSTEM_H

#include "runtime/env.h"

/* From now on the calling thread may start the runtime with this env. Called by grove_init and by simulations. */
void gv_system_init(const struct gv_env *env);

/* Forgets the env again; the runtime must be closed. For simulations that run one seed after the other. */
void gv_system_deinit(void);

#endif
