/*
 * Watcher: an actor that notes the ends it is told of, and its adds, in the
 * order in which they come, for the tests of monitors.
 */
#ifndef WATCHER_H
#define WATCHER_H

#include "stage.h"

#define N_MANY 1000u

/* What it saw: 'a' for an add, 'D' for a DOWN. Written by its turns, read when all is quiet. */
struct noted {
    char seen[4 * N_MANY];
    _Atomic unsigned n_seen; /* comes last: who has read it may read what it counts */
    _Atomic unsigned n_downs;
    struct grove_down last;
    char why[256];
    grove_monitor_id told[N_MANY];
    unsigned nap_ms; /* of each DOWN */
};

extern struct noted noted;

/* The last monitor that `watch` made. */
extern grove_monitor_id monitor;

/* Spawns one; nothing is noted yet. */
grove_ref spawn_watcher(const struct grove_spawn_options *options);

/* Waits until n things are noted, and fails if there are more. */
void wait_for_notes(unsigned n);

/* The performer watches script->to; `watch` has who do so. */
int act_watch(struct play *me, struct script *script);
void watch(grove_ref who, grove_ref whom);

/* Sends script->number adds, as often as not with a wait for room; then fails. */
int act_send_and_fail(struct play *me, struct script *script);

#endif
