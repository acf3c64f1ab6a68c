/*
 * Capped arena: see arena.h. Blocks double in size up to a bound, so that a
 * small message costs one small malloc and a large one few.
 */
#include "proto/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES_MIN ((size_t)1008) /* 1 KiB with its header: malloc keeps such blocks at hand */
#define BLOCK_BYTES_MAX ((size_t)1 << 18)

struct gv_capped_block {
    _Alignas(16) struct gv_capped_block *older;
    size_t bytes; /* behind this header */
};

static void *alloc_for_protobuf(void *arena, size_t bytes)
{
    return gv_capped_arena_alloc(arena, bytes);
}

static void free_for_protobuf(void *arena, void *piece)
{
    (void)arena;
    (void)piece; /* goes with the arena */
}

void gv_capped_arena_init(struct gv_capped_arena *arena, size_t bytes_max)
{
    *arena = (struct gv_capped_arena){
        .allocator = {alloc_for_protobuf, free_for_protobuf, arena},
        .bytes_max = bytes_max,
    };
}

void gv_capped_arena_deinit(struct gv_capped_arena *arena)
{
    while (arena->blocks != NULL) {
        struct gv_capped_block *block = arena->blocks;

        arena->blocks = block->older;
        free(block);
    }
    arena->used_bytes = 0;
    arena->taken_bytes = 0;
    arena->is_short = 0;
}

static struct gv_capped_block *add_block(struct gv_capped_arena *arena, size_t bytes)
{
    size_t room = arena->blocks == NULL ? BLOCK_BYTES_MIN : 2 * arena->blocks->bytes;

    if (room > BLOCK_BYTES_MAX)
        room = BLOCK_BYTES_MAX;
    if (room > arena->bytes_max - arena->taken_bytes)
        room = arena->bytes_max - arena->taken_bytes;
    if (room < bytes)
        room = bytes;

    struct gv_capped_block *block = malloc(sizeof *block + room);
    if (block == NULL) {
        arena->is_short = 1;
        return NULL;
    }
    block->older = arena->blocks;
    block->bytes = room;
    arena->blocks = block;
    arena->used_bytes = 0;
    return block;
}

void *gv_capped_arena_alloc(struct gv_capped_arena *arena, size_t bytes)
{
    struct gv_capped_block *block = arena->blocks;

    /* A piece of no bytes has an address of its own all the same: NULL means failure. */
    if (bytes > SIZE_MAX - 16)
        return NULL;
    bytes = bytes == 0 ? 16 : (bytes + 15) & ~(size_t)15;
    if (bytes > arena->bytes_max - arena->taken_bytes)
        return NULL;
    if (block == NULL || bytes > block->bytes - arena->used_bytes)
        block = add_block(arena, bytes);
    if (block == NULL)
        return NULL;

    void *piece = (char *)(block + 1) + arena->used_bytes;
    arena->used_bytes += bytes;
    arena->taken_bytes += bytes;
    return piece;
}
