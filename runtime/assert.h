/*
 * gv_assert: for our own mistakes, never for the world's. It stays on in
 * release builds: a broken invariant in money code must not go on.
 */
#ifndef GV_ASSERT_H
#define GV_ASSERT_H

#define gv_assert(condition)                                  \
    do {                                                      \
        if (__builtin_expect(!(condition), 0))                \
            gv_assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

/* Reports text, and who was running, then ends the process. For what a user has asked to be told so. */
void gv_crash(const char *text) __attribute__((noreturn, cold));

/* Reports the broken condition with the running actor and method, then ends the process. */
void gv_assert_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn, cold));

#endif
