/*
 * Sleepers: actors that give their state back while nobody asks them, or when
 * they please, and save what they have on a made-up disk. Some of their inits
 * and deinits wait, some have a stash; callers leave at deadlines of their
 * own, and somebody stops them now and then.
 *
 * init and deinit alternate, init finds zeros, and nothing is handled between
 * deinit and init. What was counted is never lost. No caller hangs. In the
 * end, left alone, all that live are passive.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <grove.h>

#include "duties.grove.h"
#include "tests/sim/simulation.h"

#define SLEEPERS_MAX 5u
#define CLIENTS_MAX  5u
#define CALLS_MAX    200u
#define LATE_MS      10000u /* after the longest deadline */
#define QUIET_MS     5000u /* after the longest idle time, and the rarest look at one that has asked */

struct gate {
    uint32_t n_handled;
    uint32_t which; /* 1 + its number; 0: init has not run */
    uint32_t rest[40];
};

static struct {
    grove_ref refs[SLEEPERS_MAX];
    uint32_t saved[SLEEPERS_MAX], n_handled[SLEEPERS_MAX];
    bool awake[SLEEPERS_MAX], stopped[SLEEPERS_MAX];
    unsigned n_sleepers, n_ended, n_calls;
    uint8_t seen[CALLS_MAX + 1];
} beds;

static int wake(struct gate *me, const void *argument)
{
    static const struct gate zeros;
    uint32_t i = *(const uint32_t *)argument;

    sim_note("wakes", i, 0);
    SIM_CHECK(memcmp(me, &zeros, sizeof zeros) == 0, "a state that is not new");
    SIM_CHECK(!beds.awake[i], "init without deinit");
    beds.awake[i] = true;
    memset(me->rest, 1, sizeof me->rest);
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 10)); /* Messages come meanwhile. */
    me->which = i + 1;
    me->n_handled = beds.saved[i];
    return sim_draw(SIM_LOAD, 10) == 0 ? grove_passivate() : 0;
}

static void lie_down(struct gate *me)
{
    uint32_t i = me->which - 1;

    SIM_CHECK(me->which != 0 && beds.awake[i], "deinit without init");
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 10)); /* A stop may end it. */
    beds.saved[i] = me->n_handled;
    beds.awake[i] = false;
    sim_note("sleeps", i, me->n_handled);
}

static int ask(struct gate *me, const Sim__Duties__V1__AskRequest *request,
               Sim__Duties__V1__AskResponse *response)
{
    uint32_t i = me->which - 1;

    SIM_CHECK(me->which != 0 && beds.awake[i], "handled while it is passive");
    sim_note("handles", request->call, i);
    if (!beds.seen[request->call] && sim_draw(SIM_LOAD, 10) == 0 && grove_stash() == 0) {
        beds.seen[request->call] = 1;
        return 0;
    }
    beds.seen[request->call] = 1;
    me->n_handled++;
    beds.n_handled[i]++;
    if (sim_draw(SIM_LOAD, 6) == 0)
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 20)); /* Its caller may leave meanwhile. */
    if (sim_draw(SIM_LOAD, 5) == 0)
        SIM_CHECK(grove_passivate() == 0, "it may not ask: %s", grove_why());
    if (sim_draw(SIM_LOAD, 3) == 0)
        (void)grove_unstash_all(); /* In a handler it cannot fail. */
    response->call = request->call;
    return 0;
}

static const struct gate_service functions = {
    .state_bytes = sizeof(struct gate), .init = wake, .deinit = lie_down, .ask = ask};

static void check_outcome(uint32_t call, unsigned i, int rc, uint32_t got)
{
    sim_note("outcome", call, (uint64_t)(int64_t)rc);
    switch (rc) {
    case 0:
        SIM_CHECK(got == call && beds.seen[call], "call %u got the answer of %u", call, got);
        break;
    case GROVE_ETIMEDOUT:
        break;
    case GROVE_EDOWN:
    case GROVE_ENOACTOR:
    case GROVE_ESTOPPING:
    case GROVE_ECANCELED:
        SIM_CHECK(beds.stopped[i], "call %u ended with %s though nobody has stopped %u", call,
                  grove_error_name(rc), i);
        break;
    default:
        SIM_CHECK(false, "call %u ended with %s", call, grove_error_name(rc));
    }
}

static void client(void *argument)
{
    (void)argument;
    for (unsigned n = sim_draw(SIM_LOAD, 20); n > 0 && beds.n_calls < CALLS_MAX; n--) {
        Sim__Duties__V1__AskRequest request = SIM__DUTIES__V1__ASK_REQUEST__INIT;
        Sim__Duties__V1__AskResponse response = SIM__DUTIES__V1__ASK_RESPONSE__INIT;
        uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, 300);
        unsigned i = sim_draw(SIM_LOAD, beds.n_sleepers);
        uint64_t begin_ns = sim.now_ns;
        int rc;

        request.call = ++beds.n_calls;
        sim_note("asks", request.call, i);
        grove_within(timeout_ms);
        rc = gate_ask_await(beds.refs[i], &request, &response);
        check_outcome(request.call, i, rc, response.call);
        SIM_CHECK(sim.now_ns - begin_ns < (timeout_ms + LATE_MS) * UINT64_C(1000000),
                  "call %u hangs", request.call);
        if (sim_draw(SIM_LOAD, 2) == 0)
            (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 60)); /* They fall asleep. */
        if (sim_draw(SIM_LOAD, 60) == 0) {
            enum grove_stop_mode mode = (enum grove_stop_mode)sim_draw(SIM_LOAD, 3);

            i = sim_draw(SIM_LOAD, beds.n_sleepers);
            beds.stopped[i] = true;
            (void)grove_stop(beds.refs[i], mode); /* Gone already is as good. */
        }
    }
    beds.n_ended++;
}

/* Once more each, so that what was put aside is handled; then nobody comes any more. */
static void settle(void)
{
    for (unsigned i = 0; i < beds.n_sleepers; i++) {
        while (beds.awake[i] && !beds.stopped[i]) {
            Sim__Duties__V1__AskRequest request = SIM__DUTIES__V1__ASK_REQUEST__INIT;

            request.call = CALLS_MAX;
            SIM_CHECK(gate_ask_send(beds.refs[i], &request) == 0, "no send: %s", grove_why());
            SIM_CHECK(grove_sleep_await(QUIET_MS) == 0, "no sleep");
        }
    }
    SIM_CHECK(grove_sleep_await(QUIET_MS) == 0, "no sleep");
    for (unsigned i = 0; i < beds.n_sleepers; i++) {
        SIM_CHECK(!beds.awake[i] || beds.stopped[i], "%u is still awake", i);
        SIM_CHECK(beds.awake[i] || beds.saved[i] == beds.n_handled[i], "%u has lost %u", i,
                  beds.n_handled[i] - beds.saved[i]);
    }
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);

    memset(&beds, 0, sizeof beds);
    beds.n_sleepers = 1 + sim_draw(SIM_LOAD, SLEEPERS_MAX);
    for (uint32_t i = 0; i < beds.n_sleepers; i++) {
        uint32_t place = sim_draw(SIM_LOAD, grove_loops()), ms = 1 + sim_draw(SIM_LOAD, 60);
        struct grove_spawn_options options = {
            .place = GROVE_ON_LOOP(place), .passivate_after_ms = ms, .argument_bytes = sizeof i};

        SIM_CHECK(gate_spawn(&functions, &i, &options, &beds.refs[i]) == 0, "no sleeper");
    }
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(client, NULL, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&beds.n_ended, n_clients, 600000);
    settle();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&gate_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_sleepers = {
    .name = "sleepers",
    .what =
        "actors that are passivated and woken: nothing is lost, handled without a state, or hangs",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_sleepers_lent = {
    .name = "sleepers_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
