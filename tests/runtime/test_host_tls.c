/*
 * Streams over TLS: who may come in, what the other end is told of him, and
 * what is said of files that are no use.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "tests/runtime/host_ends.h"

#include "apps/grove/certs.h"
#include "runtime/options.h"

#define BIG_BYTES 1000000u

static char folder[] = "/tmp/grove-tls-XXXXXX";
static char log_path[64];
static int old_stderr;

/* --- certificates and files ------------------------------------------------------------------- */

static void file_name(char text[96], const char *authority, const char *name)
{
    (void)snprintf(text, 96, "%s/%s/%s", folder, authority, name); /* It fits. */
}

static void make(const char *authority, const char *host, int days)
{
    static const char *const names[] = {"server", "worker"};
    char directory[96];

    file_name(directory, authority, "");
    assert_int_equal(
        make_certs(&(struct certs){directory, names, 2, (const char *const[]){host}, 1, days}), 0);
}

static void set_option(const char *option, const char *value)
{
    char error[GV_OPTION_ERROR_BYTES];

    assert_int_equal(gv_option_set(option, value, error), 0);
}

/* From now on we are `name` of that authority, and trust those of another. */
static void become(const char *authority, const char *name, const char *trusted)
{
    char text[96], leaf[64];

    (void)snprintf(leaf, sizeof leaf, "%s.pem", name); /* It fits. */
    file_name(text, authority, leaf);
    set_option("tls_cert", text);
    (void)snprintf(leaf, sizeof leaf, "%s.key", name); /* It fits. */
    file_name(text, authority, leaf);
    set_option("tls_key", text);
    file_name(text, trusted, "ca.pem");
    set_option("tls_ca", text);
    set_option("tls_name", "");
}

/* True once the log has such a line; what is in it then is forgotten. */
static bool log_has(const char *text)
{
    char bytes[4096];
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof bytes - 1);
    bool has;

    (void)close(fd); /* It was only read. */
    bytes[n > 0 ? n : 0] = '\0';
    has = strstr(bytes, text) != NULL;
    if (has)
        assert_int_equal(truncate(log_path, 0), 0);
    return has;
}

/* --- doors and peers -------------------------------------------------------------------------- */

static uint16_t port;

/* A door on a port of its own; url is what reaches it. */
static void open_tls_door(struct door *door, struct end *end)
{
    char bound[80];

    (void)snprintf(url, sizeof url, "tls+tcp://127.0.0.1:0");
    open_door(door, end);
    env->listener_url(door->listener, bound, sizeof bound);
    memcpy(url, bound, sizeof bound);
    port = (uint16_t)atoi(strrchr(url, ':') + 1);
    assert_int_not_equal(port, 0);
}

static int connect_plain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Somebody with another program, on a thread of his own; authority NULL: he shows no certificate. */
struct stranger {
    const char *authority, *name;
    int most;  /* version of TLS; 0: any */
    bool read; /* what he got was a byte of ours */
    _Atomic bool over;
};

static void *be_stranger(void *argument)
{
    struct stranger *stranger = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int fd = connect_plain();
    SSL *ssl;
    char text[96], leaf[64], byte;

    if (stranger->most != 0)
        assert_int_equal(SSL_CTX_set_max_proto_version(context, stranger->most), 1);
    if (stranger->authority != NULL) {
        (void)snprintf(leaf, sizeof leaf, "%s.pem", stranger->name); /* It fits. */
        file_name(text, stranger->authority, leaf);
        assert_int_equal(SSL_CTX_use_certificate_file(context, text, SSL_FILETYPE_PEM), 1);
        (void)snprintf(leaf, sizeof leaf, "%s.key", stranger->name); /* It fits. */
        file_name(text, stranger->authority, leaf);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, text, SSL_FILETYPE_PEM), 1);
    }
    ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    stranger->read = SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1;
    SSL_free(ssl);
    SSL_CTX_free(context);
    assert_int_equal(close(fd), 0);
    stranger->over = true;
    env->poller_wake(poller);
    return NULL;
}

static void come_as(struct stranger *stranger)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, be_stranger, stranger), 0);
    POLL_UNTIL(stranger->over);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* After whatever has happened: a good peer is let in, and named. */
static void check_served(struct door *door)
{
    struct end client = {0}, server = {.echo = true};
    uint8_t byte = pattern(0);
    unsigned before = door->n_accepted;

    become("ours", "worker", "ours");
    door->end = &server;
    dial(&client);
    POLL_UNTIL(client.connected && server.stream != NULL);
    assert_int_equal(door->n_accepted, before + 1);
    assert_string_equal(door->identity.name, "worker");
    assert_int_equal(env->stream_write(client.stream, &byte, 1), 0);
    POLL_UNTIL(client.n_bytes == 1);
    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
}

/* --- who is told what ------------------------------------------------------------------------- */

static void test_both_ends_know_the_other_by_name_and_bytes_pass_both_ways(void **state)
{
    struct end client = {0}, server = {.echo = true};
    struct gv_identity identity;
    struct door door;
    uint8_t *bytes = malloc(BIG_BYTES);

    (void)state;
    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = pattern(i);
    become("ours", "server", "ours");
    open_tls_door(&door, &server);
    become("ours", "worker", "ours");
    dial(&client);
    assert_int_equal(env->stream_write(client.stream, bytes, 1), -ENOTCONN);
    POLL_UNTIL(client.connected && server.stream != NULL);
    assert_string_equal(door.identity.name, "worker");
    env->stream_identity(client.stream, &identity);
    assert_string_equal(identity.name, "server");

    server.echo = false;
    assert_int_equal(env->stream_write(client.stream, bytes, BIG_BYTES), 0);
    POLL_UNTIL(server.n_bytes == BIG_BYTES && client.n_written == 1);
    assert_int_equal(env->stream_write(server.stream, bytes, BIG_BYTES), 0);
    POLL_UNTIL(client.n_bytes == BIG_BYTES);
    assert_int_equal(client.n_wrong + server.n_wrong, 0);

    close_end(&client);
    POLL_UNTIL(server.n_closed == 1);
    assert_int_equal(server.error, 0);
    env->listener_close(door.listener);
    free(bytes);
}

static void test_a_peer_may_pause_and_the_other_waits(void **state)
{
    struct end client = {0}, server = {.pause_after_first = true};
    struct door door;
    uint8_t *bytes = malloc(BIG_BYTES);

    (void)state;
    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = pattern(i);
    become("ours", "server", "ours");
    open_tls_door(&door, &server);
    dial(&client);
    POLL_UNTIL(client.connected && server.stream != NULL);
    assert_int_equal(env->stream_write(client.stream, bytes, BIG_BYTES), 0);
    POLL_UNTIL(server.n_received == 1);
    env->poller_poll(poller, 20000000);
    assert_true(server.n_received == 1);
    server.pause_after_first = false;
    env->stream_resume(server.stream);
    POLL_UNTIL(server.n_bytes == BIG_BYTES && client.n_written == 1);
    assert_int_equal(server.n_wrong, 0);
    close_end(&server);
    POLL_UNTIL(client.n_closed == 1);
    env->listener_close(door.listener);
    free(bytes);
}

/* --- who is not let in ------------------------------------------------------------------------ */

static void check_refused(struct stranger *stranger, const char *why)
{
    struct door door;

    become("ours", "server", "ours");
    open_tls_door(&door, NULL);
    come_as(stranger);
    POLL_UNTIL(log_has(why));
    assert_false(stranger->read);
    assert_int_equal(door.n_accepted, 0);
    check_served(&door);
    env->listener_close(door.listener);
}

static void test_a_peer_without_a_certificate_is_refused(void **state)
{
    (void)state;
    check_refused(&(struct stranger){.authority = NULL}, "did not return a certificate");
}

static void test_a_peer_of_another_authority_is_refused(void **state)
{
    (void)state;
    check_refused(&(struct stranger){.authority = "theirs", .name = "worker"},
                  "with a certificate of worker\" why=\"unable to get local issuer certificate");
}

static void test_a_peer_whose_certificate_has_expired_is_refused(void **state)
{
    struct stranger stranger = {.authority = "old", .name = "worker"};
    struct door door;

    (void)state;
    /* Its authority is trusted; its time is over. */
    become("ours", "server", "old");
    open_tls_door(&door, NULL);
    come_as(&stranger);
    POLL_UNTIL(log_has("certificate has expired"));
    assert_false(stranger.read);
    assert_int_equal(door.n_accepted, 0);
    env->listener_close(door.listener);
}

static void test_an_older_protocol_is_refused(void **state)
{
    (void)state;
    check_refused(&(struct stranger){.authority = "ours", .name = "worker", .most = TLS1_2_VERSION},
                  "unsupported protocol");
}

static void test_plain_bytes_are_refused_and_read_nothing(void **state)
{
    struct door door;
    char byte;
    int fd;

    (void)state;
    become("ours", "server", "ours");
    open_tls_door(&door, NULL);
    fd = connect_plain();
    assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
    POLL_UNTIL(log_has("http request"));
    while (read(fd, &byte, 1) > 0)
        assert_int_not_equal(byte, 'G'); /* An alert may come, nothing of a link. */
    assert_int_equal(close(fd), 0);
    assert_int_equal(door.n_accepted, 0);
    check_served(&door);
    env->listener_close(door.listener);
}

static void test_a_dialler_refuses_a_server_of_another_name(void **state)
{
    struct end client = {0};
    struct door door;

    (void)state;
    become("ours", "server", "ours");
    open_tls_door(&door, NULL);
    set_option("tls_name", "bank.example");
    dial(&client);
    POLL_UNTIL(client.n_closed == 1);
    assert_false(client.connected);
    assert_int_equal(client.error, -EACCES);
    assert_true(log_has("hostname mismatch"));
    set_option("tls_name", "server");
    door.end = NULL;
    dial(&client);
    POLL_UNTIL(client.connected);
    POLL_UNTIL(client.n_closed == 2);
    env->listener_close(door.listener);
}

static void test_a_dialler_refuses_a_server_of_another_authority(void **state)
{
    struct end client = {0};
    struct door door;

    (void)state;
    become("theirs", "server", "ours");
    open_tls_door(&door, NULL);
    become("ours", "worker", "ours");
    dial(&client);
    POLL_UNTIL(client.n_closed == 1);
    assert_false(client.connected);
    assert_int_equal(client.error, -EACCES);
    assert_int_equal(door.n_accepted, 0);
    env->listener_close(door.listener);
}

static void test_peers_that_say_nothing_do_not_keep_others_out(void **state)
{
    int fds[300];
    struct door door;

    (void)state;
    become("ours", "server", "ours");
    open_tls_door(&door, NULL);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        fds[i] = connect_plain();
        env->poller_poll(poller, 1000000); /* The backlog is to have room. */
    }
    check_served(&door);
    /* The listener goes while most of them still wait. */
    env->listener_close(door.listener);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        assert_int_equal(close(fds[i]), 0);
}

static void test_abortive_peers_do_not_make_it_deaf(void **state)
{
    struct door door;

    (void)state;
    become("ours", "server", "ours");
    open_tls_door(&door, NULL);
    for (unsigned i = 0; i < 100; i++) {
        const struct linger linger = {1, 0};
        int fd = connect_plain();

        if (i % 2 == 0)
            assert_int_equal(write(fd, "\x16\x03\x01\x02\x00", 5), 5);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        assert_int_equal(close(fd), 0);
        env->poller_poll(poller, 0);
    }
    check_served(&door);
    env->listener_close(door.listener);
}

/* --- files ------------------------------------------------------------------------------------ */

static void check_files(const char *option, const char *value, const char *said)
{
    struct gv_listener *listener;
    struct gv_stream *stream;

    become("ours", "server", "ours");
    set_option(option, value);
    assert_true(env->listen(poller, "tls+tcp://127.0.0.1:0", &door_events, NULL, &listener) < 0);
    assert_true(log_has("Z error tls.file what=\""));
    assert_true(env->listen(poller, "tls+tcp://127.0.0.1:0", &door_events, NULL, &listener) < 0);
    assert_true(log_has(said));
    assert_true(env->dial(poller, "tls+tcp://127.0.0.1:1", &end_events, NULL, &stream) < 0);
    assert_true(log_has(said));
}

static void test_files_that_are_no_use_are_named(void **state)
{
    char other[96];

    (void)state;
    check_files("tls_cert", "", "GROVE_TLS_CERT: tls+tcp needs a file here; grove certs DIR");
    check_files("tls_cert", "/nowhere/cert", "GROVE_TLS_CERT=/nowhere/cert: No such file");
    check_files("tls_cert", "/dev/null", "GROVE_TLS_CERT=/dev/null: no certificate is in it");
    check_files("tls_ca", "/dev/null", "GROVE_TLS_CA=/dev/null: no certificate is in it");
    check_files("tls_key", "/dev/null", "GROVE_TLS_KEY=/dev/null: no key without a password");
    file_name(other, "ours", "worker.key");
    check_files("tls_key", other, "it is not the key of the certificate");
    file_name(other, "ours", "worker.key");
    check_files("tls_ca", other, "no certificate is in it");
}

static void test_urls_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"tls+tcp://",     "tls+tcp://host",    "tls+tcp://:1",
                                      "tls+tcp://h:",   "tls+tcp://h:65536", "tls+tcp://h:1x",
                                      "tls+tcp://::1:5"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(gv_host_url_check(bad[i]), -EINVAL);
        assert_true(log_has("it must be tls+tcp://HOST:PORT"));
    }
    assert_int_equal(gv_host_url_check("tls+tcp://[::1]:5"), 0);
    assert_int_equal(gv_host_url_check("tls+tcp://bank.example:8443"), 0);
}

/* --- the group -------------------------------------------------------------------------------- */

static int open_all(void **state)
{
    int fd;

    if (mkdtemp(folder) == NULL || open_world(state) != 0)
        return -1;
    make("ours", "127.0.0.1", 1);
    make("theirs", "127.0.0.1", 1);
    make("old", "127.0.0.1", -1);
    (void)snprintf(log_path, sizeof log_path, "%s/log", folder);
    fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    old_stderr = dup(STDERR_FILENO);
    return fd >= 0 && old_stderr >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO && close(fd) == 0
               ? 0
               : -1;
}

static int close_all(void **state)
{
    static const char *const authorities[] = {"ours", "theirs", "old"};
    static const char *const leaves[] = {"ca.pem",     "server.pem", "server.key",
                                         "worker.pem", "worker.key", ""};
    char text[96];

    if (dup2(old_stderr, STDERR_FILENO) != STDERR_FILENO || close_world(state) != 0)
        return -1;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 6; k++) {
            file_name(text, authorities[i], leaves[k]);
            if (remove(text) != 0)
                return -1;
        }
    return remove(log_path) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_know_the_other_by_name_and_bytes_pass_both_ways),
        cmocka_unit_test(test_a_peer_may_pause_and_the_other_waits),
        cmocka_unit_test(test_a_peer_without_a_certificate_is_refused),
        cmocka_unit_test(test_a_peer_of_another_authority_is_refused),
        cmocka_unit_test(test_a_peer_whose_certificate_has_expired_is_refused),
        cmocka_unit_test(test_an_older_protocol_is_refused),
        cmocka_unit_test(test_plain_bytes_are_refused_and_read_nothing),
        cmocka_unit_test(test_a_dialler_refuses_a_server_of_another_name),
        cmocka_unit_test(test_a_dialler_refuses_a_server_of_another_authority),
        cmocka_unit_test(test_peers_that_say_nothing_do_not_keep_others_out),
        cmocka_unit_test(test_abortive_peers_do_not_make_it_deaf),
        cmocka_unit_test(test_files_that_are_no_use_are_named),
        cmocka_unit_test(test_urls_that_are_none_are_refused),
    };

    return cmocka_run_group_tests_name("host_tls", tests, open_all, close_all);
}
