/*
 * Sleeps: greenlets on all loops that sleep and are busy by turns, and
 * wait for letters that never come.
 *
 * Nobody goes on before the time. Where looks at the clock take no time and
 * waits end when they should, no sleep is longer than asked for by more than
 * a grain either.
 */
#include <inttypes.h>

#include <grove.h>

#include "tests/sim/simulation.h"

#define SLEEPERS_MAX 12u
#define SLEEPS_MAX   12u
#define GRAIN_NS     3907u

static unsigned n_ended; /* sleepers */

/* Some sleeps are a few ms, so that they meet; some are seconds. */
static uint32_t draw_ms(void)
{
    return 1 + sim_draw(SIM_LOAD, sim_draw(SIM_LOAD, 4) != 0 ? 4 : 1u << sim_draw(SIM_LOAD, 16));
}

/* True if in this seed time passes in waits alone, and those end when they should. */
static bool is_punctual(void)
{
    return sim_mix.late_max_us == 0 && sim_mix.clock_step_ns == 0 && sim_mix.wake_late_us == 0;
}

static void sleep_once_await(unsigned loop)
{
    uint32_t ms = draw_ms();
    uint64_t begin_ns = sim.now_ns, end_ns = begin_ns + ms * UINT64_C(1000000);

    SIM_CHECK(grove_sleep_await(ms) == 0, "a sleep failed");
    sim_note("awake", loop, ms);
    SIM_CHECK(sim.now_ns >= end_ns, "a sleep of %" PRIu32 " ms ended %" PRIu64 " ns too early", ms,
              end_ns - sim.now_ns);
    if (is_punctual())
        SIM_CHECK(sim.now_ns <= end_ns + GRAIN_NS,
                  "a sleep of %" PRIu32 " ms was %" PRIu64 " ns late", ms, sim.now_ns - end_ns);
}

/* Nobody writes to us: the time goes by, or is up at once. */
static void listen_in_vain_await(void)
{
    struct grove_letter letter;
    uint32_t ms = draw_ms();
    uint64_t end_ns = sim.now_ns + ms * UINT64_C(1000000);

    SIM_CHECK(grove_receive_await(ms, &letter) == GROVE_ETIMEDOUT, "there was a letter");
    SIM_CHECK(sim.now_ns >= end_ns, "a timeout of %" PRIu32 " ms came %" PRIu64 " ns too early", ms,
              end_ns - sim.now_ns);
}

static void sleeper(void *argument)
{
    unsigned loop = *(const unsigned *)argument, n = 1 + sim_draw(SIM_LOAD, SLEEPS_MAX);

    for (unsigned i = 0; i < n; i++) {
        switch (sim_draw(SIM_LOAD, 4)) {
        case 0:
            listen_in_vain_await();
            break;
        case 1:
            (void)grove_yield_await(); /* Nobody stops us. */
            break;
        default:
            sleep_once_await(loop);
        }
    }
    n_ended++;
}

static void run(void)
{
    unsigned n = 1 + sim_draw(SIM_LOAD, SLEEPERS_MAX);

    n_ended = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned loop = sim_draw(SIM_LOAD, grove_loops());
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop),
                                              .argument_bytes = sizeof loop};

        SIM_CHECK(grove_go(sleeper, &loop, &options, NULL) == 0, "no sleeper");
    }
    sim_wait_for(&n_ended, n, 600000);
}

/* Half of the seeds are punctual. */
static void prepare(void)
{
    if (sim_draw(SIM_LOAD, 2) != 0)
        return;
    sim_mix.late_max_us = sim_mix.clock_step_ns = sim_mix.wake_late_us = 0;
    sim_option("spin_us", 0); /* Who spins waits for the clock. */
}

const struct sim_simulation sim_sleeps = {
    .name = "sleeps",
    .what = "sleeps and timeouts: none ends too early, and none too late for no reason",
    .run = run,
    .prepare = prepare,
};
