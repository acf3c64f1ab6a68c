/*
 * Skynet: a root actor creates ten children, each of them ten, down to the
 * leaves. Leaf i answers i to its parent and ends; a parent adds up its ten
 * and does the same. All actors count. The check is the sum.
 *
 * With several loops the root deals its children out to them; further down
 * everybody is spawned beside its parent. The root's own parent is the
 * greenlet that runs the benchmark.
 *
 * skynet times the first tree of the process, and with it the kernel giving
 * memory out. regrow times those that follow it, on one loop; regrow2 on two.
 */
#include "bench.h"

#include <stdlib.h>

#include <grove.h>

#include "bench.grove.h"
#include "pin.h"

#define CHILDREN 10

struct node {
    grove_ref self, parent;
    int64_t left, sum;
};

static int open_node(struct node *me, const void *argument)
{
    me->self = grove_self();
    me->parent = *(const grove_ref *)argument; /* lies in the parent, which outlives its children */
    return 0;
}

/* The node is complete: its sum goes up, and it ends. */
static int finish(struct node *me, int64_t value)
{
    Bench__V1__SumRequest request = BENCH__V1__SUM_REQUEST__INIT;
    int rc;

    request.value = value;
    rc = node_sum_send(me->parent, &request);
    return rc != 0 ? rc : grove_stop(me->self, GROVE_STOP_NOW);
}

static int sum(struct node *me, const Bench__V1__SumRequest *request,
               Bench__V1__SumResponse *response)
{
    (void)response;
    me->sum += request->value;
    me->left--;
    return me->left == 0 ? finish(me, me->sum) : 0;
}

static int grow(struct node *me, const Bench__V1__GrowRequest *request,
                Bench__V1__GrowResponse *response);

static const struct node_service functions = {
    .state_bytes = sizeof(struct node), .init = open_node, .grow = grow, .sum = sum};

static int grow_children(struct node *me, const Bench__V1__GrowRequest *request, unsigned n_loops)
{
    Bench__V1__GrowRequest part = BENCH__V1__GROW_REQUEST__INIT;

    me->left = CHILDREN;
    part.leaves = request->leaves / CHILDREN;
    part.first = request->first;
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct grove_spawn_options options = {.place = GROVE_HERE};
        grove_ref child;
        int rc;

        if (n_loops > 1)
            options.place = GROVE_ON_LOOP(i % n_loops);
        rc = node_spawn(&functions, &me->self, &options, &child);
        if (rc == 0)
            rc = node_grow_send(child, &part);
        if (rc != 0)
            return rc;
        part.first += part.leaves;
    }
    return 0;
}

static int grow(struct node *me, const Bench__V1__GrowRequest *request,
                Bench__V1__GrowResponse *response)
{
    (void)response;
    return request->leaves == 1 ? finish(me, request->first) : grow_children(me, request, 1);
}

static int grow_root(struct node *me, const Bench__V1__GrowRequest *request,
                     Bench__V1__GrowResponse *response)
{
    (void)response;
    return grow_children(me, request, grove_loops());
}

static const struct node_service root_functions = {
    .state_bytes = sizeof(struct node), .init = open_node, .grow = grow_root, .sum = sum};

static int64_t n_actors(int64_t leaves)
{
    int64_t n = 0;

    for (; leaves >= 1; leaves /= CHILDREN)
        n += leaves;
    return n;
}

/* Returns 0 with what the root sent. */
static int receive_sum_await(int64_t *value)
{
    struct grove_letter letter;
    int rc = grove_receive_await(GROVE_INFINITE, &letter);

    if (rc == 0)
        *value = ((const Bench__V1__SumRequest *)letter.request)->value;
    return rc;
}

/* One tree, from its root to its sum. */
static int grow_tree_await(int64_t leaves, struct bench_result *result)
{
    Bench__V1__GrowRequest all = BENCH__V1__GROW_REQUEST__INIT;
    grove_ref self = grove_self(), root;
    int64_t total = 0;
    uint64_t started_ns;
    int rc;

    all.leaves = CHILDREN;
    while (all.leaves * CHILDREN <= leaves) /* A tree has a power of ten. */
        all.leaves *= CHILDREN;
    rc = node_spawn_await(&root_functions, &self, NULL, &root);
    if (rc != 0)
        return rc;
    started_ns = grove_now_ns();
    rc = node_grow_send(root, &all);
    if (rc == 0)
        rc = receive_sum_await(&total);
    if (rc != 0)
        return rc;
    result->nanoseconds = grove_now_ns() - started_ns;
    result->ops = n_actors(all.leaves);
    result->right = total == all.leaves * (all.leaves - 1) / 2;
    return 0;
}

int bench_skynet_await(const int64_t *numbers, struct bench_result *result)
{
    return grow_tree_await(numbers[0], result);
}

int bench_regrow_await(const int64_t *numbers, struct bench_result *result)
{
    struct bench_result tree, trees = {.right = true};
    int rc = bench_pin_await();

    for (int64_t i = 0; i <= numbers[1] && rc == 0; i++) {
        rc = grow_tree_await(numbers[0], &tree);
        trees.right = trees.right && rc == 0 && tree.right;
        if (i == 0)
            continue; /* The first one brings the memory. */
        trees.ops += tree.ops;
        trees.nanoseconds += tree.nanoseconds;
    }
    *result = trees;
    return rc;
}
