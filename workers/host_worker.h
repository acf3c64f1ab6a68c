/*
 * What a worker process asks of the system beside its env, and how
 * grove_init hands over to it.
 */
#ifndef GV_HOST_WORKER_H
#define GV_HOST_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/method.h>

/* The worker's own signals. */
void gv_host_worker_begin(void);

/* No more than so many bytes of address space beside those that it has now. Returns 0 or -errno. */
int gv_host_worker_limit_memory(uint64_t bytes);

/* SIGXCPU, after so many seconds of CPU from now on. */
void gv_host_worker_limit_cpu(uint32_t seconds);

/* Resident memory in bytes, 0 if the system does not say. */
uint64_t gv_host_worker_memory(void);

/* For people, on standard output. */
void gv_host_worker_print(const char *text);

/* Leaves at once. */
void gv_host_worker_end(int status) __attribute__((noreturn));

/* True if a pool has started this process as its worker. */
bool gv_worker_is_meant(void);

/* True if the arguments name a pool elsewhere, or ask for help. */
bool gv_connect_is_meant(int argc, char **argv);

/*
 * The program as a machine of a pool elsewhere, see connect.c: joins the one
 * that the arguments name, until SIGTERM. is_served: it has functions of its
 * own. Returns the exit status; 2, and one line, when the arguments are wrong.
 */
int gv_connect_main(int argc, char **argv, bool is_served);

/* Serves the pool until it lets go. Returns the exit status. */
int gv_worker_main(const struct grove_worker_entry *first, const struct grove_worker_entry *end);

#endif
