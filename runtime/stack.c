/*
 * Stack: slabs, guards, colours.
 *
 * A slab knows which of its stacks are cold: never used, or given back to
 * the system. The struct of a cold stack is gone with its page, so cold
 * stacks are named by number in the slab's own record, which lies on the
 * heap. Guards are made when a stack is used for the first time and stay:
 * MADV_DONTNEED does not touch them.
 */
#include "runtime/stack.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#    if __has_include(<valgrind/valgrind.h>)
#        include <valgrind/valgrind.h>
#    endif
#endif

#include "runtime/assert.h"
#include "runtime/figure.h"

#ifndef MADV_GUARD_INSTALL
#    define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#    define MADV_POPULATE_READ 22
#endif

enum {
    STACK_BYTES = GV_SANITIZED ? 256 << 10 : 64 << 10,
    LINE_BYTES = 64,
    TOP_BYTES = (sizeof(struct gv_stack) + LINE_BYTES - 1) & -LINE_BYTES,
    STACKS_MAX = 1 << 24,
    TRIM_WORDS = GV_STACK_SLAB / 64,
};

struct gv_stack_slab {
    struct gv_stack_slab *next;       /* of all */
    struct gv_stack_slab *next_roomy; /* of those with cold stacks */
    char *base;
    uint32_t number; /* of slabs ever made in this pool; shifts the colours */
    uint32_t n_guarded;
    uint32_t n_cold;
    uint16_t cold[GV_STACK_SLAB]; /* the last one is taken first */
    uint64_t trim[TRIM_WORDS];    /* stacks that gv_stacks_trim is about to cool; else 0 */
};

/* --- guards --------------------------------------------------------------------------------- */

enum { GUARD_UNKNOWN = -1 };

static atomic_int guard_kind = GUARD_UNKNOWN;
static atomic_uint n_mprotected; /* in the process */

static size_t page_bytes(void)
{
    long bytes = sysconf(_SC_PAGESIZE);

    return bytes > 0 ? (size_t)bytes : 4096;
}

/*
 * Some emulators say yes to any advice. A page that is guarded in truth
 * cannot be populated.
 */
static enum gv_guard probe(void)
{
    size_t bytes = page_bytes();
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    enum gv_guard kind = GV_GUARD_MPROTECT;

    if (page == MAP_FAILED)
        return kind;
    if (madvise(page, bytes, MADV_GUARD_INSTALL) == 0
        && madvise(page, bytes, MADV_POPULATE_READ) != 0 && errno == EFAULT)
        kind = GV_GUARD_MADVISE;
    (void)munmap(page, bytes); /* a page that stays is no harm */
    return kind;
}

enum gv_guard gv_stack_guard(void)
{
    /* relaxed: whoever else probes finds the same */
    int kind = atomic_load_explicit(&guard_kind, memory_order_relaxed);

    if (kind == GUARD_UNKNOWN) {
        kind = (int)probe();
        atomic_store_explicit(&guard_kind, kind, memory_order_relaxed);
    }
    return (enum gv_guard)kind;
}

void gv_stack_guard_force(enum gv_guard guard)
{
    atomic_store_explicit(&guard_kind, (int)guard, memory_order_relaxed);
}

/* Returns false when the kernel will have no more guards. */
static bool install_guard(const struct gv_stacks *stacks, void *page)
{
    if (gv_stack_guard() == GV_GUARD_MADVISE)
        return madvise(page, stacks->guard_bytes, MADV_GUARD_INSTALL) == 0;

    /* relaxed, here and below: a mere counter */
    if (atomic_fetch_add_explicit(&n_mprotected, 1, memory_order_relaxed) < GV_STACK_MPROTECT_MAX
        && mprotect(page, stacks->guard_bytes, PROT_NONE) == 0)
        return true;
    atomic_fetch_sub_explicit(&n_mprotected, 1, memory_order_relaxed);
    return false;
}

/* --- slabs ---------------------------------------------------------------------------------- */

static size_t slab_bytes(const struct gv_stacks *stacks)
{
    return stacks->stack_bytes * GV_STACK_SLAB;
}

static struct gv_stack *stack_at(const struct gv_stacks *stacks, const struct gv_stack_slab *slab,
                                 uint32_t index)
{
    uint32_t colour = (slab->number * GV_STACK_SLAB + index) % GV_STACK_COLOURS;
    char *end = slab->base + (index + (size_t)1) * stacks->stack_bytes;

    return (struct gv_stack *)(void *)(end - TOP_BYTES - colour * LINE_BYTES);
}

static struct gv_stack_slab *slab_new(struct gv_stacks *stacks)
{
    struct gv_stack_slab *slab = calloc(1, sizeof(*slab));
    size_t bytes = slab_bytes(stacks);

    if (slab == NULL)
        return NULL;
    slab->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab->base == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    /*
     * A child that copied half a million stacks would take 40 ms to be born. The thread sanitizer
     * makes a fork of each vfork, whose child goes on on a stack of these.
     */
    if (!GV_TSAN && madvise(slab->base, bytes, MADV_DONTFORK) != 0) {
        (void)munmap(slab->base, bytes); /* we fail already */
        free(slab);
        return NULL;
    }
    /* A kernel without huge pages says no, and does what we want all the same. */
    (void)madvise(slab->base, bytes, MADV_NOHUGEPAGE);

    slab->number = stacks->n_slabs++;
    slab->n_cold = GV_STACK_SLAB;
    for (uint32_t i = 0; i < GV_STACK_SLAB; i++)
        slab->cold[i] = (uint16_t)(GV_STACK_SLAB - 1 - i);
    return slab;
}

/* Valgrind's name for a stack must not outlive the mapping. */
static void forget(struct gv_stack *stack)
{
    gv_context_free(&stack->context);
#ifdef VALGRIND_STACK_DEREGISTER
    if (stack->valgrind_id != 0)
        VALGRIND_STACK_DEREGISTER(stack->valgrind_id - 1);
#endif
    stack->valgrind_id = 0;
}

static void slab_free(const struct gv_stacks *stacks, struct gv_stack_slab *slab)
{
    if (gv_stack_guard() == GV_GUARD_MPROTECT)
        atomic_fetch_sub_explicit(&n_mprotected, slab->n_guarded, memory_order_relaxed);

    int rc = munmap(slab->base, slab_bytes(stacks));

    gv_assert(rc == 0);
    free(slab);
}

static struct gv_stack_slab *slab_of(const struct gv_stacks *stacks, const void *address)
{
    for (struct gv_stack_slab *slab = stacks->slabs; slab != NULL; slab = slab->next) {
        if ((uintptr_t)address - (uintptr_t)slab->base < slab_bytes(stacks))
            return slab;
    }
    return NULL;
}

/* --- take and give -------------------------------------------------------------------------- */

/* Makes a stack of a cold one. Returns NULL when guards or memory are short. */
static struct gv_stack *warm(struct gv_stacks *stacks)
{
    struct gv_stack_slab *slab = stacks->roomy;

    if (slab == NULL) {
        slab = slab_new(stacks);
        if (slab == NULL)
            return NULL;
        slab->next = stacks->slabs;
        stacks->slabs = slab;
        stacks->roomy = slab;
    }

    uint32_t index = slab->cold[slab->n_cold - 1];
    char *base = slab->base + index * stacks->stack_bytes;

    /* Stacks are used for the first time in order. */
    if (index >= slab->n_guarded) {
        gv_assert(index == slab->n_guarded);
        if (!install_guard(stacks, base))
            return NULL;
        slab->n_guarded++;
    }
    slab->n_cold--;
    if (slab->n_cold == 0)
        stacks->roomy = slab->next_roomy;

    struct gv_stack *stack = stack_at(stacks, slab, index);

    memset(stack, 0, sizeof(*stack));
    stack->low = base + stacks->guard_bytes;
    stack->slab = slab;
    stack->index = index;
#ifdef VALGRIND_STACK_REGISTER
    if (RUNNING_ON_VALGRIND)
        stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, (char *)stack - 1) + 1;
#endif
    stacks->n_stacks++;
    return stack;
}

struct gv_stack *gv_stack_take(struct gv_stacks *stacks)
{
    struct gv_stack *stack = stacks->free;

    if (stack != NULL) {
        stacks->free = stack->next;
        stack->next = NULL;
    } else {
        if (stacks->n_stacks >= stacks->stacks_max)
            return NULL;
        stack = warm(stacks);
        if (stack == NULL)
            return NULL;
    }
    gv_figure_set32(&stacks->n_taken, stacks->n_taken + 1);
    return stack;
}

void gv_stack_give(struct gv_stacks *stacks, struct gv_stack *stack)
{
    gv_assert(stacks->n_taken > 0);

    stack->owner = NULL;
    stack->next = stacks->free;
    stacks->free = stack;
    gv_figure_set32(&stacks->n_taken, stacks->n_taken - 1);
}

/* --- trim ----------------------------------------------------------------------------------- */

static bool is_marked(const struct gv_stack_slab *slab, uint32_t index)
{
    return slab->trim[index / 64] >> index % 64 & 1;
}

/* Cools the marked stacks of a slab, those that lie side by side in one call. */
static uint32_t cool(const struct gv_stacks *stacks, struct gv_stack_slab *slab)
{
    uint32_t n = 0;

    for (uint32_t end = GV_STACK_SLAB; end > 0;) {
        uint32_t first = end;

        while (first > 0 && is_marked(slab, first - 1))
            slab->cold[slab->n_cold++] = (uint16_t)--first;
        if (first == end) {
            end--;
            continue;
        }

        char *base = slab->base + first * stacks->stack_bytes;
        int rc = madvise(base, (end - first) * stacks->stack_bytes, MADV_DONTNEED);

        gv_assert(rc == 0);
        n += end - first;
        end = first;
    }
    memset(slab->trim, 0, sizeof(slab->trim));
    return n;
}

/* Marks what lies beyond the keep warmest on the free list, and takes it off. */
static void mark(struct gv_stacks *stacks, uint32_t keep)
{
    struct gv_stack **place = &stacks->free;

    while (*place != NULL && keep > 0) {
        place = &(*place)->next;
        keep--;
    }
    for (uint32_t n = 0; *place != NULL && n < GV_STACK_TRIM_MAX; n++) {
        struct gv_stack *stack = *place;

        *place = stack->next;
        stack->slab->trim[stack->index / 64] |= (uint64_t)1 << stack->index % 64;
        forget(stack);
    }
}

uint32_t gv_stacks_trim(struct gv_stacks *stacks, uint32_t keep)
{
    uint32_t n = 0;
    bool spare = false; /* a wholly cold slab is kept already */

    if (stacks->n_stacks - stacks->n_taken <= keep)
        return 0;
    mark(stacks, keep);

    stacks->roomy = NULL;
    for (struct gv_stack_slab **place = &stacks->slabs; *place != NULL;) {
        struct gv_stack_slab *slab = *place;

        n += cool(stacks, slab);
        if (slab->n_cold == GV_STACK_SLAB && spare) {
            *place = slab->next;
            slab_free(stacks, slab);
            continue;
        }
        spare = spare || slab->n_cold == GV_STACK_SLAB;
        if (slab->n_cold > 0) {
            slab->next_roomy = stacks->roomy;
            stacks->roomy = slab;
        }
        place = &slab->next;
    }
    stacks->n_stacks -= n;
    return n;
}

/* --- the pool ------------------------------------------------------------------------------- */

void gv_stacks_init(struct gv_stacks *stacks, uint32_t stacks_max)
{
    size_t page = page_bytes();

    *stacks = (struct gv_stacks){0};
    stacks->guard_bytes = page;
    stacks->stack_bytes = STACK_BYTES >= 4 * page ? STACK_BYTES : 4 * page;
    stacks->stacks_max = stacks_max > 0 && stacks_max < STACKS_MAX ? stacks_max : STACKS_MAX;
    if (GV_SANITIZED && stacks->stacks_max > GV_STACK_SANITIZED_MAX)
        stacks->stacks_max = GV_STACK_SANITIZED_MAX;
}

void gv_stacks_deinit(struct gv_stacks *stacks)
{
    gv_assert(stacks->n_taken == 0);

    for (struct gv_stack *stack = stacks->free; stack != NULL; stack = stack->next)
        forget(stack);
    while (stacks->slabs != NULL) {
        struct gv_stack_slab *slab = stacks->slabs;

        stacks->slabs = slab->next;
        slab_free(stacks, slab);
    }
    *stacks = (struct gv_stacks){0};
}

bool gv_stacks_guard_hit(const struct gv_stacks *stacks, const void *address,
                         struct gv_stack **stack)
{
    const struct gv_stack_slab *slab = slab_of(stacks, address);

    if (slab == NULL)
        return false;

    size_t offset = (size_t)((const char *)address - slab->base);
    uint32_t index = (uint32_t)(offset / stacks->stack_bytes);

    if (offset % stacks->stack_bytes >= stacks->guard_bytes || index >= slab->n_guarded)
        return false;
    *stack = stack_at(stacks, slab, index);
    return true;
}
