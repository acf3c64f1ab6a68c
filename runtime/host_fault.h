/*
 * Fault: a report before a memory fault ends the process.
 *
 * gv_fault_install catches SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT on
 * stacks of their own, because the usual fault here is the overflow of a
 * small stack. The report says signal, address and program counter, what
 * gv_fault_describe knows (actor, method, whether this was a stack's guard),
 * the frames as addresses, and again as lines (host_lines.h); then the signal
 * has its default effect. Nothing is ever continued: meanwhile all other
 * threads are held.
 *
 * Under address and thread sanitizers nothing is installed: they report
 * better. GROVE_FAULT=1 installs it all the same, GROVE_FAULT=raw leaves the
 * lines out, GROVE_FAULT=0 all of it.
 */
#ifndef GV_FAULT_H
#define GV_FAULT_H

#include <stddef.h>

/*
 * Writes lines about a fault at address with stack pointer sp into text (at
 * most room bytes, no NUL) and returns their length. Runs inside a signal
 * handler in a broken process: it may only read memory and write to text.
 */
typedef size_t (*gv_fault_describe_fn)(const void *address, const void *sp, char *text,
                                       size_t room);

/* NULL, or what the scheduler has to say. Set before gv_fault_install. */
extern gv_fault_describe_fn gv_fault_describe;

/* Installs the handlers, once, and a signal stack for the calling thread. */
void gv_fault_install(void);

/* Prints where the function with this frame was called, as lines, before the process ends itself. */
void gv_fault_last_words(const void *frame);

/* A signal stack for the calling thread, and its end. Threads of pollers have one. */
void gv_fault_stack_open(void);
void gv_fault_stack_close(void);

#endif
