/*
 * Watches: readiness of descriptors that are not ours, by uv_poll. One
 * watch per descriptor and poller, as libuv has it.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/assert.h"
#include "runtime/host.h"

struct gv_watch {
    struct gv_poller *poller;
    struct gv_watch_options asked;
    uv_poll_t poll;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct gv_watch *watch = poll->data;
    const struct gv_watch_options *asked = &watch->asked;

    /* A descriptor in error is ready for what was asked: trying it tells the owner why. */
    if (status < 0)
        asked->ready(asked->owner, asked->readable, asked->writable);
    else
        asked->ready(asked->owner, (events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_watch *watch = handle->data;

    gv_host_release(watch->poller);
    free(watch);
}

int gv_host_watch_open(struct gv_poller *poller, const struct gv_watch_options *options,
                       struct gv_watch **watch)
{
    int events = (options->readable ? UV_READABLE : 0) | (options->writable ? UV_WRITABLE : 0);
    struct gv_watch *opened;
    int rc;

    gv_assert(events != 0);
    opened = calloc(1, sizeof(*opened));
    if (opened == NULL)
        return -ENOMEM;
    rc = uv_poll_init(&poller->loop, &opened->poll, options->fd);
    if (rc != 0) {
        free(opened);
        return rc;
    }
    opened->poller = poller;
    opened->asked = *options;
    opened->poll.data = opened;
    gv_host_hold(poller);

    rc = uv_poll_start(&opened->poll, events, on_ready);
    gv_assert(rc == 0); /* it fails for closing handles only */
    *watch = opened;
    return 0;
}

void gv_host_watch_close(struct gv_watch *watch)
{
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}
