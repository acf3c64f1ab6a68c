#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/thread.h"

struct sim_world sim;

void sim_world_open(uint64_t seed)
{
    sim_chance_open(seed);
    sim.now_ns = UINT64_C(1000000000) + sim_draw(SIM_CLOCK, 1000000000);
    sim.hash = UINT64_C(0x9ae16a3b2f90404f);
    sim.n_steps = 0;
    sim.wall_shift_ms = 0;
    sim.preferred = 0;
    sim.failed = false;
    sim.report->seed = seed;
    sim.report->n_log = 0;
    sim.report->why[0] = '\0';
}

static void mix_in(uint64_t value)
{
    sim.hash = (sim.hash ^ value) * UINT64_C(0x9fb21c651e98df25);
    sim.hash ^= sim.hash >> 32;
}

void sim_note(const char *what, uint64_t a, uint64_t b)
{
    for (const char *c = what; *c != '\0'; c++)
        mix_in((unsigned char)*c);
    mix_in(a);
    mix_in(b);
    mix_in(sim.now_ns);
    if (sim.trace)
        (void)printf("%12.6f ms  %-8s %-10s %" PRIx64 " %" PRIx64 "\n", (double)sim.now_ns / 1e6,
                     sim_thread_name(), what, a,
                     b); /* A lost line of a trace is no reason to stop. */
}

void sim_log(const char *line, size_t n_bytes)
{
    struct sim_report *report = sim.report;

    if (n_bytes > 1000)
        n_bytes = 1000;
    if (sim.trace)
        (void)printf("%12.6f ms  %-8s log        %.*s\n", (double)sim.now_ns / 1e6,
                     sim_thread_name(), (int)n_bytes, line); /* As above. */
    if (report->n_log + n_bytes + 1 > SIM_LOG_BYTES) {
        /* The newer half is worth more. */
        report->n_log = SIM_LOG_BYTES / 2;
        memmove(report->log, report->log + SIM_LOG_BYTES / 2, report->n_log);
    }
    memcpy(report->log + report->n_log, line, n_bytes);
    report->log[report->n_log + n_bytes] = '\n';
    report->n_log += n_bytes + 1;
}

static void note_failure(const char *format, va_list arguments)
{
    char text[1024];

    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut reason is still a reason. */
    sim_log(text, strlen(text));
    if (sim.failed)
        return;
    sim.failed = true;
    memcpy(sim.report->why, text, sizeof text);
}

void sim_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
}

void sim_crash(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
    (void)fflush(
        stdout); /* The exit below loses what is not flushed; there is no more to do about it. */
    _exit(3);
}
