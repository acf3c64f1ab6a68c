/*
 * What two versions of a message agree on. Our side is the descriptors of
 * kinds.proto; the other side is their own description, changed by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/links/theirs.h"

static void assert_agrees(const char *method, enum gv_agreement agreement, const char *why)
{
    struct gv_difference difference;

    gv_agree_method(method_named(method), &theirs, &difference);
    assert_int_equal(difference.agreement, agreement);
    assert_non_null(strstr(difference.why, why));
}

/* --- what is compared ------------------------------------------------------------------------------- */

static void test_the_same_schema_is_the_same(void **state)
{
    (void)state;
    assert_agrees("/Flat", GV_AGREE_SAME, "");
    assert_agrees("/Deep", GV_AGREE_SAME, "");
}

static void test_a_field_that_they_lack_is_additive(void **state)
{
    (void)state;
    message_named("kinds.v1.FlatRequest")->n_fields--;
    assert_agrees("/Flat", GV_AGREE_ADDITIVE, "known here alone");
}

static void test_a_field_that_only_they_have_is_additive(void **state)
{
    Grove__Link__V1__FieldSchema *field = field_named("kinds.v1.FlatRequest", "bool");

    (void)state;
    field->number = 999;
    field->name = "brand_new";
    assert_agrees("/Flat", GV_AGREE_ADDITIVE, "");
}

static void test_another_name_for_a_number_is_additive(void **state)
{
    (void)state;
    field_named("kinds.v1.FlatRequest", "bool")->name = "flag";
    assert_agrees("/Flat", GV_AGREE_ADDITIVE, "is called flag there");
}

static void test_another_type_is_breaking(void **state)
{
    (void)state;
    field_named("kinds.v1.FlatRequest", "bool")->type = PROTOBUF_C_TYPE_STRING;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "FlatRequest.bool has another type there");
}

static void test_a_list_on_one_side_is_breaking(void **state)
{
    (void)state;
    field_named("kinds.v1.FlatRequest", "bool")->label = PROTOBUF_C_LABEL_REPEATED;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "a list on one side alone");
}

static void test_a_move_into_a_oneof_is_breaking(void **state)
{
    (void)state;
    field_named("kinds.v1.FlatRequest", "bool")->in_oneof = 1;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "in a oneof on one side alone");
}

static void test_a_name_under_another_number_is_breaking(void **state)
{
    (void)state;
    field_named("kinds.v1.FlatRequest", "bool")->number = 999;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "number 1 here and 999 there");
}

static void test_a_required_field_that_we_lack_is_breaking(void **state)
{
    Grove__Link__V1__FieldSchema *field = field_named("kinds.v1.FlatRequest", "bool");

    (void)state;
    field->number = 999;
    field->name = "must";
    field->label = PROTOBUF_C_LABEL_REQUIRED;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "required there and unknown here");
}

static void test_a_new_value_of_an_enum_is_additive(void **state)
{
    (void)state;
    theirs.enums[0]->values[1]->name = "COLOR_GREEN";
    theirs.enums[0]->values[1]->number = 77;
    assert_agrees("/Flat", GV_AGREE_ADDITIVE, "COLOR_GREEN");
}

static void test_a_value_under_another_number_is_breaking(void **state)
{
    (void)state;
    theirs.enums[0]->values[1]->number = 77;
    assert_agrees("/Flat", GV_AGREE_BREAKING, "there");
}

static void test_differences_are_found_at_any_depth(void **state)
{
    (void)state;
    field_named("kinds.v1.DeepRequest.TagsEntry", "value")->type = PROTOBUF_C_TYPE_DOUBLE;
    assert_agrees("/Flat", GV_AGREE_SAME, "");
    assert_agrees("/Deep", GV_AGREE_BREAKING, "TagsEntry.value");
}

static void test_what_is_not_described_is_breaking(void **state)
{
    (void)state;
    message_named("kinds.v1.FlatResponse")->name = "kinds.v1.Other";
    assert_agrees("/Flat", GV_AGREE_BREAKING, "not described");
    theirs.n_methods = 0;
    assert_agrees("/Deep", GV_AGREE_BREAKING, "did not describe it");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, describe, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_same_schema_is_the_same),
        TEST(test_a_field_that_they_lack_is_additive),
        TEST(test_a_field_that_only_they_have_is_additive),
        TEST(test_another_name_for_a_number_is_additive),
        TEST(test_another_type_is_breaking),
        TEST(test_a_list_on_one_side_is_breaking),
        TEST(test_a_move_into_a_oneof_is_breaking),
        TEST(test_a_name_under_another_number_is_breaking),
        TEST(test_a_required_field_that_we_lack_is_breaking),
        TEST(test_a_new_value_of_an_enum_is_additive),
        TEST(test_a_value_under_another_number_is_breaking),
        TEST(test_differences_are_found_at_any_depth),
        TEST(test_what_is_not_described_is_breaking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
