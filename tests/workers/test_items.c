/*
 * Streams of items from real workers: what a caller sees of them.
 */
#include "tests/workers/pools.h"

#include <string.h>

#include "tests/workers/feeds.h"

enum { RUNS = 0, EMITTED = 1, HEARD = 2 }; /* places in the file of counts */

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

static Feeds__V1__TrickleRequest trickle_request(Feeds__V1__CountRequest *count)
{
    Feeds__V1__TrickleRequest request = FEEDS__V1__TRICKLE_REQUEST__INIT;

    request.request = count;
    return request;
}

static int ping(grove_ref pool)
{
    Feeds__V1__PingRequest request = FEEDS__V1__PING_REQUEST__INIT;
    Feeds__V1__PingResponse response = FEEDS__V1__PING_RESPONSE__INIT;

    return feed_ping_await(pool, &request, &response);
}

/* Waits until a function waits for its reader, and has noted that it gave so many items. */
static void wait_parked(grove_ref pool, int n_emitted)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).n_parked != 1; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_parked, 1);
    /* The last one may be here before its function goes on. */
    for (unsigned i = 0; i < 10000 && count_of(EMITTED) < n_emitted; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(count_of(EMITTED), n_emitted);
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

/* An item of 100 000 bytes is one; the credit in bytes ends with the third. */
static void test_credit_counts_bytes_too(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_count_stream stream;

    request.bytes = 100000;
    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    wait_parked(pool, 3);
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_int_equal(stream.items.n_items, 20);
    close_pool(pool);
}

static void test_a_slow_reader_parks_the_job_and_nothing_else(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 2, .credits = 8});
    struct feed_trickle_stream stream;
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;
    Feeds__V1__CountRequest count = count_request(20);
    Feeds__V1__TrickleRequest request = trickle_request(&count);

    wait_ready(pool, 2);
    assert_int_equal(feed_trickle_open(pool, &request, &stream), 0);
    wait_parked(pool, 2);
    /* Whoever else has work gets it done, by the other worker. */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(ping(pool), 0);
    assert_int_equal(stats_of(pool).n_parked, 1);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(feed_trickle_next_await(&stream, &item), 0);
        assert_int_equal(item.number, i);
    }
    assert_int_equal(feed_trickle_next_await(&stream, &item), GROVE_EEND);
    close_pool(pool);
}

/* --- leaving -------------------------------------------------------------------------------------- */

static void wait_idle(grove_ref pool)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).running != 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).running, 0);
}

static void test_closing_a_stream_cancels_its_function(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .grace_ms = 5000});
    Feeds__V1__CountRequest request = count_request(UINT32_MAX);
    Feeds__V1__CountItem item = FEEDS__V1__COUNT_ITEM__INIT;
    struct feed_count_stream stream;

    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(feed_count_next_await(&stream, &item), 0);
    feed_count_close(&stream);
    assert_int_equal(feed_count_next_await(&stream, &item), GROVE_ECANCELED);
    assert_int_equal(stream.items.n_items, 100);
    feed_count_close(&stream); /* Again is nothing. */
    wait_idle(pool);
    assert_int_equal(count_of(HEARD), FEEDS_CANCELLED);
    assert_int_equal(ping(pool), 0);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

static Feeds__V1__ReadResponse read_by(grove_ref reader, uint32_t n, uint32_t of)
{
    Feeds__V1__ReadRequest request = FEEDS__V1__READ_REQUEST__INIT;
    Feeds__V1__ReadResponse response = FEEDS__V1__READ_RESPONSE__INIT;

    request.n = n;
    request.of = of;
    assert_int_equal(reader_read_await(reader, &request, &response), 0);
    return response;
}

/* Whatever loop the actor lives on. */
static void test_an_actors_rpc_streams_from_its_pool_and_ends_with_its_handler(void **state)
{
    (void)state;
    grove_ref pool =
        open_pool(&(struct grove_pool_options){.name = "draws", .n_workers = 1, .grace_ms = 5000});

    for (unsigned i = 0; i < grove_loops(); i++) {
        struct grove_spawn_options place = {.place = GROVE_ON_LOOP(i)};
        Feeds__V1__ReadResponse response;
        grove_ref reader;

        assert_int_equal(reader_spawn(&readers, NULL, &place, &reader), 0);
        response = read_by(reader, 500, 300);
        assert_int_equal(response.n, 300);
        assert_int_equal(response.rc, GROVE_EEND);
        /* It returns with the stream open. */
        response = read_by(reader, 70, UINT32_MAX);
        assert_int_equal(response.n, 70);
        assert_int_equal(response.rc, 0);
        wait_idle(pool);
        assert_int_equal(grove_stop_await(reader, GROVE_STOP_NOW), 0);
    }
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

static void test_the_end_of_a_reader_closes_its_stream(void **state)
{
    (void)state;
    grove_ref pool =
        open_pool(&(struct grove_pool_options){.name = "draws", .n_workers = 1, .grace_ms = 5000});
    Feeds__V1__ReadRequest request = FEEDS__V1__READ_REQUEST__INIT;
    grove_ref reader;

    request.n = request.of = UINT32_MAX;
    assert_int_equal(reader_spawn(&readers, NULL, NULL, &reader), 0);
    assert_int_equal(reader_read_send(reader, &request), 0);
    for (unsigned i = 0; i < 10000 && stats_of(pool).items < 1000; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_await(reader, GROVE_STOP_KILL), 0);
    wait_idle(pool);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

/* --- time ----------------------------------------------------------------------------------------- */

static void test_the_deadline_is_of_all_items_together(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .grace_ms = 10});
    Feeds__V1__CountRequest request = count_request(5);
    struct feed_count_stream stream;

    wait_ready(pool, 1);
    request.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_STAY;
    request.at = 2;
    grove_within(500);
    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    assert_int_equal(take_all(&stream), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(stream.items.n_items, 2);
    /* It asked nobody whether it should go on: that cost its worker. */
    wait_idle(pool);
    assert_int_equal(ping(pool), 0);
    assert_int_equal(stats_of(pool).restarts, 1);
    close_pool(pool);
}

static void test_time_passes_while_a_job_is_parked(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1, .grace_ms = 5000});
    struct feed_trickle_stream stream;
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;
    Feeds__V1__CountRequest count = count_request(20);
    Feeds__V1__TrickleRequest request = trickle_request(&count);

    wait_ready(pool, 1);
    grove_within(300);
    assert_int_equal(feed_trickle_open(pool, &request, &stream), 0);
    wait_parked(pool, 2);
    wait_idle(
        pool); /* At the deadline it hears that it is over, by its own clock or by the pool. */
    assert_in_range(count_of(HEARD), FEEDS_CANCELLED, FEEDS_TIMED_OUT);
    /* What had come till then is there. */
    assert_int_equal(feed_trickle_next_await(&stream, &item), 0);
    assert_int_equal(feed_trickle_next_await(&stream, &item), 0);
    assert_int_equal(feed_trickle_next_await(&stream, &item), GROVE_ETIMEDOUT);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

/* --- ends ----------------------------------------------------------------------------------------- */

/* Opens a stream that something happens to at item 5. */
static int end_by(grove_ref pool, Feeds__V1__CountRequest__How how)
{
    Feeds__V1__CountRequest request = count_request(100);
    struct feed_count_stream stream;
    int rc;

    request.how = how;
    request.at = 5;
    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    rc = take_all(&stream);
    assert_int_equal(stream.items.n_items, 5);
    return rc;
}

static void test_a_stream_that_ends_otherwise_says_so_after_its_items(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});

    assert_int_equal(end_by(pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_REFUSE),
                     FEEDS__V1__REFUSAL__REFUSAL_ENOUGH);
    assert_string_equal(grove_why(), "enough of it");
    assert_int_equal(end_by(pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_FAIL), -61);
    assert_int_equal(end_by(pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_NULL), GROVE_EUSAGE);
    assert_string_equal(grove_why(),
                        "the item has NULL where a message, a text or an element belongs");
    /* A function cannot say that its stream has ended but by its end. */
    assert_int_equal(end_by(pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_END), GROVE_EBROKEN);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

static int recount(grove_ref pool, uint32_t at, uint64_t *n_items)
{
    Feeds__V1__CountRequest count = count_request(100);
    Feeds__V1__RecountRequest request = FEEDS__V1__RECOUNT_REQUEST__INIT;
    Feeds__V1__RecountItem item = FEEDS__V1__RECOUNT_ITEM__INIT;
    struct feed_recount_stream stream;
    int rc;

    count.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_DIE;
    count.at = at;
    request.request = &count;
    assert_int_equal(feed_recount_open(pool, &request, &stream), 0);
    while ((rc = feed_recount_next_await(&stream, &item)) == 0)
        assert_int_equal(item.number, stream.items.n_items - 1);
    *n_items = stream.items.n_items;
    return rc;
}

static void test_nothing_runs_again_after_an_item_has_come(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    uint64_t n_items;

    assert_int_equal(recount(pool, 5, &n_items), GROVE_ECRASHED);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_string_equal(grove_why(), "the worker process died after 5 items had come");
    assert_int_equal(n_items, 5);
    assert_int_equal(count_of(RUNS), 1);
    /* Before, it does: its rpc has no side effects. */
    assert_int_equal(recount(pool, 0, &n_items), GROVE_ECRASHED);
    assert_int_equal(n_items, 0);
    assert_int_equal(count_of(RUNS), 2);
    close_pool(pool);
}

static void test_a_pool_that_closes_ends_its_streams(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    struct feed_trickle_stream stream;
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;
    Feeds__V1__CountRequest count = count_request(20);
    Feeds__V1__TrickleRequest request = trickle_request(&count);

    assert_int_equal(feed_trickle_open(pool, &request, &stream), 0);
    wait_parked(pool, 2);
    assert_int_equal(grove_pool_close_await(pool, 1), 0);
    assert_int_equal(feed_trickle_next_await(&stream, &item), 0);
    assert_int_equal(feed_trickle_next_await(&stream, &item), 0);
    assert_int_equal(feed_trickle_next_await(&stream, &item), GROVE_ECRASHED);
    assert_string_equal(grove_why(), "the worker process died after 2 items had come");
    assert_int_equal(feed_trickle_open(pool, &request, &stream), GROVE_ENOACTOR);
    assert_int_equal(feed_trickle_next_await(&stream, &item), GROVE_ENOACTOR);
}

static void test_a_pool_that_drains_waits_for_its_streams(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Feeds__V1__CountRequest request = count_request(1000);
    struct feed_count_stream stream;

    assert_int_equal(feed_count_open(pool, &request, &stream), 0);
    assert_int_equal(grove_stop(pool, GROVE_STOP_DRAIN), 0);
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_int_equal(stream.items.n_items, 1000);
    (void)grove_stop_await(pool, GROVE_STOP_DRAIN); /* It may have ended. */
}

/* --- mistakes ------------------------------------------------------------------------------------- */

static struct feed_count_stream shared;
static int foreign_rc;
static bool foreign_done;

static void take_foreign(void *argument)
{
    Feeds__V1__CountItem item = FEEDS__V1__COUNT_ITEM__INIT;

    (void)argument;
    foreign_rc = feed_count_next_await(&shared, &item);
    foreign_done = true;
}

static void test_mistakes_are_told(void **state)
{
    (void)state;
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1}), reader;
    Feeds__V1__CountRequest request = count_request(10);
    Feeds__V1__CountItem item = FEEDS__V1__COUNT_ITEM__INIT;
    Feeds__V1__PingRequest none = FEEDS__V1__PING_REQUEST__INIT;
    struct feed_count_stream stream = {{0}};

    assert_int_equal(feed_count_next_await(&stream, &item), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "is not open"));
    assert_int_equal(reader_spawn(&readers, NULL, NULL, &reader), 0);
    assert_int_equal(feed_count_open(reader, &request, &stream), GROVE_ENOTSUP);
    assert_non_null(strstr(grove_why(), "open it at the ref of grove_pool_open"));
    assert_int_equal(feed_count_open(GROVE_NOBODY, &request, &stream), GROVE_ENOACTOR);
    assert_int_equal(
        grove_items_open(pool, &feed_service_table, FEED_METHOD_PING, &none.base, &stream.items),
        GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "call its _await"));
    /* By hand: one answer of a stream. */
    assert_int_equal(
        grove_call_await(pool, &feed_service_table, FEED_METHOD_COUNT, &request.base, &item.base),
        GROVE_ENOTSUP);
    /* A stream is its turn's own. */
    assert_int_equal(feed_count_open(pool, &request, &shared), 0);
    assert_int_equal(grove_go(take_foreign, NULL, NULL, NULL), 0);
    while (!foreign_done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(foreign_rc, GROVE_EUSAGE);
    assert_int_equal(take_all(&shared), GROVE_EEND);
    assert_int_equal(grove_stop_await(reader, GROVE_STOP_NOW), 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_in_order_and_then_the_end),
        cmocka_unit_test(test_credit_counts_bytes_too),
        cmocka_unit_test(test_a_slow_reader_parks_the_job_and_nothing_else),
        cmocka_unit_test(test_closing_a_stream_cancels_its_function),
        cmocka_unit_test(test_an_actors_rpc_streams_from_its_pool_and_ends_with_its_handler),
        cmocka_unit_test(test_the_end_of_a_reader_closes_its_stream),
        cmocka_unit_test(test_the_deadline_is_of_all_items_together),
        cmocka_unit_test(test_time_passes_while_a_job_is_parked),
        cmocka_unit_test(test_a_stream_that_ends_otherwise_says_so_after_its_items),
        cmocka_unit_test(test_nothing_runs_again_after_an_item_has_come),
        cmocka_unit_test(test_a_pool_that_closes_ends_its_streams),
        cmocka_unit_test(test_a_pool_that_drains_waits_for_its_streams),
        cmocka_unit_test(test_mistakes_are_told),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
