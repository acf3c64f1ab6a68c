/*
 * Withdraw race: ten clients withdraw 30 each from an account of 100 at the
 * same time. Between the look at the balance and the debit others may run.
 *
 * With --bad greenlets share the account: all ten look before the first debit,
 * all are paid, the balance is -200. Without it the same lines are in an
 * actor: three are paid, seven refused, the balance is 10. Prints what it is
 * and "paid N, refused N, failed N, balance N".
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "withdraw_race.grove.h"

struct account {
    int taken; /* of 100 */
};

static int withdraw(struct account *me, const Race__V1__WithdrawRequest *request,
                    Race__V1__WithdrawResponse *response)
{
    if (request->amount > 100 - me->taken)
        return grove_refuse(RACE__V1__REFUSAL__REFUSAL_OVERDRAWN, "only %d left", 100 - me->taken);
    if (grove_sleep_await(1) != 0) /* ask somebody, write somewhere: others run meanwhile */
        return GROVE_ECANCELED;
    me->taken += request->amount;
    response->balance = 100 - me->taken;
    return 0;
}

static struct account shared;
static int paid, refused, failed, failure, balance; /* failure: the last code < 0 */

static void client(void *actor) /* NULL: the shared account */
{
    Race__V1__WithdrawRequest request = RACE__V1__WITHDRAW_REQUEST__INIT;
    Race__V1__WithdrawResponse response = RACE__V1__WITHDRAW_RESPONSE__INIT;

    request.amount = 30;
    int rc = actor == NULL ? withdraw(&shared, &request, &response)
                           : account_withdraw_await(*(grove_ref *)actor, &request, &response);
    paid += rc == 0;
    refused += rc > 0;
    failed += rc < 0;
    failure = rc < 0 ? rc : failure;
    balance = rc == 0 ? response.balance : balance;
}

int main(int argc, char **argv)
{
    static const struct account_service functions = {sizeof(struct account), .withdraw = withdraw};
    grove_ref actor;

    grove_init(&argc, &argv);
    bool bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: withdraw_race [--bad]\n"), 2;

    int rc = account_spawn(&functions, NULL, NULL, &actor);
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = grove_go(client, bad ? NULL : &actor, NULL, NULL);
    while (rc == 0 && paid + refused + failed < 10)
        rc = grove_sleep_await(1);
    printf("%s\npaid %d, refused %d, failed %d, balance %d\n",
           bad ? "bad: greenlets share the account" : "good: the account is an actor", paid,
           refused, failed, balance);
    if (rc != 0 || failure != 0)
        return fprintf(stderr, "%s\n", grove_error_text(rc != 0 ? rc : failure)), 1;
    return grove_deinit();
}
