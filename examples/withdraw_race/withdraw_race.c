/*
 * Withdraw race: ten clients withdraw 30 each from an account of 100 at the
 * same time. Between the look at the balance and the debit others may run.
 *
 *     withdraw_race --bad    greenlets share the account: all ten looked
 *                            before the first debit, the balance is -200
 *     withdraw_race          the same lines in an actor: three are paid and
 *                            seven refused, the balance is 10
 *
 * Both print "paid N, refused N, balance N" and "below zero: yes" or "no".
 */
#include <stdio.h>
#include <string.h>

#include <grove.h>

#include "withdraw_race.grove.h"

#define CLIENTS 10
#define AMOUNT  30

struct account {
    int balance;
};

static int withdraw(struct account *me, const Race__V1__WithdrawRequest *request,
                    Race__V1__WithdrawResponse *response)
{
    if (me->balance < request->amount)
        return grove_refuse(RACE__V1__REFUSAL__REFUSAL_OVERDRAWN, "only %d left", me->balance);
    grove_sleep_await(1); /* ask somebody, write somewhere: others run meanwhile */
    me->balance -= request->amount;
    response->balance = me->balance;
    return 0;
}

static int init(struct account *me, const void *argument)
{
    me->balance = 100;
    return 0;
}

static struct account shared = {100}; /* with --bad; otherwise the actor has its own */
static grove_ref actor;
static int paid, refused, balance = 100;

static void client(void *bad)
{
    Race__V1__WithdrawRequest request = RACE__V1__WITHDRAW_REQUEST__INIT;
    Race__V1__WithdrawResponse response = RACE__V1__WITHDRAW_RESPONSE__INIT;

    request.amount = AMOUNT;
    int rc = bad != NULL ? withdraw(&shared, &request, &response)
                         : account_withdraw_await(actor, &request, &response);
    if (rc == 0) {
        paid++;
        balance = response.balance;
    } else {
        refused++;
    }
}

int main(int argc, char **argv)
{
    static const struct account_service functions = {sizeof(struct account), init,
                                                     .withdraw = withdraw};

    grove_init(&argc, &argv);
    char *bad = argc > 1 && strcmp(argv[1], "--bad") == 0 ? argv[1] : NULL;
    int rc = account_spawn(&functions, NULL, NULL, &actor);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = grove_go(client, bad, NULL, NULL);
    while (rc == 0 && paid + refused < CLIENTS)
        rc = grove_sleep_await(1);
    printf("paid %d, refused %d, balance %d\n", paid, refused, balance);
    printf("below zero: %s\n", balance < 0 ? "yes" : "no");
    return rc != 0 ? 1 : grove_deinit();
}
