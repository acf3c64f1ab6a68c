/*
 * OpenSSL: no program has it before it asks for TLS, and one that asks in
 * vain is told what to install.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/runtime/host_ends.h"

#include "runtime/host_openssl.h"

#define URL "tls+tcp://127.0.0.1:1"

static bool is_loaded(void)
{
    return dlopen(gv_host_openssl_library, RTLD_NOW | RTLD_NOLOAD) != NULL;
}

static void test_a_program_without_tls_does_not_load_it(void **state)
{
    struct door door = {0};
    struct end end = {0};

    (void)state;
    open_door(&door, &end);
    env->listener_close(door.listener);
    assert_false(is_loaded());
}

/* Both are tried; what the log says of it. */
static void try_tls(char *said, size_t room)
{
    struct gv_listener *listener;
    struct gv_stream *stream;
    int ends[2], old_stderr = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(env->listen(poller, URL, &door_events, NULL, &listener), -EOPNOTSUPP);
    assert_int_equal(env->dial(poller, URL, &end_events, NULL, &stream), -EOPNOTSUPP);
    assert_int_equal(dup2(old_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(old_stderr), 0);
    assert_int_equal(close(ends[1]), 0);
    n = read(ends[0], said, room - 1);
    said[n > 0 ? n : 0] = '\0';
    assert_int_equal(close(ends[0]), 0);
}

static void test_who_asks_for_tls_without_it_is_told_once_what_to_install(void **state)
{
    const char *library = gv_host_openssl_library, *first;
    char said[4096];

    (void)state;
    gv_host_openssl_library = "libssl.so.none";
    try_tls(said, sizeof said);
    gv_host_openssl_library = library;
    first = strstr(said, " error tls.missing what=\"tls+tcp needs OpenSSL: libssl.so.none: ");
    assert_non_null(first);
    assert_non_null(strstr(first, "advice=\"install it: apt-get install libssl3\""));
    assert_null(strstr(first + strlen(" error tls.missing"), "tls.missing"));
}

static void test_all_functions_are_found_in_the_library_of_this_machine(void **state)
{
    char why[160] = "";

    (void)state;
    assert_true(gv_host_openssl_load(why, sizeof why));
    assert_true(is_loaded());
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_without_tls_does_not_load_it),
        cmocka_unit_test(test_who_asks_for_tls_without_it_is_told_once_what_to_install),
        cmocka_unit_test(test_all_functions_are_found_in_the_library_of_this_machine),
    };

    return cmocka_run_group_tests_name("host_openssl", tests, open_folder, close_folder);
}
