/*
 * Edition: a message that is published, on its way to the members of a group.
 *
 *     publish ─┬─ members of this loop: a copy each, into their mailboxes
 *              └─ each other loop that has members: one message ─▶ the same there
 *
 * A member that does not get it is one dead letter, also where no message
 * was made for it. What goes to another loop is charged to the window of
 * plain sends (mail.h): beyond it nobody there gets it.
 */
#ifndef GV_EDITION_H
#define GV_EDITION_H

#include "runtime/loop.h"

/* An edition came from another loop (GV_SIGNAL_PUBLISH). Owns message. */
void gv_edition_came(struct gv_loop *loop, struct gv_message *message);

#endif
