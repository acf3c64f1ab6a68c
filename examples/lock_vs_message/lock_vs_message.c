/*
 * Lock or message: 100 greenlets each move money from one account to the next,
 * 100 accounts of 1000 in a ring; each step must wait 1 ms for somebody else.
 *
 * With --bad the accounts are shared and one lock keeps the balances right: it
 * is held across the wait, so nobody works meanwhile. Without it each account
 * is an actor: it handles one message at a time, no line says "lock", and all
 * of them wait at the same time. Prints what it is and
 * "100 transfers in N ms, sum 100000".
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "lock_vs_message.grove.h"

#define ACCOUNTS 100

struct account {
    int change; /* since the start, with 1000 */
};

/* The same handler for both: it looks, waits, and changes. */
static int add(struct account *me, const Lock__V1__AddRequest *request,
               Lock__V1__AddResponse *response)
{
    if (1000 + me->change + request->amount < 0)
        return grove_refuse(LOCK__V1__REFUSAL__REFUSAL_OVERDRAWN, "not enough for %d",
                            -request->amount);
    if (grove_sleep_await(1) != 0)
        return GROVE_ECANCELED;
    me->change += request->amount;
    response->balance = 1000 + me->change;
    return 0;
}

static struct account accounts[ACCOUNTS];
static grove_ref actors[ACCOUNTS];
static bool bad, locked;
static int n_done, failure;

static int add_await(int i, int amount, int *balance)
{
    Lock__V1__AddRequest request = LOCK__V1__ADD_REQUEST__INIT;
    Lock__V1__AddResponse response = LOCK__V1__ADD_RESPONSE__INIT;

    request.amount = amount;
    int rc = bad ? add(&accounts[i], &request, &response)
                 : account_add_await(actors[i], &request, &response);
    *balance = response.balance;
    return rc;
}

static void transfer(void *argument)
{
    int from = *(int *)argument, balance;

    while (bad && locked)
        (void)grove_yield_await();
    locked = bad;
    int rc = add_await(from, -30, &balance);
    if (rc == 0)
        rc = add_await((from + 1) % ACCOUNTS, 30, &balance);
    locked = false;
    failure = rc != 0 ? rc : failure;
    n_done++;
}

int main(int argc, char **argv)
{
    static const struct account_service functions = {sizeof(struct account), .add = add};
    struct grove_spawn_options copied = {.argument_bytes = sizeof(int)};
    int rc = 0, sum = 0;

    grove_init(&argc, &argv);
    bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: lock_vs_message [--bad]\n"), 2;

    for (int i = 0; i < ACCOUNTS && rc == 0; i++)
        rc = account_spawn(&functions, NULL, NULL, &actors[i]);
    unsigned long long start_ms = grove_now_ms();
    for (int i = 0; i < ACCOUNTS && rc == 0; i++)
        rc = grove_go(transfer, &i, &copied, NULL);
    while (rc == 0 && n_done < ACCOUNTS)
        rc = grove_sleep_await(1);
    unsigned long long took_ms = grove_now_ms() - start_ms;
    for (int i = 0, balance = 0; i < ACCOUNTS && rc == 0; i++, sum += balance)
        rc = add_await(i, 0, &balance);
    if (rc != 0 || failure != 0)
        return fprintf(stderr, "lock_vs_message: %s\n", grove_why()), 1;
    printf("%s\n100 transfers in %llu ms, sum %d\n",
           bad ? "bad: one lock for all accounts" : "good: the accounts are actors", took_ms, sum);
    return grove_deinit();
}
