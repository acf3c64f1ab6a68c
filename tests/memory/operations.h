/*
 * Operations: what a program does with grove, one thing each.
 *
 * `act` returns 0, or the code of what could not be done for want of memory.
 * Whatever it returns, it has left nothing behind but what set_up made, and
 * done again with memory it succeeds.
 */
#ifndef TESTS_MEMORY_OPERATIONS_H
#define TESTS_MEMORY_OPERATIONS_H

struct operation {
    const char *name;
    unsigned n_loops;
    int (*set_up)(void); /* with memory; may be NULL */
    int (*act)(void);
};

/* Ends with one without a name. */
extern const struct operation operations[];

#endif
