/*
 * Watching: the monitors of one watcher, found by their numbers.
 *
 * Open addressing, at most half full. Numbers grow, and are spread by a
 * multiplication; a number that leaves makes room for those behind it, so no
 * marks are left.
 *
 * Always: a number stands in the first free place behind its own.
 */
#ifndef GV_WATCHING_H
#define GV_WATCHING_H

#include <stdbool.h>
#include <stdint.h>

struct gv_message;

#define GV_MONITORS_MAX (1u << 20) /* of one watcher */

/* One monitor, as its watcher knows it. */
struct gv_watch {
    uint64_t number;            /* 0: a free place */
    uint64_t watched;           /* task id */
    struct gv_message *message; /* known by its address only: it lies with the watched one */
};

struct gv_watching {
    uint32_t n, room; /* room is a power of two */
    struct gv_watch watches[];
};

/* Makes room for one more; *set may be NULL. Returns 0, GROVE_EFULL or GROVE_ENOMEM. */
int gv_watching_reserve(struct gv_watching **set);

/* Puts one whose number is not there, into room that was reserved. */
void gv_watching_put(struct gv_watching *set, struct gv_watch watch);

/* Takes a number out. False if it is not there; set may be NULL. */
bool gv_watching_take(struct gv_watching *set, uint64_t number, struct gv_watch *taken);

#endif
