/* What may be dialled, and nng's errors in the kernel's numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include "tests/runtime/host_ends.h"

static void test_plain_tcp_and_other_urls_are_refused(void **state)
{
    static struct end client;
    struct gv_listener *listener;
    char long_url[200] = "ipc:///";

    (void)state;
    memset(long_url + 7, 'x', 150);
    assert_int_equal(env->dial(poller, "tcp://127.0.0.1:1", &end_events, &client, &client.stream),
                     -EPROTONOSUPPORT);
    assert_int_equal(env->listen(poller, "tcp://127.0.0.1:1", &door_events, NULL, &listener),
                     -EPROTONOSUPPORT);
    assert_int_equal(env->dial(poller, "ipc://relative", &end_events, &client, &client.stream),
                     -EINVAL);
    assert_int_equal(env->dial(poller, long_url, &end_events, &client, &client.stream),
                     -ENAMETOOLONG);
    assert_int_equal(env->listen(poller, "ipc:///no/such/dir/x", &door_events, NULL, &listener),
                     -ENOENT);
}

static void test_the_longest_path_of_a_socket_is_let_through(void **state)
{
    char longest[] = "ipc:///"
                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                     "012345678901234567890123456789012345"
                     "x";

    (void)state;
    assert_int_equal(gv_host_nng_check(longest), -ENAMETOOLONG);
    longest[strlen(longest) - 1] = '\0'; /* 107 bytes and the NUL fill a sun_path */
    assert_int_equal(gv_host_nng_check(longest), 0);
}

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
        cmocka_unit_test(test_plain_tcp_and_other_urls_are_refused),
        cmocka_unit_test(test_the_longest_path_of_a_socket_is_let_through),
        cmocka_unit_test(test_errors_are_told_in_the_numbers_of_the_kernel),
    };

    return cmocka_run_group_tests_name("host_nng", tests, open_folder, close_folder);
}
