/*
 * Verbs: await, send, send_await, start; failure records.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

/* --- lifetimes of requests and responses ------------------------------------------------------ */

static Play__V1__Twig twigs[2] = {{PROTOBUF_C_MESSAGE_INIT(&play__v1__twig__descriptor), "one"},
                                  {PROTOBUF_C_MESSAGE_INIT(&play__v1__twig__descriptor), "two"}};

static void test_a_deep_message_comes_and_goes_whole(void **state)
{
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    Play__V1__Leaf leaf = PLAY__V1__LEAF__INIT;
    Play__V1__Twig *leaf_twigs[2] = {&twigs[0], &twigs[1]};
    char *words[3] = {"alpha", "", "gamma"};
    int64_t numbers[3] = {-1, 0, INT64_MAX};
    uint8_t bytes[4] = {0, 1, 2, 255};

    (void)state;
    leaf.name = "branch";
    leaf.n_twigs = 2;
    leaf.twigs = leaf_twigs;
    request.text = "hello";
    request.n_words = 3;
    request.words = words;
    request.blob = (ProtobufCBinaryData){sizeof bytes, bytes};
    request.leaf = &leaf;
    request.n_numbers = 3;
    request.numbers = numbers;
    assert_int_equal(play_echo_await(stage_spawn(NULL), &request, &response), 0);
    assert_string_equal(response.text, "hello");
    assert_int_equal(response.n_words, 3);
    assert_string_equal(response.words[0], "alpha");
    assert_string_equal(response.words[1], "");
    assert_string_equal(response.words[2], "gamma");
    assert_int_equal(response.blob.len, sizeof bytes);
    assert_memory_equal(response.blob.data, bytes, sizeof bytes);
    assert_string_equal(response.leaf->name, "branch");
    assert_int_equal(response.leaf->n_twigs, 2);
    assert_string_equal(response.leaf->twigs[1]->name, "two");
    assert_memory_equal(response.numbers, numbers, sizeof numbers);
    assert_ptr_not_equal(response.text, request.text);
}

static char seen_text[64];

static int keep_text(struct play *me, const Play__V1__EchoRequest *request,
                     Play__V1__EchoResponse *response)
{
    (void)me;
    (void)response;
    strncpy(seen_text, request->text, sizeof seen_text - 1);
    return grove_sleep_await(5);
}

static void test_a_request_that_is_changed_after_a_verb_arrives_as_it_was(void **state)
{
    static struct play_service keeping;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    struct grove_future future;
    char text[] = "first";
    grove_ref ref;

    (void)state;
    keeping = stage_player;
    keeping.echo = keep_text;
    assert_int_equal(play_spawn(&keeping, NULL, NULL, &ref), 0);
    request.text = text;
    assert_int_equal(play_echo_send(ref, &request), 0);
    strcpy(text, "xxxxx");
    assert_int_equal(grove_sleep_await(20), 0);
    assert_string_equal(seen_text, "first");

    strcpy(text, "again");
    assert_int_equal(play_echo_start(ref, &request, &response, &future), 0);
    strcpy(text, "xxxxx");
    assert_int_equal(grove_future_await(&future), 0);
    assert_string_equal(seen_text, "again");

    strcpy(text, "third");
    assert_int_equal(play_echo_send_await(ref, &request), 0);
    strcpy(text, "xxxxx");
    assert_int_equal(grove_sleep_await(20), 0);
    assert_string_equal(seen_text, "third");
}

static void test_the_response_is_untouched_unless_the_call_returns_0(void **state)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    response.total = 4711;
    request.n = -1;
    assert_int_equal(play_add_await(ref, &request, &response), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_int_equal(response.total, 4711);
    assert_int_equal(play_add_await(GROVE_NOBODY, &request, &response), GROVE_ENOACTOR);
    assert_int_equal(response.total, 4711);
}

struct answers {
    struct script script;
    bool right;
};

static int keep_answers(struct play *me, struct script *script)
{
    enum { N = 50 };
    struct answers *answers = (struct answers *)script;
    Play__V1__EchoResponse responses[N];

    (void)me;
    for (int i = 0; i < N; i++) {
        Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
        int rc;

        request.text = grove_printf("answer %d", i);
        responses[i] = (Play__V1__EchoResponse)PLAY__V1__ECHO_RESPONSE__INIT;
        rc = play_echo_await(script->to, &request, &responses[i]);
        if (rc != 0)
            return rc;
    }
    answers->right = true;
    for (int i = 0; i < N; i++)
        answers->right &= strcmp(responses[i].text, grove_printf("answer %d", i)) == 0;
    return 0;
}

static void test_answers_can_be_read_until_the_turn_ends(void **state)
{
    struct answers answers = {.script = {.act = keep_answers, .to = stage_spawn(NULL)}};

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &answers.script), 0);
    assert_true(answers.right);
}

static int pass_answer_on(struct play *me, const Play__V1__EchoRequest *request,
                          Play__V1__EchoResponse *response);

static grove_ref echo_target;

static int pass_answer_on(struct play *me, const Play__V1__EchoRequest *request,
                          Play__V1__EchoResponse *response)
{
    (void)me;
    return play_echo_await(echo_target, request, response);
}

static void test_an_answer_may_be_passed_on_as_the_own_response(void **state)
{
    static struct play_service passing;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    grove_ref ref;

    (void)state;
    passing = stage_player;
    passing.echo = pass_answer_on;
    echo_target = stage_spawn(NULL);
    assert_int_equal(play_spawn(&passing, NULL, NULL, &ref), 0);
    request.text = "through two hands";
    assert_int_equal(play_echo_await(ref, &request, &response), 0);
    assert_string_equal(response.text, "through two hands");
}

static void test_refs_travel_in_messages(void **state)
{
    Play__V1__RelayRequest request = PLAY__V1__RELAY_REQUEST__INIT;
    Play__V1__RelayResponse response = PLAY__V1__RELAY_RESPONSE__INIT;
    Grove__V1__Ref message = GROVE__V1__REF__INIT;
    grove_ref target = stage_spawn(NULL);

    (void)state;
    grove_ref_to_message(&message, target);
    request.to = &message;
    request.n = 9;
    assert_int_equal(play_relay_await(stage_spawn(NULL), &request, &response), 0);
    assert_int_equal(response.total, 9);
    request.to = NULL;
    assert_int_equal(play_relay_await(stage_spawn(NULL), &request, &response), GROVE_ENOACTOR);
}

/* --- where verbs may be used ------------------------------------------------------------------ */

static void test_grove_self_is_nobody_in_main_and_the_actor_in_its_handler(void **state)
{
    (void)state;
    assert_true(grove_ref_is_nobody(grove_self()));
    assert_int_equal(grove_can_await(), 1);
}

static void test_a_message_larger_than_any_block_is_too_big(void **state)
{
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    size_t bytes = (size_t)65 << 20;
    uint8_t *blob = calloc(1, bytes);
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_non_null(blob);
    request.blob = (ProtobufCBinaryData){bytes, blob};
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_ETOOBIG);
    assert_int_equal(play_echo_send(ref, &request), GROVE_ETOOBIG);
    free(blob);
    assert_int_equal(stage_add(ref, 1, NULL), 0);
}

static uint8_t *huge_blob;

static int answer_hugely(struct play *me, const Play__V1__EchoRequest *request,
                         Play__V1__EchoResponse *response)
{
    (void)me;
    (void)request;
    response->blob = (ProtobufCBinaryData){(size_t)65 << 20, huge_blob};
    return 0;
}

static void test_a_response_larger_than_any_block_fails_the_call(void **state)
{
    static struct play_service huge;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    grove_ref ref;

    (void)state;
    huge = stage_player;
    huge.echo = answer_hugely;
    huge_blob = calloc(1, (size_t)65 << 20);
    assert_non_null(huge_blob);
    assert_int_equal(play_spawn(&huge, NULL, NULL, &ref), 0);
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_ETOOBIG);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    free(huge_blob);
}

/* --- failure records -------------------------------------------------------------------------- */

static void test_the_failure_record_is_that_of_the_last_call_that_failed(void **state)
{
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_add(ref, -5, NULL), PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_int_equal(stage_add(ref, 5, NULL), 0);
    assert_int_equal(grove_failure()->code, PLAY__V1__REFUSAL__REFUSAL_SMALL);
    assert_string_equal(grove_why(), "-5 is below zero");
    assert_int_equal(stage_add(GROVE_NOBODY, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->code, GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->class, GROVE_FAILED);
    assert_string_equal(grove_failure()->text, "");
    assert_string_equal(grove_why(), grove_error_text(GROVE_ENOACTOR));
}

static void test_a_call_that_timed_out_is_unknown_when_the_handler_had_begun(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    grove_within(10);
    assert_int_equal(stage_perform(ref, &nap), GROVE_ETIMEDOUT);
    assert_int_equal(nap.n_runs, 1);
    assert_int_equal(grove_failure()->class, GROVE_UNKNOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    stage_settle();
}

static void test_a_call_that_timed_out_in_the_queue_was_never_begun(void **state)
{
    struct script nap = {.act = act_nap, .ms = 50}, late = {.act = act_nothing};
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    assert_int_equal(stage_send(ref, &nap), 0);
    grove_within(10);
    assert_int_equal(stage_perform(ref, &late), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_failure()->class, GROVE_FAILED);
    assert_int_equal(grove_sleep_await(60), 0);
    assert_int_equal(late.n_runs, 0);
}

/* --- yield ------------------------------------------------------------------------------------ */

static void go_yield(void *argument)
{
    struct script *scripts = argument;

    (void)grove_yield_await();
    for (int i = 0; i < 20; i++)
        scripts[100].n_runs += scripts[i].n_ends;
    scripts[100].n_ends = 1;
}

static void test_a_yield_lets_what_is_ready_run_first(void **state)
{
    struct script scripts[101];

    (void)state;
    for (int i = 0; i < 101; i++)
        scripts[i] = (struct script){.act = act_nothing};
    assert_int_equal(grove_go(go_yield, scripts, NULL, NULL), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(stage_send(stage_spawn(NULL), &scripts[i]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(scripts[100].n_ends, 1);
    assert_int_equal(scripts[100].n_runs, 20);
}

/* --- two loops -------------------------------------------------------------------------------- */

struct pinger {
    grove_ref to;
    _Atomic(unsigned) *n_done;
    int n, wrong;
};

static void go_ping(void *argument)
{
    struct pinger *pinger = argument;

    for (int i = 0; i < pinger->n; i++) {
        struct grove_scope scope;
        Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
        Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;

        grove_scope_begin(&scope);
        request.text = grove_printf("%p %d", argument, i);
        if (play_echo_await(pinger->to, &request, &response) != 0
            || strcmp(response.text, request.text) != 0)
            pinger->wrong++;
        grove_scope_end(&scope);
    }
    ++*pinger->n_done;
}

static void ping(unsigned from, unsigned to, unsigned n_greenlets, int n_calls)
{
    static struct pinger pingers[100];
    _Atomic(unsigned) n_done = 0;
    struct grove_spawn_options place = {.place = GROVE_ON_LOOP(from)};
    grove_ref ref = stage_spawn_on(to, "target");

    for (unsigned i = 0; i < n_greenlets; i++) {
        pingers[i] = (struct pinger){.to = ref, .n_done = &n_done, .n = n_calls};
        assert_int_equal(grove_go(go_ping, &pingers[i], &place, NULL), 0);
    }
    while (n_done < n_greenlets)
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < n_greenlets; i++)
        assert_int_equal(pingers[i].wrong, 0);
}

static void test_a_hundred_greenlets_hammer_a_far_actor(void **state)
{
    (void)state;
    ping(0, 1, 100, 50);
    ping(1, 0, 100, 50);
    ping(1, 1, 100, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_deep_message_comes_and_goes_whole),
        stage_test(test_a_request_that_is_changed_after_a_verb_arrives_as_it_was),
        stage_test(test_the_response_is_untouched_unless_the_call_returns_0),
        stage_test(test_answers_can_be_read_until_the_turn_ends),
        stage_test(test_an_answer_may_be_passed_on_as_the_own_response),
        stage_test(test_refs_travel_in_messages),
        stage_test(test_grove_self_is_nobody_in_main_and_the_actor_in_its_handler),
        stage_test(test_a_message_larger_than_any_block_is_too_big),
        stage_test(test_a_response_larger_than_any_block_fails_the_call),
        stage_test(test_the_failure_record_is_that_of_the_last_call_that_failed),
        stage_test(test_a_call_that_timed_out_is_unknown_when_the_handler_had_begun),
        stage_test(test_a_call_that_timed_out_in_the_queue_was_never_begun),
        stage_test(test_a_yield_lets_what_is_ready_run_first),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_deep_message_comes_and_goes_whole),
        stage_test(test_a_hundred_greenlets_hammer_a_far_actor),
    };
    int n = cmocka_run_group_tests_name("verb", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("verb, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
