/*
 * Arena: memory of one turn, taken in chunks from the loop's blocks and
 * given back all at once, or down to a mark.
 *
 * An allocation that does not fit the current chunk opens a new one of at
 * least 976 bytes. Nothing is freed singly.
 *
 * Always: a turn that allocates nothing pays one test at its end.
 */
#ifndef GV_ARENA_H
#define GV_ARENA_H

#include <stddef.h>

#include "runtime/block.h"

struct gv_arena {
    struct gv_message *chunk; /* newest first; a message block used as plain memory */
    size_t used_bytes;        /* of the newest chunk's body, if there is one */
};

/* bytes of zeroed memory aligned to 16; NULL when memory is short or bytes > GV_BLOCK_BYTES_MAX / 2. */
void *gv_arena_take(struct gv_arena *arena, struct gv_blocks *blocks, size_t bytes);

/* Gives back what was taken after the mark {chunk, used_bytes}; {NULL, 0} is everything. */
void gv_arena_cut(struct gv_arena *arena, struct gv_blocks *blocks, struct gv_message *chunk,
                  size_t used_bytes);

#endif
