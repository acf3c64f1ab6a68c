#include "runtime/stall_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <grove/method.h>

#include "runtime/log.h"
#include "runtime/times.h"

#define FRAMES_SHOWN 16u
#define SHORT_NS     1000000u /* a method whose turns are all shorter is no work for elsewhere */

const char *gv_stall_kind_name(enum grove_stall_kind kind)
{
    static const char *const names[GROVE_STALL_KINDS] = {"none", "on-cpu", "blocked", "disk",
                                                         "starved"};

    return names[kind];
}

/* --- text ------------------------------------------------------------------------------------- */

/* Text that grows in room, and is cut where that ends. */
struct text {
    char *start;
    size_t room, used;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    size_t left = text->room - text->used;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(text->start + text->used, left, format, arguments);
    va_end(arguments);
    if (n > 0)
        text->used += (size_t)n < left ? (size_t)n : left - 1;
}

/* --- advice ----------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What to write instead of the system call it is blocked in. */
static const char *instead_of(const char *call)
{
    if (begins(call, "nanosleep") || begins(call, "clock_nanosleep"))
        return "sleep with grove_sleep_await, which lets the others run";
    if (begins(call, "futex"))
        return "it waits for a lock: let an actor own what the lock guards, or hold the lock for "
               "microseconds only";
    if (begins(call, "wait4") || begins(call, "waitid"))
        return "wait for a child with an _await function, which lets the others run";
    if (begins(call, "connect") || begins(call, "accept") || begins(call, "recv")
        || begins(call, "send") || begins(call, "poll") || begins(call, "ppoll")
        || begins(call, "select") || begins(call, "epoll") || strstr(call, " of socket:") != NULL
        || strstr(call, " of pipe:") != NULL)
        return "read, write, connect and look up with the _await functions, which let the others run";
    return "use an _await function for this if there is one";
}

/* "turns of it take 4.1 ms at p99 (n timed)", where enough of them have been timed. */
static void add_times(struct text *text, const struct gv_stall_facts *facts,
                      struct gv_times_summary times)
{
    char p50[32], p99[32];

    if (facts->method == NULL || times.n < 2)
        return;
    gv_times_text(times.p50_ns, p50, sizeof p50);
    gv_times_text(times.p99_ns, p99, sizeof p99);
    add(text, "; its turns take up to %s at p50, %s at p99 (%llu timed)", p50, p99,
        (unsigned long long)times.n);
}

static void advise(struct text *text, const struct gv_stall_facts *facts)
{
    const struct grove_stall *stall = &facts->stall;
    struct gv_times_summary times = {0};
    const char *rpc = facts->method != NULL ? strrchr(facts->method->name, '/') : NULL;

    rpc = rpc != NULL ? rpc + 1 : "this work";
    if (facts->method != NULL)
        times = gv_times_of(facts->index);
    switch (stall->kind) {
    case GROVE_STALL_STARVED:
        add(text, "nothing in the code: other processes had the CPU; give this one more of it");
        return;
    case GROVE_STALL_ON_CPU:
        if (facts->method == NULL)
            add(text,
                "%s computes on the loop: give that to a WORKER rpc, or await between the parts",
                stall->actor);
        else if (times.n >= GV_TIMES_SAMPLE && times.p99_ns <= SHORT_NS)
            add(text,
                "%s is usually short: look at what this request made it do; mark the rpc "
                "`option (grove.isolation) = WORKER` if that is to be expected",
                rpc);
        else
            add(text, "%s computes on the loop: mark the rpc `option (grove.isolation) = WORKER`",
                rpc);
        break;
    case GROVE_STALL_DISK:
        add(text, "read and write files with the _await functions, or in grove_blocking_await; or "
                  "mark the rpc `option (grove.isolation) = THREAD`");
        break;
    default:
        add(text,
            "%s; a library that cannot goes into grove_blocking_await, or mark the rpc "
            "`option (grove.isolation) = THREAD`",
            instead_of(stall->waits_for));
    }
    add_times(text, facts, times);
}

/* --- the stack -------------------------------------------------------------------------------- */

/* Of a library, or of a header that comes with it. */
static bool is_in_library(const char *name)
{
    return strstr(name, " at ") == NULL || strstr(name, " at /usr/") != NULL;
}

static void add_frame(struct text *text, struct grove_stall *stall, const char *name)
{
    add(text, "\n  %s %s", stall->where[0] == '\0' ? "at  " : "from", name);
    if (stall->where[0] == '\0' || (is_in_library(stall->where) && !is_in_library(name)))
        (void)snprintf(stall->where, sizeof stall->where, "%s", name); /* It fits. */
}

/* Down to the function that the generated code calls; below that it is all grove's. */
static void add_frames(struct text *text, struct gv_stall_facts *facts)
{
    const struct gv_monitor *monitor = facts->monitor;
    struct grove_stall *stall = &facts->stall;
    uintptr_t thunk = facts->method != NULL ? (uintptr_t)facts->method->thunk : 0;
    char name[sizeof stall->where];

    stall->where[0] = '\0';
    for (unsigned i = 0; i < facts->n_frames && i < FRAMES_SHOWN; i++) {
        if (i > 0 && thunk != 0 && monitor->entry(facts->frames[i] - 1) == thunk)
            break;
        for (unsigned k = 0; monitor->name(facts->frames[i], i == 0, k, name, sizeof name); k++)
            add_frame(text, stall, name);
    }
}

/* --- the report ------------------------------------------------------------------------------- */

static void add_shares(struct text *text, const struct gv_stall_facts *facts)
{
    const struct grove_stall *stall = &facts->stall;

    add(text, "\n  ");
    switch (stall->kind) {
    case GROVE_STALL_ON_CPU:
        add(text, "it computes");
        break;
    case GROVE_STALL_STARVED:
        add(text, "other processes have the CPU");
        break;
    default:
        add(text, "blocked in %s", stall->waits_for);
    }
    add(text, "; of its time %u %% on a CPU, %u %% waiting for one, %u %% blocked",
        stall->on_cpu_permille / 10, stall->queued_permille / 10, stall->blocked_permille / 10);
}

void gv_stall_write(struct gv_stall_facts *facts, char start[GV_STALL_TEXT_BYTES])
{
    struct grove_stall *stall = &facts->stall;
    struct text text = {start, GV_STALL_TEXT_BYTES, 0};
    struct text advice = {stall->advice, sizeof stall->advice, 0};

    text.used = gv_log_head(start, GV_LOG_WARN, "stall");
    add(&text, "loop=%u actor=%s", stall->loop, stall->actor);
    if (stall->method[0] != '\0')
        add(&text, " method=\"%s\"", stall->method);
    if (stall->message[0] != '\0')
        add(&text, " message=%s", stall->message);
    add(&text, " ms=%llu limit_ms=%llu kind=%s", (unsigned long long)(stall->took_ns / 1000000),
        (unsigned long long)(facts->threshold_ns / 1000000), gv_stall_kind_name(stall->kind));
    add_shares(&text, facts);
    stall->advice[0] = '\0';
    advise(&advice, facts);
    /* The advice must not be what is cut. */
    text.room -= advice.used + 16;
    add_frames(&text, facts);
    text.room += advice.used + 16;
    add(&text, "\n  do   %s", stall->advice);
}
