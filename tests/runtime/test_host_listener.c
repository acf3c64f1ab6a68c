/* Listeners on unix sockets, and of nng: whom they let in, and what they outlive. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__has_include)
#    if __has_include(<valgrind/valgrind.h>)
#        include <valgrind/valgrind.h>
#    endif
#endif

#include "tests/runtime/host_ends.h"

#ifndef RUNNING_ON_VALGRIND
#    define RUNNING_ON_VALGRIND 0
#endif

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

static void test_a_listener_without_descriptors_tries_on(void **state)
{
    struct rlimit limit, none_left;
    struct door door;
    int peer;

    (void)state;
    open_door(&door, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    peer = dup(STDIN_FILENO); /* the lowest that is free, and the last one for the peer */
    none_left = (struct rlimit){(rlim_t)peer + 1, limit.rlim_max};
    assert_int_equal(close(peer), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    peer = raw_connect();
    for (int i = 0; i < 30; i++)
        env->poller_poll(poller, 1000000);
    assert_int_equal(door.n_accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    /* Valgrind plays the limit itself: it accepts, sees one too many, and closes that peer. */
    if (!RUNNING_ON_VALGRIND)
        POLL_UNTIL(door.n_accepted == 1);
    assert_int_equal(close(peer), 0);
    env->listener_close(door.listener);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, while nothing is left over that nng's reaper could close meanwhile. */
        cmocka_unit_test(test_a_listener_without_descriptors_tries_on),
        cmocka_unit_test(test_a_socket_is_ours_alone_and_its_peers_are_known),
        cmocka_unit_test(test_a_name_in_use_is_refused_and_a_stale_one_is_taken),
        cmocka_unit_test(test_a_listener_may_be_closed_by_its_own_upcall),
        cmocka_unit_test(test_a_listener_outlives_a_thousand_abortive_and_garbage_peers),
        cmocka_unit_test(test_a_thousand_cycles_leave_no_descriptor_behind),
    };

    return cmocka_run_group_tests_name("host_listener", tests, open_folder, close_folder);
}
