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

#define PAUSE_NS   UINT64_C(1000000) /* between two looks whether a paused listener goes on */
#define FIRST_PORT 40000u            /* that is chosen for port 0 */

struct gv_sim_offer {
    struct gv_sim_offer *next;
    struct gv_listener *listener;
    struct gv_stream *stream;
};

/* True if who dials `to` comes to who listens at `at`: tcp://0.0.0.0:P and tcp://[::]:P mean any address. */
static bool reaches(const char *at, const char *to)
{
    const char *port = strrchr(at, ':'), *port_to = strrchr(to, ':');

    if (strcmp(at, to) == 0)
        return true;
    return (strncmp(at, "tcp://0.0.0.0:", 14) == 0 || strncmp(at, "tcp://[::]:", 11) == 0)
           && strncmp(to, "tcp://", 6) == 0 && strcmp(port, port_to) == 0;
}

static struct gv_listener *find_in(const struct gv_process *process, const char *url)
{
    for (struct gv_listener *listener = process->listeners; listener != NULL;
         listener = listener->next)
        if (reaches(listener->url, url))
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

    if (listener->paused) {
        gv_sim_post(listener->poller, gv_sim_travel_ns() + PAUSE_NS, accept_offer, offer);
        return;
    }
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

/* Port 0 is the first that is free. */
static const char *choose_port(const char *url, char *chosen, size_t room)
{
    const char *port = strrchr(url, ':');

    if (strncmp(url, "tcp://", 6) != 0 || strcmp(port, ":0") != 0)
        return url;
    for (unsigned k = FIRST_PORT; k < FIRST_PORT + 1000; k++) {
        (void)snprintf(chosen, room, "%.*s:%u", (int)(port - url), url,
                       k); /* It fits, or is cut. */
        if (gv_sim_listener_find(chosen) == NULL)
            break;
    }
    return chosen;
}

void gv_sim_listener_pause(struct gv_listener *listener, bool pause)
{
    listener->paused = pause;
}

void gv_sim_listener_url(const struct gv_listener *listener, char *url, size_t room)
{
    (void)snprintf(url, room, "%s", listener->url); /* As the caller's room is. */
}

int gv_sim_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                  void *owner, struct gv_listener **result)
{
    struct gv_listener *listener;

    char chosen[sizeof listener->url];

    url = choose_port(url, chosen, sizeof chosen);
    if (gv_sim_listener_find(url) != NULL && !events->reuse_port)
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
