/*
 * Connection: one stream over nng, between host_nng_stream.c, which moves its
 * bytes and ends it, and host_nng_entry.c, which begins it and learns who the
 * peer is.
 */
#ifndef GV_HOST_CONNECTION_H
#define GV_HOST_CONNECTION_H

#include <nng/nng.h>

#include "runtime/host.h"

struct connection {
    struct gv_stream base;
    struct gv_poller *poller;
    const struct gv_stream_events *events; /* NULL before it is adopted */
    void *owner;
    struct gv_identity identity;
    nng_stream *nng;           /* NULL while dialling */
    nng_stream_dialer *dialer; /* NULL if accepted */

    nng_aio *in; /* dials, then receives */
    struct gv_post in_post;
    uint8_t *room;
    size_t room_bytes;
    bool in_busy;
    bool in_kept;   /* a receive has ended while paused: its result is still to be told */
    bool in_upcall; /* the owner looks at room */
    bool paused;
    bool ended; /* nng has reported the end once */

    bool tls;
    bool unnamed;
    struct gv_host_hall *hall; /* where it waits for its name, if accepted */
    struct connection *next;   /* in there */
    nng_aio *patience;         /* ends the wait for a name */
    struct gv_post patience_post;
    bool patience_busy;

    nng_aio *try_out; /* has no callback: see send_now */
    nng_aio *out;
    struct gv_post out_post;
    const uint8_t *bytes; /* what is left to write */
    size_t n_bytes;
    bool out_busy;

    struct gv_post close_post;
    bool close_busy;
    bool draining;
    bool closing;
    int error; /* for the closed upcall */
};

/* host_nng_stream.c */

/* One with all that either kind needs, or NULL. */
struct connection *gv_connection_new(struct gv_poller *poller, bool tls);

/* Arms the receive, unless one is under way or not wanted now. */
void gv_connection_receive(struct connection *stream);

/* Begins the end; the owner hears of it when nothing is under way any more. */
void gv_connection_close(struct connection *stream, int error);

/* Tells the owner of the end if nothing is under way any more. Frees the stream then. */
void gv_connection_settle(struct connection *stream);

/* Gives back a stream of which nothing is under way. */
void gv_connection_free(struct connection *stream);

/* host_nng_entry.c */

/* The dial is over. */
void gv_connection_dialled(struct connection *stream);

/* The first bytes over TLS have come, or none will. */
void gv_connection_named(struct connection *stream);

/* A peer had its time to say who it is: on nng's thread, then on the poller's. */
void gv_connection_patience_ended(void *stream);
void gv_connection_out_of_patience(void *stream);

/* It waits for its name no longer. */
void gv_connection_leave_hall(struct connection *stream);

#endif
