/* How message types are described to the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "proto/codec.h"
#include "tests/links/theirs.h"

static void test_methods_name_what_they_take_and_give(void **state)
{
    (void)state;
    assert_int_equal(theirs.n_methods, 2);
    assert_string_equal(theirs.methods[0]->name, "kinds.v1.KindsService/Flat");
    assert_string_equal(theirs.methods[0]->request, "kinds.v1.FlatRequest");
    assert_string_equal(theirs.methods[0]->response, "kinds.v1.FlatResponse");
    assert_string_equal(theirs.methods[1]->name, "kinds.v1.KindsService/Deep");
}

static void test_every_type_that_is_met_is_described_once(void **state)
{
    static const char *const names[] = {
        "kinds.v1.FlatRequest",  "kinds.v1.FlatResponse",      "kinds.v1.DeepRequest",
        "kinds.v1.DeepResponse", "kinds.v1.DeepRequest.Inner", "kinds.v1.DeepRequest.TagsEntry",
        "grove.v1.Ref",
    };

    (void)state;
    assert_int_equal(theirs.n_messages, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(message_named(names[i]));
    assert_int_equal(theirs.n_enums, 1);
    assert_string_equal(theirs.enums[0]->name, "kinds.v1.Color");
}

static void test_a_field_is_described_with_all_that_is_compared(void **state)
{
    Grove__Link__V1__FieldSchema *field = field_named("kinds.v1.DeepRequest", "inners");

    (void)state;
    assert_int_equal(field->number, 6);
    assert_int_equal(field->type, PROTOBUF_C_TYPE_MESSAGE);
    assert_int_equal(field->label, PROTOBUF_C_LABEL_REPEATED);
    assert_string_equal(field->type_name, "kinds.v1.DeepRequest.Inner");
    assert_false(field->in_oneof);

    field = field_named("kinds.v1.DeepRequest", "words");
    assert_int_equal(field->number, 21);
    assert_int_equal(field->type, PROTOBUF_C_TYPE_STRING);
    assert_string_equal(field->type_name, "");
    assert_true(field->in_oneof);

    field = field_named("kinds.v1.FlatRequest", "color");
    assert_int_equal(field->type, PROTOBUF_C_TYPE_ENUM);
    assert_string_equal(field->type_name, "kinds.v1.Color");
}

static void test_an_enum_is_described_with_its_values(void **state)
{
    const Grove__Link__V1__EnumSchema *color = theirs.enums[0];
    bool blue = false;

    (void)state;
    assert_int_equal(color->n_values, 3);
    for (size_t i = 0; i < 3; i++)
        blue |= strcmp(color->values[i]->name, "COLOR_BLUE") == 0 && color->values[i]->number == 5;
    assert_true(blue);
}

static void test_a_description_says_the_same_after_the_wire(void **state)
{
    struct gv_difference difference;
    struct gv_capped_arena arena;
    ProtobufCMessage *arrived;
    uint8_t bytes[8192];
    size_t n_bytes;

    (void)state;
    assert_int_equal(gv_packed_size(&theirs.base, sizeof bytes, &n_bytes), 0);
    gv_pack(&theirs.base, bytes, n_bytes);
    assert_int_equal(gv_unpack(&grove__link__v1__schema__descriptor,
                               (struct gv_packed){bytes, n_bytes}, &arena, &arrived, NULL),
                     0);
    gv_agree_method(method_named("/Deep"), (const Grove__Link__V1__Schema *)arrived, &difference);
    gv_capped_arena_deinit(&arena);
    assert_int_equal(difference.agreement, GV_AGREE_SAME);
}

static void test_an_arena_of_any_size_is_enough_or_said_to_be_short(void **state)
{
    const struct grove_method *methods[] = {method_named("/Flat"), method_named("/Deep")};
    Grove__Link__V1__Schema schema;
    struct gv_capped_arena arena;
    size_t bytes_max = 0;
    int rc = GROVE_ENOMEM;

    (void)state;
    for (; rc != 0; bytes_max += 16) {
        assert_int_equal(rc, GROVE_ENOMEM);
        assert_true(bytes_max < 65536);
        gv_capped_arena_init(&arena, bytes_max);
        rc = gv_agree_describe(methods, 2, &arena, &schema);
        gv_capped_arena_deinit(&arena);
    }
    assert_true(bytes_max > 1024);
}

static void test_no_methods_are_an_empty_description(void **state)
{
    Grove__Link__V1__Schema schema;
    struct gv_capped_arena arena;

    (void)state;
    gv_capped_arena_init(&arena, 65536);
    assert_int_equal(gv_agree_describe(NULL, 0, &arena, &schema), 0);
    assert_int_equal(schema.n_methods + schema.n_messages + schema.n_enums, 0);
    gv_capped_arena_deinit(&arena);
}

/* Methods that lead to two types of their own each. */
#define N_METHODS_MAX (GV_AGREE_TYPES_MAX / 2 + 1)

static void test_more_types_than_may_be_are_too_big(void **state)
{
    static ProtobufCMessageDescriptor descriptors[2 * N_METHODS_MAX];
    static struct grove_shape shapes[2 * N_METHODS_MAX];
    static struct grove_method methods[N_METHODS_MAX];
    const struct grove_method *list[N_METHODS_MAX];
    Grove__Link__V1__Schema schema;
    struct gv_capped_arena arena;

    (void)state;
    for (size_t i = 0; i < 2 * N_METHODS_MAX; i++) {
        descriptors[i].name = "some.Type";
        shapes[i].descriptor = &descriptors[i];
    }
    for (size_t i = 0; i < N_METHODS_MAX; i++) {
        methods[i] = (struct grove_method){
            .name = "some/Method", .request = &shapes[2 * i], .response = &shapes[2 * i + 1]};
        list[i] = &methods[i];
    }
    gv_capped_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(gv_agree_describe(list, N_METHODS_MAX - 1, &arena, &schema), 0);
    assert_int_equal(schema.n_messages, GV_AGREE_TYPES_MAX);
    assert_int_equal(gv_agree_describe(list, N_METHODS_MAX, &arena, &schema), GROVE_ETOOBIG);
    gv_capped_arena_deinit(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, describe, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_methods_name_what_they_take_and_give),
        TEST(test_every_type_that_is_met_is_described_once),
        TEST(test_a_field_is_described_with_all_that_is_compared),
        TEST(test_an_enum_is_described_with_its_values),
        TEST(test_a_description_says_the_same_after_the_wire),
        cmocka_unit_test(test_an_arena_of_any_size_is_enough_or_said_to_be_short),
        cmocka_unit_test(test_no_methods_are_an_empty_description),
        cmocka_unit_test(test_more_types_than_may_be_are_too_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
