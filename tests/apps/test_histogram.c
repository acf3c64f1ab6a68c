/* The histogram of latencies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apps/bank/histogram.h"

static void test_an_empty_histogram_says_zero(void **state)
{
    static const struct bank_histogram empty;

    (void)state;
    assert_int_equal(bank_histogram_permille(&empty, 500), 0);
    assert_int_equal(bank_histogram_permille(&empty, 1000), 0);
}

static void test_one_value_is_every_percentile(void **state)
{
    static const uint64_t values[] = {0, 1, 31, 32, 1000, 123456789, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct bank_histogram histogram = {0};

        bank_histogram_add(&histogram, values[i]);
        assert_true(bank_histogram_permille(&histogram, 1) == values[i]);
        assert_true(bank_histogram_permille(&histogram, 500) == values[i]);
        assert_true(bank_histogram_permille(&histogram, 1000) == values[i]);
        assert_true(histogram.max == values[i]);
    }
}

static void test_percentiles_are_at_most_a_32nd_too_high(void **state)
{
    static struct bank_histogram histogram;

    (void)state;
    for (uint64_t value = 1; value <= 100000; value++)
        bank_histogram_add(&histogram, value);
    for (unsigned permille = 1; permille <= 1000; permille++) {
        uint64_t truth = (uint64_t)permille * 100;
        uint64_t found = bank_histogram_permille(&histogram, permille);

        assert_in_range(found, truth, truth + truth / 32);
    }
}

static void test_rare_values_show_in_the_high_percentiles_only(void **state)
{
    static struct bank_histogram histogram;

    (void)state;
    for (unsigned i = 0; i < 985; i++)
        bank_histogram_add(&histogram, 20);
    for (unsigned i = 0; i < 15; i++)
        bank_histogram_add(&histogram, 5000000);
    assert_int_equal(bank_histogram_permille(&histogram, 500), 20);
    assert_int_equal(bank_histogram_permille(&histogram, 985), 20);
    assert_int_equal(bank_histogram_permille(&histogram, 990), 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_histogram_says_zero),
        cmocka_unit_test(test_one_value_is_every_percentile),
        cmocka_unit_test(test_percentiles_are_at_most_a_32nd_too_high),
        cmocka_unit_test(test_rare_values_show_in_the_high_percentiles_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
