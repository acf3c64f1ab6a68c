#include "workers/slab.h"

#include <string.h>

#include "runtime/assert.h"

/* --- what a frame says ---------------------------------------------------------------------------- */

static uint64_t read_64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (unsigned i = 8; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static void write_64(uint8_t *bytes, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

void gv_slab_piece_write(uint8_t bytes[GV_SLAB_WIRE_BYTES], const struct gv_slab_piece *piece)
{
    write_64(bytes, piece->offset);
    write_64(bytes + 8, piece->n_bytes);
    write_64(bytes + 16, piece->sum);
}

const char *gv_slab_piece_read(struct gv_slab_piece *piece, const uint8_t *bytes, size_t n_bytes,
                               uint64_t half_bytes)
{
    if (half_bytes == 0)
        return "it speaks of shared memory, and there is none";
    if (n_bytes != GV_SLAB_WIRE_BYTES)
        return "a frame that points into shared memory is of a wrong length";
    piece->offset = read_64(bytes);
    piece->n_bytes = read_64(bytes + 8);
    piece->sum = read_64(bytes + 16);
    if (piece->n_bytes > GV_LINK_MESSAGE_MAX)
        return "a message in shared memory is longer than may be";
    if (piece->offset > half_bytes || piece->n_bytes > half_bytes - piece->offset)
        return "a message in shared memory lies outside of it";
    return NULL;
}

/* --- sums ----------------------------------------------------------------------------------------- */

/*
 * A line of 64 bytes is eight words. Eight sums add up the words of their
 * place in the line, and eight more these sums, so that order counts.
 * Additions alone: with wide registers it is about as fast as copying.
 */
#define LINE_BYTES 64u
#define INLINE     static inline __attribute__((always_inline))

typedef uint64_t words __attribute__((vector_size(32)));

struct sums {
    words a, b, c, d; /* of the words, then of these sums */
};

INLINE void add_line(struct sums *sums, const uint8_t *line)
{
    words first, second;

    memcpy(&first, line, sizeof first);
    memcpy(&second, line + sizeof first, sizeof second);
    sums->a += first;
    sums->b += second;
    sums->c += sums->a;
    sums->d += sums->b;
}

INLINE void copy_line(struct sums *sums, uint8_t *to, const uint8_t *line)
{
    words first, second;

    memcpy(&first, line, sizeof first);
    memcpy(&second, line + sizeof first, sizeof second);
    memcpy(to, &first, sizeof first);
    memcpy(to + sizeof first, &second, sizeof second);
    sums->a += first;
    sums->b += second;
    sums->c += sums->a;
    sums->d += sums->b;
}

INLINE uint64_t settle(const struct sums *sums, size_t n_bytes)
{
    uint64_t lanes[16], sum = n_bytes;

    memcpy(lanes, sums, sizeof lanes);
    for (unsigned i = 0; i < 16; i++) {
        sum = (sum ^ lanes[i]) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

/* The rest of less than a line counts as if zeros followed. */
INLINE void add_rest(struct sums *sums, const uint8_t *bytes, size_t n_bytes)
{
    uint8_t rest[LINE_BYTES] = {0};

    memcpy(rest, bytes, n_bytes);
    add_line(sums, rest);
}

INLINE uint64_t sum_of(const uint8_t *bytes, size_t n_bytes)
{
    size_t whole = n_bytes / LINE_BYTES * LINE_BYTES;
    struct sums sums = {0};

    for (size_t i = 0; i < whole; i += LINE_BYTES)
        add_line(&sums, bytes + i);
    if (whole < n_bytes)
        add_rest(&sums, bytes + whole, n_bytes - whole);
    return settle(&sums, n_bytes);
}

INLINE uint64_t copy_of(uint8_t *to, const uint8_t *from, size_t n_bytes)
{
    size_t whole = n_bytes / LINE_BYTES * LINE_BYTES;
    struct sums sums = {0};

    for (size_t i = 0; i < whole; i += LINE_BYTES)
        copy_line(&sums, to + i, from + i);
    if (whole < n_bytes) {
        memcpy(to + whole, from + whole, n_bytes - whole);
        add_rest(&sums, to + whole, n_bytes - whole);
    }
    return settle(&sums, n_bytes);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t wide_sum(const uint8_t *bytes, size_t n_bytes)
{
    return sum_of(bytes, n_bytes);
}

__attribute__((target("avx2"))) static uint64_t wide_copy(uint8_t *to, const uint8_t *from,
                                                          size_t n_bytes)
{
    return copy_of(to, from, n_bytes);
}
#endif

uint64_t gv_slab_sum(const uint8_t *bytes, size_t n_bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return wide_sum(bytes, n_bytes);
#endif
    return sum_of(bytes, n_bytes);
}

uint64_t gv_slab_copy(uint8_t *to, const uint8_t *from, size_t n_bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return wide_copy(to, from, n_bytes);
#endif
    return copy_of(to, from, n_bytes);
}

/* --- pieces of a half ----------------------------------------------------------------------------- */

bool gv_slab_take(struct gv_slab_half *half, uint64_t n_bytes, uint64_t *offset)
{
    uint64_t at = 0;
    unsigned i = 0;

    n_bytes = (n_bytes + GV_SLAB_GRAIN - 1) / GV_SLAB_GRAIN * GV_SLAB_GRAIN;
    if (half->n == GV_SLAB_PIECES_MAX || n_bytes == 0 || n_bytes > half->n_bytes)
        return false;
    while (i < half->n && half->pieces[i].from - at < n_bytes)
        at = half->pieces[i++].to;
    if (half->n_bytes - at < n_bytes)
        return false;
    memmove(&half->pieces[i + 1], &half->pieces[i], (half->n - i) * sizeof half->pieces[0]);
    half->pieces[i].from = at;
    half->pieces[i].to = at + n_bytes;
    half->n++;
    *offset = at;
    return true;
}

void gv_slab_give(struct gv_slab_half *half, uint64_t offset)
{
    unsigned i = 0;

    while (i < half->n && half->pieces[i].from != offset)
        i++;
    gv_assert(i < half->n);
    half->n--;
    memmove(&half->pieces[i], &half->pieces[i + 1], (half->n - i) * sizeof half->pieces[0]);
}

/* --- the worker's side ---------------------------------------------------------------------------- */

int gv_slab_user_open(struct gv_slab_user *user, const struct gv_env *env,
                      struct gv_worker_page *page)
{
    *user = (struct gv_slab_user){.env = env, .page = page};
    if (page->slab_bytes == 0)
        return 0;
    user->answers.n_bytes = page->slab_bytes / 2;
    return env->slab_inherit(env->world, GV_WORKER_SLAB_FD, page->slab_bytes, &user->slab);
}

void gv_slab_user_close(struct gv_slab_user *user)
{
    if (user->slab.bytes != 0)
        user->env->slab_close(user->env->world, &user->slab);
}

const char *gv_slab_user_request(const struct gv_slab_user *user, const uint8_t *body,
                                 size_t body_bytes, const uint8_t **bytes, size_t *n_bytes)
{
    struct gv_slab_piece piece;
    const char *why = gv_slab_piece_read(&piece, body, body_bytes, user->slab.bytes / 2);

    if (why != NULL)
        return why;
    *bytes = user->slab.memory + piece.offset;
    *n_bytes = (size_t)piece.n_bytes;
    return gv_slab_sum(*bytes, *n_bytes) == piece.sum ? NULL
                                                      : "its bytes in shared memory have changed";
}

/* What the pool has copied is free. */
static void reclaim(struct gv_slab_user *user)
{
    /* acquire: pairs with the release behind the copying. */
    uint64_t taken = atomic_load_explicit(&user->page->taken, memory_order_acquire);

    while (user->n_freed < taken && user->n_freed < user->n_sent)
        gv_slab_give(&user->answers, user->sent[user->n_freed++ % GV_SLAB_PIECES_MAX]);
}

uint8_t *gv_slab_user_take(struct gv_slab_user *user, size_t n_bytes)
{
    struct gv_slab *slab = &user->slab;

    gv_slab_user_give(user);
    if (slab->bytes == 0 || n_bytes < GV_SLAB_LEAST)
        return NULL;
    reclaim(user);
    if (!gv_slab_take(&user->answers, n_bytes, &user->piece.offset))
        return NULL;
    user->has_piece = true;
    user->piece.n_bytes = n_bytes;
    if (user->env->slab_reserve(slab, (size_t)(slab->bytes / 2 + user->piece.offset), n_bytes) == 0)
        return slab->memory + slab->bytes / 2 + user->piece.offset;
    gv_slab_user_give(user);
    return NULL;
}

const uint8_t *gv_slab_user_sum(struct gv_slab_user *user)
{
    const struct gv_slab *slab = &user->slab;

    user->piece.sum =
        gv_slab_sum(slab->memory + slab->bytes / 2 + user->piece.offset, user->piece.n_bytes);
    gv_slab_piece_write(user->piece_bytes, &user->piece);
    return user->piece_bytes;
}

void gv_slab_user_sent(struct gv_slab_user *user)
{
    if (!user->has_piece)
        return;
    user->sent[user->n_sent++ % GV_SLAB_PIECES_MAX] = user->piece.offset;
    user->has_piece = false;
}

void gv_slab_user_give(struct gv_slab_user *user)
{
    if (user->has_piece)
        gv_slab_give(&user->answers, user->piece.offset);
    user->has_piece = false;
}
