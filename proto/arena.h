/*
 * Capped arena: the memory that one unpacked message lives in.
 *
 * Hands out pieces of a few larger blocks until its cap is reached, then
 * none: whatever a message claims, its memory is bounded. Single pieces are
 * not freed; everything goes at once. The arena is its own
 * ProtobufCAllocator, and belongs to one thread at a time.
 *
 * Always: the bytes handed out, each rounded up to 16, are at most the cap.
 */
#ifndef GV_CAPPED_ARENA_H
#define GV_CAPPED_ARENA_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct gv_capped_block;

struct gv_capped_arena {
    ProtobufCAllocator allocator;   /* give its address to protobuf-c; the arena must not move */
    struct gv_capped_block *blocks; /* newest first */
    size_t used_bytes;              /* of the newest block */
    size_t taken_bytes;             /* in all, rounded up */
    size_t bytes_max;               /* the cap */
    int is_short;                   /* malloc failed, not the cap */
};

/* Begins an arena that hands out at most bytes_max; allocates nothing yet. */
void gv_capped_arena_init(struct gv_capped_arena *arena, size_t bytes_max);

/* Frees all of it; the arena is empty then and may be used again. */
void gv_capped_arena_deinit(struct gv_capped_arena *arena);

/* bytes aligned to 16, not cleared; NULL beyond the cap or when malloc fails. */
void *gv_capped_arena_alloc(struct gv_capped_arena *arena, size_t bytes);

#endif
