#include "crowd.h"

#include <stdlib.h>
#include <string.h>

#include "bench.grove.h"
#include "bench.h"

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

/* Too large for a greenlet's stack. */
struct bench_window {
    struct grove_future futures[WINDOW];
    struct grove_future *all[WINDOW];
    Bench__V1__AddResponse responses[WINDOW];
};

int bench_crowd_init(struct bench_crowd *crowd, int64_t n)
{
    size_t bytes = (size_t)n * sizeof *crowd->refs;

    *crowd = (struct bench_crowd){.n = n};
    crowd->refs = malloc(bytes);
    crowd->window = malloc(sizeof *crowd->window);
    if (crowd->refs == NULL || crowd->window == NULL) {
        bench_crowd_deinit(crowd);
        return GROVE_ENOMEM;
    }
    memset(crowd->refs, 1, bytes);
    memset(crowd->window, 1, sizeof *crowd->window);
    crowd->before_kb = bench_resident_kb();
    return 0;
}

void bench_crowd_deinit(struct bench_crowd *crowd)
{
    free(crowd->window);
    free(crowd->refs);
}

double bench_crowd_bytes_per(const struct bench_crowd *crowd)
{
    return (double)(bench_resident_kb() - crowd->before_kb) * 1024 / (double)crowd->n;
}

/* How many are left from i, at most WINDOW. */
static unsigned n_from(const struct bench_crowd *crowd, int64_t i)
{
    return crowd->n - i < WINDOW ? (unsigned)(crowd->n - i) : WINDOW;
}

static int spawn_some(grove_ref *refs, unsigned n)
{
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = adder_spawn(&functions, NULL, NULL, &refs[i]);
    return rc;
}

static int add_to_some_await(struct bench_window *window, const grove_ref *refs, unsigned n,
                             const Bench__V1__AddRequest *request)
{
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++) {
        bench__v1__add_response__init(&window->responses[i]);
        window->all[i] = &window->futures[i];
        rc = adder_add_start(refs[i], request, &window->responses[i], window->all[i]);
    }
    return rc != 0 ? rc : grove_all_await(window->all, n);
}

static void note(struct bench_crowd *crowd, int64_t state, int64_t *sum)
{
    *sum += state;
    if (state < crowd->least)
        crowd->least = state;
    if (state > crowd->most)
        crowd->most = state;
}

/* The next WINDOW of them from i, which are spawned before if they shall be. */
static int visit_some_await(struct bench_crowd *crowd, int64_t i, bool spawns,
                            const Bench__V1__AddRequest *request, int64_t *sum)
{
    unsigned n = n_from(crowd, i);
    struct grove_scope scope;
    int rc = spawns ? spawn_some(crowd->refs + i, n) : 0;

    if (rc != 0)
        return rc;
    grove_scope_begin(&scope);
    rc = add_to_some_await(crowd->window, crowd->refs + i, n, request);
    for (unsigned k = 0; k < n && rc == 0; k++)
        note(crowd, crowd->window->responses[k].sum, sum);
    grove_scope_end(&scope);
    return rc;
}

static int visit_all_await(struct bench_crowd *crowd, bool spawns, int64_t value, int64_t *sum)
{
    Bench__V1__AddRequest request = BENCH__V1__ADD_REQUEST__INIT;
    int rc = 0;

    request.value = value;
    *sum = 0;
    crowd->least = INT64_MAX;
    crowd->most = INT64_MIN;
    for (int64_t i = 0; i < crowd->n && rc == 0; i += WINDOW)
        rc = visit_some_await(crowd, i, spawns, &request, sum);
    return rc;
}

int bench_crowd_spawn_await(struct bench_crowd *crowd, int64_t value, int64_t *sum)
{
    return visit_all_await(crowd, true, value, sum);
}

int bench_crowd_add_await(struct bench_crowd *crowd, int64_t value, int64_t *sum)
{
    return visit_all_await(crowd, false, value, sum);
}
