/*
 * Stack: guarded stacks for greenlets, a pool per loop.
 *
 * Slabs of 1024 stacks of 64 KiB virtual memory; the lowest page of each is
 * a guard (MADV_GUARD_INSTALL where the kernel has it, else mprotect up to
 * GV_STACK_MPROTECT_MAX in the process). Pages become resident as they are
 * touched: a parked greenlet costs one. The top of each stack is moved down
 * by one of 29 colours of 64 bytes, since equally aligned tops share cache
 * sets (three times slower). The struct below lies in that top line.
 *
 * LIFO per loop: the warmest stack is taken first. gv_stacks_trim returns
 * the pages of idle stacks in runs, off the hot path. Slabs are
 * MADV_DONTFORK and MADV_NOHUGEPAGE. Sanitizer builds use 256 KiB and at
 * most 2000 stacks, and bind a sanitizer fiber to each stack.
 *
 * Always: a taken stack is used by one greenlet until it is given back.
 */
#ifndef GV_STACK_H
#define GV_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/switch.h"

#define GV_STACK_MPROTECT_MAX 30000u /* half of the usual vm.max_map_count */
#define GV_STACK_SLAB 1024u

struct gv_stack {
    struct gv_context context; /* {pc, sp, fp} while switched out: a debugger finds it here */
    struct gv_stack *next;     /* pool and idle list */
    char *low;                 /* first usable byte, above the guard */
    void *owner;               /* task whose handler it carries, NULL for a dispatcher; for reports */
    uint32_t index;            /* of the slab's stacks; gives the colour */
    uint32_t valgrind_id;
};

struct gv_stack_slab;

struct gv_stacks {
    struct gv_stack *free;
    struct gv_stack_slab *slabs;
    size_t stack_bytes;   /* virtual size of one, guard included */
    uint32_t n_stacks;    /* taken and free, ever cut */
    uint32_t n_taken;
    uint32_t stacks_max;  /* of this pool */
};

/* How guards are made on this machine; probed once. For reports. */
enum gv_guard { GV_GUARD_MADVISE, GV_GUARD_MPROTECT };
enum gv_guard gv_stack_guard(void);

/* For tests: pretend that the kernel has no MADV_GUARD_INSTALL. */
void gv_stack_guard_force(enum gv_guard guard);

/* stacks_max 0 = 1 << 24. */
void gv_stacks_init(struct gv_stacks *stacks, uint32_t stacks_max);

/* Unmaps everything; no stack may be taken. */
void gv_stacks_deinit(struct gv_stacks *stacks);

/* A stack whose context is not yet set; NULL when stacks_max is reached or memory or maps are short. */
struct gv_stack *gv_stack_take(struct gv_stacks *stacks);

/* Gives it back; it must not be the running one, unless the caller switches away at once for good. */
void gv_stack_give(struct gv_stacks *stacks, struct gv_stack *stack);

/* Returns the pages of free stacks beyond keep to the system. */
void gv_stacks_trim(struct gv_stacks *stacks, uint32_t keep);

/* True when address lies in the guard of a stack of this pool; *stack is that stack. Async-signal-safe. */
bool gv_stacks_guard_hit(const struct gv_stacks *stacks, const void *address, struct gv_stack **stack);

/* First byte of the usable area and its size, for sanitizers and stack walks. */
static inline size_t gv_stack_room(const struct gv_stack *stack)
{
    return (size_t)((const char *)stack - stack->low);
}

#endif
