/*
 * Storms: callers that give up at any moment.
 *
 *     clients ──▶ link A ──▶ link B ──▶ link C ──▶ worker
 *                   └──────────┴──────────┴──▶ witness, behind a shield
 *
 * Each link reserves, asks the next one, and books or, however that failed,
 * gives back behind a shield. Clients leave by deadlines, by giving futures
 * up, by not awaiting them, and by being stopped.
 *
 * Every call has one outcome, in its time. No actor begins anew, what was
 * reserved is booked or given back, behind a shield awaits work, and what
 * the witness heard is what was given back. Expired work is never begun: not
 * by a link, and not by a worker whose caller was told so.
 */
#include <inttypes.h>
#include <string.h>

#include <grove.h>

#include "sim/process.h"
#include "storms.grove.h"
#include "tests/sim/simulation.h"

#define LINKS       3u
#define CLIENTS_MAX 6u
#define CALLS_MAX   120u
#define LATE_MS     200u   /* how late after its deadline a call ends */
#define SHIELD_MS   60000u /* far more than what it is for can take */
#define COMPUTE_MS  6u     /* so little that a tick of such turns is shorter than 32 ms */
#define MS_NS       UINT64_C(1000000)

struct call {
    uint64_t due_ns;          /* its deadline */
    uint8_t begun[LINKS + 1]; /* by each link, and by a worker */
    bool worker_never;        /* somebody was told that no worker had begun */
    bool over;
};

static struct {
    grove_ref links[LINKS];
    grove_ref witness;
    grove_ref pool;
    struct call calls[CALLS_MAX + 1];
    unsigned n_calls, n_ended, n_born;
    unsigned n_begun[LINKS], n_booked[LINKS], n_given_back[LINKS], n_heard;
} play;

struct link {
    unsigned self;
    unsigned n_reserved;
};

/* --- the worker ----------------------------------------------------------------------------------- */

static int work(const Sim__Storms__V1__WorkRequest *request,
                Sim__Storms__V1__WorkResponse *response)
{
    struct call *call = &play.calls[request->call];

    SIM_CHECK(call->begun[LINKS]++ == 0, "call %u is worked at twice", request->call);
    SIM_CHECK(!call->worker_never, "call %u is worked at, and somebody was told it never would be",
              request->call);
    gv_sim_process_work(sim_draw(SIM_LOAD, 20) * MS_NS);
    response->call = request->call;
    return 0;
}

static const struct storm_service workers = {.work = work};
GROVE_WORKER(storm, &workers);

/* --- links ---------------------------------------------------------------------------------------- */

static int init(struct link *me, const void *argument)
{
    me->self = *(const unsigned *)argument;
    play.n_born++;
    return 0;
}

static int ask_worker(unsigned number)
{
    Sim__Storms__V1__WorkRequest request = SIM__STORMS__V1__WORK_REQUEST__INIT;
    Sim__Storms__V1__WorkResponse response = SIM__STORMS__V1__WORK_RESPONSE__INIT;
    int rc;

    request.call = number;
    rc = storm_work_await(play.pool, &request, &response);
    SIM_CHECK(rc != 0 || response.call == number, "call %u got the work of %u", number,
              response.call);
    if (rc != 0 && grove_failure()->started == GROVE_STARTED_NO) {
        SIM_CHECK(play.calls[number].begun[LINKS] == 0, "call %u (%s) was worked at", number,
                  grove_error_name(rc));
        play.calls[number].worker_never = true;
    }
    return rc;
}

static int ask_next(const struct link *me, unsigned number)
{
    Sim__Storms__V1__PassRequest request = SIM__STORMS__V1__PASS_REQUEST__INIT;
    Sim__Storms__V1__PassResponse response = SIM__STORMS__V1__PASS_RESPONSE__INIT;
    struct grove_future future, *futures[] = {&future};
    int rc;

    if (me->self + 1 == LINKS)
        return ask_worker(number);
    request.call = number;
    if (sim_draw(SIM_LOAD, 2) == 0)
        return link_pass_await(play.links[me->self + 1], &request, &response);
    rc = link_pass_start(play.links[me->self + 1], &request, &response, &future);
    if (rc != 0)
        return rc;
    if (sim_draw(SIM_LOAD, 4) == 0) {
        rc = grove_sleep_await(sim_draw(SIM_LOAD, 10));
        grove_future_cancel(&future);
        return rc != 0 ? rc : GROVE_ECANCELED;
    }
    rc = grove_all_await(futures, 1);
    grove_future_cancel(&future); /* Where that was cut off it is still in flight, and ends here. */
    return rc;
}

/* However it failed: the reservation is given back, and the witness hears of it. */
static void give_back(struct link *me, unsigned number)
{
    Sim__Storms__V1__VoidRequest request = SIM__STORMS__V1__VOID_REQUEST__INIT;
    Sim__Storms__V1__VoidResponse response = SIM__STORMS__V1__VOID_RESPONSE__INIT;
    int rc = grove_shield_begin(SHIELD_MS);

    SIM_CHECK(rc == 0, "no shield: %s", grove_why());
    rc = grove_sleep_await(sim_draw(SIM_LOAD, 5));
    SIM_CHECK(rc == 0, "behind a shield a sleep ends with %s", grove_error_name(rc));
    request.call = number;
    rc = link_void_await(play.witness, &request, &response);
    SIM_CHECK(rc == 0, "behind a shield a call ends with %s", grove_error_name(rc));
    grove_shield_end();
    me->n_reserved--;
    play.n_given_back[me->self]++;
}

static int pass(struct link *me, const Sim__Storms__V1__PassRequest *request,
                Sim__Storms__V1__PassResponse *response)
{
    struct call *call = &play.calls[request->call];
    int rc;

    SIM_CHECK(call->begun[me->self]++ == 0, "link %u begins call %u twice", me->self,
              request->call);
    SIM_CHECK(me->n_reserved == 0, "link %u has lost a reservation", me->self);
    /* The clock goes on between grove's look at it and ours. */
    SIM_CHECK(sim.now_ns <= call->due_ns + 2 * MS_NS, "link %u begins call %u %" PRIu64 " us late",
              me->self, request->call, (sim.now_ns - call->due_ns) / 1000);
    play.n_begun[me->self]++;
    me->n_reserved++;
    /* It computes, and what is queued grows old. Other loops would do so while one looks at the clock. */
    if (grove_loops() == 1 && sim_draw(SIM_LOAD, 3) == 0)
        grove_sim_pass_ms(sim_draw(SIM_LOAD, COMPUTE_MS + 1));
    if (sim_draw(SIM_LOAD, 3) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 10)); /* If it was given up, so is the next. */
    rc = ask_next(me, request->call);
    if (rc != 0) {
        give_back(me, request->call);
        return rc;
    }
    me->n_reserved--;
    play.n_booked[me->self]++;
    response->call = request->call;
    return 0;
}

static int do_void(struct link *me, const Sim__Storms__V1__VoidRequest *request,
                   Sim__Storms__V1__VoidResponse *response)
{
    (void)me;
    (void)request;
    (void)response;
    play.n_heard++;
    return 0;
}

static const struct link_service functions = {
    .state_bytes = sizeof(struct link),
    .init = init,
    .pass = pass,
    .void_ = do_void,
};

/* --- clients -------------------------------------------------------------------------------------- */

static bool is_allowed(int rc)
{
    return rc == 0 || rc == GROVE_ETIMEDOUT || rc == GROVE_ECANCELED || rc == GROVE_EFULL
           || rc == GROVE_ECRASHED || rc == GROVE_EUNAVAILABLE;
}

static void end_call(unsigned number, int rc, uint32_t got)
{
    struct call *call = &play.calls[number];

    sim_note("outcome", number, (uint64_t)(int64_t)rc);
    SIM_CHECK(!call->over, "call %u has two outcomes", number);
    call->over = true;
    SIM_CHECK(is_allowed(rc), "call %u ended with %s", number, grove_error_name(rc));
    SIM_CHECK(rc != 0 || (got == number && call->begun[0] == 1), "call %u got the answer of %u",
              number, got);
    SIM_CHECK(rc == 0 || grove_failure()->started != GROVE_STARTED_NO || call->begun[0] == 0,
              "call %u (%s) is said never to have begun", number, grove_error_name(rc));
    SIM_CHECK(sim.now_ns <= call->due_ns + LATE_MS * MS_NS, "call %u ends %" PRIu64 " us late",
              number, (sim.now_ns - call->due_ns) / 1000);
}

/* Returns false if the client is being stopped. */
static bool call_once(void)
{
    Sim__Storms__V1__PassRequest request = SIM__STORMS__V1__PASS_REQUEST__INIT;
    Sim__Storms__V1__PassResponse response = SIM__STORMS__V1__PASS_RESPONSE__INIT;
    struct grove_future future;
    uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, sim_draw(SIM_LOAD, 2) == 0 ? 20 : 200);
    unsigned number = play.n_calls + 1;
    int rc;

    if (play.n_calls == CALLS_MAX)
        return false;
    request.call = ++play.n_calls;
    play.calls[number].due_ns = sim.now_ns + timeout_ms * MS_NS;
    grove_within(timeout_ms);
    if (sim_draw(SIM_LOAD, 3) != 0) {
        rc = link_pass_await(play.links[0], &request, &response);
        end_call(number, rc, response.call);
        return rc != GROVE_ECANCELED;
    }
    rc = link_pass_start(play.links[0], &request, &response, &future);
    if (rc != 0) {
        end_call(number, rc, 0);
        return true;
    }
    rc = grove_sleep_await(sim_draw(SIM_LOAD, 30));
    if (rc != 0 || sim_draw(SIM_LOAD, 2) == 0) {
        grove_future_cancel(&future);
        return rc == 0;
    }
    rc = grove_future_await(&future);
    end_call(number, rc, response.call);
    grove_future_cancel(&future); /* The same as in ask_next. */
    return rc != GROVE_ECANCELED;
}

static void client(void *argument)
{
    unsigned n = 1 + sim_draw(SIM_LOAD, 12);

    (void)argument;
    while (n-- > 0 && call_once() && grove_sleep_await(sim_draw(SIM_LOAD, 20)) == 0)
        continue;
    play.n_ended++;
}

/* --- the run -------------------------------------------------------------------------------------- */

static bool is_quiet(void *argument)
{
    unsigned n_given_back = 0;

    (void)argument;
    for (unsigned i = 0; i < LINKS; i++) {
        if (play.n_begun[i] != play.n_booked[i] + play.n_given_back[i])
            return false;
        n_given_back += play.n_given_back[i];
    }
    return n_given_back == play.n_heard;
}

static grove_ref spawn_link(unsigned self)
{
    struct grove_spawn_options options = {.argument_bytes = sizeof self};
    grove_ref ref;

    options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
    options.depth_max = sim_draw(SIM_LOAD, 2) == 0 ? 0 : 1 + sim_draw(SIM_LOAD, 4);
    SIM_CHECK(link_spawn_await(&functions, &self, &options, &ref) == 0, "no link");
    return ref;
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);
    struct grove_pool_options pool = {.n_workers = 1};
    grove_ref clients[CLIENTS_MAX];

    memset(&play, 0, sizeof play);
    pool.n_workers += sim_draw(SIM_LOAD, 2);
    pool.grace_ms = 1 + sim_draw(SIM_LOAD, 50);
    SIM_CHECK(grove_pool_open(&pool, &play.pool) == 0, "no pool: %s", grove_why());
    for (unsigned i = 0; i < LINKS; i++)
        play.links[i] = spawn_link(i);
    play.witness = spawn_link(LINKS);
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(client, NULL, &options, &clients[i]) == 0, "no client");
    }
    for (unsigned n = sim_draw(SIM_LOAD, 4); n > 0; n--) {
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 200)); /* Nobody stops main. */
        /* It may have ended. */
        (void)grove_stop(clients[sim_draw(SIM_LOAD, n_clients)], GROVE_STOP_NOW);
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    (void)grove_sim_until_await(is_quiet, NULL, 60000); /* It fails the seed by itself. */
    SIM_CHECK(play.n_born == LINKS + 1, "%u actors have begun, and there are %u", play.n_born,
              LINKS + 1);
    SIM_CHECK(grove_pool_close_await(play.pool, 0) == 0, "the pool does not close");
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&link_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_storms = {
    .name = "storms",
    .what = "callers that give up in chains down to workers: one outcome, no state lost",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_storms_lent = {
    .name = "storms_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
