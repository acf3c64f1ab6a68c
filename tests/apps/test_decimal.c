/* Decimal: sums are exact, what does not fit is refused, and halves go to the even neighbour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "apps/bank/decimal.h"

static struct bank_decimal dec(int64_t mantissa, uint8_t scale)
{
    return (struct bank_decimal){.mantissa = mantissa, .scale = scale};
}

static void expect_text(struct bank_decimal number, uint8_t places, const char *wanted)
{
    char text[BANK_DECIMAL_TEXT_MAX];
    size_t length = bank_decimal_format(number, places, text);

    assert_string_equal(text, wanted);
    assert_int_equal(length, strlen(wanted));
}

static void test_add_takes_the_larger_scale(void **state)
{
    struct bank_decimal sum;

    (void)state;
    assert_int_equal(bank_decimal_add(dec(15, 1), dec(250, 3), &sum), 0);
    assert_int_equal(sum.mantissa, 1750);
    assert_int_equal(sum.scale, 3);
}

static void test_add_drops_zeros_before_it_gives_up(void **state)
{
    struct bank_decimal sum;

    (void)state;
    /* At scale 10 the first number alone would need 66 bits. */
    assert_int_equal(bank_decimal_add(dec(5000000000, 0), dec(10000000000, 10), &sum), 0);
    assert_int_equal(bank_decimal_compare(sum, dec(5000000001, 0)), 0);
}

static void test_add_refuses_what_does_not_fit(void **state)
{
    struct bank_decimal sum = dec(7, 0);

    (void)state;
    assert_int_equal(bank_decimal_add(dec(INT64_MAX, 0), dec(1, 0), &sum), -ERANGE);
    assert_int_equal(bank_decimal_add(dec(INT64_MAX, 0), dec(1, 1), &sum), -ERANGE);
    assert_int_equal(bank_decimal_add(dec(INT64_MIN, 0), dec(-1, 0), &sum), -ERANGE);
    assert_int_equal(bank_decimal_add(dec(INT64_MAX, 0), dec(1, 38), &sum), -ERANGE);
    assert_int_equal(sum.mantissa, 7);
}

static void test_subtract_reaches_the_smallest_number(void **state)
{
    struct bank_decimal difference;

    (void)state;
    assert_int_equal(bank_decimal_subtract(dec(-1, 0), dec(INT64_MAX, 0), &difference), 0);
    assert_true(difference.mantissa == INT64_MIN);
    assert_int_equal(bank_decimal_subtract(dec(0, 0), dec(INT64_MIN, 0), &difference), -ERANGE);
}

static void test_negate_refuses_the_smallest_number(void **state)
{
    struct bank_decimal negative;

    (void)state;
    assert_int_equal(bank_decimal_negate(dec(5, 2), &negative), 0);
    assert_int_equal(negative.mantissa, -5);
    assert_int_equal(negative.scale, 2);
    assert_int_equal(bank_decimal_negate(dec(INT64_MIN, 0), &negative), -ERANGE);
}

static void test_multiply_is_exact_or_refused(void **state)
{
    struct bank_decimal product;

    (void)state;
    assert_int_equal(bank_decimal_multiply(dec(-125, 2), dec(33, 1), &product), 0);
    assert_int_equal(bank_decimal_compare(product, dec(-4125, 3)), 0);
    assert_int_equal(bank_decimal_multiply(dec(0, 38), dec(3, 38), &product), 0);
    assert_int_equal(product.mantissa, 0);
    assert_int_equal(bank_decimal_multiply(dec(INT64_MAX, 0), dec(3, 0), &product), -ERANGE);
    assert_int_equal(bank_decimal_multiply(dec(1, 30), dec(1, 30), &product), -ERANGE);
}

static void test_compare_looks_at_values_not_at_scales(void **state)
{
    (void)state;
    assert_int_equal(bank_decimal_compare(dec(150, 2), dec(15, 1)), 0);
    assert_int_equal(bank_decimal_compare(dec(-1, 0), dec(1, 38)), -1);
    assert_int_equal(bank_decimal_compare(dec(INT64_MAX, 0), dec(INT64_MAX, 38)), 1);
    assert_int_equal(bank_decimal_compare(dec(INT64_MAX, 38), dec(INT64_MAX, 0)), -1);
    assert_int_equal(bank_decimal_compare(dec(INT64_MIN, 0), dec(INT64_MIN, 38)), -1);
    assert_int_equal(bank_decimal_compare(dec(0, 0), dec(0, 38)), 0);
}

static void test_round_takes_halves_to_the_even_neighbour(void **state)
{
    (void)state;
    assert_int_equal(bank_decimal_round(dec(25, 1), 0).mantissa, 2);
    assert_int_equal(bank_decimal_round(dec(35, 1), 0).mantissa, 4);
    assert_int_equal(bank_decimal_round(dec(-25, 1), 0).mantissa, -2);
    assert_int_equal(bank_decimal_round(dec(-35, 1), 0).mantissa, -4);
    assert_int_equal(bank_decimal_round(dec(2501, 3), 0).mantissa, 3);
    assert_int_equal(bank_decimal_round(dec(25, 1), 4).mantissa, 25);
    assert_int_equal(bank_decimal_round(dec(INT64_MAX, 38), 2).mantissa, 0);
}

static void test_half_of_the_last_place_looks_like_zero(void **state)
{
    (void)state;
    assert_true(bank_decimal_looks_zero(dec(5, 3), 2));
    assert_true(bank_decimal_looks_zero(dec(-5, 3), 2));
    assert_false(bank_decimal_looks_zero(dec(51, 4), 2));
    assert_false(bank_decimal_looks_zero(dec(1, 2), 2));
    assert_true(bank_decimal_looks_zero(dec(0, 0), 2));
}

static void test_format_shows_exactly_the_places(void **state)
{
    (void)state;
    expect_text(dec(0, 0), 0, "0");
    expect_text(dec(0, 0), 2, "0.00");
    expect_text(dec(5, 3), 3, "0.005");
    expect_text(dec(-5, 3), 3, "-0.005");
    expect_text(dec(-5, 3), 2, "0.00");
    expect_text(dec(-123456, 2), 1, "-1234.6");
    expect_text(dec(7, 0), 5, "7.00000");
    expect_text(dec(INT64_MIN, 0), 0, "-9223372036854775808");
    expect_text(dec(INT64_MAX, 19), 19, "0.9223372036854775807");
}

static void test_format_has_room_for_every_number(void **state)
{
    char text[BANK_DECIMAL_TEXT_MAX];

    (void)state;
    assert_int_equal(bank_decimal_format(dec(INT64_MIN, 0), 255, text), 20 + 1 + 255);
    assert_int_equal(bank_decimal_format(dec(INT64_MIN, 38), 38, text), 2 + 1 + 38);
}

static void test_narrow_keeps_a_number_that_fits_without_its_zeros(void **state)
{
    struct bank_wide wide = {.mantissa = (__int128)INT64_MAX * 1000, .scale = 3};
    struct bank_decimal narrow;

    (void)state;
    assert_int_equal(bank_wide_narrow(wide, &narrow), 0);
    assert_true(narrow.mantissa == INT64_MAX);
    wide.mantissa++;
    assert_int_equal(bank_wide_narrow(wide, &narrow), -ERANGE);
}

static void test_wide_sums_and_products_refuse_overflow(void **state)
{
    struct bank_wide large = {.mantissa = (__int128)1 << 126}, result;
    struct bank_wide small = {.mantissa = 1, .scale = 20};

    (void)state;
    assert_int_equal(bank_wide_add(large, large, &result), -ERANGE);
    assert_int_equal(bank_wide_add(large, small, &result), -ERANGE);
    assert_int_equal(bank_wide_product(large, large, &result), -ERANGE);
    assert_int_equal(bank_wide_shift(large, 2, &result), -ERANGE);
    assert_int_equal(bank_wide_shift(small, 23, &result), 0);
    assert_int_equal(result.mantissa, 1000);
    assert_int_equal(result.scale, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_takes_the_larger_scale),
        cmocka_unit_test(test_add_drops_zeros_before_it_gives_up),
        cmocka_unit_test(test_add_refuses_what_does_not_fit),
        cmocka_unit_test(test_subtract_reaches_the_smallest_number),
        cmocka_unit_test(test_negate_refuses_the_smallest_number),
        cmocka_unit_test(test_multiply_is_exact_or_refused),
        cmocka_unit_test(test_compare_looks_at_values_not_at_scales),
        cmocka_unit_test(test_round_takes_halves_to_the_even_neighbour),
        cmocka_unit_test(test_half_of_the_last_place_looks_like_zero),
        cmocka_unit_test(test_format_shows_exactly_the_places),
        cmocka_unit_test(test_format_has_room_for_every_number),
        cmocka_unit_test(test_narrow_keeps_a_number_that_fits_without_its_zeros),
        cmocka_unit_test(test_wide_sums_and_products_refuse_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
