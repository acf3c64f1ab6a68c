/*
 * Roster: what a peer has said it can serve, and which number of it means
 * which of our methods.
 *
 * It is made of the peer's HELLO. A method is looked up at its first call:
 * equal fingerprints fit; others are compared by the descriptions that the
 * peer gave when asked, and the verdict is kept and logged once. Workers of
 * one program share one roster.
 */
#ifndef GV_ROSTER_H
#define GV_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/method.h>

#include "grove/link.pb-c.h"
#include "links/agree.h"

struct gv_roster;

/* Made of a HELLO, which is copied; one reference is the caller's. NULL: no memory. */
struct gv_roster *gv_roster_new(const Grove__Link__V1__Hello *hello);
struct gv_roster *gv_roster_hold(struct gv_roster *roster);
void gv_roster_free(struct gv_roster *roster); /* gives a reference back; NULL is none */

/* True if this HELLO would make the same roster. */
bool gv_roster_matches(const struct gv_roster *roster, const Grove__Link__V1__Hello *hello);

/* True if it needs no description any more. */
bool gv_roster_is_told(const struct gv_roster *roster);

/* True if methods of it must be described before they can be judged. */
bool gv_roster_wants_schema(const struct gv_roster *roster);

/* Keeps the peer's descriptions. Returns 0 or GROVE_ENOMEM, GROVE_ETOOBIG. */
int gv_roster_learn(struct gv_roster *roster, const Grove__Link__V1__Schema *schema);

/* How many methods, and the name of number i of 1 … n. */
uint32_t gv_roster_count(const struct gv_roster *roster);
const char *gv_roster_name(const struct gv_roster *roster, uint32_t number);

/* Its fingerprints: of the request, of the response. */
void gv_roster_fingerprints(const struct gv_roster *roster, uint32_t number,
                            uint64_t fingerprints[2]);

/* True if it answers with a stream of items. */
bool gv_roster_streams(const struct gv_roster *roster, uint32_t number);

/* What the peer has described, packed as a Schema; NULL if nothing. Lent as long as the roster. */
const uint8_t *gv_roster_schema(const struct gv_roster *roster, size_t *n_bytes);

/*
 * The number of our method with this process-wide index. Returns 0 with
 * *number, or GROVE_ENOTSUP with *why (lent as long as the roster) if the
 * peer lacks it or understands it otherwise, or GROVE_ENOMEM.
 */
int gv_roster_number(struct gv_roster *roster, uint16_t index, uint16_t *number, const char **why);

#endif
