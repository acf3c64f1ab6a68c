/*
 * Leave: a function's callees end at once, as if the one it has called had
 * returned.
 *
 *     ┌─ whoever leaves     gv_leave_find walks down to the frame that holds a local, by the call
 *     ├─ …                  frame information that compilers write for debuggers and exceptions, and
 *     ├─ its callee         notes what that frame will find in the registers. gv_leave_to goes on
 *     ┝━ holds the local    there, behind the call, with a result of its own. Nothing in between
 *     …                     runs any more: what it held must have been seen to.
 *
 * So who may have to be left pays nothing for it, as with setjmp it would.
 * On the running stack only. Where there is no such information for one
 * frame of them, or on a processor without assembly here (there is some for
 * x86-64 and aarch64), nothing is found.
 */
#ifndef GV_LEAVE_H
#define GV_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

#define GV_LEAVE_KEPT 20u /* registers that a callee keeps, at most */

struct gv_leave {
    uintptr_t pc, sp;
    uintptr_t kept[GV_LEAVE_KEPT];
};

/* Where the caller goes on whose frame has `local` in it, see GV_FRAMED. False: that cannot be told. */
bool gv_leave_find(const void *local, struct gv_leave *leave);

/* Goes on there: what it has called returns result. The callees may still run in between, up to here. */
void gv_leave_to(const struct gv_leave *leave, int result) __attribute__((noreturn));

#endif
