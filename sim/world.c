#include "sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/story.h"
#include "sim/thread.h"

struct gv_sim_world gv_sim;

void gv_sim_world_open(uint64_t seed)
{
    gv_sim_chance_open(seed);
    gv_sim.now_ns = UINT64_C(1000000000) + gv_sim_draw(GV_SIM_CLOCK, 1000000000);
    gv_sim.hash = UINT64_C(0x9ae16a3b2f90404f);
    gv_sim.n_steps = 0;
    gv_sim.wall_shift_ms = 0;
    gv_sim.preferred = 0;
    gv_sim.failed = false;
    gv_sim.runs = true;
    gv_sim.seed = seed;
    gv_sim.began_ns = gv_sim.now_ns;
    gv_sim_faults_open();
    gv_sim.report->seed = seed;
    gv_sim.report->n_log = 0;
    gv_sim.report->why[0] = '\0';
}

static void mix_in(uint64_t value)
{
    gv_sim.hash = (gv_sim.hash ^ value) * UINT64_C(0x9fb21c651e98df25);
    gv_sim.hash ^= gv_sim.hash >> 32;
}

void gv_sim_trace_head(void)
{
    (void)printf("%12.6f ms  %-8s ", (double)(gv_sim.now_ns - gv_sim.began_ns) / 1e6,
                 gv_sim_thread_name()); /* A lost line of a trace is no reason to stop. */
}

void gv_sim_note(const char *what, uint64_t a, uint64_t b)
{
    for (const char *c = what; *c != '\0'; c++)
        mix_in((unsigned char)*c);
    mix_in(a);
    mix_in(b);
    mix_in(gv_sim.now_ns);
    if (gv_sim.trace == GV_SIM_RAW) {
        gv_sim_trace_head();
        (void)printf("%-10s %" PRIx64 " %" PRIx64 "\n", what, a, b); /* As above. */
    } else if (gv_sim.trace == GV_SIM_STORY) {
        gv_sim_story_world(what, a, b);
    }
}

void gv_sim_log(const char *line, size_t n_bytes)
{
    struct gv_sim_report *report = gv_sim.report;

    if (n_bytes > 1000)
        n_bytes = 1000;
    if (gv_sim.trace) {
        gv_sim_trace_head();
        (void)printf("log: %.*s\n", (int)n_bytes, line); /* As above. */
    }
    if (report->n_log + n_bytes + 1 > GV_SIM_LOG_BYTES) {
        /* The newer half is worth more. */
        report->n_log = GV_SIM_LOG_BYTES / 2;
        memmove(report->log, report->log + GV_SIM_LOG_BYTES / 2, report->n_log);
    }
    memcpy(report->log + report->n_log, line, n_bytes);
    report->log[report->n_log + n_bytes] = '\n';
    report->n_log += n_bytes + 1;
}

static void note_failure(const char *format, va_list arguments)
{
    char text[1024];

    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut reason is still a reason. */
    gv_sim_log(text, strlen(text));
    if (gv_sim.failed)
        return;
    gv_sim.failed = true;
    memcpy(gv_sim.report->why, text, sizeof text);
}

void gv_sim_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
}

void gv_sim_crash(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
    if (gv_sim.prints_crash)
        (void)fprintf(stderr, "seed %" PRIu64 " cannot go on: %s\n", gv_sim.seed,
                      gv_sim.report->why); /* As below. */
    (void)fflush(
        stdout); /* The exit below loses what is not flushed; there is no more to do about it. */
    _exit(3);
}
