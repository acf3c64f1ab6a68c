/*
 * Functions of streams in a unit test: called as the plain C that they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove.h>

#include "tests/workers/feeds.h"

static Feeds__V1__CountRequest count_request(uint32_t n)
{
    Feeds__V1__CountRequest request = FEEDS__V1__COUNT_REQUEST__INIT;

    request.n = n;
    request.bytes = 3;
    return request;
}

static void test_a_collector_keeps_what_a_function_gives(void **state)
{
    Feeds__V1__CountRequest request = count_request(100);
    struct grove_collector collector = {.n_max = 0};
    struct feed_count_sink sink = feed_count_collect(&collector);

    (void)state;
    assert_int_equal(feeds_count(&request, &sink), 0);
    assert_int_equal(collector.n_items, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(feed_count_collected(&collector, i)->number, i);
        assert_string_equal(feed_count_collected(&collector, i)->text, "xxx");
    }
    assert_null(feed_count_collected(&collector, 100));
    grove_collector_free(&collector);
    assert_int_equal(collector.n_items, 0);
    /* And again. */
    request.n = 1;
    assert_int_equal(feeds_count(&request, &sink), 0);
    assert_int_equal(feed_count_collected(&collector, 0)->number, 0);
    grove_collector_free(&collector);
}

static void test_a_collector_leaves_like_a_reader(void **state)
{
    Feeds__V1__CountRequest request = count_request(100);
    struct grove_collector collector = {.n_max = 7};
    struct feed_count_sink sink = feed_count_collect(&collector);

    (void)state;
    assert_int_equal(feeds_count(&request, &sink), GROVE_ECANCELED);
    assert_int_equal(collector.n_items, 7);
    grove_collector_free(&collector);
}

static void test_a_collector_takes_no_item_that_a_worker_could_not_send(void **state)
{
    Feeds__V1__CountRequest request = count_request(100);
    struct grove_collector collector = {.n_max = 0};
    struct feed_count_sink sink = feed_count_collect(&collector);

    (void)state;
    request.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_NULL;
    request.at = 2;
    assert_int_equal(feeds_count(&request, &sink), GROVE_EUSAGE);
    assert_int_equal(collector.n_items, 2);
    grove_collector_free(&collector);
    request = count_request(1);
    request.bytes = 16 << 20;
    assert_int_equal(feeds_count(&request, &sink), GROVE_ETOOBIG);
    assert_int_equal(collector.n_items, 0);
    grove_collector_free(&collector);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_collector_keeps_what_a_function_gives),
        cmocka_unit_test(test_a_collector_leaves_like_a_reader),
        cmocka_unit_test(test_a_collector_takes_no_item_that_a_worker_could_not_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
