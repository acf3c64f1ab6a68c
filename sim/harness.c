/*
 * Harness: one seed from its first draw to its verdict.
 */
#include <inttypes.h>
#include <stdio.h>

#include <grove/error.h>
#include <grove/init.h>
#include <grove/task.h>

#include "actors/system.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "sim/door.h"
#include "sim/harness.h"
#include "sim/poller.h"
#include "sim/process.h"
#include "sim/thread.h"
#include "sim/world.h"

#define LOOPS_MAX    3u
#define PAUSE_MAX_MS 64u /* between two looks whether all is done */

static void hear(void *listener, enum gv_probe_point point, uint64_t a, uint64_t b)
{
    static const char *const names[GV_PROBE_COUNT] = {
        "send",    "drop",  "turn",     "turn end",  "park", "resume", "reply", "spawn", "stop",
        "restart", "timer", "frame in", "frame out", "job",  "commit", "lend",  "home",
    };

    (void)listener;
    gv_sim_note(names[point], a, b);
}

static void listen_to_probes(void)
{
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        gv_runtime.loops[i]->probes = (struct gv_probes){.on = UINT32_MAX, .sink = hear};
}

void gv_sim_option(const char *name, int64_t value)
{
    char text[32], error[GV_OPTION_ERROR_BYTES];

    (void)snprintf(text, sizeof text, "%" PRId64, value); /* A number always fits. */
    if (gv_option_set(name, text, error) != 0)
        gv_sim_crash("%s", error);
}

/* How the runtime is set up is part of what a seed decides. */
static void draw_options(void)
{
    gv_options_reset();
    gv_sim_option("loops", 1 + gv_sim_draw(GV_SIM_LOAD, LOOPS_MAX));
    gv_sim_option("shuffle", gv_sim_draw(GV_SIM_LOAD, 4) != 0);
    gv_sim_option("handover", gv_sim_draw(GV_SIM_LOAD, 4) != 0);
    gv_sim_option("inline", gv_sim_draw(GV_SIM_LOAD, 3));
    gv_sim_option("turn_clock", gv_sim_draw(GV_SIM_LOAD, 4) == 0);
    gv_sim_option("spin_us", gv_sim_draw(GV_SIM_LOAD, 4) == 0 ? 20 : 0);
    gv_sim_option("tick_us", 1 + gv_sim_draw(GV_SIM_LOAD, 200));
    gv_sim_option("log_level", 4);
    gv_sim_option("lend", gv_sim_draw(GV_SIM_LOAD, 3) == 0 ? 0 : 2);
}

/*
 * Blocks of slabs and parked stacks are asserted to be home when their loop
 * closes. Of large messages only the sum over the loops says something, and
 * the first loop that closes its poller still sees them all.
 */
static void close_poller(struct gv_poller *poller)
{
    int64_t n = 0;

    for (unsigned i = 0; poller->loop == 0 && i < gv_runtime.n_loops; i++)
        n += gv_runtime.loops[i]->blocks.n_heap;
    GV_SIM_CHECK(n == 0, "%" PRId64 " large messages are left", n);
    gv_sim_poller_close(poller);
}

static void run_program(const struct gv_sim_simulation *simulation)
{
    static struct gv_env env;
    int rc;

    env = gv_sim_env;
    env.poller_close = close_poller;
    gv_system_init(&env);
    if (gv_loop_now() == NULL)
        gv_sim_crash("the runtime does not start");
    listen_to_probes();
    simulation->run();
    rc = grove_deinit();
    if (rc != 0)
        gv_sim_crash("grove_deinit says %s", grove_error_name(rc));
    gv_system_deinit();
}

bool gv_sim_seed_run(const struct gv_sim_simulation *simulation, uint64_t seed)
{
    gv_sim_world_open(seed);
    gv_sim_threads_open(gv_sim_processes_open());
    draw_options();
    if (simulation->prepare != NULL)
        simulation->prepare();
    run_program(simulation);
    gv_sim_processes_close();
    return gv_sim.failed;
}

void gv_sim_wait_for(const unsigned *n, unsigned n_wanted, uint32_t timeout_ms)
{
    unsigned long long until_ms = grove_now_ms() + timeout_ms;
    uint32_t pause_ms = 1;

    while (*n < n_wanted) {
        if (grove_now_ms() > until_ms) {
            gv_sim_fail("only %u of %u have ended after %" PRIu32 " ms", *n, n_wanted, timeout_ms);
            return;
        }
        GV_SIM_CHECK(grove_sleep_await(pause_ms) == 0, "main cannot sleep");
        /* Main must not be the busiest of all. */
        pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms * 2 : pause_ms;
    }
    GV_SIM_CHECK(*n == n_wanted, "%u have ended instead of %u", *n, n_wanted);
}
