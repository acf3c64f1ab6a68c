/*
 * A third-party library: ten payments each ask a library for a rating, which takes 60 ms.
 *
 * With --bad the handlers call it as it is. Nothing in its header says that it
 * waits for a server, and tests with one payment at a time are fine; but the
 * loop stands still ten times, while the CPU has nothing to do. The stall watch
 * names the line on the first run. Without --bad one line more lets a thread
 * wait instead, and the payments wait at the same time. Prints what it is and
 * "10 payments in N ms, a tick of 1 ms late by max N us".
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "ratings.h"
#include "third_party_lib.grove.h"

static bool bad;

static int ask(void *payee_rating)
{
    *(int *)payee_rating = rating_of(*(int *)payee_rating);
    return 0;
}

static int pay(struct payment *me, const Ratings__V1__PayRequest *request,
               Ratings__V1__PayResponse *response)
{
    int rating = request->payee;
    int rc = bad ? ask(&rating) : grove_blocking_await(ask, &rating, sizeof rating);

    response->rating = rating;
    return rc;
}

static int late_us_max;

static void ticker(void *argument)
{
    for (unsigned long long ns = grove_now_ns(); grove_sleep_await(1) == 0; ns = grove_now_ns()) {
        int late_us = (int)((grove_now_ns() - ns) / 1000) - 1000;
        late_us_max = late_us > late_us_max ? late_us : late_us_max;
    }
}

static int pay_all_await(void)
{
    static const struct payment_service functions = {.pay = pay};
    Ratings__V1__PayResponse responses[10];
    struct grove_future futures[10], *all[10];
    int rc = 0;

    for (int i = 0; i < 10 && rc == 0; i++) {
        Ratings__V1__PayRequest request = RATINGS__V1__PAY_REQUEST__INIT;
        struct grove_spawn_options here = {.pinned = true}; /* one loop, as in a small service */
        grove_ref payment;

        request.payee = i;
        ratings__v1__pay_response__init(&responses[i]);
        all[i] = &futures[i];
        rc = payment_spawn(&functions, NULL, &here, &payment);
        if (rc == 0)
            rc = payment_pay_start(payment, &request, &responses[i], &futures[i]);
    }
    return rc == 0 ? grove_all_await(all, 10) : rc;
}

int main(int argc, char **argv)
{
    grove_init(&argc, &argv);
    bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: third_party_lib [--bad]\n"), 2;
    int rc = grove_go(ticker, NULL, NULL, NULL);
    (void)grove_sleep_await(5); /* the ticker ticks */
    unsigned long long start_ms = grove_now_ms();
    if (rc != 0 || pay_all_await() != 0)
        return fprintf(stderr, "third_party_lib: %s\n", grove_why()), 1;
    unsigned long long took_ms = grove_now_ms() - start_ms;
    (void)grove_sleep_await(5); /* and once more */
    printf("%s\n10 payments in %llu ms, a tick of 1 ms late by max %d us\n",
           bad ? "bad: the library is called on the loop" : "good: grove_blocking_await", took_ms,
           late_us_max);
    return grove_deinit();
}
