/*
 * Codec: what comes in is bounded, what goes out is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "kinds.grove.h"
#include "proto/codec.h"

static void test_a_message_comes_back_as_it_went(void **state)
{
    (void)state;
    Kinds__V1__DeepResponse response = KINDS__V1__DEEP_RESPONSE__INIT;
    char text[] = "there and back";
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    uint8_t bytes[64];
    size_t n_bytes;

    response.text = text;
    assert_int_equal(gv_packed_size(&response.base, sizeof bytes, &n_bytes), 0);
    gv_pack(&response.base, bytes, n_bytes);
    assert_int_equal(gv_unpack(&kinds__v1__deep_response__descriptor,
                               (struct gv_packed){bytes, n_bytes}, &arena, &message, NULL),
                     0);
    assert_string_equal(((Kinds__V1__DeepResponse *)message)->text, text);
    gv_capped_arena_deinit(&arena);
}

static void test_bytes_that_are_no_message_are_a_protocol_error(void **state)
{
    (void)state;
    struct gv_capped_arena arena;
    struct gv_validate_error error;
    ProtobufCMessage *message = NULL;
    const uint8_t bytes[] = {0x0a, 0x7f};

    assert_int_equal(gv_unpack(&kinds__v1__deep_response__descriptor, (struct gv_packed){bytes, 2},
                               &arena, &message, &error),
                     GROVE_EPROTO);
    assert_null(message);
    assert_string_equal(error.why, "the length leads behind the end");
}

static void test_a_bomb_of_small_messages_stays_below_its_cap(void **state)
{
    (void)state;
    /* 64 lists of 1 000 empty messages: protobuf-c would take 35 times their bytes. */
    enum { LISTS = 64, EMPTY = 1000 };
    uint8_t *bytes = malloc(LISTS * (3 + 2 * EMPTY));
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    size_t n = 0;

    assert_non_null(bytes);
    for (unsigned i = 0; i < LISTS; i++) {
        bytes[n++] = 0x0a;
        bytes[n++] = (2 * EMPTY & 0x7f) | 0x80;
        bytes[n++] = 2 * EMPTY >> 7;
        for (unsigned k = 0; k < EMPTY; k++) {
            bytes[n++] = 0x0a;
            bytes[n++] = 0x00;
        }
    }
    assert_true(gv_validate(&kinds__v1__nest__descriptor, bytes, n, NULL, NULL));
    assert_int_equal(gv_unpack(&kinds__v1__nest__descriptor, (struct gv_packed){bytes, n}, &arena,
                               &message, NULL),
                     GROVE_ETOOBIG);
    free(bytes);
}

static void test_a_long_list_of_small_messages_is_no_bomb(void **state)
{
    (void)state;
    enum { N = 4000 };
    uint8_t *bytes = malloc(4 + 4 * N);
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    size_t n = 0;

    assert_non_null(bytes);
    bytes[n++] = 0x0a;
    bytes[n++] = (4 * N & 0x7f) | 0x80;
    bytes[n++] = 4 * N >> 7; /* below 128: two bytes of length are enough */
    for (unsigned k = 0; k < N; k++) {
        memcpy(bytes + n, "\x0a\x02\x08\x05", 4);
        n += 4;
    }
    assert_int_equal(gv_unpack(&kinds__v1__nest__descriptor, (struct gv_packed){bytes, n}, &arena,
                               &message, NULL),
                     0);
    assert_int_equal(((Kinds__V1__Nest *)message)->levels[0]->n_levels, N);
    gv_capped_arena_deinit(&arena);
    free(bytes);
}

static void test_an_unset_member_of_a_oneof_is_not_followed(void **state)
{
    (void)state;
    Kinds__V1__DeepRequest request = KINDS__V1__DEEP_REQUEST__INIT;
    size_t n_bytes;

    /* Shares its place with a pointer to a message. */
    request.choice_case = KINDS__V1__DEEP_REQUEST__CHOICE_SMALL;
    request.small = 5;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), 0);
    assert_int_equal(n_bytes, 3);
}

static void test_null_where_something_must_be_is_refused(void **state)
{
    (void)state;
    Kinds__V1__DeepRequest request = KINDS__V1__DEEP_REQUEST__INIT;
    Kinds__V1__DeepRequest__Inner *nobody[1] = {NULL};
    ProtobufCBinaryData nothing = {3, NULL};
    char *no_text[1] = {NULL};
    size_t n_bytes;

    request.n_inners = 1;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), GROVE_EUSAGE);
    request.inners = nobody;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), GROVE_EUSAGE);
    request.n_inners = 0;
    request.n_texts = 1;
    request.texts = no_text;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), GROVE_EUSAGE);
    request.n_texts = 0;
    request.n_datas = 1;
    request.datas = &nothing;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), GROVE_EUSAGE);
    request.n_datas = 0;
    request.data = nothing;
    assert_int_equal(gv_packed_size(&request.base, 100, &n_bytes), GROVE_EUSAGE);
}

static void test_a_message_beyond_the_limit_is_too_big(void **state)
{
    (void)state;
    Kinds__V1__DeepResponse response = KINDS__V1__DEEP_RESPONSE__INIT;
    char text[] = "0123456789";
    size_t n_bytes = 77;

    response.text = text;
    assert_int_equal(gv_packed_size(&response.base, 11, &n_bytes), GROVE_ETOOBIG);
    assert_int_equal(n_bytes, 77);
    assert_int_equal(gv_packed_size(&response.base, 12, &n_bytes), 0);
    assert_int_equal(n_bytes, 12);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_comes_back_as_it_went),
        cmocka_unit_test(test_bytes_that_are_no_message_are_a_protocol_error),
        cmocka_unit_test(test_a_bomb_of_small_messages_stays_below_its_cap),
        cmocka_unit_test(test_a_long_list_of_small_messages_is_no_bomb),
        cmocka_unit_test(test_an_unset_member_of_a_oneof_is_not_followed),
        cmocka_unit_test(test_null_where_something_must_be_is_refused),
        cmocka_unit_test(test_a_message_beyond_the_limit_is_too_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
