/*
 * Name: the registry, one for all loops.
 *
 * 16 hash tables with a lock each, chosen by the hash of the name. An entry
 * holds a ref, and nobody tells the registry when its holder ends: a ref says
 * itself whether it is alive, by its generation, and that is what frees the
 * name. So it is free in the very moment when sends to its holder fail, and
 * kept while an actor restarts in its slot. Entries of the dead are dropped
 * when somebody asks for their name, and all of them before a table grows:
 * it has at most four times as many places as there were ever names of the
 * living at once.
 *
 * Always: nobody waits, allocates much, or takes another lock while he holds
 * one, but for the one who makes a table grow.
 */
#ifndef GV_NAME_H
#define GV_NAME_H

#include <stdint.h>

#define GV_NAMES_MAX (1u << 20)

/* Names there are, with those of the dead that have not been looked at. Any thread. */
uint32_t gv_names_entries(void);

/* Forgets all names; no loop may run. */
void gv_names_close(void);

#endif
