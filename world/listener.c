/*
 * Listener: peers that have come and wait to be accepted.
 *
 * They are streams without owner in a short list; when it is full the
 * listener rests, and the kernel lets further ones wait. Connecting is here,
 * too: it makes the same streams from the other side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/shutdown.h"
#include "actors/verb.h"
#include "runtime/usage.h"
#include "world/dns.h"
#include "world/stream.h"
#include "world/url.h"

enum { ARRIVED_MAX = 64 };

struct grove_listener {
    struct gv_holding holding;
    struct gv_ingress ingress;
    struct gv_loop *loop;
    struct gv_listener *base; /* NULL once the process drains */
    struct gv_listen_events events;
    struct gv_wait *acceptor;
    struct grove_stream *arrived[ARRIVED_MAX]; /* a ring, oldest at `first` */
    unsigned first, n_arrived;
    bool paused;
    char url[GROVE_URL_BYTES];
};

/* --- arriving --------------------------------------------------------------------------------- */

static void set_pause(struct grove_listener *listener, bool pause)
{
    const struct gv_env *env = listener->loop->env;

    listener->paused = pause;
    if (listener->base != NULL && env->listener_pause != NULL)
        env->listener_pause(listener->base, pause);
}

static void on_accepted(void *owner, struct gv_stream *base)
{
    struct grove_listener *listener = owner;
    const struct gv_env *env = listener->loop->env;
    struct gv_identity identity;
    struct grove_stream *stream;

    env->stream_identity(base, &identity);
    stream = listener->n_arrived < ARRIVED_MAX ? gv_world_stream_new(
                 listener->loop, identity.name[0] != '\0' ? identity.name : "unix:")
                                               : NULL;
    if (stream == NULL) {
        env->stream_close(base);
        return;
    }
    gv_world_stream_adopt(stream, base);
    listener->arrived[(listener->first + listener->n_arrived++) % ARRIVED_MAX] = stream;
    if (listener->n_arrived == ARRIVED_MAX)
        set_pause(listener, true);
    gv_io_wake(listener->loop, &listener->acceptor, 0);
}

static struct grove_stream *take_arrived(struct grove_listener *listener)
{
    struct grove_stream *stream;

    if (listener->n_arrived == 0)
        return NULL;
    stream = listener->arrived[listener->first];
    listener->first = (listener->first + 1) % ARRIVED_MAX;
    listener->n_arrived--;
    if (listener->paused && listener->n_arrived <= ARRIVED_MAX / 2)
        set_pause(listener, false);
    return stream;
}

/* --- listening -------------------------------------------------------------------------------- */

static void close_holding(struct gv_holding *holding)
{
    grove_listener_close((struct grove_listener *)holding);
}

/* The process drains: who has come is still accepted, and then nobody. */
static void close_ingress(struct gv_ingress *ingress)
{
    struct grove_listener *listener =
        (struct grove_listener *)((char *)ingress - offsetof(struct grove_listener, ingress));

    gv_ingress_remove(ingress);
    listener->loop->env->listener_close(listener->base);
    listener->base = NULL;
    gv_io_wake(listener->loop, &listener->acceptor, 0);
}

/* The URL for the env: numbers alone. */
static int numeric_url(const char *url, char numeric[GROVE_URL_BYTES])
{
    struct gv_url parts;
    int rc = gv_url_read("grove_listen", url, &parts);

    if (rc != 0)
        return rc;
    if (!parts.is_tcp)
        (void)snprintf(numeric, GROVE_URL_BYTES, "%s", url); /* It fits: it was checked. */
    else if (parts.is_number)
        gv_url_write(numeric, parts.host, parts.port);
    else if (strcmp(parts.host, "localhost") == 0)
        gv_url_write(numeric, "127.0.0.1", parts.port);
    else if (strcmp(parts.host, "*") == 0)
        gv_url_write(numeric, "%any", parts.port);
    else
        return gv_usage("grove_listen: \"%.100s\" is no address of this machine: write a number "
                        "such as 127.0.0.1, or * for all",
                        parts.host);
    return 0;
}

int grove_listen(const char *url, const struct grove_listen_options *options,
                 struct grove_listener **listener)
{
    static const struct grove_listen_options defaults;
    struct gv_loop *loop = gv_io_loop();
    struct grove_listener *opened;
    struct gv_holding **head;
    char numeric[GROVE_URL_BYTES];
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_listen");
    if (listener == NULL)
        return gv_usage_null("grove_listen", "the place for the listener");
    rc = numeric_url(url, numeric);
    if (rc == 0)
        rc = gv_holding_owner(loop, "grove_listen", &head);
    if (rc != 0)
        return rc;
    if (options == NULL)
        options = &defaults;
    opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "listen at", url);
    opened->loop = loop;
    opened->holding.close = close_holding;
    opened->events = (struct gv_listen_events){.accepted = on_accepted,
                                               .backlog = (int)options->backlog,
                                               .mode = options->mode,
                                               .reuse_port = options->reuse_port};
    rc = loop->env->listen(loop->poller, numeric, &opened->events, opened, &opened->base);
    if (rc != 0) {
        free(opened);
        return gv_io_failed(loop, rc, "listen at", url);
    }
    (void)snprintf(opened->url, sizeof opened->url, "%s", numeric); /* The same room. */
    if (loop->env->listener_url != NULL)
        loop->env->listener_url(opened->base, opened->url, sizeof opened->url);
    gv_holding_put(head, &opened->holding);
    opened->ingress.close = close_ingress;
    gv_ingress_add(loop, &opened->ingress);
    *listener = opened;
    return 0;
}

const char *grove_listener_url(const struct grove_listener *listener)
{
    return listener->url;
}

void grove_listener_close(struct grove_listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->loop != gv_loop_here) {
        (void)gv_usage("grove_listener_close: the listener belongs to loop %u; close it there",
                       listener->loop->index); /* There is no way to return it. */
        return;
    }
    gv_holding_remove(&listener->holding);
    gv_io_forsake(listener->loop, &listener->acceptor, GROVE_ECANCELED);
    for (unsigned i = 0; i < listener->n_arrived; i++)
        grove_stream_close(listener->arrived[(listener->first + i) % ARRIVED_MAX]);
    gv_ingress_remove(&listener->ingress);
    if (listener->base != NULL)
        listener->loop->env->listener_close(listener->base);
    free(listener);
}

int grove_accept_await(struct grove_listener *listener, struct grove_stream **stream)
{
    struct gv_loop *loop = gv_io_loop();
    struct gv_holding **head;
    uint32_t deadline_ms;
    int rc = 0;

    if (loop == NULL)
        return gv_usage_wait("grove_accept_await");
    if (stream == NULL)
        return gv_usage_null("grove_accept_await", "the place for the stream");
    if (listener == NULL)
        return gv_usage("grove_accept_await: there is no listener; grove_listen makes one");
    if (listener->loop != loop)
        return gv_usage("grove_accept_await: the listener belongs to loop %u and this is loop %u; "
                        "accept there, or listen on each loop with `reuse_port`",
                        listener->loop->index, loop->index);
    if (listener->acceptor != NULL)
        return gv_usage("grove_accept_await: another turn accepts at %s already", listener->url);
    rc = gv_holding_owner(loop, "grove_accept_await", &head);
    if (rc == 0 && loop->turn->cancelled)
        rc = gv_io_failed(loop, GROVE_ECANCELED, "accept at", listener->url);
    if (rc != 0)
        return rc;
    deadline_ms = gv_io_deadline(loop);
    while (listener->n_arrived == 0) {
        bool gone;

        if (listener->base == NULL)
            return gv_io_failed(loop, GROVE_ESTOPPING, "accept at", listener->url);
        rc = gv_io_await_or(loop, &listener->acceptor, deadline_ms, &gone, gv_io_leave);
        if (rc == 0 && gone)
            rc = GROVE_ECANCELED;
        if (rc != 0)
            return gv_io_failed(loop, rc, "accept at", gone ? "a listener" : listener->url);
    }
    *stream = take_arrived(listener);
    gv_holding_put(head, &(*stream)->holding);
    return 0;
}

/* --- connecting ------------------------------------------------------------------------------- */

/* Nobody holds it yet. */
static void leave_dialled(struct gv_wait **place)
{
    grove_stream_close(
        (struct grove_stream *)((char *)place - offsetof(struct grove_stream, reader)));
}

/* Dials one address and waits until it is up. On failure the stream is gone. */
static int dial(struct gv_loop *loop, struct grove_stream *stream, const char *numeric,
                uint32_t deadline_ms)
{
    bool gone;
    int rc = loop->env->dial(loop->poller, numeric, &gv_world_stream_events, stream, &stream->base);

    if (rc != 0) {
        free(stream);
        return rc;
    }
    rc = gv_io_await_or(loop, &stream->reader, deadline_ms, &gone, leave_dialled);
    if (rc == 0 && stream->broken) /* It came up and ended before it was our turn. */
        rc = stream->error != 0 ? stream->error : -ECONNRESET;
    if (rc != 0)
        grove_stream_close(stream);
    return rc;
}

/* What is worth trying the next address for. */
static bool may_go_on(int rc)
{
    return rc != GROVE_ETIMEDOUT && rc != GROVE_ECANCELED && rc != GROVE_ENOSTACK && rc != -EMFILE
           && rc != -ENFILE && rc != -ENOMEM;
}

/* What somebody wants to connect to. */
struct target {
    const char *url;
    struct gv_url parts;
    struct grove_addresses addresses; /* of a unix socket: one, without text */
    uint32_t deadline_ms;
};

static int dial_each(struct gv_loop *loop, const struct target *target,
                     struct grove_stream **stream)
{
    int rc = -EINVAL;

    for (unsigned i = 0; i < target->addresses.n; i++) {
        struct grove_stream *dialled = gv_world_stream_new(loop, target->url);
        char numeric[GROVE_URL_BYTES];

        if (dialled == NULL)
            return gv_io_failed(loop, GROVE_ENOMEM, "connect to", target->url);
        if (target->parts.is_tcp)
            gv_url_write(numeric, target->addresses.text[i], target->parts.port);
        rc = dial(loop, dialled, target->parts.is_tcp ? numeric : target->url, target->deadline_ms);
        if (rc == 0) {
            *stream = dialled;
            return 0;
        }
        if (!may_go_on(rc))
            break;
    }
    return gv_io_failed(loop, rc, "connect to", target->url);
}

/* Finds the addresses of a target whose URL was read. */
static int find(struct gv_loop *loop, struct target *target)
{
    target->addresses.n = 1;
    if (!target->parts.is_tcp)
        return 0;
    if (!target->parts.is_number)
        return gv_world_lookup(loop, target->parts.host, target->deadline_ms, &target->addresses);
    (void)snprintf(target->addresses.text[0], GROVE_ADDRESS_BYTES, "%.*s", GROVE_ADDRESS_BYTES - 1,
                   target->parts.host); /* What is cut is no address, and refused as that. */
    return 0;
}

int grove_connect_await(const char *url, struct grove_stream **stream)
{
    struct gv_loop *loop = gv_io_loop();
    struct target target = {.url = url};
    struct grove_stream *dialled = NULL;
    struct gv_holding **head;
    int rc;

    if (loop == NULL)
        return gv_usage_wait("grove_connect_await");
    if (stream == NULL)
        return gv_usage_null("grove_connect_await", "the place for the stream");
    rc = gv_url_read("grove_connect_await", url, &target.parts);
    if (rc == 0)
        rc = gv_holding_owner(loop, "grove_connect_await", &head);
    if (rc == 0 && loop->turn->cancelled)
        rc = gv_io_failed(loop, GROVE_ECANCELED, "connect to", url);
    if (rc != 0)
        return rc;
    target.deadline_ms = gv_turn_deadline(loop, loop->turn, GV_TIMEOUT_MS);
    rc = find(loop, &target);
    if (rc == 0)
        rc = dial_each(loop, &target, &dialled);
    if (rc != 0)
        return rc;
    gv_holding_put(head, &dialled->holding);
    *stream = dialled;
    return 0;
}
