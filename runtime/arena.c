#include "runtime/arena.h"

#include <string.h>

#define CHUNK_BYTES (1024 - sizeof(struct gv_message))

void *gv_arena_take(struct gv_arena *arena, struct gv_blocks *blocks, size_t bytes)
{
    size_t rounded = (bytes + 15) & ~(size_t)15;
    void *memory;

    if (bytes > GV_BLOCK_BYTES_MAX / 2)
        return NULL;
    if (arena->chunk == NULL || gv_message_room(arena->chunk) - arena->used_bytes < rounded) {
        struct gv_message *chunk =
            gv_message_take(blocks, rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES);

        if (chunk == NULL)
            return NULL;
        chunk->next = arena->chunk;
        arena->chunk = chunk;
        arena->used_bytes = 0;
    }
    memory = arena->chunk->body + arena->used_bytes;
    arena->used_bytes += rounded;
    return memset(memory, 0, rounded);
}

void gv_arena_cut(struct gv_arena *arena, struct gv_blocks *blocks, struct gv_message *chunk,
                  size_t used_bytes)
{
    while (arena->chunk != chunk) {
        struct gv_message *older = arena->chunk->next;

        gv_message_give(blocks, arena->chunk);
        arena->chunk = older;
    }
    arena->used_bytes = used_bytes;
}
