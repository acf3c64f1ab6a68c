/*
 * Carried: methods of a program that this process only passes on.
 *
 * An agent knows its workers' methods by the roster that they have sent: by
 * name, with fingerprints and a description, which it hands on as they are.
 * Requests and answers stay packed. Each method gets an index here when it is
 * first met, and keeps it; it has no shape, so nobody else may be asked for it.
 */
#ifndef GV_CARRIED_H
#define GV_CARRIED_H

#include <stddef.h>
#include <stdint.h>

#include "links/link.h"
#include "links/roster.h"

struct gv_carried {
    struct gv_roster *roster; /* held; NULL while closed */
    uint16_t *indices;        /* ours, by number - 1 */
};

/* Returns 0, GROVE_ENOMEM, or GROVE_EFULL: more methods than a process can know. */
int gv_carried_open(struct gv_carried *carried, struct gv_roster *roster);
void gv_carried_close(struct gv_carried *carried);

/* Our index of the method with this number on the wire, 0 if there is none. */
uint16_t gv_carried_index(const struct gv_carried *carried, uint32_t number);

/* Sends HELLO with all of them, and what they look like. Return 0, or why it could not be sent. */
int gv_carried_hello(const struct gv_carried *carried, struct gv_link *link,
                     Grove__Link__V1__Hello *hello);
int gv_carried_schema(const struct gv_carried *carried, struct gv_link *link);

#endif
