/*
 * Link: one connection that speaks frames.
 *
 *     dialler    DIALLING ──connected──▶ GREETING ──WELCOME came──▶ READY ─┐
 *     listener                           GREETING ──welcome sent──▶ READY ─┤
 *                                            │                             │
 *                          CLOSED ◀── CLOSING ◀── close, or the rules broken
 *
 * Both sides begin with the preface. The dialler sends HELLO, the listener
 * judges it, may ask for SCHEMAs, and sends WELCOME. Then frames go both
 * ways, of the types that the class of the peer allows.
 *
 * Outgoing frames are appended to one buffer; gv_link_flush hands all of it
 * to the stream as one write, and one write is in flight. Bodies over the
 * frame maximum are cut into CHUNKs and put together again at the other
 * side. Data frames (CALL, REPLY, ITEM, CHUNK) take their bytes from the
 * peer's window, which the peer refills by CREDIT; what does not fit is held
 * back here. All else passes by.
 *
 * Where a peer can vanish without a word, both sides beat: each asks by PING
 * once an interval, and whoever has heard nothing at all for two of them in a
 * row closes the link: at most three intervals after its last byte.
 *
 * A peer that breaks a rule is dropped: one log line says why, the stream is
 * closed. A peer that merely goes away is not worth a line.
 *
 * The link stands on an env and a poller alone, so that a pool, a worker
 * process and a simulation run this very code. All upcalls come from inside
 * poller_poll; none comes from inside a function of the link but for flush
 * and tick, which may drop. It lies in memory of its owner, who keeps it
 * until `closed`.
 *
 * Always: what a header announces is checked before memory is taken for it;
 * after CLOSING no upcall but `closed` comes.
 */
#ifndef GV_LINK_H
#define GV_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grove/link.pb-c.h"
#include "links/frame.h"
#include "links/peer.h"
#include "runtime/env.h"

#define GV_LINK_PROTOCOL       1u
#define GV_LINK_GREETING_NS    (UINT64_C(3) * 1000000000) /* from the connection to READY */
#define GV_LINK_HALF_FRAME_NS  (UINT64_C(5) * 1000000000) /* of silence within a frame */
#define GV_LINK_WINDOW         (UINT64_C(1) << 20)        /* bytes of data frames under way */
#define GV_LINK_MESSAGE_MAX    ((size_t)16 << 20)         /* of a body, however it was cut */
#define GV_LINK_ASSEMBLIES_MAX 16u                        /* bodies that arrive in parts at once */

enum gv_link_state {
    GV_LINK_DIALLING,
    GV_LINK_GREETING,
    GV_LINK_READY,
    GV_LINK_CLOSING,
    GV_LINK_CLOSED,
};

struct gv_link;

/* Each that returns text says why the peer is dropped, NULL if it is not; the text is lent for ever. */
struct gv_link_events {
    /* Dialler: the stream is up. Call gv_link_hello. */
    void (*connected)(void *owner);
    /* Listener: who it is and what it can. Call gv_link_welcome, now or later. Lent. */
    const char *(*hello)(void *owner, const Grove__Link__V1__Hello *hello);
    /* Dialler: it is agreed, the link is READY. Lent. */
    const char *(*welcome)(void *owner, const Grove__Link__V1__Welcome *welcome);
    /* While greeting: a question for schemas, or the answer to ours. Lent. NULL: not expected. */
    const char *(*schema)(void *owner, const Grove__Link__V1__Schema *schema);
    /* A frame with its whole body, which is not yet validated. Lent. */
    const char *(*frame)(void *owner, const struct gv_frame *frame);
    /* Last upcall; the link's memory is the owner's again. */
    void (*closed)(void *owner);
};

/* Bytes that grow. */
struct gv_bytes {
    uint8_t *bytes;
    size_t n_bytes, room_bytes;
};

/* A body that arrives in parts. */
struct gv_assembly {
    struct gv_assembly *next;
    struct gv_frame head;
    struct gv_bytes body;
};

struct gv_link {
    const struct gv_env *env;
    const struct gv_link_events *events;
    void *owner;
    const char *name; /* of whom it belongs to, for the log; lent */
    struct gv_stream *stream;
    uint8_t state; /* enum gv_link_state */
    uint8_t class; /* enum gv_peer_class, of the link */
    bool dialled;  /* by us */
    bool dropped;  /* the peer broke a rule */
    int error;     /* CLOSED: why the stream ended, 0 or -errno */
    bool preface_came;
    bool hello_came;
    bool beats;       /* gv_link_beat is called: a PONG is no news */
    bool heard;       /* some byte came since the last beat */
    bool silent;      /* that is why it was closed */
    uint8_t n_silent; /* beats in a row that had heard nothing */
    bool urgent; /* out holds what the peer may wait for: credit, a PONG, what it gave room to */
    bool flush_wanted;  /* a flush came while a write was in flight */
    uint32_t frame_max; /* of `length`, agreed at the greeting */
    uint64_t due_ns;    /* when patience ends, 0 = never */

    uint32_t in_number;  /* of the next frame that comes, see frame.h */
    uint32_t out_number; /* and of the next one that is put into `out` */

    struct gv_bytes in; /* the begin of a frame whose rest has not come */
    struct gv_assembly *assemblies;
    uint32_t n_assemblies;
    uint64_t in_window; /* data bytes that the peer may still send */
    uint64_t in_taken;  /* data bytes not yet given back to it */

    struct gv_bytes out;     /* filled now */
    struct gv_bytes writing; /* in flight */
    struct gv_bytes held;    /* data frames beyond the window */
    size_t held_from;        /* where its first frame begins */
    uint64_t out_window;     /* data bytes that we may still send */
    uint64_t out_window_max; /* as was agreed */
    uint64_t mark;           /* of the owner: set it after sending; see gv_link_written */
    uint64_t writing_mark;
    uint64_t written_mark;
};

struct gv_link_options {
    const struct gv_env *env;
    const struct gv_link_events *events;
    void *owner;
    const char *name;
    enum gv_peer_class class;
};

/* --- life --------------------------------------------------------------------------------------- */

/* Begins a link on a stream that a listener has accepted, which it takes. */
void gv_link_accept(struct gv_link *link, const struct gv_link_options *options,
                    struct gv_stream *stream);

/* Dials. On 0 `connected` or `closed` follows, else there is no link: -errno. */
int gv_link_dial(struct gv_link *link, const struct gv_link_options *options,
                 struct gv_poller *poller, const char *url);

/* Ends it without a word; `closed` follows from inside a poll. Nothing happens if it ends already. */
void gv_link_close(struct gv_link *link);

/* Drops a peer for why, with the one log line, and ends. */
void gv_link_drop(struct gv_link *link, const char *why);

/* Drops the peer if it was silent too long. Call it when due_ns has come, or now and then. */
void gv_link_tick(struct gv_link *link, uint64_t now_ns);

/*
 * Once an interval, from READY on: asks the peer for a sign of life, or closes
 * the link, `silent`, when it has given none for two intervals. Nothing is
 * said of it: the owner knows better what it means.
 */
void gv_link_beat(struct gv_link *link);

/* --- greeting ----------------------------------------------------------------------------------- */

/* Sends the dialler's HELLO; class, versions and bounds are filled in here. */
int gv_link_hello(struct gv_link *link, Grove__Link__V1__Hello *hello);

/* Sends the listener's WELCOME, its bounds filled in here; the link is READY. */
int gv_link_welcome(struct gv_link *link, Grove__Link__V1__Welcome *welcome);

/* Sends a SCHEMA. */
int gv_link_schema(struct gv_link *link, const Grove__Link__V1__Schema *schema);

/* --- sending ------------------------------------------------------------------------------------ */

/*
 * Appends a frame of frame->type … hops_lane with this body. It leaves at
 * the next flush. Returns 0, GROVE_ETOOBIG, GROVE_ENOMEM, or GROVE_EDOWN when
 * the link is ending.
 */
int gv_link_send(struct gv_link *link, const struct gv_frame *frame, const uint8_t *body,
                 size_t body_bytes);

/* Writes what was sent, unless a write is in flight: then it follows when that has left. */
void gv_link_flush(struct gv_link *link);

/* Bytes that were sent and have not left this process. */
static inline size_t gv_link_unwritten(const struct gv_link *link)
{
    return link->out.n_bytes + link->writing.n_bytes + link->held.n_bytes - link->held_from;
}

/* The newest `mark` all of whose bytes have been handed to the kernel. */
static inline uint64_t gv_link_written(const struct gv_link *link)
{
    return link->written_mark;
}

/* --- between the files of the link ---------------------------------------------------------------- */

/* Makes room for n_bytes more. Returns false when memory is short. */
bool gv_bytes_grow(struct gv_bytes *bytes, size_t n_bytes);
void gv_bytes_free(struct gv_bytes *bytes);

/* True for the types that use the window, and may be cut into parts. */
static inline bool gv_link_is_data(uint8_t type)
{
    return type == GV_FRAME_CALL || type == GV_FRAME_REPLY || type == GV_FRAME_ITEM;
}

/* The stream's upcalls for what comes in and what has left. */
void gv_link_received(void *owner, const uint8_t *bytes, size_t n_bytes);
void gv_link_has_written(void *owner);

/* The peer gave window back. */
void gv_link_refill(struct gv_link *link, uint64_t n_bytes);

/* Does what a frame of the link itself asks for, or hands it up. Returns why the peer is dropped, or NULL. */
const char *gv_link_handle(struct gv_link *link, struct gv_frame *frame);

#endif
