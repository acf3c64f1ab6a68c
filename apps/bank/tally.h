/*
 * Tally: counts what happens during a demo; one actor.
 *
 * Clients and tellers note each answer that they get. Because notes are
 * messages, nothing is shared between loops, and whoever wants figures asks
 * for a summary like anybody else.
 */
#ifndef BANK_TALLY_H
#define BANK_TALLY_H

#include "bank.grove.h"

extern const struct tally_service bank_tally;

#endif
