/*
 * Streams: clients that send bytes over TCP to servers on all loops, which
 * send them back, in pieces of any size, late, and cut off at times.
 *
 * What arrives is what was sent, in order, from the first byte on, wherever
 * it was cut; all of it, and then the end, if nothing failed. A read that ran
 * out of time has taken nothing. Who reads lines gets the lines.
 */
#include <errno.h>
#include <string.h>

#include <grove.h>

#include "tests/sim/simulation.h"

#define CLIENTS_MAX 5u
#define PIECE_MAX   3000u
#define BYTES_MAX   20000u
#define TEXT_MAX    200u

static struct {
    struct grove_listener *listener;
    unsigned n_ended, n_clients;
    bool closed;
} play;

struct client {
    unsigned self;
    size_t n_bytes; /* that it sends */
    bool by_lines;
};

/* The i-th byte of a client; in lines, every TEXT_MAXth at the latest ends one. */
static uint8_t byte_of(const struct client *me, size_t i)
{
    uint8_t byte = (uint8_t)(i * 7 + me->self * 31 + i / 251);

    if (!me->by_lines)
        return byte;
    return byte % 37 == 0 || i % (TEXT_MAX - 2) == 0 || i + 1 == me->n_bytes ? '\n'
                                                                             : 'a' + byte % 26;
}

static bool is_cut(int rc)
{
    return rc == -ECONNRESET || rc == -EPIPE || rc == -ENOTCONN;
}

/* --- the server ----------------------------------------------------------------------------------- */

static void serve(void *argument)
{
    struct grove_stream *stream = argument;
    uint8_t bytes[PIECE_MAX];
    size_t n_bytes = 1;
    int rc = 0;

    while (rc == 0 && n_bytes > 0) {
        if (sim_draw(SIM_LOAD, 8) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* Nobody stops us. */
        rc = grove_read_await(stream, bytes, 1 + sim_draw(SIM_LOAD, PIECE_MAX), &n_bytes);
        if (rc == 0 && n_bytes > 0)
            rc = grove_write_await(stream, bytes, n_bytes);
    }
    sim_note("served", n_bytes, (uint64_t)(int64_t)rc);
    /* Who is left when all clients have ended is stopped. */
    SIM_CHECK(rc == 0 || is_cut(rc) || (rc == GROVE_ECANCELED && play.n_ended == play.n_clients),
              "a server ends with %s", grove_error_name(rc));
    grove_stream_close(stream);
}

static void accept_all(void *argument)
{
    struct grove_stream *stream;
    grove_ref who;
    int rc;

    (void)argument;
    rc = grove_listen("tcp://127.0.0.1:7000", NULL, &play.listener);
    SIM_CHECK(rc == 0, "nobody can listen: %s", grove_why());
    while ((rc = grove_accept_await(play.listener, &stream)) == 0) {
        SIM_CHECK(grove_go(serve, stream, NULL, &who) == 0, "no server");
        SIM_CHECK(grove_stream_give(stream, who) == 0, "it cannot be given: %s", grove_why());
    }
    SIM_CHECK(rc == GROVE_ECANCELED || rc == GROVE_ESTOPPING, "nobody is accepted: %s",
              grove_error_name(rc));
    grove_listener_close(play.listener);
    play.closed = true;
}

/* --- clients -------------------------------------------------------------------------------------- */

static int send_all(const struct client *me, struct grove_stream *stream)
{
    uint8_t bytes[PIECE_MAX];
    size_t n_sent = 0;
    int rc = 0;

    while (rc == 0 && n_sent < me->n_bytes) {
        size_t n = 1 + sim_draw(SIM_LOAD, PIECE_MAX);

        if (n > me->n_bytes - n_sent)
            n = me->n_bytes - n_sent;
        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_of(me, n_sent + i);
        rc = grove_write_await(stream, bytes, n);
        memset(bytes, 0, n); /* They were lent only until it returned. */
        n_sent += n;
        if (sim_draw(SIM_LOAD, 8) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* As above. */
    }
    return rc;
}

/* Some bytes from the n_got-th on. */
static int receive_some(const struct client *me, struct grove_stream *stream, size_t n_got,
                        size_t *n)
{
    uint8_t bytes[PIECE_MAX];
    size_t wanted = 1 + sim_draw(SIM_LOAD, PIECE_MAX);
    int rc;

    if (sim_draw(SIM_LOAD, 2) == 0)
        grove_within(1 + sim_draw(SIM_LOAD, 5));
    rc = grove_read_await(stream, bytes, wanted, n);
    for (size_t i = 0; rc == 0 && i < *n; i++)
        if (n_got + i >= me->n_bytes || bytes[i] != byte_of(me, n_got + i)) {
            SIM_CHECK(false, "client %u: byte %zu of %zu is wrong", me->self, n_got + i,
                      me->n_bytes);
            break;
        }
    return rc;
}

static int receive_line(const struct client *me, struct grove_stream *stream, size_t n_got,
                        size_t *n)
{
    char text[TEXT_MAX];
    size_t n_text = 0;
    int rc;

    if (sim_draw(SIM_LOAD, 2) == 0)
        grove_within(1 + sim_draw(SIM_LOAD, 5));
    rc = grove_read_line_await(stream, text, sizeof text, &n_text);
    *n = rc == 0 ? n_text + 1 : 0;
    for (size_t i = 0; rc == 0 && i < n_text; i++)
        SIM_CHECK((uint8_t)text[i] == byte_of(me, n_got + i), "client %u: byte %zu is wrong",
                  me->self, n_got + i);
    /* A last line without its end is one that was cut. */
    SIM_CHECK(rc != 0 || n_got + n_text >= me->n_bytes || byte_of(me, n_got + n_text) == '\n'
                  || !play.closed,
              "client %u: a line ends in its middle", me->self);
    return rc == -ENODATA ? 0 : rc;
}

static int receive_all(const struct client *me, struct grove_stream *stream)
{
    size_t n_got = 0, n = 1;
    int rc = 0;

    while (n > 0) {
        rc = me->by_lines ? receive_line(me, stream, n_got, &n)
                          : receive_some(me, stream, n_got, &n);
        if (rc == GROVE_ETIMEDOUT) {
            n = 1; /* It has taken nothing. */
            continue;
        }
        if (rc != 0)
            return rc;
        n_got += n;
    }
    SIM_CHECK(n_got == me->n_bytes || gv_sim_counts()->faults[GROVE_SIM_CUT] > 0,
              "client %u: %zu of %zu bytes came, and then the end", me->self, n_got, me->n_bytes);
    return 0;
}

static void client(void *argument)
{
    struct client me = {.self = *(const unsigned *)argument};
    struct grove_stream *stream;
    int rc = -ECONNREFUSED;

    me.n_bytes = 1 + sim_draw(SIM_LOAD, BYTES_MAX);
    me.by_lines = sim_draw(SIM_LOAD, 2) == 0;
    for (unsigned n = 0; n < 20 && rc != 0; n++) {
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 30)); /* As above. */
        rc = grove_connect_await("tcp://127.0.0.1:7000", &stream);
    }
    SIM_CHECK(rc == 0 || rc == -ECONNREFUSED || is_cut(rc) || rc == GROVE_ETIMEDOUT,
              "client %u cannot connect: %s", me.self, grove_why());
    if (rc == 0) {
        rc = send_all(&me, stream);
        if (rc == 0)
            rc = grove_stream_shutdown(stream);
        if (rc == 0)
            rc = receive_all(&me, stream);
        sim_note("client", me.self, (uint64_t)(int64_t)rc);
        SIM_CHECK(rc == 0 || is_cut(rc), "client %u ends with %s", me.self, grove_error_name(rc));
        SIM_CHECK(rc == 0 || gv_sim_counts()->faults[GROVE_SIM_CUT] > 0,
                  "client %u ends with %s, and nothing was cut", me.self, grove_error_name(rc));
        grove_stream_close(stream);
    }
    play.n_ended++;
}

static void run(void)
{
    struct grove_spawn_options options = {0};
    grove_ref server;

    memset(&play, 0, sizeof play);
    play.n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);
    options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
    SIM_CHECK(grove_go(accept_all, NULL, &options, &server) == 0, "no server");
    for (unsigned i = 0; i < play.n_clients; i++) {
        options = (struct grove_spawn_options){.argument_bytes = sizeof i};
        options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
        SIM_CHECK(grove_go(client, &i, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, play.n_clients, 600000);
    SIM_CHECK(grove_stop_await(server, GROVE_STOP_NOW) == 0, "the server does not end");
    SIM_CHECK(play.closed, "the listener is open");
}

const struct sim_simulation sim_streams = {
    .name = "streams",
    .what = "TCP cut, late and in pieces: what arrives is what was sent, in order",
    .run = run,
};
