/*
 * World: one simulated run: its time, its trace, its log and its verdict.
 *
 * There is one world at a time, and one real thread. Nothing here or in the
 * files around it may depend on an address, on real time or on chance other
 * than chance.h, so that a seed gives the same trace hash with every
 * compiler, sanitizer and address layout.
 */
#ifndef GV_SIM_WORLD_H
#define GV_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/chance.h"
#include "sim/fault.h"

#define GV_SIM_NEVER     UINT64_MAX
#define GV_SIM_STEPS_MAX UINT64_C(5000000) /* switches of a seed: more means that it does not end */
#define GV_SIM_LOG_BYTES 65536u

/* Lies in memory that a parent process shares, so that it can tell of a seed that killed us. */
struct gv_sim_report {
    char simulation[32];
    uint64_t seed;
    uint64_t n_done;   /* seeds that ended */
    uint64_t n_failed; /* of those, found guilty */
    uint64_t first_failed;
    uint64_t hash;               /* of all seeds so far */
    struct gv_sim_counts counts; /* of all seeds so far */
    size_t n_log;
    char why[1024]; /* of the first failure of the running seed; "" if there is none */
    char log[GV_SIM_LOG_BYTES];
};

enum gv_sim_trace {
    GV_SIM_SILENT,
    GV_SIM_STORY, /* for people */
    GV_SIM_RAW,   /* every note, as it goes into the hash */
};

struct gv_sim_world {
    uint64_t now_ns;
    uint64_t hash;
    uint64_t n_steps; /* switches so far */
    int64_t wall_shift_ms;
    uint32_t preferred; /* with pct: the place in a queue that is chosen */
    bool pct;           /* order by priorities with change points, else uniform */
    uint8_t trace;      /* enum gv_sim_trace: print who does what when */
    bool runs;          /* a seed has begun and not ended */
    uint64_t seed;
    uint64_t began_ns; /* when it began */
    bool prints_crash; /* nobody reads the report of one that cannot go on */
    bool failed;
    struct gv_sim_report *report;
};

extern struct gv_sim_world gv_sim;

/* Begins a seed. report, trace and pct are set before. */
void gv_sim_world_open(uint64_t seed);

/* Notes something that happened, into the hash and, if traced raw, as a line. what is a literal. */
void gv_sim_note(const char *what, uint64_t a, uint64_t b);

/* Prints the begin of a line of a trace: when, and where. */
void gv_sim_trace_head(void);

/* The seed is guilty. Only the first reason is kept; the run goes on. */
void gv_sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The seed is guilty and cannot go on. */
void gv_sim_crash(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* One line for the log, which is printed only when the seed fails. */
void gv_sim_log(const char *line, size_t n_bytes);

/* The wall clock is moved, by chance. */
void gv_sim_wall_jump(void);

/* Fails the seed unless condition holds. */
#define GV_SIM_CHECK(condition, ...)  \
    do {                              \
        if (!(condition))             \
            gv_sim_fail(__VA_ARGS__); \
    } while (0)

#endif
