/*
 * Streams of items from workers of other machines: what a caller sees of
 * them is what it sees of those beside it, until a wire is cut.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/workers/feeds.h"
#include "tests/workers/machines.h"

enum { RUNS = 0, EMITTED = 1, HEARD = 2 }; /* places in the file of counts */

static Feeds__V1__CountRequest count_request(uint32_t n)
{
    Feeds__V1__CountRequest request = FEEDS__V1__COUNT_REQUEST__INIT;

    request.n = n;
    request.counts = once_request(0, 0).counts;
    reset_counts(4);
    return request;
}

/* A stream that gives two items ahead of its reader. */
static struct feed_trickle_stream trickle(grove_ref pool, Feeds__V1__CountRequest *count)
{
    Feeds__V1__TrickleRequest request = FEEDS__V1__TRICKLE_REQUEST__INIT;
    struct feed_trickle_stream stream;

    request.request = count;
    grove_within(30000);
    assert_int_equal(feed_trickle_open(pool, &request, &stream), 0);
    return stream;
}

/* Takes n items more of it, which must be the next numbers. */
static void take(struct feed_trickle_stream *stream, uint32_t n)
{
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;

    for (uint32_t number = (uint32_t)stream->items.n_items; n-- > 0; number++) {
        assert_int_equal(feed_trickle_next_await(stream, &item), 0);
        assert_int_equal(item.number, number);
    }
}

static int end_of(struct feed_trickle_stream *stream)
{
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;

    return feed_trickle_next_await(stream, &item);
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

static int ping(grove_ref pool)
{
    Feeds__V1__PingRequest request = FEEDS__V1__PING_REQUEST__INIT;
    Feeds__V1__PingResponse response = FEEDS__V1__PING_RESPONSE__INIT;

    return feed_ping_await(pool, &request, &response);
}

static void wait_count(unsigned place, int n)
{
    for (unsigned i = 0; i < 10000 && count_of(place) < n; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(count_of(place), n);
}

/* Waits until so many functions wait for their readers. */
static void wait_parked(grove_ref pool, unsigned n)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).n_parked != n; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_parked, n);
}

struct place {
    grove_ref pool;
    struct grove_process *machine;
};

static struct place open_place(unsigned n_workers)
{
    struct grove_pool_options options = machines_pool();
    struct place place = {.pool = open_pool(&options)};

    place.machine = machine_start(port_of(place.pool), n_workers, "ours", "worker");
    wait_remote(place.pool, 1);
    return place;
}

/* Nothing may have gone wrong between both that a test did not want. */
static void close_place(struct place place)
{
    assert_int_equal(stats_of(place.pool).n_remote, 1);
    assert_int_equal(stats_of(place.pool).remote_lost, 0);
    assert_int_equal(stats_of(place.pool).dropped_peers, 0);
    machine_stop(place.machine);
    close_pool(place.pool);
}

/* --- the whole way ---------------------------------------------------------------------------------- */

static void test_items_of_another_machine_come_in_order_and_then_the_end(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest request = count_request(1000);
    struct feed_count_stream stream;

    (void)state;
    request.bytes = 1000;
    assert_int_equal(feed_count_open(place.pool, &request, &stream), 0);
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_int_equal(stream.items.n_items, 1000);
    assert_int_equal(stats_of(place.pool).items, 1000);
    assert_int_equal(stats_of(place.pool).done, 1);
    close_place(place);
}

static void test_credit_holds_a_function_of_another_machine_back(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_trickle_stream slow = trickle(place.pool, &request);
    struct feed_count_stream stream;

    (void)state;
    wait_parked(place.pool, 1);
    wait_count(EMITTED, 2);
    take(&slow, 1);
    wait_count(EMITTED, 3);
    wait_parked(place.pool, 1);
    take(&slow, 19);
    assert_int_equal(end_of(&slow), GROVE_EEND);

    /* An item of 100 000 bytes is one; the credit in bytes ends with the third. */
    request = count_request(20);
    request.bytes = 100000;
    assert_int_equal(feed_count_open(place.pool, &request, &stream), 0);
    wait_parked(place.pool, 1);
    wait_count(EMITTED, 3);
    assert_int_equal(take_all(&stream), GROVE_EEND);
    assert_int_equal(stream.items.n_items, 20);
    close_place(place);
}

/* A stream takes one of the machine's workers, and nothing is sent that would wait behind it. */
static void test_other_workers_of_a_machine_go_on_beside_its_streams(void **state)
{
    struct place place = open_place(3);
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_trickle_stream one = trickle(place.pool, &request),
                               other = trickle(place.pool, &request);

    (void)state;
    wait_parked(place.pool, 2);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(ping(place.pool), 0);
    wait_parked(place.pool, 2);
    for (unsigned i = 0; i < 20; i++) {
        take(&one, 1);
        take(&other, 1);
    }
    assert_int_equal(end_of(&one), GROVE_EEND);
    assert_int_equal(end_of(&other), GROVE_EEND);
    close_place(place);
}

static void test_streams_are_shared_out_among_workers_here_and_there(void **state)
{
    struct grove_pool_options options = machines_pool();
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_trickle_stream streams[3];
    struct place place;

    (void)state;
    options.only_remote = false;
    options.n_workers = 1;
    place.pool = open_pool(&options);
    place.machine = machine_start(port_of(place.pool), 3, "ours", "worker");
    wait_ready(place.pool, 2);
    for (unsigned i = 0; i < 3; i++)
        streams[i] = trickle(place.pool, &request);
    wait_parked(place.pool, 3);
    assert_int_equal(stats_of(place.pool).n_busy, 2); /* here and there */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(ping(place.pool), 0);
    for (unsigned i = 0; i < 3; i++) {
        take(&streams[i], 20);
        assert_int_equal(end_of(&streams[i]), GROVE_EEND);
    }
    close_place(place);
}

/* --- ends ----------------------------------------------------------------------------------------- */

static void test_closing_a_stream_cancels_its_function_on_another_machine(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest request = count_request(UINT32_MAX);
    struct feed_trickle_stream stream = trickle(place.pool, &request);

    (void)state;
    take(&stream, 5);
    feed_trickle_close(&stream);
    assert_int_equal(end_of(&stream), GROVE_ECANCELED);
    wait_count(HEARD, FEEDS_CANCELLED);
    assert_int_equal(ping(place.pool), 0);
    close_place(place);
}

static void test_the_deadline_ends_a_stream_of_another_machine(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest request = count_request(5);
    struct feed_count_stream stream;

    (void)state;
    assert_int_equal(ping(place.pool), 0);
    request.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_STAY;
    request.at = 2;
    grove_within(500);
    assert_int_equal(feed_count_open(place.pool, &request, &stream), 0);
    assert_int_equal(take_all(&stream), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(stream.items.n_items, 2);
    assert_int_equal(ping(place.pool), 0); /* Its only worker was killed for it. */
    close_place(place);
}

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

static void test_other_ends_are_told_as_if_its_worker_were_here(void **state)
{
    struct place place = open_place(1);

    (void)state;
    assert_int_equal(end_by(place.pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_REFUSE),
                     FEEDS__V1__REFUSAL__REFUSAL_ENOUGH);
    assert_string_equal(grove_why(), "enough of it");
    assert_int_equal(end_by(place.pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_FAIL), -61);
    assert_int_equal(end_by(place.pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_END), GROVE_EBROKEN);
    assert_int_equal(end_by(place.pool, FEEDS__V1__COUNT_REQUEST__HOW__HOW_DIE), GROVE_ECRASHED);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_string_equal(grove_why(), "the worker process died after 5 items had come");
    assert_int_equal(count_of(RUNS), 1);
    close_place(place);
}

static void test_a_stream_without_items_runs_again_on_another_machine_if_it_may(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest count = count_request(100);
    Feeds__V1__RecountRequest request = FEEDS__V1__RECOUNT_REQUEST__INIT;
    Feeds__V1__RecountItem item = FEEDS__V1__RECOUNT_ITEM__INIT;
    struct feed_recount_stream stream;

    (void)state;
    count.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_DIE;
    request.request = &count;
    assert_int_equal(feed_recount_open(place.pool, &request, &stream), 0);
    assert_int_equal(feed_recount_next_await(&stream, &item), GROVE_ECRASHED);
    assert_int_equal(count_of(RUNS), 2);
    assert_int_equal(stats_of(place.pool).retried, 1);
    close_place(place);
}

static void test_a_machine_that_is_asked_to_end_finishes_its_streams(void **state)
{
    struct place place = open_place(1);
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_trickle_stream stream = trickle(place.pool, &request);
    struct grove_process_end end;

    (void)state;
    wait_parked(place.pool, 1);
    assert_int_equal(grove_process_kill(place.machine, SIGTERM), 0);
    wait_remote(place.pool, 0); /* It takes no more. */
    take(&stream, 20);
    assert_int_equal(end_of(&stream), GROVE_EEND);
    assert_int_equal(grove_process_wait_await(place.machine, &end), 0);
    assert_int_equal(end.status, 0);
    grove_process_close(place.machine);
    assert_int_equal(stats_of(place.pool).remote_lost, 0);
    close_pool(place.pool);
}

/* --- a wire that is cut --------------------------------------------------------------------------- */

static void test_a_cut_wire_ends_a_stream_after_what_had_come(void **state)
{
    struct grove_pool_options options = machines_pool();
    grove_ref pool = open_pool(&options);
    struct wire *wire = wire_open(port_of(pool));
    struct grove_process *machine = machine_start(wire_port(wire), 1, "ours", "worker");
    Feeds__V1__CountRequest request = count_request(20);
    struct feed_trickle_stream stream;

    (void)state;
    wait_remote(pool, 1);
    stream = trickle(pool, &request);
    take(&stream, 3);
    wait_count(EMITTED, 5);
    wait_parked(pool, 1);
    wire_cut(wire);
    take(&stream, 2); /* They are here; and nobody hears that they were taken. */
    assert_int_equal(end_of(&stream), GROVE_EUNKNOWN);
    assert_string_equal(grove_why(),
                        "the link to the worker's machine was lost after 5 items had come");
    assert_int_equal(stats_of(pool).remote_lost, 1);
    wait_count(HEARD, FEEDS_CANCELLED); /* The agent ends what nobody would hear of. */

    wire_heal(wire);
    wait_remote(pool, 1);
    assert_int_equal(ping(pool), 0);
    assert_int_equal(count_of(RUNS), 1);
    assert_int_equal(count_of(EMITTED), 5);
    machine_stop(machine);
    wire_close(wire);
    close_pool(pool);
}

/* Nothing had come of it: workers here begin it anew, as its rpc has no side effects. */
static void test_a_cut_wire_sends_a_stream_without_items_elsewhere_if_it_may(void **state)
{
    struct grove_pool_options options = machines_pool();
    Feeds__V1__CountRequest count = count_request(0);
    Feeds__V1__RecountRequest request = FEEDS__V1__RECOUNT_REQUEST__INIT;
    Feeds__V1__RecountItem item = FEEDS__V1__RECOUNT_ITEM__INIT;
    struct feed_recount_stream stream;
    struct grove_process *machine, *other;
    struct wire *wire;
    grove_ref pool = open_pool(&options);

    (void)state;
    wire = wire_open(port_of(pool));
    machine = machine_start(wire_port(wire), 1, "ours", "worker");
    wait_remote(pool, 1);
    count.n = 1;
    count.how = FEEDS__V1__COUNT_REQUEST__HOW__HOW_STAY_ONCE;
    request.request = &count;
    assert_int_equal(feed_recount_open(pool, &request, &stream), 0);
    wait_count(RUNS, 1);
    wire_cut(wire);
    other = machine_start(port_of(pool), 1, "ours", "worker");
    assert_int_equal(feed_recount_next_await(&stream, &item), 0);
    assert_int_equal(feed_recount_next_await(&stream, &item), GROVE_EEND);
    assert_int_equal(count_of(RUNS), 2);
    assert_int_equal(stats_of(pool).remote_lost, 1);
    wire_heal(wire);
    machine_stop(other);
    machine_stop(machine);
    wire_close(wire);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_of_another_machine_come_in_order_and_then_the_end),
        cmocka_unit_test(test_credit_holds_a_function_of_another_machine_back),
        cmocka_unit_test(test_other_workers_of_a_machine_go_on_beside_its_streams),
        cmocka_unit_test(test_streams_are_shared_out_among_workers_here_and_there),
        cmocka_unit_test(test_closing_a_stream_cancels_its_function_on_another_machine),
        cmocka_unit_test(test_the_deadline_ends_a_stream_of_another_machine),
        cmocka_unit_test(test_other_ends_are_told_as_if_its_worker_were_here),
        cmocka_unit_test(test_a_stream_without_items_runs_again_on_another_machine_if_it_may),
        cmocka_unit_test(test_a_machine_that_is_asked_to_end_finishes_its_streams),
        cmocka_unit_test(test_a_cut_wire_ends_a_stream_after_what_had_come),
        cmocka_unit_test(test_a_cut_wire_sends_a_stream_without_items_elsewhere_if_it_may),
    };
    int n_failed;

    if (pools_begin(&argc, &argv) != 0)
        return EXIT_FAILURE;
    machines_open();
    machine_program = GV_BUILD_ROOT "/tests/workers/feeds_worker";
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    machines_close();
    return pools_end(n_failed);
}
