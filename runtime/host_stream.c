/*
 * Streams and listeners: which kind a URL asks for, and the way from the
 * functions of the env to those of the kind.
 *
 *     unix:///path, tcp://NUMBER:PORT   sockets of our own, on the poller's thread
 *     ipc:///path, tls+tcp://HOST:PORT  nng's streams, the latter encrypted, with the name of the peer
 *
 * All pass the same tests, and a pool's workers can be had over each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/log.h"

enum {
    /* The room for a path in a socket's address. */
    PATH_BYTES_MAX = 107,
    HOST_BYTES_MAX = 253,
    PORT_MAX = 65535
};

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool is_socket(const char *url)
{
    return !begins_with(url, "ipc:") && !begins_with(url, "tls+tcp:");
}

static int refuse(int error, const char *url, const char *why)
{
    gv_log(GV_LOG_ERROR, "stream.refused", "url=%.150s why=\"%s\"", url, why);
    return error;
}

/* A host is what fits into a name of the net, or a number in brackets if it has colons. */
static bool is_host_and_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t n_host = colon != NULL ? (size_t)(colon - text) : 0;
    char *end;

    if (n_host == 0 || n_host > HOST_BYTES_MAX || colon[1] < '0' || colon[1] > '9')
        return false;
    if (text[0] == '[' ? colon[-1] != ']' : memchr(text, ':', n_host) != NULL)
        return false;
    return strtoul(colon + 1, &end, 10) <= PORT_MAX && *end == '\0';
}

int gv_host_url_check(const char *url)
{
    struct gv_host_address address;

    if (begins_with(url, "tcp://"))
        return gv_host_address_read(url, &address) == 0
                   ? 0
                   : refuse(-EINVAL, url, "it must be tcp://NUMBER:PORT");
    if (begins_with(url, "tls+tcp://"))
        return is_host_and_port(url + strlen("tls+tcp://"))
                   ? 0
                   : refuse(-EINVAL, url, "it must be tls+tcp://HOST:PORT");
    if (!begins_with(url, "unix://") && !begins_with(url, "ipc://"))
        return refuse(
            -EPROTONOSUPPORT, url,
            "only unix:///path, tcp://NUMBER:PORT, tls+tcp://HOST:PORT and ipc:///path can "
            "be reached");

    const char *path = strstr(url, "//") + 2;

    if (path[0] != '/')
        return refuse(-EINVAL, url, "the path must begin with /");
    if (strlen(path) > PATH_BYTES_MAX)
        return refuse(-ENAMETOOLONG, url, "the path is too long for a socket");
    return 0;
}

int gv_host_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                   void *owner, struct gv_listener **listener)
{
    int rc = gv_host_url_check(url);

    if (rc != 0)
        return rc;
    return is_socket(url) ? gv_host_socket_listen(poller, url, events, owner, listener)
                          : gv_host_nng_listen(poller, url, events, owner, listener);
}

void gv_host_listener_pause(struct gv_listener *listener, bool pause)
{
    if (listener->pause != NULL)
        listener->pause(listener, pause);
}

void gv_host_listener_url(const struct gv_listener *listener, char *url, size_t room)
{
    url[0] = '\0';
    if (listener->url != NULL)
        listener->url(listener, url, room);
}

void gv_host_listener_close(struct gv_listener *listener)
{
    listener->close(listener);
}

int gv_host_dial(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                 void *owner, struct gv_stream **stream)
{
    int rc = gv_host_url_check(url);

    if (rc != 0)
        return rc;
    return is_socket(url) ? gv_host_socket_dial(poller, url, events, owner, stream)
                          : gv_host_nng_dial(poller, url, events, owner, stream);
}

void gv_host_stream_adopt(struct gv_stream *stream, const struct gv_stream_events *events,
                          void *owner)
{
    stream->kind->adopt(stream, events, owner);
}

void gv_host_stream_identity(const struct gv_stream *stream, struct gv_identity *identity)
{
    stream->kind->identity(stream, identity);
}

void gv_host_stream_pause(struct gv_stream *stream)
{
    stream->kind->pause(stream);
}

void gv_host_stream_resume(struct gv_stream *stream)
{
    stream->kind->resume(stream);
}

int gv_host_stream_write(struct gv_stream *stream, const void *bytes, size_t n_bytes)
{
    return stream->kind->write(stream, bytes, n_bytes);
}

ssize_t gv_host_stream_try_write(struct gv_stream *stream, const void *bytes, size_t n_bytes)
{
    return stream->kind->try_write != NULL ? stream->kind->try_write(stream, bytes, n_bytes) : 0;
}

int gv_host_stream_shutdown(struct gv_stream *stream)
{
    return stream->kind->shutdown != NULL ? stream->kind->shutdown(stream) : -EPROTONOSUPPORT;
}

void gv_host_stream_close(struct gv_stream *stream)
{
    stream->kind->close(stream);
}
