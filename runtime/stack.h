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
 *     never used, or trimmed ──take──▶ taken ──give──▶ free, warm
 *              ▲                         ▲───take────────│
 *              └────────────── gv_stacks_trim ───────────┘
 *
 * LIFO per loop: the warmest stack is taken first. gv_stacks_trim returns
 * the pages of free stacks in runs, off the hot path, and slabs that nobody
 * uses any more. Slabs are MADV_DONTFORK and MADV_NOHUGEPAGE. Sanitizer
 * builds use 256 KiB and at most 2000 stacks; the context that lies in a
 * stack binds their fibers to it.
 *
 * Always: a taken stack is used by one greenlet until it is given back.
 */
#ifndef GV_STACK_H
#define GV_STACK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/switch.h"

#define GV_STACK_MPROTECT_MAX  30000u /* half of the usual vm.max_map_count */
#define GV_STACK_SLAB          1024u  /* stacks per slab */
#define GV_STACK_COLOURS       29u
#define GV_STACK_TRIM_MAX      2048u /* stacks per gv_stacks_trim, about a millisecond */
#define GV_STACK_SANITIZED_MAX 2000u /* stacks of a pool that sanitizers can follow */

struct gv_stack_slab;

struct gv_stack {
    struct gv_context context; /* {pc, sp, fp} while switched out: a debugger finds it here */
    struct gv_stack *next;     /* free list, and idle list of the loop */
    char *low;                 /* first usable byte, above the guard */
    struct gv_stack_slab *slab;
    void *owner;          /* task whose handler it carries, NULL for a dispatcher; for reports */
    uint32_t index;       /* in its slab */
    uint32_t valgrind_id; /* 0: not registered */
};

#if !GV_SANITIZED && !defined(GV_SWITCH_PORTABLE)
static_assert(sizeof(struct gv_stack) == 64, "the head of a stack is one cache line");
#endif

struct gv_stacks {
    struct gv_stack *free;
    struct gv_stack_slab *slabs; /* all of this pool */
    struct gv_stack_slab *roomy; /* those with stacks that were never used, or trimmed */
    size_t stack_bytes;          /* virtual size of one, guard included */
    size_t guard_bytes;
    uint32_t n_slabs;
    uint32_t n_stacks; /* taken and free; trimmed ones do not count */
    uint32_t n_taken;
    uint32_t stacks_max; /* of this pool */
};

/* How guards are made on this machine; probed once. For reports. */
enum gv_guard { GV_GUARD_MADVISE, GV_GUARD_MPROTECT };
enum gv_guard gv_stack_guard(void);

/* For tests: pretend that the kernel has no MADV_GUARD_INSTALL, or go back. */
void gv_stack_guard_force(enum gv_guard guard);

/* stacks_max 0 = 1 << 24. */
void gv_stacks_init(struct gv_stacks *stacks, uint32_t stacks_max);

/* Unmaps everything; no stack may be taken. */
void gv_stacks_deinit(struct gv_stacks *stacks);

/*
 * A stack whose context is not yet made, owner and next NULL. Returns NULL
 * when stacks_max is reached or memory or maps are short.
 */
struct gv_stack *gv_stack_take(struct gv_stacks *stacks);

/* Gives it back; it must not be the running one, unless the caller switches away at once for good. */
void gv_stack_give(struct gv_stacks *stacks, struct gv_stack *stack);

/*
 * Returns the pages of free stacks beyond keep to the system, at most
 * GV_STACK_TRIM_MAX at a time. Returns how many that were. Not from a stack
 * that was given back and is still running.
 */
uint32_t gv_stacks_trim(struct gv_stacks *stacks, uint32_t keep);

/* True when address lies in the guard of a stack of this pool; *stack is that stack.
 * Async-signal-safe on the pool's own thread. */
bool gv_stacks_guard_hit(const struct gv_stacks *stacks, const void *address,
                         struct gv_stack **stack);

/* Size of the usable area, which begins at low; for contexts, sanitizers and stack walks. */
static inline size_t gv_stack_room(const struct gv_stack *stack)
{
    return (size_t)((const char *)stack - stack->low);
}

#endif
