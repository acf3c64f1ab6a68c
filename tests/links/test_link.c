#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "tests/links/sides.h"

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

static void test_who_is_silent_for_two_whole_beats_is_left_and_who_answers_is_not(void **state)
{
    (void)state;
    greet_both();
    for (unsigned i = 0; i < 5; i++) {
        gv_link_beat(&listener.link);
        fake_run(); /* The dialler does not beat, but it answers. */
    }
    assert_int_equal(listener.link.state, GV_LINK_READY);
    assert_int_equal(listener.n_frames, 0); /* That is no news. */

    gv_link_beat(&listener.link); /* It has heard the last answer. */
    gv_link_beat(&listener.link);
    assert_int_equal(listener.link.state, GV_LINK_READY);
    assert_false(listener.link.silent);
    gv_link_beat(&listener.link);
    assert_true(listener.link.silent);
    assert_false(listener.link.dropped);
    fake_run();
    assert_true(listener.closed && dialler.closed);
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
        cmocka_unit_test(test_who_is_silent_for_two_whole_beats_is_left_and_who_answers_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
