/*
 * Given: what a function in a worker gives, a response or an item, packed
 * for its way. What cannot be packed is noted for grove_why() and for who
 * called.
 */
#ifndef GV_GIVEN_H
#define GV_GIVEN_H

#include <protobuf-c/protobuf-c.h>

#include "links/link.h"
#include "workers/slab.h"

/*
 * Packs a message of our own in place of what is in `to`; or, if it is large,
 * into the slab (which may be NULL) if there is room. Returns 0, GROVE_EUSAGE,
 * GROVE_ETOOBIG, GROVE_ENOMEM.
 */
int gv_given_pack(struct gv_bytes *to, struct gv_slab_user *slab, const ProtobufCMessage *message);

/* The same for a message of a user's, which is what: "response", "item". Notes why it cannot be. */
int gv_given_take(struct gv_bytes *to, struct gv_slab_user *slab, const ProtobufCMessage *message,
                  const char *what);

#endif
