/*
 * Listener: names that simulated processes dial, and who waits there.
 */
#ifndef GV_SIM_LISTENER_H
#define GV_SIM_LISTENER_H

#include <stdbool.h>

#include "runtime/env.h"

struct gv_sim_offer;

struct gv_listener {
    struct gv_listener *next; /* of its process */
    struct gv_poller *poller;
    const struct gv_listen_events *events;
    void *owner;
    struct gv_sim_offer *offers; /* connections not yet accepted */
    bool paused;
    char url[128];
};

/* The listener of this name in any process, NULL if there is none. */
struct gv_listener *gv_sim_listener_find(const char *url);

/* A stream that the listener's owner will be asked to accept. */
void gv_sim_listener_offer(struct gv_listener *listener, struct gv_stream *stream);

#endif
