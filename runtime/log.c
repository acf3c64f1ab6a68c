#include "runtime/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/loop.h"
#include "runtime/options.h"

#define EVENTS_MAX 32u /* events whose rate a ring watches; more share the last place */
#define SECOND_MS  1000

struct record {
    char line[GV_LOG_LINE_BYTES];
    size_t n_bytes;
};

/* How often one event came in the running second. */
struct rate {
    const char *event;
    int64_t second_ms; /* wall time when its second began */
    uint32_t n, n_left_out;
};

struct gv_log_ring {
    uint32_t first, n;
    struct rate rates[EVENTS_MAX];
    struct record records[GV_LOG_RING];
};

static const struct gv_env *the_env;
static _Atomic uint64_t n_dropped;

void gv_log_open(const struct gv_env *env)
{
    the_env = env;
}

struct gv_log_ring *gv_log_ring_new(void)
{
    return calloc(1, sizeof(struct gv_log_ring));
}

void gv_log_ring_free(struct gv_log_ring *ring)
{
    if (ring != NULL)
        gv_log_flush(ring);
    free(ring);
}

void gv_log_flush(struct gv_log_ring *ring)
{
    while (ring->n > 0) {
        struct record *record = &ring->records[ring->first];

        if (the_env != NULL)
            the_env->log_write(the_env->world, record->line, record->n_bytes);
        ring->first = (ring->first + 1) % GV_LOG_RING;
        ring->n--;
    }
}

uint64_t gv_log_dropped(void)
{
    return atomic_load_explicit(&n_dropped, memory_order_relaxed); /* relaxed: a figure */
}

/* False if the event is over its rate; *left_out is how many were before this one. */
static bool within_rate(struct gv_log_ring *ring, const char *event, int64_t wall_ms,
                        uint32_t *left_out)
{
    struct rate *rate = &ring->rates[EVENTS_MAX - 1];

    for (unsigned i = 0; i < EVENTS_MAX - 1; i++)
        if (ring->rates[i].event == event || ring->rates[i].event == NULL) {
            rate = &ring->rates[i];
            break;
        }
    rate->event = event;
    if (wall_ms - rate->second_ms >= SECOND_MS || wall_ms < rate->second_ms) {
        rate->second_ms = wall_ms;
        rate->n = 0;
    }
    *left_out = rate->n_left_out;
    if (rate->n++ >= GV_LOG_RATE) {
        rate->n_left_out++;
        return false;
    }
    rate->n_left_out = 0;
    return true;
}

/* "2026-01-31T12:00:00.123Z warn worker.died loop=0 task=account/7 " */
static size_t write_head(char *line, enum gv_log_level level, const char *event, int64_t wall_ms,
                         const struct gv_loop *loop)
{
    static const char *const levels[] = {"none", "error", "warn", "info", "debug"};
    time_t seconds = (time_t)(wall_ms / SECOND_MS);
    struct tm tm;
    size_t used;

    (void)gmtime_r(&seconds, &tm); /* It cannot fail for a time of this age. */
    used = strftime(line, GV_LOG_LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    used += (size_t)snprintf(line + used, GV_LOG_LINE_BYTES - used, ".%03dZ %s %s ",
                             (int)(wall_ms % SECOND_MS), levels[level], event);
    if (loop != NULL)
        used += (size_t)snprintf(line + used, GV_LOG_LINE_BYTES - used, "loop=%u ", loop->index);
    if (loop != NULL && loop->turn != NULL && loop->turn->task != NULL) {
        char name[64];

        loop->turn->task->class->describe(loop->turn->task, name, sizeof name);
        used += (size_t)snprintf(line + used, GV_LOG_LINE_BYTES - used, "task=%s ", name);
    }
    return used;
}

static void drop(void)
{
    atomic_fetch_add_explicit(&n_dropped, 1, memory_order_relaxed); /* relaxed: a figure */
}

/* The record to write into: in the ring, or the spare one of the caller. NULL: it is dropped. */
static struct record *place(struct gv_log_ring *ring, struct record *spare)
{
    if (ring == NULL)
        return spare;
    if (ring->n == GV_LOG_RING)
        return NULL;
    return &ring->records[(ring->first + ring->n++) % GV_LOG_RING];
}

/* A line has no line breaks and no control characters, whatever its fields hold. */
static void tame(char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            text[i] = '?';
}

void gv_log(enum gv_log_level level, const char *event, const char *format, ...)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_log_ring *ring = loop != NULL ? loop->log : NULL;
    struct record spare, *record;
    uint32_t left_out = 0;
    va_list arguments;
    int64_t wall_ms;
    int n;

    if ((int64_t)level > gv_option_number(GV_OPTION_LOG_LEVEL) || the_env == NULL)
        return;
    wall_ms = the_env->wall_ms(the_env->world);
    if (ring != NULL && !within_rate(ring, event, wall_ms, &left_out)) {
        drop();
        return;
    }
    record = place(ring, &spare);
    if (record == NULL) {
        drop();
        return;
    }
    record->n_bytes = write_head(record->line, level, event, wall_ms, loop);
    va_start(arguments, format);
    n = vsnprintf(record->line + record->n_bytes, GV_LOG_LINE_BYTES - record->n_bytes, format,
                  arguments);
    va_end(arguments);
    record->n_bytes += n > 0 ? (size_t)n : 0;
    if (left_out > 0 && record->n_bytes < GV_LOG_LINE_BYTES)
        record->n_bytes +=
            (size_t)snprintf(record->line + record->n_bytes, GV_LOG_LINE_BYTES - record->n_bytes,
                             " left_out=%u", left_out);
    if (record->n_bytes >= GV_LOG_LINE_BYTES)
        record->n_bytes = GV_LOG_LINE_BYTES - 1; /* A cut line is still a line. */
    tame(record->line, record->n_bytes);
    if (ring == NULL)
        the_env->log_write(the_env->world, record->line, record->n_bytes);
}

size_t gv_log_head(char *line, enum gv_log_level level, const char *event)
{
    return write_head(line, level, event, the_env != NULL ? the_env->wall_ms(the_env->world) : 0,
                      gv_loop_here);
}

void gv_log_text(const char *text, size_t n_bytes)
{
    if (the_env != NULL)
        the_env->log_write(the_env->world, text, n_bytes);
}
