#include "links/link.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "proto/codec.h"
#include "runtime/assert.h"
#include "runtime/log.h"

#define SILENT_BEATS   2 /* with the time before the first of them less than three intervals */
#define PONG_BYTES_MAX (2 * GV_LINK_WINDOW) /* unread by a peer that goes on asking */

/* --- life --------------------------------------------------------------------------------------- */

static void stream_connected(void *owner);
static void stream_closed(void *owner, int error);

static const struct gv_stream_events stream_events = {
    .connected = stream_connected,
    .received = gv_link_received,
    .written = gv_link_has_written,
    .closed = stream_closed,
};

static void begin(struct gv_link *link, const struct gv_link_options *options)
{
    *link = (struct gv_link){
        .env = options->env,
        .events = options->events,
        .owner = options->owner,
        .name = options->name,
        .class = (uint8_t)options->class,
        .frame_max = GV_FRAME_MAX_DEFAULT,
        .in_window = GV_LINK_WINDOW,
        .out_window = GV_LINK_WINDOW,
        .out_window_max = GV_LINK_WINDOW,
    };
}

/* The stream is up: the preface goes first. */
static void begin_greeting(struct gv_link *link)
{
    link->state = GV_LINK_GREETING;
    link->due_ns = link->env->now_ns(link->env->world) + GV_LINK_GREETING_NS;
    if (!gv_bytes_grow(&link->out, GV_FRAME_PREFACE_BYTES)) {
        gv_link_drop(link, "memory is short");
        return;
    }
    memcpy(link->out.bytes, GV_FRAME_PREFACE, GV_FRAME_PREFACE_BYTES);
    link->out.n_bytes = GV_FRAME_PREFACE_BYTES;
}

void gv_link_accept(struct gv_link *link, const struct gv_link_options *options,
                    struct gv_stream *stream)
{
    begin(link, options);
    link->stream = stream;
    link->env->stream_adopt(stream, &stream_events, link);
    begin_greeting(link);
}

int gv_link_dial(struct gv_link *link, const struct gv_link_options *options,
                 struct gv_poller *poller, const char *url)
{
    begin(link, options);
    link->dialled = true;
    link->state = GV_LINK_DIALLING;
    return link->env->dial(poller, url, &stream_events, link, &link->stream);
}

static void stream_connected(void *owner)
{
    struct gv_link *link = owner;

    if (link->state != GV_LINK_DIALLING)
        return;
    begin_greeting(link);
    if (link->state == GV_LINK_GREETING)
        link->events->connected(link->owner);
    gv_link_flush(link);
}

static void stream_closed(void *owner, int error)
{
    struct gv_link *link = owner;

    while (link->assemblies != NULL) {
        struct gv_assembly *assembly = link->assemblies;

        link->assemblies = assembly->next;
        gv_bytes_free(&assembly->body);
        free(assembly);
    }
    gv_bytes_free(&link->in);
    gv_bytes_free(&link->out);
    gv_bytes_free(&link->writing);
    gv_bytes_free(&link->held);
    link->held_from = 0;
    link->stream = NULL;
    link->due_ns = 0;
    link->state = GV_LINK_CLOSED;
    link->error = error; /* Whoever is gone is gone; the owner knows what that means. */
    link->events->closed(link->owner);
}

void gv_link_close(struct gv_link *link)
{
    if (link->state >= GV_LINK_CLOSING)
        return;
    link->state = GV_LINK_CLOSING;
    link->due_ns = 0;
    link->env->stream_close(link->stream);
}

void gv_link_drop(struct gv_link *link, const char *why)
{
    struct gv_identity identity;

    if (link->state >= GV_LINK_CLOSING)
        return;
    link->dropped = true;
    link->env->stream_identity(link->stream, &identity);
    if (identity.pid < 0 && identity.name[0] != '\0')
        gv_log(GV_LOG_WARN, "link.dropped", "link=%s peer=%s why=\"%s\"", link->name, identity.name,
               why);
    else
        gv_log(GV_LOG_WARN, "link.dropped", "link=%s pid=%" PRId64 " why=\"%s\"", link->name,
               identity.pid, why);
    gv_link_close(link);
}

void gv_link_tick(struct gv_link *link, uint64_t now_ns)
{
    if (link->due_ns == 0 || now_ns < link->due_ns)
        return;
    gv_link_drop(link, link->state == GV_LINK_READY ? "it stopped within a frame"
                                                    : "it did not finish its greeting in time");
}

void gv_link_beat(struct gv_link *link)
{
    struct gv_frame ping = {.type = GV_FRAME_PING, .budget_us = GV_BUDGET_NONE};

    if (link->state != GV_LINK_READY)
        return;
    link->n_silent = link->heard || !link->beats ? 0 : link->n_silent + 1;
    link->beats = true;
    link->heard = false;
    if (link->n_silent == SILENT_BEATS) {
        link->silent = true;
        gv_link_close(link);
        return;
    }
    /* Without memory for the question there is no answer, which is what is counted. */
    (void)gv_link_send(link, &ping, NULL, 0);
    gv_link_flush(link);
}

/* --- greeting ----------------------------------------------------------------------------------- */

static int send_message(struct gv_link *link, uint8_t type, const ProtobufCMessage *message)
{
    struct gv_frame frame = {.type = type, .budget_us = GV_BUDGET_NONE};
    size_t n_bytes;
    uint8_t *bytes;
    int rc;

    rc = gv_packed_size(message, GV_FRAME_MAX_DEFAULT - GV_FRAME_CHECK_BYTES, &n_bytes);
    if (rc != 0)
        return rc;
    bytes = malloc(n_bytes != 0 ? n_bytes : 1);
    if (bytes == NULL)
        return GROVE_ENOMEM;
    gv_pack(message, bytes, n_bytes);
    rc = gv_link_send(link, &frame, bytes, n_bytes);
    free(bytes);
    gv_link_flush(link);
    return rc;
}

int gv_link_hello(struct gv_link *link, Grove__Link__V1__Hello *hello)
{
    hello->class_ = (Grove__Link__V1__Class)link->class;
    hello->protocol_min = GV_LINK_PROTOCOL;
    hello->protocol_max = GV_LINK_PROTOCOL;
    hello->frame_max = link->frame_max;
    hello->window = GV_LINK_WINDOW;
    return send_message(link, GV_FRAME_HELLO, &hello->base);
}

static void become_ready(struct gv_link *link)
{
    link->state = GV_LINK_READY;
    link->due_ns = 0;
}

int gv_link_welcome(struct gv_link *link, Grove__Link__V1__Welcome *welcome)
{
    int rc;

    gv_assert(link->hello_came && !link->dialled);
    welcome->protocol = GV_LINK_PROTOCOL;
    welcome->frame_max = link->frame_max;
    welcome->window = GV_LINK_WINDOW;
    rc = send_message(link, GV_FRAME_WELCOME, &welcome->base);
    if (rc == 0)
        become_ready(link);
    return rc;
}

int gv_link_schema(struct gv_link *link, const Grove__Link__V1__Schema *schema)
{
    return send_message(link, GV_FRAME_SCHEMA, &schema->base);
}

/* What both sides say of their bounds. Returns why that cannot be. */
static const char *agree_bounds(struct gv_link *link, uint32_t frame_max, uint64_t window)
{
    if (frame_max < GV_FRAME_MAX_LEAST || frame_max > GV_FRAME_MAX_DEFAULT)
        return "its greeting asks for an impossible frame size";
    if (window < GV_FRAME_HEAD_BYTES + (uint64_t)frame_max)
        return "its greeting asks for a window below the frame size";
    link->frame_max = frame_max;
    link->out_window = window;
    link->out_window_max = window;
    return NULL;
}

static const char *hello_came(struct gv_link *link, const ProtobufCMessage *message)
{
    const Grove__Link__V1__Hello *hello = (const Grove__Link__V1__Hello *)message;
    const char *why;

    if (link->dialled || link->hello_came)
        return "its HELLO came out of turn";
    if ((unsigned)hello->class_ != link->class)
        return "it is of a class that is not served here";
    if (hello->protocol_min > GV_LINK_PROTOCOL || hello->protocol_max < GV_LINK_PROTOCOL)
        return "it speaks another version of the protocol";
    why = agree_bounds(link, hello->frame_max, hello->window);
    if (why != NULL)
        return why;
    link->hello_came = true;
    return link->events->hello(link->owner, hello);
}

static const char *welcome_came(struct gv_link *link, const ProtobufCMessage *message)
{
    const Grove__Link__V1__Welcome *welcome = (const Grove__Link__V1__Welcome *)message;
    const char *why;

    if (!link->dialled)
        return "its WELCOME came out of turn";
    if (welcome->protocol != GV_LINK_PROTOCOL)
        return "it speaks another version of the protocol";
    why = agree_bounds(link, welcome->frame_max, welcome->window);
    if (why != NULL)
        return why;
    become_ready(link);
    return link->events->welcome(link->owner, welcome);
}

static const char *schema_came(struct gv_link *link, const ProtobufCMessage *message)
{
    if (link->events->schema == NULL || (!link->dialled && !link->hello_came))
        return "its SCHEMA came out of turn";
    return link->events->schema(link->owner, (const Grove__Link__V1__Schema *)message);
}

static const char *greeting(struct gv_link *link, const struct gv_frame *frame)
{
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *(*came)(struct gv_link *link, const ProtobufCMessage *message);
    } greetings[] = {
        [GV_FRAME_HELLO] = {&grove__link__v1__hello__descriptor, hello_came},
        [GV_FRAME_WELCOME] = {&grove__link__v1__welcome__descriptor, welcome_came},
        [GV_FRAME_SCHEMA] = {&grove__link__v1__schema__descriptor, schema_came},
    };
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    const char *why;

    if (frame->type >= sizeof greetings / sizeof greetings[0]
        || greetings[frame->type].came == NULL)
        return "it sent something else than a greeting";
    if (gv_unpack(greetings[frame->type].descriptor,
                  (struct gv_packed){frame->body, frame->body_bytes}, &arena, &message, NULL)
        != 0)
        return "its greeting is not a valid message";
    why = greetings[frame->type].came(link, message);
    gv_capped_arena_deinit(&arena);
    return why;
}

/* --- frames of the link itself -------------------------------------------------------------------- */

static const char *credit_came(struct gv_link *link, const struct gv_frame *frame)
{
    if (frame->target > link->out_window_max - link->out_window)
        return "it gave back more window than there is";
    gv_link_refill(link, frame->target);
    return NULL;
}

const char *gv_link_handle(struct gv_link *link, struct gv_frame *frame)
{
    if (link->state == GV_LINK_GREETING)
        return greeting(link, frame);
    if (!gv_peer_may_send((enum gv_peer_class)link->class, !link->dialled, frame->type))
        return "it sent a frame that its class may not send";
    if (frame->type >= GV_FRAME_OPTIONAL)
        return NULL;
    if (frame->call == 0 && frame->type == GV_FRAME_CREDIT)
        return credit_came(link, frame);
    if (frame->type == GV_FRAME_PING) {
        if (link->out.n_bytes > PONG_BYTES_MAX)
            return "it sends PINGs and does not read the answers";
        frame->type = GV_FRAME_PONG;
        /* Without memory for the answer it is silence, which the peer understands. */
        (void)gv_link_send(link, frame, frame->body, frame->body_bytes);
        link->urgent = true;
        return NULL;
    }
    if (frame->type == GV_FRAME_PONG && link->beats)
        return NULL;
    return link->events->frame(link->owner, frame);
}
