/* Names: byte strings kept once each, and known by a small number. See books_names.h. */
#include "apps/bank/books_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, TABLE_SIZE_MIN = 64, ARRAY_SIZE_MIN = 16 };

struct bank_block {
    struct bank_block *next;
    size_t used;
    size_t size;
    char bytes[];
};

void *bank_array_grow(void *array, size_t *capacity, size_t n, size_t element_size)
{
    size_t wanted;
    void *moved;

    if (n < *capacity)
        return array;
    wanted = *capacity ? *capacity * 2 : ARRAY_SIZE_MIN;
    moved = reallocarray(array, wanted, element_size);
    if (moved)
        *capacity = wanted;
    return moved;
}

static uint32_t hash_of(const char *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ (hash >> 32));
}

/* Returns the slot that holds the bytes, or the free one where they belong. */
static size_t find_slot(const struct bank_names *names, const char *bytes, size_t length,
                        uint32_t hash)
{
    size_t mask = names->table_size - 1;
    size_t slot = hash & mask;

    while (names->table[slot] != 0) {
        const struct bank_name *name = &names->names[names->table[slot] - 1];

        if (name->hash == hash && name->length == length && memcmp(name->text, bytes, length) == 0)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static int grow_table(struct bank_names *names)
{
    size_t size = names->table_size ? names->table_size * 2 : TABLE_SIZE_MIN;
    uint32_t *table = calloc(size, sizeof(*table));

    if (!table)
        return -ENOMEM;
    for (uint32_t i = 0; i < names->n_names; i++) {
        size_t slot = names->names[i].hash & (size - 1);

        while (table[slot] != 0)
            slot = (slot + 1) & (size - 1);
        table[slot] = i + 1;
    }
    free(names->table);
    names->table = table;
    names->table_size = size;
    return 0;
}

static const char *keep(struct bank_names *names, const char *bytes, size_t length)
{
    struct bank_block *block = names->blocks;
    char *place;

    if (!block || block->size - block->used <= length) {
        size_t size = length + 1 > BLOCK_SIZE ? length + 1 : BLOCK_SIZE;

        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        *block = (struct bank_block){.next = names->blocks, .size = size};
        names->blocks = block;
    }
    place = block->bytes + block->used;
    if (length > 0)
        memcpy(place, bytes, length);
    place[length] = '\0';
    block->used += length + 1;
    return place;
}

uint32_t bank_names_find(const struct bank_names *names, const char *bytes, size_t length)
{
    size_t slot;

    if (names->table_size == 0)
        return BANK_NONE;
    slot = find_slot(names, bytes, length, hash_of(bytes, length));
    return names->table[slot] == 0 ? BANK_NONE : names->table[slot] - 1;
}

int bank_names_intern(struct bank_names *names, const char *bytes, size_t length, uint32_t *index)
{
    uint32_t hash = hash_of(bytes, length);
    struct bank_name *grown;
    const char *text;
    size_t slot;

    if (length > UINT32_MAX || names->n_names == UINT32_MAX - 1)
        return -ERANGE;
    if ((size_t)names->n_names * 2 >= names->table_size && grow_table(names) < 0)
        return -ENOMEM;
    slot = find_slot(names, bytes, length, hash);
    if (names->table[slot] != 0) {
        *index = names->table[slot] - 1;
        return 0;
    }
    grown = bank_array_grow(names->names, &names->capacity, names->n_names, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    names->names = grown;
    text = keep(names, bytes, length);
    if (!text)
        return -ENOMEM;
    names->names[names->n_names] =
        (struct bank_name){.text = text, .length = (uint32_t)length, .hash = hash};
    *index = names->n_names++;
    names->table[slot] = *index + 1;
    return 0;
}

void bank_names_deinit(struct bank_names *names)
{
    struct bank_block *block = names->blocks;

    while (block) {
        struct bank_block *next = block->next;

        free(block);
        block = next;
    }
    free(names->names);
    free(names->table);
    *names = (struct bank_names){0};
}
