/*
 * Switch: two greenlets that have nothing to do but let each other run. An
 * operation is one grove_yield_await, which leaves one stack and comes to
 * another. The check is that both went the whole way and neither ran ahead.
 */
#include "bench.h"

#include <stdio.h>

#include <grove.h>

#include "total.h"

#define PLAYERS 2

struct table {
    grove_ref referee;
    int64_t yields;         /* of each */
    int64_t taken[PLAYERS]; /* how far each has come */
    int64_t apart_max;      /* how far they were apart at most */
    int n_left;
};

struct seat {
    struct table *table;
    int number;
};

static void yielder(void *argument)
{
    const struct seat *seat = argument;
    struct table *table = seat->table;
    int64_t *mine = &table->taken[seat->number];
    const int64_t *other = &table->taken[!seat->number];

    for (int64_t i = 0; i < table->yields && grove_yield_await() == 0; i++) {
        ++*mine;
        if (*mine - *other > table->apart_max)
            table->apart_max = *mine - *other;
    }
    table->n_left--;
    if (table->n_left == 0)
        (void)bench_total_send(table->referee,
                               table->taken[0] + table->taken[1]); /* There is room for one. */
}

int bench_switch_await(const int64_t *numbers, struct bench_result *result)
{
    struct table table = {.referee = grove_self(), .yields = numbers[0] / PLAYERS};
    struct seat seats[PLAYERS] = {{&table, 0}, {&table, 1}};
    uint64_t started_ns = grove_now_ns();
    struct bench_total total;
    int rc = 0;

    for (int i = 0; i < PLAYERS && rc == 0; i++) {
        rc = grove_go(yielder, &seats[i], NULL, NULL);
        table.n_left += rc == 0;
    }
    if (rc == 0)
        rc = bench_total_await(&total);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = table.yields * PLAYERS;
    result->right = total.sum == result->ops && table.apart_max <= 1;
    (void)snprintf(result->keys, sizeof result->keys, "ns_per=%.1f",
                   (double)result->nanoseconds / (double)result->ops); /* It fits. */
    return 0;
}
