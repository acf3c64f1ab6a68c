/*
 * Simulation: your program in a world that a seed decides.
 *
 *     static void run(void)            // the main of the simulated program
 *     {
 *         ...spawn, start greenlets, await...
 *         grove_sim_check(balance >= 0, "the account is overdrawn: %d", balance);
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct grove_simulation withdraw = {
 *             .name = "withdraw", .what = "two at one account", .run = run};
 *         static const struct grove_simulation *const all[] = {&withdraw, NULL};
 *
 *         return grove_sim_main(argc, argv, all);
 *     }
 *
 * Built like any other program, `./withdraw_sim --seeds 1000` runs it under
 * 1000 seeds. Each decides how many loops there are, who runs next at every
 * await, how long everything takes, and what goes wrong. The first seed
 * that fails a check is printed, with the line that replays it: there it
 * prints who did what when. The same seed is the same run, with every
 * compiler, sanitizer and address layout.
 *
 * One thread, n simulated loops, time that jumps to where something happens.
 * The loops, mailboxes, calls, timers, links and pools are the real ones;
 * what lies below them is not: clocks, chance, byte streams and processes. A
 * pool's workers are simulated processes that run this program's GROVE_WORKER
 * functions; they share its memory, so they must not touch its globals.
 * Such a function may not await: GROVE_EUSAGE. What reaches out of the
 * process and has no simulated counterpart answers GROVE_ENOSIM.
 *
 * For a run to be the same twice: take chance from grove_random and
 * grove_choose, time from grove_now_ms, begin `run` by setting every global
 * it uses, and order nothing by address.
 */
#ifndef GROVE_SIM_H
#define GROVE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/export.h>
#include <grove/init.h>
#include <grove/method.h>

/* --- a simulation ----------------------------------------------------------------------------- */

struct grove_simulation {
    const char *name; /* one word, for the command line */
    const char *what; /* one line, for --help */
    /*
     * The main: any public function but grove_init and grove_deinit. When it returns, grove ends.
     */
    void (*run)(void);
    /* Before grove starts: grove_option_set, grove_sim_allow, draws; may be NULL. */
    void (*prepare)(void);
    bool canary; /* it has a planted fault: it passes if some seed finds it */
};

/* What grove_sim_main calls; use grove_sim_main. */
GROVE_API int grove_sim_main_with(int argc, char **argv,
                                  const struct grove_simulation *const *simulations,
                                  const struct grove_worker_entry *first,
                                  const struct grove_worker_entry *end);

/*
 * The whole main of a program of simulations; the list ends with NULL. Its
 * command line:
 *
 *     PROGRAM [NAME…] [--seeds N] [--from S] [--pct] [--faults all|none|KIND,…]
 *             [--counts] [--trace | --raw] | --list | --help
 *
 * Those named, or all, share the N seeds (1000) from S (0) on. Whoever can
 * go on is as likely to go on next; with --pct priorities with change points
 * decide, which finds what needs few but rare switches. --counts says how
 * often each fault has happened. --trace prints who did what when, --raw
 * every note that goes into the hash. Returns the exit status: 0, 1 if a
 * seed failed (or no seed a canary), 2 for a wrong command line.
 */
static inline int grove_sim_main(int argc, char **argv,
                                 const struct grove_simulation *const *simulations)
{
    return grove_sim_main_with(argc, argv, simulations, __start_grove_workers,
                               __stop_grove_workers);
}

/* --- inside a run ----------------------------------------------------------------------------- */

/*
 * Fails the seed unless condition holds; the first reason is told, and the
 * run goes on. Outside of a simulation it does nothing, so that it may stand
 * in a program's own code. Returns condition. Never suspends.
 */
GROVE_API bool grove_sim_check(bool condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line of your own in the trace. No addresses. Outside of a simulation it does nothing. */
GROVE_API void grove_sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The seed of the running simulation. True if there is one; seed may be NULL. */
GROVE_API bool grove_sim_seed(uint64_t *seed);

/*
 * Suspends main until done(argument) says true; it is asked now and then, at
 * least every 64 ms. Fails the seed after timeout_ms of virtual time.
 * Returns what done said last.
 */
GROVE_API bool grove_sim_until_await(bool (*done)(void *argument), void *argument,
                                     uint32_t timeout_ms);

/*
 * The running code takes so long: time passes, and in a worker function the
 * others run meanwhile, and the process may die. Never suspends an actor.
 */
GROVE_API void grove_sim_pass_ms(uint32_t ms);

/* --- faults ----------------------------------------------------------------------------------- */

/* Kind, name on the command line, what happens. */
#define GROVE_SIM_FAULT_TABLE(X)                                                   \
    X(LATE, "late", "timers, wake-ups and signals come late")                      \
    X(EARLY, "early", "a wait for the world ends before its time")                 \
    X(CLOCK, "clock", "the wall clock jumps by up to an hour, rarely a day")       \
    X(DELAY, "delay", "bytes, connections and ends of processes take long")        \
    X(SPLIT, "split", "bytes arrive in parts")                                     \
    X(LOSE, "lose", "bytes get lost on the way")                                   \
    X(DOUBLE, "double", "bytes arrive twice")                                      \
    X(REORDER, "reorder", "bytes arrive in another order")                         \
    X(FLIP, "flip", "a bit is wrong")                                              \
    X(CUT, "cut", "a connection is lost, perhaps in the middle of a frame")        \
    X(REFUSE, "refuse", "nobody answers who dials")                                \
    X(PARTITION, "partition", "nothing gets through for a while, one way or both") \
    X(NOBIRTH, "nobirth", "a process cannot be started")                           \
    X(DIE, "die", "a worker process dies")                                         \
    X(HANG, "hang", "a worker process stands still for good")                      \
    X(LIE, "lie", "a worker sends garbage, answers twice, late, or somebody else")

enum grove_sim_fault {
#define GROVE_SIM_FAULT_ENUM(id, name, what) GROVE_SIM_##id,
    GROVE_SIM_FAULT_TABLE(GROVE_SIM_FAULT_ENUM)
#undef GROVE_SIM_FAULT_ENUM
        GROVE_SIM_FAULTS
};

/* For masks: the bit of a kind, and all of them. */
#define GROVE_SIM_BIT(kind) (1u << (kind))
#define GROVE_SIM_ALL       ((1u << GROVE_SIM_FAULTS) - 1u)

/*
 * Which kinds may happen from now on; all, until this is called. Each seed
 * draws its own mix of them: most are absent from most seeds, since a run
 * with every fault at once gets nowhere. With 0 the second phase of a test
 * begins: nothing goes wrong any more, partitions heal, and what has gone
 * wrong must mend. --faults narrows it further. In prepare or run.
 */
GROVE_API void grove_sim_allow(uint32_t mask);

/*
 * Lets a fault happen now, whatever the mix says. worker is the number of a
 * worker process in the order of birth, from 1; 0: one that the seed
 * chooses. DIE and HANG befall it; LIE its next answer; LOSE, DOUBLE,
 * REORDER and FLIP the next bytes on its connection; CUT and PARTITION that
 * connection at once; CLOCK moves the wall clock, whatever worker is.
 * Returns 0; GROVE_ENOACTOR if there is no such worker, or it has no
 * connection; GROVE_EUSAGE for the other kinds and outside of a simulation.
 */
GROVE_API int grove_sim_fault(enum grove_sim_fault kind, unsigned worker);

/*
 * Sends a signal, such as SIGTERM, to the simulated program; nothing happens
 * to the real one. Returns how many watchers will hear of it: 0, and it has
 * no effect.
 */
GROVE_API unsigned grove_sim_signal(int signal);

/* How often a kind has happened in this seed. */
GROVE_API uint64_t grove_sim_count(enum grove_sim_fault kind);

/* --- one seed by hand ------------------------------------------------------------------------- */

/* Zero means the default. */
struct grove_sim_options {
    bool calm;       /* no faults; the order is by chance all the same */
    bool priorities; /* ordered by priorities with change points */
    bool trace;      /* print who does what when, to standard output */
    unsigned loops;  /* default: 1 to 3, by the seed */
    const struct grove_worker_entry *first, *end; /* set by grove_sim_run */
};

struct grove_sim_result {
    bool failed;
    uint64_t hash;      /* of all that happened: equal runs have equal ones */
    uint64_t passed_ns; /* virtual time */
    char why[256];      /* the first failed check, "" if there is none */
};

/* What grove_sim_run calls; use grove_sim_run. */
GROVE_API void grove_sim_run_with(uint64_t seed, const struct grove_sim_options *options,
                                  void (*run)(void *), void *argument,
                                  struct grove_sim_result *result);

/*
 * Runs run(argument) once, as the main of a program in a simulated world, in
 * this process: for unit tests. options may be NULL. A run that cannot go on
 * (a crash, nobody can go on, no end after millions of steps) prints its
 * reason and ends the process with status 3. Grove must not be running.
 */
static inline void grove_sim_run(uint64_t seed, const struct grove_sim_options *options,
                                 void (*run)(void *), void *argument,
                                 struct grove_sim_result *result)
{
    struct grove_sim_options whole = {0};

    if (options != NULL)
        whole = *options;
    whole.first = __start_grove_workers;
    whole.end = __stop_grove_workers;
    grove_sim_run_with(seed, &whole, run, argument, result);
}

#endif
