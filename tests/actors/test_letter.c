/*
 * Letters: mail of greenlets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

/* What a greenlet does with each letter. */
struct desk {
    int (*serve)(struct desk *desk, const struct grove_letter *letter);
    unsigned n_letters; /* to receive */
    unsigned n_received;
    uint32_t timeout_ms;
    int rc; /* of the last receive */
    int answer_rc;
    int64_t sum;
    grove_ref from;
    bool done;
    char text[64];
};

static void go_desk(void *argument)
{
    struct desk *desk = argument;
    struct grove_letter letter;

    while (desk->n_received < desk->n_letters) {
        desk->rc = grove_receive_await(desk->timeout_ms, &letter);
        if (desk->rc != 0)
            break;
        desk->n_received++;
        desk->from = letter.from;
        desk->answer_rc = desk->serve(desk, &letter);
    }
    desk->done = true;
}

static int answer_sum(struct desk *desk, const struct grove_letter *letter)
{
    const Play__V1__AddRequest *request = (const Play__V1__AddRequest *)letter->request;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;

    if (strcmp(letter->method->name, "play.v1.PlayService/Add") != 0)
        return -EINVAL;
    response.total = desk->sum += request->n;
    return grove_letter_answer(letter, 0, &response.base);
}

static grove_ref open_desk(struct desk *desk)
{
    grove_ref ref = GROVE_NOBODY;

    if (desk->timeout_ms == 0)
        desk->timeout_ms = GROVE_INFINITE;
    assert_int_equal(grove_go(go_desk, desk, &(struct grove_spawn_options){.label = "desk"}, &ref),
                     0);
    return ref;
}

static void close_desk(struct desk *desk, grove_ref ref)
{
    int rc = grove_stop_await(ref, GROVE_STOP_NOW);

    assert_true(rc == 0 || rc == GROVE_ENOACTOR);
    assert_true(desk->done);
}

static void test_a_greenlet_receives_calls_and_answers_them(void **state)
{
    struct desk desk = {.serve = answer_sum, .n_letters = 100};
    grove_ref ref = open_desk(&desk);
    int64_t total = 0;

    (void)state;
    assert_int_equal(stage_add(ref, 4, &total), 0);
    assert_int_equal(stage_add(ref, 5, &total), 0);
    assert_int_equal(total, 9);
    assert_int_equal(desk.answer_rc, 0);
    assert_true(grove_ref_is_nobody(desk.from));
    close_desk(&desk, ref);
    assert_int_equal(desk.rc, GROVE_ECANCELED);
}

static int refuse(struct desk *desk, const struct grove_letter *letter)
{
    (void)desk;
    return grove_letter_answer(letter, grove_refuse(PLAY__V1__REFUSAL__REFUSAL_BUSY, "closed"),
                               NULL);
}

static void test_a_letter_may_be_refused_with_a_reason(void **state)
{
    struct desk desk = {.serve = refuse, .n_letters = 100};
    grove_ref ref = open_desk(&desk);

    (void)state;
    assert_int_equal(stage_add(ref, 1, NULL), PLAY__V1__REFUSAL__REFUSAL_BUSY);
    assert_string_equal(grove_why(), "closed");
    assert_string_equal(grove_failure()->refusals, "play.v1.Refusal");
    close_desk(&desk, ref);
}

static int refuse_strangely(struct desk *desk, const struct grove_letter *letter)
{
    (void)desk;
    return grove_letter_answer(letter, 77, NULL);
}

static void test_a_refusal_outside_the_enum_is_foreign_from_a_greenlet_too(void **state)
{
    struct desk desk = {.serve = refuse_strangely, .n_letters = 100};
    grove_ref ref = open_desk(&desk);

    (void)state;
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_EFOREIGN);
    close_desk(&desk, ref);
}

static int forget(struct desk *desk, const struct grove_letter *letter)
{
    (void)desk;
    (void)letter;
    return 0;
}

static int answer_too_much(struct desk *desk, const struct grove_letter *letter)
{
    static uint8_t byte;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    int rc;

    /* It is refused for its length, before a byte of it is read. */
    response.blob = (ProtobufCBinaryData){(size_t)65 << 20, &byte};
    rc = grove_letter_answer(letter, 0, &response.base);
    (void)snprintf(desk->text, sizeof desk->text, "%s", grove_why()); /* It may be cut. */
    return rc;
}

static void test_an_answer_beyond_the_limit_is_too_big_for_both_sides(void **state)
{
    struct desk desk = {.serve = answer_too_much, .n_letters = 100};
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    grove_ref ref = open_desk(&desk);

    (void)state;
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_ETOOBIG);
    assert_non_null(strstr(grove_why(), "64 MiB"));
    assert_int_equal(desk.answer_rc, GROVE_ETOOBIG);
    assert_non_null(strstr(desk.text, "64 MiB"));
    close_desk(&desk, ref);
}

static void test_a_letter_that_is_not_answered_fails_at_the_next_receive_or_the_end(void **state)
{
    struct desk desk = {.serve = forget, .n_letters = 2};
    grove_ref ref = open_desk(&desk);

    (void)state;
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_false(desk.done);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_EDOWN);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_true(desk.done);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static int answer_twice(struct desk *desk, const struct grove_letter *letter)
{
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;

    desk->sum = grove_letter_answer(letter, 0, &response.base);
    return grove_letter_answer(letter, 0, &response.base);
}

static void test_a_letter_is_answered_once_and_a_send_not_at_all(void **state)
{
    struct desk desk = {.serve = answer_twice, .n_letters = 100};
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    grove_ref ref = open_desk(&desk);

    (void)state;
    assert_int_equal(stage_add(ref, 1, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(desk.sum, 0);
    assert_int_equal(desk.answer_rc, GROVE_EUSAGE);
    assert_int_equal(play_add_send(ref, &request), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(desk.n_received, 2);
    assert_int_equal(desk.sum, GROVE_EUSAGE);
    close_desk(&desk, ref);
}

static void test_receive_gives_up_at_its_timeout(void **state)
{
    struct desk desk = {.serve = answer_sum, .n_letters = 1, .timeout_ms = 25};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = open_desk(&desk);

    (void)state;
    while (!desk.done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(desk.rc, GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 25, 30);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ENOACTOR);
}

static int receive_in_handler(struct play *me, struct script *script)
{
    struct grove_letter letter;

    (void)me;
    script->rc = grove_receive_await(0, &letter);
    return 0;
}

static void test_only_greenlets_receive(void **state)
{
    struct script script = {.act = receive_in_handler};
    struct grove_letter letter;

    (void)state;
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_int_equal(script.rc, GROVE_EUSAGE);
    assert_int_equal(grove_receive_await(0, &letter), GROVE_EUSAGE);
}

struct slow_reader {
    struct script script;
    grove_ref sender;
    bool done;
    int n, wrong;
};

static void go_read_slowly(void *argument)
{
    struct slow_reader *reader = argument;
    struct grove_letter letter;

    while (reader->n < 10 && grove_sleep_await(2) == 0 && grove_receive_await(10, &letter) == 0) {
        const Play__V1__AddRequest *request = (const Play__V1__AddRequest *)letter.request;

        if (request->n != reader->n++)
            reader->wrong++;
        reader->sender = letter.from;
    }
    reader->done = true;
}

static int send_ten(struct play *me, struct script *script)
{
    (void)me;
    for (int i = 0; i < 10; i++) {
        Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
        int rc;

        request.n = i;
        rc = play_add_send_await(script->to, &request);
        if (rc != 0)
            return stage_note(script, rc);
    }
    return 0;
}

static void test_a_full_desk_makes_senders_wait_and_keeps_their_order(void **state)
{
    struct slow_reader reader = {.n = 0};
    grove_ref actor = stage_spawn("sender");
    struct script script = {.act = send_ten};

    (void)state;
    assert_int_equal(grove_go(go_read_slowly, &reader,
                              &(struct grove_spawn_options){.depth_max = 2}, &script.to),
                     0);
    assert_int_equal(stage_perform(actor, &script), 0);
    while (!reader.done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(reader.n, 10);
    assert_int_equal(reader.wrong, 0);
    assert_true(grove_ref_equal(reader.sender, actor));
}

static void go_sleep_then_receive_all(void *argument)
{
    struct desk *desk = argument;
    struct grove_letter letter;

    (void)grove_sleep_await(50);
    while (grove_receive_await(1, &letter) == 0) {
        desk->n_received++;
        (void)answer_sum(desk, &letter); /* Its caller may be gone. */
    }
    desk->done = true;
}

static void test_letters_whose_time_is_over_are_not_received(void **state)
{
    struct desk desk = {0};
    grove_ref ref;

    (void)state;
    assert_int_equal(grove_go(go_sleep_then_receive_all, &desk, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    grove_within(10);
    assert_int_equal(stage_add(ref, 1, NULL), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    while (!desk.done)
        assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(desk.n_received, 0);
}

static void go_nothing(void *argument)
{
    ++*(int *)argument;
}

static void test_the_argument_of_a_greenlet_may_be_copied(void **state)
{
    struct desk desk = {.serve = answer_sum, .n_letters = 1, .timeout_ms = 1};
    char large[5000] = "";
    grove_ref ref;

    (void)state;
    (void)desk;
    assert_int_equal(grove_go(go_nothing, large,
                              &(struct grove_spawn_options){.argument_bytes = sizeof large}, &ref),
                     GROVE_ETOOBIG);
    assert_int_equal(grove_go(NULL, NULL, NULL, &ref), GROVE_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_greenlet_receives_calls_and_answers_them),
        stage_test(test_a_letter_may_be_refused_with_a_reason),
        stage_test(test_a_refusal_outside_the_enum_is_foreign_from_a_greenlet_too),
        stage_test(test_an_answer_beyond_the_limit_is_too_big_for_both_sides),
        stage_test(test_a_letter_that_is_not_answered_fails_at_the_next_receive_or_the_end),
        stage_test(test_a_letter_is_answered_once_and_a_send_not_at_all),
        stage_test(test_receive_gives_up_at_its_timeout),
        stage_test(test_only_greenlets_receive),
        stage_test(test_a_full_desk_makes_senders_wait_and_keeps_their_order),
        stage_test(test_letters_whose_time_is_over_are_not_received),
        stage_test(test_the_argument_of_a_greenlet_may_be_copied),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_greenlet_receives_calls_and_answers_them),
    };
    int n = cmocka_run_group_tests_name("letter", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("letter, two loops", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
