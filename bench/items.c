/*
 * Items: one stream of numbers from a worker process, read by main's loop as
 * fast as it can. The check is every number, in order, and the end.
 */
#include "bench.h"

#include <grove.h>

#include "bench.grove.h"

static int feed(const Bench__V1__FeedRequest *request, struct tap_feed_sink *sink)
{
    Bench__V1__FeedResponse item = BENCH__V1__FEED_RESPONSE__INIT;
    int rc = 0;

    for (uint64_t i = 0; rc == 0 && i < request->n_items; i++) {
        item.number = i;
        rc = tap_feed_emit_await(sink, &item);
    }
    return rc;
}

static const struct tap_service functions = {.feed = feed};
GROVE_WORKER(tap, &functions);

/* Reads a stream of n_items; *n_right of them were the right ones. Returns 0 if it ended well. */
static int read_await(grove_ref pool, uint64_t n_items, uint64_t *n_right)
{
    Bench__V1__FeedRequest request = BENCH__V1__FEED_REQUEST__INIT;
    Bench__V1__FeedResponse item = BENCH__V1__FEED_RESPONSE__INIT;
    struct tap_feed_stream stream;
    int rc;

    request.n_items = n_items;
    *n_right = 0;
    grove_within(GROVE_INFINITE);
    rc = tap_feed_open(pool, &request, &stream);
    while (rc == 0 && (rc = tap_feed_next_await(&stream, &item)) == 0)
        *n_right += item.number == *n_right;
    return rc == GROVE_EEND ? 0 : rc;
}

int bench_items_await(const int64_t *numbers, struct bench_result *result)
{
    static const struct grove_pool_options one = {.name = "tap", .n_workers = 1};
    uint64_t started_ns, n_right = 0;
    grove_ref pool;
    int rc = grove_pool_open(&one, &pool);

    if (rc != 0)
        return rc;
    rc = read_await(pool, 100, &n_right); /* The worker is up. */
    started_ns = grove_now_ns();
    if (rc == 0)
        rc = read_await(pool, (uint64_t)numbers[0], &n_right);
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = numbers[0];
    result->right = n_right == (uint64_t)numbers[0];
    if (rc == 0)
        rc = grove_pool_close_await(pool, 1000);
    return rc;
}
