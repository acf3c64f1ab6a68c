/* Owners: who holds a stream, when it closes with its owner, and where it may be used. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/world/sockets.h"

static void forget(void *argument)
{
    struct grove_stream *stream;

    assert_int_equal(grove_connect_await(argument, &stream), 0);
}

static void test_what_an_owner_forgot_is_closed_when_it_ends(void **state)
{
    struct grove_stream *stream;
    grove_ref who;
    size_t n_bytes;
    char byte;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    assert_int_equal(grove_go(forget, (void *)grove_listener_url(listener), NULL, &who), 0);
    assert_int_equal(grove_accept_await(listener, &stream), 0);
    grove_within(1000);
    assert_int_equal(grove_read_await(stream, &byte, 1, &n_bytes), 0);
    assert_int_equal(n_bytes, 0);
    grove_stream_close(stream);
    grove_listener_close(listener);
}

static void own_for_a_while(void *argument)
{
    (void)argument;
    (void)grove_sleep_await(20);
}

static void test_who_was_given_a_stream_owns_it(void **state)
{
    struct grove_stream *ends[2];
    grove_ref heir;
    size_t n_bytes;
    char byte;

    (void)state;
    pair(ends);
    assert_int_equal(grove_go(own_for_a_while, NULL, NULL, &heir), 0);
    assert_int_equal(grove_stream_give(ends[0], heir), 0);
    grove_within(2000);
    assert_int_equal(grove_read_await(ends[1], &byte, 1, &n_bytes), 0);
    assert_int_equal(n_bytes, 0); /* It closed with its owner. */
    grove_stream_close(ends[1]);
}

static int act_connect(struct play *me, struct script *script)
{
    struct grove_stream *stream;

    (void)me;
    return stage_note(script, grove_connect_await(grove_listener_url(listener), &stream));
}

static int act_read(struct play *me, struct script *script)
{
    size_t n_bytes;
    char byte;

    (void)me;
    return stage_note(script,
                      grove_read_await((void *)(uintptr_t)script->number, &byte, 1, &n_bytes));
}

static void test_an_actor_must_be_pinned_to_hold_a_stream(void **state)
{
    struct grove_spawn_options pinned = {.pinned = true};
    struct script script = {.act = act_connect};
    struct grove_stream *stream;
    grove_ref loose, fast;
    size_t n_bytes;
    char byte;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    loose = stage_spawn("loose");
    assert_int_equal(stage_perform(loose, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "spawn it with `pinned`"));
    assert_int_equal(play_spawn(&stage_player, NULL, &pinned, &fast), 0);
    assert_int_equal(stage_perform(fast, &script), 0);
    assert_int_equal(grove_accept_await(listener, &stream), 0);
    /* It lives as long as the actor, not as the handler. */
    grove_within(20);
    assert_int_equal(grove_read_await(stream, &byte, 1, &n_bytes), GROVE_ETIMEDOUT);
    assert_int_equal(grove_stop_await(fast, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_read_await(stream, &byte, 1, &n_bytes), 0);
    assert_int_equal(n_bytes, 0);
    assert_int_equal(grove_stop_await(loose, GROVE_STOP_DRAIN), 0);
    grove_stream_close(stream);
    grove_listener_close(listener);
}

static int connect_in_init(struct play *me, const void *argument)
{
    struct grove_stream *stream;

    (void)me;
    (void)argument;
    return grove_connect_await(grove_listener_url(listener), &stream);
}

static void test_an_actor_that_opens_its_first_stream_in_init_is_pinned_by_it(void **state)
{
    static struct play_service functions;
    struct script script = {.act = act_connect};
    struct grove_stream *streams[2];
    grove_ref ref;

    (void)state;
    functions = stage_player;
    functions.init = connect_in_init;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    assert_int_equal(play_spawn_await(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(stage_perform(ref, &script), 0); /* a second one, in a handler */
    for (int i = 0; i < 2; i++)
        assert_int_equal(grove_accept_await(listener, &streams[i]), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    close_pair(streams);
    grove_listener_close(listener);
}

static int act_accept(struct play *me, struct script *script)
{
    struct grove_stream *stream;

    (void)me;
    return stage_note(script, grove_accept_await(listener, &stream));
}

static void test_what_main_holds_closes_when_grove_ends(void **state)
{
    struct grove_stream *stream;
    int peer, n = -1;
    char byte;

    (void)state;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    peer = raw_dial();
    assert_int_equal(grove_accept_await(listener, &stream), 0);
    stage_close();
    for (int i = 0; i < 2000 && n < 0; i++) {
        (void)usleep(1000);
        n = (int)recv(peer, &byte, 1, MSG_DONTWAIT);
    }
    assert_int_equal(n, 0);
    assert_int_equal(close(peer), 0);
    stage_open_loops(2);
}

static void test_another_loop_may_not_use_it(void **state)
{
    struct grove_stream *ends[2];
    struct script script = {.act = act_read};
    grove_ref far;

    (void)state;
    pair(ends);
    script.number = (int64_t)(uintptr_t)ends[0];
    far = stage_spawn_on(1, "far");
    assert_int_equal(stage_perform(far, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "belongs to loop 0"));
    assert_int_equal(grove_stream_give(ends[0], far), GROVE_EUSAGE);
    script.act = act_accept;
    assert_int_equal(grove_listen("tcp://127.0.0.1:0", NULL, &listener), 0);
    assert_int_equal(stage_perform(far, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "the listener belongs to loop 0"));
    grove_listener_close(listener);
    assert_int_equal(grove_stop_await(far, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_stream_give(ends[0], far), GROVE_ENOACTOR);
    close_pair(ends);
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
        stage_test(test_what_an_owner_forgot_is_closed_when_it_ends),
        stage_test(test_who_was_given_a_stream_owns_it),
        stage_test(test_an_actor_must_be_pinned_to_hold_a_stream),
        stage_test(test_an_actor_that_opens_its_first_stream_in_init_is_pinned_by_it),
        stage_test(test_what_main_holds_closes_when_grove_ends),
        stage_test(test_another_loop_may_not_use_it),
    };

    return cmocka_run_group_tests_name("owner", tests, set_up, stage_tear_down);
}
