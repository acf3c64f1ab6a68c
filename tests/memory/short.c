#include "tests/memory/short.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* As many as mmap has. */
#define MMAP_PARAMETERS void *where, size_t bytes, int protection, int flags, int fd, off_t offset

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
void *__real_mmap64(MMAP_PARAMETERS);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void *__wrap_mmap64(MMAP_PARAMETERS);

static _Atomic unsigned n_requests, fails_at;
static _Atomic bool counts, stays_short;

void short_begin(unsigned n, bool stays)
{
    n_requests = 0;
    fails_at = n;
    stays_short = stays;
    counts = true;
}

unsigned short_end(void)
{
    counts = false;
    return n_requests;
}

static bool fails(void)
{
    unsigned number;

    if (!counts)
        return false;
    number = ++n_requests;
    if (fails_at == 0 || (stays_short ? number < fails_at : number != fails_at))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return fails() ? NULL : __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

void *__wrap_mmap64(MMAP_PARAMETERS)
{
    return fails() ? MAP_FAILED : __real_mmap64(where, bytes, protection, flags, fd, offset);
}
