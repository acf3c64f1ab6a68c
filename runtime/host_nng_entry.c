/*
 * How streams over nng begin: dialled or accepted, and over TLS only shown to
 * their owner once the peer is known. Those whose peers are not known yet
 * wait in the hall of their listener, not for ever and not too many of them.
 * See host_nng_stream.c.
 */
#include <errno.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "runtime/assert.h"
#include "runtime/host_connection.h"
#include "runtime/host_tls.h"

enum {
    NAME_MS = 10000,  /* how long a peer may take to say who it is */
    UNNAMED_MAX = 256 /* of one listener; beyond, the oldest goes */
};

/* --- waiting for a name ------------------------------------------------------------------------- */

void gv_connection_leave_hall(struct connection *stream)
{
    struct gv_host_hall *hall = stream->hall;
    struct connection **link;

    if (hall == NULL)
        return;
    for (link = &hall->first; *link != stream; link = &(*link)->next)
        continue;
    *link = stream->next;
    if (hall->end == &stream->next)
        hall->end = link;
    hall->n--;
    stream->hall = NULL;
}

void gv_connection_out_of_patience(void *owner)
{
    struct connection *stream = owner;

    stream->patience_busy = false;
    if (stream->unnamed)
        gv_connection_close(stream, -ETIMEDOUT);
    gv_connection_settle(stream);
}

void gv_connection_patience_ended(void *argument)
{
    struct connection *stream = argument;

    gv_host_post(stream->poller, &stream->patience_post);
}

/* --- who it is ------------------------------------------------------------------------------ */

static void learn_identity(struct connection *stream)
{
    uint64_t value;

    stream->identity = (struct gv_identity){.pid = -1, .uid = -1};
    if (nng_stream_get_uint64(stream->nng, NNG_OPT_IPC_PEER_PID, &value) == 0)
        stream->identity.pid = (int64_t)value;
    if (nng_stream_get_uint64(stream->nng, NNG_OPT_IPC_PEER_UID, &value) == 0)
        stream->identity.uid = (int64_t)value;
}

static void wait_for_name(struct connection *stream)
{
    stream->patience_busy = true;
    nng_sleep_aio(NAME_MS, stream->patience);
}

void gv_connection_dialled(struct connection *stream)
{
    int rv = nng_aio_result(stream->in);

    if (rv == 0)
        stream->nng = nng_aio_get_output(stream->in, 0);
    if (stream->closing) {
        if (stream->nng != NULL)
            nng_stream_close(stream->nng); /* it came up while we gave it up */
        return;
    }
    if (rv != 0) {
        gv_connection_close(stream, gv_host_nng_error(rv));
        return;
    }
    learn_identity(stream);
    gv_connection_receive(stream);
    if (!stream->tls)
        stream->events->connected(stream->owner);
    else if (!stream->closing)
        wait_for_name(stream);
}

void gv_connection_named(struct connection *stream)
{
    struct gv_host_hall *hall = stream->hall;
    int rv = nng_aio_result(stream->in);

    if (rv != 0) {
        gv_connection_close(stream, rv == NNG_ECONNSHUT ? -ECONNRESET : gv_host_nng_error(rv));
        return;
    }
    gv_assert(nng_aio_count(stream->in) == GV_TLS_NAME_BYTES); /* The engine gives them in one. */
    memcpy(stream->identity.name, stream->room, sizeof stream->identity.name);
    stream->unnamed = false;
    if (stream->patience_busy)
        nng_aio_cancel(stream->patience);
    if (hall == NULL) {
        gv_connection_receive(stream);
        stream->events->connected(stream->owner);
        return;
    }
    gv_connection_leave_hall(stream);
    hall->events->accepted(hall->owner, &stream->base);
    gv_assert(stream->events != NULL || stream->closing);
}

/* The host of tls+tcp://HOST:PORT, which has been checked; one in brackets without them. */
static void host_of(const char *url, char host[256])
{
    const char *begin = strstr(url, "//") + 2, *end = strrchr(begin, ':');

    if (begin[0] == '[' && end[-1] == ']') {
        begin++;
        end--;
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
}

/* A dialer that shows our certificate and expects that of the host. */
static int open_tls(struct connection *stream, const char *url)
{
    nng_tls_config *config;
    char host[256];
    int rc;

    host_of(url, host);
    rc = gv_host_tls_config(host, NULL, &config);
    if (rc != 0)
        return rc;
    rc = gv_host_nng_error(nng_stream_dialer_alloc(&stream->dialer, url));
    if (rc == 0)
        rc = gv_host_nng_error(
            nng_stream_dialer_set_ptr(stream->dialer, NNG_OPT_TLS_CONFIG, config));
    nng_tls_config_free(config); /* The dialer holds it. */
    return rc;
}

int gv_host_nng_dial(struct gv_poller *poller, const char *url,
                     const struct gv_stream_events *events, void *owner, struct gv_stream **stream)
{
    bool tls = strncmp(url, "tls", 3) == 0;
    struct connection *dialled;
    int rc;

    gv_host_nng_start();
    dialled = gv_connection_new(poller, tls);
    if (dialled == NULL)
        return -ENOMEM;
    rc = tls ? open_tls(dialled, url)
             : gv_host_nng_error(nng_stream_dialer_alloc(&dialled->dialer, url));
    if (rc != 0) {
        gv_connection_free(dialled);
        return rc;
    }

    dialled->events = events;
    dialled->owner = owner;
    dialled->in_busy = true;
    *stream = &dialled->base;
    nng_stream_dialer_dial(dialled->dialer, dialled->in);
    return 0;
}

static void enter_hall(struct gv_host_hall *hall, struct connection *stream)
{
    if (hall->end == NULL)
        hall->end = &hall->first;
    *hall->end = stream;
    hall->end = &stream->next;
    hall->n++;
    stream->hall = hall;
    if (hall->n > UNNAMED_MAX) {
        struct connection *oldest = hall->first;

        gv_connection_leave_hall(oldest);
        gv_connection_close(oldest, -ETIMEDOUT);
    }
}

void gv_host_hall_close(struct gv_host_hall *hall)
{
    struct connection *stream;

    while ((stream = hall->first) != NULL) {
        gv_connection_leave_hall(stream);
        gv_connection_close(stream, 0);
    }
}

void gv_host_nng_accepted(struct gv_poller *poller, struct nng_stream *nng,
                          struct gv_host_hall *hall, bool tls)
{
    struct connection *stream = gv_connection_new(poller, tls);

    if (stream == NULL) {
        nng_stream_close(nng);
        nng_stream_free(nng);
        return;
    }
    stream->nng = nng;
    learn_identity(stream);
    if (!tls) {
        hall->events->accepted(hall->owner, &stream->base);
        gv_assert(stream->events != NULL || stream->closing);
        return;
    }
    enter_hall(hall, stream);
    gv_connection_receive(stream);
    if (!stream->closing)
        wait_for_name(stream);
    else if (!stream->in_busy)
        gv_connection_free(stream); /* no memory for what comes in */
}
