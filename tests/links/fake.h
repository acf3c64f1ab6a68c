/*
 * A world of two streams in memory, for links alone: time stands still until
 * it is set, bytes arrive in portions of a chosen size, log lines are
 * counted.
 */
#ifndef TESTS_LINKS_FAKE_H
#define TESTS_LINKS_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/link.h"
#include "runtime/env.h"

#define FAKE_BYTES_MAX ((size_t)64 << 20)

/* One end. What it writes arrives at its peer, or is kept if it has none. */
struct gv_stream {
    const struct gv_stream_events *events;
    void *owner;
    struct gv_stream *peer;
    const uint8_t *writing;
    size_t n_writing;
    struct gv_bytes kept; /* what it wrote, without a peer */
    bool closing, closed;
    bool dialled, connected;
};

struct fake {
    struct gv_env env;
    uint64_t now_ns;
    unsigned n_lines;   /* logged */
    char line[512];     /* the last one */
    size_t portion;     /* bytes of one arrival; 0: all at once */
    struct gv_stream a; /* what dial gives */
    struct gv_stream b; /* to be accepted */
};

extern struct fake fake;

/* Begins anew: no peer, nothing written. Log records come here from now on. */
void fake_reset(void);

/* Lets everything happen that is due: connections, arrivals, written, closed. */
void fake_run(void);

/* Bytes arrive at this end, in portions. */
void fake_feed(struct gv_stream *stream, const uint8_t *bytes, size_t n_bytes);

#endif
