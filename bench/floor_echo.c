/*
 * The floor of echo: libuv's callbacks, as a careful user writes them. One
 * read buffer for all; uv_try_write first, a queued uv_write only for what
 * the socket did not take. The one file here that includes uv.h.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "floor.h"
#include "load.h"

static char room[65536];
static uint64_t start_ns, end_ns;

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(room, sizeof room);
}

static void on_write(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    uv_buf_t out;
    uv_write_t *write;
    int n_put;

    if (n < 0)
        uv_close((uv_handle_t *)stream, on_close);
    if (n <= 0)
        return;
    out = uv_buf_init(buffer->base, (unsigned)n);
    n_put = uv_try_write(stream, &out, 1);
    if (n_put == n)
        return;
    if (n_put < 0)
        n_put = 0;
    write = floor_must(malloc(sizeof *write + (size_t)(n - n_put)));
    memcpy(write + 1, buffer->base + n_put, (size_t)(n - n_put));
    out = uv_buf_init((char *)(write + 1), (unsigned)(n - n_put));
    (void)uv_write(write, stream, &out, 1, on_write);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = floor_must(malloc(sizeof *client));

    (void)status;
    (void)uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client) != 0) {
        uv_close((uv_handle_t *)client, on_close);
        return;
    }
    (void)uv_tcp_nodelay(client, 1);
    (void)uv_read_start((uv_stream_t *)client, on_alloc, on_read);
}

/* The client begins, or is done. */
static void on_news(uv_poll_t *poll, int status, int events)
{
    char byte = 0;

    (void)status;
    (void)events;
    if (read((int)(intptr_t)poll->data, &byte, 1) == 1 && byte == 'b') {
        start_ns = load_cpu_ns();
        return;
    }
    end_ns = byte == 'e' ? load_cpu_ns() : 0;
    uv_stop(poll->loop);
}

void floor_echo(const int64_t *numbers, struct bench_result *result)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in address;
    int n_bytes = sizeof address, fd;
    uv_tcp_t listener;
    uv_poll_t news;

    (void)uv_tcp_init(loop, &listener);
    (void)uv_ip4_addr("127.0.0.1", 0, &address);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) != 0
        || uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0
        || uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &n_bytes) != 0)
        return;
    fd = load_start(ntohs(address.sin_port), numbers[0], numbers[1]);
    if (fd < 0)
        return;
    (void)uv_poll_init(loop, &news, fd);
    news.data = (void *)(intptr_t)fd;
    (void)uv_poll_start(&news, UV_READABLE, on_news);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    result->ops = numbers[1];
    result->nanoseconds = end_ns - start_ns;
    result->right = end_ns > start_ns;
}
