/*
 * What a worker process asks of the system beside its env, and how
 * grove_init hands over to it.
 */
#ifndef GV_HOST_WORKER_H
#define GV_HOST_WORKER_H

#include <stdbool.h>

#include <grove/method.h>

/* The worker's own signals. */
void gv_host_worker_begin(void);

/* Leaves at once. */
void gv_host_worker_end(int status) __attribute__((noreturn));

/* True if a pool has started this process as its worker. */
bool gv_worker_is_meant(void);

/* Serves the pool until it lets go. Returns the exit status. */
int gv_worker_main(const struct grove_worker_entry *first, const struct grove_worker_entry *end);

#endif
