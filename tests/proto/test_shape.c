/*
 * Shapes: copies of messages are whole, exact in size, and independent of
 * what they were copied from. Bodies are malloc'd to the byte, so that the
 * address sanitizer sees every write that was not measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/refmessage.h>

#include "kinds.grove.h"

static const struct grove_shape *shape_of(uint32_t method)
{
    return kinds_service_table.methods[method].request;
}

/* A body of exactly the measured size with a copy of message. */
static void *copied(const struct grove_shape *shape, const ProtobufCMessage *message)
{
    size_t n_bytes = grove_shape_bytes(shape, message);
    assert_int_equal(n_bytes % 8, 0);

    void *body = malloc(n_bytes == 0 ? 1 : n_bytes);
    assert_non_null(body);
    memset(body, 0xee, n_bytes);
    shape->copy(body, message);
    return body;
}

static uint8_t *packed(const ProtobufCMessage *message, size_t *n_bytes)
{
    uint8_t *bytes = malloc(protobuf_c_message_get_packed_size(message) + 1);

    assert_non_null(bytes);
    *n_bytes = protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void assert_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t n_a;
    size_t n_b;
    uint8_t *bytes_a = packed(a, &n_a);
    uint8_t *bytes_b = packed(b, &n_b);

    assert_int_equal(n_a, n_b);
    assert_memory_equal(bytes_a, bytes_b, n_a);
    free(bytes_a);
    free(bytes_b);
}

/* --- flat ---------------------------------------------------------------------------------- */

static Kinds__V1__FlatRequest flat_message(void)
{
    Kinds__V1__FlatRequest message = KINDS__V1__FLAT_REQUEST__INIT;

    message.bool_ = 1;
    message.int32_value = INT32_MIN;
    message.sint32_value = -2;
    message.sfixed32_value = -3;
    message.uint32_value = UINT32_MAX;
    message.fixed32_value = 5;
    message.int64_value = INT64_MIN;
    message.sint64_value = -7;
    message.sfixed64_value = -8;
    message.uint64_value = UINT64_MAX;
    message.fixed64_value = 10;
    message.float_value = 1.5f;
    message.double_value = -2.25;
    message.color = KINDS__V1__COLOR__COLOR_BLUE;
    message.the_choice_case = KINDS__V1__FLAT_REQUEST__THE_CHOICE_REGISTER;
    message.register_ = 12.5;
    return message;
}

static void test_a_flat_message_survives_copy_and_open(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_FLAT);
    Kinds__V1__FlatRequest message = flat_message();
    Kinds__V1__FlatRequest opened;
    void *body = copied(shape, &message.base);

    shape->open(&opened.base, body);
    free(body);
    assert_int_equal(shape->flat, 1);
    assert_ptr_equal(opened.base.descriptor, &kinds__v1__flat_request__descriptor);
    assert_int_equal(opened.base.n_unknown_fields, 0);
    assert_int_equal(opened.int32_value, INT32_MIN);
    assert_true(opened.uint64_value == UINT64_MAX);
    assert_true(opened.register_ == 12.5);
    assert_same(&message.base, &opened.base);
}

static void test_each_member_of_a_flat_oneof_survives(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_FLAT);
    static const unsigned cases[] = {KINDS__V1__FLAT_REQUEST__THE_CHOICE__NOT_SET,
                                     KINDS__V1__FLAT_REQUEST__THE_CHOICE_SMALL,
                                     KINDS__V1__FLAT_REQUEST__THE_CHOICE_YES};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Kinds__V1__FlatRequest message = KINDS__V1__FLAT_REQUEST__INIT;
        Kinds__V1__FlatRequest opened;

        message.the_choice_case = cases[i];
        message.small = 1;
        void *body = copied(shape, &message.base);
        shape->open(&opened.base, body);
        free(body);
        assert_int_equal(opened.the_choice_case, cases[i]);
        assert_same(&message.base, &opened.base);
    }
}

static void test_a_flat_message_takes_no_more_than_its_fields(void **state)
{
    (void)state;
    Kinds__V1__SmallRequest small = KINDS__V1__SMALL_REQUEST__INIT;
    Kinds__V1__SmallResponse one = KINDS__V1__SMALL_RESPONSE__INIT;
    Kinds__V1__FlatResponse none = KINDS__V1__FLAT_RESPONSE__INIT;

    assert_int_equal(grove_shape_bytes(shape_of(KINDS_METHOD_SMALL), &small.base), 16);
    assert_int_equal(
        grove_shape_bytes(kinds_service_table.methods[KINDS_METHOD_SMALL].response, &one.base), 8);
    assert_int_equal(
        grove_shape_bytes(kinds_service_table.methods[KINDS_METHOD_FLAT].response, &none.base), 0);
}

/* --- deep ---------------------------------------------------------------------------------- */

/* A message with something in every field, all of it writable. */
struct deep {
    Kinds__V1__DeepRequest message;
    Kinds__V1__DeepRequest__Inner inner[3];
    Kinds__V1__DeepRequest__Inner *inners[2];
    Kinds__V1__DeepRequest__TagsEntry tag;
    Kinds__V1__DeepRequest__TagsEntry *tags[1];
    Grove__V1__Ref ref;
    char text[3][8];
    char *texts[3];
    uint8_t data[2][4];
    ProtobufCBinaryData datas[2];
    int64_t longs[2];
    int32_t numbers[3];
    Kinds__V1__Color colors[1];
    protobuf_c_boolean bools[3];
    double doubles[1];
};

static void fill_lists(struct deep *deep)
{
    Kinds__V1__DeepRequest *message = &deep->message;

    deep->texts[0] = deep->text[1];
    deep->texts[1] = (char *)protobuf_c_empty_string;
    deep->texts[2] = deep->text[2];
    message->n_texts = 3;
    message->texts = deep->texts;
    deep->datas[0] = (ProtobufCBinaryData){4, deep->data[0]};
    deep->datas[1] = (ProtobufCBinaryData){0, NULL};
    message->n_datas = 2;
    message->datas = deep->datas;
    message->n_numbers = 3;
    message->numbers = deep->numbers;
    message->n_colors = 1;
    message->colors = deep->colors;
    message->n_bools = 3;
    message->bools = deep->bools;
    message->n_doubles = 1;
    message->doubles = deep->doubles;
}

static void fill(struct deep *deep)
{
    Kinds__V1__DeepRequest *message = &deep->message;

    memset(deep, 0, sizeof *deep);
    kinds__v1__deep_request__init(message);
    for (unsigned i = 0; i < 3; i++) {
        kinds__v1__deep_request__inner__init(&deep->inner[i]);
        memcpy(deep->text[i], "letter", 7);
        deep->inner[i].name = deep->text[i];
        deep->numbers[i] = (int32_t)i - 1;
        deep->bools[i] = i != 1;
    }
    deep->longs[1] = INT64_MIN;
    deep->inner[1].n_numbers = 2;
    deep->inner[1].numbers = deep->longs;
    memset(deep->data, 0xab, sizeof deep->data);
    deep->colors[0] = KINDS__V1__COLOR__COLOR_RED;
    deep->doubles[0] = 0.5;

    message->text = deep->text[0];
    message->data = (ProtobufCBinaryData){3, deep->data[1]};
    message->inner = &deep->inner[0];
    deep->inners[0] = &deep->inner[1];
    deep->inners[1] = &deep->inner[2];
    message->n_inners = 2;
    message->inners = deep->inners;
    kinds__v1__deep_request__tags_entry__init(&deep->tag);
    deep->tag.key = deep->text[2];
    deep->tag.value = &deep->inner[2];
    deep->tags[0] = &deep->tag;
    message->n_tags = 1;
    message->tags = deep->tags;
    grove_ref_to_message(&deep->ref, (grove_ref){11, 12});
    message->ref = &deep->ref;
    message->plain = -13;
    message->choice_case = KINDS__V1__DEEP_REQUEST__CHOICE_PART;
    message->part = &deep->inner[1];
    fill_lists(deep);
}

static void test_a_deep_copy_does_not_change_with_what_it_was_copied_from(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_DEEP);
    struct deep *deep = malloc(sizeof *deep);
    Kinds__V1__DeepRequest opened;
    size_t n_bytes;
    size_t n_opened;

    assert_non_null(deep);
    fill(deep);
    uint8_t *bytes = packed(&deep->message.base, &n_bytes);
    void *body = copied(shape, &deep->message.base);
    memset(deep, 0x5a, sizeof *deep);
    free(deep);

    assert_int_equal(shape->flat, 0);
    shape->open(&opened.base, body);
    uint8_t *opened_bytes = packed(&opened.base, &n_opened);
    assert_int_equal(n_opened, n_bytes);
    assert_memory_equal(opened_bytes, bytes, n_bytes);
    assert_true(grove_ref_equal(grove_ref_from_message(opened.ref), (grove_ref){11, 12}));
    free(opened_bytes);
    free(bytes);
    free(body);
}

static void test_each_member_of_a_deep_oneof_survives(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_DEEP);

    for (unsigned i = 0; i < 5; i++) {
        static const unsigned cases[] = {
            KINDS__V1__DEEP_REQUEST__CHOICE__NOT_SET, KINDS__V1__DEEP_REQUEST__CHOICE_SMALL,
            KINDS__V1__DEEP_REQUEST__CHOICE_WORDS, KINDS__V1__DEEP_REQUEST__CHOICE_PART,
            KINDS__V1__DEEP_REQUEST__CHOICE_RAW};
        Kinds__V1__DeepRequest message = KINDS__V1__DEEP_REQUEST__INIT;
        Kinds__V1__DeepRequest__Inner inner = KINDS__V1__DEEP_REQUEST__INNER__INIT;
        Kinds__V1__DeepRequest opened;
        char words[] = "words";

        message.choice_case = cases[i];
        if (i == 1)
            message.small = 5;
        else if (i == 2)
            message.words = words;
        else if (i == 3)
            message.part = &inner;
        else if (i == 4)
            message.raw = (ProtobufCBinaryData){2, (uint8_t *)words};
        void *body = copied(shape, &message.base);
        shape->open(&opened.base, body);
        assert_same(&message.base, &opened.base);
        free(body);
    }
}

static void test_null_and_empty_strings_become_the_empty_string(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_DEEP);
    Kinds__V1__DeepRequest message = KINDS__V1__DEEP_REQUEST__INIT;
    Kinds__V1__DeepRequest opened;

    message.text = NULL;
    void *body = copied(shape, &message.base);
    shape->open(&opened.base, body);
    assert_ptr_equal(opened.text, protobuf_c_empty_string);
    assert_int_equal(grove_shape_bytes(shape, &message.base), (sizeof message + 7) & ~(size_t)7);
    free(body);
}

static void test_unknown_fields_are_not_copied(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_DEEP);
    Kinds__V1__DeepRequest message = KINDS__V1__DEEP_REQUEST__INIT;
    Kinds__V1__DeepRequest opened;
    uint8_t byte = 0;
    ProtobufCMessageUnknownField unknown = {99, PROTOBUF_C_WIRE_TYPE_VARINT, 1, &byte};

    message.base.n_unknown_fields = 1;
    message.base.unknown_fields = &unknown;
    void *body = copied(shape, &message.base);
    shape->open(&opened.base, body);
    assert_int_equal(opened.base.n_unknown_fields, 0);
    assert_null(opened.base.unknown_fields);
    free(body);
}

static void test_what_cannot_be_measured_has_size_max(void **state)
{
    (void)state;
    const struct grove_shape *shape = shape_of(KINDS_METHOD_DEEP);
    Kinds__V1__DeepRequest message = KINDS__V1__DEEP_REQUEST__INIT;
    Kinds__V1__DeepRequest__Inner *nobody[1] = {NULL};
    char *nothing[1] = {NULL};
    uint8_t byte = 0;

    message.n_numbers = 1;
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
    message.numbers = (int32_t *)&message;
    message.n_numbers = SIZE_MAX / 4 - 1;
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
    message.n_numbers = SIZE_MAX;
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
    message.n_numbers = 0;
    message.data = (ProtobufCBinaryData){SIZE_MAX, &byte};
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
    message.data = (ProtobufCBinaryData){0, NULL};
    message.n_texts = 1;
    message.texts = nothing;
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
    message.n_texts = 0;
    message.n_inners = 1;
    message.inners = nobody;
    assert_true(grove_shape_bytes(shape, &message.base) == SIZE_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flat_message_survives_copy_and_open),
        cmocka_unit_test(test_each_member_of_a_flat_oneof_survives),
        cmocka_unit_test(test_a_flat_message_takes_no_more_than_its_fields),
        cmocka_unit_test(test_a_deep_copy_does_not_change_with_what_it_was_copied_from),
        cmocka_unit_test(test_each_member_of_a_deep_oneof_survives),
        cmocka_unit_test(test_null_and_empty_strings_become_the_empty_string),
        cmocka_unit_test(test_unknown_fields_are_not_copied),
        cmocka_unit_test(test_what_cannot_be_measured_has_size_max),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
