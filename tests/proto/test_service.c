/*
 * Services: the thunks, tables and verbs that grove-gen writes, against
 * fakes of the library's calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bank.grove.h"
#include "tests/proto/fake_calls.h"

/* A body of exactly the measured size with a copy of message. */
static void *copied(const struct grove_shape *shape, const ProtobufCMessage *message)
{
    size_t n_bytes = grove_shape_bytes(shape, message);
    assert_int_equal(n_bytes % 8, 0);

    void *body = malloc(n_bytes == 0 ? 1 : n_bytes);
    assert_non_null(body);
    memset(body, 0xee, n_bytes);
    shape->copy(body, message);
    return body;
}

struct account {
    int64_t balance;
};

static int withdraw(struct account *me, const Bank__V1__WithdrawRequest *request,
                    Bank__V1__WithdrawResponse *response)
{
    if (request->cents > me->balance)
        return BANK__V1__REFUSAL__REFUSAL_OVERDRAWN;
    me->balance -= request->cents;
    response->balance = me->balance;
    return 0;
}

static int start(struct account *me, const void *argument)
{
    me->balance = *(const int64_t *)argument;
    return 3;
}

static int screen(const Bank__V1__ScreenRequest *request, Bank__V1__ScreenResponse *response)
{
    response->score = (double)strlen(request->name);
    return 0;
}

static const struct account_service account = {
    .state_bytes = sizeof(struct account),
    .init = start,
    .withdraw = withdraw,
};
static const struct screening_service screening = {.screen = screen};

static void test_a_thunk_runs_the_function_and_packs_its_answer(void **state)
{
    (void)state;
    const struct grove_method *method = &account_service_table.methods[ACCOUNT_METHOD_WITHDRAW];
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    Bank__V1__WithdrawResponse response;
    struct account me = {100};
    struct grove_answer answer = {.put = fake_put};

    request.cents = 30;
    void *body = copied(method->request, &request.base);
    assert_int_equal(method->thunk(&account, &me, body, &answer), 0);
    method->response->open(&response.base, answer.body);
    assert_int_equal(response.balance, 70);
    free(answer.body);

    answer.body = NULL;
    me.balance = 29;
    assert_int_equal(method->thunk(&account, &me, body, &answer),
                     BANK__V1__REFUSAL__REFUSAL_OVERDRAWN);
    assert_null(answer.body);
    assert_int_equal(me.balance, 29);
    free(body);
}

static void test_a_flat_answer_goes_where_there_is_room(void **state)
{
    (void)state;
    const struct grove_method *method = &account_service_table.methods[ACCOUNT_METHOD_WITHDRAW];
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    Bank__V1__WithdrawResponse response;
    struct account me = {100};
    _Alignas(16) unsigned char room[8] = {0};
    struct grove_answer answer = {.put = fake_put, .body = room, .room = sizeof room};
    void *body;

    request.cents = 30;
    body = copied(method->request, &request.base);
    assert_int_equal(method->thunk(&account, &me, body, &answer), 0);
    assert_ptr_equal(answer.body, room);
    method->response->open(&response.base, room);
    assert_int_equal(response.balance, 70);

    answer.room = sizeof room - 1;
    assert_int_equal(method->thunk(&account, &me, body, &answer), 0);
    assert_ptr_not_equal(answer.body, room);
    free(answer.body);
    free(body);
}

static void test_a_thunk_drops_an_answer_that_nobody_waits_for(void **state)
{
    (void)state;
    const struct grove_method *method = &account_service_table.methods[ACCOUNT_METHOD_WITHDRAW];
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    struct account me = {100};
    void *body;

    request.cents = 30;
    body = copied(method->request, &request.base);
    assert_int_equal(method->thunk(&account, &me, body, NULL), 0);
    assert_int_equal(me.balance, 70);
    free(body);
}

static void test_a_worker_thunk_needs_no_state(void **state)
{
    (void)state;
    const struct grove_method *method = &screening_service_table.methods[0];
    Bank__V1__ScreenRequest request = BANK__V1__SCREEN_REQUEST__INIT;
    Bank__V1__ScreenResponse response;
    char name[] = "abc";
    struct grove_answer answer = {.put = fake_put};

    request.name = name;
    void *body = copied(method->request, &request.base);
    assert_int_equal(method->thunk(&screening, NULL, body, &answer), 0);
    method->response->open(&response.base, answer.body);
    assert_true(response.score == 3);
    free(answer.body);
    free(body);
}

static void test_init_and_deinit_go_through_the_service(void **state)
{
    (void)state;
    static const struct account_service bare = {.state_bytes = sizeof(struct account)};
    struct account me = {0};
    int64_t argument = 5;

    assert_int_equal(account_service_table.init(&account, &me, &argument), 3);
    assert_int_equal(me.balance, 5);
    assert_int_equal(account_service_table.init(&bare, &me, NULL), 0);
    account_service_table.deinit(&bare, &me);
    assert_null(screening_service_table.init);
    assert_null(screening_service_table.deinit);
}

static void test_the_method_table_says_what_the_proto_says(void **state)
{
    (void)state;
    const struct grove_method *balance = &account_service_table.methods[ACCOUNT_METHOD_BALANCE];
    const struct grove_method *withdraws = &account_service_table.methods[ACCOUNT_METHOD_WITHDRAW];
    const struct grove_method *screens = &screening_service_table.methods[0];

    assert_int_equal(account_service_table.generator_version, GROVE_GENERATOR_VERSION);
    assert_string_equal(account_service_table.name, "bank.v1.AccountService");
    assert_string_equal(withdraws->name, "bank.v1.AccountService/Withdraw");
    assert_string_equal(account_service_table.methods[ACCOUNT_METHOD_DO].local_name, "do_");
    assert_ptr_equal(withdraws->refusals, &bank__v1__refusal__descriptor);
    assert_int_equal(withdraws->key_field, 3);
    assert_int_equal(account_service_table.methods[ACCOUNT_METHOD_DO].placement_field, 1);
    assert_int_equal(balance->timeout_ms, 250);
    assert_int_equal(balance->idempotency, GROVE_NO_SIDE_EFFECTS);
    assert_int_equal(balance->audience, GROVE_AUDIENCE_CLIENTS);
    assert_int_equal(screens->isolation, GROVE_WORKER_PROCESS);
    assert_string_equal(screens->pool, "screening");
    assert_int_equal(account_service_table.n_refusal_codes, 1);
    assert_int_equal(account_service_table.refusal_codes[0].number, 2);
    assert_string_equal(account_service_table.refusal_codes[0].connect, "permission_denied");
    assert_true(withdraws->request_fingerprint != withdraws->response_fingerprint);
    assert_int_equal(account_service_table.fields[0].show, 1);
    assert_int_equal(account_service_table.fields[1].secret, 1);
}

static void test_verbs_hand_on_what_they_are_given(void **state)
{
    (void)state;
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    Bank__V1__WithdrawResponse response = BANK__V1__WITHDRAW_RESPONSE__INIT;
    struct grove_future future;
    grove_ref ref = {1, 2};

    assert_int_equal(account_withdraw_start(ref, &request, &response, &future), 7);
    assert_string_equal(fake_last.verb, "start");
    assert_ptr_equal(fake_last.future, &future);
    assert_int_equal(account_withdraw_send(ref, &request), 7);
    assert_string_equal(fake_last.verb, "send");
    assert_int_equal(account_withdraw_send_await(ref, &request), 7);
    assert_string_equal(fake_last.verb, "send_await");
    assert_int_equal(account_withdraw_await(ref, &request, &response), 7);
    assert_string_equal(fake_last.verb, "await");
    assert_true(grove_ref_equal(fake_last.ref, ref));
    assert_ptr_equal(fake_last.service, &account_service_table);
    assert_int_equal(fake_last.method, ACCOUNT_METHOD_WITHDRAW);
    assert_ptr_equal(fake_last.request, &request);
    assert_ptr_equal(fake_last.response, &response);
    assert_int_equal(account_spawn(&account, NULL, NULL, &ref), 7);
    assert_int_equal(account_spawn_await(&account, NULL, NULL, &ref), 7);
}

static void test_verbs_of_timers_say_key_time_and_mode(void **state)
{
    (void)state;
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;

    assert_int_equal(account_withdraw_after(11, 250, &request), 7);
    assert_int_equal(fake_last.timer.key, 11);
    assert_int_equal(fake_last.timer.ms, 250);
    assert_int_equal(fake_last.timer.mode, GROVE_ONCE);
    assert_int_equal(account_withdraw_every(12, 40, GROVE_FIXED_DELAY, &request), 7);
    assert_int_equal(fake_last.timer.key, 12);
    assert_int_equal(fake_last.timer.ms, 40);
    assert_int_equal(fake_last.timer.mode, GROVE_FIXED_DELAY);
    assert_ptr_equal(fake_last.service, &account_service_table);
    assert_int_equal(fake_last.method, ACCOUNT_METHOD_WITHDRAW);
    assert_ptr_equal(fake_last.request, &request);
}

static void test_verbs_of_replies_take_a_token(void **state)
{
    (void)state;
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    Bank__V1__WithdrawResponse response = BANK__V1__WITHDRAW_RESPONSE__INIT;
    Bank__V1__ScreenRequest screen = BANK__V1__SCREEN_REQUEST__INIT;
    grove_token token = {1, 2};
    grove_ref ref = {3, 4};

    assert_int_equal(account_withdraw_reply(&token, 0, &response), 7);
    assert_ptr_equal(fake_last.token, &token);
    assert_int_equal(fake_last.code, 0);
    assert_ptr_equal(fake_last.response, &response);
    assert_int_equal(account_withdraw_reply(&token, 5, NULL), 7);
    assert_int_equal(fake_last.code, 5);
    assert_null(fake_last.response);
    assert_int_equal(account_withdraw_delegate(NULL, ref, &request), 7);
    assert_string_equal(fake_last.verb, "delegate");
    assert_null(fake_last.token);
    assert_true(grove_ref_equal(fake_last.ref, ref));
    assert_ptr_equal(fake_last.request, &request);
    assert_int_equal(screening_screen_delegate(&token, ref, &screen), 7); /* to a pool, too */
    assert_ptr_equal(fake_last.service, &screening_service_table);
}

static void test_publish_names_the_group_and_where_the_figures_go(void **state)
{
    (void)state;
    Bank__V1__WithdrawRequest request = BANK__V1__WITHDRAW_REQUEST__INIT;
    struct grove_published published;
    grove_ref group = {1, 2};

    assert_int_equal(account_withdraw_publish(group, &request, &published), 7);
    assert_string_equal(fake_last.verb, "publish");
    assert_true(grove_ref_equal(fake_last.ref, group));
    assert_ptr_equal(fake_last.published, &published);
    assert_ptr_equal(fake_last.service, &account_service_table);
    assert_int_equal(fake_last.method, ACCOUNT_METHOD_WITHDRAW);
    assert_ptr_equal(fake_last.request, &request);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thunk_runs_the_function_and_packs_its_answer),
        cmocka_unit_test(test_a_flat_answer_goes_where_there_is_room),
        cmocka_unit_test(test_a_thunk_drops_an_answer_that_nobody_waits_for),
        cmocka_unit_test(test_a_worker_thunk_needs_no_state),
        cmocka_unit_test(test_init_and_deinit_go_through_the_service),
        cmocka_unit_test(test_the_method_table_says_what_the_proto_says),
        cmocka_unit_test(test_verbs_hand_on_what_they_are_given),
        cmocka_unit_test(test_verbs_of_timers_say_key_time_and_mode),
        cmocka_unit_test(test_verbs_of_replies_take_a_token),
        cmocka_unit_test(test_publish_names_the_group_and_where_the_figures_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
