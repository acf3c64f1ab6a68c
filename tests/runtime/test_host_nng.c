/* nng's errors in the kernel's numbers. */
#include <errno.h>

#include <nng/nng.h>

#include "tests/runtime/host_ends.h"

static void test_errors_are_told_in_the_numbers_of_the_kernel(void **state)
{
    (void)state;
    assert_int_equal(gv_host_nng_error(0), 0);
    assert_int_equal(gv_host_nng_error(NNG_ECLOSED), -EPIPE);
    assert_int_equal(gv_host_nng_error(NNG_ECONNREFUSED), -ECONNREFUSED);
    assert_int_equal(gv_host_nng_error(NNG_ENOENT), -ENOENT);
    assert_int_equal(gv_host_nng_error(NNG_EADDRINUSE), -EADDRINUSE);
    /* What the kernel itself said comes through unchanged, what only nng knows is an EIO. */
    assert_int_equal(gv_host_nng_error((int)NNG_ESYSERR | EDQUOT), -EDQUOT);
    assert_int_equal(gv_host_nng_error(NNG_EINTERNAL), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_told_in_the_numbers_of_the_kernel),
    };

    return cmocka_run_group_tests_name("host_nng", tests, open_folder, close_folder);
}
