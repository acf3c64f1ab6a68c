/*
 * Listeners: names that peers dial, over nng_stream_listener.
 *
 * One accept is in flight and is renewed after each, whatever came of it:
 * peers that hang up at once, and times without descriptors (then after a
 * pause), must not make us deaf. Peers that say nothing or nonsense are
 * streams like others, and the business of whoever adopts them.
 *
 * The owner's handle is gone when close returns. The memory goes when nng's
 * last callback has come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_tls.h"
#include "runtime/host_tls_file.h"
#include "runtime/log.h"

enum {
    RETRY_MS = 10 /* after an accept failed for want of descriptors or memory */
};

struct door {
    struct gv_listener base;
    struct gv_poller *poller;
    struct gv_host_hall hall;
    nng_stream_listener *nng;
    nng_aio *aio;
    struct gv_post post;

    bool sleeping; /* what is in flight is a pause, not an accept */
    bool failing;  /* the last accept failed, and the log knows */
    bool closed;
    bool tls;
    char url[512];
};

static void free_door(struct door *door)
{
    /* Waits for nng's poll thread to let go of the socket, some microseconds. */
    nng_stream_listener_free(door->nng);
    nng_aio_reap(door->aio);
    gv_host_release(door->poller);
    free(door);
}

static void accept_next(struct door *door, bool after_pause)
{
    door->sleeping = after_pause;
    if (after_pause)
        nng_sleep_aio(RETRY_MS, door->aio);
    else
        nng_stream_listener_accept(door->nng, door->aio);
}

/* Tells the log of the first of several failures in a row. */
static void note_failure(struct door *door, int rv)
{
    if (door->failing)
        return;
    door->failing = true;
    gv_log(GV_LOG_ERROR, "listener.failing",
           "why=\"%s\" advice=\"it tries on; raise ulimit -n, or close some\"", nng_strerror(rv));
}

static void on_accepted(void *owner)
{
    struct door *door = owner;
    int rv = nng_aio_result(door->aio);
    nng_stream *nng = NULL;

    if (rv == 0 && !door->sleeping)
        nng = nng_aio_get_output(door->aio, 0);
    if (door->closed) {
        if (nng != NULL) {
            nng_stream_close(nng);
            nng_stream_free(nng);
        }
        free_door(door);
        return;
    }

    /* Nothing is in flight during the upcall: a close in there leaves the freeing to us. */
    if (nng != NULL) {
        door->failing = false;
        gv_host_nng_accepted(door->poller, nng, &door->hall, door->tls);
    } else if (rv != 0) {
        note_failure(door, rv);
    }
    if (door->closed)
        free_door(door);
    else
        accept_next(door, nng == NULL && !door->sleeping);
}

static void completed(void *argument)
{
    struct door *door = argument;

    gv_host_post(door->poller, &door->post);
}

/* What a listener of this kind must be told before it listens. */
static int set_up(struct door *door)
{
    nng_tls_config *config;
    int rc;

    if (!door->tls)
        return gv_host_nng_error(
            nng_stream_listener_set_int(door->nng, NNG_OPT_IPC_PERMISSIONS, 0600));
    rc = gv_host_tls_config(NULL, door->hall.events->tls, &config);
    if (rc != 0)
        return rc;
    rc = gv_host_nng_error(nng_stream_listener_set_ptr(door->nng, NNG_OPT_TLS_CONFIG, config));
    nng_tls_config_free(config); /* The listener holds it. */
    return rc;
}

static int open_nng(struct door *door, const char *url)
{
    int rc = door->tls ? gv_host_tls_start() : 0;

    if (rc == 0)
        rc = gv_host_nng_error(nng_stream_listener_alloc(&door->nng, url));
    if (rc == 0)
        rc = set_up(door);
    if (rc == 0)
        rc = gv_host_nng_error(nng_stream_listener_listen(door->nng));
    if (rc == 0)
        rc = gv_host_nng_error(nng_aio_alloc(&door->aio, completed, door));
    if (rc != 0 && door->nng != NULL)
        nng_stream_listener_free(door->nng);
    return rc;
}

/* With the port that the kernel chose, if it was asked to. */
static void url_of(const struct gv_listener *listener, char *url, size_t room)
{
    const struct door *door = (const struct door *)listener;
    const char *colon = strrchr(door->url, ':');
    int port = 0;

    if (!door->tls || nng_stream_listener_get_int(door->nng, NNG_OPT_TCP_BOUND_PORT, &port) != 0)
        (void)snprintf(url, room, "%s", door->url); /* Cut if there is no room for it. */
    else
        (void)snprintf(url, room, "%.*s:%d", (int)(colon - door->url), door->url, port);
}

static void close_door(struct gv_listener *listener)
{
    struct door *door = (struct door *)listener;

    gv_assert(!door->closed);
    door->closed = true;
    gv_host_hall_close(&door->hall);
    nng_stream_listener_close(door->nng);
    nng_aio_cancel(door->aio); /* if it sleeps */
}

int gv_host_nng_listen(struct gv_poller *poller, const char *url,
                       const struct gv_listen_events *events, void *owner,
                       struct gv_listener **listener)
{
    struct door *opened;
    int rc;

    gv_host_nng_start();
    opened = calloc(1, sizeof(*opened));
    if (opened == NULL)
        return -ENOMEM;
    opened->tls = strncmp(url, "tls", 3) == 0;
    opened->hall.events = events;
    opened->hall.owner = owner;
    (void)snprintf(opened->url, sizeof opened->url, "%s", url); /* It was checked. */
    rc = open_nng(opened, url);
    if (rc != 0) {
        free(opened);
        return rc;
    }

    opened->base.close = close_door;
    opened->base.url = url_of;
    opened->poller = poller;
    opened->post = (struct gv_post){NULL, on_accepted, opened};
    gv_host_hold(poller);
    accept_next(opened, false);
    *listener = &opened->base;
    return 0;
}
