/*
 * Echo server: sends back every line it is sent, to any number of clients.
 *
 * One greenlet accepts, one more serves each connection in a straight line;
 * while one waits for its peer the others go on. A stream is closed when its
 * greenlet ends. A connection that is silent for a minute is hung up on.
 *
 *     echo_server [URL]      tcp://127.0.0.1:7000 unless it is given; try  nc localhost 7000
 */
#include <grove.h>
#include <stdio.h>

static void serve(void *argument)
{
    struct grove_stream *stream = argument;
    char line[1024];
    size_t n_bytes;

    for (;;) {
        grove_within(60 * 1000);
        if (grove_read_line_await(stream, line, sizeof line, &n_bytes) != 0)
            break;
        line[n_bytes++] = '\n';
        if (grove_write_await(stream, line, n_bytes) != 0)
            break;
    }
    grove_log("%s: %s", grove_stream_peer(stream), grove_why());
}

int main(int argc, char **argv)
{
    struct grove_listener *listener;
    struct grove_stream *stream;
    grove_ref who;

    grove_init(&argc, &argv);
    if (grove_listen(argc > 1 ? argv[1] : "tcp://127.0.0.1:7000", NULL, &listener) != 0)
        return fprintf(stderr, "echo_server: %s\n", grove_why()), 1;
    printf("listening at %s\n", grove_listener_url(listener));
    fflush(stdout);

    while (grove_accept_await(listener, &stream) == 0)
        if (grove_go(serve, stream, NULL, &who) != 0 || grove_stream_give(stream, who) != 0)
            grove_stream_close(stream);
    return grove_deinit();
}
