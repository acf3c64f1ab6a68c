/* Streams over unix sockets, and over nng: names, bytes, pressure, and ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/runtime/host_ends.h"

enum { BULK_BYTES = 8 * 1024 * 1024 };

/* --- names ------------------------------------------------------------------------------------ */

static void test_urls_that_nobody_can_reach_are_refused(void **state)
{
    static struct end client;
    struct gv_listener *listener;
    char long_url[200] = "ipc:///";

    (void)state;
    memset(long_url + 7, 'x', 150);
    assert_int_equal(env->dial(poller, "udp://127.0.0.1:1", &end_events, &client, &client.stream),
                     -EPROTONOSUPPORT);
    assert_int_equal(env->dial(poller, "tcp://localhost:1", &end_events, &client, &client.stream),
                     -EINVAL);
    assert_int_equal(env->listen(poller, "tcp://127.0.0.1", &door_events, NULL, &listener),
                     -EINVAL);
    assert_int_equal(env->dial(poller, "ipc://relative", &end_events, &client, &client.stream),
                     -EINVAL);
    assert_int_equal(env->dial(poller, long_url, &end_events, &client, &client.stream),
                     -ENAMETOOLONG);
    assert_int_equal(env->listen(poller, "ipc:///no/such/dir/x", &door_events, NULL, &listener),
                     -ENOENT);
}

static void test_the_longest_path_of_a_socket_is_let_through(void **state)
{
    char longest[] = "ipc:///"
                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                     "012345678901234567890123456789012345"
                     "x";

    (void)state;
    assert_int_equal(gv_host_url_check(longest), -ENAMETOOLONG);
    longest[strlen(longest) - 1] = '\0'; /* 107 bytes and the NUL fill a sun_path */
    assert_int_equal(gv_host_url_check(longest), 0);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void test_a_short_message_comes_back(void **state)
{
    static struct end server, client;
    static const uint8_t hello[] = {0, 31, 62, 93};
    struct door door;

    (void)state;
    server = (struct end){.echo = true};
    client = (struct end){.connected = false};
    open_door(&door, &server);
    dial(&client);
    assert_int_equal(env->stream_write(client.stream, hello, 4), -ENOTCONN);
    POLL_UNTIL(client.connected);
    assert_int_equal(env->stream_write(client.stream, hello, 4), 0);
    assert_int_equal(env->stream_write(client.stream, hello, 4), -EBUSY);
    POLL_UNTIL(client.n_bytes == 4 && client.n_written == 1);
    assert_false(server.connected);
    assert_int_equal(server.n_wrong + client.n_wrong, 0);

    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
    assert_int_equal(client.error, 0);
    assert_int_equal(server.error, 0);
    env->listener_close(door.listener);
}

static void test_a_large_write_arrives_whole_and_in_order(void **state)
{
    static struct end server, client;
    struct door door;
    uint8_t *bytes = malloc(BULK_BYTES);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < BULK_BYTES; i++)
        bytes[i] = pattern(i);
    server = client = (struct end){.connected = false};
    open_door(&door, &server);
    dial(&client);
    POLL_UNTIL(client.connected);
    assert_int_equal(env->stream_write(client.stream, bytes, BULK_BYTES), 0);
    POLL_UNTIL(server.n_bytes == BULK_BYTES && client.n_written == 1);
    assert_int_equal(server.n_wrong, 0);
    /* The room grows: small pieces throughout would be 512. */
    assert_true(server.n_received < BULK_BYTES / 16384);
    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
    env->listener_close(door.listener);
    free(bytes);
}

static void test_a_paused_stream_receives_nothing_until_it_is_resumed(void **state)
{
    static struct end server, client;
    struct door door;
    uint8_t *bytes = malloc(BULK_BYTES);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < BULK_BYTES; i++)
        bytes[i] = pattern(i);
    server = (struct end){.pause_after_first = true};
    client = (struct end){.connected = false};
    open_door(&door, &server);
    dial(&client);
    POLL_UNTIL(client.connected);
    assert_int_equal(env->stream_write(client.stream, bytes, BULK_BYTES), 0);
    POLL_UNTIL(server.n_received == 1);
    for (int i = 0; i < 20; i++)
        env->poller_poll(poller, 1000000);
    assert_int_equal(server.n_received, 1);
    assert_int_equal(client.n_written, 0); /* the pressure reaches the writer */

    server.pause_after_first = false;
    env->stream_resume(server.stream);
    POLL_UNTIL(server.n_bytes == BULK_BYTES && client.n_written == 1);
    assert_int_equal(server.n_wrong, 0);
    close_end(&server);
    POLL_UNTIL(client.n_closed == 1);
    env->listener_close(door.listener);
    free(bytes);
}

static void test_bytes_that_came_while_pausing_are_kept_for_resume(void **state)
{
    static struct end server;
    struct door door;
    uint8_t first = pattern(0);
    int peer;

    (void)state;
    server = (struct end){.connected = false};
    open_door(&door, &server);
    peer = raw_connect();
    POLL_UNTIL(server.stream != NULL);
    /* A receive is in flight: what it brings must wait. */
    env->stream_pause(server.stream);
    assert_int_equal(send(peer, &first, 1, 0), 1);
    for (int i = 0; i < 20; i++)
        env->poller_poll(poller, 1000000);
    assert_int_equal(server.n_received, 0);
    env->stream_resume(server.stream);
    assert_int_equal(server.n_received, 0);
    POLL_UNTIL(server.n_received == 1);
    assert_int_equal(server.n_bytes, 1);
    assert_int_equal(close(peer), 0);
    POLL_UNTIL(server.n_closed == 1);
    env->listener_close(door.listener);
}

/* The kernel tells of an end whether asked or not, as often as it is looked at. */
static void test_a_paused_stream_whose_peer_has_gone_lets_the_loop_sleep(void **state)
{
    static struct end server;
    struct door door;
    uint64_t began_ns;
    int peer;

    (void)state;
    server = (struct end){.connected = false};
    open_door(&door, &server);
    peer = raw_connect();
    POLL_UNTIL(server.stream != NULL);
    env->stream_pause(server.stream);
    assert_int_equal(close(peer), 0);
    began_ns = env->now_ns(env->world);
    for (int i = 0; i < 20; i++)
        env->poller_poll(poller, 1000000);
    assert_true(env->now_ns(env->world) - began_ns > 10000000);
    assert_int_equal(server.n_closed, 0);
    env->stream_resume(server.stream);
    POLL_UNTIL(server.n_closed == 1);
    env->listener_close(door.listener);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void test_a_dial_to_nobody_is_closed_with_refused(void **state)
{
    static struct end client;

    (void)state;
    client = (struct end){.connected = false};
    dial(&client);
    POLL_UNTIL(client.n_closed == 1);
    assert_false(client.connected);
    assert_int_equal(client.error, -ECONNREFUSED);
}

static void test_a_dial_given_up_at_once_is_closed_once(void **state)
{
    static struct end client;
    struct door door;

    (void)state;
    open_door(&door, NULL);
    for (int i = 0; i < 200; i++) {
        client = (struct end){.connected = false};
        dial(&client);
        close_end(&client);
        assert_int_equal(client.n_closed, 1);
        assert_int_equal(client.error, 0);
    }
    env->listener_close(door.listener);
}

static void test_a_close_inside_received_is_the_last_of_it(void **state)
{
    static struct end server;
    struct door door;
    uint8_t first = pattern(0);
    int peer;

    (void)state;
    server = (struct end){.close_in_received = true};
    open_door(&door, &server);
    peer = raw_connect();
    assert_int_equal(send(peer, &first, 1, 0), 1);
    POLL_UNTIL(server.n_closed == 1);
    assert_int_equal(server.n_received, 1);
    assert_int_equal(server.error, 0);
    assert_int_equal(recv(peer, &first, 1, 0), 0);
    assert_int_equal(close(peer), 0);
    env->listener_close(door.listener);
}

static void test_closing_ends_a_write_that_cannot_leave(void **state)
{
    static struct end server;
    static uint8_t bytes[BULK_BYTES];
    struct door door;
    int peer;

    (void)state;
    server = (struct end){.connected = false};
    open_door(&door, &server);
    peer = raw_connect();
    POLL_UNTIL(server.stream != NULL);
    assert_int_equal(env->stream_write(server.stream, bytes, sizeof(bytes)), 0);
    env->poller_poll(poller, 1000000);
    close_end(&server);
    assert_int_equal(server.n_written, 0);
    assert_int_equal(close(peer), 0);
    env->listener_close(door.listener);
}

/* A dying worker has answered, but has not read all that we sent. */
static void test_the_last_words_of_a_peer_that_left_bytes_unread_arrive(void **state)
{
    static struct end server;
    uint8_t words[30000];
    struct door door;

    (void)state;
    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = pattern(i);
    open_door(&door, NULL);
    for (int i = 0; i < 100; i++) {
        int peer;

        server = (struct end){.connected = false};
        door.end = &server;
        peer = raw_connect();
        POLL_UNTIL(server.stream != NULL);
        assert_int_equal(env->stream_write(server.stream, "unread", 6), 0);
        POLL_UNTIL(server.n_written == 1);
        assert_int_equal(send(peer, words, sizeof(words), 0), sizeof(words));
        assert_int_equal(close(peer), 0);
        POLL_UNTIL(server.n_closed == 1);
        assert_int_equal(server.n_bytes, sizeof(words));
        assert_int_equal(server.n_wrong, 0);
    }
    env->listener_close(door.listener);
}

static void test_a_failed_write_does_not_lose_what_has_arrived(void **state)
{
    static struct end server;
    uint8_t words[120000]; /* more than one receive takes */
    struct door door;

    (void)state;
    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = pattern(i);
    open_door(&door, NULL);
    for (int i = 0; i < 100; i++) {
        int peer;

        server = (struct end){.connected = false};
        door.end = &server;
        peer = raw_connect();
        POLL_UNTIL(server.stream != NULL);
        assert_int_equal(send(peer, words, sizeof(words), 0), sizeof(words));
        assert_int_equal(close(peer), 0);
        assert_int_equal(env->stream_write(server.stream, "too late", 8), 0);
        POLL_UNTIL(server.n_closed == 1);
        assert_int_equal(server.n_bytes, sizeof(words));
        assert_int_equal(server.n_written, 0);
        assert_int_equal(server.error, -EPIPE);
    }
    env->listener_close(door.listener);
}

static void test_a_peer_that_only_listens_no_more_ends_a_failed_write(void **state)
{
    static struct end server;
    struct door door;
    int peer;

    (void)state;
    server = (struct end){.connected = false};
    open_door(&door, &server);
    peer = raw_connect();
    POLL_UNTIL(server.stream != NULL);
    assert_int_equal(shutdown(peer, SHUT_RD), 0);
    assert_int_equal(env->stream_write(server.stream, "x", 1), 0);
    POLL_UNTIL(server.n_closed == 1);
    assert_int_equal(server.error, -EPIPE);
    assert_int_equal(close(peer), 0);
    env->listener_close(door.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_that_nobody_can_reach_are_refused),
        cmocka_unit_test(test_the_longest_path_of_a_socket_is_let_through),
        cmocka_unit_test(test_a_short_message_comes_back),
        cmocka_unit_test(test_a_large_write_arrives_whole_and_in_order),
        cmocka_unit_test(test_a_paused_stream_receives_nothing_until_it_is_resumed),
        cmocka_unit_test(test_bytes_that_came_while_pausing_are_kept_for_resume),
        cmocka_unit_test(test_a_paused_stream_whose_peer_has_gone_lets_the_loop_sleep),
        cmocka_unit_test(test_a_dial_to_nobody_is_closed_with_refused),
        cmocka_unit_test(test_a_dial_given_up_at_once_is_closed_once),
        cmocka_unit_test(test_a_close_inside_received_is_the_last_of_it),
        cmocka_unit_test(test_closing_ends_a_write_that_cannot_leave),
        cmocka_unit_test(test_the_last_words_of_a_peer_that_left_bytes_unread_arrive),
        cmocka_unit_test(test_a_failed_write_does_not_lose_what_has_arrived),
        cmocka_unit_test(test_a_peer_that_only_listens_no_more_ends_a_failed_write),
    };

    return cmocka_run_group_tests_name("host_stream", tests, open_folder, close_folder);
}
