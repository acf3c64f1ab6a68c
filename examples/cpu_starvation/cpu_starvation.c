/*
 * CPU starvation: a greenlet sleeps 1 ms again and again and notes how late it
 * wakes, while divisors are counted 20 times. With --bad an actor counts them,
 * on its loop, and the stall watch says so; without it a worker process does.
 * Prints what it is and "N ticks, late by max N us".
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "cpu_starvation.grove.h"

static uint32_t divisors(uint32_t number)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i <= number; i++)
        n += number % i == 0;
    return n;
}

static int count(const Starvation__V1__CountRequest *request, Starvation__V1__CountResponse *answer)
{
    answer->divisors = divisors(request->number);
    return 0;
}
static const struct heavy_service heavy = {.count = count};
GROVE_WORKER(heavy, &heavy);

static int count_here(struct here *me, const Starvation__V1__CountHereRequest *request,
                      Starvation__V1__CountHereResponse *answer)
{
    answer->divisors = divisors(request->number);
    return 0;
}
static const struct here_service here = {.count_here = count_here};

static int n_ticks, late_us_max;

static void ticker(void *argument)
{
    for (unsigned long long ns = grove_now_ns(); grove_sleep_await(1) == 0; ns = grove_now_ns()) {
        int late_us = (int)((grove_now_ns() - ns) / 1000) - 1000;
        late_us_max = late_us > late_us_max ? late_us : late_us_max;
        n_ticks++;
    }
}

static int run_await(bool bad)
{
    Starvation__V1__CountRequest far = STARVATION__V1__COUNT_REQUEST__INIT;
    Starvation__V1__CountResponse far_answer = STARVATION__V1__COUNT_RESPONSE__INIT;
    Starvation__V1__CountHereRequest near = STARVATION__V1__COUNT_HERE_REQUEST__INIT;
    Starvation__V1__CountHereResponse near_answer = STARVATION__V1__COUNT_HERE_RESPONSE__INIT;
    grove_ref ref;
    int rc = bad ? here_spawn(&here, NULL, NULL, &ref) : grove_pool_open(NULL, &ref);

    far.number = near.number = 40000000;
    for (int i = 0; i < 20 && rc == 0; i++) {
        rc = bad ? here_count_here_await(ref, &near, &near_answer)
                 : heavy_count_await(ref, &far, &far_answer);
        if (i == 0) /* The worker is up; what was before is not its share. */
            n_ticks = late_us_max = 0;
    }
    printf("%s\n%d ticks, late by max %d us\n",
           bad ? "bad: an actor counts" : "good: a worker counts", n_ticks, late_us_max);
    return rc;
}

int main(int argc, char **argv)
{
    grove_init(&argc, &argv);
    bool bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: cpu_starvation [--bad]\n"), 2;
    if (grove_go(ticker, NULL, NULL, NULL) != 0 || run_await(bad) != 0)
        return fprintf(stderr, "cpu_starvation: %s\n", grove_why()), 1;
    return grove_deinit();
}
