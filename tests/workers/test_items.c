/*
 * Streams of items from real workers: what a caller sees of them.
 */
#include "tests/workers/pools.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/workers/feeds.h"

static Feeds__V1__CountRequest count_request(uint32_t n)
{
    Feeds__V1__CountRequest request = FEEDS__V1__COUNT_REQUEST__INIT;

    request.n = n;
    request.counts = once_request(0, 0).counts;
    reset_counts(4);
    return request;
}

/* Takes items until the stream ends; they must be 0, 1, 2 …. Returns how it has ended. */
static int take_all(struct feed_count_stream *stream)
{
    Feeds__V1__CountItem item = FEEDS__V1__COUNT_ITEM__INIT;
    uint32_t n = (uint32_t)stream->items.n_items;
    int rc;

    while ((rc = feed_count_next_await(stream, &item)) == 0)
        assert_int_equal(item.number, n++);
    assert_int_equal(stream->items.n_items, n);
    return rc;
}

/* --- the whole way ---------------------------------------------------------------------------------- */

static void test_items_come_in_order_and_then_the_end(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Feeds__V1__CountRequest request = count_request(1000);
    struct feed_count_stream stream;

    request.bytes = 100;
    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_int_equal(stream.items.n_items, 1000);
    /* And so it stays. */
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_non_null(strstr(grove_why(), "no failure"));
    assert_int_equal(stats_of(pool).items, 1000);
    assert_int_equal(stats_of(pool).done, 1);
    assert_int_equal(stats_of(pool).failed, 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_in_order_and_then_the_end),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
