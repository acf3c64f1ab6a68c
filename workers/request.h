/*
 * Request: what a job is given, as its function takes it: from the bytes
 * behind its frame, or from the slab that the frame points into, checked
 * before they are unpacked.
 *
 * Owner: a worker has one, for the job that it runs; memory for flat ones
 * is kept from job to job.
 */
#ifndef GV_REQUEST_H
#define GV_REQUEST_H

#include <stdbool.h>

#include <grove/method.h>

#include "links/link.h"
#include "proto/arena.h"
#include "workers/slab.h"

struct gv_request {
    const struct gv_slab_user *slab; /* where large ones lie; lent */
    struct gv_bytes flat;            /* as flat ones are taken */
    struct gv_capped_arena arena;    /* where others were unpacked */
    bool is_open;
};

/*
 * Opens a CALL's request of this shape into *body, which lives until close.
 * Returns 0, or a code and perhaps why (lent until the next one).
 */
int gv_request_open(struct gv_request *request, const struct gv_frame *call,
                    const struct grove_shape *shape, void **body, const char **why);

/* Nothing happens if none is open. */
void gv_request_close(struct gv_request *request);

/* Gives back what was kept. */
void gv_request_free(struct gv_request *request);

#endif
