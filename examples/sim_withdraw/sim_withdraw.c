/*
 * Sim withdraw: a race found by simulation, and its cure.
 *
 *     sim_withdraw --seeds 1000              finds the race, prints the seed and its replay
 *     sim_withdraw --mended --seeds 10000    the same clients, an actor: passes
 *
 * Clients withdraw from an account of 100. Between the look at the balance
 * and the debit somebody is asked, and others run. Most of the time nobody
 * comes in between: a test on a quiet machine sees nothing for years. A seed
 * decides when each client comes and how long everything takes.
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "sim_withdraw.grove.h"

#define CLIENTS_MAX 4

struct account {
    int taken; /* of 100 */
};

/* The handler of the actor; called by hand, it is a plain function. */
static int withdraw(struct account *me, const Simwithdraw__V1__WithdrawRequest *request,
                    Simwithdraw__V1__WithdrawResponse *response)
{
    if (request->amount > 100 - me->taken)
        return grove_refuse(SIMWITHDRAW__V1__REFUSAL__REFUSAL_OVERDRAWN, "only %d left",
                            100 - me->taken);
    if (grove_sleep_await(grove_choose(3)) != 0) /* ask somebody: others run meanwhile */
        return GROVE_ECANCELED;
    me->taken += request->amount;
    grove_sim_note("debits %d, %d are left", request->amount, 100 - me->taken);
    grove_sim_check(me->taken <= 100, "the account is overdrawn by %d", me->taken - 100);
    response->balance = 100 - me->taken;
    return 0;
}

static struct account shared;
static grove_ref actor; /* GROVE_NOBODY: the shared account is used */
static int n_clients, n_done;

static void client(void *unused)
{
    Simwithdraw__V1__WithdrawRequest request = SIMWITHDRAW__V1__WITHDRAW_REQUEST__INIT;
    Simwithdraw__V1__WithdrawResponse response = SIMWITHDRAW__V1__WITHDRAW_RESPONSE__INIT;

    request.amount = 30 + (int)grove_choose(40);
    if (grove_sleep_await(grove_choose(50)) == 0) {
        if (grove_ref_is_nobody(actor))
            (void)withdraw(&shared, &request, &response); /* The check inside says it all. */
        else
            (void)account_withdraw_await(actor, &request, &response); /* As above. */
    }
    n_done++;
}

static bool are_done(void *unused)
{
    return n_done == n_clients;
}

static void send_clients_await(void)
{
    n_done = 0;
    n_clients = 2 + (int)grove_choose(CLIENTS_MAX - 1);
    for (int i = 0; i < n_clients; i++)
        grove_sim_check(grove_go(client, NULL, NULL, NULL) == 0, "no client: %s", grove_why());
    grove_sim_until_await(are_done, NULL, 10000);
}

static void run_shared(void)
{
    shared.taken = 0;
    actor = GROVE_NOBODY;
    send_clients_await();
}

static void run_actor(void)
{
    static const struct account_service functions = {sizeof(struct account), .withdraw = withdraw};
    int rc = account_spawn(&functions, NULL, NULL, &actor);

    if (grove_sim_check(rc == 0, "no account: %s", grove_error_text(rc)))
        send_clients_await();
}

int main(int argc, char **argv)
{
    static const struct grove_simulation bad = {
        .name = "withdraw", .what = "greenlets share it", .run = run_shared};
    static const struct grove_simulation good = {
        .name = "withdraw", .what = "it is an actor", .run = run_actor};
    const struct grove_simulation *all[] = {&bad, NULL};

    if (argc > 1 && strcmp(argv[1], "--mended") == 0) {
        all[0] = &good;
        argv[1] = argv[0]; /* The rest is the simulator's. */
        argc--;
        argv++;
    }
    return grove_sim_main(argc, argv, all);
}
