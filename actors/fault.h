/*
 * Fault: who was running when the process broke.
 *
 * The fault reporter (runtime/host_fault.h) and failed assertions ask here
 * for the running task and method, and whether the address lies in the
 * guard of a greenlet's stack. It runs in a signal handler of a broken
 * process: it reads, and writes into the text it was given, nothing else.
 */
#ifndef GV_ACTORS_FAULT_H
#define GV_ACTORS_FAULT_H

#include <stddef.h>

/* A gv_fault_describe_fn. */
size_t gv_fault_who(const void *address, const void *sp, char *start, size_t room);

#endif
