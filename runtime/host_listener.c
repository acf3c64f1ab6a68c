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

#include <nng/nng.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum {
    RETRY_MS = 10 /* after an accept failed for want of descriptors or memory */
};

struct gv_listener {
    struct gv_poller *poller;
    const struct gv_listen_events *events;
    void *owner;
    nng_stream_listener *nng;
    nng_aio *aio;
    struct gv_post post;

    bool sleeping; /* what is in flight is a pause, not an accept */
    bool failing;  /* the last accept failed, and the log knows */
    bool closed;
};

static void free_listener(struct gv_listener *listener)
{
    /* Waits for nng's poll thread to let go of the socket, some microseconds. */
    nng_stream_listener_free(listener->nng);
    nng_aio_reap(listener->aio);
    gv_host_release(listener->poller);
    free(listener);
}

static void accept_next(struct gv_listener *listener, bool after_pause)
{
    listener->sleeping = after_pause;
    if (after_pause)
        nng_sleep_aio(RETRY_MS, listener->aio);
    else
        nng_stream_listener_accept(listener->nng, listener->aio);
}

/* Tells the log of the first of several failures in a row. */
static void note_failure(struct gv_listener *listener, int rv)
{
    char line[128];
    int n;

    if (listener->failing)
        return;
    listener->failing = true;
    n = snprintf(line, sizeof(line), "a listener cannot accept: %s; it tries on", nng_strerror(rv));
    gv_assert(n > 0 && (size_t)n < sizeof(line));
    gv_host_log_write(NULL, line, (size_t)n);
}

static void on_accepted(void *owner)
{
    struct gv_listener *listener = owner;
    int rv = nng_aio_result(listener->aio);
    nng_stream *nng = NULL;

    if (rv == 0 && !listener->sleeping)
        nng = nng_aio_get_output(listener->aio, 0);
    if (listener->closed) {
        if (nng != NULL) {
            nng_stream_close(nng);
            nng_stream_free(nng);
        }
        free_listener(listener);
        return;
    }

    /* Nothing is in flight during the upcall: a close in there leaves the freeing to us. */
    if (nng != NULL) {
        listener->failing = false;
        gv_host_stream_accepted(listener->poller, nng, listener->events, listener->owner);
    } else if (rv != 0) {
        note_failure(listener, rv);
    }
    if (listener->closed)
        free_listener(listener);
    else
        accept_next(listener, nng == NULL && !listener->sleeping);
}

static void completed(void *argument)
{
    struct gv_listener *listener = argument;

    gv_host_post(listener->poller, &listener->post);
}

static int open_nng(struct gv_listener *listener, const char *url)
{
    int rv = nng_stream_listener_alloc(&listener->nng, url);

    if (rv == 0)
        rv = nng_stream_listener_set_int(listener->nng, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (rv == 0)
        rv = nng_stream_listener_listen(listener->nng);
    if (rv == 0)
        rv = nng_aio_alloc(&listener->aio, completed, listener);
    if (rv != 0 && listener->nng != NULL)
        nng_stream_listener_free(listener->nng);
    return gv_host_nng_error(rv);
}

int gv_host_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                   void *owner, struct gv_listener **listener)
{
    struct gv_listener *opened;
    int rc = gv_host_nng_check(url);

    if (rc != 0)
        return rc;
    gv_host_nng_start();
    opened = calloc(1, sizeof(*opened));
    if (opened == NULL)
        return -ENOMEM;
    rc = open_nng(opened, url);
    if (rc != 0) {
        free(opened);
        return rc;
    }

    opened->poller = poller;
    opened->events = events;
    opened->owner = owner;
    opened->post = (struct gv_post){NULL, on_accepted, opened};
    gv_host_hold(poller);
    accept_next(opened, false);
    *listener = opened;
    return 0;
}

void gv_host_listener_close(struct gv_listener *listener)
{
    gv_assert(!listener->closed);
    listener->closed = true;
    nng_stream_listener_close(listener->nng);
    nng_aio_cancel(listener->aio); /* if it sleeps */
}
