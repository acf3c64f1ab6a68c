/*
 * Memory of a turn. What grove_alloc returns, and every answer that an await
 * filled in, lives until the handler returns; in a greenlet started with
 * grove_go, until it ends. Nothing is freed by hand. A loop of many awaits
 * bounds what it keeps with a scope:
 *
 *     for (...) {
 *         struct grove_scope scope;
 *         grove_scope_begin(&scope);
 *         ...awaits, grove_alloc...
 *         grove_scope_end(&scope);
 *     }
 */
#ifndef GROVE_MEMORY_H
#define GROVE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

#include <grove/export.h>

/*
 * bytes of zeroed memory aligned for any type, yours until the end of the
 * turn or scope. Returns NULL when memory is short or bytes > 32 MiB. Never
 * suspends. Without a turn (a unit test) the memory is freed at exit.
 */
GROVE_API void *grove_alloc(size_t bytes);

/* A copy of text in grove_alloc memory; NULL if there is none. Never suspends. */
GROVE_API char *grove_strdup(const char *text);

/* printf into grove_alloc memory; NULL if there is none. Never suspends. */
GROVE_API char *grove_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct grove_scope {
    void *held;        /* ours: the newest answer kept before the scope */
    void *chunk;       /* ours: the arena's chunk before the scope */
    size_t used_bytes; /* ours: and how full it was */
    void *deferred;    /* ours: the newest clean-up of before the scope */
};

/*
 * From here on, answers and allocations are freed by the matching end, which
 * runs the clean-ups deferred meanwhile first (defer.h). Scopes nest. They
 * never suspend but in such a clean-up.
 */
GROVE_API void grove_scope_begin(struct grove_scope *scope);
GROVE_API void grove_scope_end(struct grove_scope *scope);

#endif
