/*
 * Sockets: a server of grove's that echoes, connections to it and between
 * main and main, and plain peers that misbehave.
 */
#ifndef GV_TEST_SOCKETS_H
#define GV_TEST_SOCKETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/actors/stage.h"

extern struct grove_listener *listener;
extern unsigned n_served; /* connections of the server that have ended */

/* Listens where the kernel chooses, and echoes. */
void open_server(void);
void close_server(void);

/* A connection to the listener. */
struct grove_stream *dial(void);

/* A connection between main and main: both ends. */
void pair(struct grove_stream *ends[2]);
void close_pair(struct grove_stream *ends[2]);

/* Waits until a greenlet has ended, if it has not. */
void join(grove_ref who);

/* A plain socket as a peer, and how it breaks off. */
int raw_dial(void);
void reset(int fd);

#endif
