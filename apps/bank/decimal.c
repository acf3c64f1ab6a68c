/*
 * Decimal: an exact decimal number, for money. See decimal.h.
 *
 * Everything is computed with 128 bits and then fitted. Products of 128-bit
 * numbers are checked by a division and not by __builtin_mul_overflow, which
 * clang turns into a call that libgcc does not have.
 */
#include "apps/bank/decimal.h"

#include <errno.h>
#include <string.h>

typedef unsigned __int128 u128;

static const __int128 WIDE_MAX = (__int128)(((u128)1 << 127) - 1);

static __int128 power_of_ten(unsigned exponent)
{
    __int128 power = 1;

    while (exponent-- > 0)
        power *= 10;
    return power;
}

static u128 magnitude(__int128 n)
{
    return n < 0 ? -(u128)n : (u128)n;
}

/* Brings a number to a scale that is not smaller than its own. */
static int rescale(struct bank_wide a, uint8_t scale, __int128 *mantissa)
{
    __int128 power;

    if (a.mantissa == 0) {
        *mantissa = 0;
        return 0;
    }
    power = power_of_ten(scale - a.scale);
    if (magnitude(a.mantissa) > (u128)WIDE_MAX / (u128)power)
        return -ERANGE;
    *mantissa = a.mantissa * power;
    return 0;
}

static struct bank_wide without_trailing_zeros(struct bank_wide a)
{
    while (a.scale > 0 && a.mantissa % 10 == 0) {
        a.mantissa /= 10;
        a.scale--;
    }
    return a;
}

struct bank_wide bank_wide_from(struct bank_decimal a)
{
    return (struct bank_wide){.mantissa = a.mantissa, .scale = a.scale};
}

static int add_at_common_scale(struct bank_wide a, struct bank_wide b, struct bank_wide *sum)
{
    uint8_t scale = a.scale > b.scale ? a.scale : b.scale;
    __int128 x, y;

    if (rescale(a, scale, &x) < 0 || rescale(b, scale, &y) < 0)
        return -ERANGE;
    if ((y > 0 && x > WIDE_MAX - y) || (y < 0 && x < -WIDE_MAX - y))
        return -ERANGE;
    *sum = (struct bank_wide){.mantissa = x + y, .scale = scale};
    return 0;
}

int bank_wide_add(struct bank_wide a, struct bank_wide b, struct bank_wide *sum)
{
    if (add_at_common_scale(a, b, sum) == 0)
        return 0;
    return add_at_common_scale(without_trailing_zeros(a), without_trailing_zeros(b), sum);
}

int bank_wide_product(struct bank_wide a, struct bank_wide b, struct bank_wide *product)
{
    a = without_trailing_zeros(a);
    b = without_trailing_zeros(b);
    if (b.mantissa != 0 && magnitude(a.mantissa) > (u128)WIDE_MAX / magnitude(b.mantissa))
        return -ERANGE;
    if (a.mantissa == 0 || b.mantissa == 0)
        a.scale = b.scale = 0;
    if (a.scale + b.scale > BANK_SCALE_MAX)
        return -ERANGE;
    *product = (struct bank_wide){.mantissa = a.mantissa * b.mantissa,
                                  .scale = (uint8_t)(a.scale + b.scale)};
    return 0;
}

int bank_wide_shift(struct bank_wide a, unsigned exponent, struct bank_wide *shifted)
{
    if (a.mantissa != 0) {
        while (exponent > 0 && a.scale > 0) {
            a.scale--;
            exponent--;
        }
        if (exponent > BANK_SCALE_MAX
            || magnitude(a.mantissa) > (u128)WIDE_MAX / (u128)power_of_ten(exponent))
            return -ERANGE;
        a.mantissa *= power_of_ten(exponent);
    }
    *shifted = a;
    return 0;
}

int bank_wide_narrow(struct bank_wide a, struct bank_decimal *narrow)
{
    while ((a.mantissa > INT64_MAX || a.mantissa < INT64_MIN) && a.scale > 0
           && a.mantissa % 10 == 0) {
        a.mantissa /= 10;
        a.scale--;
    }
    if (a.mantissa > INT64_MAX || a.mantissa < INT64_MIN)
        return -ERANGE;
    *narrow = (struct bank_decimal){.mantissa = (int64_t)a.mantissa, .scale = a.scale};
    return 0;
}

/* Rounds a magnitude from one scale to a smaller one, a half to the even neighbour. */
static u128 round_magnitude(u128 n, unsigned dropped_digits)
{
    u128 divisor, quotient, rest;

    /* 10^39 is beyond the type, and then the number is below a half for sure. */
    if (dropped_digits > BANK_SCALE_MAX)
        return 0;
    divisor = (u128)power_of_ten(dropped_digits);
    quotient = n / divisor;
    rest = n % divisor;
    if (rest > divisor - rest || (rest == divisor - rest && (quotient & 1)))
        quotient++;
    return quotient;
}

bool bank_wide_looks_zero(struct bank_wide a, uint8_t places)
{
    if (a.scale <= places)
        return a.mantissa == 0;
    return round_magnitude(magnitude(a.mantissa), a.scale - places) == 0;
}

bool bank_decimal_looks_zero(struct bank_decimal a, uint8_t places)
{
    return bank_wide_looks_zero(bank_wide_from(a), places);
}

int bank_decimal_add(struct bank_decimal a, struct bank_decimal b, struct bank_decimal *sum)
{
    struct bank_wide wide;
    int rc = bank_wide_add(bank_wide_from(a), bank_wide_from(b), &wide);

    return rc < 0 ? rc : bank_wide_narrow(wide, sum);
}

int bank_decimal_negate(struct bank_decimal a, struct bank_decimal *negative)
{
    if (a.mantissa == INT64_MIN)
        return -ERANGE;
    *negative = (struct bank_decimal){.mantissa = -a.mantissa, .scale = a.scale};
    return 0;
}

int bank_decimal_subtract(struct bank_decimal a, struct bank_decimal b,
                          struct bank_decimal *difference)
{
    struct bank_wide negative = {.mantissa = -(__int128)b.mantissa, .scale = b.scale};
    struct bank_wide wide;
    int rc = bank_wide_add(bank_wide_from(a), negative, &wide);

    return rc < 0 ? rc : bank_wide_narrow(wide, difference);
}

int bank_decimal_multiply(struct bank_decimal a, struct bank_decimal b,
                          struct bank_decimal *product)
{
    struct bank_wide wide;
    int rc = bank_wide_product(bank_wide_from(a), bank_wide_from(b), &wide);

    return rc < 0 ? rc : bank_wide_narrow(wide, product);
}

int bank_decimal_compare(struct bank_decimal a, struct bank_decimal b)
{
    struct bank_wide x = without_trailing_zeros(bank_wide_from(a));
    struct bank_wide y = without_trailing_zeros(bank_wide_from(b));
    uint8_t scale = x.scale > y.scale ? x.scale : y.scale;
    __int128 m, n;

    /* Where only one side can be brought to the common scale, the other is larger. */
    if (rescale(x, scale, &m) < 0)
        return x.mantissa < 0 ? -1 : 1;
    if (rescale(y, scale, &n) < 0)
        return y.mantissa < 0 ? 1 : -1;
    return (m > n) - (m < n);
}

struct bank_decimal bank_decimal_round(struct bank_decimal a, uint8_t places)
{
    u128 rounded;

    if (a.scale <= places)
        return a;
    rounded = round_magnitude(magnitude(a.mantissa), a.scale - places);
    return (struct bank_decimal){
        .mantissa = a.mantissa < 0 ? -(int64_t)rounded : (int64_t)rounded,
        .scale = places,
    };
}

size_t bank_decimal_format(struct bank_decimal a, uint8_t places, char *text)
{
    char digits[BANK_SCALE_MAX + 24]; /* least significant first */
    struct bank_decimal rounded = bank_decimal_round(a, places);
    u128 rest = magnitude(rounded.mantissa);
    size_t n_digits = 0, length = 0;

    while (rest > 0 || n_digits <= rounded.scale) {
        digits[n_digits++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (rounded.mantissa < 0)
        text[length++] = '-';
    while (n_digits > rounded.scale)
        text[length++] = digits[--n_digits];
    if (places > 0)
        text[length++] = '.';
    while (n_digits > 0)
        text[length++] = digits[--n_digits];
    memset(text + length, '0', (size_t)(places - rounded.scale));
    length += (size_t)(places - rounded.scale);
    text[length] = '\0';
    return length;
}
