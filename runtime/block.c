/*
 * Block: slabs, the heap, and the way home.
 */
#include "runtime/block.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/assert.h"
#include "runtime/hint.h"
#include "runtime/parcel.h"

enum {
    CUT_BYTES = 4096, /* cut from a slab at a time, so that pages are touched as needed */
    HEAP_HEAD_BYTES = 16,
};

const uint32_t gv_block_bytes[GV_BLOCK_CLASSES] = {64, 128, 256, 1024};

/* Head of a slab; blocks follow, the first one at the size of a block. */
struct gv_block_slab {
    struct gv_block_slab *next;
    uint32_t class;
    uint32_t n_cut;
    uint32_t n_free; /* counted by trim */
    uint32_t doomed; /* by trim */
};

static_assert(sizeof(struct gv_block_slab) <= 64, "the head of a slab is smaller than a block");
static_assert(sizeof(struct gv_message) + sizeof(struct gv_parcel)
                      + GV_PARCEL_MAX * sizeof(struct gv_message *)
                  <= 1024,
              "the largest blocks can carry a full parcel");
static_assert(GV_BLOCK_CHAIN_MAX <= GV_PARCEL_MAX, "a parcel has room for all that wait");

/* --- slabs ---------------------------------------------------------------------------------- */

static uint32_t slab_capacity(unsigned class)
{
    return (uint32_t)GV_BLOCK_SLAB_BYTES / gv_block_bytes[class] - 1;
}

static struct gv_block_slab *slab_of(const struct gv_message *message)
{
    return (struct gv_block_slab *)((uintptr_t)message & ~(GV_BLOCK_SLAB_BYTES - 1));
}

static struct gv_block_slab *slab_new(struct gv_blocks *blocks, unsigned class)
{
    struct gv_block_slab *slab = gv_tract_take(&blocks->tracts);

    if (slab == NULL)
        return NULL;
    slab->class = class;
    slab->next = blocks->slabs;
    blocks->slabs = slab;
    blocks->n_slabs++;
    return slab;
}

static void slab_free(struct gv_blocks *blocks, struct gv_block_slab *slab)
{
#if GV_ASAN
    __asan_unpoison_memory_region(slab, GV_BLOCK_SLAB_BYTES);
#endif
    if (blocks->cutting[slab->class] == slab)
        blocks->cutting[slab->class] = NULL;
    gv_tract_give(&blocks->tracts, slab);
    blocks->n_slabs--;
}

/* Puts some new blocks on the free list. Without memory it puts none. */
static void cut(struct gv_blocks *blocks, unsigned class)
{
    struct gv_block_slab *slab = blocks->cutting[class];

    if (slab == NULL || slab->n_cut == slab_capacity(class)) {
        slab = slab_new(blocks, class);
        if (slab == NULL)
            return;
        blocks->cutting[class] = slab;
    }

    char *start = (char *)slab + (slab->n_cut + (size_t)1) * gv_block_bytes[class];
    uint32_t n = CUT_BYTES / gv_block_bytes[class];

    if (n > slab_capacity(class) - slab->n_cut)
        n = slab_capacity(class) - slab->n_cut;
    slab->n_cut += n;
    /* Backwards, so that they are taken in the order of their addresses. */
    while (n-- > 0) {
        struct gv_message *message = (void *)(start + (size_t)n * gv_block_bytes[class]);

        message->block = (uint8_t)(blocks->loop << 2 | class);
        gv_block_hide(message);
        message->next = blocks->free[class];
        blocks->free[class] = message;
    }
}

/* --- the way home --------------------------------------------------------------------------- */

/* Blocks of ours are back on our loop; hidden since they set out. */
static void come_home(struct gv_blocks *blocks, struct gv_message *const *messages, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct gv_message *message = messages[i];
        unsigned class = message->block & 3;

        gv_assert(message->block >> 2 == blocks->loop);
        message->next = blocks->free[class];
        blocks->free[class] = message;
    }
    blocks->n_taken -= n;
}

/*
 * Takes in one block that other loops have sent home, or one parcel of them:
 * no more, so that they are still in the nearest cache when they are taken.
 * False when there is none.
 */
static bool collect(struct gv_blocks *blocks)
{
    struct gv_message *message = blocks->returned;

    if (message == NULL) {
        /* relaxed: only a look; what we miss comes the next time */
        if (atomic_load_explicit(&blocks->home, memory_order_relaxed) == NULL)
            return false;
        /* acquire: pairs with the release in send_home */
        message = atomic_exchange_explicit(&blocks->home, NULL, memory_order_acquire);
    }
    blocks->returned = message->next;
    if (blocks->returned != NULL)
        gv_fetch_line(blocks->returned); /* for the next time */
    if (gv_message_is_parcel(message)) {
        struct gv_parcel *parcel = gv_parcel_of(message);

        gv_parcel_fetch(parcel);
        come_home(blocks, parcel->messages, parcel->n);
        gv_message_give(blocks, message);
    } else {
        come_home(blocks, &message, 1);
    }
    return true;
}

static void link_return(struct gv_block_return *chain, struct gv_message *message)
{
    message->next = chain->first;
    if (chain->first == NULL)
        chain->last = message;
    chain->first = message;
}

/* A block that waits by itself. To follow its link costs its loop a wait, as that means to have its line. */
static void link_block(struct gv_block_return *chain, struct gv_message *message)
{
    message->method = 0;
    link_return(chain, message);
    gv_block_hide(message);
    chain->n++;
}

/* True if a block has room for a full parcel: as all of the largest class have. */
static inline bool can_carry(const struct gv_message *message)
{
    return (message->block & 3) == GV_BLOCK_CLASSES - 1;
}

static void begin_parcel(struct gv_block_return *chain)
{
    struct gv_message *message = chain->spare;

    chain->spare = NULL;
    message->method = GV_SIGNAL_PARCEL;
    message->form_flags = 0;
    gv_parcel_of(message)->n = 0;
    chain->parcel = message;
    chain->n++;
}

static inline void carry(struct gv_block_return *chain, struct gv_message *message)
{
    struct gv_parcel *parcel = gv_parcel_of(chain->parcel);

    parcel->messages[parcel->n++] = message;
    gv_block_hide(message);
    chain->n++;
}

/* Sends what waits for its way to a loop, but for the spare parcel. */
static void send_home(struct gv_blocks *blocks, unsigned loop)
{
    struct gv_block_return *chain = &blocks->returns[loop];
    struct gv_blocks *home = blocks->pools[loop];
    struct gv_message *seen;

    if (chain->parcel != NULL)
        link_return(chain, chain->parcel);
    /* relaxed: the exchange below checks it */
    seen = atomic_load_explicit(&home->home, memory_order_relaxed);
    do {
        chain->last->next = seen;
        /* release: pairs with the acquire in collect */
    } while (!atomic_compare_exchange_weak_explicit(&home->home, &seen, chain->first,
                                                    memory_order_release, memory_order_relaxed));
    chain->first = chain->last = chain->parcel = NULL;
    chain->n = 0;
    if (chain->spare == NULL)
        blocks->strangers &= ~((uint64_t)1 << loop);
}

void gv_blocks_flush(struct gv_blocks *blocks)
{
    while (blocks->strangers != 0) {
        unsigned loop = (unsigned)__builtin_ctzll(blocks->strangers);
        struct gv_block_return *chain = &blocks->returns[loop];

        if (chain->spare != NULL)
            link_block(chain, chain->spare);
        chain->spare = NULL;
        send_home(blocks, loop);
    }
}

/* --- the rare ways -------------------------------------------------------------------------- */

static struct gv_message *take_heap(struct gv_blocks *blocks, size_t body_bytes)
{
    size_t bytes = sizeof(struct gv_message) + body_bytes;

    if (body_bytes > GV_BLOCK_BYTES_MAX - sizeof(struct gv_message))
        return NULL;

    char *memory = malloc(HEAP_HEAD_BYTES + bytes);

    if (memory == NULL)
        return NULL;

    uint32_t charge = (uint32_t)bytes;
    struct gv_message *message = (void *)(memory + HEAP_HEAD_BYTES);

    memcpy(memory, &charge, sizeof(charge));
    *message = (struct gv_message){.block = GV_BLOCK_HEAP};
    blocks->n_heap++;
    return message;
}

uint32_t gv_message_heap_bytes(const struct gv_message *message)
{
    uint32_t charge;

    memcpy(&charge, (const char *)message - HEAP_HEAD_BYTES, sizeof(charge));
    return charge;
}

struct gv_message *gv_message_take_slowly(struct gv_blocks *blocks, size_t body_bytes)
{
    if (body_bytes > 1024 - sizeof(struct gv_message))
        return take_heap(blocks, body_bytes);

    unsigned class = gv_block_class(body_bytes);

    while (blocks->free[class] == NULL && collect(blocks))
        continue;
    if (blocks->free[class] == NULL)
        cut(blocks, class);
    if (blocks->free[class] == NULL)
        return NULL;
    return gv_message_take(blocks, body_bytes);
}

/* The seldom cases of a block that shall go home. */
static void add_return(struct gv_block_return *chain, struct gv_message *message)
{
    if (can_carry(message) && chain->spare == NULL) {
        chain->spare = message;
        return;
    }
    if (chain->parcel == NULL && chain->spare != NULL)
        begin_parcel(chain);
    if (chain->parcel != NULL)
        carry(chain, message);
    else
        link_block(chain, message);
}

void gv_message_give_slowly(struct gv_blocks *blocks, struct gv_message *message)
{
    if (message->block == GV_BLOCK_HEAP) {
        blocks->n_heap--;
        free((char *)message - HEAP_HEAD_BYTES);
        return;
    }

    unsigned loop = message->block >> 2;
    struct gv_block_return *chain = &blocks->returns[loop];

    if (gv_likely(chain->parcel != NULL && !can_carry(message))) {
        carry(chain, message);
    } else {
        blocks->strangers |= (uint64_t)1 << loop;
        add_return(chain, message);
    }
    if (chain->n >= GV_BLOCK_CHAIN_MAX)
        send_home(blocks, loop);
}

/* --- trim ----------------------------------------------------------------------------------- */

/* Marks the slabs that nobody uses, but for one of each class. Returns how many. */
static unsigned doom(struct gv_blocks *blocks)
{
    unsigned n_kept[GV_BLOCK_CLASSES] = {0}, n_doomed = 0;

    for (struct gv_block_slab *slab = blocks->slabs; slab != NULL; slab = slab->next)
        slab->n_free = slab->doomed = 0;
    for (unsigned class = 0; class < GV_BLOCK_CLASSES; class ++) {
        for (struct gv_message *free = blocks->free[class]; free != NULL; free = free->next)
            slab_of(free)->n_free++;
    }
    for (struct gv_block_slab *slab = blocks->slabs; slab != NULL; slab = slab->next) {
        gv_assert(slab->n_free <= slab->n_cut);
        if (slab->n_free == slab->n_cut && n_kept[slab->class]++ > 0) {
            slab->doomed = 1;
            n_doomed++;
        }
    }
    return n_doomed;
}

/* Takes the blocks of doomed slabs off the free list; the others keep their order. */
static void sift(struct gv_blocks *blocks, unsigned class)
{
    struct gv_message **place = &blocks->free[class];

    while (*place != NULL) {
        if (slab_of(*place)->doomed)
            *place = (*place)->next;
        else
            place = &(*place)->next;
    }
}

void gv_blocks_trim(struct gv_blocks *blocks)
{
    while (collect(blocks))
        continue;
    /* Nothing can have become free that was not looked at. */
    if (blocks->n_slabs <= blocks->n_slabs_trim && blocks->n_taken >= blocks->n_taken_trim)
        return;

    if (doom(blocks) > 0) {
        for (unsigned class = 0; class < GV_BLOCK_CLASSES; class ++)
            sift(blocks, class);
        for (struct gv_block_slab **place = &blocks->slabs; *place != NULL;) {
            struct gv_block_slab *slab = *place;

            if (slab->doomed) {
                *place = slab->next;
                slab_free(blocks, slab);
            } else {
                place = &slab->next;
            }
        }
    }
    blocks->n_slabs_trim = blocks->n_slabs;
    blocks->n_taken_trim = blocks->n_taken;
}

/* --- the pool ------------------------------------------------------------------------------- */

void gv_blocks_init(struct gv_blocks *blocks, unsigned loop, struct gv_blocks **pools)
{
    gv_assert(loop < GV_LOOPS_MAX);

    memset(blocks, 0, sizeof(*blocks));
    blocks->loop = loop;
    blocks->pools = pools;
    atomic_init(&blocks->home, NULL);
    pools[loop] = blocks;
}

void gv_blocks_deinit(struct gv_blocks *blocks)
{
    while (collect(blocks))
        continue;
    gv_assert(blocks->strangers == 0);
    gv_assert(blocks->n_taken == 0);

    while (blocks->slabs != NULL) {
        struct gv_block_slab *slab = blocks->slabs;

        blocks->slabs = slab->next;
        slab_free(blocks, slab);
    }
    blocks->pools[blocks->loop] = NULL;
}
