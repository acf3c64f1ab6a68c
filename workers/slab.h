/*
 * Slab: how large messages reach a worker and come back: through memory that
 * a pool shares with this one worker, beside their stream.
 *
 *     0           requests: the pool writes            half
 *     half        answers: the worker writes           bytes
 *
 * A frame with the flag SLAB has a body that says where the message lies:
 *
 *     offset size
 *          0    8  offset   in its half
 *          8    8  length   of the message
 *         16    8  sum      of its bytes, see gv_slab_sum
 *
 * Each side hands out pieces of the half that it writes, the lowest that
 * fits, so that the same memory is used again while it is in the cache. A
 * request's piece is free when its job is answered. An answer's piece is
 * free when the pool has copied it; the page says how many it has. Where no
 * piece is left, or no memory, the message goes through the stream.
 *
 * The worker unpacks requests where they lie: who writes there is the pool,
 * which it trusts. The pool trusts nobody: it copies the answer out, summing
 * what it copies, and looks at the copy alone.
 *
 * Always: pieces that are in use do not overlap.
 */
#ifndef GV_SLAB_H
#define GV_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/link.h"
#include "runtime/env.h"
#include "workers/page.h"

#define GV_SLAB_LEAST       ((size_t)64 << 10) /* smaller messages go through the stream */
#define GV_SLAB_PIECES_MAX  64u                /* in use in one half */
#define GV_SLAB_BYTES_LEAST ((size_t)1 << 20)  /* of a slab, both halves */
#define GV_SLAB_BYTES_MOST  ((size_t)4 << 30)
#define GV_SLAB_WIRE_BYTES  24u
#define GV_SLAB_GRAIN       4096u /* pieces are multiples of it */

/* Where a message lies. */
struct gv_slab_piece {
    uint64_t offset, n_bytes, sum;
};

void gv_slab_piece_write(uint8_t bytes[GV_SLAB_WIRE_BYTES], const struct gv_slab_piece *piece);

/* Reads it from a frame's body. Returns why it cannot be in a half of so many bytes, or NULL. */
const char *gv_slab_piece_read(struct gv_slab_piece *piece, const uint8_t *bytes, size_t n_bytes,
                               uint64_t half_bytes);

/*
 * A sum of bytes that tells whether they are the same and in the same order,
 * as fast as they can be read. No proof against whoever means to deceive.
 */
uint64_t gv_slab_sum(const uint8_t *bytes, size_t n_bytes);

/* Copies, and returns the sum of what it has written to `to`. */
uint64_t gv_slab_copy(uint8_t *to, const uint8_t *from, size_t n_bytes);

/* --- pieces of a half --------------------------------------------------------------------------- */

/* In order of where they lie. */
struct gv_slab_half {
    uint64_t n_bytes; /* of all of it */
    unsigned n;
    struct {
        uint64_t from, to;
    } pieces[GV_SLAB_PIECES_MAX];
};

/* Takes a piece for n_bytes. Returns false if none is left. */
bool gv_slab_take(struct gv_slab_half *half, uint64_t n_bytes, uint64_t *offset);

/* Gives a piece back that was taken. */
void gv_slab_give(struct gv_slab_half *half, uint64_t offset);

/* --- the worker's side -------------------------------------------------------------------------- */

struct gv_slab_user {
    const struct gv_env *env;
    struct gv_worker_page *page;
    struct gv_slab slab; /* bytes 0: there is none */
    struct gv_slab_half answers;
    uint64_t n_sent, n_freed;                /* answers that lay there */
    uint64_t sent[GV_SLAB_PIECES_MAX];       /* where they lie, by number modulo */
    uint8_t piece_bytes[GV_SLAB_WIRE_BYTES]; /* of the answer being made */
    struct gv_slab_piece piece;
    bool has_piece;
};

/* Maps what the pool has made for it, if it has. Returns 0 or -errno. */
int gv_slab_user_open(struct gv_slab_user *user, const struct gv_env *env,
                      struct gv_worker_page *page);
void gv_slab_user_close(struct gv_slab_user *user);

/* The request that a CALL's body of so many bytes points at. Returns why there is none, or NULL. Lent until the job is answered. */
const char *gv_slab_user_request(const struct gv_slab_user *user, const uint8_t *body,
                                 size_t body_bytes, const uint8_t **bytes, size_t *n_bytes);

/* Where an answer of n_bytes may be written; NULL: it goes through the stream. */
uint8_t *gv_slab_user_take(struct gv_slab_user *user, size_t n_bytes);

/* It is written: the body of the frame that says where it lies, GV_SLAB_WIRE_BYTES. */
const uint8_t *gv_slab_user_sum(struct gv_slab_user *user);

/* Its frame is sent; or there will be none. Nothing happens if no piece was taken. */
void gv_slab_user_sent(struct gv_slab_user *user);
void gv_slab_user_give(struct gv_slab_user *user);

#endif
