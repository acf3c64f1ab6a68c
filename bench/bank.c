/*
 * Bank: tellers move money between accounts, each one transfer at a time.
 * A transfer asks the source to debit and, unless that was refused, the
 * destination to credit. Which accounts and how much comes from a generator
 * that all compared programs share. The check asks every account: money is
 * neither made nor lost, no balance is negative.
 *
 * branches: the same bank with a branch on every loop. Accounts and tellers
 * are dealt out to the branches, and a teller moves money between accounts
 * of its own branch only; else everything is as above.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"

#define FIRST_BALANCE 1000
#define AMOUNT_MAX    100
#define TELLERS_MAX   1024 /* as many futures as one await takes */

/* --- accounts --------------------------------------------------------------------------------- */

struct account {
    int64_t balance;
};

static int open_account(struct account *me, const void *argument)
{
    (void)argument;
    me->balance = FIRST_BALANCE;
    return 0;
}

static int debit(struct account *me, const Bench__V1__DebitRequest *request,
                 Bench__V1__DebitResponse *response)
{
    (void)response;
    if (me->balance < request->amount)
        return grove_refuse(BENCH__V1__REFUSAL__REFUSAL_OVERDRAWN, "short by %" PRId64,
                            request->amount - me->balance);
    me->balance -= request->amount;
    return 0;
}

static int credit(struct account *me, const Bench__V1__CreditRequest *request,
                  Bench__V1__CreditResponse *response)
{
    (void)response;
    me->balance += request->amount;
    return 0;
}

static int balance(struct account *me, const Bench__V1__BalanceRequest *request,
                   Bench__V1__BalanceResponse *response)
{
    (void)request;
    response->balance = me->balance;
    return 0;
}

static const struct account_service account_functions = {
    .state_bytes = sizeof(struct account),
    .init = open_account,
    .debit = debit,
    .credit = credit,
    .balance = balance,
};

/* --- tellers ---------------------------------------------------------------------------------- */

struct teller {
    const grove_ref *accounts;
    uint32_t n_accounts;
    uint32_t branch, n_branches; /* account i belongs to branch i % n_branches */
    uint32_t draws;              /* state of the generator */
};

/* What a teller's init is given. */
struct teller_start {
    const grove_ref *accounts;
    uint32_t n_accounts;
    uint32_t n_branches;
    uint32_t number;
};

static uint32_t draw(struct teller *me)
{
    me->draws = me->draws * 1664525u + 1013904223u;
    return me->draws >> 8;
}

static int open_teller(struct teller *me, const void *argument)
{
    const struct teller_start *start = argument;

    me->accounts = start->accounts;
    me->n_accounts = start->n_accounts;
    me->n_branches = start->n_branches;
    me->branch = start->number % start->n_branches;
    me->draws = 12345u + 7919u * start->number;
    return 0;
}

/* The number of an account of this branch, for n below how many a branch has. */
static uint32_t in_branch(const struct teller *me, uint32_t n)
{
    return n * me->n_branches + me->branch;
}

/* Returns 0, the refusal of the source, or a failure. */
static int transfer_await(struct teller *me)
{
    Bench__V1__DebitRequest take = BENCH__V1__DEBIT_REQUEST__INIT;
    Bench__V1__DebitResponse taken = BENCH__V1__DEBIT_RESPONSE__INIT;
    Bench__V1__CreditRequest give = BENCH__V1__CREDIT_REQUEST__INIT;
    Bench__V1__CreditResponse given = BENCH__V1__CREDIT_RESPONSE__INIT;
    uint32_t n = me->n_accounts / me->n_branches;
    uint32_t source = draw(me) % n;
    uint32_t destination = draw(me) % n;
    int64_t amount = 1 + draw(me) % AMOUNT_MAX;
    int rc;

    if (destination == source)
        destination = (destination + 1) % n;
    take.amount = amount;
    give.amount = amount;
    rc = account_debit_await(me->accounts[in_branch(me, source)], &take, &taken);
    if (rc != 0)
        return rc;
    return account_credit_await(me->accounts[in_branch(me, destination)], &give, &given);
}

static int work(struct teller *me, const Bench__V1__WorkRequest *request,
                Bench__V1__WorkResponse *response)
{
    for (int64_t i = 0; i < request->transfers; i++) {
        struct grove_scope scope;
        int rc;

        grove_scope_begin(&scope);
        rc = transfer_await(me);
        grove_scope_end(&scope);
        if (rc < 0)
            return rc;
        if (rc == 0)
            response->done++;
        else
            response->refused++;
    }
    return 0;
}

static const struct teller_service teller_functions = {
    .state_bytes = sizeof(struct teller), .init = open_teller, .work = work};

/* --- the day ---------------------------------------------------------------------------------- */

struct bank {
    grove_ref *accounts;
    grove_ref tellers[TELLERS_MAX];
    struct grove_future futures[TELLERS_MAX];
    struct grove_future *all[TELLERS_MAX];
    Bench__V1__WorkResponse days[TELLERS_MAX];
    int64_t n_accounts;
    unsigned n_tellers;
    unsigned n_branches; /* branch k is on loop k */
};

static int open_bank_await(struct bank *bank)
{
    for (int64_t i = 0; i < bank->n_accounts; i++) {
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(i % bank->n_branches)};
        int rc = account_spawn_await(&account_functions, NULL, &options, &bank->accounts[i]);

        if (rc != 0)
            return rc;
    }
    for (unsigned i = 0; i < bank->n_tellers; i++) {
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(i % bank->n_branches)};
        struct teller_start start = {bank->accounts, (uint32_t)bank->n_accounts, bank->n_branches,
                                     i};
        int rc = teller_spawn_await(&teller_functions, &start, &options, &bank->tellers[i]);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* All tellers work at once, each makes so many transfers. */
static int work_await(struct bank *bank, int64_t transfers)
{
    Bench__V1__WorkRequest request = BENCH__V1__WORK_REQUEST__INIT;

    request.transfers = transfers;
    for (unsigned i = 0; i < bank->n_tellers; i++) {
        int rc;

        bench__v1__work_response__init(&bank->days[i]);
        bank->all[i] = &bank->futures[i];
        rc = teller_work_start(bank->tellers[i], &request, &bank->days[i], bank->all[i]);
        if (rc != 0)
            return rc;
    }
    return grove_all_await(bank->all, bank->n_tellers);
}

/* Asks every account; *right if the money is all there and no balance is negative. */
static int audit_await(const struct bank *bank, bool *right)
{
    Bench__V1__BalanceRequest request = BENCH__V1__BALANCE_REQUEST__INIT;
    int64_t sum = 0, least = 0;

    for (int64_t i = 0; i < bank->n_accounts; i++) {
        Bench__V1__BalanceResponse response = BENCH__V1__BALANCE_RESPONSE__INIT;
        struct grove_scope scope;
        int rc;

        grove_scope_begin(&scope);
        rc = account_balance_await(bank->accounts[i], &request, &response);
        grove_scope_end(&scope);
        if (rc != 0)
            return rc;
        sum += response.balance;
        if (response.balance < least)
            least = response.balance;
    }
    *right = sum == bank->n_accounts * FIRST_BALANCE && least >= 0;
    return 0;
}

static int business_day_await(struct bank *bank, int64_t transfers, struct bench_result *result)
{
    int64_t done = 0, refused = 0;
    uint64_t started_ns;
    int rc = open_bank_await(bank);

    if (rc != 0)
        return rc;
    started_ns = grove_now_ns();
    rc = work_await(bank, transfers);
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    rc = audit_await(bank, &result->right);
    for (unsigned i = 0; i < bank->n_tellers; i++) {
        done += bank->days[i].done;
        refused += bank->days[i].refused;
    }
    result->ops = transfers * bank->n_tellers;
    result->right = result->right && done + refused == result->ops;
    (void)snprintf(result->keys, sizeof result->keys, "ok=%" PRId64 " refused=%" PRId64, done,
                   refused); /* It fits. */
    return rc;
}

static int hold_day_await(const int64_t *numbers, unsigned n_branches, struct bench_result *result)
{
    struct bank *bank = calloc(1, sizeof *bank);
    int rc = GROVE_ENOMEM;

    if (bank == NULL)
        return rc;
    bank->n_branches = n_branches;
    bank->n_accounts = numbers[0];
    bank->n_tellers = (unsigned)numbers[1];
    bank->accounts = calloc((size_t)bank->n_accounts, sizeof *bank->accounts);
    if (bank->accounts != NULL)
        rc = business_day_await(bank, numbers[2] / numbers[1], result);
    free(bank->accounts);
    free(bank);
    return rc;
}

int bench_bank_await(const int64_t *numbers, struct bench_result *result)
{
    return hold_day_await(numbers, 1, result);
}

int bench_branches_await(const int64_t *numbers, struct bench_result *result)
{
    unsigned n_branches = grove_loops();
    int rc = bench_pin_await();

    if (numbers[0] < (int64_t)n_branches * 2) {
        result->why = "ACCOUNTS must be at least two for each loop";
        return GROVE_EUSAGE;
    }
    return rc != 0 ? rc : hold_day_await(numbers, n_branches, result);
}
