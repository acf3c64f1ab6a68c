/*
 * Kin: random trees of actors that spawn actors, on all loops, while some
 * stop, some fail, some are begun anew, and some call whoever they like.
 *
 * No deinit runs twice, or without an init before it. When the deinit of an
 * incarnation begins nobody that it spawned is left, whatever has become of
 * him. When all is quiet and the roots are stopped, siblings end in reverse
 * order, one after the other. No call hangs.
 */
#include <inttypes.h>

#include <grove.h>

#include "kin.grove.h"
#include "tests/sim/simulation.h"

#define NODES_MAX   160u
#define ROOTS_MAX   4u
#define CLIENTS_MAX 4u
#define LATE_MS \
    12000u /* after a deadline of at most 300: children of one that has failed take up to 5 s */
#define NOBODY UINT32_MAX

enum what { GROW, NAP, CALL, SHIELDED, FAIL, N_WHATS };

/* One incarnation of an actor; the argument of the first one is its number. */
struct sprout {
    uint32_t number;
};

static struct {
    struct {
        grove_ref ref;
        uint32_t parent; /* NOBODY: main, or it is detached */
        bool living;     /* init has begun, deinit has not returned */
        bool ending;     /* deinit has begun */
    } nodes[NODES_MAX];
    uint32_t n, n_inits, n_deinits;
    unsigned n_ended; /* clients */
    bool quiet;       /* from here on order counts */
} play;

static int begin(struct sprout *me, const void *argument)
{
    me->number = (uint32_t)(uintptr_t)argument;
    sim_note("begins", me->number, 0);
    SIM_CHECK(!play.nodes[me->number].living, "two incarnations of %u at once", me->number);
    play.nodes[me->number].living = true;
    play.nodes[me->number].ending = false;
    play.n_inits++;
    return 0;
}

/* Nobody who is younger and has the same parent is left. */
static void check_order(uint32_t number)
{
    uint32_t parent = play.nodes[number].parent;

    for (uint32_t i = number + 1; parent != NOBODY && i < play.n; i++)
        SIM_CHECK(play.nodes[i].parent != parent || !play.nodes[i].living,
                  "%u ends before %u, which its parent %u has spawned later", number, i, parent);
}

static void end(struct sprout *me)
{
    uint32_t number = me->number;

    sim_note("ends", number, 0);
    SIM_CHECK(play.nodes[number].living && !play.nodes[number].ending, "deinit of %u runs twice",
              number);
    play.nodes[number].ending = true;
    for (uint32_t i = 0; i < play.n; i++) {
        SIM_CHECK(play.nodes[i].parent != number || !play.nodes[i].living,
                  "%u ends, and its child %u lives", number, i);
        if (play.nodes[i].parent == number)
            play.nodes[i].parent =
                NOBODY; /* It was of this incarnation, and may be unborn for good. */
    }
    if (play.quiet)
        check_order(number);
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 5)); /* It ends, however. */
    play.nodes[number].living = false;
    play.n_deinits++;
}

static int act(struct sprout *me, const Sim__Kin__V1__ActRequest *request,
               Sim__Kin__V1__ActResponse *response);

static const struct sprout_service functions = {
    .state_bytes = sizeof(struct sprout), .init = begin, .deinit = end, .act = act};

static uint32_t choose_place(void)
{
    return sim_draw(SIM_LOAD, 2) == 0 ? GROVE_HERE
                                      : (uint32_t)GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
}

static void grow(uint32_t parent)
{
    for (unsigned n = 1 + sim_draw(SIM_LOAD, 3); n > 0 && play.n < NODES_MAX; n--) {
        uint32_t number = play.n++;
        struct grove_spawn_options options = {.place = (int)choose_place()};
        int rc;

        options.detached = sim_draw(SIM_LOAD, 12) == 0;
        play.nodes[number].parent = options.detached ? NOBODY : parent;
        rc = sprout_spawn(&functions, (void *)(uintptr_t)number, &options, &play.nodes[number].ref);
        SIM_CHECK(rc == 0, "no child: %s", grove_why());
        sim_note("spawns", parent, number);
    }
}

/* A call to whoever it is; it ends in time. */
static void call(uint32_t what)
{
    Sim__Kin__V1__ActRequest request = SIM__KIN__V1__ACT_REQUEST__INIT;
    Sim__Kin__V1__ActResponse response = SIM__KIN__V1__ACT_RESPONSE__INIT;
    uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, 300), whom = sim_draw(SIM_LOAD, play.n);
    uint64_t begin_ns = sim.now_ns;
    int rc;

    request.what = what;
    grove_within(timeout_ms);
    rc = sprout_act_await(play.nodes[whom].ref, &request, &response);
    sim_note("called", whom, (uint64_t)(int64_t)rc);
    SIM_CHECK(sim.now_ns - begin_ns < (timeout_ms + LATE_MS) * UINT64_C(1000000),
              "a call to %u hangs", whom);
}

static int act(struct sprout *me, const Sim__Kin__V1__ActRequest *request,
               Sim__Kin__V1__ActResponse *response)
{
    uint32_t number = me->number;

    (void)response;
    SIM_CHECK(play.nodes[number].living && !play.nodes[number].ending,
              "%u has a turn and does not live", number);
    switch ((enum what)request->what) {
    case GROW:
        grow(number);
        return 0;
    case NAP:
        return grove_sleep_await(1 + sim_draw(SIM_LOAD, 50));
    case CALL:
        call(sim_draw(SIM_LOAD, N_WHATS));
        return 0;
    case SHIELDED:
        if (grove_shield_begin(500) != 0)
            return 0;
        call(sim_draw(SIM_LOAD, N_WHATS));
        grove_shield_end();
        return 0;
    default:
        return sim_draw(SIM_LOAD, 3) == 0 ? grove_fail("as the seed says") : 0;
    }
}

static void client(void *argument)
{
    (void)argument;
    for (unsigned n = sim_draw(SIM_LOAD, 30); n > 0; n--) {
        uint32_t what = sim_draw(SIM_LOAD, N_WHATS + 2);

        call(what < N_WHATS ? what : GROW);
        if (sim_draw(SIM_LOAD, 12) == 0) {
            uint32_t whom = sim_draw(SIM_LOAD, play.n), mode = sim_draw(SIM_LOAD, 3);

            sim_note("stops", whom, mode);
            /* Gone already is as good. */
            (void)grove_stop(play.nodes[whom].ref, (enum grove_stop_mode)mode);
        }
    }
    play.n_ended++;
}

/* A few trunks: of a supervisor, or of nobody. */
static grove_ref plant(unsigned n_roots)
{
    struct grove_child child = {.service = &sprout_service_table, .functions = &functions};
    grove_ref supervisor = GROVE_NOBODY;

    child.rule.restarts_max = 64;
    SIM_CHECK(grove_supervise(NULL, &supervisor) == 0, "no supervisor");
    for (unsigned i = 0; i < n_roots; i++) {
        uint32_t number = play.n++;
        int rc;

        play.nodes[number].parent = NOBODY;
        child.argument = (void *)(uintptr_t)number;
        child.options.place = (int)choose_place();
        rc =
            sim_draw(SIM_LOAD, 2) == 0
                ? grove_supervisor_add(supervisor, &child, &play.nodes[number].ref)
                : sprout_spawn(&functions, child.argument, &child.options, &play.nodes[number].ref);
        SIM_CHECK(rc == 0, "no root: %s", grove_why());
    }
    return supervisor;
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX), n_roots;
    grove_ref supervisor;

    play.n = play.n_inits = play.n_deinits = play.n_ended = 0;
    play.quiet = false;
    for (unsigned i = 0; i < NODES_MAX; i++)
        play.nodes[i].living = play.nodes[i].ending = false;
    n_roots = 1 + sim_draw(SIM_LOAD, ROOTS_MAX);
    supervisor = plant(n_roots);
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place = (int)choose_place()};

        SIM_CHECK(grove_go(client, NULL, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    SIM_CHECK(grove_sleep_await(30000) == 0, "no rest");
    play.quiet = true;
    SIM_CHECK(grove_stop_await(supervisor, GROVE_STOP_NOW) == 0, "it does not end: %s",
              grove_why());
    for (unsigned i = 0; i < n_roots; i++)
        (void)grove_stop_await(play.nodes[i].ref, GROVE_STOP_DRAIN); /* Gone already is as good. */
    for (unsigned i = n_roots; i < play.n; i++)
        if (play.nodes[i].parent == NOBODY)
            (void)grove_stop_await(play.nodes[i].ref, GROVE_STOP_NOW);
    for (unsigned i = 0; i < play.n; i++)
        SIM_CHECK(!play.nodes[i].living, "%u is left behind", i);
    SIM_CHECK(play.n_inits == play.n_deinits, "%u inits, %u deinits", play.n_inits, play.n_deinits);
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&sprout_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_kin = {
    .name = "kin",
    .what = "trees of actors that spawn, stop and fail: nobody is left behind",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_kin_lent = {
    .name = "kin_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
