/*
 * Spawn: a parent creates N actors in one turn and sends each a number; each
 * answers its number and ends. All are alive at once. The check is the sum.
 *
 * The children answer as one-way messages, so the parent's mailbox gets room
 * for all of them at spawn: they would wait for each other otherwise.
 */
#include "bench.h"

#include <grove.h>

#include "bench.grove.h"
#include "total.h"

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
    int64_t n_children, left, sum;
};

struct parent_start {
    int64_t n_children;
    grove_ref referee;
};

static int open_parent(struct parent *me, const void *argument)
{
    const struct parent_start *start = argument;

    me->self = grove_self();
    me->referee = start->referee;
    me->n_children = me->left = start->n_children;
    return 0;
}

static int make(struct parent *me, const Bench__V1__MakeRequest *request,
                Bench__V1__MakeResponse *response)
{
    Bench__V1__LiveRequest first = BENCH__V1__LIVE_REQUEST__INIT;

    (void)request;
    (void)response;
    for (int64_t i = 0; i < me->n_children; i++) {
        grove_ref child;
        int rc = child_spawn(&child_functions, &me->self, NULL, &child);

        if (rc != 0)
            return rc;
        first.value = i;
        rc = child_live_send(child, &first);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int done(struct parent *me, const Bench__V1__DoneRequest *request,
                Bench__V1__DoneResponse *response)
{
    (void)response;
    me->sum += request->value;
    me->left--;
    return me->left == 0 ? bench_total_send(me->referee, me->sum) : 0;
}

static const struct parent_service parent_functions = {
    .state_bytes = sizeof(struct parent), .init = open_parent, .make = make, .done = done};

/* --- the run ---------------------------------------------------------------------------------- */

int bench_spawn_await(const int64_t *numbers, struct bench_result *result)
{
    Bench__V1__MakeRequest request = BENCH__V1__MAKE_REQUEST__INIT;
    int64_t n = numbers[0];
    struct parent_start start = {.n_children = n, .referee = grove_self()};
    struct grove_spawn_options roomy = {.depth_max = (uint32_t)n + 1,
                                        .bytes_max = (uint32_t)(n + 1) * MESSAGE_BYTES};
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
