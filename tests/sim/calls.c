/*
 * Calls: actors that call, send, start, spawn and stop each other at random.
 *
 *     client greenlets ──▶ peers ──▶ peers ──▶ …   on one to three loops
 *
 * Every call that is awaited has one outcome, of the few that are allowed.
 * A handler runs at most once for a call: exactly once if the outcome is 0,
 * never if it says so (started NO). What one task sends to another arrives
 * in order. A call ends at its deadline, also one that runs on its caller's
 * stack. Deadlocks are judged by the oracle.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <grove.h>

#include "calls.grove.h"
#include "tests/sim/oracle.h"
#include "tests/sim/simulation.h"

#define PEERS_ALL   96u  /* of a seed, with those that peers spawn */
#define CALLS_MAX   400u /* beyond it handlers only answer */
#define PEERS_MAX   6u   /* that live from the beginning */
#define CLIENTS_MAX 4u
#define ACTS_MAX    3u /* of one handler */
#define DEPTH_MAX   3u
#define USUAL_MS    5000u /* of a call without a timeout of its own */
#define LATE_MAX_MS 4u    /* after its deadline: a tick, and who unwinds above it */

static_assert(PEERS_ALL + CLIENTS_MAX <= ORACLE_TASKS_MAX, "the oracle knows them all");

enum outcome { NONE, DONE, FAILED, NEVER_BEGAN, LEFT };

static struct {
    grove_ref refs[PEERS_ALL];
    unsigned n_peers;
    uint32_t n_sent[ORACLE_TASKS_MAX][PEERS_ALL]; /* by sender and receiver */
    uint32_t last[PEERS_ALL][ORACLE_TASKS_MAX]; /* number that came last, by receiver and sender */
    uint8_t handled[CALLS_MAX + 1];             /* how often its handler began */
    uint8_t outcomes[CALLS_MAX + 1];
    int codes[CALLS_MAX + 1]; /* that went with them */
    unsigned n_calls;
    unsigned n_ended; /* clients */
} play;

struct peer {
    unsigned self;
    bool busy;
};

static void act_await(unsigned self, unsigned depth);
static unsigned spawn_peer(void);

/* --- what arrives --------------------------------------------------------------------------------- */

static void check_order(struct peer *me, unsigned sender, uint32_t number)
{
    SIM_CHECK(number > play.last[me->self][sender], "peer %u got message %u of task %u after %u",
              me->self, number, sender, play.last[me->self][sender]);
    play.last[me->self][sender] = number;
}

static int init(struct peer *me, const void *argument)
{
    me->self = *(const unsigned *)argument;
    return 0;
}

static int note(struct peer *me, const Sim__Calls__V1__NoteRequest *request,
                Sim__Calls__V1__NoteResponse *response)
{
    (void)response;
    SIM_CHECK(!me->busy, "two handlers of peer %u at once", me->self);
    check_order(me, request->sender, request->number);
    return 0;
}

/* How a handler ends. */
static int draw_end(const Sim__Calls__V1__WorkRequest *request,
                    Sim__Calls__V1__WorkResponse *response)
{
    switch (sim_draw(SIM_LOAD, 24)) {
    case 0:
        return -EIO;
    case 1:
        return grove_refuse(7, "not today");
    case 2:
        return grove_fail("on purpose");
    default:
        response->call = request->call;
        return 0;
    }
}

static int work(struct peer *me, const Sim__Calls__V1__WorkRequest *request,
                Sim__Calls__V1__WorkResponse *response)
{
    unsigned n = request->depth > 0 ? sim_draw(SIM_LOAD, ACTS_MAX + 1) : 0;
    int rc;

    SIM_CHECK(!me->busy, "two handlers of peer %u at once", me->self);
    SIM_CHECK(play.handled[request->call]++ == 0, "call %u was handled twice", request->call);
    sim_note("handles", me->self, request->call);
    check_order(me, request->sender, request->number);
    me->busy = true;
    for (unsigned i = 0; i < n; i++)
        act_await(me->self, request->depth - 1);
    me->busy = false;
    rc = draw_end(request, response);
    oracle_call_over(request->call);
    return rc;
}

static const struct peer_service functions = {
    .state_bytes = sizeof(struct peer),
    .init = init,
    .note = note,
    .work = work,
};

/* --- what is asked -------------------------------------------------------------------------------- */

/* One call, from its request to its outcome. */
struct asked {
    Sim__Calls__V1__WorkRequest request;
    Sim__Calls__V1__WorkResponse response;
    struct grove_future future;
    unsigned target;
    uint32_t timeout_ms; /* by what remains of the caller's own time, too */
    uint64_t asked_ns;
};

static unsigned draw_target(void)
{
    /* Mostly the first ones, so that they meet. */
    return sim_draw(SIM_LOAD, 4) == 0 ? sim_draw(SIM_LOAD, play.n_peers)
                                      : sim_draw(SIM_LOAD, 3) % play.n_peers;
}

static bool prepare_call(struct asked *asked, unsigned self, unsigned depth)
{
    if (play.n_calls == CALLS_MAX)
        return false;
    sim__calls__v1__work_request__init(&asked->request);
    sim__calls__v1__work_response__init(&asked->response);
    asked->target = draw_target();
    asked->request.call = ++play.n_calls;
    asked->request.sender = self;
    asked->request.number = ++play.n_sent[self][asked->target];
    asked->request.depth = depth;
    sim_note("asks", self, (uint64_t)asked->target << 32 | asked->request.call);
    asked->timeout_ms = USUAL_MS;
    if (sim_draw(SIM_LOAD, 4) == 0) {
        asked->timeout_ms = 1 + sim_draw(SIM_LOAD, 300);
        grove_within(asked->timeout_ms);
    }
    if (asked->timeout_ms > grove_remaining_ms())
        asked->timeout_ms = grove_remaining_ms();
    asked->asked_ns = sim.now_ns;
    return true;
}

static bool is_allowed(int rc)
{
    static const int codes[] = {0,
                                7,
                                -EIO,
                                GROVE_EFULL,
                                GROVE_ESTOPPING,
                                GROVE_ENOACTOR,
                                GROVE_EDOWN,
                                GROVE_EDEADLK,
                                GROVE_ETIMEDOUT,
                                GROVE_ECANCELED};

    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == rc)
            return true;
    return false;
}

/* An awaited call has come to its end. */
static void note_outcome(const struct asked *asked, int rc, enum grove_started started)
{
    unsigned call = asked->request.call;

    SIM_CHECK(is_allowed(rc), "call %u ended with %s (%d)", call, grove_error_name(rc), rc);
    sim_note("outcome", call, (uint64_t)(int64_t)rc);
    play.codes[call] = rc;
    SIM_CHECK(play.outcomes[call] == NONE, "call %u has two outcomes", call);
    if (rc == 0) {
        SIM_CHECK(play.handled[call] == 1 && asked->response.call == call,
                  "call %u got the answer of call %u", call, asked->response.call);
        play.outcomes[call] = DONE;
        return;
    }
    SIM_CHECK(started != GROVE_STARTED_YES || play.handled[call] == 1,
              "call %u (%s) was handled %u times, and said to be once", call, grove_error_name(rc),
              play.handled[call]);
    play.outcomes[call] = started == GROVE_STARTED_NO ? NEVER_BEGAN : FAILED;
}

/* However it is done, and whatever its handler waits for: nobody waits longer than that. */
static void check_time(const struct asked *asked)
{
    uint64_t took_ms = (sim.now_ns - asked->asked_ns) / 1000000;

    SIM_CHECK(took_ms <= asked->timeout_ms + LATE_MAX_MS,
              "call %u had %" PRIu32 " ms and took %" PRIu64, asked->request.call,
              asked->timeout_ms, took_ms);
}

static void await_call(unsigned self, unsigned depth)
{
    struct oracle_arm arm;
    struct asked asked;
    int rc;

    if (!prepare_call(&asked, self, depth))
        return;
    arm = (struct oracle_arm){asked.target, asked.request.call, NULL};
    oracle_wait(self, ORACLE_CALL, &arm, 1);
    rc = peer_work_await(play.refs[asked.target], &asked.request, &asked.response);
    check_time(&asked);
    oracle_judge(self, rc);
    note_outcome(&asked, rc, grove_failure()->started);
}

static void send_note(unsigned self, bool may_wait)
{
    Sim__Calls__V1__NoteRequest request = SIM__CALLS__V1__NOTE_REQUEST__INIT;
    struct oracle_arm arm = {draw_target(), 0, NULL};
    int rc;

    request.sender = self;
    request.number = ++play.n_sent[self][arm.target];
    if (!may_wait) {
        rc = peer_note_send(play.refs[arm.target], &request);
        SIM_CHECK(is_allowed(rc), "a send ended with %s (%d)", grove_error_name(rc), rc);
        return;
    }
    if (sim_draw(SIM_LOAD, 2) == 0)
        grove_within(1 + sim_draw(SIM_LOAD, 300));
    oracle_wait(self, ORACLE_ROOM, &arm, 1);
    rc = peer_note_send_await(play.refs[arm.target], &request);
    oracle_judge(self, rc);
    SIM_CHECK(is_allowed(rc), "a send that waits ended with %s (%d)", grove_error_name(rc), rc);
}

/* What was started by one handler and is in flight. */
struct started {
    struct asked asked[ORACLE_ARMS_MAX];
    struct grove_future *futures[ORACLE_ARMS_MAX];
    unsigned n;
};

static void start_some(struct started *started, unsigned self, unsigned depth)
{
    unsigned n_wanted = 1 + sim_draw(SIM_LOAD, ORACLE_ARMS_MAX);

    started->n = 0;
    for (unsigned i = 0; i < n_wanted; i++) {
        struct asked *asked = &started->asked[started->n];
        int rc;

        if (!prepare_call(asked, self, depth))
            return;
        rc = peer_work_start(play.refs[asked->target], &asked->request, &asked->response,
                             &asked->future);
        if (rc != 0)
            note_outcome(asked, rc, grove_failure()->started);
        else
            started->futures[started->n++] = &asked->future;
    }
}

static int await_started(struct started *started, unsigned self, bool all)
{
    struct oracle_arm arms[ORACLE_ARMS_MAX];
    unsigned n_arms = 0, which;
    int rc;

    for (unsigned i = 0; i < started->n; i++)
        if (!started->asked[i].future.done)
            arms[n_arms++] =
                (struct oracle_arm){started->asked[i].target, started->asked[i].request.call,
                                    &started->asked[i].future.done};
    if (!all && n_arms < started->n)
        n_arms = 0; /* One is here: it does not wait. */
    oracle_wait(self, all || started->n == 1 ? ORACLE_ALL : ORACLE_ANY, arms, n_arms);
    rc = all ? grove_all_await(started->futures, started->n)
             : grove_any_await(started->futures, started->n, &which);
    oracle_judge(self, rc);
    return rc;
}

/* Starts some calls and waits for all, for one, or for none of them. */
static void start_calls(unsigned self, unsigned depth)
{
    unsigned kind = sim_draw(SIM_LOAD, 3);
    struct started started;
    bool all_came = false;

    start_some(&started, self, depth);
    /* What is sent now must not overtake a call that waits for room. */
    for (unsigned i = 0; i < started.n && sim_draw(SIM_LOAD, 2) == 0; i++) {
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 4)); /* Who is being stopped ends soon. */
        send_note(self, false);
    }
    if (started.n > 0 && kind != 0) {
        int rc = await_started(&started, self, kind == 1);

        all_came = kind == 1 && rc != GROVE_ECANCELED && rc != GROVE_EDEADLK;
    }
    for (unsigned i = 0; i < started.n; i++) {
        struct asked *asked = &started.asked[i];

        if (all_came)
            note_outcome(asked, asked->future.rc, (enum grove_started)asked->future.started);
        else
            play.outcomes[asked->request.call] = LEFT;
        grove_future_cancel(&asked->future);
    }
}

static void stop_somebody(unsigned self)
{
    struct oracle_arm arm = {draw_target(), 0, NULL};
    enum grove_stop_mode mode = (enum grove_stop_mode)sim_draw(SIM_LOAD, 3);
    int rc;

    if (sim_draw(SIM_LOAD, 4) != 0 || arm.target == self)
        return;
    if (sim_draw(SIM_LOAD, 2) == 0) {
        rc = grove_stop(play.refs[arm.target], mode);
    } else {
        oracle_wait(self, ORACLE_STOP, &arm, 1);
        rc = grove_stop_await(play.refs[arm.target], mode);
        oracle_judge(self, rc);
    }
    SIM_CHECK(is_allowed(rc), "a stop ended with %s (%d)", grove_error_name(rc), rc);
}

/* One thing that a handler or a client does. */
static void act_await(unsigned self, unsigned depth)
{
    switch (sim_draw(SIM_LOAD, 12)) {
    case 0:
        (void)grove_yield_await(); /* Who is being stopped goes on and ends soon. */
        break;
    case 1:
        /* Mostly short, sometimes beyond the deadlines of those below. As above. */
        (void)grove_sleep_await(sim_draw(SIM_LOAD, sim_draw(SIM_LOAD, 3) == 0 ? 400 : 8));
        break;
    case 2:
        send_note(self, false);
        break;
    case 3:
        send_note(self, true);
        break;
    case 4:
        stop_somebody(self);
        break;
    case 5:
        if (play.n_peers < PEERS_ALL)
            (void)spawn_peer(); /* Others will find it. */
        break;
    case 6:
    case 7:
        start_calls(self, depth);
        break;
    default:
        await_call(self, depth);
    }
}

/* --- the run -------------------------------------------------------------------------------------- */

/* Returns its number. */
static unsigned spawn_peer(void)
{
    unsigned self = play.n_peers;
    struct grove_spawn_options options = {.argument_bytes = sizeof self};
    int rc;

    options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
    options.depth_max = sim_draw(SIM_LOAD, 2) == 0 ? 1 + sim_draw(SIM_LOAD, 4) : 0;
    rc = peer_spawn(&functions, &self, &options, &play.refs[self]);
    SIM_CHECK(rc == 0 || rc == GROVE_ESTOPPING, "no peer: %s", grove_error_name(rc));
    if (rc == 0)
        play.n_peers++;
    return self;
}

static void act_as_client(void *argument)
{
    unsigned self = *(const unsigned *)argument, n = 1 + sim_draw(SIM_LOAD, 6);

    for (unsigned i = 0; i < n; i++)
        act_await(self, DEPTH_MAX);
    play.n_ended++;
}

static void check_outcomes(void)
{
    for (unsigned call = 1; call <= play.n_calls; call++)
        SIM_CHECK(play.outcomes[call] != NEVER_BEGAN || play.handled[call] == 0,
                  "call %u was handled, although its caller was told (%s) that it never would",
                  call, grove_error_name(play.codes[call]));
}

static void run(void)
{
    unsigned n_first = 1 + sim_draw(SIM_LOAD, PEERS_MAX),
             n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);

    memset(&play, 0, sizeof play);
    oracle_open();
    for (unsigned i = 0; i < n_first; i++)
        (void)spawn_peer(); /* Their numbers are 0 to n_first - 1. */
    for (unsigned i = 0; i < n_clients; i++) {
        /* Above all peers: nobody calls a client. */
        unsigned self = PEERS_ALL + i;
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())),
                                              .argument_bytes = sizeof self};

        SIM_CHECK(grove_go(act_as_client, &self, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    check_outcomes();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&peer_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_calls_lent = {
    .name = "calls_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};

const struct sim_simulation sim_calls = {
    .name = "calls",
    .what = "random graphs of calls: one outcome each, in order, no false deadlock",
    .run = run,
    .prepare = prepare,
};
