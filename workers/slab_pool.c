/*
 * The pool's side of slabs: large requests go in, large answers are copied
 * out, and what has not been used for a while is given back.
 *
 * A slab belongs to one birth of a worker: it is opened before, and closed
 * when that worker is buried, with all that lies in it.
 */
#include <string.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/log.h"
#include "workers/pool.h"

#define KEEP_MS 1000u /* memory that was not used for so long is given back */

/* --- life ----------------------------------------------------------------------------------------- */

/* Jobs are done all the same: once is enough to say that they are slower. */
static void note_missing(struct gv_pool *pool, int rc)
{
    if (!pool->slab_is_missing)
        gv_log(GV_LOG_WARN, "pool.slab",
               "pool=%s bytes=%llu error=%s advice=\"messages of 64 KiB and more go through the "
               "stream, which is slower; slab_bytes = -1 says so without this line\"",
               pool->name, (unsigned long long)pool->slab_bytes, grove_error_name(rc));
    pool->slab_is_missing = true;
}

void gv_slab_open(struct gv_child *child)
{
    struct gv_pool *pool = child->pool;
    const struct gv_env *env = pool->env;
    int rc;

    child->slab = (struct gv_slab){.fd = -1};
    child->requests = (struct gv_slab_half){.n_bytes = pool->slab_bytes / 2};
    child->n_taken = 0;
    child->slab_is_used = false;
    if (env->slab_open == NULL || pool->slab_bytes == 0)
        return;
    rc = env->slab_open(env->world, pool->slab_bytes, &child->slab);
    if (rc != 0) {
        child->slab = (struct gv_slab){.fd = -1};
        note_missing(pool, rc);
        return;
    }
    pool->slab_is_missing = false;
    gv_child_page(child)->slab_bytes = child->slab.bytes;
}

void gv_slab_close(struct gv_child *child)
{
    if (child->slab.bytes != 0)
        child->pool->env->slab_close(child->pool->env->world, &child->slab);
}

/* --- requests ------------------------------------------------------------------------------------- */

static int put(struct gv_child *child, struct gv_slab_piece *piece, const uint8_t *body)
{
    struct gv_slab *slab = &child->slab;

    if (slab->memory != NULL) {
        piece->sum = gv_slab_copy(slab->memory + piece->offset, body, piece->n_bytes);
        return 0;
    }
    piece->sum = gv_slab_sum(body, piece->n_bytes);
    return child->pool->env->slab_write(slab, piece->offset, body, piece->n_bytes);
}

bool gv_slab_put(struct gv_child *child, struct gv_job *job, uint8_t wire[GV_SLAB_WIRE_BYTES])
{
    struct gv_pool *pool = child->pool;
    struct gv_slab_piece piece;
    const uint8_t *body;

    body = gv_job_body(job, &piece.n_bytes);
    if (piece.n_bytes < GV_SLAB_LEAST || child->slab.bytes == 0)
        return false;
    if (piece.n_bytes > GV_LINK_MESSAGE_MAX
        || !gv_slab_take(&child->requests, piece.n_bytes, &piece.offset)) {
        pool->stats.slab_full++;
        return false;
    }
    if (put(child, &piece, body) != 0) {
        gv_slab_give(&child->requests, piece.offset);
        pool->stats.slab_full++;
        return false;
    }
    gv_slab_piece_write(wire, &piece);
    job->slab_at = piece.offset;
    job->is_in_slab = true;
    child->slab_is_used = true;
    child->slab_ms = pool->loop->now_ms;
    pool->stats.slab_requests++;
    return true;
}

void gv_slab_leave(struct gv_child *child, struct gv_job *job)
{
    if (job->is_in_slab)
        gv_slab_give(&child->requests, job->slab_at);
    job->is_in_slab = false;
}

/* --- answers -------------------------------------------------------------------------------------- */

/* Copies it out of what its worker may still be changing. Returns its sum then. */
static int copy_out(struct gv_child *child, const struct gv_slab_piece *piece, uint64_t *sum)
{
    struct gv_pool *pool = child->pool;
    struct gv_slab *slab = &child->slab;
    size_t offset = slab->bytes / 2 + piece->offset;
    int rc;

    pool->answer.n_bytes = 0;
    if (!gv_bytes_grow(&pool->answer, piece->n_bytes))
        return GROVE_ENOMEM;
    pool->answer.n_bytes = piece->n_bytes;
    pool->answer_ms = pool->loop->now_ms;
    if (slab->memory != NULL) {
        *sum = gv_slab_copy(pool->answer.bytes, slab->memory + offset, piece->n_bytes);
        return 0;
    }
    rc = pool->env->slab_read(slab, offset, pool->answer.bytes, piece->n_bytes);
    *sum = rc == 0 ? gv_slab_sum(pool->answer.bytes, piece->n_bytes) : 0;
    return rc;
}

const char *gv_slab_get(struct gv_child *child, struct gv_frame *frame)
{
    struct gv_slab_piece piece;
    const char *why =
        gv_slab_piece_read(&piece, frame->body, frame->body_bytes, child->slab.bytes / 2);
    uint64_t sum = 0;
    int rc;

    if (why != NULL)
        return why;
    rc = copy_out(child, &piece, &sum);
    if (rc == GROVE_ENOMEM)
        return "memory is short";
    if (rc != 0)
        return "it has taken the memory of its answer away";
    if (sum != piece.sum)
        return "its answer has changed in shared memory";
    frame->body = child->pool->answer.bytes;
    frame->body_bytes = piece.n_bytes;
    child->slab_is_used = true;
    child->slab_ms = child->pool->loop->now_ms;
    child->pool->stats.slab_answers++;
    /* release: pairs with the acquire of the worker, who writes there again. */
    atomic_store_explicit(&gv_child_page(child)->taken, ++child->n_taken, memory_order_release);
    return NULL;
}

/* --- giving back ---------------------------------------------------------------------------------- */

void gv_slab_tick(struct gv_child *child, uint32_t now_ms)
{
    /* Without a job an honest worker writes nothing. */
    if (!child->slab_is_used || child->jobs.n > 0 || now_ms - child->slab_ms < KEEP_MS)
        return;
    gv_assert(child->requests.n == 0);
    child->slab_is_used = false;
    child->pool->env->slab_trim(&child->slab, 0, child->slab.bytes);
}

void gv_slab_tick_pool(struct gv_pool *pool, uint32_t now_ms)
{
    if (pool->answer.room_bytes > 0 && now_ms - pool->answer_ms >= KEEP_MS)
        gv_bytes_free(&pool->answer);
}

uint64_t gv_slab_used(const struct gv_child *child)
{
    return child->slab.bytes != 0 ? child->pool->env->slab_used(&child->slab) : 0;
}
