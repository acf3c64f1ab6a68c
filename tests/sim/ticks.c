/*
 * Ticks: actors that arm, replace and cancel timers at random, are poked
 * meanwhile, wait in the midst of handlers, and are lent.
 *
 * Each keeps a model of its timers in its state. No tick comes of a timer
 * that was cancelled or replaced, none comes early, one that comes once comes
 * once; a fixed rate keeps its phase, a fixed delay its distance. What was due
 * has come in the end, and after the last cancel comes nothing.
 */
#include <inttypes.h>

#include <grove.h>

#include "tests/sim/simulation.h"
#include "ticks.grove.h"

#define CLOCKS_MAX 4u
#define KEYS       4u
#define POKES_MAX  60u
#define MS_MAX     200u
#define GRAIN_NS   UINT64_C(3907)
#define MS_NS      UINT64_C(1000000)

struct model {
    bool armed;
    enum grove_timer_mode mode;
    uint32_t serial;
    uint64_t period_ns;
    uint64_t begin_ns; /* armed; of a fixed delay: when its last handler began */
    uint64_t n;
};

struct clock {
    struct model models[KEYS];
    uint32_t last_serial;
    bool closed;
    bool busy;
};

static struct {
    grove_ref refs[CLOCKS_MAX];
    unsigned n_ended;
} play;

static void arm(struct clock *me, uint32_t key)
{
    struct model *model = &me->models[key];
    enum grove_timer_mode mode = (enum grove_timer_mode)sim_draw(SIM_LOAD, 3);
    uint32_t ms = sim_draw(SIM_LOAD, MS_MAX) + (mode != GROVE_ONCE);
    Sim__Ticks__V1__TickRequest request = SIM__TICKS__V1__TICK_REQUEST__INIT;
    uint64_t begin_ns = sim.now_ns;
    int rc;

    request.key = key;
    request.serial = ++me->last_serial;
    rc = mode == GROVE_ONCE ? clock_tick_after(key, ms, &request)
                            : clock_tick_every(key, ms, mode, &request);
    SIM_CHECK(rc == 0, "a timer cannot be armed: %s", grove_why());
    sim_note("arms", key, (uint64_t)ms << 8 | (uint64_t)mode);
    *model = (struct model){true, mode, me->last_serial, ms * MS_NS, begin_ns, 0};
}

static void cancel(struct clock *me, uint32_t key)
{
    bool was_armed = grove_timer_cancel(key);

    sim_note("cancels", key, was_armed);
    SIM_CHECK(was_armed == me->models[key].armed, "timer %u: cancel says %d", key, was_armed);
    me->models[key].armed = false;
}

/* What a handler does with its timers. */
static void stir_await(struct clock *me)
{
    uint32_t key = sim_draw(SIM_LOAD, KEYS);

    switch (sim_draw(SIM_LOAD, 8)) {
    case 0:
    case 1:
        arm(me, key);
        break;
    case 2:
        cancel(me, key);
        break;
    case 3:                                                      /* Ticks are queued meanwhile. */
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, MS_MAX)); /* A stop may end it. */
        cancel(me, key);
        break;
    case 4:
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, MS_MAX)); /* The same. */
        arm(me, key);
        break;
    default:
        break;
    }
}

static int poke(struct clock *me, const Sim__Ticks__V1__PokeRequest *request,
                Sim__Ticks__V1__PokeResponse *response)
{
    (void)request;
    (void)response;
    SIM_CHECK(!me->busy, "two handlers at once");
    me->busy = true;
    stir_await(me);
    me->busy = false;
    return 0;
}

/* The moment for which a tick was due is one of its rate. */
static void check_phase(const struct model *model, uint32_t key, uint64_t now_ns)
{
    struct grove_timer_state state;
    uint64_t due_ns, over_ns;

    SIM_CHECK(grove_timer_look(key, &state), "timer %u is not there", key);
    SIM_CHECK(state.n_ticks == model->n, "timer %u has ticked %" PRIu64 " times", key,
              state.n_ticks);
    SIM_CHECK((model->n + state.n_missed) * model->period_ns
                  <= now_ns - model->begin_ns + 2 * GRAIN_NS + 1000,
              "timer %u is ahead of its rate", key);
    due_ns = now_ns - state.late_us * 1000;
    over_ns = (due_ns - model->begin_ns) % model->period_ns;
    if (over_ns > model->period_ns / 2)
        over_ns = model->period_ns - over_ns;
    /* late_us is cut to whole us, and the clock may be read a little later than sim.now_ns. */
    if (sim_mix.clock_step_ns == 0)
        SIM_CHECK(over_ns <= 2 * GRAIN_NS + 1000, "timer %u is %" PRIu64 " ns off its phase", key,
                  over_ns);
}

static int tick(struct clock *me, const Sim__Ticks__V1__TickRequest *request,
                Sim__Ticks__V1__TickResponse *response)
{
    struct model *model = &me->models[request->key];
    uint64_t now_ns = sim.now_ns;

    (void)response;
    sim_note("ticks", request->key, request->serial);
    SIM_CHECK(!me->busy && !me->closed, "a tick comes where none may");
    SIM_CHECK(model->armed && model->serial == request->serial,
              "timer %u: tick of %u, but %u is armed", request->key, request->serial,
              model->armed ? model->serial : 0);
    SIM_CHECK(now_ns >= model->begin_ns + model->period_ns, "timer %u is early", request->key);
    model->n++;
    if (model->mode == GROVE_ONCE)
        model->armed = false;
    else if (model->mode == GROVE_FIXED_RATE)
        check_phase(model, request->key, now_ns);
    else
        model->begin_ns = now_ns;
    me->busy = true;
    stir_await(me);
    me->busy = false;
    return 0;
}

static int do_close(struct clock *me, const Sim__Ticks__V1__CloseRequest *request,
                    Sim__Ticks__V1__CloseResponse *response)
{
    (void)request;
    (void)response;
    for (uint32_t key = 0; key < KEYS; key++) {
        struct model *model = &me->models[key];

        if (model->armed && sim.now_ns > model->begin_ns + model->period_ns + 2000 * MS_NS)
            SIM_CHECK(model->mode != GROVE_ONCE && model->n > 0, "timer %u never came", key);
        cancel(me, key);
    }
    me->closed = true;
    return 0;
}

static const struct clock_service functions = {
    .state_bytes = sizeof(struct clock),
    .poke = poke,
    .tick = tick,
    .close = do_close,
};

static void poker(void *argument)
{
    grove_ref ref = *(const grove_ref *)argument;
    Sim__Ticks__V1__PokeRequest request = SIM__TICKS__V1__POKE_REQUEST__INIT;

    for (unsigned n = sim_draw(SIM_LOAD, POKES_MAX); n > 0; n--) {
        (void)clock_poke_send(ref, &request); /* A full mailbox is one more case. */
        if (sim_draw(SIM_LOAD, 2) == 0)
            (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 50)); /* Nobody stops it. */
    }
    play.n_ended++;
}

static void run(void)
{
    unsigned n = 1 + sim_draw(SIM_LOAD, CLOCKS_MAX);

    play.n_ended = 0;
    for (unsigned i = 0; i < n; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        options.depth_max = 1 + sim_draw(SIM_LOAD, 8);
        SIM_CHECK(clock_spawn(&functions, NULL, &options, &play.refs[i]) == 0, "no clock");
        options =
            (struct grove_spawn_options){.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())),
                                         .argument_bytes = sizeof play.refs[i]};
        SIM_CHECK(grove_go(poker, &play.refs[i], &options, NULL) == 0, "no poker");
    }
    sim_wait_for(&play.n_ended, n, 600000);
    (void)grove_sleep_await(20000); /* main is never stopped. */
    for (unsigned i = 0; i < n; i++) {
        Sim__Ticks__V1__CloseRequest request = SIM__TICKS__V1__CLOSE_REQUEST__INIT;
        Sim__Ticks__V1__CloseResponse response = SIM__TICKS__V1__CLOSE_RESPONSE__INIT;

        grove_within(600000);
        SIM_CHECK(clock_close_await(play.refs[i], &request, &response) == 0, "no close: %s",
                  grove_why());
    }
    (void)grove_sleep_await(2000); /* Whatever came now would be noticed. */
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&clock_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_ticks = {
    .name = "ticks",
    .what = "random timers: never early, never after a cancel, in their phase",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_ticks_lent = {
    .name = "ticks_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
