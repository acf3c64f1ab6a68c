/*
 * Decimal: an exact decimal number, for money.
 *
 * A bank_decimal is mantissa / 10^scale with a mantissa of 64 bits; it is
 * what balances and messages carry. A bank_wide has 128 bits and exists for
 * sums of products on the way to one. Nothing here ever rounds unless the
 * function is called round or format. Whatever does not fit is refused with
 * -ERANGE, and the result is then not written.
 *
 * Always: scale <= BANK_SCALE_MAX. Two numbers of equal value may differ in
 * scale (1.5 and 1.50); compare with the functions, never field by field.
 */
#ifndef BANK_DECIMAL_H
#define BANK_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 10^38 is the largest power of ten in 128 bits. */
#define BANK_SCALE_MAX 38

/* Room for the text of any decimal: sign, 39 digits, mark, 255 places, NUL. */
#define BANK_DECIMAL_TEXT_MAX 304

struct bank_decimal {
    int64_t mantissa;
    uint8_t scale;
};

struct bank_wide {
    __int128 mantissa;
    uint8_t scale;
};

/* Exact sums and products. Return 0, or -ERANGE if the result does not fit. */
int bank_decimal_add(struct bank_decimal a, struct bank_decimal b, struct bank_decimal *sum);
int bank_decimal_subtract(struct bank_decimal a, struct bank_decimal b,
                          struct bank_decimal *difference);
int bank_decimal_negate(struct bank_decimal a, struct bank_decimal *negative);
int bank_decimal_multiply(struct bank_decimal a, struct bank_decimal b,
                          struct bank_decimal *product);

/* Returns -1, 0 or 1 as a is less than, equal to or greater than b. */
int bank_decimal_compare(struct bank_decimal a, struct bank_decimal b);

/* Rounds to at most `places` decimals, a half to the even neighbour. Cannot fail. */
struct bank_decimal bank_decimal_round(struct bank_decimal a, uint8_t places);

/* True if the number shown with `places` decimals is a zero. */
bool bank_decimal_looks_zero(struct bank_decimal a, uint8_t places);

/*
 * Writes the number with a point and exactly `places` decimals, rounded half
 * to even. The buffer holds BANK_DECIMAL_TEXT_MAX bytes. Returns the length.
 */
size_t bank_decimal_format(struct bank_decimal a, uint8_t places, char *text);

struct bank_wide bank_wide_from(struct bank_decimal a);

/* Sums and products with 128 bits. Return 0 or -ERANGE. */
int bank_wide_add(struct bank_wide a, struct bank_wide b, struct bank_wide *sum);
int bank_wide_product(struct bank_wide a, struct bank_wide b, struct bank_wide *product);

/* True if the number shown with `places` decimals is a zero. */
bool bank_wide_looks_zero(struct bank_wide a, uint8_t places);

/* Multiplies by 10^exponent. Returns 0 or -ERANGE. */
int bank_wide_shift(struct bank_wide a, unsigned exponent, struct bank_wide *shifted);

/* Drops trailing zeros until the number fits. Returns 0 or -ERANGE. */
int bank_wide_narrow(struct bank_wide a, struct bank_decimal *narrow);

#endif
