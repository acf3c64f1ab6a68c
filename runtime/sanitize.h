/*
 * Sanitize: which checkers this build carries. Each name is 0 or 1.
 */
#ifndef GV_SANITIZE_H
#define GV_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#    define GV_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define GV_ASAN 1
#    endif
#endif
#ifndef GV_ASAN
#    define GV_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#    define GV_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define GV_TSAN 1
#    endif
#endif
#ifndef GV_TSAN
#    define GV_TSAN 0
#endif

#define GV_SANITIZED (GV_ASAN || GV_TSAN)

/* Its locals lie in its own frame, also where the checker puts those of others elsewhere to see who uses them too late. */
#if GV_ASAN
#    define GV_FRAMED __attribute__((no_sanitize_address))
#else
#    define GV_FRAMED
#endif

#endif
