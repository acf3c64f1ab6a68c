/*
 * Bench: what every benchmark is given and what it reports.
 *
 * A benchmark is a function of up to four numbers. It runs in a greenlet on
 * loop 0, uses grove as any program would, times its middle part, checks
 * what came out, and fills a result. main.c has the table of them all and
 * prints the one line:
 *
 *     ops seconds peak_rss_kb key=value … check=ok
 *
 * Start-up and tear-down are not timed.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_NUMBERS_MAX 4u

struct bench_result {
    int64_t ops;          /* what was done in the timed part */
    uint64_t nanoseconds; /* how long that took */
    bool right;           /* the benchmark's own check */
    char keys[128];       /* "key=value key=value", may be empty */
    const char *why;      /* what is wrong with the numbers, with GROVE_EUSAGE; else NULL */
};

/* Runs a benchmark. Returns 0 with *result filled, or the code of the call that failed. Suspends. */
typedef int (*bench_fn)(const int64_t *numbers, struct bench_result *result);

/* On one loop. */
int bench_pingpong_await(const int64_t *numbers, struct bench_result *result); /* round trips */
int bench_ring_await(const int64_t *numbers, struct bench_result *result);     /* actors, hops */
int bench_fanin_await(const int64_t *numbers,
                      struct bench_result *result); /* producers, messages */
int bench_spawn_await(const int64_t *numbers, struct bench_result *result);     /* actors */
int bench_spawn_all_await(const int64_t *numbers, struct bench_result *result); /* alive at once */
int bench_skynet_await(const int64_t *numbers, struct bench_result *result);    /* leaves */
int bench_idle_await(const int64_t *numbers, struct bench_result *result);      /* actors */
int bench_many_await(const int64_t *numbers, struct bench_result *result); /* actors, deliveries */
int bench_parked_await(const int64_t *numbers, struct bench_result *result); /* greenlets */
int bench_switch_await(const int64_t *numbers, struct bench_result *result); /* switches */
int bench_call_await(const int64_t *numbers, struct bench_result *result);   /* clients, calls */
int bench_timers_await(const int64_t *numbers, struct bench_result *result); /* alive at once */
int bench_sleeps_await(const int64_t *numbers,
                       struct bench_result *result); /* sleeps, microseconds */
int bench_blocks_await(const int64_t *numbers, struct bench_result *result); /* bytes, messages */
int bench_bank_await(const int64_t *numbers,
                     struct bench_result *result); /* accounts, tellers, transfers */
int bench_items_await(const int64_t *numbers, struct bench_result *result); /* items */
int bench_offload_await(const int64_t *numbers,
                        struct bench_result *result); /* jobs, at once, microseconds */
int bench_upload_await(const int64_t *numbers,
                       struct bench_result *result); /* jobs, bytes, at once */

int bench_echo_await(const int64_t *numbers,
                     struct bench_result *result); /* connections, requests */
int bench_serve_await(const int64_t *numbers, struct bench_result *result); /* port */

/* On one loop or two, each bound to a CPU. */
int bench_regrow_await(const int64_t *numbers, struct bench_result *result); /* leaves, trees */
int bench_forkjoin_await(const int64_t *numbers,
                         struct bench_result *result); /* blocks, steps, rounds */

/* On two loops, each bound to a CPU. */
int bench_xping_await(const int64_t *numbers, struct bench_result *result);   /* round trips */
int bench_xstream_await(const int64_t *numbers, struct bench_result *result); /* messages */
int bench_branches_await(const int64_t *numbers,
                         struct bench_result *result); /* accounts, tellers, transfers */
int bench_remote_await(const int64_t *numbers, struct bench_result *result); /* clients, calls */
int bench_lend_await(const int64_t *numbers,
                     struct bench_result *result); /* actors, messages, microseconds */
int bench_flood_await(const int64_t *numbers, struct bench_result *result);  /* messages, kind */
int bench_chatty_await(const int64_t *numbers, struct bench_result *result); /* pairs, hops */

/* Resident memory of this process in KiB: now, and at most so far. 0 if unknown. */
int64_t bench_resident_kb(void);
int64_t bench_resident_peak_kb(void);

#endif
