/*
 * Block: memory of messages, in classes of 64, 128, 256 and 1024 bytes; what
 * is larger comes from the heap, up to GV_BLOCK_BYTES_MAX.
 *
 * Each loop has a pool. Blocks are cut from slabs of 64 KiB aligned to their
 * size; the slab's head names the loop that owns it, so any loop may give
 * any block: its own go to the free list at once, others are collected and
 * sent home in chains of up to 64, at the latest by gv_blocks_flush. Taking and giving on the
 * own loop is a load and a store, nothing atomic.
 *
 * Owner: the pool owns all slabs and frees them in deinit. Whole free slabs
 * go back to the system in gv_blocks_trim, which a loop calls when it idles.
 *
 * Always: a block lies in the pool of the loop named in its slab's head.
 */
#ifndef GV_BLOCK_H
#define GV_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/message.h"

#define GV_BLOCK_BYTES_MAX ((size_t)64 << 20) /* of one message, envelope included */
#define GV_BLOCK_SLAB_BYTES ((size_t)64 << 10)
#define GV_LOOPS_MAX 64u

enum gv_block_class { GV_BLOCK_64, GV_BLOCK_128, GV_BLOCK_256, GV_BLOCK_1024, GV_BLOCK_HEAP, GV_BLOCK_CLASSES };

struct gv_block_slab;

/* Blocks of other loops, waiting to be sent home together. */
struct gv_block_return {
    struct gv_message *first, *last;
    unsigned n;
};

struct gv_blocks {
    struct gv_message *free[GV_BLOCK_HEAP]; /* per class, LIFO */
    unsigned loop;
    struct gv_block_slab *slabs;                      /* all of this pool */
    struct gv_block_return returns[GV_LOOPS_MAX];     /* per foreign loop */
    struct gv_blocks **pools;                         /* all pools by loop number; lent */
    uint64_t n_slabs, n_taken, n_heap;
    _Alignas(64) _Atomic(struct gv_message *) home;   /* chains that other loops sent here */
};

/* pools[loop] is set to the pool. pools must outlive it. */
void gv_blocks_init(struct gv_blocks *blocks, unsigned loop, struct gv_blocks **pools);

/* Frees every slab. All blocks must have been given back. */
void gv_blocks_deinit(struct gv_blocks *blocks);

/*
 * A message with room for body_bytes, its header zeroed but for `block`.
 * Returns NULL when memory is short or the message would be over
 * GV_BLOCK_BYTES_MAX. The caller owns it.
 */
struct gv_message *gv_message_take(struct gv_blocks *blocks, size_t body_bytes);

/* Gives a message of any loop back. Call it on the loop of `blocks`. */
void gv_message_give(struct gv_blocks *blocks, struct gv_message *message);

/* Room behind the envelope of this very block. */
size_t gv_message_room(const struct gv_message *message);

/* Bytes this message is charged with in a mailbox: its whole block. */
uint32_t gv_message_charge(const struct gv_message *message);

/* Publishes the collected foreign blocks to their homes. */
void gv_blocks_flush(struct gv_blocks *blocks);

/* Gives slabs whose blocks are all free back to the system; keeps one per class. */
void gv_blocks_trim(struct gv_blocks *blocks);

#endif
