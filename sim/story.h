/*
 * Story: a trace that people read: who did what when.
 *
 *     1.204518 ms  loop 1   account/2  begins withdraw
 *     1.204518 ms  loop 1   account/2  withdraw: awaits screening/1, screen
 *     2.310022 ms  loop 0   screening/1  wakes account/2
 *
 * An actor has its label, or the number of its birth among its kind. No
 * line holds an address or a number that another run of the seed would not
 * have.
 */
#ifndef GV_SIM_STORY_H
#define GV_SIM_STORY_H

#include <stdint.h>

#include "runtime/probe.h"

/* Begins a seed: nobody has been seen. */
void gv_sim_story_open(void);

/* A probe point was passed on the running loop. */
void gv_sim_story_probe(enum gv_probe_point point, uint64_t a, uint64_t b);

/* The world noted something; only what people care for is told. */
void gv_sim_story_world(const char *what, uint64_t a, uint64_t b);

/* A line of the program's own. */
void gv_sim_story_text(const char *text);

#endif
