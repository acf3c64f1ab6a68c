/*
 * Hints for the compiler on the hot path: which way a branch usually goes,
 * and what shall be inlined or kept apart. They change no meaning.
 */
#ifndef GV_HINT_H
#define GV_HINT_H

#define gv_likely(condition)   __builtin_expect(!!(condition), 1)
#define gv_unlikely(condition) __builtin_expect(!!(condition), 0)

#define GV_INLINE inline __attribute__((always_inline))
#define GV_APART  __attribute__((noinline))
#define GV_RARE   __attribute__((cold, noinline))

#endif
