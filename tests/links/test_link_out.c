/* What leaves a link: in how many writes, in which parts, and within the window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "tests/links/sides.h"

#define SMALL_BYTES 10u
#define LARGE_BYTES 100000u

static const uint8_t body[LARGE_BYTES];
static uint32_t written; /* number of the next frame that a test opens */

/* A greeted link whose greeting has left. */
static int begin(void **state)
{
    (void)state;
    greet_listener();
    fake_run();
    fake.b.kept.n_bytes = 0;
    written = listener.link.out_number;
    return 0;
}

static int end(void **state)
{
    (void)state;
    gv_link_close(&listener.link);
    fake_run();
    gv_bytes_free(&fake.b.kept);
    return 0;
}

static void send_frame(uint8_t type, uint64_t call, size_t n_bytes)
{
    struct gv_frame frame = {.type = type, .call = call};

    assert_int_equal(gv_link_send(&listener.link, &frame, body, n_bytes), 0);
}

/* The write in flight has left. */
static void finish_write(void)
{
    fake.b.n_writing = 0;
    fake.b.events->written(fake.b.owner);
}

/* Opens the frame at *at of what was written, and steps over it. */
static struct gv_frame next_frame(size_t *at)
{
    struct gv_frame frame;
    const uint8_t *bytes = fake.b.kept.bytes + *at;

    assert_true(fake.b.kept.n_bytes - *at >= GV_FRAME_HEAD_BYTES);
    gv_frame_read_head(&frame, bytes);
    assert_null(gv_frame_check(&frame, listener.link.frame_max));
    assert_true(fake.b.kept.n_bytes - *at >= GV_FRAME_HEAD_BYTES + frame.length);
    assert_null(gv_frame_open(&frame, bytes, written++));
    *at += GV_FRAME_HEAD_BYTES + frame.length;
    return frame;
}

/* --- writes ----------------------------------------------------------------------------------------- */

static void test_frames_sent_before_a_flush_leave_in_one_write(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 3; call++)
        send_frame(GV_FRAME_CALL, call, SMALL_BYTES);
    assert_int_equal(fake.b.n_writing, 0);
    gv_link_flush(&listener.link);
    assert_int_equal(fake.b.n_writing, 3 * gv_frame_bytes(SMALL_BYTES));
}

static void test_one_write_is_in_flight_and_the_rest_follows_it(void **state)
{
    const uint8_t *writing;

    (void)state;
    send_frame(GV_FRAME_CALL, 1, SMALL_BYTES);
    gv_link_flush(&listener.link);
    writing = fake.b.writing;
    for (uint64_t call = 2; call <= 3; call++) {
        send_frame(GV_FRAME_CALL, call, SMALL_BYTES);
        gv_link_flush(&listener.link);
        assert_ptr_equal(fake.b.writing, writing);
        assert_int_equal(fake.b.n_writing, gv_frame_bytes(SMALL_BYTES));
    }
    assert_int_equal(gv_link_unwritten(&listener.link), 3 * gv_frame_bytes(SMALL_BYTES));
    finish_write();
    assert_int_equal(fake.b.n_writing, 2 * gv_frame_bytes(SMALL_BYTES));
    finish_write();
    assert_int_equal(fake.b.n_writing, 0);
    assert_int_equal(gv_link_unwritten(&listener.link), 0);
}

/* Many small frames would otherwise leave in many small writes, and wake the peer for each. */
static void test_what_was_not_flushed_waits_whatever_else_happens(void **state)
{
    struct gv_frame drain = {.type = GV_FRAME_DRAIN};
    uint8_t bytes[64];

    (void)state;
    send_frame(GV_FRAME_CALL, 1, SMALL_BYTES);
    gv_link_flush(&listener.link);
    send_frame(GV_FRAME_CALL, 2, SMALL_BYTES);
    finish_write();
    assert_int_equal(fake.b.n_writing, 0);
    fake_feed(&fake.b, bytes, put_frame(bytes, &drain, ""));
    assert_int_equal(fake.b.n_writing, 0);
    gv_link_flush(&listener.link);
    assert_int_equal(fake.b.n_writing, gv_frame_bytes(SMALL_BYTES));
}

static void test_what_the_peer_has_made_room_for_leaves_at_once(void **state)
{
    struct gv_frame credit = {.type = GV_FRAME_CREDIT};
    uint8_t bytes[64];

    (void)state;
    listener.link.out_window = 0;
    send_frame(GV_FRAME_CALL, 1, SMALL_BYTES);
    gv_link_flush(&listener.link);
    assert_int_equal(fake.b.n_writing, 0);
    credit.target = gv_frame_bytes(SMALL_BYTES);
    fake_feed(&fake.b, bytes, put_frame(bytes, &credit, ""));
    assert_int_equal(fake.b.n_writing, gv_frame_bytes(SMALL_BYTES));
}

static void test_a_mark_counts_when_all_before_it_has_left(void **state)
{
    (void)state;
    send_frame(GV_FRAME_CALL, 1, SMALL_BYTES);
    listener.link.mark = 1;
    gv_link_flush(&listener.link);
    send_frame(GV_FRAME_CALL, 2, SMALL_BYTES);
    listener.link.mark = 2;
    gv_link_flush(&listener.link);
    finish_write();
    assert_int_equal(gv_link_written(&listener.link), 1);
    /* What is held has not left, though all else has. */
    listener.link.out_window = 0;
    send_frame(GV_FRAME_CALL, 3, SMALL_BYTES);
    send_frame(GV_FRAME_PING, 4, SMALL_BYTES);
    listener.link.mark = 3;
    gv_link_flush(&listener.link);
    finish_write();
    finish_write();
    assert_int_equal(fake.b.n_writing, 0);
    assert_int_equal(gv_link_written(&listener.link), 2);
    gv_link_refill(&listener.link, LARGE_BYTES);
    gv_link_flush(&listener.link);
    finish_write();
    assert_int_equal(gv_link_written(&listener.link), 3);
}

static void test_a_buffer_that_grew_large_is_freed_when_it_has_left(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        send_frame(GV_FRAME_CALL, 1, LARGE_BYTES);
    gv_link_flush(&listener.link);
    finish_write();
    assert_int_equal(listener.link.writing.room_bytes, 0);
    send_frame(GV_FRAME_CALL, 2, SMALL_BYTES);
    gv_link_flush(&listener.link);
    finish_write();
    assert_true(listener.link.writing.room_bytes > 0); /* a small one is kept */
}

static void test_an_ending_link_takes_nothing_more(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_PING};

    (void)state;
    gv_link_close(&listener.link);
    assert_int_equal(gv_link_send(&listener.link, &frame, NULL, 0), GROVE_EDOWN);
    gv_link_flush(&listener.link);
    assert_int_equal(fake.b.n_writing, 0);
}

/* --- window ----------------------------------------------------------------------------------------- */

static void test_data_beyond_the_window_waits_and_all_else_passes_by(void **state)
{
    size_t at = 0;

    (void)state;
    listener.link.out_window = 2 * gv_frame_bytes(SMALL_BYTES);
    for (uint64_t call = 1; call <= 3; call++)
        send_frame(GV_FRAME_CALL, call, SMALL_BYTES);
    send_frame(GV_FRAME_PING, 4, SMALL_BYTES);
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(listener.link.out_window, 0);
    assert_int_equal(gv_link_unwritten(&listener.link), gv_frame_bytes(SMALL_BYTES));

    gv_link_refill(&listener.link, gv_frame_bytes(SMALL_BYTES) - 1);
    assert_int_equal(listener.link.out.n_bytes, 0); /* a byte short */
    gv_link_refill(&listener.link, 1);
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(next_frame(&at).call, 1);
    assert_int_equal(next_frame(&at).call, 2);
    assert_int_equal(next_frame(&at).call, 4);
    assert_int_equal(next_frame(&at).call, 3);
    assert_int_equal(at, fake.b.kept.n_bytes);
}

static void test_small_data_does_not_overtake_what_is_held(void **state)
{
    size_t at = 0;

    (void)state;
    listener.link.out_window = gv_frame_bytes(SMALL_BYTES);
    send_frame(GV_FRAME_CALL, 1, SMALL_BYTES + 1);
    send_frame(GV_FRAME_CALL, 2, SMALL_BYTES);
    gv_link_flush(&listener.link);
    assert_int_equal(fake.b.n_writing, 0);
    gv_link_refill(&listener.link, LARGE_BYTES);
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(next_frame(&at).call, 1);
    assert_int_equal(next_frame(&at).call, 2);
}

static void test_a_link_that_always_holds_something_back_does_not_grow(void **state)
{
    struct gv_frame frame;

    (void)state;
    listener.link.out_window = 0;
    send_frame(GV_FRAME_CALL, 0, LARGE_BYTES);
    for (unsigned i = 0; i < 200; i++) {
        send_frame(GV_FRAME_CALL, i + 1, LARGE_BYTES);
        gv_link_refill(&listener.link, gv_frame_bytes(LARGE_BYTES));
        gv_link_flush(&listener.link);
        assert_int_equal(fake.b.n_writing, gv_frame_bytes(LARGE_BYTES));
        gv_frame_read_head(&frame, fake.b.writing);
        assert_null(gv_frame_open(&frame, fake.b.writing, written++));
        assert_int_equal(frame.call, i);
        finish_write();
        assert_int_equal(gv_link_unwritten(&listener.link), gv_frame_bytes(LARGE_BYTES));
    }
    assert_true(listener.link.held.room_bytes < 10 * LARGE_BYTES);
}

/* --- parts ------------------------------------------------------------------------------------------ */

static void test_a_body_is_cut_where_the_frame_maximum_says(void **state)
{
    struct gv_frame call = {.type = GV_FRAME_CALL, .flags = GV_FRAME_RETRY_OK, .call = 9};
    size_t part_bytes = GV_FRAME_MAX_LEAST - GV_FRAME_CHECK_BYTES, at = 0;
    struct gv_frame frame;

    (void)state;
    listener.link.frame_max = GV_FRAME_MAX_LEAST;
    call.method = 3;
    assert_int_equal(gv_link_send(&listener.link, &call, body, part_bytes), 0);
    assert_int_equal(gv_link_send(&listener.link, &call, body, 2 * part_bytes + 1), 0);
    gv_link_flush(&listener.link);
    fake_run();

    frame = next_frame(&at); /* what just fits is whole */
    assert_int_equal(frame.flags, GV_FRAME_RETRY_OK);
    assert_int_equal(frame.body_bytes, part_bytes);
    frame = next_frame(&at);
    assert_int_equal(frame.type, GV_FRAME_CALL);
    assert_int_equal(frame.flags, GV_FRAME_RETRY_OK | GV_FRAME_MORE);
    assert_int_equal(frame.method, 3);
    assert_int_equal(frame.body_bytes, part_bytes);
    frame = next_frame(&at);
    assert_int_equal(frame.type, GV_FRAME_CHUNK);
    assert_true(frame.flags & GV_FRAME_MORE);
    assert_true(frame.call == 9 && frame.body_bytes == part_bytes);
    frame = next_frame(&at);
    assert_int_equal(frame.type, GV_FRAME_CHUNK);
    assert_false(frame.flags & GV_FRAME_MORE);
    assert_true(frame.call == 9 && frame.body_bytes == 1);
    assert_int_equal(at, fake.b.kept.n_bytes);
}

static void test_the_window_may_end_between_two_parts(void **state)
{
    size_t part_bytes = GV_FRAME_MAX_LEAST - GV_FRAME_CHECK_BYTES, at = 0;

    (void)state;
    listener.link.frame_max = GV_FRAME_MAX_LEAST;
    listener.link.out_window = gv_frame_bytes(part_bytes);
    send_frame(GV_FRAME_CALL, 9, part_bytes + 1);
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(fake.b.kept.n_bytes, gv_frame_bytes(part_bytes));
    gv_link_refill(&listener.link, gv_frame_bytes(1));
    gv_link_flush(&listener.link);
    fake_run();
    assert_int_equal(next_frame(&at).type, GV_FRAME_CALL);
    assert_int_equal(next_frame(&at).type, GV_FRAME_CHUNK);
    assert_int_equal(listener.link.out_window, 0);
}

static void test_a_body_that_is_too_big_leaves_nothing_behind(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CALL, .call = 1};

    (void)state;
    assert_int_equal(gv_link_send(&listener.link, &frame, body, GV_LINK_MESSAGE_MAX + 1),
                     GROVE_ETOOBIG);
    assert_int_equal(gv_link_unwritten(&listener.link), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_frames_sent_before_a_flush_leave_in_one_write),
        TEST(test_one_write_is_in_flight_and_the_rest_follows_it),
        TEST(test_what_was_not_flushed_waits_whatever_else_happens),
        TEST(test_what_the_peer_has_made_room_for_leaves_at_once),
        TEST(test_a_mark_counts_when_all_before_it_has_left),
        TEST(test_a_buffer_that_grew_large_is_freed_when_it_has_left),
        TEST(test_an_ending_link_takes_nothing_more),
        TEST(test_data_beyond_the_window_waits_and_all_else_passes_by),
        TEST(test_small_data_does_not_overtake_what_is_held),
        TEST(test_a_link_that_always_holds_something_back_does_not_grow),
        TEST(test_a_body_is_cut_where_the_frame_maximum_says),
        TEST(test_the_window_may_end_between_two_parts),
        TEST(test_a_body_that_is_too_big_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
