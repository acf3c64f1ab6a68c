/*
 * CPU starvation: a greenlet sleeps 1 ms again and again and notes how late
 * it wakes, while primes are counted, some 20 ms of CPU at a time.
 *
 * With --bad an actor counts them, on the loop of the greenlet; otherwise the
 * same function in a worker process. Both print "N ticks, late by p50 N us, max N us".
 */
#include <grove.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu_starvation.grove.h"

static uint32_t primes(uint32_t below)
{
    uint32_t n = 0;
    for (uint32_t i = 2, factor; i < below; i++) {
        for (factor = 2; factor * factor <= i && i % factor != 0;)
            factor++;
        n += factor * factor > i;
    }
    return n;
}

static int count(const Starvation__V1__CountRequest *request, Starvation__V1__CountResponse *answer)
{
    answer->primes = primes(request->below);
    return 0;
}

static const struct heavy_service heavy = {.count = count};
GROVE_WORKER(heavy, &heavy);

static int count_here(struct here *me, const Starvation__V1__CountHereRequest *request,
                      Starvation__V1__CountHereResponse *answer)
{
    answer->primes = primes(request->below);
    return 0;
}

static int late[10000], n_ticks; /* in microseconds */

static void ticker(void *argument)
{
    unsigned long long ns = grove_now_ns();
    for (; n_ticks < 10000 && grove_sleep_await(1) == 0; ns = grove_now_ns())
        late[n_ticks++] = (int)((grove_now_ns() - ns) / 1000) - 1000;
}

static int smaller(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
    static const struct here_service here = {.count_here = count_here};
    Starvation__V1__CountRequest far = STARVATION__V1__COUNT_REQUEST__INIT;
    Starvation__V1__CountResponse far_answer = STARVATION__V1__COUNT_RESPONSE__INIT;
    Starvation__V1__CountHereRequest near = STARVATION__V1__COUNT_HERE_REQUEST__INIT;
    Starvation__V1__CountHereResponse near_answer = STARVATION__V1__COUNT_HERE_RESPONSE__INIT;
    grove_ref ref;

    grove_init(&argc, &argv);
    bool bad = argc > 1; /* --bad */
    int rc = bad ? here_spawn(&here, NULL, NULL, &ref) : grove_pool_open(NULL, &ref);
    far.below = near.below = 300000;
    for (int i = 0; i < 20 && rc == 0; i++) {
        rc = bad ? here_count_here_await(ref, &near, &near_answer)
                 : heavy_count_await(ref, &far, &far_answer);
        if (rc == 0 && i == 0) /* The worker is up. */
            rc = grove_go(ticker, NULL, NULL, NULL);
    }
    if (rc != 0 || grove_sleep_await(2) != 0) /* so that the last tick comes, too */
        return fprintf(stderr, "cpu_starvation: %s\n", grove_why()), 1;
    qsort(late, (size_t)n_ticks, sizeof late[0], smaller);
    printf("%d ticks, late by p50 %d us, max %d us\n", n_ticks, late[n_ticks / 2],
           late[n_ticks - 1]);
    return grove_deinit();
}
