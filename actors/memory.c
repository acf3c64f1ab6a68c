#include <grove/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/defer.h"
#include "actors/thread.h"
#include "runtime/loop.h"

#define ALLOC_MAX ((size_t)32 << 20)

/* --- memory without a turn -------------------------------------------------------------------- */

/* A handler in a unit test allocates here; freed at exit. */
struct stray {
    struct stray *next;
    _Alignas(16) unsigned char memory[];
};

static struct stray *_Atomic strays;

/* Of this thread, while it runs a function for an actor: freed right after it. */
static __thread struct stray **borrowed;

static void free_strays(void)
{
    struct stray *stray = strays;

    while (stray != NULL) {
        struct stray *next = stray->next;

        free(stray);
        stray = next;
    }
}

static void *alloc_stray(size_t bytes)
{
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    struct stray *stray = calloc(1, sizeof *stray + bytes);

    if (stray == NULL)
        return NULL;
    if (borrowed != NULL) {
        stray->next = *borrowed;
        *borrowed = stray;
        return stray->memory;
    }
    /* relaxed: whoever comes first registers; the list itself is pushed below. */
    if (!atomic_flag_test_and_set_explicit(&registered, memory_order_relaxed)
        && atexit(free_strays) != 0)
        return stray->memory; /* It is freed with the process all the same. */
    stray->next = atomic_load_explicit(&strays, memory_order_relaxed);
    /* release: publishes next; pairs with the plain read at exit, when threads are gone. */
    while (!atomic_compare_exchange_weak_explicit(&strays, &stray->next, stray,
                                                  memory_order_release, memory_order_relaxed))
        continue;
    return stray->memory;
}

void gv_memory_borrow(void (*run)(void *argument), void *argument)
{
    struct stray *mine = NULL;

    borrowed = &mine;
    run(argument);
    borrowed = NULL;
    while (mine != NULL) {
        struct stray *next = mine->next;

        free(mine);
        mine = next;
    }
}

/* --- memory of the turn ----------------------------------------------------------------------- */

void *grove_alloc(size_t bytes)
{
    struct gv_loop *loop = gv_loop_here;

    if (bytes > ALLOC_MAX)
        return NULL;
    if (loop == NULL || loop->turn == NULL)
        return alloc_stray(bytes);
    return gv_arena_take(&loop->turn->arena, &loop->blocks, bytes);
}

char *grove_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = grove_alloc(bytes);

    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

char *grove_printf(const char *format, ...)
{
    va_list arguments;
    char *text;
    int n;

    va_start(arguments, format);
    n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = n >= 0 ? grove_alloc((size_t)n + 1) : NULL;
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    n = vsnprintf(text, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return n >= 0 ? text : NULL;
}

/* --- scopes ----------------------------------------------------------------------------------- */

void grove_scope_begin(struct grove_scope *scope)
{
    struct gv_loop *loop = gv_loop_here;

    *scope = (struct grove_scope){0};
    if (loop == NULL || loop->turn == NULL)
        return;
    scope->held = loop->turn->held;
    scope->chunk = loop->turn->arena.chunk;
    scope->used_bytes = loop->turn->arena.used_bytes;
    scope->deferred = gv_turn_defers(loop->turn);
}

void grove_scope_end(struct grove_scope *scope)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn == NULL)
        return;
    gv_defers_run(turn, scope->deferred);
    while (turn->held != scope->held) {
        struct gv_message *older = turn->held->next;

        gv_message_give(&loop->blocks, turn->held);
        turn->held = older;
    }
    gv_arena_cut(&turn->arena, &loop->blocks, scope->chunk, scope->used_bytes);
}
