/*
 * Withdraw: the race of two withdrawals on one account, and its cure.
 *
 *     check the balance ── await (screening, a ledger, …) ── debit
 *
 * naive: each request is handled by a greenlet of its own, all on the same
 * account. A second request that checks while the first one awaits sees
 * money that is spent already. The simulator must find it.
 *
 * actor: the account is an actor with the same three steps. Requests queue
 * while one is handled, so the check still holds after the await.
 */
#include <inttypes.h>

#include <grove.h>

#include "tests/sim/simulation.h"
#include "withdraw.grove.h"

#define CLIENTS_MAX 6u
#define CALLS_MAX   4u
#define BALANCE     100

/* What another service would be asked here takes its time. */
static void screen_await(void)
{
    if (sim_draw(SIM_LOAD, 2) == 0)
        (void)grove_yield_await(); /* Nobody stops us: it can only return 0. */
    else
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 3)); /* As above. */
}

/* Clients arrive one by one, or all at once. */
static void arrive_await(void)
{
    if (sim_draw(SIM_LOAD, 4) != 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* As above. */
}

/* --- naive ---------------------------------------------------------------------------------------- */

static struct {
    int64_t balances[3]; /* an account for each loop: greenlets that share one live there */
    unsigned n_ended;
} naive;

struct naive_request {
    int64_t *balance;
    int64_t cents;
};

static void withdraw_naively(void *argument)
{
    struct naive_request *request = argument;

    arrive_await();
    if (*request->balance >= request->cents) {
        screen_await();
        *request->balance -= request->cents;
    }
    naive.n_ended++;
}

static void run_naive(void)
{
    unsigned n = 2 + sim_draw(SIM_LOAD, CLIENTS_MAX - 1);

    naive.n_ended = 0;
    for (unsigned i = 0; i < 3; i++)
        naive.balances[i] = BALANCE;
    for (unsigned i = 0; i < n; i++) {
        unsigned loop = sim_draw(SIM_LOAD, grove_loops());
        struct naive_request request = {&naive.balances[loop], 10 + sim_draw(SIM_LOAD, 60)};
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop),
                                              .argument_bytes = sizeof request};

        SIM_CHECK(grove_go(withdraw_naively, &request, &options, NULL) == 0, "no greenlet");
    }
    sim_wait_for(&naive.n_ended, n, 60000);
    for (unsigned i = 0; i < 3; i++)
        SIM_CHECK(naive.balances[i] >= 0, "account %u is overdrawn: %" PRId64, i,
                  naive.balances[i]);
}

const struct sim_simulation sim_withdraw_naive = {
    .name = "withdraw_naive",
    .what = "a race on an account: must be found",
    .run = run_naive,
    .canary = true,
};

/* --- actor ---------------------------------------------------------------------------------------- */

struct account {
    int64_t balance;
    bool busy; /* a handler has begun and not ended */
};

static struct {
    grove_ref account;
    int64_t paid;    /* by calls that succeeded */
    int64_t balance; /* as the last one that ended left it */
    unsigned n_ended;
} cured;

static int init(struct account *me, const void *argument)
{
    (void)argument;
    me->balance = BALANCE;
    return 0;
}

static int withdraw(struct account *me, const Sim__Withdraw__V1__WithdrawRequest *request,
                    Sim__Withdraw__V1__WithdrawResponse *response)
{
    SIM_CHECK(!me->busy, "two handlers of one actor at once");
    if (request->cents > me->balance)
        return grove_refuse(SIM__WITHDRAW__V1__REFUSAL__REFUSAL_OVERDRAWN,
                            "short by %" PRId64 " cents", request->cents - me->balance);
    me->busy = true;
    screen_await();
    me->busy = false;
    me->balance -= request->cents;
    SIM_CHECK(me->balance >= 0, "the account is overdrawn: %" PRId64, me->balance);
    cured.balance = me->balance;
    response->balance = me->balance;
    return 0;
}

static const struct account_service account_functions = {
    .state_bytes = sizeof(struct account),
    .init = init,
    .withdraw = withdraw,
};

static void call_account(void *argument)
{
    unsigned n = 1 + sim_draw(SIM_LOAD, CALLS_MAX);

    (void)argument;
    for (unsigned i = 0; i < n; i++) {
        Sim__Withdraw__V1__WithdrawRequest request = SIM__WITHDRAW__V1__WITHDRAW_REQUEST__INIT;
        Sim__Withdraw__V1__WithdrawResponse response = SIM__WITHDRAW__V1__WITHDRAW_RESPONSE__INIT;
        int rc;

        arrive_await();
        request.cents = 10 + sim_draw(SIM_LOAD, 60);
        rc = account_withdraw_await(cured.account, &request, &response);
        if (rc == 0)
            cured.paid += request.cents;
        else
            SIM_CHECK(rc == SIM__WITHDRAW__V1__REFUSAL__REFUSAL_OVERDRAWN,
                      "a withdrawal ended with %s", grove_error_name(rc));
    }
    cured.n_ended++;
}

static void run_actor(void)
{
    unsigned n = 2 + sim_draw(SIM_LOAD, CLIENTS_MAX - 1);
    struct grove_spawn_options options = {.place =
                                              GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

    cured.paid = 0;
    cured.balance = BALANCE;
    cured.n_ended = 0;
    SIM_CHECK(account_spawn(&account_functions, NULL, &options, &cured.account) == 0, "no account");
    for (unsigned i = 0; i < n; i++) {
        options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
        SIM_CHECK(grove_go(call_account, NULL, &options, NULL) == 0, "no greenlet");
    }
    sim_wait_for(&cured.n_ended, n, 60000);
    SIM_CHECK(cured.balance == BALANCE - cured.paid,
              "%" PRId64 " cents were paid, but %" PRId64 " left the account", cured.paid,
              BALANCE - cured.balance);
}

static void prepare_actor(void)
{
    SIM_CHECK(grove_service_register(&account_service_table) == 0, "no service");
}

const struct sim_simulation sim_withdraw_actor = {
    .name = "withdraw_actor",
    .what = "the same account as an actor: no race",
    .run = run_actor,
    .prepare = prepare_actor,
};
