#include "sim/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault.h"
#include "sim/poller.h"
#include "sim/process.h"
#include "sim/stream.h"
#include "sim/world.h"

struct gv_sim_offer {
    struct gv_sim_offer *next;
    struct gv_listener *listener;
    struct gv_stream *stream;
};

static struct gv_listener *find_in(const struct gv_process *process, const char *url)
{
    for (struct gv_listener *listener = process->listeners; listener != NULL;
         listener = listener->next)
        if (strcmp(listener->url, url) == 0)
            return listener;
    return NULL;
}

struct gv_listener *gv_sim_listener_find(const char *url)
{
    return gv_sim_process_first(find_in, url);
}

/* Its owner decides in the upcall what becomes of the stream. */
static void accept_offer(void *object)
{
    struct gv_sim_offer *offer = object, **place = &offer->listener->offers;
    struct gv_listener *listener = offer->listener;
    struct gv_stream *stream = offer->stream;

    while (*place != offer)
        place = &(*place)->next;
    *place = offer->next;
    free(offer);
    listener->events->accepted(listener->owner, stream);
}

void gv_sim_listener_offer(struct gv_listener *listener, struct gv_stream *stream)
{
    struct gv_sim_offer *offer = malloc(sizeof *offer);

    if (offer == NULL)
        gv_sim_crash("no memory for a connection");
    *offer = (struct gv_sim_offer){listener->offers, listener, stream};
    listener->offers = offer;
    gv_sim_post(listener->poller, gv_sim_travel_ns(), accept_offer, offer);
}

int gv_sim_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                  void *owner, struct gv_listener **result)
{
    struct gv_listener *listener;

    if (gv_sim_listener_find(url) != NULL)
        return -EADDRINUSE;
    listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return -ENOMEM;
    listener->poller = poller;
    listener->events = events;
    listener->owner = owner;
    if (snprintf(listener->url, sizeof listener->url, "%s", url) >= (int)sizeof listener->url) {
        free(listener);
        return -ENAMETOOLONG;
    }
    listener->next = poller->process->listeners;
    poller->process->listeners = listener;
    poller->n_objects++;
    *result = listener;
    return 0;
}

void gv_sim_listener_close(struct gv_listener *listener)
{
    struct gv_listener **place = &listener->poller->process->listeners;

    while (*place != listener)
        place = &(*place)->next;
    *place = listener->next;
    listener->poller->n_objects--;
    while (listener->offers != NULL) {
        struct gv_sim_offer *offer = listener->offers;

        listener->offers = offer->next;
        gv_sim_cancel(listener->poller, offer);
        gv_sim_stream_close(offer->stream);
        free(offer);
    }
    free(listener);
}
