/* Streams and listeners over ipc: bytes, pressure, ends, and hostile peers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/host.h"

enum {
    WAIT_NS_MAX = 1000000000, /* of one poll */
    N_POLLS_MAX = 100000,
    BULK_BYTES = 8 * 1024 * 1024
};

static const struct gv_env *env;
static struct gv_poller *poller;
static char directory[] = "/tmp/grove-test-XXXXXX";
static char path[64];
static char url[80];

/* Polls until condition holds; a test that waits in vain fails. */
#define POLL_UNTIL(condition)                        \
    do {                                             \
        for (int polls = 0; !(condition); polls++) { \
            assert_true(polls < N_POLLS_MAX);        \
            env->poller_poll(poller, WAIT_NS_MAX);   \
        }                                            \
    } while (0)

/* --- an end that counts ----------------------------------------------------------------------- */

struct end {
    struct gv_stream *stream;
    bool connected;
    unsigned n_received; /* upcalls */
    size_t n_bytes;
    unsigned n_wrong; /* bytes that were not those of the pattern */
    unsigned n_written;
    unsigned n_closed;
    int error;
    bool echo;
    bool pause_after_first;
    bool close_in_received;
    uint8_t echoed[65536];
};

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 11));
}

static void on_connected(void *owner)
{
    struct end *end = owner;

    end->connected = true;
}

static void on_received(void *owner, const uint8_t *bytes, size_t n_bytes)
{
    struct end *end = owner;

    end->n_received++;
    for (size_t i = 0; i < n_bytes; i++)
        end->n_wrong += bytes[i] != pattern(end->n_bytes + i);
    end->n_bytes += n_bytes;
    if (end->echo) {
        memcpy(end->echoed, bytes, n_bytes);
        end->n_wrong += env->stream_write(end->stream, end->echoed, n_bytes) != 0;
    }
    if (end->pause_after_first)
        env->stream_pause(end->stream);
    if (end->close_in_received)
        env->stream_close(end->stream);
}

static void on_written(void *owner)
{
    struct end *end = owner;

    end->n_written++;
}

static void on_closed(void *owner, int error)
{
    struct end *end = owner;

    end->n_closed++;
    end->error = error;
    end->stream = NULL;
}

static const struct gv_stream_events end_events = {on_connected, on_received, on_written,
                                                   on_closed};

/* --- a listener that adopts into one end ------------------------------------------------------- */

struct door {
    struct gv_listener *listener;
    struct end *end; /* who gets the next peer; NULL: it is closed at once */
    unsigned n_accepted;
    struct gv_identity identity;
    bool close_in_accepted;
};

static void on_accepted(void *owner, struct gv_stream *stream)
{
    struct door *door = owner;

    door->n_accepted++;
    env->stream_identity(stream, &door->identity);
    if (door->close_in_accepted)
        env->listener_close(door->listener);
    if (door->end == NULL) {
        env->stream_close(stream);
        return;
    }
    door->end->stream = stream;
    env->stream_adopt(stream, &end_events, door->end);
    door->end = NULL;
}

static const struct gv_listen_events door_events = {on_accepted};

static void open_door(struct door *door, struct end *end)
{
    *door = (struct door){.end = end};
    assert_int_equal(env->listen(poller, url, &door_events, door, &door->listener), 0);
}

static void dial(struct end *end)
{
    assert_int_equal(env->dial(poller, url, &end_events, end, &end->stream), 0);
}

static void close_end(struct end *end)
{
    env->stream_close(end->stream);
    assert_int_equal(end->n_closed, 0);
    POLL_UNTIL(end->n_closed > 0);
}

/* A plain socket as a peer. */
static int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* Not blocking: it is us who would have to make room in a full backlog. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        assert_int_equal(errno, EAGAIN);
        env->poller_poll(poller, 1000000);
    }
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

static unsigned n_open_fds(void)
{
    DIR *fds = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(fds);
    while (readdir(fds) != NULL)
        n++;
    assert_int_equal(closedir(fds), 0);
    return n;
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

static void test_plain_tcp_and_other_urls_are_refused(void **state)
{
    static struct end client;
    struct gv_listener *listener;
    char long_url[200] = "ipc:///";

    (void)state;
    memset(long_url + 7, 'x', 150);
    assert_int_equal(env->dial(poller, "tcp://127.0.0.1:1", &end_events, &client, &client.stream),
                     -EPROTONOSUPPORT);
    assert_int_equal(env->listen(poller, "tcp://127.0.0.1:1", &door_events, NULL, &listener),
                     -EPROTONOSUPPORT);
    assert_int_equal(env->dial(poller, "ipc://relative", &end_events, &client, &client.stream),
                     -EINVAL);
    assert_int_equal(env->dial(poller, long_url, &end_events, &client, &client.stream),
                     -ENAMETOOLONG);
    assert_int_equal(env->listen(poller, "ipc:///no/such/dir/x", &door_events, NULL, &listener),
                     -ENOENT);
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
    uint8_t words[60000];
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

/* --- doors ------------------------------------------------------------------------------------ */

static void test_a_socket_is_ours_alone_and_its_peers_are_known(void **state)
{
    static struct end server, client;
    struct gv_identity identity;
    struct door door;
    struct stat stat_of;

    (void)state;
    server = client = (struct end){.connected = false};
    open_door(&door, &server);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0600);
    dial(&client);
    POLL_UNTIL(client.connected && door.n_accepted == 1);
    assert_int_equal(door.identity.pid, getpid());
    assert_int_equal(door.identity.uid, getuid());
    assert_string_equal(door.identity.name, "");
    env->stream_identity(client.stream, &identity);
    assert_int_equal(identity.pid, getpid());

    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
    env->listener_close(door.listener);
    assert_int_equal(stat(path, &stat_of), -1);
}

static void test_a_name_in_use_is_refused_and_a_stale_one_is_taken(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct gv_listener *second;
    struct door door;
    int stale;

    (void)state;
    stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(stale), 0);

    open_door(&door, NULL);
    assert_int_equal(env->listen(poller, url, &door_events, NULL, &second), -EADDRINUSE);
    env->listener_close(door.listener);
}

static void test_a_listener_may_be_closed_by_its_own_upcall(void **state)
{
    struct door door;
    int peer;

    (void)state;
    open_door(&door, NULL);
    door.close_in_accepted = true;
    peer = raw_connect();
    POLL_UNTIL(door.n_accepted == 1);
    assert_int_equal(close(peer), 0);
}

static void test_a_listener_outlives_a_thousand_abortive_and_garbage_peers(void **state)
{
    static struct end server, client;
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct door door;
    int silent[20];

    (void)state;
    open_door(&door, NULL);
    for (int i = 0; i < 1000; i++) {
        int peer = raw_connect();

        if (i % 3 == 0)
            (void)send(peer, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
        if (i % 3 == 1)
            (void)setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        assert_int_equal(close(peer), 0);
        env->poller_poll(poller, 0);
    }
    for (int i = 0; i < 20; i++)
        silent[i] = raw_connect();
    POLL_UNTIL(door.n_accepted == 1020);

    server = (struct end){.echo = true};
    client = (struct end){.connected = false};
    door.end = &server;
    dial(&client);
    POLL_UNTIL(client.connected);
    assert_int_equal(env->stream_write(client.stream, "\0\37", 2), 0);
    POLL_UNTIL(client.n_bytes == 2);
    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(close(silent[i]), 0);
    env->listener_close(door.listener);
}

static void test_a_thousand_cycles_leave_no_descriptor_behind(void **state)
{
    static struct end server, client;
    struct door door;
    unsigned n_before;

    (void)state;
    open_door(&door, NULL);
    for (int i = 0; i < 50; i++) /* nng's reaper is still busy with the tests before */
        env->poller_poll(poller, 1000000);
    n_before = n_open_fds();
    for (int i = 0; i < 1000; i++) {
        server = client = (struct end){.connected = false};
        door.end = &server;
        dial(&client);
        POLL_UNTIL(client.connected && server.stream != NULL);
        close_end(i % 2 == 0 ? &client : &server);
        POLL_UNTIL(client.n_closed == 1 && server.n_closed == 1);
    }
    /* nng's reaper closes a little later. */
    for (int i = 0; i < 1000 && n_open_fds() > n_before; i++)
        env->poller_poll(poller, 1000000);
    print_message("%u descriptors before, %u after\n", n_before, n_open_fds());
    assert_true(n_open_fds() <= n_before);
    env->listener_close(door.listener);
}

/* --- group ------------------------------------------------------------------------------------ */

static int open_all(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    (void)snprintf(url, sizeof(url), "ipc://%s", path);
    env = gv_env_host();
    return env->poller_open(env->world, 0, &poller);
}

static int close_all(void **state)
{
    (void)state;
    env->poller_close(poller);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_message_comes_back),
        cmocka_unit_test(test_a_large_write_arrives_whole_and_in_order),
        cmocka_unit_test(test_a_paused_stream_receives_nothing_until_it_is_resumed),
        cmocka_unit_test(test_bytes_that_came_while_pausing_are_kept_for_resume),
        cmocka_unit_test(test_a_dial_to_nobody_is_closed_with_refused),
        cmocka_unit_test(test_a_dial_given_up_at_once_is_closed_once),
        cmocka_unit_test(test_plain_tcp_and_other_urls_are_refused),
        cmocka_unit_test(test_a_close_inside_received_is_the_last_of_it),
        cmocka_unit_test(test_closing_ends_a_write_that_cannot_leave),
        cmocka_unit_test(test_the_last_words_of_a_peer_that_left_bytes_unread_arrive),
        cmocka_unit_test(test_a_failed_write_does_not_lose_what_has_arrived),
        cmocka_unit_test(test_a_peer_that_only_listens_no_more_ends_a_failed_write),
        cmocka_unit_test(test_a_socket_is_ours_alone_and_its_peers_are_known),
        cmocka_unit_test(test_a_name_in_use_is_refused_and_a_stale_one_is_taken),
        cmocka_unit_test(test_a_listener_may_be_closed_by_its_own_upcall),
        cmocka_unit_test(test_a_listener_outlives_a_thousand_abortive_and_garbage_peers),
        cmocka_unit_test(test_a_thousand_cycles_leave_no_descriptor_behind),
    };

    return cmocka_run_group_tests_name("host_stream", tests, open_all, close_all);
}
