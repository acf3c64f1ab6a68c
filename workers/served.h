/*
 * Served: the methods that a program serves as a worker, and how it tells a
 * pool of them. Their numbers on the wire are their places here, from 1.
 *
 * Entries come from GROVE_WORKER, and from GROVE_WARM_UP: those have a
 * function to run before the first job, and no service.
 */
#ifndef GV_SERVED_H
#define GV_SERVED_H

#include <stdint.h>

#include <grove/method.h>

#include "links/link.h"

/* One method this program can serve. */
struct gv_served_method {
    const struct grove_method *method;
    const void *functions;
    uint64_t took_ns; /* its last job; before the first: long */
};

struct gv_served {
    uint32_t n;
    struct gv_served_method *methods;
};

/* Lists the WORKER methods of the entries that have a function. Returns 0 or GROVE_ENOMEM. */
int gv_served_init(struct gv_served *served, const struct grove_worker_entry *first,
                   const struct grove_worker_entry *end);
void gv_served_deinit(struct gv_served *served);

/* The method of this number on the wire, NULL if there is none. */
static inline struct gv_served_method *gv_served_at(const struct gv_served *served, uint32_t number)
{
    return number >= 1 && number <= served->n ? &served->methods[number - 1] : NULL;
}

/* Sends HELLO with all of them. Returns 0, or why it could not be sent. */
int gv_served_hello(const struct gv_served *served, struct gv_link *link,
                    Grove__Link__V1__Hello *hello);

/* Sends what all of them look like. Returns 0, or why it could not be sent. */
int gv_served_schema(const struct gv_served *served, struct gv_link *link);

/*
 * Runs the warm-up functions, in the order in which the linker has put them,
 * until one fails. Returns 0 or what that one has returned.
 */
int gv_served_warm_up(const struct grove_worker_entry *first, const struct grove_worker_entry *end);

#endif
