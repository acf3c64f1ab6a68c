/*
 * Usage: what is wrong, or not there, is told as what it is: by its code, and
 * by words that are not those of an older failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/actors/stage.h"

/* Leaves a reason that none of those below may repeat. */
static void fail_otherwise(void)
{
    (void)grove_refuse(1, "an older failure");
}

static void assert_told(int rc, int code, const char *words)
{
    assert_int_equal(rc, code);
    assert_int_equal(grove_failure()->code, code);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    if (strstr(grove_why(), words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", grove_why(), words);
    fail_otherwise();
}

static void test_what_is_not_there_is_told_in_words_of_its_own(void **state)
{
    grove_ref ref = stage_spawn(NULL), none = GROVE_NOBODY, found, group;

    (void)state;
    fail_otherwise();
    assert_told(grove_stop(none, GROVE_STOP_NOW), GROVE_ENOACTOR, "nobody lives at this ref");
    assert_told(grove_stop_await(none, GROVE_STOP_NOW), GROVE_ENOACTOR, "nobody lives");
    assert_told(grove_whereis("none", &found), GROVE_ENOACTOR, "nobody has the name \"none\"");
    assert_told(grove_unregister("none"), GROVE_ENOACTOR, "nobody has the name \"none\"");
    assert_told(grove_register("none", none), GROVE_ENOACTOR, "nobody lives at this ref");
    assert_told(grove_demonitor(77), GROVE_ENOACTOR, "this monitor is over already");
    assert_told(grove_group_join(ref, ref), GROVE_ENOACTOR, "there is no such group");
    assert_told(grove_group_members(ref, NULL, 0), GROVE_ENOACTOR, "there is no such group");
    assert_int_equal(grove_group_open("few", &group), 0);
    assert_told(grove_group_leave(group, ref), GROVE_ENOACTOR, "it is no member");
    assert_int_equal(grove_group_close(group), 0);
    assert_told(grove_pool_close_await(ref, 1), GROVE_ENOACTOR, "no pool's");
}

static void do_nothing(void *unused)
{
    (void)unused;
}

static void test_what_makes_no_sense_is_told(void **state)
{
    static const struct grove_spawn_options copied = {.argument_bytes = 8};
    struct play_service endless = stage_player;
    grove_ref ref = stage_spawn(NULL), made;

    (void)state;
    fail_otherwise();
    endless.state_bytes = SIZE_MAX;
    assert_told(play_spawn(&endless, NULL, NULL, &made), GROVE_EUSAGE, "is too large");
    assert_told(play_spawn(&stage_player, NULL, &copied, &made), GROVE_EUSAGE,
                "the argument is NULL");
    assert_told(grove_go(do_nothing, NULL, &copied, &made), GROVE_EUSAGE, "the argument is NULL");
    assert_told(grove_spawn(NULL, &stage_player, NULL, NULL, &made), GROVE_EUSAGE, "no service");
    assert_told(grove_stop(ref, (enum grove_stop_mode)9), GROVE_EUSAGE, "9 is no way to stop");
    assert_told(grove_whereis("x", NULL), GROVE_EUSAGE, "no place");
}

static void test_a_message_that_is_null_is_told_and_not_called_too_big(void **state)
{
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    fail_otherwise();
    assert_told(grove_call_await(ref, &play_service_table, PLAY_METHOD_ECHO, NULL, &response.base),
                GROVE_EUSAGE, "the request is NULL");
    assert_told(grove_send(ref, &play_service_table, PLAY_METHOD_ECHO, NULL), GROVE_EUSAGE,
                "the message is NULL");
    assert_told(grove_send_await(ref, &play_service_table, PLAY_METHOD_ECHO, NULL), GROVE_EUSAGE,
                "the message is NULL");
}

static void test_a_null_where_something_is_needed_is_told_with_its_function(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    const struct grove_service *table = &play_service_table;
    struct grove_future future = {.response = NULL}, *none[1] = {NULL}, *one[1] = {&future};
    grove_ref ref = stage_spawn(NULL);
    unsigned n;

    (void)state;
    assert_int_equal(grove_yield_await(), 0); /* Then it could be called inline. */
    fail_otherwise();
    assert_told(grove_call_await(ref, table, PLAY_METHOD_ADD, &request.base, NULL), GROVE_EUSAGE,
                "the _await of a call: the response is NULL");
    assert_told(grove_call_await(ref, table, PLAY_METHOD_ADD, NULL, &response.base), GROVE_EUSAGE,
                "the _await of a call: the request is NULL");
    assert_told(grove_send(ref, table, PLAY_METHOD_ADD, NULL), GROVE_EUSAGE, "the message is NULL");
    assert_told(grove_call_start(ref, table, PLAY_METHOD_ADD, &request.base, NULL), GROVE_EUSAGE,
                "the future is NULL");
    assert_told(grove_call_start(ref, table, PLAY_METHOD_ADD, &request.base, &future), GROVE_EUSAGE,
                "the response is NULL");
    assert_told(play_add_start(ref, &request, &response, NULL), GROVE_EUSAGE, "the future is NULL");
    assert_told(grove_future_await(NULL), GROVE_EUSAGE,
                "grove_future_await: future 0 of 1 is NULL");
    assert_told(grove_all_await(none, 1), GROVE_EUSAGE, "grove_all_await: future 0 of 1 is NULL");
    assert_told(grove_all_await(NULL, 1), GROVE_EUSAGE, "grove_all_await: the array is NULL");
    assert_told(grove_any_await(none, 1, &n), GROVE_EUSAGE, "grove_any_await: future 0 of 1 is");
    assert_int_equal(play_add_start(ref, &request, &response, &future), 0);
    assert_told(grove_any_await(one, 1, NULL), GROVE_EUSAGE, "grove_any_await: `which` is NULL");
    assert_int_equal(grove_future_await(&future), 0);
    grove_future_cancel(NULL);
    assert_non_null(strstr(grove_why(), "grove_future_cancel: the future is NULL"));
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static void test_a_place_for_a_result_that_is_null_is_told_with_its_function(void **state)
{
    grove_ref ref = stage_spawn(NULL);
    char byte;

    (void)state;
    fail_otherwise();
    assert_told(grove_receive_await(1, NULL), GROVE_EUSAGE, "grove_receive_await: the letter");
    assert_told(grove_letter_answer(NULL, 1, NULL), GROVE_EUSAGE,
                "grove_letter_answer: the letter");
    assert_told(grove_reply_defer(NULL), GROVE_EUSAGE, "grove_reply_defer: the token is NULL");
    assert_told(grove_reply(NULL, &play_service_table, PLAY_METHOD_ADD, 1, NULL), GROVE_EUSAGE,
                "the token is NULL");
    assert_false(grove_reply_wanted(NULL));
    assert_told(grove_group_open("null", NULL), GROVE_EUSAGE, "grove_group_open: the place");
    assert_told(grove_loop_stats(0, NULL), GROVE_EUSAGE, "grove_loop_stats: the place");
    assert_false(grove_timer_look(1, NULL));
    assert_told(grove_pool_open(NULL, NULL), GROVE_EUSAGE, "grove_pool_open: the place");
    assert_told(grove_lookup_await("localhost", NULL), GROVE_EUSAGE,
                "grove_lookup_await: the place");
    assert_told(grove_file_open_await("/dev/null", 0, 0, NULL), GROVE_EUSAGE,
                "grove_file_open_await: the place");
    assert_told(grove_file_status_await("/dev/null", NULL), GROVE_EUSAGE,
                "grove_file_status_await: the place");
    assert_told(grove_file_read_await(NULL, &byte, 1, 0, NULL), GROVE_EUSAGE,
                "grove_file_read_await: `n_bytes`");
    assert_told(grove_file_load_await("/dev/null", 0, NULL, NULL), GROVE_EUSAGE,
                "grove_file_load_await: `bytes`");
    assert_told(grove_folder_list_await("/", NULL, NULL), GROVE_EUSAGE,
                "grove_folder_list_await: `names`");
    assert_told(grove_listen("tcp://127.0.0.1:0", NULL, NULL), GROVE_EUSAGE,
                "grove_listen: the place");
    assert_told(grove_accept_await(NULL, NULL), GROVE_EUSAGE, "grove_accept_await: the place");
    assert_told(grove_connect_await("tcp://127.0.0.1:1", NULL), GROVE_EUSAGE,
                "grove_connect_await: the place");
    assert_told(grove_process_spawn(NULL, NULL, NULL), GROVE_EUSAGE,
                "grove_process_spawn: the place");
    assert_told(grove_signals_open(NULL, 0, NULL), GROVE_EUSAGE, "grove_signals_open: the place");
    assert_told(grove_signal_await(NULL, NULL), GROVE_EUSAGE, "grove_signal_await: the place");
    assert_told(grove_stream_from(0, NULL), GROVE_EUSAGE, "grove_stream_from: the place");
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static int use_what_is_not_there(struct play *me, struct script *script)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    const struct grove_service *table = &play_service_table;
    const struct grove_timer timer = {.key = 1, .ms = 1};

    (void)me;
    script->number += GROVE_EUSAGE == grove_timer_arm(&timer, table, 1000, &request.base);
    script->number += GROVE_EUSAGE == grove_timer_arm(&timer, table, PLAY_METHOD_ADD, NULL);
    script->number += GROVE_EUSAGE == grove_timer_arm(NULL, table, PLAY_METHOD_ADD, &request.base);
    script->number += GROVE_EUSAGE == grove_delegate(NULL, script->to, table, 1000, &request.base);
    script->number +=
        GROVE_EUSAGE == grove_delegate(NULL, script->to, table, PLAY_METHOD_ADD, NULL);
    return 0;
}

static void test_a_method_that_a_service_has_not_is_told(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    const struct grove_service *table = &play_service_table;
    struct grove_future future = {.response = &response.base};
    struct script script = {.act = use_what_is_not_there, .to = stage_spawn(NULL)};
    grove_ref ref = stage_spawn(NULL), group;

    (void)state;
    fail_otherwise();
    assert_int_equal(grove_group_open("methods", &group), 0);
    assert_told(grove_call_await(ref, table, 1000, &request.base, &response.base), GROVE_EUSAGE,
                "play.v1.PlayService has ");
    assert_told(grove_send(ref, table, 1000, &request.base), GROVE_EUSAGE, "no method 1000");
    assert_told(grove_send_await(ref, table, 1000, &request.base), GROVE_EUSAGE, "no method 1000");
    assert_told(grove_call_start(ref, table, 1000, &request.base, &future), GROVE_EUSAGE,
                "no method 1000");
    assert_told(grove_group_publish(group, table, 1000, &request.base, NULL), GROVE_EUSAGE,
                "no method 1000");
    assert_told(grove_group_publish(group, table, PLAY_METHOD_ADD, NULL, NULL), GROVE_EUSAGE,
                "a publish: the request is NULL");
    assert_told(grove_send(group, table, PLAY_METHOD_ADD, NULL), GROVE_EUSAGE,
                "a publish: the request is NULL");
    assert_int_equal(stage_perform(ref, &script), 0);
    assert_int_equal(script.number, 5);
    assert_int_equal(grove_group_close(group), 0);
}

static int refuse_nothing(struct play *me, struct script *script)
{
    (void)me;
    return grove_refuse((int)script->number, "never");
}

/* An answer of 0 would be "done", with an empty response. */
static void test_a_refusal_of_zero_or_below_is_no_answer(void **state)
{
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    for (int code = 0; code >= -5; code -= 5) {
        struct script script = {.act = refuse_nothing, .number = code};

        assert_int_equal(stage_perform(ref, &script), GROVE_EUSAGE);
        assert_non_null(strstr(grove_why(), "is no refusal"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_what_is_not_there_is_told_in_words_of_its_own),
        stage_test(test_what_makes_no_sense_is_told),
        stage_test(test_a_message_that_is_null_is_told_and_not_called_too_big),
        stage_test(test_a_null_where_something_is_needed_is_told_with_its_function),
        stage_test(test_a_place_for_a_result_that_is_null_is_told_with_its_function),
        stage_test(test_a_method_that_a_service_has_not_is_told),
        stage_test(test_a_refusal_of_zero_or_below_is_no_answer),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down);
}
