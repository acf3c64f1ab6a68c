/*
 * What the tests of pools have in common: a folder for their sockets and
 * files, pools, and the check that nothing is left behind. Everything runs
 * in main, which may wait; asserts stay on the main stack.
 */
#ifndef TESTS_WORKERS_POOLS_H
#define TESTS_WORKERS_POOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grove.h>
#include <grove/pool.h>

#include "tests/workers/jobs.h"

/* First and last line of main. end returns the exit status: tests that failed, and whether anything is left. */
int pools_begin(int *argc, char ***argv);
int pools_end(int n_failed);

grove_ref open_pool(const struct grove_pool_options *options);
void close_pool(grove_ref pool);
struct grove_pool_stats stats_of(grove_ref pool);

/* Waits until n workers are ready, at most ten seconds. */
void wait_ready(grove_ref pool, unsigned n);

/* Calls Echo; or asserts that it is answered. */
int echo(grove_ref pool, const char *text, Jobs__V1__EchoResponse *response);
void assert_serves(grove_ref pool);

/* A fresh file of n counts, and the one of id. */
void reset_counts(size_t n);
int count_of(uint64_t id);

/* A job that counts its runs at id. */
Jobs__V1__OnceRequest once_request(uint64_t id, uint64_t busy_us);

#endif
