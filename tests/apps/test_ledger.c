/* The handlers of a ledger shard, called as the plain functions that they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove.h>

#include "apps/bank/ledger.h"

enum { CASH, SAVINGS, LOAN, N_ACCOUNTS };
enum { EUR, USD };

static int post(struct ledger *me, uint32_t account, int64_t amount)
{
    Bank__V1__PostRequest request = BANK__V1__POST_REQUEST__INIT;
    Bank__V1__PostResponse response = BANK__V1__POST_RESPONSE__INIT;
    Bank__V1__Entry entry = BANK__V1__ENTRY__INIT;
    Bank__V1__Entry *entries[] = {&entry};

    entry.account = account;
    entry.commodity = EUR;
    entry.amount = amount;
    request.entries = entries;
    request.n_entries = 1;
    return bank_ledger.post(me, &request, &response);
}

static int seal(struct ledger *me)
{
    Bank__V1__SealRequest request = BANK__V1__SEAL_REQUEST__INIT;
    Bank__V1__SealResponse response = BANK__V1__SEAL_RESPONSE__INIT;

    return bank_ledger.seal(me, &request, &response);
}

static int reserve(struct ledger *me, uint64_t key, uint32_t account, int64_t amount)
{
    Bank__V1__ReserveRequest request = BANK__V1__RESERVE_REQUEST__INIT;
    Bank__V1__ReserveResponse response = BANK__V1__RESERVE_RESPONSE__INIT;

    request.key = key;
    request.account = account;
    request.commodity = EUR;
    request.amount = amount;
    return bank_ledger.reserve(me, &request, &response);
}

static int settle(struct ledger *me, uint64_t key)
{
    Bank__V1__SettleRequest request = BANK__V1__SETTLE_REQUEST__INIT;
    Bank__V1__SettleResponse response = BANK__V1__SETTLE_RESPONSE__INIT;

    request.key = key;
    return bank_ledger.settle(me, &request, &response);
}

static int release(struct ledger *me, uint64_t key)
{
    Bank__V1__ReleaseRequest request = BANK__V1__RELEASE_REQUEST__INIT;
    Bank__V1__ReleaseResponse response = BANK__V1__RELEASE_RESPONSE__INIT;

    request.key = key;
    return bank_ledger.release(me, &request, &response);
}

static int credit(struct ledger *me, uint64_t key, uint32_t account, int64_t amount)
{
    Bank__V1__CreditRequest request = BANK__V1__CREDIT_REQUEST__INIT;
    Bank__V1__CreditResponse response = BANK__V1__CREDIT_RESPONSE__INIT;

    request.key = key;
    request.account = account;
    request.commodity = EUR;
    request.amount = amount;
    return bank_ledger.credit(me, &request, &response);
}

static int64_t amount_of(const struct ledger *me, uint32_t account)
{
    const struct bank_ledger_row *row = bank_ledger_rows_find(&me->rows, account, EUR);

    return row != NULL ? row->amount : 0;
}

static Bank__V1__AuditResponse audit(struct ledger *me)
{
    Bank__V1__AuditRequest request = BANK__V1__AUDIT_REQUEST__INIT;
    Bank__V1__AuditResponse response = BANK__V1__AUDIT_RESPONSE__INIT;

    assert_int_equal(bank_ledger.audit(me, &request, &response), 0);
    return response;
}

/* A shard with 100 in cash, 5 in savings and a loan of 40; not sealed. */
static int open_shard(void **state)
{
    static const char *const names[N_ACCOUNTS] = {"cash", "savings", "loan"};
    Bank__V1__OpenAccountsRequest request = BANK__V1__OPEN_ACCOUNTS_REQUEST__INIT;
    Bank__V1__OpenAccountsResponse response = BANK__V1__OPEN_ACCOUNTS_RESPONSE__INIT;
    Bank__V1__Account accounts[N_ACCOUNTS];
    Bank__V1__Account *pointers[N_ACCOUNTS];
    struct ledger *me = calloc(1, sizeof *me);

    for (uint32_t i = 0; i < N_ACCOUNTS; i++) {
        bank__v1__account__init(&accounts[i]);
        accounts[i].number = i;
        accounts[i].name = (char *)names[i];
        pointers[i] = &accounts[i];
    }
    request.accounts = pointers;
    request.n_accounts = N_ACCOUNTS;
    *state = me;
    return me == NULL || bank_ledger.open_accounts(me, &request, &response) != 0
           || post(me, CASH, 100) != 0 || post(me, SAVINGS, 5) != 0 || post(me, LOAN, -40) != 0;
}

static int open_sealed(void **state)
{
    return open_shard(state) != 0 || seal(*state) != 0;
}

static int close_shard(void **state)
{
    bank_ledger.deinit(*state);
    free(*state);
    return 0;
}

/* --- the replay ------------------------------------------------------------------------------- */

static void test_post_adds_up_whatever_the_balance_becomes(void **state)
{
    struct ledger *me = *state;

    assert_int_equal(post(me, CASH, -250), 0);
    assert_int_equal(amount_of(me, CASH), -150);
}

static void test_post_refuses_unknown_accounts(void **state)
{
    assert_int_equal(post(*state, N_ACCOUNTS, 1), BANK__V1__REFUSAL__REFUSAL_UNKNOWN_ACCOUNT);
    assert_int_equal(post(*state, UINT32_MAX, 1), BANK__V1__REFUSAL__REFUSAL_UNKNOWN_ACCOUNT);
}

static void test_post_books_all_entries_or_none(void **state)
{
    struct ledger *me = *state;
    Bank__V1__PostRequest request = BANK__V1__POST_REQUEST__INIT;
    Bank__V1__PostResponse response = BANK__V1__POST_RESPONSE__INIT;
    Bank__V1__Entry first = BANK__V1__ENTRY__INIT, second = BANK__V1__ENTRY__INIT;
    Bank__V1__Entry *entries[] = {&first, &second};

    first.account = SAVINGS;
    first.amount = 7;
    second.account = CASH;
    second.amount = INT64_MAX;
    request.entries = entries;
    request.n_entries = 2;

    assert_int_equal(bank_ledger.post(me, &request, &response),
                     BANK__V1__REFUSAL__REFUSAL_OVERFLOW);
    assert_string_equal(grove_why(), "the balance of cash does not fit 64 bits");
    assert_int_equal(amount_of(me, SAVINGS), 5);
    assert_int_equal(amount_of(me, CASH), 100);
}

static void test_seal_ends_the_replay(void **state)
{
    assert_int_equal(seal(*state), 0);
    assert_int_equal(post(*state, CASH, 1), BANK__V1__REFUSAL__REFUSAL_SEALED);
    assert_int_equal(seal(*state), BANK__V1__REFUSAL__REFUSAL_SEALED);
}

static void test_transfers_wait_for_the_seal(void **state)
{
    assert_int_equal(reserve(*state, 1, CASH, 1), BANK__V1__REFUSAL__REFUSAL_NOT_SEALED);
    assert_int_equal(credit(*state, 1, CASH, 1), BANK__V1__REFUSAL__REFUSAL_NOT_SEALED);
}

/* --- reserve, settle, release ----------------------------------------------------------------- */

static void test_settle_takes_out_what_was_reserved(void **state)
{
    struct ledger *me = *state;

    assert_int_equal(reserve(me, 1, CASH, 30), 0);
    assert_int_equal(amount_of(me, CASH), 100);
    assert_int_equal(settle(me, 1), 0);
    assert_int_equal(amount_of(me, CASH), 70);
    assert_int_equal(audit(me).settled, 1);
    assert_int_equal(audit(me).held, 0);
}

static void test_reserve_refuses_more_than_is_there(void **state)
{
    assert_int_equal(reserve(*state, 1, CASH, 101), BANK__V1__REFUSAL__REFUSAL_OVERDRAWN);
    assert_string_equal(grove_why(), "cash is short by 1");
    assert_int_equal(audit(*state).held, 0);
    assert_int_equal(reserve(*state, 1, CASH, 100), 0);
}

static void test_what_is_held_cannot_be_spent_again(void **state)
{
    assert_int_equal(reserve(*state, 1, CASH, 60), 0);
    assert_int_equal(reserve(*state, 2, CASH, 41), BANK__V1__REFUSAL__REFUSAL_OVERDRAWN);
    assert_int_equal(reserve(*state, 3, CASH, 40), 0);
}

static void test_release_gives_back_what_was_held(void **state)
{
    assert_int_equal(reserve(*state, 1, CASH, 60), 0);
    assert_int_equal(audit(*state).partly_held, 1);
    assert_int_equal(release(*state, 1), 0);
    assert_int_equal(audit(*state).partly_held, 0);
    assert_int_equal(amount_of(*state, CASH), 100);
    assert_int_equal(reserve(*state, 2, CASH, 100), 0);
    assert_int_equal(audit(*state).released, 1);
}

static void test_the_floor_of_a_debt_is_the_debt(void **state)
{
    assert_int_equal(reserve(*state, 1, LOAN, 1), BANK__V1__REFUSAL__REFUSAL_OVERDRAWN);
    assert_int_equal(credit(*state, 2, LOAN, 10), 0);
    assert_int_equal(reserve(*state, 3, LOAN, 10), 0);
    assert_int_equal(settle(*state, 3), 0);
    assert_int_equal(amount_of(*state, LOAN), -40);
    assert_int_equal(audit(*state).below_floor, 0);
}

static void test_reserve_refuses_amounts_that_are_not_positive(void **state)
{
    assert_int_equal(reserve(*state, 1, CASH, 0), BANK__V1__REFUSAL__REFUSAL_INVALID_AMOUNT);
    assert_int_equal(reserve(*state, 1, CASH, INT64_MIN),
                     BANK__V1__REFUSAL__REFUSAL_INVALID_AMOUNT);
    assert_int_equal(credit(*state, 1, CASH, -1), BANK__V1__REFUSAL__REFUSAL_INVALID_AMOUNT);
}

static void test_settle_and_release_refuse_unknown_keys(void **state)
{
    assert_int_equal(settle(*state, 9), BANK__V1__REFUSAL__REFUSAL_UNKNOWN_KEY);
    assert_int_equal(release(*state, 9), BANK__V1__REFUSAL__REFUSAL_UNKNOWN_KEY);
    assert_int_equal(credit(*state, 9, CASH, 1), 0);
    assert_int_equal(settle(*state, 9), BANK__V1__REFUSAL__REFUSAL_UNKNOWN_KEY);
}

/* --- asked again ------------------------------------------------------------------------------ */

static void test_each_step_asked_again_answers_as_before_and_does_nothing(void **state)
{
    struct ledger *me = *state;

    for (int i = 0; i < 2; i++)
        assert_int_equal(reserve(me, 1, CASH, 30), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(credit(me, 1, SAVINGS, 30), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(settle(me, 1), 0);
    assert_int_equal(reserve(me, 1, CASH, 30), 0);
    assert_int_equal(amount_of(me, CASH), 70);
    assert_int_equal(amount_of(me, SAVINGS), 35);

    assert_int_equal(reserve(me, 2, CASH, 30), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(release(me, 2), 0);
    assert_int_equal(amount_of(me, CASH), 70);
    assert_int_equal(audit(me).settled + audit(me).released + audit(me).credited, 3);
    assert_int_equal(audit(me).held, 0);
}

static void test_a_key_stands_for_one_transfer(void **state)
{
    struct ledger *me = *state;

    assert_int_equal(reserve(me, 1, CASH, 30), 0);
    assert_int_equal(reserve(me, 1, CASH, 31), BANK__V1__REFUSAL__REFUSAL_KEY_REUSED);
    assert_int_equal(reserve(me, 1, SAVINGS, 30), BANK__V1__REFUSAL__REFUSAL_KEY_REUSED);
    assert_int_equal(credit(me, 1, SAVINGS, 30), 0);
    assert_int_equal(credit(me, 1, SAVINGS, 29), BANK__V1__REFUSAL__REFUSAL_KEY_REUSED);
    assert_int_equal(settle(me, 1), 0);
    assert_int_equal(release(me, 1), BANK__V1__REFUSAL__REFUSAL_KEY_REUSED);
}

static void test_old_keys_are_forgotten_but_open_ones_are_not(void **state)
{
    struct ledger *me = *state;

    assert_int_equal(reserve(me, 1, CASH, 30), 0);
    for (uint64_t key = 2; key < 2 + 2 * BANK_LEDGER_KEYS_MAX; key++)
        if (credit(me, key, SAVINGS, 1) != 0)
            fail_msg("the credit with key %llu failed", (unsigned long long)key);

    assert_int_equal(amount_of(me, SAVINGS), 5 + 2 * BANK_LEDGER_KEYS_MAX);
    assert_null(bank_ledger_keys_find(&me->keys, 2, BANK_DESTINATION));
    assert_non_null(
        bank_ledger_keys_find(&me->keys, 1 + 2 * BANK_LEDGER_KEYS_MAX, BANK_DESTINATION));
    assert_int_equal(settle(me, 1), 0);
    assert_int_equal(amount_of(me, CASH), 70);
}

static void test_too_many_open_holds_are_refused(void **state)
{
    struct ledger *me = *state;

    assert_int_equal(credit(me, 1, CASH, BANK_LEDGER_KEYS_MAX), 0);
    for (uint64_t key = 2; key < 2 + BANK_LEDGER_KEYS_MAX; key++)
        if (reserve(me, key, CASH, 1) != 0)
            fail_msg("the hold with key %llu failed", (unsigned long long)key);

    assert_int_equal(reserve(me, 2 + BANK_LEDGER_KEYS_MAX, CASH, 1),
                     BANK__V1__REFUSAL__REFUSAL_TOO_MANY_HOLDS);
    assert_int_equal(release(me, 2), 0);
    assert_int_equal(reserve(me, 2 + BANK_LEDGER_KEYS_MAX, CASH, 1), 0);
}

/* --- credit ----------------------------------------------------------------------------------- */

static void test_credit_opens_a_balance_at_zero(void **state)
{
    struct ledger *me = *state;
    Bank__V1__CreditRequest request = BANK__V1__CREDIT_REQUEST__INIT;
    Bank__V1__CreditResponse response = BANK__V1__CREDIT_RESPONSE__INIT;

    request.account = CASH;
    request.commodity = USD;
    request.amount = 3;
    assert_int_equal(bank_ledger.credit(me, &request, &response), 0);
    assert_int_equal(bank_ledger_rows_find(&me->rows, CASH, USD)->amount, 3);
    assert_int_equal(bank_ledger_rows_find(&me->rows, CASH, USD)->floor, 0);
}

static void test_credit_refuses_what_would_overflow(void **state)
{
    assert_int_equal(credit(*state, 1, CASH, INT64_MAX), BANK__V1__REFUSAL__REFUSAL_OVERFLOW);
    assert_int_equal(credit(*state, 1, LOAN, INT64_MAX), 0);
    assert_int_equal(amount_of(*state, LOAN), INT64_MAX - 40);
    /* All of it may be spent, down to the debt. */
    assert_int_equal(reserve(*state, 2, LOAN, INT64_MAX), 0);
    assert_int_equal(settle(*state, 2), 0);
    assert_int_equal(amount_of(*state, LOAN), -40);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void test_audit_finds_balances_below_their_floor(void **state)
{
    struct ledger *me = *state;

    bank_ledger_rows_find(&me->rows, SAVINGS, EUR)->amount = -1;
    assert_int_equal(audit(me).below_floor, 1);
    assert_string_equal(audit(me).lowest, "savings");
}

static void test_balances_come_in_pages(void **state)
{
    struct ledger *me = *state;
    Bank__V1__ListBalancesRequest request = BANK__V1__LIST_BALANCES_REQUEST__INIT;
    Bank__V1__ListBalancesResponse response = BANK__V1__LIST_BALANCES_RESPONSE__INIT;

    for (uint32_t i = EUR + 1; i <= BANK_LEDGER_PAGE; i++)
        assert_non_null(bank_ledger_rows_add(&me->rows, CASH, i));
    assert_int_equal(bank_ledger.list_balances(me, &request, &response), 0);
    assert_int_equal(response.n_balances, BANK_LEDGER_PAGE);
    assert_int_equal(response.next, BANK_LEDGER_PAGE);
    assert_int_equal(response.balances[LOAN]->amount, -40);
    assert_int_equal(response.balances[LOAN]->floor, -40);

    request.first = response.next;
    bank__v1__list_balances_response__init(&response);
    assert_int_equal(bank_ledger.list_balances(me, &request, &response), 0);
    assert_int_equal(response.n_balances, 3);
    assert_int_equal(response.next, 0);
}

#define FRESH(test)  cmocka_unit_test_setup_teardown(test, open_shard, close_shard)
#define SEALED(test) cmocka_unit_test_setup_teardown(test, open_sealed, close_shard)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_post_adds_up_whatever_the_balance_becomes),
        FRESH(test_post_refuses_unknown_accounts),
        FRESH(test_post_books_all_entries_or_none),
        FRESH(test_seal_ends_the_replay),
        FRESH(test_transfers_wait_for_the_seal),
        SEALED(test_settle_takes_out_what_was_reserved),
        SEALED(test_reserve_refuses_more_than_is_there),
        SEALED(test_what_is_held_cannot_be_spent_again),
        SEALED(test_release_gives_back_what_was_held),
        SEALED(test_the_floor_of_a_debt_is_the_debt),
        SEALED(test_reserve_refuses_amounts_that_are_not_positive),
        SEALED(test_settle_and_release_refuse_unknown_keys),
        SEALED(test_each_step_asked_again_answers_as_before_and_does_nothing),
        SEALED(test_a_key_stands_for_one_transfer),
        SEALED(test_old_keys_are_forgotten_but_open_ones_are_not),
        SEALED(test_too_many_open_holds_are_refused),
        SEALED(test_credit_opens_a_balance_at_zero),
        SEALED(test_credit_refuses_what_would_overflow),
        SEALED(test_audit_finds_balances_below_their_floor),
        SEALED(test_balances_come_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
