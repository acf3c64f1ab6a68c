#include "tests/workers/machines.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/grove/certs.h"

#define PAIRS_MAX 16u
#define LOOK_MS   5

/* --- certificates --------------------------------------------------------------------------------- */

static char folder[] = "/tmp/test-machines-XXXXXX";

const char *machines_file(const char *authority, const char *name)
{
    static char texts[8][96];
    static unsigned next;
    char *text = texts[next++ % 8];

    (void)snprintf(text, sizeof texts[0], "%s/%s/%s", folder, authority, name); /* It fits. */
    return text;
}

void machines_certify(const char *authority, int days)
{
    static const char *const names[] = {"server", "worker", "other"};
    static const char *const hosts[] = {"127.0.0.1", "localhost", "10.77.0.1"};

    assert_int_equal(
        make_certs(&(struct certs){machines_file(authority, ""), names, 3, hosts, 3, days}), 0);
}

void machines_open(void)
{
    if (mkdtemp(folder) == NULL)
        abort();
    machines_certify("ours", 1);
    machines_certify("theirs", 1);
}

void machines_close(void)
{
    char command[64];

    (void)snprintf(command, sizeof command, "rm -rf %s", folder); /* It fits. */
    assert_int_equal(system(command), 0);
}

/* --- machines ------------------------------------------------------------------------------------- */

struct grove_pool_options machines_pool(void)
{
    return (struct grove_pool_options){
        .listen = "tls+tcp://127.0.0.1:0",
        .allow = "nobody,worker",
        .cert = machines_file("ours", "server.pem"),
        .key = machines_file("ours", "server.key"),
        .ca = machines_file("ours", "ca.pem"),
        .heartbeat_ms = 500,
        .only_remote = true,
    };
}

unsigned port_of(grove_ref pool)
{
    char url[128];

    assert_int_equal(grove_pool_url(pool, url, sizeof url), 0);
    return (unsigned)atoi(strrchr(url, ':') + 1);
}

const char *machine_dials = "127.0.0.1", *machine_network;
const char *machine_program = GV_BUILD_ROOT "/tests/workers/only_worker";

struct grove_process *machine_start(unsigned port, unsigned n_workers, const char *authority,
                                    const char *name)
{
    char url[64], number[16], cert[32], key[32];
    const char *words[] = {"nsenter",   "-n",    "-t",        machine_network, machine_program,
                           "--connect", url,     "--workers", number,          "--cert",
                           NULL,        "--key", NULL,        "--ca",          NULL,
                           NULL};
    struct grove_process *machine;

    (void)snprintf(url, sizeof url, "tls+tcp://%s:%u", machine_dials, port); /* They fit. */
    (void)snprintf(number, sizeof number, "%u", n_workers);
    (void)snprintf(cert, sizeof cert, "%s.pem", name);
    (void)snprintf(key, sizeof key, "%s.key", name);
    words[10] = machines_file(authority, cert);
    words[12] = machines_file(authority, key);
    words[14] = machines_file("ours", "ca.pem");
    assert_int_equal(grove_process_spawn(words + (machine_network != NULL ? 0 : 4), NULL, &machine),
                     0);
    return machine;
}

void machine_stop(struct grove_process *machine)
{
    struct grove_process_end end;

    assert_int_equal(grove_process_kill(machine, SIGTERM), 0);
    assert_int_equal(grove_process_wait_await(machine, &end), 0);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
    grove_process_close(machine);
}

void wait_remote(grove_ref pool, unsigned n)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).n_remote != n; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_remote, n);
}

/* --- the wire ------------------------------------------------------------------------------------- */

struct pair {
    int ends[2];
    bool dead; /* it was there when the wire was cut */
};

struct wire {
    pthread_t thread;
    int listener;
    unsigned port, to_port;
    unsigned n_pairs;
    struct pair pairs[PAIRS_MAX];
    _Atomic bool ending, is_cut, cut_is_seen;
};

static int dial_port(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET, "127.0.0.1", &address.sin_addr) != 1
        || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

static void end_pair(struct wire *wire, unsigned i)
{
    (void)close(wire->pairs[i].ends[0]); /* Nothing is left to write. */
    (void)close(wire->pairs[i].ends[1]);
    wire->pairs[i] = wire->pairs[--wire->n_pairs];
}

/* False when it has ended. */
static bool pass_on(const struct pair *pair, unsigned from)
{
    char bytes[65536];
    ssize_t n = read(pair->ends[from], bytes, sizeof bytes);

    for (ssize_t done = 0; done < n;) {
        ssize_t more = send(pair->ends[!from], bytes + done, (size_t)(n - done), MSG_NOSIGNAL);

        if (more <= 0)
            return false;
        done += more;
    }
    return n > 0;
}

static void accept_pair(struct wire *wire)
{
    int fd = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0 || wire->n_pairs == PAIRS_MAX)
        abort();
    wire->pairs[wire->n_pairs++] = (struct pair){.ends = {fd, dial_port(wire->to_port)}};
}

static void look(struct wire *wire, const struct pollfd *fds, unsigned n_pairs)
{
    for (unsigned i = n_pairs; i-- > 0;) {
        struct pair *pair = &wire->pairs[i];

        if (pair->dead)
            continue;
        for (unsigned from = 0; from < 2; from++)
            if (fds[2 * i + from].revents != 0 && !pass_on(pair, from)) {
                end_pair(wire, i);
                break;
            }
    }
}

static void *pass(void *argument)
{
    struct wire *wire = argument;

    while (!wire->ending) {
        struct pollfd fds[2 * PAIRS_MAX + 1];
        bool is_cut = wire->is_cut;
        unsigned n = wire->n_pairs;

        for (unsigned i = 0; i < n; i++) {
            wire->pairs[i].dead |= is_cut;
            for (unsigned end = 0; end < 2; end++)
                fds[2 * i + end] = (struct pollfd){
                    .fd = wire->pairs[i].dead ? -1 : wire->pairs[i].ends[end], .events = POLLIN};
        }
        wire->cut_is_seen = is_cut;
        fds[2 * n] = (struct pollfd){.fd = is_cut ? -1 : wire->listener, .events = POLLIN};
        if (poll(fds, 2 * n + 1, LOOK_MS) <= 0)
            continue;
        look(wire, fds, n);
        if (fds[2 * n].revents != 0)
            accept_pair(wire);
    }
    while (wire->n_pairs > 0)
        end_pair(wire, 0);
    return NULL;
}

struct wire *wire_open(unsigned to_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n_bytes = sizeof address;
    struct wire *wire = calloc(1, sizeof *wire);
    sigset_t all, old;

    assert_non_null(wire);
    wire->to_port = to_port;
    wire->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(wire->listener >= 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    assert_int_equal(bind(wire->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(wire->listener, (struct sockaddr *)&address, &n_bytes), 0);
    assert_int_equal(listen(wire->listener, 16), 0);
    wire->port = ntohs(address.sin_port);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* Signals are grove's. */
    assert_int_equal(pthread_create(&wire->thread, NULL, pass, wire), 0);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return wire;
}

void wire_close(struct wire *wire)
{
    wire->ending = true;
    assert_int_equal(pthread_join(wire->thread, NULL), 0);
    assert_int_equal(close(wire->listener), 0);
    free(wire);
}

unsigned wire_port(const struct wire *wire)
{
    return wire->port;
}

void wire_cut(struct wire *wire)
{
    wire->is_cut = true;
    while (!wire->cut_is_seen)
        (void)usleep(1000); /* What passed while it was cut would not have been. */
}

void wire_heal(struct wire *wire)
{
    wire->is_cut = false;
}
