/*
 * Figures: numbers that one thread writes and any thread may read, for
 * reports. Never torn, perhaps a moment old. All accesses are relaxed:
 * a figure says nothing about any other memory.
 */
#ifndef GV_FIGURE_H
#define GV_FIGURE_H

#include <stdint.h>

static inline uint64_t gv_figure_read(const uint64_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

static inline uint32_t gv_figure_read32(const uint32_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

/* By the one writer only: plain arithmetic, and a store. */
static inline void gv_figure_set(uint64_t *figure, uint64_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

static inline void gv_figure_set32(uint32_t *figure, uint32_t value)
{
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

#endif
