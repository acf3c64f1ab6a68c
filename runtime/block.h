/*
 * Block: memory of messages, in classes of 64, 128, 256 and 1024 bytes; what
 * is larger comes from the heap, up to GV_BLOCK_BYTES_MAX.
 *
 * Each loop has a pool. Blocks are cut from slabs of 64 KiB aligned to their
 * size. The block itself says which loop it belongs to and its class, so
 * any loop may give any block: its own go to the free list at once, others
 * are collected and sent home up to 64 together, at the latest by
 * gv_blocks_flush, when their loop has nothing else to do: named by a parcel
 * that came from there and is empty now (parcel.h), or linked if there is
 * none. Taking and giving on the own loop is a load and a store, nothing
 * atomic, and touches no line but the message's own.
 *
 *     block byte of a message: loop 6 bits | class 2 bits; 0xff = heap
 *
 * Owner: the pool owns all slabs and frees them in deinit. Whole free slabs
 * go back to the system in gv_blocks_trim, which a loop calls when it idles.
 *
 * Always: a free block of a pool was cut from one of its slabs.
 */
#ifndef GV_BLOCK_H
#define GV_BLOCK_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/assert.h"
#include "runtime/message.h"
#include "runtime/sanitize.h"
#include "runtime/tract.h"

#if GV_ASAN
#    include <sanitizer/asan_interface.h>
#endif

#define GV_BLOCK_BYTES_MAX  ((size_t)64 << 20) /* of one message, envelope included */
#define GV_BLOCK_SLAB_BYTES GV_TRACT_SLAB_BYTES
#define GV_BLOCK_CHAIN_MAX  64u /* foreign blocks sent home at the latest together */
#define GV_LOOPS_MAX        63u /* 64 would not leave a block byte for the heap */

enum gv_block_class {
    GV_BLOCK_64,
    GV_BLOCK_128,
    GV_BLOCK_256,
    GV_BLOCK_1024,
    GV_BLOCK_CLASSES,
    GV_BLOCK_HEAP = 0xff, /* the whole block byte */
};

static_assert(GV_BLOCK_CLASSES == 4, "the class is two bits of the block byte");
static_assert(((GV_LOOPS_MAX - 1) << 2 | 3) < GV_BLOCK_HEAP, "loop and class fit the block byte");

struct gv_block_slab;

/* Blocks of another loop, waiting to be sent home together. */
struct gv_block_return {
    struct gv_message *first, *last; /* linked by next */
    struct gv_message *parcel;       /* names others; NULL if there is none */
    struct gv_message *spare;        /* an emptied parcel, to name the next ones; or NULL */
    uint32_t n;                      /* that wait, but for the spare one */
};

struct gv_blocks {
    struct gv_message *free[GV_BLOCK_CLASSES]; /* LIFO */
    uint64_t n_taken;                          /* out now, of slabs */
    uint32_t loop;
    struct gv_block_slab *cutting[GV_BLOCK_CLASSES]; /* where new blocks come from */
    struct gv_block_slab *slabs;                     /* all of this pool */
    struct gv_tracts tracts;                         /* where slabs come from */
    struct gv_blocks **pools;                        /* all pools by loop number; lent */
    uint64_t n_slabs;
    int64_t n_heap;        /* taken here minus given here: only the sum of all loops is a count */
    uint64_t n_taken_trim; /* n_taken and n_slabs after the last trim */
    uint64_t n_slabs_trim;
    uint64_t strangers; /* bit per loop whose blocks wait in returns */
    struct gv_block_return returns[GV_LOOPS_MAX];
    struct gv_message *returned;                    /* sent home, and not yet on the free lists */
    _Alignas(64) _Atomic(struct gv_message *) home; /* chains that other loops sent here */
};

/* pools[loop] is set to the pool. pools must outlive it. */
void gv_blocks_init(struct gv_blocks *blocks, unsigned loop, struct gv_blocks **pools);

/* Frees every slab. All blocks must have been given back, also by other loops, and flushed. */
void gv_blocks_deinit(struct gv_blocks *blocks);

/* Publishes the collected foreign blocks to their homes. */
void gv_blocks_flush(struct gv_blocks *blocks);

/*
 * Gives slabs whose blocks are all free back to the system; keeps one per
 * class. Walks the free lists, unless nothing was freed since the last time.
 */
void gv_blocks_trim(struct gv_blocks *blocks);

/* The rare ways of take and give; use those below. */
struct gv_message *gv_message_take_slowly(struct gv_blocks *blocks, size_t body_bytes);
void gv_message_give_slowly(struct gv_blocks *blocks, struct gv_message *message);

/* Size of the blocks of a class; of a message that lies on the heap. */
extern const uint32_t gv_block_bytes[GV_BLOCK_CLASSES];
uint32_t gv_message_heap_bytes(const struct gv_message *message);

/* Bytes this message is charged with in a mailbox: its whole block. */
static inline uint32_t gv_message_charge(const struct gv_message *message)
{
    if (__builtin_expect(message->block == GV_BLOCK_HEAP, 0))
        return gv_message_heap_bytes(message);
    return gv_block_bytes[message->block & 3];
}

/* Room behind the envelope of this very block. */
static inline size_t gv_message_room(const struct gv_message *message)
{
    return gv_message_charge(message) - sizeof(*message);
}

/* The class that holds a body of at most 1024 - 48 bytes. */
static inline unsigned gv_block_class(size_t body_bytes)
{
    size_t bytes = body_bytes + sizeof(struct gv_message);

    if (__builtin_expect(bytes <= 64, 1))
        return GV_BLOCK_64;
    return (bytes > 64) + (bytes > 128) + (bytes > 256);
}

/* Address sanitizer sees who touches the body of a block that was given back. */
static inline void gv_block_hide(struct gv_message *message)
{
    (void)message;
#if GV_ASAN
    /* Hidden already: it is given back twice. A heap block is caught by free. */
    gv_assert(!__asan_address_is_poisoned(message->body));
    __asan_poison_memory_region(message->body, gv_message_room(message));
#endif
}

static inline void gv_block_show(struct gv_message *message)
{
    (void)message;
#if GV_ASAN
    __asan_unpoison_memory_region(message->body, gv_message_room(message));
#endif
}

/*
 * A message with room for body_bytes, its header zeroed but for `block`, its
 * body not initialised. Returns NULL when memory is short or the message
 * would be over GV_BLOCK_BYTES_MAX. The caller owns it.
 */
static inline struct gv_message *gv_message_take(struct gv_blocks *blocks, size_t body_bytes)
{
    if (body_bytes > 1024 - sizeof(struct gv_message))
        return gv_message_take_slowly(blocks, body_bytes);

    unsigned class = gv_block_class(body_bytes);
    struct gv_message *message = blocks->free[class];

    if (__builtin_expect(message == NULL, 0))
        return gv_message_take_slowly(blocks, body_bytes);
    blocks->free[class] = message->next;
    blocks->n_taken++;
    gv_block_show(message);
    *message = (struct gv_message){.block = message->block};
    return message;
}

/* Gives a message of any loop back. Call it on the loop of `blocks`. */
static inline void gv_message_give(struct gv_blocks *blocks, struct gv_message *message)
{
    if (__builtin_expect(message->block >> 2 != blocks->loop, 0)) {
        gv_message_give_slowly(blocks, message);
        return;
    }
    gv_block_hide(message);
    message->next = blocks->free[message->block & 3];
    blocks->free[message->block & 3] = message;
    blocks->n_taken--;
}

#endif
