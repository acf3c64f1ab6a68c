/*
 * Cycles: planted circles of calls.
 *
 * Each must be told of as GROVE_EDEADLK, and soon: in the virtual time of
 * ORACLE_CIRCLE_MS after the last call of the circle began, and never as a
 * timeout. The circles: a node calls itself; a ring of n nodes on any loops,
 * entered at one node; n nodes entered all at once, so that the circle is
 * closed from several sides; and knots: n nodes entered all at once, of which
 * each waits for one or any of several others, whichever they are. Of a
 * knot every way leads back, so that somebody must be told.
 */
#include <grove.h>

#include "cycles.grove.h"
#include "tests/sim/oracle.h"
#include "tests/sim/simulation.h"

#define NODES_MAX 5u
#define ARMS_MAX  3u

struct node {
    unsigned place;
};

struct entry {
    unsigned node;
    unsigned pause_ms;
    bool all;  /* every node is entered at once */
    bool knot; /* the same, and each waits for any of several */
};

static struct {
    grove_ref nodes[NODES_MAX];
    unsigned n_nodes;
    unsigned n_deadlocks;
    unsigned n_ended;
    uint64_t last_call_ns; /* when a node last called another one */
} ring;

static int init(struct node *me, const void *argument)
{
    me->place = *(const unsigned *)argument;
    return 0;
}

static void note_outcome(const struct node *me, int rc)
{
    if (rc != GROVE_EDEADLK || grove_failure()->started == GROVE_STARTED_YES)
        return;
    ring.n_deadlocks++;
    SIM_CHECK(sim.now_ns - ring.last_call_ns < ORACLE_CIRCLE_MS * UINT64_C(1000000),
              "node %u heard of the circle only after %u ms", me->place,
              (unsigned)((sim.now_ns - ring.last_call_ns) / 1000000));
}

/* Waits for any of the nodes of the route. */
static int pass_any(const struct node *me, const Sim__Cycles__V1__PassRequest *request)
{
    Sim__Cycles__V1__PassRequest next = SIM__CYCLES__V1__PASS_REQUEST__INIT;
    Sim__Cycles__V1__PassResponse responses[ARMS_MAX];
    struct grove_future futures[ARMS_MAX], *all[ARMS_MAX];
    unsigned which;
    int rc;

    ring.last_call_ns = sim.now_ns;
    for (unsigned i = 0; i < request->n_route; i++) {
        all[i] = &futures[i];
        sim__cycles__v1__pass_response__init(&responses[i]);
        rc = node_pass_start(ring.nodes[request->route[i]], &next, &responses[i], &futures[i]);
        if (rc != 0)
            return rc;
    }
    rc = grove_any_await(all, (unsigned)request->n_route, &which);
    note_outcome(me, rc);
    return rc;
}

static int pass(struct node *me, const Sim__Cycles__V1__PassRequest *request,
                Sim__Cycles__V1__PassResponse *response)
{
    Sim__Cycles__V1__PassRequest next = SIM__CYCLES__V1__PASS_REQUEST__INIT;
    int rc;

    if (request->n_route == 0)
        return 0;
    if (request->pause_ms > 0)
        (void)grove_sleep_await(request->pause_ms); /* A stop makes the call below fail too. */
    if (request->any)
        return pass_any(me, request);
    next.route = request->route + 1;
    next.n_route = request->n_route - 1;
    next.pause_ms = request->pause_ms;
    ring.last_call_ns = sim.now_ns;
    rc = node_pass_await(ring.nodes[request->route[0]], &next, response);
    note_outcome(me, rc);
    return rc;
}

static const struct node_service functions = {
    .state_bytes = sizeof(struct node),
    .init = init,
    .pass = pass,
};

static void enter(void *argument)
{
    const struct entry *entry = argument;
    uint32_t route[2 * NODES_MAX];
    Sim__Cycles__V1__PassRequest request = SIM__CYCLES__V1__PASS_REQUEST__INIT;
    Sim__Cycles__V1__PassResponse response = SIM__CYCLES__V1__PASS_RESPONSE__INIT;
    int rc;

    /* Once round and back to where it began; entered from all sides, each only calls its neighbour. */
    request.route = route;
    request.n_route = entry->all && ring.n_nodes > 1 ? 1 : ring.n_nodes;
    request.pause_ms = entry->pause_ms;
    request.any = entry->knot;
    if (entry->knot)
        request.n_route = 1 + sim_draw(SIM_LOAD, ARMS_MAX);
    for (unsigned i = 0; i < request.n_route; i++)
        route[i] =
            entry->knot ? sim_draw(SIM_LOAD, ring.n_nodes) : (entry->node + 1 + i) % ring.n_nodes;
    rc = node_pass_await(ring.nodes[entry->node], &request, &response);
    SIM_CHECK(rc == 0 || rc == GROVE_EDEADLK, "a call into the ring ended with %s",
              grove_error_name(rc));
    ring.n_ended++;
}

static void run(void)
{
    unsigned n_entries, form = sim_draw(SIM_LOAD, 3);
    struct entry entry = {.all = form > 0, .knot = form > 1};

    ring.n_deadlocks = ring.n_ended = 0;
    ring.n_nodes = 1 + sim_draw(SIM_LOAD, NODES_MAX);
    n_entries = entry.all ? ring.n_nodes : 1;
    for (unsigned i = 0; i < ring.n_nodes; i++) {
        struct grove_spawn_options options = {
            .place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())), .argument_bytes = sizeof i};

        SIM_CHECK(node_spawn(&functions, &i, &options, &ring.nodes[i]) == 0, "no node");
    }
    for (unsigned i = 0; i < n_entries; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())),
                                              .argument_bytes = sizeof entry};

        entry.node = i;
        /* Long enough for all to be inside before the first one calls. */
        entry.pause_ms = entry.all ? 200 + sim_draw(SIM_LOAD, 3) : sim_draw(SIM_LOAD, 3);
        SIM_CHECK(grove_go(enter, &entry, &options, NULL) == 0, "no greenlet");
    }
    sim_wait_for(&ring.n_ended, n_entries, 60000);
    SIM_CHECK(ring.n_deadlocks >= 1, "nobody was told of the circle");
    SIM_CHECK(entry.all || ring.n_deadlocks == 1, "%u were told of one circle", ring.n_deadlocks);
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&node_service_table) == 0, "no service");
}

const struct sim_simulation sim_cycles = {
    .name = "cycles",
    .what = "planted circles and knots of calls: each is told of, soon",
    .run = run,
    .prepare = prepare,
};
