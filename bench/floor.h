/*
 * Floor: what the files of grove-floor share. A floor fills a result as a
 * benchmark does, but knows nothing of grove.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "bench.h"

void floor_spin(const int64_t *numbers, struct bench_result *result);   /* round trips */
void floor_stream(const int64_t *numbers, struct bench_result *result); /* messages */
void floor_socket(const int64_t *numbers, struct bench_result *result); /* round trips */
void floor_upload(const int64_t *numbers, struct bench_result *result); /* jobs, bytes, at once */
void floor_echo(const int64_t *numbers, struct bench_result *result);   /* connections, requests */

/* The monotonic clock. */
uint64_t floor_now_ns(void);

/* memory; ends the program if it is NULL, since there is nothing to measure then. */
void *floor_must(void *memory);

#endif
