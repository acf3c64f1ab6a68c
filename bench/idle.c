/*
 * Idle: what an actor costs that has nothing to do. Each gets one message,
 * adds it to its state and answers; then the growth of resident memory is
 * divided by their number. A second round checks that each one kept its
 * state.
 *
 * They are spawned and asked some at a time, so that first turns and calls
 * under way add nothing to the figure.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"

#define WINDOW 256 /* calls in flight */

struct adder {
    int64_t sum;
};

static int add(struct adder *me, const Bench__V1__AddRequest *request,
               Bench__V1__AddResponse *response)
{
    me->sum += request->value;
    response->sum = me->sum;
    return 0;
}

static const struct adder_service functions = {.state_bytes = sizeof(struct adder), .add = add};

/* Calls in flight, too large for a greenlet's stack. */
struct window {
    struct grove_future futures[WINDOW];
    struct grove_future *all[WINDOW];
    Bench__V1__AddResponse responses[WINDOW];
};

/* How many are left from i, at most WINDOW. */
static unsigned n_from(int64_t i, int64_t n)
{
    return n - i < WINDOW ? (unsigned)(n - i) : WINDOW;
}

static int spawn_some(grove_ref *adders, unsigned n)
{
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = adder_spawn(&functions, NULL, NULL, &adders[i]);
    return rc;
}

/* Adds 1 to each of n actors, at most WINDOW; their states go to *sum. */
static int add_to_some_await(struct window *window, const grove_ref *adders, unsigned n,
                             int64_t *sum)
{
    Bench__V1__AddRequest one = BENCH__V1__ADD_REQUEST__INIT;
    struct grove_scope scope;
    int rc = 0;

    one.value = 1;
    grove_scope_begin(&scope);
    for (unsigned i = 0; i < n && rc == 0; i++) {
        bench__v1__add_response__init(&window->responses[i]);
        window->all[i] = &window->futures[i];
        rc = adder_add_start(adders[i], &one, &window->responses[i], window->all[i]);
    }
    if (rc == 0)
        rc = grove_all_await(window->all, n);
    for (unsigned i = 0; i < n && rc == 0; i++)
        *sum += window->responses[i].sum;
    grove_scope_end(&scope);
    return rc;
}

static int measure_await(struct window *window, grove_ref *adders, int64_t n,
                         struct bench_result *result)
{
    int64_t before_kb = bench_resident_kb(), first = 0, second = 0, grown_kb;
    uint64_t started_ns = grove_now_ns();
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i += WINDOW) {
        rc = spawn_some(adders + i, n_from(i, n));
        if (rc == 0)
            rc = add_to_some_await(window, adders + i, n_from(i, n), &first);
    }
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    grown_kb = bench_resident_kb() - before_kb;
    for (int64_t i = 0; i < n && rc == 0; i += WINDOW)
        rc = add_to_some_await(window, adders + i, n_from(i, n), &second);
    result->ops = n;
    result->right = first == n && second == 2 * n;
    (void)snprintf(result->keys, sizeof result->keys, "bytes_per=%.0f",
                   (double)grown_kb * 1024 / (double)n); /* It fits. */
    return rc;
}

int bench_idle_await(const int64_t *numbers, struct bench_result *result)
{
    size_t table_bytes = (size_t)numbers[0] * sizeof(grove_ref);
    grove_ref *adders = malloc(table_bytes);
    struct window *window = malloc(sizeof *window);
    int rc = GROVE_ENOMEM;

    if (adders != NULL && window != NULL) {
        /* Touched before it is measured: the table is not the actors'. */
        memset(adders, 1, table_bytes);
        memset(window, 1, sizeof *window);
        rc = measure_await(window, adders, numbers[0], result);
    }
    free(window);
    free(adders);
    return rc;
}
