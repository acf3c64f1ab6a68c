/*
 * Start and end of a grove program.
 *
 *     int main(int argc, char **argv)
 *     {
 *         grove_init(&argc, &argv);
 *         ...spawn, await...
 *         return grove_deinit();
 *     }
 *
 * main runs on loop 0 and may call every _await function; while it waits,
 * loop 0 works. The other loops have threads of their own. While the loops
 * run, signals are handled on a thread that does nothing else, with the mask
 * that main had; all other threads of grove have them blocked, main's too.
 * A program that main starts by fork and exec inherits that: unblock them.
 */
#ifndef GROVE_INIT_H
#define GROVE_INIT_H

#include <stddef.h>

#include <grove/export.h>
#include <grove/method.h>

/* Bounds of the section that GROVE_WORKER fills in this program. */
extern const struct grove_worker_entry __start_grove_workers[]
    __attribute__((weak, visibility("hidden")));
extern const struct grove_worker_entry __stop_grove_workers[]
    __attribute__((weak, visibility("hidden")));

/* What grove_init calls; use grove_init. */
GROVE_API int grove_init_with(int *argc, char ***argv, const struct grove_worker_entry *first,
                              const struct grove_worker_entry *end);

/*
 * First line of main. Reads the GROVE_* environment and takes its own
 * --grove-NAME=VALUE flags out of argv. In a process that a pool has
 * started as a worker it does not return: it serves the program's
 * GROVE_WORKER functions until its pool lets it go. Prints one line and
 * exits 2 when an option is wrong. Returns 0.
 */
static inline int grove_init(int *argc, char ***argv)
{
    return grove_init_with(argc, argv, __start_grove_workers, __stop_grove_workers);
}

/*
 * Sets an option (the names are those of `grove_option_print`) before the
 * first spawn; later it fails with GROVE_EUSAGE. value is copied. Returns 0,
 * or GROVE_EUSAGE with the reason in grove_why().
 */
GROVE_API int grove_option_set(const char *name, const char *value);

/* Prints every option with type, unit, default, environment name and meaning to standard output. */
GROVE_API void grove_option_print(void);

/* The number of loops this process runs or will run. */
GROVE_API unsigned grove_loops(void);

/*
 * Last line of main: stops all actors and pools, ends the loops, frees
 * everything, within stop_ms, in the order that shutdown.h tells. Suspends.
 * Returns 0, or GROVE_EUSAGE if it is not main that calls; does not return
 * but ends the process with status 70, with names in the log, when somebody
 * holds out. After it no other grove function may be called.
 */
GROVE_API int grove_deinit(void);

/*
 * Monotonic time in milliseconds and nanoseconds since an arbitrary
 * moment; simulated in simulation.
 */
GROVE_API unsigned long long grove_now_ms(void);
GROVE_API unsigned long long grove_now_ns(void);

/* Wall-clock time in milliseconds since 1970; may jump. */
GROVE_API long long grove_wall_ms(void);

/* 64 random bits; from the seed in simulation. Not for keys. */
GROVE_API unsigned long long grove_random(void);

/* A number below n, which is at least 1, by the same chance. */
GROVE_API unsigned grove_choose(unsigned n);

/*
 * Writes one line to the log: level, event and text. Never blocks and never
 * suspends; lines over the bound are dropped and counted.
 */
GROVE_API void grove_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
