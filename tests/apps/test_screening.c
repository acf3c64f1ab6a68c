/* The watch list, and the rpc that compares a payee with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove.h>

#include "apps/bank/screening.h"
#include "apps/bank/watchlist.h"

static struct bank_watchlist *list;

static int open_list(void **state)
{
    /* The handler asks for the time. */
    int argc = 0;
    char *arguments[] = {NULL}, **argv = arguments;

    (void)state;
    list = bank_watchlist_new();
    return grove_init(&argc, &argv) != 0 || list == NULL;
}

static int close_list(void **state)
{
    (void)state;
    bank_watchlist_free(list);
    return 0;
}

static int screen(const char *name, Bank__V1__ScreenResponse *response)
{
    Bank__V1__ScreenRequest request = BANK__V1__SCREEN_REQUEST__INIT;

    bank__v1__screen_response__init(response);
    request.name = (char *)name;
    return bank_screening.screen(&request, response);
}

/* The textbook's way, to compare with. */
static unsigned slow_distance(const char *a, const char *b)
{
    unsigned row[BANK_WATCHLIST_LENGTH_MAX + 1];
    size_t n = strlen(b);

    for (size_t k = 0; k <= n; k++)
        row[k] = (unsigned)k;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t k = 1; k <= n; k++) {
            unsigned best = diagonal + (a[i - 1] != b[k - 1]);

            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[n];
}

static void test_distance_counts_inserted_deleted_and_replaced_letters(void **state)
{
    (void)state;
    assert_int_equal(bank_watchlist_distance("kitten", "sitting"), 3);
    assert_int_equal(bank_watchlist_distance("anna", "anna"), 0);
    assert_int_equal(bank_watchlist_distance("anna", "ann"), 1);
    assert_int_equal(bank_watchlist_distance("", "anna"), 4);
    assert_int_equal(bank_watchlist_distance("anna", ""), 4);
}

static void test_distance_agrees_with_the_textbook(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 7 < BANK_WATCHLIST_NAMES; i++)
        assert_int_equal(bank_watchlist_distance(list->names[i], list->names[i + 7]),
                         slow_distance(list->names[i], list->names[i + 7]));
}

static void test_distance_works_for_the_longest_names(void **state)
{
    char a[BANK_WATCHLIST_LENGTH_MAX + 1], b[BANK_WATCHLIST_LENGTH_MAX + 1], c[200];

    (void)state;
    memset(c, 'x', sizeof c - 1);
    c[sizeof c - 1] = '\0';
    assert_int_equal(bank_watchlist_fold(c, a), BANK_WATCHLIST_LENGTH_MAX);
    memcpy(b, a, sizeof b);
    b[0] = b[30] = b[62] = 'y';
    assert_int_equal(bank_watchlist_distance(a, b), 3);
}

static void test_folding_leaves_letters_and_single_spaces(void **state)
{
    char folded[BANK_WATCHLIST_LENGTH_MAX + 1];

    (void)state;
    assert_int_equal(bank_watchlist_fold("  O'Neill,  JOHN 3rd. ", folded), 15);
    assert_string_equal(folded, "o neill john rd");
}

static void test_lists_are_all_the_same_and_fit(void **state)
{
    struct bank_watchlist *other = bank_watchlist_new();

    (void)state;
    assert_non_null(other);
    assert_memory_equal(list, other, sizeof *list);
    for (unsigned i = 0; i < BANK_WATCHLIST_NAMES; i++)
        assert_in_range(strlen(list->names[i]), 8, BANK_WATCHLIST_LENGTH_MAX);
    bank_watchlist_free(other);
}

static void test_names_near_the_list_are_refused(void **state)
{
    Bank__V1__ScreenResponse response;

    (void)state;
    for (unsigned i = 0; i < BANK_WATCHLIST_NAMES; i += 100) {
        char name[BANK_WATCHLIST_LENGTH_MAX + 1];

        strcpy(name, list->names[i]);
        assert_int_equal(screen(name, &response), BANK__V1__REFUSAL__REFUSAL_SCREENED);
        name[0] = 'B';
        name[3] = '-';
        assert_int_equal(screen(name, &response), BANK__V1__REFUSAL__REFUSAL_SCREENED);
    }
    assert_non_null(strstr(grove_why(), "close to \""));
}

static void test_names_far_from_the_list_pass(void **state)
{
    static const char *const names[] = {
        "Green Grocer", "Hartmann Properties", "City Power", "x", "",
        "12345",        "Northwind Logistics"};
    Bank__V1__ScreenResponse response;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(screen(names[i], &response), 0);
    assert_true(response.work_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_inserted_deleted_and_replaced_letters),
        cmocka_unit_test(test_distance_agrees_with_the_textbook),
        cmocka_unit_test(test_distance_works_for_the_longest_names),
        cmocka_unit_test(test_folding_leaves_letters_and_single_spaces),
        cmocka_unit_test(test_lists_are_all_the_same_and_fit),
        cmocka_unit_test(test_names_near_the_list_are_refused),
        cmocka_unit_test(test_names_far_from_the_list_pass),
    };

    return cmocka_run_group_tests(tests, open_list, close_list);
}
