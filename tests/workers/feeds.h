/*
 * Streams for the tests of pools: what their worker processes run, and an
 * actor that reads one. Link feeds.c and call grove_init first.
 */
#ifndef TESTS_WORKERS_FEEDS_H
#define TESTS_WORKERS_FEEDS_H

#include "feeds.grove.h"

/* What a function told of its emit that failed, at place 2 of the file of counts. */
enum feeds_heard { FEEDS_CANCELLED = 1, FEEDS_TIMED_OUT = 2, FEEDS_OTHER = 3 };

extern const struct feed_service feeds;
extern const struct reader_service readers;

/* Works on a stream, as Count does. */
int feeds_count(const Feeds__V1__CountRequest *request, struct feed_count_sink *sink);

#endif
