/*
 * Short: memory that runs short at the n-th request.
 *
 * The linker sends every malloc, calloc, realloc, aligned_alloc, strdup and
 * mmap of grove's own objects here (--wrap). Libraries keep theirs.
 */
#ifndef TESTS_MEMORY_SHORT_H
#define TESTS_MEMORY_SHORT_H

#include <stdbool.h>

/* From now on request number n (from 1) fails; and, if it stays short, all that follow. 0: none. */
void short_begin(unsigned n, bool stays);

/* Memory is there again. Returns how many requests there were. */
unsigned short_end(void);

#endif
