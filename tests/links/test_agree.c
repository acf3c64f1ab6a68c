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

#include <grove/error.h>

#include "actors/service.h"
#include "kinds.grove.h"
#include "links/agree.h"
#include "links/roster.h"

#define ARENA_BYTES ((size_t)1 << 20)

static struct gv_capped_arena arena;
static Grove__Link__V1__Schema theirs;

static const struct grove_method *method_named(const char *name)
{
    for (uint32_t i = 0; i < kinds_service_table.n_methods; i++)
        if (strstr(kinds_service_table.methods[i].name, name) != NULL)
            return &kinds_service_table.methods[i];
    fail();
    return NULL;
}

/* The other side says the same as we. */
static int describe(void **state)
{
    const struct grove_method *methods[] = {method_named("/Flat"), method_named("/Deep")};

    (void)state;
    gv_capped_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(gv_agree_describe(methods, 2, &arena, &theirs), 0);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    gv_capped_arena_deinit(&arena);
    return 0;
}

static Grove__Link__V1__MessageSchema *message_named(const char *name)
{
    for (size_t i = 0; i < theirs.n_messages; i++)
        if (strcmp(theirs.messages[i]->name, name) == 0)
            return theirs.messages[i];
    fail();
    return NULL;
}

static Grove__Link__V1__FieldSchema *field_named(const char *message, const char *name)
{
    Grove__Link__V1__MessageSchema *schema = message_named(message);

    for (size_t i = 0; i < schema->n_fields; i++)
        if (strcmp(schema->fields[i]->name, name) == 0)
            return schema->fields[i];
    fail();
    return NULL;
}

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

/* --- rosters -------------------------------------------------------------------------------------- */

static Grove__Link__V1__Method offers[2], *offer_list[2] = {&offers[0], &offers[1]};

/* A peer that serves Flat as we know it, and Deep with another fingerprint. */
static struct gv_roster *make_roster(void)
{
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;
    const char *const names[] = {"/Flat", "/Deep"};
    struct gv_roster *roster;

    for (unsigned i = 0; i < 2; i++) {
        grove__link__v1__method__init(&offers[i]);
        offers[i].name = (char *)method_named(names[i])->name;
        offers[i].request_fingerprint = method_named(names[i])->request_fingerprint + i;
        offers[i].response_fingerprint = method_named(names[i])->response_fingerprint;
    }
    hello.n_methods = 2;
    hello.methods = offer_list;
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    assert_true(gv_roster_matches(roster, &hello));
    offers[0].request_fingerprint++;
    assert_false(gv_roster_matches(roster, &hello));
    return roster;
}

static uint16_t index_of(const char *name)
{
    assert_int_equal(grove_service_register(&kinds_service_table), 0);
    return gv_method_named(method_named(name)->name);
}

static void test_a_roster_numbers_what_fits(void **state)
{
    struct gv_roster *roster;
    uint16_t index = index_of("/Flat"), number;
    const char *why;

    (void)state;
    roster = make_roster();
    assert_int_equal(gv_roster_number(roster, index, &number, &why), 0);
    assert_int_equal(number, 1);
    assert_string_equal(gv_roster_name(roster, 1), "kinds.v1.KindsService/Flat");
    assert_int_equal(gv_roster_number(roster, index_of("/Small"), &number, &why), GROVE_ENOTSUP);
    gv_roster_free(roster);
}

static void test_a_roster_lets_additive_differences_pass(void **state)
{
    struct gv_roster *roster;
    uint16_t index = index_of("/Deep"), number;
    const char *why;

    (void)state;
    roster = make_roster();
    assert_true(gv_roster_wants_schema(roster));
    message_named("kinds.v1.DeepRequest")->n_fields--;
    assert_int_equal(gv_roster_learn(roster, &theirs), 0);
    assert_false(gv_roster_wants_schema(roster));
    assert_int_equal(gv_roster_number(roster, index, &number, &why), 0);
    assert_int_equal(number, 2);
    gv_roster_free(roster);
}

static void test_a_roster_refuses_breaking_differences_with_the_reason(void **state)
{
    struct gv_roster *roster;
    uint16_t index = index_of("/Deep"), number;
    const char *why;

    (void)state;
    roster = make_roster();
    message_named("kinds.v1.DeepRequest")->fields[0]->type = PROTOBUF_C_TYPE_FIXED32;
    assert_int_equal(gv_roster_learn(roster, &theirs), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(gv_roster_number(roster, index, &number, &why), GROVE_ENOTSUP);
        assert_non_null(strstr(why, "has another type there"));
    }
    assert_int_equal(gv_roster_number(roster, index_of("/Flat"), &number, &why), 0);
    gv_roster_free(roster);
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
        TEST(test_a_roster_numbers_what_fits),
        TEST(test_a_roster_lets_additive_differences_pass),
        TEST(test_a_roster_refuses_breaking_differences_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
