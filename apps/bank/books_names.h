/*
 * Names: byte strings kept once each, and known by a small number.
 *
 * Account names, commodity symbols, descriptions and number styles all come
 * by the thousand and repeat. Interning answers "have we met this one" in
 * constant time and hands out indexes that count up from 0. The texts live
 * in large blocks that never move, each ends with a NUL, and all go at once.
 */
#ifndef BANK_BOOKS_NAMES_H
#define BANK_BOOKS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define BANK_NONE UINT32_MAX

struct bank_name {
    const char *text; /* ends with a NUL that `length` does not count */
    uint32_t length;
    uint32_t hash;
};

struct bank_names {
    struct bank_name *names; /* by index */
    uint32_t n_names;
    size_t capacity;
    uint32_t *table; /* open addressing: index + 1, or 0 */
    size_t table_size;
    struct bank_block *blocks; /* newest first */
};

/* Gives the index of the bytes, new or known. Returns 0, -ENOMEM or -ERANGE. */
int bank_names_intern(struct bank_names *names, const char *bytes, size_t length, uint32_t *index);

/* Returns the index of the bytes, or BANK_NONE if they were never interned. */
uint32_t bank_names_find(const struct bank_names *names, const char *bytes, size_t length);

void bank_names_deinit(struct bank_names *names);

/*
 * Makes room for one more element behind the n that an array holds.
 * Returns the array, perhaps moved, or NULL if memory is out; the old array
 * is then still valid.
 */
void *bank_array_grow(void *array, size_t *capacity, size_t n, size_t element_size);

#endif
