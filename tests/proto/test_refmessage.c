/* Refs that travel inside messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/refmessage.h>

#include "grove/ref.pb-c.h"

/* Into a message, over the wire, and out of it. */
static grove_ref travel(grove_ref ref)
{
    Grove__V1__Ref message, *arrived;
    uint8_t bytes[32];
    size_t n_bytes;

    memset(&message, 0xa5, sizeof message); /* Whatever stood there before. */
    grove_ref_to_message(&message, ref);
    assert_true(grove_ref_equal(grove_ref_from_message(&message), ref));
    assert_true(grove__v1__ref__get_packed_size(&message) <= sizeof bytes);
    n_bytes = grove__v1__ref__pack(&message, bytes);
    arrived = grove__v1__ref__unpack(NULL, n_bytes, bytes);
    assert_non_null(arrived);
    ref = grove_ref_from_message(arrived);
    grove__v1__ref__free_unpacked(arrived, NULL);
    return ref;
}

static void test_every_bit_of_a_ref_survives(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        grove_ref first = {UINT64_C(1) << bit, 0}, second = {0, UINT64_C(1) << bit};

        assert_true(grove_ref_equal(travel(first), first));
        assert_true(grove_ref_equal(travel(second), second));
    }
    assert_true(grove_ref_equal(travel((grove_ref){UINT64_MAX, UINT64_MAX}),
                                (grove_ref){UINT64_MAX, UINT64_MAX}));
}

static void test_nobody_stays_nobody(void **state)
{
    (void)state;
    assert_true(grove_ref_equal(travel(GROVE_NOBODY), GROVE_NOBODY));
}

static void test_a_field_that_was_not_sent_is_nobody(void **state)
{
    (void)state;
    assert_true(grove_ref_is_nobody(grove_ref_from_message(NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit_of_a_ref_survives),
        cmocka_unit_test(test_nobody_stays_nobody),
        cmocka_unit_test(test_a_field_that_was_not_sent_is_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
