#include "sim/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault.h"
#include "sim/liar.h"
#include "sim/listener.h"
#include "sim/poller.h"
#include "sim/process.h"
#include "sim/thread.h"
#include "sim/world.h"

#define HELD_BACK_MS  8000u /* a liar's answer is late by up to this */
#define SPLIT_STEP_NS 200   /* between two parts of what arrived together */

enum state { DIALLING, OFFERED, OPEN, CLOSING };

struct gv_stream {
    struct gv_stream *next; /* of its process */
    struct gv_poller *poller;
    struct gv_stream *peer; /* NULL: there is no other end any more */
    const struct gv_stream_events *events;
    void *owner;
    struct gv_identity identity; /* of the other end */
    uint8_t *in;                 /* on its way to us */
    size_t n_in;
    size_t n_certain;   /* of those, arrive whatever becomes of the writer */
    const uint8_t *out; /* the write in flight, NULL if there is none; lent */
    size_t n_out;
    uint64_t out_sum;       /* of its bytes, as they were */
    int error;              /* what closed will be told */
    uint64_t held_until_ns; /* nothing arrives here before; 0: no partition */
    uint32_t spoilt;        /* kinds that befall the next write */
    struct gv_sim_liar liar;
    uint8_t state;
    bool paused;
    bool posted;       /* `arrive` is posted */
    bool room_awaited; /* `written` waits until the other end has read */
    bool out_read;     /* all of the write was read, then the peer left: it has been written */
    bool shut;         /* it writes no more, and has told its peer so */
    bool end_due;      /* its peer writes no more */
    bool end_told;     /* ended was called */
    bool broken;       /* we wrote to nobody: the end is told although we are paused */
};

static void arrive(void *object);
static void leave(void *object);

/* Between processes: what a program says to itself over TCP stays whole, as TCP keeps it. */
static bool is_link(const struct gv_stream *stream)
{
    return stream->identity.pid != stream->poller->process->pid;
}

static uint64_t sum_of(const uint8_t *bytes, size_t n_bytes)
{
    uint64_t sum = n_bytes;

    for (size_t i = 0; i < n_bytes; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* --- life --------------------------------------------------------------------------------------- */

static struct gv_stream *new_stream(struct gv_poller *poller, enum state state,
                                    const struct gv_process *other)
{
    struct gv_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        gv_sim_crash("no memory for a stream");
    stream->poller = poller;
    stream->state = (uint8_t)state;
    stream->identity = (struct gv_identity){.pid = other != NULL ? other->pid : -1, .uid = 1000};
    stream->next = poller->process->streams;
    poller->process->streams = stream;
    poller->n_objects++;
    return stream;
}

static void free_stream(struct gv_stream *stream)
{
    struct gv_stream **place = &stream->poller->process->streams;

    while (*place != stream)
        place = &(*place)->next;
    *place = stream->next;
    stream->poller->n_objects--;
    gv_sim_cancel(stream->poller, stream);
    free(stream->in);
    free(stream->liar.withheld);
    free(stream);
}

/* Tells the owner of the end, soon. */
static void finish(void *object)
{
    struct gv_stream *stream = object;

    gv_sim_note("closed", (uint64_t)stream->identity.pid, (uint64_t)(int64_t)stream->error);
    stream->state = CLOSING;
    stream->events->closed(stream->owner, stream->error);
    free_stream(stream);
}

static void post_arrival(struct gv_stream *stream, uint64_t delay_ns)
{
    if (stream->posted || stream->state != OPEN || (stream->paused && !stream->broken))
        return;
    if (stream->n_in == 0 && stream->peer != NULL && (!stream->end_due || stream->end_told))
        return;
    stream->posted = true;
    gv_sim_post(stream->poller, delay_ns, arrive, stream);
}

/* The other end is gone: what was certain, and any part of the rest, still arrives. */
static void lose_peer(struct gv_stream *stream, int error)
{
    size_t n_uncertain = stream->n_in > stream->n_certain ? stream->n_in - stream->n_certain : 0;

    stream->peer = NULL;
    stream->error = error;
    if (n_uncertain > 0)
        stream->n_in -= gv_sim_draw(GV_SIM_WORLD, (uint32_t)n_uncertain + 1);
    if (stream->out != NULL && !stream->out_read)
        stream->broken = true;
    post_arrival(stream, gv_sim_travel_ns());
}

static void part(struct gv_stream *stream, int error)
{
    struct gv_stream *peer = stream->peer;

    stream->peer = NULL;
    if (peer != NULL) {
        peer->out_read = peer->out != NULL && stream->n_in == 0;
        lose_peer(peer, error);
    }
}

void gv_sim_stream_close(struct gv_stream *stream)
{
    if (stream->state == CLOSING)
        return;
    /* Who closes with bytes unread resets the connection for the other one. */
    if (stream->n_in > 0 && stream->peer != NULL)
        gv_sim_detail(GV_SIM_RESETS);
    part(stream, stream->n_in > 0 ? -ECONNRESET : 0);
    gv_sim_cancel(stream->poller, stream);
    if (stream->events == NULL) { /* It was never adopted: nobody is to be told. */
        free_stream(stream);
        return;
    }
    stream->state = CLOSING;
    stream->error = 0;
    gv_sim_post(stream->poller, gv_sim_travel_ns(), finish, stream);
}

void gv_sim_streams_die(struct gv_process *process)
{
    while (process->listeners != NULL)
        gv_sim_listener_close(process->listeners);
    while (process->streams != NULL) {
        struct gv_stream *stream = process->streams;

        part(stream, stream->n_in > 0 ? -ECONNRESET : 0);
        free_stream(stream);
    }
}

bool gv_sim_stream_cut(struct gv_stream *stream)
{
    struct gv_stream *peer = stream->peer;

    if (peer == NULL || stream->state != OPEN || peer->state != OPEN)
        return false;
    gv_sim_note("cut", (uint64_t)stream->identity.pid, stream->n_in);
    if (stream->n_in + peer->n_in > 0)
        gv_sim_detail(GV_SIM_CUT_SHORT);
    stream->n_certain = 0;
    lose_peer(stream, -ECONNRESET);
    peer->n_certain = 0;
    lose_peer(peer, -ECONNRESET);
    return true;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* The writer may go on once the reader has made room. */
static void make_room(struct gv_stream *reader)
{
    struct gv_stream *writer = reader->peer;

    if (writer == NULL || !writer->room_awaited || reader->n_in > gv_sim_mix.room_bytes)
        return;
    writer->room_awaited = false;
    gv_sim_post(writer->poller, gv_sim_travel_ns(), leave, writer);
}

static void leave(void *object)
{
    struct gv_stream *stream = object;

    if (stream->out == NULL || (stream->peer == NULL && !stream->out_read))
        return; /* It was told already, or the end is on its way to the owner. */
    if (stream->peer != NULL)
        stream->peer->n_certain = stream->peer->n_in;
    stream->out_read = false;
    GV_SIM_CHECK(sum_of(stream->out, stream->n_out) == stream->out_sum,
                 "bytes that were lent to a write have changed");
    stream->out = NULL;
    stream->events->written(stream->owner);
}

static void deliver(struct gv_stream *stream)
{
    size_t n = stream->n_in;
    uint8_t *bytes;

    if (n > 1 && gv_sim_strikes(GROVE_SIM_SPLIT, GV_SIM_CLOCK, gv_sim_mix.split_ppm))
        n = 1 + gv_sim_draw(GV_SIM_CLOCK, (uint32_t)n);
    /* Memory of just this size, so that who reads too far is seen. */
    bytes = malloc(n);
    if (bytes == NULL)
        gv_sim_crash("no memory for bytes of a stream");
    memcpy(bytes, stream->in, n);
    stream->n_in -= n;
    memmove(stream->in, stream->in + n, stream->n_in);
    stream->n_certain = stream->n_certain > n ? stream->n_certain - n : 0;
    if (is_link(stream) && gv_sim_strikes(GROVE_SIM_FLIP, GV_SIM_WORLD, gv_sim_mix.flip_ppm))
        gv_sim_wire_spoil(GROVE_SIM_FLIP, &(struct gv_sim_bytes){bytes, n});
    gv_sim_note("received", n, sum_of(bytes, n));
    make_room(stream);
    stream->events->received(stream->owner, bytes, n);
    free(bytes);
    post_arrival(stream, SPLIT_STEP_NS);
}

/* The last byte has come: half of the stream ends, or all of it. */
static void end(struct gv_stream *stream)
{
    if (stream->out_read)
        leave(stream);
    if (stream->state != OPEN)
        return;
    if (stream->error != 0 || stream->broken || stream->events->ended == NULL) {
        finish(stream);
        return;
    }
    if (stream->end_told)
        return;
    stream->end_told = true;
    stream->events->ended(stream->owner);
}

static void arrive(void *object)
{
    struct gv_stream *stream = object;

    stream->posted = false;
    if (stream->state != OPEN || (stream->paused && !stream->broken))
        return;
    if (stream->held_until_ns > gv_sim.now_ns) {
        stream->posted = true;
        gv_sim_post(stream->poller, stream->held_until_ns - gv_sim.now_ns, arrive, stream);
        return;
    }
    if (stream->peer != NULL && stream->peer->state == OPEN
        && gv_sim_strikes(GROVE_SIM_CUT, GV_SIM_WORLD, gv_sim_mix.cut_ppm))
        (void)gv_sim_stream_cut(stream); /* There is a peer. */
    else if (stream->n_in > 0)
        deliver(stream);
    else if (stream->peer == NULL || stream->end_due)
        end(stream);
}

static void append(struct gv_stream *peer, const uint8_t *bytes, size_t n_bytes)
{
    uint8_t *in = realloc(peer->in, peer->n_in + n_bytes + 1);

    if (in == NULL)
        gv_sim_crash("no memory for bytes of a stream");
    if (n_bytes > 0)
        memcpy(in + peer->n_in, bytes, n_bytes);
    peer->in = in;
    peer->n_in += n_bytes;
    post_arrival(peer, gv_sim_travel_ns());
}

/* What a liar held back leaves. */
static void release(void *object)
{
    struct gv_stream *stream = object;
    struct gv_sim_bytes late = gv_sim_liar_release(&stream->liar);

    if (stream->peer != NULL && stream->state == OPEN)
        append(stream->peer, late.bytes, late.n);
    free(late.bytes);
}

/* What a child says: the truth, or not. */
static void lie(struct gv_stream *stream, struct gv_sim_bytes *write)
{
    struct gv_process *process = stream->poller->process;
    bool held_back = stream->liar.withheld != NULL;

    process->phase = process->phase == GV_SIM_UNBORN ? GV_SIM_IDLE : process->phase;
    if (gv_sim_may(GROVE_SIM_LIE) && gv_sim_happens(GV_SIM_WORLD, gv_sim_mix.lie_ppm))
        process->lie_next = true;
    if (process->lie_next && gv_sim_liar_lie(&stream->liar, write)) {
        gv_sim_struck(GROVE_SIM_LIE);
        gv_sim_note("lies", (uint64_t)process->pid, write->n);
        process->lie_next = false;
        if (stream->liar.withheld != NULL && !held_back)
            gv_sim_post(stream->poller, gv_sim_draw(GV_SIM_WORLD, HELD_BACK_MS) * UINT64_C(1000000),
                        release, stream);
    }
    gv_sim_liar_number(&stream->liar, write);
}

/* From one end to the other, through all that may befall bytes. */
static void carry(struct gv_stream *stream, const uint8_t *bytes, size_t n_bytes)
{
    const struct gv_sim_mix *mix = &gv_sim_mix;
    struct gv_sim_bytes write = {malloc(n_bytes), n_bytes};

    if (write.bytes == NULL)
        gv_sim_crash("no memory for bytes of a stream");
    memcpy(write.bytes, bytes, n_bytes);
    if (stream->poller->process->parent != NULL)
        lie(stream, &write);
    if (is_link(stream) && gv_sim_strikes(GROVE_SIM_LOSE, GV_SIM_WORLD, mix->lose_ppm))
        stream->spoilt |= GROVE_SIM_BIT(GROVE_SIM_LOSE);
    if (is_link(stream) && gv_sim_strikes(GROVE_SIM_DOUBLE, GV_SIM_WORLD, mix->double_ppm))
        stream->spoilt |= GROVE_SIM_BIT(GROVE_SIM_DOUBLE);
    if (is_link(stream) && gv_sim_strikes(GROVE_SIM_REORDER, GV_SIM_WORLD, mix->reorder_ppm))
        stream->spoilt |= GROVE_SIM_BIT(GROVE_SIM_REORDER);
    for (unsigned kind = 0; kind < GROVE_SIM_FAULTS; kind++) {
        if (stream->spoilt & GROVE_SIM_BIT(kind))
            gv_sim_wire_spoil((enum grove_sim_fault)kind, &write);
    }
    stream->spoilt = 0;
    append(stream->peer, write.bytes, write.n);
    free(write.bytes);
}

/* --- partitions ------------------------------------------------------------------------------------- */

static void hold(struct gv_stream *stream, uint64_t until_ns)
{
    if (stream != NULL && stream->held_until_ns < until_ns)
        stream->held_until_ns = until_ns;
}

void gv_sim_stream_part(struct gv_stream *stream)
{
    uint64_t until_ns =
        gv_sim.now_ns
        + (1 + gv_sim_draw(GV_SIM_WORLD, gv_sim_mix.partition_ms)) * UINT64_C(1000000);
    uint32_t ways = 1 + gv_sim_draw(GV_SIM_WORLD, 3);

    gv_sim_note("partition", (uint64_t)stream->identity.pid, ways);
    gv_sim_detail(ways == 3 ? GV_SIM_PARTED_BOTH_WAYS : GV_SIM_PARTED_ONE_WAY);
    if (ways & 1)
        hold(stream, until_ns);
    if (ways & 2)
        hold(stream->peer, until_ns);
}

static void calm(struct gv_process *process)
{
    process->lie_next = false;
    for (struct gv_stream *stream = process->streams; stream != NULL; stream = stream->next) {
        stream->spoilt = 0;
        if (stream->held_until_ns <= gv_sim.now_ns)
            continue;
        stream->held_until_ns = 0;
        gv_sim_detail(GV_SIM_HEALED);
        if (stream->state == OPEN)
            gv_sim_post(stream->poller, SPLIT_STEP_NS, arrive, stream);
    }
}

void gv_sim_streams_calm(void)
{
    gv_sim_process_each(calm);
}

void gv_sim_stream_spoil(struct gv_stream *stream, enum grove_sim_fault kind)
{
    stream->spoilt |= GROVE_SIM_BIT(kind);
}

int gv_sim_stream_write(struct gv_stream *stream, const void *bytes, size_t n_bytes)
{
    struct gv_stream *peer = stream->peer;

    if (stream->state == CLOSING)
        return -EPIPE;
    if (stream->state != OPEN)
        return -ENOTCONN;
    if (stream->shut)
        return -EPIPE;
    if (stream->out != NULL)
        return -EBUSY;
    stream->out = bytes;
    stream->n_out = n_bytes;
    stream->out_sum = sum_of(bytes, n_bytes);
    if (peer == NULL) {
        stream->broken = true;
        if (stream->end_told)
            stream->error = -EPIPE;
        post_arrival(stream, gv_sim_travel_ns());
        return 0;
    }
    if (n_bytes > 0) {
        carry(stream, bytes, n_bytes);
        if (gv_sim_strikes(GROVE_SIM_PARTITION, GV_SIM_WORLD, gv_sim_mix.partition_ppm))
            gv_sim_stream_part(stream);
    }
    stream->room_awaited = true;
    make_room(peer);
    return 0;
}

int gv_sim_stream_shutdown(struct gv_stream *stream)
{
    if (stream->state != OPEN)
        return -ENOTCONN;
    stream->shut = true;
    if (stream->peer != NULL) {
        stream->peer->end_due = true;
        post_arrival(stream->peer, gv_sim_travel_ns());
    }
    return 0;
}

void gv_sim_stream_pause(struct gv_stream *stream)
{
    stream->paused = true;
}

void gv_sim_stream_resume(struct gv_stream *stream)
{
    stream->paused = false;
    post_arrival(stream, SPLIT_STEP_NS);
}

void gv_sim_stream_identity(const struct gv_stream *stream, struct gv_identity *identity)
{
    *identity = stream->identity;
}

/* --- meeting ---------------------------------------------------------------------------------------- */

void gv_sim_stream_adopt(struct gv_stream *stream, const struct gv_stream_events *events,
                         void *owner)
{
    stream->events = events;
    stream->owner = owner;
    stream->state = OPEN;
    post_arrival(stream, gv_sim_travel_ns());
}

static void connected(void *object)
{
    struct gv_stream *stream = object;

    stream->state = OPEN;
    stream->events->connected(stream->owner);
    post_arrival(stream, SPLIT_STEP_NS);
}

int gv_sim_dial(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                void *owner, struct gv_stream **result)
{
    struct gv_listener *listener = gv_sim_listener_find(url);
    struct gv_stream *stream =
        new_stream(poller, DIALLING, listener != NULL ? listener->poller->process : NULL);

    stream->events = events;
    stream->owner = owner;
    *result = stream;
    if (listener == NULL || gv_sim_strikes(GROVE_SIM_REFUSE, GV_SIM_WORLD, gv_sim_mix.refuse_ppm)) {
        stream->error = -ECONNREFUSED;
        stream->state = CLOSING;
        gv_sim_post(poller, gv_sim_travel_ns(), finish, stream);
        return 0;
    }
    stream->peer = new_stream(listener->poller, OFFERED, poller->process);
    stream->peer->peer = stream;
    gv_sim_listener_offer(listener, stream->peer);
    gv_sim_post(poller, gv_sim_travel_ns(), connected, stream);
    return 0;
}
