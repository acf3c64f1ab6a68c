/*
 * Letters: how the tests of dead letters make them, and what became of them.
 */
#ifndef LETTERS_H
#define LETTERS_H

#include "stage.h"

enum { DEPTH = 4 };

/* How many letters of that reason there are so far. */
uint64_t letters_count(enum grove_dead_reason reason);

/* The newest of all. */
struct grove_dead_letter letters_last(void);

/* How many handlers of nappers have begun since the last napper was made. */
extern _Atomic(unsigned) letters_n_napping;

/*
 * An actor of DEPTH whose handler is parked for ms. Never lent: what is lent
 * stays charged to its mailbox.
 */
grove_ref letters_napper(unsigned loop, struct script *nap, uint32_t ms);

/* Makes n letters here. */
void letters_kill(unsigned n);

#endif
