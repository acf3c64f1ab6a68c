/*
 * Duties: actors that answer at once, later, through others, or never; that
 * put requests aside; that end with duties left. Their callers leave at
 * deadlines of their own.
 *
 * Whoever answers is the only one who does, and his answer is what the caller
 * gets, if it has not left. No caller hangs. Nothing is said to have never
 * begun that a handler has seen.
 */
#include <errno.h>
#include <inttypes.h>

#include <grove.h>

#include "duties.grove.h"
#include "tests/sim/simulation.h"

#define GATES_MAX   5u
#define CLIENTS_MAX 5u
#define CALLS_MAX   200u
#define TOKENS_MAX  8u
#define REFUSAL     3
#define LATE_MS     10000u /* after the longest deadline */

struct gate {
    grove_token tokens[TOKENS_MAX];
    uint32_t calls[TOKENS_MAX];
    unsigned n;
    bool busy;
};

static struct {
    grove_ref refs[GATES_MAX];
    unsigned n_gates, n_ended, n_calls;
    uint8_t seen[CALLS_MAX + 1];     /* a handler has begun with it */
    uint8_t answered[CALLS_MAX + 1]; /* somebody has given an answer */
    int codes[CALLS_MAX + 1];        /* what that was */
} play;

/* Somebody answers. */
static void answer(uint32_t call, int code)
{
    sim_note("answers", call, (uint64_t)(int64_t)code);
    SIM_CHECK(play.answered[call]++ == 0, "call %u is answered twice", call);
    play.codes[call] = code;
}

static void settle_one(struct gate *me)
{
    Sim__Duties__V1__AskRequest request = SIM__DUTIES__V1__ASK_REQUEST__INIT;
    Sim__Duties__V1__AskResponse response = SIM__DUTIES__V1__ASK_RESPONSE__INIT;
    unsigned i = sim_draw(SIM_LOAD, me->n);
    grove_token token = me->tokens[i];
    uint32_t call = me->calls[i];
    int rc;

    me->n--;
    me->tokens[i] = me->tokens[me->n];
    me->calls[i] = me->calls[me->n];
    response.call = request.call = call;
    switch (sim_draw(SIM_LOAD, 4)) {
    case 0:
        answer(call, GROVE_EBROKEN);
        grove_reply_drop(&token);
        break;
    case 1:
        rc = gate_ask_delegate(&token, play.refs[sim_draw(SIM_LOAD, play.n_gates)], &request);
        if (rc == 0)
            break;
        answer(call, rc);
        SIM_CHECK(gate_ask_reply(&token, rc, NULL) == 0, "no answer: %s", grove_why());
        break;
    case 2:
        answer(call, REFUSAL);
        SIM_CHECK(gate_ask_reply(&token, grove_refuse(REFUSAL, "no"), NULL) == 0, "no answer: %s",
                  grove_why());
        break;
    default:
        answer(call, 0);
        SIM_CHECK(gate_ask_reply(&token, 0, &response) == 0, "no answer: %s", grove_why());
        SIM_CHECK(!grove_reply_wanted(&token), "a token is good twice");
    }
}

/* What becomes of the running request. 1: it is answered otherwise. */
static int decide(struct gate *me, const Sim__Duties__V1__AskRequest *request)
{
    Sim__Duties__V1__AskRequest next = SIM__DUTIES__V1__ASK_REQUEST__INIT;

    switch (sim_draw(SIM_LOAD, 8)) {
    case 0:
    case 1:
        if (me->n == TOKENS_MAX || grove_reply_defer(&me->tokens[me->n]) != 0)
            return 0;
        me->calls[me->n++] = request->call;
        return 1;
    case 2:
    case 3:
        if (request->hops == 0)
            return 0;
        next.call = request->call;
        next.hops = request->hops - 1;
        return gate_ask_delegate(NULL, play.refs[sim_draw(SIM_LOAD, play.n_gates)], &next) == 0;
    case 4:
        return grove_stash() == 0;
    default:
        return 0;
    }
}

static int ask(struct gate *me, const Sim__Duties__V1__AskRequest *request,
               Sim__Duties__V1__AskResponse *response)
{
    int otherwise;

    SIM_CHECK(!me->busy, "two handlers at once");
    me->busy = true;
    play.seen[request->call] = 1;
    sim_note("handles", request->call, request->hops);
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 20)); /* Its caller may leave meanwhile. */
    if (me->n > 0 && sim_draw(SIM_LOAD, 2) == 0)
        settle_one(me);
    if (sim_draw(SIM_LOAD, 3) == 0)
        (void)grove_unstash_all(); /* In a handler it cannot fail. */
    otherwise = decide(me, request);
    me->busy = false;
    if (otherwise)
        return -EIO; /* It goes to nobody. */
    response->call = request->call;
    answer(request->call, 0);
    return 0;
}

static const struct gate_service functions = {.state_bytes = sizeof(struct gate), .ask = ask};

static void check_outcome(uint32_t call, int rc, uint32_t got)
{
    enum grove_started started = grove_failure()->started;

    sim_note("outcome", call, (uint64_t)(int64_t)rc);
    switch (rc) {
    case 0:
        SIM_CHECK(play.answered[call] && play.codes[call] == 0 && got == call,
                  "call %u got the answer of %u", call, got);
        return;
    case REFUSAL:
    case GROVE_EBROKEN:
        SIM_CHECK(play.answered[call] && play.codes[call] == rc, "call %u got %d, not its answer",
                  call, rc);
        return;
    case GROVE_ETIMEDOUT:
    case GROVE_EDOWN:
    case GROVE_ENOACTOR:
    case GROVE_ESTOPPING:
    case GROVE_EFULL:
    case GROVE_ECANCELED:
    case GROVE_EDEADLK:
        break;
    default:
        SIM_CHECK(false, "call %u ended with %s", call, grove_error_name(rc));
    }
    SIM_CHECK(started != GROVE_STARTED_NO || !play.seen[call],
              "call %u (%s) is said never to have begun", call, grove_error_name(rc));
}

static void client(void *argument)
{
    (void)argument;
    for (unsigned n = sim_draw(SIM_LOAD, 20); n > 0 && play.n_calls < CALLS_MAX; n--) {
        Sim__Duties__V1__AskRequest request = SIM__DUTIES__V1__ASK_REQUEST__INIT;
        Sim__Duties__V1__AskResponse response = SIM__DUTIES__V1__ASK_RESPONSE__INIT;
        uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, 300);
        uint64_t begin_ns = sim.now_ns;
        int rc;

        request.call = ++play.n_calls;
        request.hops = sim_draw(SIM_LOAD, 4);
        sim_note("asks", request.call, timeout_ms);
        grove_within(timeout_ms);
        rc = gate_ask_await(play.refs[sim_draw(SIM_LOAD, play.n_gates)], &request, &response);
        check_outcome(request.call, rc, response.call);
        SIM_CHECK(sim.now_ns - begin_ns < (timeout_ms + LATE_MS) * UINT64_C(1000000),
                  "call %u hangs", request.call);
        if (sim_draw(SIM_LOAD, 40) == 0) {
            grove_ref whom = play.refs[sim_draw(SIM_LOAD, play.n_gates)];

            /* Gone already is as good. */
            (void)grove_stop(whom, (enum grove_stop_mode)sim_draw(SIM_LOAD, 3));
        }
    }
    play.n_ended++;
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);

    play.n_ended = play.n_calls = 0;
    for (unsigned i = 0; i <= CALLS_MAX; i++)
        play.seen[i] = play.answered[i] = 0;
    play.n_gates = 1 + sim_draw(SIM_LOAD, GATES_MAX);
    for (unsigned i = 0; i < play.n_gates; i++) {
        uint32_t place = sim_draw(SIM_LOAD, grove_loops()), depth_max = 1 + sim_draw(SIM_LOAD, 8);
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(place),
                                              .depth_max = depth_max};

        SIM_CHECK(gate_spawn(&functions, NULL, &options, &play.refs[i]) == 0, "no gate");
    }
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(client, NULL, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
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

const struct sim_simulation sim_duties = {
    .name = "duties",
    .what = "deferred, delegated, dropped and stashed calls: one answer each",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_duties_lent = {
    .name = "duties_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
