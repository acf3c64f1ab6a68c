#include "workers/request.h"

#include <grove/error.h>

#include "proto/codec.h"

/* Of a flat one the function takes its own form; of others what was unpacked is as good. */
static int flatten(struct gv_request *request, const struct grove_shape *shape,
                   ProtobufCMessage *message, void **body)
{
    *body = message;
    if (!shape->flat)
        return 0;
    request->flat.n_bytes = 0;
    if (!gv_bytes_grow(&request->flat, shape->flat_bytes))
        return GROVE_ENOMEM;
    shape->copy(request->flat.bytes, message);
    *body = request->flat.bytes;
    return 0;
}

int gv_request_open(struct gv_request *request, const struct gv_frame *call,
                    const struct grove_shape *shape, void **body, const char **why)
{
    struct gv_packed packed = {call->body, call->body_bytes};
    struct gv_validate_error error;
    ProtobufCMessage *message;
    int rc;

    *why = NULL;
    if (call->flags & GV_FRAME_SLAB)
        *why = gv_slab_user_request(request->slab, call->body, call->body_bytes, &packed.bytes,
                                    &packed.n_bytes);
    if (*why != NULL)
        return GROVE_EPROTO;
    rc = gv_unpack(shape->descriptor, packed, &request->arena, &message, &error);
    if (rc != 0) {
        *why = rc == GROVE_EPROTO ? error.why : NULL;
        return rc;
    }
    request->is_open = true;
    return flatten(request, shape, message, body);
}

void gv_request_close(struct gv_request *request)
{
    if (request->is_open)
        gv_capped_arena_deinit(&request->arena);
    request->is_open = false;
}

void gv_request_free(struct gv_request *request)
{
    gv_request_close(request);
    gv_bytes_free(&request->flat);
}
