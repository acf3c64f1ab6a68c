#include "tests/links/sides.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/codec.h"

struct side dialler, listener;

/* --- what the sides do ------------------------------------------------------------------------------ */

static void connected(void *owner)
{
    struct side *side = owner;
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;

    hello.name = "test";
    assert_int_equal(gv_link_hello(&side->link, &hello), 0);
}

static const char *hello_came(void *owner, const Grove__Link__V1__Hello *hello)
{
    struct side *side = owner;
    Grove__Link__V1__Welcome message = GROVE__LINK__V1__WELCOME__INIT;
    Grove__Link__V1__Schema question = GROVE__LINK__V1__SCHEMA__INIT;

    if (strcmp(hello->name, "stranger") == 0)
        return "it is a stranger";
    if (side->asked)
        return gv_link_schema(&side->link, &question) == 0 ? NULL : "no memory";
    return gv_link_welcome(&side->link, &message) == 0 ? NULL : "no memory";
}

static const char *schema_at_dialler(void *owner, const Grove__Link__V1__Schema *schema)
{
    struct side *side = owner;

    return gv_link_schema(&side->link, schema) == 0 ? NULL : "no memory";
}

static const char *schema_at_listener(void *owner, const Grove__Link__V1__Schema *schema)
{
    struct side *side = owner;
    Grove__Link__V1__Welcome message = GROVE__LINK__V1__WELCOME__INIT;

    (void)schema;
    return gv_link_welcome(&side->link, &message) == 0 ? NULL : "no memory";
}

static const char *welcome_came(void *owner, const Grove__Link__V1__Welcome *welcome)
{
    (void)welcome;
    ((struct side *)owner)->welcomed = true;
    return NULL;
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    struct side *side = owner;

    side->n_frames++;
    side->frame = *frame;
    memcpy(side->body, frame->body,
           frame->body_bytes < sizeof side->body ? frame->body_bytes : sizeof side->body);
    for (size_t i = 0; i < frame->body_bytes; i++)
        side->sum += frame->body[i];
    return frame->body_bytes == 3 && memcmp(frame->body, "bad", 3) == 0 ? "it was bad" : NULL;
}

static void closed(void *owner)
{
    ((struct side *)owner)->closed = true;
}

static const struct gv_link_events dialler_events = {.connected = connected,
                                                     .welcome = welcome_came,
                                                     .schema = schema_at_dialler,
                                                     .frame = frame_came,
                                                     .closed = closed};
static const struct gv_link_events listener_events = {
    .hello = hello_came, .schema = schema_at_listener, .frame = frame_came, .closed = closed};

/* --- helpers ---------------------------------------------------------------------------------------- */

static struct gv_link_options options_of(struct side *side, const struct gv_link_events *events)
{
    return (struct gv_link_options){
        .env = &fake.env, .events = events, .owner = side, .name = "test", .class = GV_PEER_WORKER};
}

void begin_listener(void)
{
    struct gv_link_options options = options_of(&listener, &listener_events);

    fake_reset();
    memset(&listener, 0, sizeof listener);
    gv_link_accept(&listener.link, &options, &fake.b);
}

void begin_both(void)
{
    struct gv_link_options options = options_of(&dialler, &dialler_events);

    begin_listener();
    memset(&dialler, 0, sizeof dialler);
    fake.a.peer = &fake.b;
    fake.b.peer = &fake.a;
    assert_int_equal(gv_link_dial(&dialler.link, &options, NULL, "ipc:///x"), 0);
}

void greet_both(void)
{
    begin_both();
    fake_run();
    assert_int_equal(dialler.link.state, GV_LINK_READY);
    assert_int_equal(listener.link.state, GV_LINK_READY);
}

void end_both(void)
{
    gv_link_close(&dialler.link);
    fake_run();
    assert_true(dialler.closed && listener.closed);
}

size_t good_greeting(uint8_t *bytes, const char *name)
{
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;
    struct gv_frame frame = {.type = GV_FRAME_HELLO, .budget_us = GV_BUDGET_NONE};
    uint8_t *at = bytes + GV_FRAME_PREFACE_BYTES;
    size_t n_bytes;

    hello.class_ = GROVE__LINK__V1__CLASS__CLASS_WORKER;
    hello.protocol_min = hello.protocol_max = GV_LINK_PROTOCOL;
    hello.frame_max = GV_FRAME_MAX_DEFAULT;
    hello.window = GV_LINK_WINDOW;
    hello.name = (char *)name;
    memcpy(bytes, GV_FRAME_PREFACE, GV_FRAME_PREFACE_BYTES);
    assert_int_equal(gv_packed_size(&hello.base, 4096, &n_bytes), 0);
    gv_pack(&hello.base, gv_frame_write_head(&frame, at, n_bytes), n_bytes);
    gv_frame_seal(at, 0);
    return GV_FRAME_PREFACE_BYTES + gv_frame_bytes(n_bytes);
}

static uint32_t put_number; /* of the next frame that is put */

void greet_listener(void)
{
    uint8_t bytes[512];

    begin_listener();
    fake_feed(&fake.b, bytes, good_greeting(bytes, "test"));
    put_number = 1;
    assert_int_equal(listener.link.state, GV_LINK_READY);
}

void assert_dropped(const char *why)
{
    fake_run();
    assert_true(listener.link.dropped && listener.closed);
    assert_int_equal(fake.n_lines, 1);
    assert_non_null(strstr(fake.line, why));
}

size_t put_frame(uint8_t *bytes, const struct gv_frame *frame, const char *body)
{
    size_t n = strlen(body);

    memcpy(gv_frame_write_head(frame, bytes, n), body, n);
    gv_frame_seal(bytes, put_number++);
    return gv_frame_bytes(n);
}
