/*
 * Echo: a TCP server, one greenlet for each connection, in straight lines.
 *
 * bench_echo_await measures itself: a client in a process of its own keeps
 * one request of 64 bytes outstanding on each of its connections; what is
 * timed is the CPU that the server takes for a request. bench_serve_await
 * listens at a port, prints READY, and serves until it is killed: for loads
 * from elsewhere (bench/peers).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "load.h"

#define READ_BYTES 4096

static void echo(void *argument)
{
    struct grove_stream *stream = argument;
    char bytes[READ_BYTES];
    size_t n_bytes;

    while (grove_read_await(stream, bytes, sizeof bytes, &n_bytes) == 0 && n_bytes > 0)
        if (grove_write_await(stream, bytes, n_bytes) != 0)
            break;
}

static void serve(void *argument)
{
    struct grove_stream *stream;
    grove_ref who;

    while (grove_accept_await(argument, &stream) == 0)
        if (grove_go(echo, stream, NULL, &who) != 0 || grove_stream_give(stream, who) != 0)
            grove_stream_close(stream);
}

/* The next byte of the client, which must be this one. */
static int expect_await(struct grove_stream *client, char byte)
{
    char got;
    int rc = grove_read_all_await(client, &got, 1);

    return rc != 0 ? rc : got == byte ? 0 : GROVE_EBROKEN;
}

int bench_echo_await(const int64_t *numbers, struct bench_result *result)
{
    struct grove_stream *client = NULL;
    struct grove_listener *listener;
    uint64_t start_ns = 0;
    int rc, fd;

    rc = grove_listen("tcp://127.0.0.1:0", NULL, &listener);
    if (rc == 0)
        rc = grove_go(serve, listener, NULL, NULL);
    if (rc != 0)
        return rc;
    fd = load_start((unsigned)atoi(strrchr(grove_listener_url(listener), ':') + 1), numbers[0],
                    numbers[1]);
    rc = fd < 0 ? fd : grove_stream_from(fd, &client);
    if (rc == 0)
        rc = expect_await(client, 'b');
    if (rc == 0) {
        start_ns = load_cpu_ns();
        rc = expect_await(client, 'e');
    }
    if (rc != 0)
        return rc;
    result->ops = numbers[1];
    result->nanoseconds = load_cpu_ns() - start_ns;
    result->right = true;
    grove_stream_close(client);
    grove_listener_close(listener);
    return 0;
}

int bench_serve_await(const int64_t *numbers, struct bench_result *result)
{
    struct grove_listener *listener;
    char url[64];
    int rc;

    (void)result;
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1:%lld", (long long)numbers[0]); /* It fits. */
    rc = grove_listen(url, NULL, &listener);
    if (rc != 0)
        return rc;
    puts("READY");
    (void)fflush(stdout);
    serve(listener);
    return 0;
}
