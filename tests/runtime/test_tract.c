/*
 * Tracts: slabs by the dozen, and where they go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/tract.h"

enum { N = 200 };

static char *slabs[N];

static struct gv_tracts tracts;

static void take_all(void)
{
    for (int i = 0; i < N; i++) {
        slabs[i] = gv_tract_take(&tracts);
        assert_non_null(slabs[i]);
        assert_int_equal((uintptr_t)slabs[i] % GV_TRACT_SLAB_BYTES, 0);
        for (size_t k = 0; k < GV_TRACT_SLAB_BYTES; k += 512)
            assert_int_equal(slabs[i][k], 0);
        memset(slabs[i], i + 1, GV_TRACT_SLAB_BYTES);
    }
}

static void test_slabs_are_zeros_apart_and_aligned(void **state)
{
    (void)state;
    take_all();
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < GV_TRACT_SLAB_BYTES; k += 512)
            assert_int_equal((unsigned char)slabs[i][k], i + 1);
    for (int i = 0; i < N; i++)
        gv_tract_give(&tracts, slabs[i]);
    assert_null(tracts.first);
}

static void test_a_slab_that_was_given_comes_back_as_zeros(void **state)
{
    (void)state;
    take_all();
    for (int i = 0; i < N; i += 3)
        gv_tract_give(&tracts, slabs[i]);
    for (int i = 0; i < N; i += 3) {
        slabs[i] = gv_tract_take(&tracts);
        assert_non_null(slabs[i]);
        for (size_t k = 0; k < GV_TRACT_SLAB_BYTES; k += 512)
            assert_int_equal(slabs[i][k], 0);
        memset(slabs[i], 1, GV_TRACT_SLAB_BYTES);
    }
    for (int i = N; i-- > 0;)
        gv_tract_give(&tracts, slabs[i]);
    assert_null(tracts.first);
}

static void test_huge_pages_change_nothing_but_the_pages(void **state)
{
    tracts.huge = true;
    test_slabs_are_zeros_apart_and_aligned(state);
    test_a_slab_that_was_given_comes_back_as_zeros(state);
    tracts.huge = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabs_are_zeros_apart_and_aligned),
        cmocka_unit_test(test_a_slab_that_was_given_comes_back_as_zeros),
        cmocka_unit_test(test_huge_pages_change_nothing_but_the_pages),
    };

    return cmocka_run_group_tests_name("tract", tests, NULL, NULL);
}
