/*
 * Peer: who is at the other end, and what it may say.
 *
 * Every connection has a class; a table says which frame types each side of
 * such a link may send. A worker is whom its token proves it to be, if the
 * kernel also names it as a process that we have started.
 */
#ifndef GV_PEER_H
#define GV_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "links/frame.h"
#include "runtime/env.h"

#define GV_TOKEN_BYTES 16u

/* Values of grove.link.v1.Class. */
enum gv_peer_class {
    GV_PEER_NONE = 0,
    GV_PEER_WORKER = 1,
    GV_PEER_CLIENT = 2,
    GV_PEER_NODE = 3,
    GV_PEER_ADMIN = 4,
};

/* True if the side that dialled (or the one that listened) may send this type once both have agreed. */
bool gv_peer_may_send(enum gv_peer_class class, bool dialled, uint8_t type);

/* True if both tokens are equal; takes the same time wherever they differ. */
bool gv_peer_token_equal(const uint8_t a[GV_TOKEN_BYTES], const uint8_t b[GV_TOKEN_BYTES]);

/*
 * NULL if a peer with this identity and token is the child that has this pid
 * and token; else why not. Lent forever.
 */
const char *gv_peer_check_child(const struct gv_identity *identity, int64_t pid,
                                const uint8_t *said, const uint8_t *known);

#endif
