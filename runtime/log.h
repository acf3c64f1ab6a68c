/*
 * Log: records, not prints.
 *
 * A record has a level, the name of an event ("worker.died"), fields as
 * text ("pid=4711 signal=9"), the loop and the running task. On a loop it
 * goes into a ring and is written out between two turns, through the env; a
 * full ring drops and counts. Elsewhere it is written at once.
 *
 *     2026-01-31T12:00:00.123Z warn worker.died loop=0 task=account/7 pid=4711 signal=9
 *
 * Of one event at most GV_LOG_RATE records a second are kept; the next one
 * that passes says how many were left out.
 */
#ifndef GV_LOG_H
#define GV_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/env.h"

#define GV_LOG_RATE       20u /* records per event and second, on one loop */
#define GV_LOG_RING       64u /* records */
#define GV_LOG_LINE_BYTES 512u

enum gv_log_level { GV_LOG_NONE, GV_LOG_ERROR, GV_LOG_WARN, GV_LOG_INFO, GV_LOG_DEBUG };

struct gv_log_ring;
struct gv_loop;

/* Where records go from now on; NULL: nowhere. Before the loops open. */
void gv_log_open(const struct gv_env *env);

/* Notes a record. event is kept by pointer: a literal. Never blocks, never suspends. Any thread. */
void gv_log(enum gv_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The head of a record of its own format, which the caller writes: at most GV_LOG_LINE_BYTES with the NUL; its length. */
size_t gv_log_head(char *line, enum gv_log_level level, const char *event);

/* Writes such a record, which may have several lines, at once. Any thread. */
void gv_log_text(const char *text, size_t n_bytes);

/* The ring of a loop: made and freed with it. NULL when memory is short: its records are written at once. */
struct gv_log_ring *gv_log_ring_new(void);
void gv_log_ring_free(struct gv_log_ring *ring);

/* Writes out what the ring holds. */
void gv_log_flush(struct gv_log_ring *ring);

/* Records that found the ring full, or were over the rate. Any thread. */
uint64_t gv_log_dropped(void);

#endif
