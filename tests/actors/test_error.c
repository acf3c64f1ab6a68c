/*
 * Errors: the table, and reasons without a runtime.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static void test_every_code_has_name_text_and_connect_code(void **state)
{
    static const char *const connects[] = {
        "canceled",  "unknown",        "invalid_argument",    "deadline_exceeded",
        "not_found", "already_exists", "permission_denied",   "resource_exhausted",
        "aborted",   "out_of_range",   "failed_precondition", "unimplemented",
        "internal",  "unavailable",    "data_loss",           "unauthenticated",
    };
    unsigned n = 0;

    (void)state;
#define CHECK(name, number, connect, started, advice)                       \
    {                                                                       \
        bool known = false;                                                 \
        assert_int_equal(GROVE_##name, -4096 - (int)n++);                   \
        assert_string_equal(grove_error_name(number), "GROVE_" #name);      \
        assert_string_equal(grove_error_text(number), advice);              \
        assert_string_equal(grove_error_connect(number), connect);          \
        for (size_t i = 0; i < sizeof connects / sizeof connects[0]; i++)   \
            known |= strcmp(connects[i], connect) == 0;                     \
        assert_true(known);                                                 \
        assert_int_equal(GROVE_STARTED_##started, GROVE_STARTED_##started); \
    }
    GROVE_ERROR_TABLE(CHECK)
#undef CHECK
}

static void test_errno_zero_refusals_and_nonsense_have_words_too(void **state)
{
    (void)state;
    assert_string_equal(grove_error_name(0), "0");
    assert_string_equal(grove_error_name(-ENOENT), "ENOENT");
    assert_string_equal(grove_error_text(-ENOENT), "No such file or directory");
    assert_string_equal(grove_error_connect(-ENOENT), "internal");
    assert_string_equal(grove_error_name(3), "?");
    assert_string_equal(grove_error_connect(3), "failed_precondition");
    assert_string_equal(grove_error_text(0), "done");
    assert_non_null(strstr(grove_error_text(3), "refus"));
    assert_string_equal(grove_error_name(-3999), "?");
    assert_string_equal(grove_error_name(-5000), "?");
    assert_string_equal(grove_error_name(INT_MIN), "?");
    assert_string_equal(grove_error_text(INT_MIN), "not a code of grove");
}

static void test_a_handler_refuses_without_a_runtime(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    struct play play = {0};

    (void)state;
    request.n = -1;
    assert_int_equal(stage_player.add(&play, &request, &response),
                     PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_string_equal(grove_why(), "-1 is below zero");
    assert_int_equal(grove_failure()->class, GROVE_REFUSED);
    assert_int_equal(grove_fail("%s", grove_why()), GROVE_EDOWN);
    assert_string_equal(grove_why(), "-1 is below zero");
    assert_int_equal(grove_failure()->class, GROVE_FAILED);
}

static void test_a_long_reason_is_cut_at_255_bytes(void **state)
{
    char text[400];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(grove_refuse(7, "%s", text), 7);
    assert_int_equal(strlen(grove_why()), 255);
}

static int refuse_at_length(struct play *me, struct script *script)
{
    char text[400];

    (void)me;
    (void)script;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return grove_refuse(PLAY__V1__REFUSAL__REFUSAL_BUSY, "%s", text);
}

static void test_a_long_reason_reaches_the_caller_cut(void **state)
{
    struct script script = {.act = refuse_at_length};

    (void)state;
    stage_open();
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_int_equal(strlen(grove_why()), 255);
    stage_close();
}

static void test_nothing_can_be_awaited_without_a_runtime(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    assert_int_equal(grove_can_await(), 0);
    assert_true(grove_ref_is_nobody(grove_self()));
    assert_int_equal(play_add_await(GROVE_NOBODY, &request, &response), GROVE_EUSAGE);
    assert_int_equal(play_add_send(GROVE_NOBODY, &request), GROVE_EUSAGE);
    assert_int_equal(play_add_send_await(GROVE_NOBODY, &request), GROVE_EUSAGE);
    assert_int_equal(play_add_start(GROVE_NOBODY, &request, &response, &future), GROVE_EUSAGE);
    assert_int_equal(grove_sleep_await(1), GROVE_EUSAGE);
    assert_int_equal(grove_yield_await(), GROVE_EUSAGE);
    assert_int_equal(grove_remaining_ms(), GROVE_INFINITE);
    assert_int_equal(grove_stop(GROVE_NOBODY, GROVE_STOP_NOW), GROVE_EUSAGE);
    grove_within(5);
}

/* An older reason would be taken for this one's. */
#define assert_usage(call, word)                               \
    {                                                          \
        (void)grove_fail("stale");                             \
        assert_int_equal((call), GROVE_EUSAGE);                \
        assert_int_equal(grove_failure()->code, GROVE_EUSAGE); \
        assert_non_null(strstr(grove_why(), (word)));          \
    }

static void test_what_is_not_allowed_without_a_runtime_says_why(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    struct grove_future future = {0}, *futures[] = {&future};
    struct grove_loop_stats stats;
    struct grove_letter letter = {0};
    unsigned which;

    (void)state;
    assert_usage(play_add_await(GROVE_NOBODY, &request, &response), "nothing may wait here");
    assert_usage(play_add_send(GROVE_NOBODY, &request), "no thread of grove's");
    assert_usage(play_add_send_await(GROVE_NOBODY, &request), "nothing may wait here");
    assert_usage(play_add_start(GROVE_NOBODY, &request, &response, &future), "nothing may wait");
    assert_usage(grove_all_await(futures, 1), "nothing may wait here");
    assert_usage(grove_any_await(futures, 1, &which), "nothing may wait here");
    assert_usage(grove_sleep_await(1), "grove_sleep_await: nothing may wait here");
    assert_usage(grove_yield_await(), "grove_yield_await: nothing may wait here");
    assert_usage(grove_receive_await(1, &letter), "grove_receive_await: nothing may wait here");
    assert_usage(grove_letter_answer(&letter, 0, &response.base), "grove_letter_answer");
    assert_usage(grove_stop(GROVE_NOBODY, GROVE_STOP_NOW), "grove_stop: this is no thread");
    assert_usage(grove_stop_await(GROVE_NOBODY, GROVE_STOP_NOW), "grove_stop_await: nothing may");
    assert_usage(grove_loop_stats(3, &stats), "no loop 3");
}

static void go_nowhere(void *argument)
{
    (void)argument;
}

static void test_what_is_not_allowed_with_one_says_why_too(void **state)
{
    struct grove_spawn_options nowhere = {.place = GROVE_ON_LOOP(60)}, less = {.place = -77},
                               deep = {.depth_max = 1u << 20}, large = {.bytes_max = 256u << 20};
    struct grove_future never = {0}, *futures[] = {&never};
    struct grove_letter letter = {0};
    unsigned which;
    grove_ref ref;

    (void)state;
    stage_open();
    assert_usage(grove_go(go_nowhere, NULL, &nowhere, &ref), "place 61 is none");
    assert_usage(grove_go(go_nowhere, NULL, &less, &ref), "place -77 is none");
    assert_usage(grove_go(go_nowhere, NULL, &deep, &ref), "1048575 messages");
    assert_usage(grove_go(go_nowhere, NULL, &large, &ref), "255 MiB");
    assert_usage(grove_go(NULL, NULL, NULL, &ref), "there is no function");
    assert_usage(grove_receive_await(1, &letter), "only a greenlet");
    assert_usage(grove_letter_answer(&letter, 0, NULL), "nobody waits");
    assert_usage(grove_any_await(futures, 0, &which), "no futures");
    assert_usage(grove_all_await(futures, 1), "never started");
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_every_code_has_name_text_and_connect_code),
        stage_test(test_errno_zero_refusals_and_nonsense_have_words_too),
        stage_test(test_a_handler_refuses_without_a_runtime),
        stage_test(test_a_long_reason_is_cut_at_255_bytes),
        stage_test(test_nothing_can_be_awaited_without_a_runtime),
        stage_test(test_what_is_not_allowed_without_a_runtime_says_why),
        stage_test(test_what_is_not_allowed_with_one_says_why_too),
        stage_test(test_a_long_reason_reaches_the_caller_cut),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
