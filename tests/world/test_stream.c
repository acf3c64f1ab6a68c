/* Streams: bytes both ways, pressure, lines, ends of every kind, a thousand at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/world/sockets.h"
#include "world/stream.h"

enum { BULK_BYTES = 8 * 1024 * 1024, MANY = 1000 };

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 11));
}

/* --- bytes --------------------------------------------------------------------------------------- */

static void test_what_is_written_comes_back(void **state)
{
    struct grove_stream *stream;
    char bytes[8] = "";
    size_t n_bytes = 0;

    (void)state;
    open_server();
    assert_memory_equal(grove_listener_url(listener), "tcp://127.0.0.1:", 16);
    stream = dial();
    assert_string_equal(grove_stream_peer(stream), grove_listener_url(listener));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(grove_write_await(stream, "hello", 5), 0);
        assert_int_equal(grove_read_await(stream, bytes, sizeof bytes, &n_bytes), 0);
        assert_int_equal(n_bytes, 5);
        assert_string_equal(bytes, "hello");
    }
    grove_stream_close(stream);
    close_server();
}

struct bulk {
    struct grove_stream *stream;
    uint8_t *bytes;
    int rc;
};

static void write_bulk(void *argument)
{
    struct bulk *bulk = argument;

    bulk->rc = grove_write_await(bulk->stream, bulk->bytes, BULK_BYTES);
}

static void test_a_large_write_waits_for_room_and_arrives_in_order(void **state)
{
    struct grove_stream *ends[2];
    struct bulk bulk = {.bytes = malloc(BULK_BYTES), .rc = 1};
    uint8_t *bytes = malloc(BULK_BYTES);
    grove_ref writer;

    (void)state;
    pair(ends);
    for (size_t i = 0; i < BULK_BYTES; i++)
        bulk.bytes[i] = pattern(i);
    bulk.stream = ends[0];
    assert_int_equal(grove_go(write_bulk, &bulk, NULL, &writer), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(bulk.rc, 1); /* nobody reads: it waits */
    assert_int_equal(grove_read_all_await(ends[1], bytes, BULK_BYTES), 0);
    assert_memory_equal(bytes, bulk.bytes, BULK_BYTES);
    join(writer);
    assert_int_equal(bulk.rc, 0);
    free(bulk.bytes);
    free(bytes);
    close_pair(ends);
}

static void test_reading_stops_above_one_unread_buffer(void **state)
{
    struct grove_stream *ends[2];
    uint8_t *bytes = calloc(1, BULK_BYTES);
    size_t n_left = 0, n_bytes = 1;

    (void)state;
    pair(ends);
    /* Writes until the kernel's buffers are full, since nobody reads. */
    for (; n_left < BULK_BYTES; n_left += 4096) {
        grove_within(100);
        if (grove_write_await(ends[0], bytes, 4096) != 0)
            break;
    }
    assert_true(n_left < BULK_BYTES);
    assert_int_equal(grove_failure()->code, GROVE_ETIMEDOUT);
    grove_stream_close(ends[0]);
    for (size_t n_read = 0; n_bytes > 0; n_read += n_bytes) {
        int rc = grove_read_await(ends[1], bytes, 4096, &n_bytes);

        if (rc == 0 && n_bytes == 0)
            assert_true(n_read >= n_left); /* all that was written arrives */
        if (rc != 0)
            break;
    }
    free(bytes);
    grove_stream_close(ends[1]);
}

static void test_an_idle_connection_has_no_buffer(void **state)
{
    struct grove_stream *ends[2];
    char bytes[8];
    size_t n_bytes;

    (void)state;
    pair(ends);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_write_await(ends[0], "unread", 6), 0);
        while (ends[1]->n_unread < 6)
            assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_read_await(ends[1], bytes, 4, &n_bytes), 0);
        assert_non_null(ends[1]->unread);
        assert_int_equal(grove_read_await(ends[1], bytes, 4, &n_bytes), 0);
        assert_int_equal(n_bytes, 2);
        assert_null(ends[1]->unread);
    }
    close_pair(ends);
}

static void test_a_write_under_way_is_alone_and_is_told_when_another_one_closes(void **state)
{
    struct grove_stream *ends[2];
    struct bulk bulk = {.bytes = calloc(1, BULK_BYTES), .rc = 1};
    grove_ref writer;

    (void)state;
    pair(ends);
    bulk.stream = ends[0];
    assert_int_equal(grove_go(write_bulk, &bulk, NULL, &writer), 0);
    while (ends[0]->writer == NULL)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_write_await(ends[0], "x", 1), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "another turn writes"));
    assert_int_equal(grove_stream_shutdown(ends[0]), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "wait for its end"));
    grove_stream_close(ends[0]);
    for (int i = 0; bulk.rc == 1 && i < 5000; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(bulk.rc, GROVE_ECANCELED);
    join(writer);
    free(bulk.bytes);
    grove_stream_close(ends[1]);
}

static void write_later(void *argument)
{
    struct bulk *bulk = argument;

    (void)grove_sleep_await(60);
    bulk->rc = grove_write_await(bulk->stream, "later", 5);
}

static void test_what_grove_within_gave_is_used_up_by_a_write_that_was_done_at_once(void **state)
{
    struct grove_stream *ends[2];
    struct bulk bulk = {.rc = 1};
    grove_ref writer;
    size_t n_bytes;
    char bytes[8];

    (void)state;
    pair(ends);
    bulk.stream = ends[1];
    assert_int_equal(grove_go(write_later, &bulk, NULL, &writer), 0);
    grove_within(20);
    assert_int_equal(grove_write_await(ends[0], "now", 3), 0);
    assert_int_equal(grove_read_await(ends[0], bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 5);
    join(writer);
    close_pair(ends);
}

static void test_lines_come_one_by_one(void **state)
{
    static const char text[] = "one\r\ntwo\n\nfour";
    struct grove_stream *ends[2];
    char line[16], tight[4];
    size_t n_bytes;

    (void)state;
    pair(ends);
    assert_int_equal(grove_write_await(ends[0], text, sizeof text - 1), 0);
    assert_int_equal(grove_stream_shutdown(ends[0]), 0);
    assert_int_equal(grove_read_line_await(ends[1], tight, sizeof tight, &n_bytes), 0);
    assert_string_equal(tight, "one");
    assert_int_equal(n_bytes, 3);
    assert_int_equal(grove_read_line_await(ends[1], line, sizeof line, NULL), 0);
    assert_string_equal(line, "two");
    assert_int_equal(grove_read_line_await(ends[1], line, sizeof line, &n_bytes), 0);
    assert_int_equal(n_bytes, 0);
    assert_int_equal(grove_read_line_await(ends[1], tight, sizeof tight, NULL), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "longer than 3 bytes"));
    assert_int_equal(grove_read_line_await(ends[1], line, sizeof line, NULL), 0);
    assert_string_equal(line, "four");
    assert_int_equal(grove_read_line_await(ends[1], line, sizeof line, NULL), -ENODATA);
    close_pair(ends);
}

static void test_a_line_without_end_is_refused_not_waited_for(void **state)
{
    struct grove_stream *ends[2];
    static char bytes[70000], line[65535];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    pair(ends);
    assert_int_equal(grove_write_await(ends[0], bytes, sizeof bytes), 0);
    grove_within(2000);
    assert_int_equal(grove_read_line_await(ends[1], line, sizeof line, NULL), GROVE_ETOOBIG);
    assert_int_equal(grove_read_line_await(ends[1], line, 65536, NULL), GROVE_EUSAGE);
    close_pair(ends);
}

/* --- ends ---------------------------------------------------------------------------------------- */

static void test_half_closed_the_answer_still_comes(void **state)
{
    struct grove_stream *ends[2];
    char bytes[8];
    size_t n_bytes;

    (void)state;
    pair(ends);
    assert_int_equal(grove_write_await(ends[0], "ask", 3), 0);
    assert_int_equal(grove_stream_shutdown(ends[0]), 0);
    assert_int_equal(grove_write_await(ends[0], "more", 4), -EPIPE);
    assert_int_equal(grove_stream_shutdown(ends[0]), -ENOTCONN);
    assert_int_equal(grove_read_await(ends[1], bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 3);
    assert_int_equal(grove_read_await(ends[1], bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 0); /* the peer has ended */
    assert_int_equal(grove_write_await(ends[1], "answer", 6), 0);
    assert_int_equal(grove_read_all_await(ends[0], bytes, 6), 0);
    assert_memory_equal(bytes, "answer", 6);
    close_pair(ends);
}

static void test_too_few_bytes_are_told_with_their_number(void **state)
{
    struct grove_stream *ends[2];
    char bytes[8];

    (void)state;
    pair(ends);
    assert_int_equal(grove_write_await(ends[0], "abc", 3), 0);
    grove_stream_close(ends[0]);
    assert_int_equal(grove_read_all_await(ends[1], bytes, 8), -ENODATA);
    assert_memory_equal(bytes, "abc", 3);
    assert_non_null(strstr(grove_why(), "3 of 8 bytes"));
    grove_stream_close(ends[1]);
}

static void test_a_peer_that_breaks_off_is_an_error_with_its_name(void **state)
{
    struct grove_stream *stream;
    char bytes[8];
    size_t n_bytes;
    int peer;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    peer = raw_dial();
    assert_int_equal(grove_accept_await(listener, &stream), 0);
    reset(peer);
    assert_int_equal(grove_read_await(stream, bytes, sizeof bytes, &n_bytes), -ECONNRESET);
    assert_non_null(strstr(grove_why(), "tcp://127.0.0.1:"));
    assert_int_equal(grove_write_await(stream, "x", 1), -ECONNRESET);
    grove_stream_close(stream);
    grove_listener_close(listener);
}

static void test_a_server_outlives_abortive_and_garbage_peers(void **state)
{
    struct grove_stream *stream;
    char bytes[8];

    (void)state;
    open_server();
    for (int i = 0; i < MANY; i++) {
        int peer = raw_dial();

        if (i % 2 == 0)
            (void)send(peer, "garbage", 7, MSG_NOSIGNAL);
        if (i % 3 == 0)
            reset(peer);
        else
            assert_int_equal(close(peer), 0);
        if (i % 16 == 0)
            (void)grove_yield_await();
    }
    stream = dial();
    assert_int_equal(grove_write_await(stream, "still", 5), 0);
    assert_int_equal(grove_read_all_await(stream, bytes, 5), 0);
    grove_stream_close(stream);
    while (n_served < MANY + 1)
        assert_int_equal(grove_sleep_await(1), 0);
    close_server();
}

static void test_a_thousand_connections_at_once_are_served(void **state)
{
    static struct grove_stream *streams[MANY];
    struct rlimit limit;
    char bytes[64];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 100)
        skip();
    open_server();
    for (int i = 0; i < MANY; i++)
        streams[i] = dial();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            memset(bytes, i + round, sizeof bytes);
            assert_int_equal(grove_write_await(streams[i], bytes, sizeof bytes), 0);
        }
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(grove_read_all_await(streams[i], bytes, sizeof bytes), 0);
            assert_int_equal((unsigned char)bytes[63], (unsigned char)(i + round));
        }
    }
    for (int i = 0; i < MANY; i++)
        grove_stream_close(streams[i]);
    while (n_served < MANY)
        assert_int_equal(grove_sleep_await(1), 0);
    close_server();
}

static int set_up(void **state)
{
    (void)state;
    stage_open_loops(2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_what_is_written_comes_back),
        stage_test(test_a_large_write_waits_for_room_and_arrives_in_order),
        stage_test(test_reading_stops_above_one_unread_buffer),
        stage_test(test_an_idle_connection_has_no_buffer),
        stage_test(test_a_write_under_way_is_alone_and_is_told_when_another_one_closes),
        stage_test(test_what_grove_within_gave_is_used_up_by_a_write_that_was_done_at_once),
        stage_test(test_lines_come_one_by_one),
        stage_test(test_a_line_without_end_is_refused_not_waited_for),
        stage_test(test_half_closed_the_answer_still_comes),
        stage_test(test_too_few_bytes_are_told_with_their_number),
        stage_test(test_a_peer_that_breaks_off_is_an_error_with_its_name),
        stage_test(test_a_server_outlives_abortive_and_garbage_peers),
        stage_test(test_a_thousand_connections_at_once_are_served),
    };

    return cmocka_run_group_tests_name("stream", tests, set_up, stage_tear_down);
}
