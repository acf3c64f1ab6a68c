/*
 * The teller, between real shards that lose answers on purpose and a real
 * worker: whatever is lost, money is moved once or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove.h>

#include "apps/bank/ledger.h"
#include "apps/bank/screening.h"
#include "apps/bank/tally.h"
#include "apps/bank/teller.h"
#include "apps/bank/watchlist.h"

enum { SOURCE, DESTINATION, N_ACCOUNTS };

/* How many answers to each step are lost from now on; one loop, so one thread. */
static struct {
    int reserve, credit, settle, release;
} lose;

static int lost(int *n, int rc)
{
    if (*n == 0)
        return rc;
    (*n)--;
    return GROVE_EUNKNOWN;
}

static int reserve(struct ledger *me, const Bank__V1__ReserveRequest *request,
                   Bank__V1__ReserveResponse *response)
{
    return lost(&lose.reserve, bank_ledger.reserve(me, request, response));
}

static int credit(struct ledger *me, const Bank__V1__CreditRequest *request,
                  Bank__V1__CreditResponse *response)
{
    return lost(&lose.credit, bank_ledger.credit(me, request, response));
}

static int settle(struct ledger *me, const Bank__V1__SettleRequest *request,
                  Bank__V1__SettleResponse *response)
{
    return lost(&lose.settle, bank_ledger.settle(me, request, response));
}

static int release(struct ledger *me, const Bank__V1__ReleaseRequest *request,
                   Bank__V1__ReleaseResponse *response)
{
    return lost(&lose.release, bank_ledger.release(me, request, response));
}

static struct ledger_service forgetful;
static struct bank_shards shards;
static uint8_t shard_of[N_ACCOUNTS] = {SOURCE, DESTINATION};
static grove_ref pool, tally, teller;

/* Opens the account on its own shard, with a balance. */
static void open_account(uint32_t account, int64_t amount)
{
    Bank__V1__OpenAccountsRequest open = BANK__V1__OPEN_ACCOUNTS_REQUEST__INIT;
    Bank__V1__OpenAccountsResponse opened = BANK__V1__OPEN_ACCOUNTS_RESPONSE__INIT;
    Bank__V1__Account name = BANK__V1__ACCOUNT__INIT;
    Bank__V1__Account *names[] = {&name};
    Bank__V1__PostRequest post = BANK__V1__POST_REQUEST__INIT;
    Bank__V1__PostResponse posted = BANK__V1__POST_RESPONSE__INIT;
    Bank__V1__Entry entry = BANK__V1__ENTRY__INIT;
    Bank__V1__Entry *entries[] = {&entry};
    Bank__V1__SealRequest seal = BANK__V1__SEAL_REQUEST__INIT;
    Bank__V1__SealResponse sealed = BANK__V1__SEAL_RESPONSE__INIT;

    assert_int_equal(ledger_spawn_await(&forgetful, NULL, NULL, &shards.refs[account]), 0);
    name.number = account;
    name.name = account == SOURCE ? "source" : "destination";
    open.accounts = names;
    open.n_accounts = 1;
    assert_int_equal(ledger_open_accounts_await(shards.refs[account], &open, &opened), 0);
    entry.account = account;
    entry.amount = amount;
    post.entries = entries;
    post.n_entries = 1;
    assert_int_equal(ledger_post_await(shards.refs[account], &post, &posted), 0);
    assert_int_equal(ledger_seal_await(shards.refs[account], &seal, &sealed), 0);
}

static int open_bank(void **state)
{
    struct bank_teller_argument argument = {.shards = &shards, .pool = pool, .tally = tally};

    (void)state;
    memset(&lose, 0, sizeof lose);
    forgetful = bank_ledger;
    forgetful.reserve = reserve;
    forgetful.credit = credit;
    forgetful.settle = settle;
    forgetful.release = release;
    shards.shard_of = shard_of;
    open_account(SOURCE, 100);
    open_account(DESTINATION, INT64_MAX - 50);
    return teller_spawn_await(&bank_teller, &argument, NULL, &teller);
}

static int close_bank(void **state)
{
    (void)state;
    return grove_stop_await(teller, GROVE_STOP_NOW) != 0
           || grove_stop_await(shards.refs[SOURCE], GROVE_STOP_NOW) != 0
           || grove_stop_await(shards.refs[DESTINATION], GROVE_STOP_NOW) != 0;
}

static int transfer(int64_t amount, const char *payee)
{
    Bank__V1__TransferRequest request = BANK__V1__TRANSFER_REQUEST__INIT;
    Bank__V1__TransferResponse response = BANK__V1__TRANSFER_RESPONSE__INIT;

    request.key = 1;
    request.source = SOURCE;
    request.destination = DESTINATION;
    request.amount = amount;
    request.payee = (char *)payee; /* only read */
    return teller_transfer_await(teller, &request, &response);
}

static int64_t amount_of(uint32_t account)
{
    Bank__V1__ListBalancesRequest request = BANK__V1__LIST_BALANCES_REQUEST__INIT;
    Bank__V1__ListBalancesResponse response = BANK__V1__LIST_BALANCES_RESPONSE__INIT;

    assert_int_equal(ledger_list_balances_await(shards.refs[account], &request, &response), 0);
    assert_int_equal(response.n_balances, 1);
    return response.balances[0]->amount;
}

static Bank__V1__AuditResponse audit(uint32_t account)
{
    Bank__V1__AuditRequest request = BANK__V1__AUDIT_REQUEST__INIT;
    Bank__V1__AuditResponse response = BANK__V1__AUDIT_RESPONSE__INIT;

    assert_int_equal(ledger_audit_await(shards.refs[account], &request, &response), 0);
    return response;
}

static void expect_moved(int64_t amount)
{
    assert_int_equal(amount_of(SOURCE), 100 - amount);
    assert_int_equal(amount_of(DESTINATION), INT64_MAX - 50 + amount);
    assert_int_equal(audit(SOURCE).held, 0);
    assert_int_equal(audit(SOURCE).partly_held, 0);
}

static void test_a_transfer_moves_the_amount(void **state)
{
    (void)state;
    assert_int_equal(transfer(30, "Green Grocer"), 0);
    expect_moved(30);
}

static void test_too_much_is_declined_with_the_reason_of_the_shard(void **state)
{
    (void)state;
    assert_int_equal(transfer(101, "Green Grocer"), BANK__V1__REFUSAL__REFUSAL_OVERDRAWN);
    assert_string_equal(grove_why(), "source is short by 1");
    expect_moved(0);
}

static void test_a_payee_of_the_watch_list_gets_nothing(void **state)
{
    struct bank_watchlist *list = bank_watchlist_new();

    (void)state;
    assert_non_null(list);
    assert_int_equal(transfer(30, list->names[7]), BANK__V1__REFUSAL__REFUSAL_SCREENED);
    assert_non_null(strstr(grove_why(), list->names[7]));
    bank_watchlist_free(list);
    expect_moved(0);
    assert_int_equal(audit(SOURCE).released, 1);
}

static void test_what_the_destination_refuses_is_released(void **state)
{
    (void)state;
    assert_int_equal(transfer(51, "Green Grocer"), BANK__V1__REFUSAL__REFUSAL_OVERFLOW);
    expect_moved(0);
    assert_int_equal(audit(SOURCE).released, 1);
}

static void test_lost_answers_are_asked_for_again_and_money_moves_once(void **state)
{
    (void)state;
    lose.reserve = 1;
    lose.credit = 2;
    lose.settle = 1;
    assert_int_equal(transfer(30, "Green Grocer"), 0);
    expect_moved(30);
    assert_int_equal(lose.reserve + lose.credit + lose.settle, 0);
    assert_int_equal(audit(SOURCE).settled, 1);
    assert_int_equal(audit(DESTINATION).credited, 1);
}

static void test_a_release_is_asked_for_again_too(void **state)
{
    (void)state;
    lose.release = 2;
    assert_int_equal(transfer(51, "Green Grocer"), BANK__V1__REFUSAL__REFUSAL_OVERFLOW);
    expect_moved(0);
    assert_int_equal(lose.release, 0);
    assert_int_equal(audit(SOURCE).released, 1);
}

static void test_a_transfer_asked_again_is_the_same_transfer(void **state)
{
    (void)state;
    assert_int_equal(transfer(30, "Green Grocer"), 0);
    assert_int_equal(transfer(30, "Green Grocer"), 0);
    expect_moved(30);
}

static void test_without_a_worker_what_was_held_is_released(void **state)
{
    struct bank_teller_argument argument = {.shards = &shards, .tally = tally};

    (void)state;
    assert_int_equal(grove_stop_await(teller, GROVE_STOP_NOW), 0);
    argument.pool = GROVE_NOBODY;
    assert_int_equal(teller_spawn_await(&bank_teller, &argument, NULL, &teller), 0);
    assert_int_equal(transfer(30, "Green Grocer"), GROVE_ENOACTOR);
    expect_moved(0);
}

#define WITH_BANK(test) cmocka_unit_test_setup_teardown(test, open_bank, close_bank)

int main(int argc, char **argv)
{
    const struct grove_pool_options options = {.n_workers = 1};
    const struct CMUnitTest tests[] = {
        WITH_BANK(test_a_transfer_moves_the_amount),
        WITH_BANK(test_too_much_is_declined_with_the_reason_of_the_shard),
        WITH_BANK(test_a_payee_of_the_watch_list_gets_nothing),
        WITH_BANK(test_what_the_destination_refuses_is_released),
        WITH_BANK(test_lost_answers_are_asked_for_again_and_money_moves_once),
        WITH_BANK(test_a_release_is_asked_for_again_too),
        WITH_BANK(test_a_transfer_asked_again_is_the_same_transfer),
        WITH_BANK(test_without_a_worker_what_was_held_is_released),
    };
    int failed;

    grove_init(&argc, &argv); /* The worker is this program; it does not go on from here. */
    if (grove_option_set("loops", "1") != 0 || bank_screening.screen == NULL
        || grove_pool_open(&options, &pool) != 0
        || tally_spawn_await(&bank_tally, NULL, NULL, &tally) != 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return grove_deinit() != 0 || failed != 0;
}
