/*
 * grove-bare: the bare switch, which no program of a user can call.
 *
 *     grove-bare switch SWITCHES
 *     ops seconds peak_rss_kb check=ok
 *
 * The one file here that looks inside grove: what grove-bench calls a
 * switch goes through the scheduler, and the least of that is this. Two
 * stacks take turns, each counts. Exit status as of grove-bench.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "runtime/switch.h"

#define EXIT_USAGE   2
#define EXIT_UNKNOWN 64
#define STACK_BYTES  65536

static struct gv_context here, there;
static int64_t n_here, n_there;

static void bounce(void *unused)
{
    (void)unused;
    for (;;) {
        n_there++;
        gv_switch(&there, &here);
    }
}

static uint64_t now_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* It cannot fail for this clock. */
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv)
{
    static _Alignas(64) unsigned char stack[STACK_BYTES];
    int64_t n_turns = argc == 3 ? strtoll(argv[2], NULL, 10) / 2 : 0;
    uint64_t took_ns;

    if (argc < 2 || strcmp(argv[1], "switch") != 0) {
        fprintf(stderr, "grove-bare: no benchmark \"%s\"; there is: switch\n",
                argc < 2 ? "" : argv[1]);
        return EXIT_UNKNOWN;
    }
    if (n_turns < 1) {
        fprintf(stderr, "usage: grove-bare switch SWITCHES\n");
        return EXIT_USAGE;
    }
    gv_context_main(&here);
    gv_context_make(&there, stack, sizeof stack, bounce, NULL);
    took_ns = now_ns();
    for (; n_here < n_turns; n_here++)
        gv_switch(&here, &there);
    took_ns = now_ns() - took_ns;
    gv_context_free(&there);
    printf("%" PRId64 " %.6f %" PRId64 " check=%s\n", 2 * n_turns, (double)took_ns / 1e9,
           bench_resident_peak_kb(), n_there == n_turns ? "ok" : "FAIL");
    return n_there == n_turns ? EXIT_SUCCESS : EXIT_FAILURE;
}
