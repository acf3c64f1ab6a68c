/*
 * Ends of streams that count what happens to them, and doors (listeners)
 * that adopt peers into them, in a folder of their own.
 */
#ifndef GV_TEST_HOST_ENDS_H
#define GV_TEST_HOST_ENDS_H

#include "tests/runtime/host_world.h"

struct end {
    struct gv_stream *stream;
    bool connected;
    unsigned n_received; /* upcalls */
    size_t n_bytes;
    unsigned n_wrong; /* bytes that were not those of the pattern */
    unsigned n_written;
    unsigned n_closed;
    int error;
    bool echo;
    bool pause_after_first;
    bool close_in_received;
    uint8_t echoed[65536];
};

struct door {
    struct gv_listener *listener;
    struct end *end; /* who gets the next peer; NULL: it is closed at once */
    unsigned n_accepted;
    struct gv_identity identity;
    bool close_in_accepted;
};

extern const struct gv_stream_events end_events;
extern const struct gv_listen_events door_events;
extern char path[64]; /* of the socket that doors listen on */
extern char url[80];

/* For the setup and teardown of a group. */
int open_folder(void **state);
int close_folder(void **state);

/* The bytes that ends expect: the one at i of a stream. */
uint8_t pattern(size_t i);

void open_door(struct door *door, struct end *end);
void dial(struct end *end);

/* Closes and waits for the last upcall. */
void close_end(struct end *end);

/* A plain socket as a peer. */
int raw_connect(void);

#endif
