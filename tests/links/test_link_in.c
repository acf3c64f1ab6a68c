/*
 * Peers that break the rules of a link, and peers that fall silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/links/sides.h"

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
    gv_frame_seal(bytes + 8, 1);
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

/* Frames 1, 2, 3 and 4 in this order, by number; the link takes the first n of them. */
static void assert_taken(const char *order, unsigned n)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY};
    uint8_t bytes[5][64];
    size_t n_bytes[5];

    greet_listener();
    for (frame.call = 1; frame.call <= 4; frame.call++)
        n_bytes[frame.call] = put_frame(bytes[frame.call], &frame, "money");
    for (const char *c = order; *c != '\0'; c++)
        fake_feed(&fake.b, bytes[*c - '0'], n_bytes[*c - '0']);
    assert_dropped("checksum");
    assert_int_equal(listener.n_frames, n);
}

static void test_frames_lost_doubled_or_overtaken_are_noticed(void **state)
{
    (void)state;
    assert_taken("134", 1);
    assert_taken("11", 1);
    assert_taken("1223", 2);
    assert_taken("1324", 1);
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

static void test_a_peer_that_asks_for_ever_and_reads_nothing_is_dropped(void **state)
{
    static char body[4001], bytes[sizeof body + 64];
    struct gv_frame frame = {.type = GV_FRAME_PING};
    unsigned n = 0;

    (void)state;
    memset(body, 'x', sizeof body - 1);
    greet_listener();
    while (!listener.link.dropped && n++ < 2000) /* What it is answered never leaves. */
        fake_feed(&fake.b, (uint8_t *)bytes, put_frame((uint8_t *)bytes, &frame, body));
    assert_true(n > 500 && n < 600);
    assert_true(listener.link.out.room_bytes <= 8 << 20);
    assert_dropped("does not read the answers");
}

static void test_what_the_owner_refuses_is_dropped(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .call = 1};
    uint8_t bytes[128];
    size_t n;

    (void)state;
    greet_listener();
    n = put_frame(bytes, &frame, "bad");
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
    gv_frame_seal(bytes + 8, 0);
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
        cmocka_unit_test(test_garbage_instead_of_the_preface_is_dropped),
        cmocka_unit_test(test_frames_before_the_greeting_are_dropped),
        cmocka_unit_test(test_a_stranger_is_dropped_for_the_owners_reason),
        cmocka_unit_test(test_a_second_hello_is_dropped),
        cmocka_unit_test(test_a_claimed_length_beyond_the_agreed_takes_no_memory),
        cmocka_unit_test(test_a_wrong_checksum_is_dropped),
        cmocka_unit_test(test_frames_lost_doubled_or_overtaken_are_noticed),
        cmocka_unit_test(test_a_call_by_a_worker_is_dropped),
        cmocka_unit_test(test_parts_of_no_body_are_dropped),
        cmocka_unit_test(test_too_many_bodies_in_parts_are_dropped),
        cmocka_unit_test(test_window_that_was_never_taken_cannot_be_given_back),
        cmocka_unit_test(test_a_peer_that_asks_for_ever_and_reads_nothing_is_dropped),
        cmocka_unit_test(test_what_the_owner_refuses_is_dropped),
        cmocka_unit_test(test_a_deep_greeting_is_dropped),
        cmocka_unit_test(test_unknown_optional_types_are_skipped),
        cmocka_unit_test(test_a_silent_stranger_is_dropped_after_three_seconds),
        cmocka_unit_test(test_half_a_frame_and_silence_is_dropped_after_five_seconds),
        cmocka_unit_test(test_silence_between_frames_is_peace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
