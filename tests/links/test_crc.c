/* CRC-32C, by the instruction where there is one, and by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "links/frame.h"

typedef uint32_t (*crc_fn)(uint32_t crc, const uint8_t *bytes, size_t n_bytes);

static const crc_fn ways[] = {gv_crc32c, gv_crc32c_table};

static uint8_t bytes[300];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    return 0;
}

/* The check value of the polynomial, and the vectors of iSCSI (RFC 3720, B.4). */
static void test_both_ways_know_the_published_vectors(void **state)
{
    uint8_t zeros[32], ones[32], up[32], down[32];

    (void)state;
    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ways[i](0, (const uint8_t *)"123456789", 9), 0xe3069283);
        assert_int_equal(ways[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(ways[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(ways[i](0, up, 32), 0x46dd794e);
        assert_int_equal(ways[i](0, down, 32), 0x113fdb5c);
    }
}

static void test_nothing_changes_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ways[i](0, bytes, 0), 0);
        assert_int_equal(ways[i](0xe3069283, bytes, 0), 0xe3069283);
    }
}

static void test_the_table_equals_the_instruction_at_every_length_and_alignment(void **state)
{
    (void)state;
    for (size_t from = 0; from < 8; from++)
        for (size_t n = 0; n <= sizeof bytes - from; n++)
            assert_int_equal(gv_crc32c(7, bytes + from, n), gv_crc32c_table(7, bytes + from, n));
}

static void test_it_may_be_split_at_every_byte(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t whole = ways[i](0, bytes, sizeof bytes);

        for (size_t at = 0; at <= sizeof bytes; at++)
            assert_int_equal(ways[i](ways[i](0, bytes, at), bytes + at, sizeof bytes - at), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_know_the_published_vectors),
        cmocka_unit_test(test_nothing_changes_nothing),
        cmocka_unit_test(test_the_table_equals_the_instruction_at_every_length_and_alignment),
        cmocka_unit_test(test_it_may_be_split_at_every_byte),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
