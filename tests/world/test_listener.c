/* Streams and listeners: who waits and leaves, other kinds of sockets, want of descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/options.h"
#include "tests/world/sockets.h"

enum { BULK_BYTES = 8 * 1024 * 1024 };

/* --- what is there already ------------------------------------------------------------------------ */

static void test_a_file_is_never_taken_for_the_socket_of_a_dead_process(void **state)
{
    char path[] = "/tmp/grove_listener.XXXXXX", url[64], kept[8] = "";
    int fd = mkstemp(path);
    struct grove_listener *second;

    (void)state;
    assert_int_equal(write(fd, "precious", 8), 8);
    (void)snprintf(url, sizeof url, "unix://%s", path);
    assert_int_equal(grove_listen(url, NULL, &second), -EEXIST);
    assert_non_null(strstr(grove_why(), "remove it, or take another name"));
    assert_int_equal(pread(fd, kept, sizeof kept, 0), 8);
    assert_memory_equal(kept, "precious", 8);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_what_is_not_there_or_no_stream_is_told(void **state)
{
    struct grove_listener *none;
    struct grove_stream *stream;
    size_t n_bytes;
    char byte;

    (void)state;
    assert_int_equal(grove_listen(NULL, NULL, &none), GROVE_EUSAGE);
    assert_int_equal(grove_connect_await(NULL, &stream), GROVE_EUSAGE);
    assert_int_equal(grove_connect_await("tcp://300.1.1.1:80", &stream), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "four numbers of 0 to 255, or a name"));
    assert_int_equal(grove_accept_await(NULL, &stream), GROVE_EUSAGE);
    assert_int_equal(grove_read_await(NULL, &byte, 1, &n_bytes), GROVE_EUSAGE);
    assert_string_equal(grove_why(),
                        "grove_read_await: there is no stream; accept, connect or open one first");
    assert_int_equal(grove_write_await(NULL, &byte, 1), GROVE_EUSAGE);
    assert_int_equal(grove_stream_from(open("/dev", O_RDONLY), &stream), -EPERM);
    assert_non_null(strstr(grove_why(), "use grove/file.h"));
}

/* --- waiting and leaving ------------------------------------------------------------------------- */

static void test_a_read_that_came_too_late_has_taken_nothing(void **state)
{
    struct grove_stream *ends[2];
    char bytes[8];
    size_t n_bytes = 77;

    (void)state;
    pair(ends);
    grove_within(10);
    assert_int_equal(grove_read_await(ends[1], bytes, sizeof bytes, &n_bytes), GROVE_ETIMEDOUT);
    assert_int_equal(n_bytes, 77);
    assert_int_equal(grove_write_await(ends[0], "late", 4), 0);
    assert_int_equal(grove_read_await(ends[1], bytes, sizeof bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 4);
    close_pair(ends);
}

static void test_a_write_that_ran_out_of_time_breaks_the_connection_off(void **state)
{
    struct grove_stream *ends[2];
    uint8_t *bytes = calloc(1, BULK_BYTES);
    size_t n_bytes = 1;
    int rc = 0;

    (void)state;
    pair(ends);
    grove_within(20);
    assert_int_equal(grove_write_await(ends[0], bytes, BULK_BYTES), GROVE_ETIMEDOUT);
    assert_int_equal(grove_write_await(ends[0], "x", 1), -EPIPE);
    assert_int_equal(grove_read_await(ends[0], bytes, 1, &n_bytes), -EPIPE);
    /* The peer gets what had left, then the end: never a hole. */
    for (size_t n = 0; rc == 0 && n_bytes > 0; n += n_bytes) {
        assert_true(n < BULK_BYTES);
        rc = grove_read_await(ends[1], bytes, BULK_BYTES, &n_bytes);
    }
    free(bytes);
    close_pair(ends);
}

struct waiter {
    struct grove_stream *stream;
    struct grove_listener *listener;
    int rc;
    size_t n_bytes;
    bool begun;
};

static void wait_for_bytes(void *argument)
{
    struct waiter *waiter = argument;
    char byte;

    waiter->begun = true;
    waiter->rc = grove_read_await(waiter->stream, &byte, 1, &waiter->n_bytes);
}

static void wait_for_peer(void *argument)
{
    struct waiter *waiter = argument;
    struct grove_stream *stream;

    waiter->begun = true;
    waiter->rc = grove_accept_await(waiter->listener, &stream);
}

static void test_a_stop_ends_a_read_and_the_stream_goes_on(void **state)
{
    struct grove_stream *ends[2];
    struct waiter waiter = {.rc = 1};
    grove_ref reader;
    size_t n_bytes;
    char byte;

    (void)state;
    pair(ends);
    waiter.stream = ends[1];
    assert_int_equal(grove_go(wait_for_bytes, &waiter, NULL, &reader), 0);
    while (!waiter.begun)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_read_await(ends[1], &byte, 1, &n_bytes), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "another turn reads"));
    assert_int_equal(grove_stop_await(reader, GROVE_STOP_KILL), 0);
    assert_int_equal(waiter.rc, GROVE_ECANCELED);
    assert_int_equal(grove_write_await(ends[0], "y", 1), 0);
    assert_int_equal(grove_read_await(ends[1], &byte, 1, &n_bytes), 0);
    close_pair(ends);
}

static void test_what_comes_for_a_reader_that_was_stopped_is_there_for_the_next_one(void **state)
{
    struct grove_stream *stream;
    struct waiter waiter = {.rc = 1};
    grove_ref reader;
    size_t n_bytes;
    char byte = 'n';
    int peer;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    peer = raw_dial();
    assert_int_equal(grove_accept_await(listener, &stream), 0);
    waiter.stream = stream;
    assert_int_equal(grove_go(wait_for_bytes, &waiter, NULL, &reader), 0);
    while (!waiter.begun)
        assert_int_equal(grove_yield_await(), 0);
    /* It is woken by the stop, and before it runs the bytes come. */
    assert_int_equal(grove_stop(reader, GROVE_STOP_KILL), 0);
    assert_int_equal(write(peer, "y", 1), 1);
    join(reader);
    assert_int_equal(waiter.rc, GROVE_ECANCELED);
    grove_within(2000);
    assert_int_equal(grove_read_await(stream, &byte, 1, &n_bytes), 0);
    assert_int_equal(byte, 'y');
    assert_int_equal(close(peer), 0);
    grove_stream_close(stream);
    grove_listener_close(listener);
}

static void test_peers_that_nobody_has_accepted_are_hung_up_on(void **state)
{
    char byte;
    int peer, n = -1;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    peer = raw_dial();
    assert_int_equal(grove_sleep_await(20), 0); /* It is with us, and not with the kernel. */
    grove_listener_close(listener);
    for (int i = 0; i < 2000 && n < 0; i++) {
        assert_int_equal(grove_sleep_await(1), 0);
        n = (int)recv(peer, &byte, 1, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET)
            n = 0;
    }
    assert_int_equal(n, 0);
    assert_int_equal(close(peer), 0);
}

static void test_peers_are_accepted_in_the_order_in_which_they_came(void **state)
{
    struct grove_stream *stream;
    int peers[3];
    char byte;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    for (int i = 0; i < 3; i++) {
        peers[i] = raw_dial();
        assert_int_equal(write(peers[i], &"abc"[i], 1), 1);
    }
    assert_int_equal(grove_sleep_await(20), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_accept_await(listener, &stream), 0);
        assert_int_equal(grove_read_all_await(stream, &byte, 1), 0);
        assert_int_equal(byte, "abc"[i]);
        grove_stream_close(stream);
        assert_int_equal(close(peers[i]), 0);
    }
    grove_listener_close(listener);
}

static void sleep_and_accept(void *argument)
{
    struct waiter *waiter = argument;
    struct grove_stream *stream;

    waiter->begun = true;
    if (grove_sleep_await(GROVE_INFINITE) == GROVE_ECANCELED)
        waiter->rc = grove_accept_await(waiter->listener, &stream);
}

static void test_who_was_stopped_accepts_nobody_though_somebody_waits(void **state)
{
    struct waiter waiter = {.rc = 1};
    struct grove_stream *stream;
    grove_ref who;
    int peer;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    waiter.listener = listener;
    peer = raw_dial();
    assert_int_equal(grove_go(sleep_and_accept, &waiter, NULL, &who), 0);
    assert_int_equal(grove_sleep_await(20), 0);
    assert_true(waiter.begun);
    assert_int_equal(grove_stop(who, GROVE_STOP_KILL), 0);
    join(who);
    assert_int_equal(waiter.rc, GROVE_ECANCELED);
    grove_within(2000);
    assert_int_equal(grove_accept_await(listener, &stream), 0); /* It waits still. */
    grove_stream_close(stream);
    assert_int_equal(close(peer), 0);
    grove_listener_close(listener);
}

static void test_who_waits_is_told_when_another_one_closes(void **state)
{
    struct grove_stream *ends[2];
    struct waiter reader = {.rc = 1}, acceptor = {.rc = 1};
    grove_ref who[2];

    (void)state;
    pair(ends);
    reader.stream = ends[1];
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &acceptor.listener), 0);
    assert_int_equal(grove_go(wait_for_bytes, &reader, NULL, &who[0]), 0);
    assert_int_equal(grove_go(wait_for_peer, &acceptor, NULL, &who[1]), 0);
    while (!reader.begun || !acceptor.begun)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_accept_await(acceptor.listener, &ends[0]), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "another turn accepts"));
    grove_stream_close(ends[1]);
    grove_listener_close(acceptor.listener);
    join(who[0]);
    join(who[1]);
    assert_int_equal(reader.rc, GROVE_ECANCELED);
    assert_int_equal(acceptor.rc, GROVE_ECANCELED);
    grove_stream_close(ends[0]);
}

static void test_when_the_process_drains_nobody_new_is_accepted(void **state)
{
    struct grove_stream *near, *far;
    struct waiter acceptor = {.rc = 1};
    grove_ref who;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    near = dial();
    assert_int_equal(grove_accept_await(listener, &far), 0);
    acceptor.listener = listener;
    assert_int_equal(grove_go(wait_for_peer, &acceptor, NULL, &who), 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_drain_await(1000), 0);
    join(who);
    assert_int_equal(acceptor.rc, GROVE_ESTOPPING);
    assert_int_equal(grove_accept_await(listener, &acceptor.stream), GROVE_ESTOPPING);
    /* Connections that there are go on. */
    assert_int_equal(grove_write_await(near, "x", 1), 0);
    grove_stream_close(near);
    grove_stream_close(far);
    grove_listener_close(listener);
}

/* --- other kinds --------------------------------------------------------------------------------- */

static void test_unix_sockets_know_their_peer(void **state)
{
    struct grove_stream *ends[2];
    char url[64], bytes[4];
    long long pid, uid;

    (void)state;
    (void)snprintf(url, sizeof url, "unix:///tmp/grove-stream-%d", (int)getpid());
    assert_int_equal(grove_listen(url, NULL, &listener), 0);
    assert_string_equal(grove_listener_url(listener), url);
    assert_int_equal(grove_connect_await(url, &ends[0]), 0);
    assert_int_equal(grove_accept_await(listener, &ends[1]), 0);
    grove_stream_identity(ends[1], &pid, &uid);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, getuid());
    assert_int_equal(grove_write_await(ends[0], "unix", 4), 0);
    assert_int_equal(grove_read_all_await(ends[1], bytes, 4), 0);
    close_pair(ends);
    grove_listener_close(listener);
    assert_int_equal(access(url + 7, F_OK), -1);
    assert_int_equal(grove_connect_await(url, &ends[0]), -ECONNREFUSED);
}

static void test_a_descriptor_can_be_made_a_stream(void **state)
{
    struct grove_stream *stream, *none;
    char bytes[4];
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(grove_stream_from(fds[0], &stream), 0);
    assert_int_equal(write(fds[1], "abcd", 4), 4);
    assert_int_equal(grove_read_all_await(stream, bytes, 4), 0);
    grove_stream_close(stream);
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(grove_stream_from(-1, &none), -EBADF);
}

static void set_log_level(const char *level)
{
    char error[GV_OPTION_ERROR_BYTES];

    assert_int_equal(gv_option_set("log_level", level, error), 0);
}

/* What is logged from here on; as a descriptor. */
static int listen_to_log(int *old_stderr)
{
    char path[] = "/tmp/test-listener-XXXXXX";
    int fd = mkstemp(path);

    assert_int_equal(unlink(path), 0);
    set_log_level("1");
    *old_stderr = dup(STDERR_FILENO);
    assert_true(fd >= 0 && *old_stderr >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    return fd;
}

/* It holds one record of this event, with its level. */
static void check_logged_once(int log, int old_stderr, const char *record)
{
    char text[4096];
    const char *found;
    ssize_t n = pread(log, text, sizeof text - 1, 0);

    set_log_level("0");
    assert_int_equal(dup2(old_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(log) | close(old_stderr), 0);
    text[n > 0 ? n : 0] = '\0';
    found = strstr(text, record);
    assert_non_null(found);
    assert_null(strstr(found + 1, record));
}

static void test_without_descriptors_a_server_waits_and_goes_on(void **state)
{
    struct rlimit limit, none_left;
    struct grove_loop_stats before, after;
    struct grove_stream *stream;
    char bytes[4];
    int peer, free_fd, old_stderr, log = listen_to_log(&old_stderr);

    (void)state;
    open_server();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    free_fd = dup(STDIN_FILENO); /* the lowest that is free, and the last one: for the peer */
    none_left = (struct rlimit){(rlim_t)free_fd + 1, limit.rlim_max};
    assert_int_equal(close(free_fd), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    peer = raw_dial();
    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(grove_connect_await(grove_listener_url(listener), &stream), -EMFILE);
    assert_non_null(strstr(grove_why(), "ulimit -n"));
    assert_int_equal(grove_sleep_await(100), 0);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_true(after.busy_ns - before.busy_ns < 50000000); /* it does not spin */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(write(peer, "heal", 4), 4);
    while (recv(peer, bytes, 4, MSG_DONTWAIT) != 4)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(close(peer), 0);
    while (n_served < 1)
        assert_int_equal(grove_sleep_await(1), 0);
    close_server();
    check_logged_once(log, old_stderr, "Z error listener.failing loop=");
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
        stage_test(test_a_read_that_came_too_late_has_taken_nothing),
        stage_test(test_a_write_that_ran_out_of_time_breaks_the_connection_off),
        stage_test(test_a_stop_ends_a_read_and_the_stream_goes_on),
        stage_test(test_what_comes_for_a_reader_that_was_stopped_is_there_for_the_next_one),
        stage_test(test_peers_that_nobody_has_accepted_are_hung_up_on),
        stage_test(test_peers_are_accepted_in_the_order_in_which_they_came),
        stage_test(test_who_was_stopped_accepts_nobody_though_somebody_waits),
        stage_test(test_who_waits_is_told_when_another_one_closes),
        stage_test(test_unix_sockets_know_their_peer),
        stage_test(test_a_file_is_never_taken_for_the_socket_of_a_dead_process),
        stage_test(test_what_is_not_there_or_no_stream_is_told),
        stage_test(test_a_descriptor_can_be_made_a_stream),
        stage_test(test_without_descriptors_a_server_waits_and_goes_on),
        stage_test(test_when_the_process_drains_nobody_new_is_accepted), /* the last one */
    };

    return cmocka_run_group_tests_name("listener", tests, set_up, stage_tear_down);
}
