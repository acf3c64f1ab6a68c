/*
 * Who knocks at a pool that listens and is no machine of it: none of them
 * reads a byte of it, each is worth one line, and a good one comes in between
 * them.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "tests/workers/machines.h"

#define N_MUTE 400u /* more than may wait for their handshake */

static grove_ref pool;
static char log_path[64];
static int old_stderr;

/* --- knocking ------------------------------------------------------------------------------------- */

static int connect_plain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port_of(pool))};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Somebody with another program. authority NULL: he shows no certificate. */
struct stranger {
    const char *cert, *key;
    int fd;
    int n_read; /* what he got of the pool, behind the handshake */
};

/* On a thread of its own, where nothing may be asserted. */
static int knock(void *argument)
{
    struct stranger *stranger = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char bytes[64];
    SSL *ssl;

    if (stranger->cert != NULL
        && (SSL_CTX_use_certificate_file(context, stranger->cert, SSL_FILETYPE_PEM) != 1
            || SSL_CTX_use_PrivateKey_file(context, stranger->key, SSL_FILETYPE_PEM) != 1))
        abort();
    ssl = SSL_new(context);
    if (SSL_set_fd(ssl, stranger->fd) != 1)
        abort();
    stranger->n_read = SSL_connect(ssl) == 1 ? SSL_read(ssl, bytes, sizeof bytes) : 0;
    SSL_free(ssl);
    SSL_CTX_free(context);
    return 0;
}

/* What somebody reads who shows that certificate; NULL: none. */
static int read_as(const char *authority, const char *name)
{
    struct stranger stranger = {.fd = connect_plain()};
    char cert[64], key[64];

    if (authority != NULL) {
        (void)snprintf(cert, sizeof cert, "%s.pem", name); /* They fit. */
        (void)snprintf(key, sizeof key, "%s.key", name);
        stranger.cert = machines_file(authority, cert);
        stranger.key = machines_file(authority, key);
    }
    assert_int_equal(grove_blocking_await(knock, &stranger, 0), 0);
    assert_int_equal(close(stranger.fd), 0);
    return stranger.n_read;
}

static void assert_nothing_for(const char *authority, const char *name)
{
    assert_true(read_as(authority, name) <= 0);
}

/* --- the log -------------------------------------------------------------------------------------- */

static unsigned n_lines(const char *part)
{
    char line[1024];
    FILE *file = fopen(log_path, "r");
    unsigned n = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strstr(line, part) != NULL;
    (void)fclose(file); /* It was only read. */
    return n;
}

/* Such a line comes, and no second one. */
static void assert_one_line(const char *part)
{
    for (unsigned i = 0; i < 5000 && n_lines(part) == 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    if (n_lines(part) != 1)
        fail_msg("%u lines with \"%s\"", n_lines(part), part);
    assert_int_equal(truncate(log_path, 0), 0);
}

static int begin(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(log_path, sizeof log_path, "/tmp/test-strangers-%d",
                   (int)getpid()); /* It fits. */
    fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    old_stderr = fcntl(2, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || dup2(fd, 2) != 2 || close(fd) != 0)
        return -1;
    pool = open_pool(&(struct grove_pool_options){.listen = "tls+tcp://127.0.0.1:0",
                                                  .allow = "nobody,worker",
                                                  .cert = machines_file("ours", "server.pem"),
                                                  .key = machines_file("ours", "server.key"),
                                                  .ca = machines_file("ours", "ca.pem"),
                                                  .only_remote = true});
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_pool(pool);
    (void)dup2(old_stderr, 2); /* Else the failures of other tests are not seen, which is seen. */
    (void)close(old_stderr);
    (void)unlink(log_path);
    return 0;
}

/* After whatever has happened: a good machine is let in. */
static void check_open(void)
{
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");

    wait_remote(pool, 1);
    assert_serves(pool);
    machine_stop(machine);
    wait_remote(pool, 0);
    assert_int_equal(truncate(log_path, 0), 0);
}

/* --- who -------------------------------------------------------------------------------------------- */

static void test_no_certificate(void **state)
{
    (void)state;
    assert_nothing_for(NULL, NULL);
    assert_one_line("tls.refused");
}

static void test_a_certificate_of_another_authority(void **state)
{
    (void)state;
    assert_nothing_for("theirs", "worker");
    assert_one_line("tls.refused");
}

static void test_a_certificate_that_its_owner_has_signed(void **state)
{
    char command[512];

    (void)state;
    (void)snprintf(command, sizeof command,
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
                   "/CN=worker -days 1 -keyout %s -out %s 2>/dev/null",
                   machines_file("ours", "self.key"), machines_file("ours", "self.pem"));
    if (system(command) != 0)
        skip(); /* There is no openssl. */
    assert_nothing_for("ours", "self");
    assert_one_line("tls.refused");
}

static void test_a_certificate_that_has_expired(void **state)
{
    struct grove_pool_options options = {.listen = "tls+tcp://127.0.0.1:0",
                                         .allow = "worker",
                                         .cert = machines_file("ours", "server.pem"),
                                         .key = machines_file("ours", "server.key"),
                                         .only_remote = true};
    grove_ref ours = pool;

    (void)state;
    machines_certify("past", -2);
    options.ca = machines_file("past", "ca.pem");
    pool = open_pool(&options);
    assert_nothing_for("past", "worker");
    assert_one_line("has expired");
    close_pool(pool);
    pool = ours;
}

static void test_a_name_that_is_not_allowed(void **state)
{
    uint64_t before = stats_of(pool).remote_refused;

    (void)state;
    assert_nothing_for("ours", "other");
    assert_one_line("peer=other why=\"the pool does not allow this name\"");
    assert_int_equal(stats_of(pool).remote_refused, before + 1);
}

static void test_plain_tcp(void **state)
{
    static const char hello[] = "GROVE\r\n\x01 and here I am, let me in at once";
    int fd = connect_plain();
    char bytes[256];
    ssize_t n, n_all = 0;

    (void)state;
    assert_int_equal(write(fd, hello, sizeof hello), sizeof hello);
    for (unsigned i = 0; i < 5000 && n_lines("tls.refused") == 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    /* What comes is an alert of TLS, which says what is wrong and nothing else. */
    while ((n = recv(fd, bytes + n_all, sizeof bytes - (size_t)n_all, 0)) > 0)
        n_all += n;
    assert_true(n_all <= 7);
    assert_int_equal(close(fd), 0);
    assert_one_line("tls.refused");
}

static void test_a_good_name_that_speaks_nonsense(void **state)
{
    uint64_t before = stats_of(pool).dropped_peers;

    (void)state;
    /* He says nothing, and the pool its preface and no more. */
    assert_true(read_as("ours", "worker") <= 8);
    for (unsigned i = 0; i < 10000 && stats_of(pool).dropped_peers == before; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_remote, 0);
    assert_int_equal(truncate(log_path, 0), 0);
}

/* Half-open handshakes: bounded in number, so that the oldest goes, and a good one comes in meanwhile. */
static void test_hundreds_that_never_finish_their_handshake(void **state)
{
    static int mute[N_MUTE];
    unsigned n_ended = 0;
    char byte;

    (void)state;
    for (unsigned i = 0; i < N_MUTE; i++) {
        mute[i] = connect_plain();
        if (i % 4 == 0) /* The pool accepts here, on this very thread. */
            assert_int_equal(grove_sleep_await(1), 0);
    }
    check_open();
    for (unsigned i = 0; i < N_MUTE; i++) {
        n_ended += recv(mute[i], &byte, 1, MSG_DONTWAIT) == 0;
        assert_int_equal(close(mute[i]), 0);
    }
    assert_true(n_ended >= N_MUTE - 256);
}

static void test_and_a_good_machine_comes_in_after_all_of_them(void **state)
{
    (void)state;
    check_open();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_certificate),
        cmocka_unit_test(test_a_certificate_of_another_authority),
        cmocka_unit_test(test_a_certificate_that_its_owner_has_signed),
        cmocka_unit_test(test_a_certificate_that_has_expired),
        cmocka_unit_test(test_a_name_that_is_not_allowed),
        cmocka_unit_test(test_plain_tcp),
        cmocka_unit_test(test_a_good_name_that_speaks_nonsense),
        cmocka_unit_test(test_hundreds_that_never_finish_their_handshake),
        cmocka_unit_test(test_and_a_good_machine_comes_in_after_all_of_them),
    };
    int n_failed;

    if (pools_begin(&argc, &argv) != 0)
        return EXIT_FAILURE;
    machines_open();
    n_failed = cmocka_run_group_tests(tests, begin, end);
    machines_close();
    return pools_end(n_failed);
}
