#include "workers/given.h"

#include <assert.h>

#include <grove/error.h>

#include "actors/verb.h"
#include "proto/codec.h"
#include "workers/page.h"

static_assert(GV_LINK_MESSAGE_MAX == (size_t)16 << 20, "GV_WORKER_TOO_BIG says so");

int gv_given_pack(struct gv_bytes *to, struct gv_slab_user *slab, const ProtobufCMessage *message)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc = gv_packed_size(message, GV_LINK_MESSAGE_MAX, &n_bytes);

    if (rc != 0)
        return rc;
    bytes = slab != NULL ? gv_slab_user_take(slab, n_bytes) : NULL;
    if (bytes != NULL) {
        gv_pack(message, bytes, n_bytes);
        return 0;
    }
    to->n_bytes = 0;
    if (!gv_bytes_grow(to, n_bytes))
        return GROVE_ENOMEM;
    gv_pack(message, to->bytes, n_bytes);
    to->n_bytes = n_bytes;
    return 0;
}

int gv_given_take(struct gv_bytes *to, struct gv_slab_user *slab, const ProtobufCMessage *message,
                  const char *what)
{
    int rc = gv_given_pack(to, slab, message);

    if (rc == GROVE_EUSAGE)
        return gv_usage("the %s has NULL where a message, a text or an element belongs", what);
    if (rc == GROVE_ETOOBIG)
        return gv_turn_failed(gv_loop_here != NULL ? gv_loop_here->turn : NULL, NULL, rc,
                              GROVE_STARTED_YES, GV_WORKER_TOO_BIG);
    return rc;
}
