/*
 * Times: how long the turns of each method take on a loop.
 *
 * Of each loop a table of counts by method and by doubling times, from below
 * 1 µs to 16 s and more. Filled with every turn if the option turn_clock is
 * set; else with 64 turns in a row, about ten times a second, when the stall
 * watch asks for them: so a turn pays only the test of a byte.
 *
 * The loop writes, anybody reads. A turn that awaits counts in its parts.
 */
#ifndef GV_TIMES_H
#define GV_TIMES_H

#include <stdint.h>

#define GV_TIMES_CLASSES 26u
#define GV_TIMES_SAMPLE  64u /* turns timed in a row */

struct gv_loop;

struct gv_times {
    uint32_t n[GV_TIMES_CLASSES]; /* less than 1 µs << i, more than the class before */
};

/* Of the turns of one method on all loops. */
struct gv_times_summary {
    uint64_t n;
    uint64_t p50_ns, p99_ns; /* the upper end of their class */
};

/* Notes a turn, or part of one, of a method. On the loop. */
void gv_times_note(struct gv_loop *loop, uint16_t method, uint64_t ns);

/* Any thread, while the loops are open. */
struct gv_times_summary gv_times_of(uint16_t method);

/* "0.4 ms" */
void gv_times_text(uint64_t ns, char *text, unsigned room);

#endif
