/*
 * Parcel: packed and thrown away.
 */
#include "runtime/parcel.h"

#include "runtime/assert.h"

struct gv_message *gv_parcel_pack(struct gv_blocks *blocks, struct gv_message *newest, unsigned n)
{
    struct gv_message *message =
        gv_message_take(blocks, sizeof(struct gv_parcel) + n * sizeof(struct gv_message *));
    struct gv_parcel *parcel;

    gv_assert(n <= GV_PARCEL_MAX);
    if (message == NULL)
        return NULL;
    message->method = GV_SIGNAL_PARCEL;
    parcel = gv_parcel_of(message);
    parcel->n = n;
    for (; n > 0; newest = newest->next)
        parcel->messages[--n] = newest;
    return message;
}

void gv_parcel_discard(struct gv_blocks *blocks, struct gv_message *message)
{
    if (gv_message_is_parcel(message)) {
        struct gv_parcel *parcel = gv_parcel_of(message);

        for (uint64_t i = 0; i < parcel->n; i++)
            gv_message_give(blocks, parcel->messages[i]);
    }
    gv_message_give(blocks, message);
}
