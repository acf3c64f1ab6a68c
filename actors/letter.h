/*
 * Letter: what the dispatcher must know of a greenlet's mail.
 */
#ifndef GV_LETTER_H
#define GV_LETTER_H

#include "runtime/loop.h"

/* Fails the call of the letter that the turn received and has not answered. */
void gv_letters_fail(struct gv_loop *loop, struct gv_turn *turn);

#endif
