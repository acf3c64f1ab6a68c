/*
 * Spawn: a parent creates N actors and sends each a number; each answers its
 * number and ends. The check is the sum. `spawn` creates 1000 and goes on
 * when those have answered; `spawn_all` has all of them alive at once.
 *
 * The children answer as one-way messages, so the parent's mailbox gets room
 * for as many as may be alive: they would wait for each other otherwise.
 */
#include "bench.h"

#include <grove.h>

#include "bench.grove.h"
#include "total.h"

#define ALIVE_MAX     1000
#define MESSAGE_BYTES 128u /* in the mailbox, at most */

/* --- child ------------------------------------------------------------------------------------ */

struct child {
    grove_ref parent;
};

static int open_child(struct child *me, const void *argument)
{
    me->parent = *(const grove_ref *)argument;
    return 0;
}

static int live(struct child *me, const Bench__V1__LiveRequest *request,
                Bench__V1__LiveResponse *response)
{
    Bench__V1__DoneRequest done = BENCH__V1__DONE_REQUEST__INIT;
    int rc;

    (void)response;
    done.value = request->value;
    rc = parent_done_send(me->parent, &done);
    return rc != 0 ? rc : grove_stop(grove_self(), GROVE_STOP_NOW);
}

static const struct child_service child_functions = {
    .state_bytes = sizeof(struct child), .init = open_child, .live = live};

/* --- parent ----------------------------------------------------------------------------------- */

struct parent {
    grove_ref self, referee;
    int64_t n_children; /* that are not created yet */
    int64_t alive_max, n_alive, sum;
};

struct parent_start {
    int64_t n_children, alive_max;
    grove_ref referee;
};

static int open_parent(struct parent *me, const void *argument)
{
    const struct parent_start *start = argument;

    me->self = grove_self();
    me->referee = start->referee;
    me->n_children = start->n_children;
    me->alive_max = start->alive_max;
    return 0;
}

/* Creates as many as may be alive. They are numbered downwards, to 0. */
static int make_some(struct parent *me)
{
    Bench__V1__LiveRequest first = BENCH__V1__LIVE_REQUEST__INIT;

    while (me->n_children > 0 && me->n_alive < me->alive_max) {
        grove_ref child;
        int rc = child_spawn(&child_functions, &me->self, NULL, &child);

        if (rc != 0)
            return rc;
        first.value = --me->n_children;
        me->n_alive++;
        rc = child_live_send(child, &first);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int make(struct parent *me, const Bench__V1__MakeRequest *request,
                Bench__V1__MakeResponse *response)
{
    (void)request;
    (void)response;
    return make_some(me);
}

static int done(struct parent *me, const Bench__V1__DoneRequest *request,
                Bench__V1__DoneResponse *response)
{
    (void)response;
    me->sum += request->value;
    if (--me->n_alive > 0)
        return 0;
    return me->n_children > 0 ? make_some(me) : bench_total_send(me->referee, me->sum);
}

static const struct parent_service parent_functions = {
    .state_bytes = sizeof(struct parent), .init = open_parent, .make = make, .done = done};

/* --- the run ---------------------------------------------------------------------------------- */

static int spawn_await(int64_t n, int64_t alive_max, struct bench_result *result)
{
    Bench__V1__MakeRequest request = BENCH__V1__MAKE_REQUEST__INIT;
    struct parent_start start = {.n_children = n, .alive_max = alive_max, .referee = grove_self()};
    struct grove_spawn_options roomy = {.depth_max = (uint32_t)alive_max + 1,
                                        .bytes_max = (uint32_t)(alive_max + 1) * MESSAGE_BYTES};
    struct bench_total total;
    uint64_t started_ns;
    grove_ref parent;
    int rc = parent_spawn_await(&parent_functions, &start, &roomy, &parent);

    if (rc != 0)
        return rc;
    started_ns = grove_now_ns();
    rc = parent_make_send(parent, &request);
    if (rc == 0)
        rc = bench_total_await(&total);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = n;
    result->right = total.sum == n * (n - 1) / 2;
    return 0;
}

int bench_spawn_await(const int64_t *numbers, struct bench_result *result)
{
    return spawn_await(numbers[0], ALIVE_MAX, result);
}

int bench_spawn_all_await(const int64_t *numbers, struct bench_result *result)
{
    return spawn_await(numbers[0], numbers[0], result);
}
