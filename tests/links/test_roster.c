/* What a peer offers, numbered, compared and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "actors/service.h"
#include "bank.grove.h"
#include "links/roster.h"
#include "tests/links/fake.h"
#include "tests/links/theirs.h"

static Grove__Link__V1__Method offers[2], *offer_list[2] = {&offers[0], &offers[1]};
static Grove__Link__V1__Hello hello;

/* A peer that serves Flat as we know it, and Deep with another fingerprint. */
static struct gv_roster *make_roster(void)
{
    const char *const names[] = {"/Flat", "/Deep"};
    struct gv_roster *roster;

    grove__link__v1__hello__init(&hello);
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
    return roster;
}

static uint16_t index_of(const char *name)
{
    assert_int_equal(grove_service_register(&kinds_service_table), 0);
    return gv_method_named(method_named(name)->name);
}

static void test_only_the_same_methods_in_the_same_order_match(void **state)
{
    struct gv_roster *roster = make_roster();
    char name[] = "kinds.v1.KindsService/Fl\0t";

    (void)state;
    assert_true(gv_roster_matches(roster, &hello));
    hello.n_methods = 1;
    assert_false(gv_roster_matches(roster, &hello));
    hello.n_methods = 2;
    offers[0].request_fingerprint++;
    assert_false(gv_roster_matches(roster, &hello));
    offers[0].request_fingerprint--;
    offers[1].response_fingerprint--;
    assert_false(gv_roster_matches(roster, &hello));
    offers[1].response_fingerprint++;
    offers[0].name = name;
    assert_false(gv_roster_matches(roster, &hello));
    gv_roster_free(roster);
}

static void test_a_hello_is_copied_and_lives_until_the_last_holder_frees_it(void **state)
{
    char name[] = "their.Service/Method";
    struct gv_roster *roster;

    (void)state;
    gv_roster_free(make_roster());
    offers[1].name = name;
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    name[0] = 'X';
    assert_ptr_equal(gv_roster_hold(roster), roster);
    gv_roster_free(roster);
    assert_int_equal(gv_roster_count(roster), 2);
    assert_string_equal(gv_roster_name(roster, 2), "their.Service/Method");
    gv_roster_free(roster);
    gv_roster_free(NULL);
}

static void test_what_fits_has_the_number_of_its_place(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t index = index_of("/Flat"), number;
    const char *why;

    (void)state;
    assert_int_equal(gv_roster_number(roster, index, &number, &why), 0);
    assert_int_equal(number, 1);
    assert_string_equal(gv_roster_name(roster, 1), "kinds.v1.KindsService/Flat");
    assert_int_equal(gv_roster_number(roster, index_of("/Small"), &number, &why), GROVE_ENOTSUP);
    gv_roster_free(roster);
}

static void test_additive_differences_pass(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t index = index_of("/Deep"), number;
    const char *why;

    (void)state;
    assert_true(gv_roster_wants_schema(roster));
    message_named("kinds.v1.DeepRequest")->n_fields--;
    assert_int_equal(gv_roster_learn(roster, &theirs), 0);
    assert_false(gv_roster_wants_schema(roster));
    assert_int_equal(gv_roster_number(roster, index, &number, &why), 0);
    assert_int_equal(number, 2);
    gv_roster_free(roster);
}

static void test_breaking_differences_are_refused_with_the_reason(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t index = index_of("/Deep"), number;
    const char *why;

    (void)state;
    message_named("kinds.v1.DeepRequest")->fields[0]->type = PROTOBUF_C_TYPE_FIXED32;
    assert_int_equal(gv_roster_learn(roster, &theirs), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(gv_roster_number(roster, index, &number, &why), GROVE_ENOTSUP);
        assert_non_null(strstr(why, "has another type there"));
    }
    assert_int_equal(gv_roster_number(roster, index_of("/Flat"), &number, &why), 0);
    gv_roster_free(roster);
}

/* The messages are the same: an answer, or items. */
static void test_a_stream_there_and_one_answer_here_is_refused(void **state)
{
    struct gv_roster *roster = make_roster();
    const char *why = NULL;
    uint16_t number;

    (void)state;
    offers[0].streams = true;
    assert_false(gv_roster_matches(roster, &hello));
    gv_roster_free(roster);
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    assert_int_equal(gv_roster_number(roster, index_of("/Flat"), &number, &why), GROVE_ENOTSUP);
    assert_string_equal(why, "the other side answers with a stream of items");
    gv_roster_free(roster);
}

static void test_a_method_that_was_not_offered_is_refused(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t number;
    const char *why = NULL;

    (void)state;
    assert_int_equal(gv_roster_number(roster, index_of("/Small"), &number, &why), GROVE_ENOTSUP);
    assert_non_null(strstr(why, "no function for this method"));
    gv_roster_free(roster);
}

static void test_a_difference_that_nobody_described_is_refused(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t number;
    const char *why = NULL;

    (void)state;
    assert_int_equal(gv_roster_number(roster, index_of("/Deep"), &number, &why), GROVE_ENOTSUP);
    assert_non_null(strstr(why, "did not describe it"));
    gv_roster_free(roster);
}

static void test_a_verdict_is_kept_and_logged_once(void **state)
{
    struct gv_roster *roster = make_roster();
    uint16_t index = index_of("/Deep"), number;
    const char *why = NULL;

    (void)state;
    fake_reset();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(gv_roster_number(roster, index, &number, &why), GROVE_ENOTSUP);
    assert_int_equal(fake.n_lines, 1);
    assert_non_null(strstr(fake.line, "method=kinds.v1.KindsService/Deep verdict=refused"));
    assert_int_equal(gv_roster_learn(roster, &theirs), 0);
    assert_int_equal(gv_roster_number(roster, index, &number, &why), GROVE_ENOTSUP);
    assert_int_equal(fake.n_lines, 1);
    gv_roster_free(roster);
}

static void test_a_schema_is_wanted_for_what_differs_or_is_unknown_here(void **state)
{
    struct gv_roster *roster;

    (void)state;
    (void)index_of("/Flat");
    gv_roster_free(make_roster());
    offers[1].request_fingerprint--;
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    assert_false(gv_roster_wants_schema(roster));
    gv_roster_free(roster);
    offers[1].name = (char *)"later.v1.LaterService/Later";
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    assert_true(gv_roster_wants_schema(roster));
    gv_roster_free(roster);
}

static void test_a_service_registered_after_the_first_call_has_its_numbers_too(void **state)
{
    struct gv_roster *roster;
    uint16_t flat = index_of("/Flat"), number = 0;
    const char *why;

    (void)state;
    gv_roster_free(make_roster());
    offers[1].name = (char *)account_service_table.methods[0].name;
    offers[1].request_fingerprint = account_service_table.methods[0].request_fingerprint;
    offers[1].response_fingerprint = account_service_table.methods[0].response_fingerprint;
    roster = gv_roster_new(&hello);
    assert_non_null(roster);
    assert_int_equal(gv_roster_number(roster, flat, &number, &why), 0);
    assert_int_equal(number, 1);
    assert_int_equal(grove_service_register(&account_service_table), 0);
    assert_int_equal(gv_roster_number(roster, gv_method_named(offers[1].name), &number, &why), 0);
    assert_int_equal(number, 2);
    assert_int_equal(gv_roster_number(roster, flat, &number, &why), 0);
    assert_int_equal(number, 1);
    gv_roster_free(roster);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, describe, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_same_methods_in_the_same_order_match),
        TEST(test_a_hello_is_copied_and_lives_until_the_last_holder_frees_it),
        TEST(test_what_fits_has_the_number_of_its_place),
        TEST(test_additive_differences_pass),
        TEST(test_breaking_differences_are_refused_with_the_reason),
        TEST(test_a_stream_there_and_one_answer_here_is_refused),
        TEST(test_a_method_that_was_not_offered_is_refused),
        TEST(test_a_difference_that_nobody_described_is_refused),
        TEST(test_a_verdict_is_kept_and_logged_once),
        TEST(test_a_schema_is_wanted_for_what_differs_or_is_unknown_here),
        TEST(test_a_service_registered_after_the_first_call_has_its_numbers_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
