/*
 * Stall reports: what is said of a stall, the advice it ends with, and the
 * ring that keeps the last ones. Written by the monitor alone, read by all.
 *
 *     … warn stall number=3 loop=1 actor=play/slow method=play.v1.PlayService/Perform
 *       message=play.v1.PerformRequest ms=31 kind=blocked
 *       blocked in nanosleep for 100 ms; of its time 1 % on a CPU, 0 % waiting for one, 99 % blocked
 *       at   nap at tests/actors/stage.c:31
 *       from …
 *       do   use grove_sleep_await …
 */
#ifndef GV_STALL_REPORT_H
#define GV_STALL_REPORT_H

#include "runtime/stall.h"

/* What a report is made of. */
struct gv_stall_facts {
    const struct gv_monitor *monitor;
    struct grove_stall stall; /* its texts but where and advice are filled in */
    uintptr_t frames[GV_FRAMES_MAX];
    unsigned n_frames;
    const struct grove_method *method; /* NULL if there is none */
    uint16_t index;                    /* of method */
    uint64_t threshold_ns;
};

/* Fills where and advice of facts->stall, and text. */
void gv_stall_write(struct gv_stall_facts *facts, char text[GV_STALL_TEXT_BYTES]);

/* "on-cpu", "blocked", "disk", "starved" */
const char *gv_stall_kind_name(enum grove_stall_kind kind);

/* Gives a new stall its number and keeps it; stall->number is set. */
void gv_stall_keep(struct grove_stall *stall, const char *text);

/* Replaces what is kept of a stall, with another text unless that is NULL. */
void gv_stall_keep_again(const struct grove_stall *stall, const char *text);

/* Counts one that was written out. */
void gv_stall_count_reported(void);

#endif
