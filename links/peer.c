#include "links/peer.h"

#include <stddef.h>

#define BIT(type) (UINT32_C(1) << GV_FRAME_##type)

/* What either side of any link may send. */
#define BOTH (BIT(CREDIT) | BIT(PING) | BIT(PONG) | BIT(BYE) | BIT(CHUNK) | BIT(SCHEMA))

static const uint32_t by_dialler[] = {
    [GV_PEER_WORKER] = BOTH | BIT(REPLY) | BIT(ITEM) | BIT(STARTED) | BIT(PROGRESS) | BIT(DRAIN),
    [GV_PEER_CLIENT] = BOTH | BIT(CALL) | BIT(ITEM) | BIT(CANCEL) | BIT(MONITOR) | BIT(DEMONITOR),
    [GV_PEER_NODE] = UINT32_MAX & ~(BIT(HELLO) | BIT(WELCOME)),
    [GV_PEER_ADMIN] = (BOTH & ~BIT(SCHEMA)) | BIT(CALL) | BIT(ITEM) | BIT(CANCEL),
};

static const uint32_t by_listener[] = {
    [GV_PEER_WORKER] = BOTH | BIT(CALL) | BIT(ITEM) | BIT(CANCEL) | BIT(DRAIN),
    [GV_PEER_CLIENT] =
        BOTH | BIT(REPLY) | BIT(ITEM) | BIT(STARTED) | BIT(PROGRESS) | BIT(DRAIN) | BIT(DOWN),
    [GV_PEER_NODE] = UINT32_MAX & ~(BIT(HELLO) | BIT(WELCOME)),
    [GV_PEER_ADMIN] = BOTH | BIT(REPLY) | BIT(ITEM) | BIT(DRAIN),
};

bool gv_peer_may_send(enum gv_peer_class class, bool dialled, uint8_t type)
{
    const uint32_t *table = dialled ? by_dialler : by_listener;

    if (type >= GV_FRAME_OPTIONAL)
        return true; /* whoever does not know it skips it */
    return type < GV_FRAME_PROBE && (table[class] >> type & 1);
}

bool gv_peer_token_equal(const uint8_t a[GV_TOKEN_BYTES], const uint8_t b[GV_TOKEN_BYTES])
{
    unsigned differs = 0;

    for (unsigned i = 0; i < GV_TOKEN_BYTES; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return differs == 0;
}

const char *gv_peer_check_child(const struct gv_identity *identity, int64_t pid,
                                const uint8_t *said, const uint8_t *known)
{
    if (identity->pid != pid)
        return "the peer is not the process it says it is";
    if (said == NULL || !gv_peer_token_equal(said, known))
        return "the peer does not have its token";
    return NULL;
}
