/*
 * Lines: what a process that has just broken can no longer find out about
 * itself, namely function, file and line of where it stands.
 *
 * Reading debug data takes memory and locks, which a signal handler has not,
 * and which may be what is broken. So the broken process, its raw report
 * written, starts this very program anew and waits: the new one never comes
 * to its main, walks the stack of the old one through /proc, prints its
 * frames and ends.
 *
 *     broken   raw report ─▶ vfork, exec /proc/self/exe ─▶ wait, at most GV_LINES_MS ─▶ die
 *     helper                  before main: read /proc/PID ─▶ "  at …" "  from …" ─▶ exit
 *
 * Where the library was loaded late (dlopen), the program would not know what
 * it was started for: then nothing is started. GROVE_FAULT=raw says the same.
 */
#ifndef GV_HOST_LINES_H
#define GV_HOST_LINES_H

#include <stdbool.h>

#include "runtime/host_monitor.h"

#define GV_LINES_MS 5000u /* a slow disk may have the debug data */

/* What gv_lines_print needs later; once, while all is well. */
void gv_lines_install(void);

/*
 * Has the frames of the calling thread printed on standard error, from at on.
 * Safe in a signal handler. False if that was not possible: nothing was
 * printed, or not all.
 */
bool gv_lines_print(const struct gv_registers *at);

/* Sends a signal, whose handler must not return, to all other threads. Safe in a signal handler. */
void gv_lines_stop_others(int signal_number);

#endif
