/* URLs: what is none, and where those that are lead to. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/sockets.h"

static void test_wrong_urls_are_refused_with_the_right_form(void **state)
{
    static const char *const wrong[] = {
        "http://x:1",      "tcp://host", "tcp://:80", "tcp://h:99999", "tcp://::1:80",
        "unix://relative", "tcp://h:8x", "",          "tcp://[::1]"};
    struct grove_listener *none;
    struct grove_stream *stream;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(grove_connect_await(wrong[i], &stream), GROVE_EUSAGE);
        assert_non_null(strstr(grove_why(), "write "));
    }
    assert_int_equal(grove_listen("tcp://example.com:80", NULL, &none), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "127.0.0.1"));
}

static void test_ports_in_use_and_dead_ones_are_named(void **state)
{
    struct grove_listener *second;
    struct grove_stream *stream;
    char url[GROVE_URL_BYTES];

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    (void)snprintf(url, sizeof url, "%s", grove_listener_url(listener));
    assert_int_equal(grove_listen(url, NULL, &second), -EADDRINUSE);
    assert_non_null(strstr(grove_why(), url));
    assert_non_null(strstr(grove_why(), "take another"));
    grove_listener_close(listener);
    assert_int_equal(grove_connect_await(url, &stream), -ECONNREFUSED);
    assert_non_null(strstr(grove_why(), url));
    assert_non_null(strstr(grove_why(), "nobody listens there"));
    assert_int_equal(grove_listen("tcp://192.0.2.7:0", NULL, &second), -EADDRNOTAVAIL);
}

static void test_names_are_looked_up_and_all_addresses_are_listened_at(void **state)
{
    struct grove_stream *ends[2];
    char url[GROVE_URL_BYTES];

    (void)state;
    assert_int_equal(grove_listen("tcp://*:0", NULL, &listener), 0);
    (void)snprintf(url, sizeof url, "tcp://localhost%s",
                   strrchr(grove_listener_url(listener), ':'));
    assert_int_equal(grove_connect_await(url, &ends[0]), 0);
    assert_int_equal(grove_accept_await(listener, &ends[1]), 0);
    close_pair(ends);
    grove_listener_close(listener);
}

/* Stands before that of libc: two.test is a name with two addresses, none.test nobody's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo *last;
    int rc;

    memcpy(&real, &symbol, sizeof real);
    if (node != NULL && strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    if (node == NULL || strcmp(node, "two.test") != 0)
        return real(node, service, hints, found);
    rc = real("127.0.0.2", service, hints, found);
    for (last = *found; rc == 0 && last->ai_next != NULL;)
        last = last->ai_next;
    return rc != 0 ? rc : real("127.0.0.1", service, hints, &last->ai_next);
}

static void test_the_addresses_of_a_name_are_tried_one_after_the_other(void **state)
{
    struct grove_addresses addresses;
    struct grove_stream *ends[2];
    char url[GROVE_URL_BYTES];

    (void)state;
    assert_int_equal(grove_lookup_await("none.test", &addresses), -ENOENT);
    assert_non_null(strstr(grove_why(), "look up none.test: nobody has this name"));
    assert_int_equal(grove_lookup_await("two.test", &addresses), 0);
    assert_int_equal(addresses.n, 2);
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    (void)snprintf(url, sizeof url, "tcp://two.test%s", strrchr(grove_listener_url(listener), ':'));
    assert_int_equal(grove_connect_await(url, &ends[0]), 0);
    assert_int_equal(grove_accept_await(listener, &ends[1]), 0);
    close_pair(ends);
    grove_listener_close(listener);
}

static void test_listeners_may_share_a_port_if_all_say_so(void **state)
{
    const struct grove_listen_options shared = {.reuse_port = true};
    struct grove_listener *first, *second;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", &shared, &first), 0);
    assert_int_equal(grove_listen(grove_listener_url(first), &shared, &second), 0);
    grove_listener_close(first);
    grove_listener_close(second);
}

static int set_up(void **state)
{
    (void)state;
    stage_open_loops(2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_wrong_urls_are_refused_with_the_right_form),
        stage_test(test_ports_in_use_and_dead_ones_are_named),
        stage_test(test_names_are_looked_up_and_all_addresses_are_listened_at),
        stage_test(test_the_addresses_of_a_name_are_tried_one_after_the_other),
        stage_test(test_listeners_may_share_a_port_if_all_say_so),
    };

    return cmocka_run_group_tests_name("url", tests, set_up, stage_tear_down);
}
