/* See sockets.h. */
#include "tests/world/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/mail.h"

struct grove_listener *listener;

/* --- a server ------------------------------------------------------------------------------------ */

unsigned n_served;
static void echo(void *argument)
{
    struct grove_stream *stream = argument;
    char bytes[4096];
    size_t n_bytes;
    int rc;

    while ((rc = grove_read_await(stream, bytes, sizeof bytes, &n_bytes)) == 0 && n_bytes > 0)
        if ((rc = grove_write_await(stream, bytes, n_bytes)) != 0)
            break;
    n_served++;
}

static void serve(void *argument)
{
    struct grove_stream *stream;
    grove_ref who;

    while (grove_accept_await(argument, &stream) == 0)
        if (grove_go(echo, stream, NULL, &who) != 0 || grove_stream_give(stream, who) != 0)
            grove_stream_close(stream);
}

static grove_ref server;

/* Listens where the kernel chooses, and echoes. */
void open_server(void)
{
    n_served = 0;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    assert_int_equal(grove_go(serve, listener, NULL, &server), 0);
}

void join(grove_ref who)
{
    while (gv_mail_task(gv_loop_here, who) != NULL)
        assert_int_equal(grove_sleep_await(1), 0);
}

void close_server(void)
{
    grove_listener_close(listener);
    join(server);
}

struct grove_stream *dial(void)
{
    struct grove_stream *stream = NULL;

    assert_int_equal(grove_connect_await(grove_listener_url(listener), &stream), 0);
    return stream;
}

/* A connection between main and main: both ends. */
void pair(struct grove_stream *ends[2])
{
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    ends[0] = dial();
    assert_int_equal(grove_accept_await(listener, &ends[1]), 0);
    grove_listener_close(listener);
}

void close_pair(struct grove_stream *ends[2])
{
    grove_stream_close(ends[0]);
    grove_stream_close(ends[1]);
}

/* A plain socket as a peer. */
int raw_dial(void)
{
    struct sockaddr_storage address;
    socklen_t n_bytes = sizeof address;
    const char *url = grove_listener_url(listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)n_bytes;
    memset(&address, 0, sizeof address);
    address.ss_family = AF_INET;
    {
        unsigned port = (unsigned)atoi(strrchr(url, ':') + 1);
        unsigned char *raw = (unsigned char *)&address;

        raw[2] = (unsigned char)(port >> 8);
        raw[3] = (unsigned char)port;
        raw[4] = 127;
        raw[7] = 1;
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&address, 16), 0);
    return fd;
}

void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    assert_int_equal(close(fd), 0);
}
