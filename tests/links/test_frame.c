#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "links/frame.h"

static const struct gv_frame sample = {
    .type = GV_FRAME_CALL,
    .flags = GV_FRAME_RETRY_OK,
    .method = 0x1234,
    .call = UINT64_C(0x0123456789abcdef),
    .target = UINT64_C(0xfedcba9876543210),
    .budget_us = 30000000,
    .aux = 2,
    .hops_lane = 0x12,
};

/* Writes the sample with a body into bytes, which has room; returns its length. */
static size_t write_sample(uint8_t *bytes, const char *body)
{
    size_t body_bytes = strlen(body);

    memcpy(gv_frame_write_head(&sample, bytes, body_bytes), body, body_bytes);
    gv_frame_seal(bytes, 7);
    return gv_frame_bytes(body_bytes);
}

static void test_a_frame_comes_out_as_it_went_in(void **state)
{
    uint8_t bytes[128];
    struct gv_frame frame;

    (void)state;
    assert_int_equal(write_sample(bytes, "hello"), 32 + 5 + 4);
    gv_frame_read_head(&frame, bytes);
    assert_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
    assert_null(gv_frame_open(&frame, bytes, 7));
    assert_int_equal(frame.type, sample.type);
    assert_int_equal(frame.flags, sample.flags);
    assert_int_equal(frame.method, sample.method);
    assert_true(frame.call == sample.call && frame.target == sample.target);
    assert_int_equal(frame.budget_us, sample.budget_us);
    assert_int_equal(frame.aux, sample.aux);
    assert_int_equal(frame.hops_lane, sample.hops_lane);
    assert_int_equal(frame.body_bytes, 5);
    assert_memory_equal(frame.body, "hello", 5);
}

static void test_a_frame_without_body_is_a_frame(void **state)
{
    uint8_t bytes[64];
    struct gv_frame frame;

    (void)state;
    assert_int_equal(write_sample(bytes, ""), 36);
    gv_frame_read_head(&frame, bytes);
    assert_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
    assert_null(gv_frame_open(&frame, bytes, 7));
    assert_int_equal(frame.body_bytes, 0);
}

static void test_the_layout_is_what_the_table_says(void **state)
{
    static const uint8_t head[32] = {
        9,    0,    0,    0,    3,    64,   0x34, 0x12, 0xef, 0xcd, 0xab,
        0x89, 0x67, 0x45, 0x23, 0x01, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba,
        0xdc, 0xfe, 0x80, 0xc3, 0xc9, 0x01, 2,    0,    0,    0x12,
    };
    uint8_t bytes[64];

    (void)state;
    (void)write_sample(bytes, "hello");
    assert_memory_equal(bytes, head, sizeof head);
}

static void test_every_flipped_bit_is_noticed(void **state)
{
    uint8_t bytes[64];
    size_t n = write_sample(bytes, "money");

    (void)state;
    /* Of the length, bits that keep it inside the buffer are caught by the checksum's place. */
    for (size_t bit = 32; bit < n * 8; bit++) {
        struct gv_frame frame;

        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        gv_frame_read_head(&frame, bytes);
        assert_true(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT) != NULL
                    || gv_frame_open(&frame, bytes, 7) != NULL);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_an_extension_is_stepped_over(void **state)
{
    uint8_t bytes[128] = {0};
    struct gv_frame frame;

    (void)state;
    /* Two units of extension in front of a body of three: as a later version would send it. */
    memcpy(gv_frame_write_head(&sample, bytes, 19), "0123456789abcdefxyz", 19);
    bytes[30] = 2;
    gv_frame_seal(bytes, 7);
    gv_frame_read_head(&frame, bytes);
    assert_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
    assert_null(gv_frame_open(&frame, bytes, 7));
    assert_int_equal(frame.body_bytes, 3);
    assert_memory_equal(frame.body, "xyz", 3);
    assert_memory_equal(frame.extension, "0123456789abcdef", 16);
}

static void test_bad_headers_are_refused(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } bad[] = {
        {3, 0xff}, /* four gigabytes */
        {2, 5},    /* over what was agreed */
        {4, 0},    /* no type */
        {4, 19},   /* a reserved type */
        {4, 63},   /* an unknown type that may not be skipped */
        {5, 0x80}, /* a reserved flag */
        {30, 2},   /* an extension that does not fit the length */
    };
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gv_frame frame;

        (void)write_sample(bytes, "hello");
        bytes[bad[i].offset] = bad[i].value;
        gv_frame_read_head(&frame, bytes);
        assert_non_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
    }
}

static void test_a_length_too_short_for_the_checksum_is_refused(void **state)
{
    uint8_t bytes[64];

    (void)state;
    for (uint8_t length = 0; length < 4; length++) {
        struct gv_frame frame;

        (void)write_sample(bytes, "");
        bytes[0] = length;
        gv_frame_read_head(&frame, bytes);
        assert_non_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
    }
}

static void test_unknown_types_from_64_on_are_let_through(void **state)
{
    uint8_t bytes[64];
    struct gv_frame frame;

    (void)state;
    (void)write_sample(bytes, "");
    bytes[4] = 64;
    gv_frame_read_head(&frame, bytes);
    assert_null(gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_comes_out_as_it_went_in),
        cmocka_unit_test(test_a_frame_without_body_is_a_frame),
        cmocka_unit_test(test_the_layout_is_what_the_table_says),
        cmocka_unit_test(test_every_flipped_bit_is_noticed),
        cmocka_unit_test(test_an_extension_is_stepped_over),
        cmocka_unit_test(test_bad_headers_are_refused),
        cmocka_unit_test(test_a_length_too_short_for_the_checksum_is_refused),
        cmocka_unit_test(test_unknown_types_from_64_on_are_let_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
