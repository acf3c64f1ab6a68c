/*
 * Load: a client of an echo server, in a process of its own (grove-load),
 * which has one request of 64 bytes outstanding on each of its connections.
 *
 * It connects, warms up, writes one byte to the pipe, has its requests
 * answered, writes another one, and ends: "be" if every answer was right. In
 * between the server notes how much CPU it took.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>

#include "bench.h"

#define LOAD_BYTES 64

/*
 * Starts it against 127.0.0.1:port and binds the calling process to the
 * first of its CPUs and the client to the last one. Returns the pipe's end, which does not
 * block, or -errno.
 */
int load_start(unsigned port, int64_t connections, int64_t requests);

/* CPU time of this process in ns. */
uint64_t load_cpu_ns(void);

#endif
