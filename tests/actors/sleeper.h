/*
 * Sleeper: an actor that is passivated, and saves its total on a made-up disk.
 *
 * Each has a letter, which is its argument. `a` stands for "init of a has
 * been called", `A` for "deinit of a has returned".
 */
#ifndef SLEEPER_H
#define SLEEPER_H

#include "stage.h"

#define SLEEPER_NOTES 64u
#define SLEEPER_BYTES 4096u /* of a state */

extern struct sleepers {
    char notes[SLEEPER_NOTES];
    _Atomic unsigned n_begun;
    _Atomic unsigned n_notes; /* that can be read */
    unsigned long long at_ms[SLEEPER_NOTES];
    int64_t saved[128]; /* by letter */
    unsigned n_dirty;   /* states that were not zeros when init began */
    unsigned n_bad_inits;
    unsigned nap_ms; /* of deinit */
    unsigned n_downs;
} sleepers;

/* Its functions; they may be changed before the first spawn. */
extern struct play_service sleeper_functions;

/* Forgets all. */
void sleeper_begin(void);

/* Spawns one that is passivated after so long; options may be NULL. */
grove_ref sleeper_spawn(char letter, uint32_t after_ms, const struct grove_spawn_options *options);

/* How many are passive, on all loops. */
uint64_t sleeper_count_passive(void);

/* Has it ask, and waits until it is passive. */
void sleeper_send_to_sleep(grove_ref who);
int act_passivate(struct play *me, struct script *script);

#endif
