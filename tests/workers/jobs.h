/*
 * Jobs for the tests of pools: what their worker processes run. Link jobs.c
 * and call grove_init first.
 */
#ifndef TESTS_WORKERS_JOBS_H
#define TESTS_WORKERS_JOBS_H

#include "jobs.grove.h"

extern const struct job_service jobs;

/* Maps the file that counts runs, before the first job would do it. Returns 0 or a code. */
int jobs_map_counts(const char *path);

/* Works for so long on the CPU. */
void jobs_burn(uint64_t us);

#endif
