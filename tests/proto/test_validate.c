/*
 * Validate: each rule, with the bytes that break it, and the differential:
 * whatever passes is read by protobuf-c, packed again, and read as the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "kinds.grove.h"
#include "proto/codec.h"
#include "proto/validate.h"

#define DEEP (&kinds__v1__deep_request__descriptor)
#define FLAT (&kinds__v1__flat_request__descriptor)
#define NEST (&kinds__v1__nest__descriptor)

/* The bytes of a string literal, without its NUL. */
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static void assert_passes(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                          size_t n_bytes)
{
    struct gv_validate_error error = {0};

    if (!gv_validate(descriptor, bytes, n_bytes, NULL, &error))
        fail_msg("%s in %s at %zu", error.why, error.message, error.offset);
}

static struct gv_validate_error refused(const ProtobufCMessageDescriptor *descriptor,
                                        const uint8_t *bytes, size_t n_bytes)
{
    struct gv_validate_error error = {0};

    assert_false(gv_validate(descriptor, bytes, n_bytes, NULL, &error));
    assert_false(gv_validate(descriptor, bytes, n_bytes, NULL, NULL));
    return error;
}

static void assert_refused(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                           size_t n_bytes, const char *why)
{
    assert_string_equal(refused(descriptor, bytes, n_bytes).why, why);
}

static void test_no_bytes_are_the_empty_message(void **state)
{
    (void)state;
    assert_passes(DEEP, NULL, 0);
}

static void test_every_wire_type_passes(void **state)
{
    (void)state;
    /* Varint, 64 bit, text, 32 bit, packed, a message, an unknown field. */
    assert_passes(FLAT, BYTES("\x10\x05"));
    assert_passes(FLAT, BYTES("\x49\1\2\3\4\5\6\7\x08"));
    assert_passes(DEEP, BYTES("\x0a\x02\xc3\xa9"));
    assert_passes(FLAT, BYTES("\x35\1\2\3\4"));
    assert_passes(DEEP, BYTES("\x3a\x03\x01\x80\x01"));
    assert_passes(DEEP, BYTES("\x1a\x03\x0a\x01x"));
    assert_passes(FLAT, BYTES("\xa2\x06\x02yz"));
    /* Unpacked numbers where packed ones are usual, and the other way round. */
    assert_passes(DEEP, BYTES("\x38\x01\x38\x02"));
    assert_passes(NEST, BYTES("\x1a\x02\x01\x02"));
}

static void test_an_error_names_rule_message_field_and_place(void **state)
{
    (void)state;
    struct gv_validate_error error = refused(DEEP, BYTES("\x68\x01\x1a\x03\x0a\x01\x00"));

    assert_string_equal(error.why, "the string has a NUL in it");
    assert_string_equal(error.message, "kinds.v1.DeepRequest.Inner");
    assert_string_equal(error.field, "name");
    assert_int_equal(error.number, 1);
    assert_int_equal(error.offset, 6);
}

static void test_tags_are_short_and_have_a_number(void **state)
{
    (void)state;
    assert_refused(FLAT, BYTES("\x80\x00"), "the tag is longer than need be");
    assert_refused(FLAT, BYTES("\x90\x80\x00\x01"), "the tag is longer than need be");
    assert_refused(FLAT, BYTES("\x00\x01"), "no field has this number");
    assert_refused(FLAT, BYTES("\x90"), "the tag is cut off or too long");
    assert_refused(FLAT, BYTES("\x90\x80\x80\x80\x80\x01"), "the tag is cut off or too long");
    assert_refused(FLAT, BYTES("\xf8\xff\xff\xff\x1f\x01"), "no field has this number");
}

static void test_numbers_are_whole(void **state)
{
    (void)state;
    assert_refused(FLAT, BYTES("\x10"), "the number is cut off or too long");
    assert_refused(FLAT, BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                   "the number is cut off or too long");
    assert_refused(FLAT, BYTES("\x49\1\2\3\4\5\6\7"), "the number is cut off");
    assert_refused(FLAT, BYTES("\x35\1\2\3"), "the number is cut off");
    assert_passes(FLAT, BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
}

static void test_groups_and_unknown_wire_types_are_refused(void **state)
{
    (void)state;
    assert_refused(FLAT, BYTES("\x13\x14"), "the field has another type");
    assert_refused(FLAT, BYTES("\xa3\x06\xa4\x06"), "groups and unknown wire types are not read");
    assert_refused(FLAT, BYTES("\xa6\x06"), "groups and unknown wire types are not read");
    assert_refused(FLAT, BYTES("\xa7\x06"), "groups and unknown wire types are not read");
}

static void test_a_known_field_has_its_own_wire_type(void **state)
{
    (void)state;
    assert_refused(FLAT, BYTES("\x12\x01x"), "the field has another type");
    assert_refused(DEEP, BYTES("\x08\x01"), "the field has another type");
    assert_refused(DEEP, BYTES("\x3d\1\2\3\4"), "the field has another type");
}

static void test_claimed_lengths_end_with_the_message_around(void **state)
{
    (void)state;
    assert_refused(DEEP, BYTES("\x0a\x02x"), "the length leads behind the end");
    assert_refused(DEEP, BYTES("\x0a\xff\xff\xff\xff\x0f"), "the length leads behind the end");
    /* 2^60 */
    assert_refused(DEEP, BYTES("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x10"),
                   "the length is cut off or too long");
    assert_refused(DEEP, BYTES("\x0a"), "the length is cut off or too long");
    /* The inner string would reach into the outer message. */
    assert_refused(DEEP, BYTES("\x1a\x02\x0a\x05xxxxx"), "the length leads behind the end");
    assert_refused(DEEP, BYTES("\xa2\x06\x03x"), "the length leads behind the end");
}

static void test_a_singular_field_comes_once(void **state)
{
    (void)state;
    assert_refused(FLAT, BYTES("\x10\x01\x10\x01"), "the field stands there twice");
    assert_refused(DEEP, BYTES("\x1a\x00\x1a\x00"), "the field stands there twice");
    assert_refused(DEEP, BYTES("\xa0\x01\x01\xaa\x01\x01x"), "two members of one oneof are set");
    assert_refused(DEEP, BYTES("\xb2\x01\x00\xb2\x01\x00"), "the field stands there twice");
    /* The same fields in two messages are not the same. */
    assert_passes(DEEP, BYTES("\x1a\x03\x0a\x01x\x32\x03\x0a\x01x\x32\x03\x0a\x01x"));
}

static void test_strings_are_utf8_without_nul(void **state)
{
    (void)state;
    static const char *const good[] = {"\x7f",         "\xc2\x80",         "\xdf\xbf",
                                       "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2x",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xf1\x80\x80"};
    uint8_t bytes[8] = {0x0a};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        bytes[1] = (uint8_t)strlen(good[i]);
        memcpy(bytes + 2, good[i], bytes[1]);
        assert_passes(DEEP, bytes, 2u + bytes[1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bytes[1] = (uint8_t)strlen(bad[i]);
        memcpy(bytes + 2, bad[i], bytes[1]);
        assert_refused(DEEP, bytes, 2u + bytes[1], "the string is not UTF-8");
    }
    assert_refused(DEEP, BYTES("\x0a\x03x\x00y"), "the string has a NUL in it");
    assert_refused(DEEP, BYTES("\x22\x01\xff"), "the string is not UTF-8");
    /* bytes fields may hold anything. */
    assert_passes(DEEP, BYTES("\x12\x02\x00\xff"));
}

static void test_packed_numbers_are_whole(void **state)
{
    (void)state;
    assert_refused(DEEP, BYTES("\x3a\x02\x01\x80"), "a packed number is cut off or too long");
    assert_refused(DEEP, BYTES("\x52\x07\1\2\3\4\5\6\7"), "a packed number is cut off");
    assert_refused(NEST, BYTES("\x12\x03\1\2\3"), "a packed number is cut off");
    assert_refused(DEEP, BYTES("\x4a\x02\x01\x02"), "a packed bool is neither 0 nor 1");
    assert_refused(DEEP, BYTES("\x4a\x02\x81\x00"), "a packed bool is neither 0 nor 1");
    assert_passes(DEEP, BYTES("\x3a\x00"));
}

static void test_enums_have_known_values_unless_said_otherwise(void **state)
{
    (void)state;
    struct gv_limits limits = gv_limits_default;

    assert_passes(NEST, BYTES("\x20\x05"));
    assert_refused(NEST, BYTES("\x20\x02"), "the enum has no such value");
    assert_refused(DEEP, BYTES("\x42\x02\x01\x02"), "the enum has no such value");
    limits.unknown_enums = true;
    assert_true(gv_validate(NEST, BYTES("\x20\x02"), &limits, NULL));
}

static void test_ten_thousand_levels_are_refused_without_a_stack(void **state)
{
    (void)state;
    /* Length-prefixed levels from the inside out would need growing lengths; claims are enough. */
    enum { LEVELS = 10000 };
    uint8_t *bytes = malloc(2 * LEVELS);
    struct gv_limits shallow = gv_limits_default;

    assert_non_null(bytes);
    for (size_t i = 0; i < LEVELS; i++) {
        bytes[2 * i] = 0x0a;
        bytes[2 * i + 1] = 0x7f;
    }
    assert_false(gv_validate(NEST, bytes, 2 * LEVELS, NULL, NULL));
    free(bytes);

    shallow.depth_max = 2;
    assert_passes(NEST, BYTES("\x0a\x04\x0a\x02\x08\x01"));
    assert_false(gv_validate(NEST, BYTES("\x0a\x04\x0a\x02\x08\x01"), &shallow, NULL));
}

static void test_elements_are_counted_per_field_and_in_all(void **state)
{
    (void)state;
    struct gv_limits limits = gv_limits_default;
    struct gv_validate_error error;

    limits.field_elements_max = 3;
    assert_true(gv_validate(DEEP, BYTES("\x3a\x02\x01\x02\x38\x03"), &limits, NULL));
    assert_false(gv_validate(DEEP, BYTES("\x3a\x02\x01\x02\x38\x03\x38\x04"), &limits, &error));
    assert_string_equal(error.why, "the repeated field has too many elements");
    assert_false(gv_validate(NEST, BYTES("\x0a\0\x0a\0\x0a\0\x0a\0"), &limits, NULL));

    limits.elements_max = 4;
    assert_true(
        gv_validate(FLAT, BYTES("\xa0\x06\1\xa0\x06\1\xa0\x06\1\xa0\x06\1"), &limits, NULL));
    assert_false(gv_validate(FLAT, BYTES("\xa0\x06\1\xa0\x06\1\xa0\x06\1\xa0\x06\1\xa0\x06\1"),
                             &limits, &error));
    assert_string_equal(error.why, "the message has too many fields and elements in all");
}

static void test_a_message_larger_than_the_limit_is_refused_unread(void **state)
{
    (void)state;
    struct gv_limits limits = gv_limits_default;

    limits.bytes_max = 1;
    assert_true(gv_validate(FLAT, NULL, 0, &limits, NULL));
    assert_false(gv_validate(FLAT, BYTES("\x10\x01"), &limits, NULL));
}

/* --- differential -------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A message with most fields set, to be broken; the bytes are exactly what it takes. */
static size_t sample(uint8_t *bytes)
{
    static const char good[] =
        "\x0a\x03"
        "abc\x12\x02\xff\x00\x1a\x09\x0a\x01n\x12\x04\x01\x80\x01\x05\x22\x01"
        "a\x22\x00\x2a\x01z\x32\x00\x32\x03\x0a\x01q\x3a\x03\x01\x02\x03\x42\x02"
        "\x01\x05\x4a\x02\x01\x00\x52\x08\1\2\3\4\5\6\7\x08\x5a\x05\x0a\x01k\x12"
        "\x00\x62\x09\x09\1\2\3\4\5\6\7\x08\x68\x7f\xaa\x01\x02hi\xf8\x06\x01";

    memcpy(bytes, good, sizeof good - 1);
    return sizeof good - 1;
}

static size_t mutate(uint8_t *bytes, size_t n_bytes, uint64_t *seed)
{
    unsigned n_changes = (unsigned)(next_random(seed) % 4);

    for (unsigned i = 0; i < n_changes && n_bytes > 0; i++) {
        size_t at = next_random(seed) % n_bytes;

        switch (next_random(seed) % 4) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << (next_random(seed) % 8));
            break;
        case 1:
            bytes[at] = (uint8_t)next_random(seed);
            break;
        case 2:
            memmove(bytes + at, bytes + at + 1, n_bytes - at - 1);
            n_bytes--;
            break;
        default:
            memmove(bytes + at + 1, bytes + at, n_bytes - at);
            n_bytes++;
            break;
        }
    }
    return n_bytes;
}

/* 1 if they pass and mean the same after a round trip, 0 if they are refused, -1 for a difference. */
static int round_trip(const uint8_t *bytes, size_t n_bytes)
{
    struct gv_capped_arena arena;
    struct gv_capped_arena again_arena;
    ProtobufCMessage *message;
    ProtobufCMessage *again;
    size_t n_packed;
    int same = -1;

    int rc = gv_unpack(DEEP, (struct gv_packed){bytes, n_bytes}, &arena, &message, NULL);
    if (rc == GROVE_EPROTO)
        return 0;
    if (rc != 0)
        return -1;
    if (gv_packed_size(message, SIZE_MAX, &n_packed) != 0)
        goto out;

    uint8_t *packed = malloc(2 * n_packed + 1);
    gv_pack(message, packed, n_packed);
    if (gv_unpack(DEEP, (struct gv_packed){packed, n_packed}, &again_arena, &again, NULL) == 0) {
        size_t n_again = protobuf_c_message_pack(again, packed + n_packed);
        same = n_again == n_packed && memcmp(packed, packed + n_packed, n_packed) == 0 ? 1 : -1;
        gv_capped_arena_deinit(&again_arena);
    }
    free(packed);
out:
    gv_capped_arena_deinit(&arena);
    return same;
}

static void test_what_passes_is_read_packed_and_read_again_as_the_same(void **state)
{
    (void)state;
    enum { ROUNDS = 200000 };
    uint64_t seed = 0x9e3779b97f4a7c15;
    unsigned n_passed = 0;
    uint8_t bytes[256];

    assert_int_equal(round_trip(bytes, sample(bytes)), 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t started = seed;
        size_t n_bytes = mutate(bytes, sample(bytes), &seed);

        /* Exactly as long as it is, so that the sanitizer sees a read too far. */
        uint8_t *exact = malloc(n_bytes + (n_bytes == 0));
        memcpy(exact, bytes, n_bytes);
        int rc = round_trip(exact, n_bytes);
        free(exact);
        if (rc < 0)
            fail_msg("seed %llu makes a difference", (unsigned long long)started);
        n_passed += rc == 1;
    }
    /* Neither everything nor nothing, or the test shows nothing. */
    assert_in_range(n_passed, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_bytes_are_the_empty_message),
        cmocka_unit_test(test_every_wire_type_passes),
        cmocka_unit_test(test_an_error_names_rule_message_field_and_place),
        cmocka_unit_test(test_tags_are_short_and_have_a_number),
        cmocka_unit_test(test_numbers_are_whole),
        cmocka_unit_test(test_groups_and_unknown_wire_types_are_refused),
        cmocka_unit_test(test_a_known_field_has_its_own_wire_type),
        cmocka_unit_test(test_claimed_lengths_end_with_the_message_around),
        cmocka_unit_test(test_a_singular_field_comes_once),
        cmocka_unit_test(test_strings_are_utf8_without_nul),
        cmocka_unit_test(test_packed_numbers_are_whole),
        cmocka_unit_test(test_enums_have_known_values_unless_said_otherwise),
        cmocka_unit_test(test_ten_thousand_levels_are_refused_without_a_stack),
        cmocka_unit_test(test_elements_are_counted_per_field_and_in_all),
        cmocka_unit_test(test_a_message_larger_than_the_limit_is_refused_unread),
        cmocka_unit_test(test_what_passes_is_read_packed_and_read_again_as_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
