/* See host_ends.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/runtime/host_ends.h"

static char directory[] = "/tmp/grove-test-XXXXXX";
char path[64];
char url[80];

/* --- an end that counts ----------------------------------------------------------------------- */

uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 11));
}

static void on_connected(void *owner)
{
    struct end *end = owner;

    end->connected = true;
}

static void on_received(void *owner, const uint8_t *bytes, size_t n_bytes)
{
    struct end *end = owner;

    end->n_received++;
    for (size_t i = 0; i < n_bytes; i++)
        end->n_wrong += bytes[i] != pattern(end->n_bytes + i);
    end->n_bytes += n_bytes;
    if (end->echo) {
        memcpy(end->echoed, bytes, n_bytes);
        end->n_wrong += env->stream_write(end->stream, end->echoed, n_bytes) != 0;
    }
    if (end->pause_after_first)
        env->stream_pause(end->stream);
    if (end->close_in_received)
        env->stream_close(end->stream);
}

static void on_written(void *owner)
{
    struct end *end = owner;

    end->n_written++;
}

static void on_closed(void *owner, int error)
{
    struct end *end = owner;

    end->n_closed++;
    end->error = error;
    end->stream = NULL;
}

const struct gv_stream_events end_events = {
    .connected = on_connected,
    .received = on_received,
    .written = on_written,
    .closed = on_closed,
};

/* --- a listener that adopts into one end ------------------------------------------------------- */

static void on_accepted(void *owner, struct gv_stream *stream)
{
    struct door *door = owner;

    door->n_accepted++;
    env->stream_identity(stream, &door->identity);
    if (door->close_in_accepted)
        env->listener_close(door->listener);
    if (door->end == NULL) {
        env->stream_close(stream);
        return;
    }
    door->end->stream = stream;
    env->stream_adopt(stream, &end_events, door->end);
    door->end = NULL;
}

const struct gv_listen_events door_events = {.accepted = on_accepted};

void open_door(struct door *door, struct end *end)
{
    *door = (struct door){.end = end};
    assert_int_equal(env->listen(poller, url, &door_events, door, &door->listener), 0);
}

void dial(struct end *end)
{
    assert_int_equal(env->dial(poller, url, &end_events, end, &end->stream), 0);
}

void close_end(struct end *end)
{
    env->stream_close(end->stream);
    assert_int_equal(end->n_closed, 0);
    POLL_UNTIL(end->n_closed > 0);
}

int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* Not blocking: it is us who would have to make room in a full backlog. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        assert_int_equal(errno, EAGAIN);
        env->poller_poll(poller, 1000000);
    }
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

/* --- the folder ------------------------------------------------------------------------------ */

int open_folder(void **state)
{
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/s", directory);
    (void)snprintf(url, sizeof(url), "%s://%s",
                   getenv("TEST_SCHEME") != NULL ? getenv("TEST_SCHEME") : "unix", path);
    return open_world(state);
}

int close_folder(void **state)
{
    if (close_world(state) != 0)
        return -1;
    return rmdir(directory);
}
