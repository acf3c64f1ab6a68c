#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "proto/codec.h"
#include "tests/links/fake.h"

/* One side and what it has seen. */
struct side {
    struct gv_link link;
    bool welcomed, closed, asked;
    unsigned n_frames;
    struct gv_frame frame; /* the last one */
    uint8_t body[64];      /* its begin */
    uint64_t sum;          /* of all bytes of all bodies */
};

static struct side dialler, listener;

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

/* A listener alone, to which bytes are fed by hand. */
static void begin_listener(void)
{
    struct gv_link_options options = options_of(&listener, &listener_events);

    fake_reset();
    memset(&listener, 0, sizeof listener);
    gv_link_accept(&listener.link, &options, &fake.b);
}

/* Both, connected. */
static void begin_both(void)
{
    struct gv_link_options options = options_of(&dialler, &dialler_events);

    begin_listener();
    memset(&dialler, 0, sizeof dialler);
    fake.a.peer = &fake.b;
    fake.b.peer = &fake.a;
    assert_int_equal(gv_link_dial(&dialler.link, &options, NULL, "ipc:///x"), 0);
}

static void greet_both(void)
{
    begin_both();
    fake_run();
    assert_int_equal(dialler.link.state, GV_LINK_READY);
    assert_int_equal(listener.link.state, GV_LINK_READY);
}

static void end_both(void)
{
    gv_link_close(&dialler.link);
    fake_run();
    assert_true(dialler.closed && listener.closed);
}

/* What a good dialler would send up to READY; returns the length. */
static size_t good_greeting(uint8_t *bytes, const char *name)
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
    gv_frame_seal(at);
    return GV_FRAME_PREFACE_BYTES + gv_frame_bytes(n_bytes);
}

static void greet_listener(void)
{
    uint8_t bytes[512];

    begin_listener();
    fake_feed(&fake.b, bytes, good_greeting(bytes, "test"));
    assert_int_equal(listener.link.state, GV_LINK_READY);
}

/* The listener has dropped its peer, with one line that says why. */
static void assert_dropped(const char *why)
{
    fake_run();
    assert_true(listener.link.dropped && listener.closed);
    assert_int_equal(fake.n_lines, 1);
    assert_non_null(strstr(fake.line, why));
}

static size_t put_frame(uint8_t *bytes, const struct gv_frame *frame, const char *body)
{
    size_t n = strlen(body);

    memcpy(gv_frame_write_head(frame, bytes, n), body, n);
    gv_frame_seal(bytes);
    return gv_frame_bytes(n);
}

/* --- the good way --------------------------------------------------------------------------------- */

static void test_both_sides_greet_in_portions_of_any_size(void **state)
{
    (void)state;
    for (size_t portion = 0; portion < 100; portion++) {
        begin_both();
        fake.portion = portion;
        fake_run();
        assert_int_equal(dialler.link.state, GV_LINK_READY);
        assert_int_equal(listener.link.state, GV_LINK_READY);
        assert_true(dialler.welcomed);
        end_both();
        assert_int_equal(fake.n_lines, 0);
    }
}

static void test_schemas_are_asked_for_before_the_welcome(void **state)
{
    (void)state;
    begin_both();
    listener.asked = true;
    fake_run();
    assert_int_equal(dialler.link.state, GV_LINK_READY);
    assert_int_equal(listener.link.state, GV_LINK_READY);
    end_both();
}

static void test_frames_arrive_whole_however_they_were_split(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CALL, .call = 7, .method = 3};

    (void)state;
    for (size_t portion = 1; portion < 50; portion++) {
        greet_both();
        fake.portion = portion;
        assert_int_equal(gv_link_send(&listener.link, &frame, (const uint8_t *)"one", 3), 0);
        assert_int_equal(gv_link_send(&listener.link, &frame, NULL, 0), 0);
        assert_int_equal(gv_link_send(&listener.link, &frame, (const uint8_t *)"three", 5), 0);
        gv_link_flush(&listener.link);
        fake_run();
        assert_int_equal(dialler.n_frames, 3);
        assert_memory_equal(dialler.body, "three", 5);
        assert_true(dialler.frame.call == 7 && dialler.frame.method == 3);
        end_both();
    }
}

static void test_large_bodies_pass_the_window_in_parts(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE, .call = 9};
    size_t n_bytes = GV_LINK_MESSAGE_MAX;
    uint8_t *bytes = malloc(n_bytes);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 1, n_bytes);
    greet_both();
    assert_int_equal(gv_link_send(&dialler.link, &frame, bytes, n_bytes), 0);
    gv_link_flush(&dialler.link);
    fake_run();
    assert_int_equal(listener.n_frames, 1);
    assert_int_equal(listener.frame.body_bytes, n_bytes);
    assert_int_equal(listener.sum, n_bytes);
    assert_int_equal(gv_link_unwritten(&dialler.link), 0);
    assert_int_equal(gv_link_send(&dialler.link, &frame, bytes, n_bytes + 1), GROVE_ETOOBIG);
    end_both();
    free(bytes);
}

static void test_a_link_that_is_not_flushed_sends_nothing(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CALL, .call = 1};

    (void)state;
    greet_both();
    assert_int_equal(gv_link_send(&listener.link, &frame, NULL, 0), 0);
    fake_run();
    assert_int_equal(dialler.n_frames, 0);
    listener.link.mark = 5;
    gv_link_flush(&listener.link);
    assert_int_equal(gv_link_written(&listener.link), 0);
    fake_run();
    assert_int_equal(gv_link_written(&listener.link), 5);
    assert_int_equal(dialler.n_frames, 1);
    end_both();
}

static void test_a_ping_is_answered(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_PING, .call = 77};

    (void)state;
    greet_both();
    assert_int_equal(gv_link_send(&listener.link, &frame, NULL, 0), 0);
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(listener.n_frames, 1);
    assert_int_equal(listener.frame.type, GV_FRAME_PONG);
    assert_true(listener.frame.call == 77);
    end_both();
}

/* --- breaking the rules --------------------------------------------------------------------------- */

static void test_garbage_instead_of_the_preface_is_dropped(void **state)
{
    (void)state;
    begin_listener();
    fake_feed(&fake.b, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    assert_dropped("it does not speak this protocol");
}

static void test_frames_before_the_greeting_are_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
    uint8_t bytes[128] = GV_FRAME_PREFACE;

    (void)state;
    begin_listener();
    fake_feed(&fake.b, bytes, 8 + put_frame(bytes + 8, &frame, "x"));
    assert_dropped("something else than a greeting");
}

static void test_a_stranger_is_dropped_for_the_owners_reason(void **state)
{
    uint8_t bytes[512];

    (void)state;
    begin_listener();
    fake_feed(&fake.b, bytes, good_greeting(bytes, "stranger"));
    assert_dropped("it is a stranger");
}

static void test_a_second_hello_is_dropped(void **state)
{
    uint8_t bytes[512];
    size_t n = good_greeting(bytes, "test");

    (void)state;
    greet_listener();
    fake_feed(&fake.b, bytes + 8, n - 8);
    assert_dropped("its class may not send");
}

static void test_a_claimed_length_beyond_the_agreed_takes_no_memory(void **state)
{
    static const uint32_t lengths[] = {UINT32_MAX, 1u << 31, GV_FRAME_MAX_DEFAULT + 1};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
        uint8_t bytes[64];

        greet_listener();
        (void)put_frame(bytes, &frame, "");
        memcpy(bytes, &lengths[i], 4);
        fake.portion = 1;
        fake_feed(&fake.b, bytes, 32);
        assert_true(listener.link.in.room_bytes <= 4096);
        assert_dropped("longer than was agreed");
    }
}

static void test_a_wrong_checksum_is_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
    uint8_t bytes[64];
    size_t n = put_frame(bytes, &frame, "money");

    (void)state;
    greet_listener();
    bytes[34] ^= 4;
    fake_feed(&fake.b, bytes, n);
    assert_dropped("checksum");
    assert_int_equal(listener.n_frames, 0);
}

static void test_a_call_by_a_worker_is_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CALL, .call = 1};
    uint8_t bytes[64];

    (void)state;
    greet_listener();
    fake_feed(&fake.b, bytes, put_frame(bytes, &frame, ""));
    assert_dropped("its class may not send");
}

static void test_parts_of_no_body_are_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CHUNK, .call = 1};
    uint8_t bytes[64];

    (void)state;
    greet_listener();
    fake_feed(&fake.b, bytes, put_frame(bytes, &frame, "x"));
    assert_dropped("a part of no body");
}

static void test_too_many_bodies_in_parts_are_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE | GV_FRAME_MORE};
    uint8_t bytes[64];

    (void)state;
    greet_listener();
    for (frame.call = 1; frame.call <= GV_LINK_ASSEMBLIES_MAX + 1; frame.call++)
        fake_feed(&fake.b, bytes, put_frame(bytes, &frame, "x"));
    assert_dropped("too many bodies");
}

static void test_window_that_was_never_taken_cannot_be_given_back(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CREDIT, .target = 1};
    uint8_t bytes[64];

    (void)state;
    greet_listener();
    fake_feed(&fake.b, bytes, put_frame(bytes, &frame, ""));
    assert_dropped("more window than there is");
}

static void test_what_the_owner_refuses_is_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
    uint8_t bytes[128];
    size_t n = put_frame(bytes, &frame, "bad");

    (void)state;
    greet_listener();
    n += put_frame(bytes + n, &frame, "never seen");
    fake_feed(&fake.b, bytes, n);
    assert_dropped("it was bad");
    assert_int_equal(listener.n_frames, 1);
}

static void test_a_deep_greeting_is_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_HELLO};
    uint8_t *bytes = malloc(64 << 10), *at;
    size_t n_body = 0;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, GV_FRAME_PREFACE, 8);
    /* 10 000 groups or messages within one another are what a decoder that recurses dies of. */
    at = gv_frame_write_head(&frame, bytes + 8, 30000);
    for (unsigned i = 0; i < 10000; i++) {
        at[n_body++] = 12 << 3 | 2;
        at[n_body++] = 0xff;
        at[n_body++] = 0x7f;
    }
    gv_frame_seal(bytes + 8);
    begin_listener();
    fake_feed(&fake.b, bytes, 8 + gv_frame_bytes(n_body));
    assert_dropped("not a valid message");
    free(bytes);
}

static void test_unknown_optional_types_are_skipped(void **state)
{
    struct gv_frame frame = {.type = 99, .call = 1};
    uint8_t bytes[64];

    (void)state;
    greet_listener();
    fake_feed(&fake.b, bytes, put_frame(bytes, &frame, "new"));
    assert_int_equal(listener.link.state, GV_LINK_READY);
    assert_int_equal(listener.n_frames, 0);
    gv_link_close(&listener.link);
    fake_run();
}

/* --- silence -------------------------------------------------------------------------------------- */

static void test_a_silent_stranger_is_dropped_after_three_seconds(void **state)
{
    (void)state;
    begin_listener();
    gv_link_tick(&listener.link, fake.now_ns + GV_LINK_GREETING_NS - 1);
    assert_false(listener.link.dropped);
    gv_link_tick(&listener.link, fake.now_ns + GV_LINK_GREETING_NS);
    assert_dropped("did not finish its greeting");
}

static void test_half_a_frame_and_silence_is_dropped_after_five_seconds(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
    uint8_t bytes[64];
    size_t n = put_frame(bytes, &frame, "half");

    (void)state;
    for (size_t half = 1; half < n; half++) {
        greet_listener();
        fake_feed(&fake.b, bytes, half);
        gv_link_tick(&listener.link, fake.now_ns + GV_LINK_HALF_FRAME_NS - 1);
        assert_false(listener.link.dropped);
        gv_link_tick(&listener.link, fake.now_ns + GV_LINK_HALF_FRAME_NS);
        assert_dropped("stopped within a frame");
    }
}

static void test_silence_between_frames_is_peace(void **state)
{
    (void)state;
    greet_listener();
    gv_link_tick(&listener.link, fake.now_ns + 1000 * GV_LINK_HALF_FRAME_NS);
    assert_false(listener.link.dropped);
    gv_link_close(&listener.link);
    fake_run();
    assert_int_equal(fake.n_lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_greet_in_portions_of_any_size),
        cmocka_unit_test(test_schemas_are_asked_for_before_the_welcome),
        cmocka_unit_test(test_frames_arrive_whole_however_they_were_split),
        cmocka_unit_test(test_large_bodies_pass_the_window_in_parts),
        cmocka_unit_test(test_a_link_that_is_not_flushed_sends_nothing),
        cmocka_unit_test(test_a_ping_is_answered),
        cmocka_unit_test(test_garbage_instead_of_the_preface_is_dropped),
        cmocka_unit_test(test_frames_before_the_greeting_are_dropped),
        cmocka_unit_test(test_a_stranger_is_dropped_for_the_owners_reason),
        cmocka_unit_test(test_a_second_hello_is_dropped),
        cmocka_unit_test(test_a_claimed_length_beyond_the_agreed_takes_no_memory),
        cmocka_unit_test(test_a_wrong_checksum_is_dropped),
        cmocka_unit_test(test_a_call_by_a_worker_is_dropped),
        cmocka_unit_test(test_parts_of_no_body_are_dropped),
        cmocka_unit_test(test_too_many_bodies_in_parts_are_dropped),
        cmocka_unit_test(test_window_that_was_never_taken_cannot_be_given_back),
        cmocka_unit_test(test_what_the_owner_refuses_is_dropped),
        cmocka_unit_test(test_a_deep_greeting_is_dropped),
        cmocka_unit_test(test_unknown_optional_types_are_skipped),
        cmocka_unit_test(test_a_silent_stranger_is_dropped_after_three_seconds),
        cmocka_unit_test(test_half_a_frame_and_silence_is_dropped_after_five_seconds),
        cmocka_unit_test(test_silence_between_frames_is_peace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
