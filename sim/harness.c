/*
 * Harness: one seed from its first draw to its verdict.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <grove/error.h>
#include <grove/init.h>
#include <grove/sim.h>
#include <grove/task.h>

#include "actors/system.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "sim/door.h"
#include "sim/harness.h"
#include "sim/poller.h"
#include "sim/process.h"
#include "sim/story.h"
#include "sim/thread.h"
#include "sim/worker.h"
#include "sim/world.h"

#define LOOPS_MAX    3u
#define PAUSE_MAX_MS 64u /* between two looks whether all is done */

static void hear(void *listener, enum gv_probe_point point, uint64_t a, uint64_t b)
{
    (void)listener;
    gv_sim_note(gv_probe_name(point), a, b);
    if (gv_sim.trace == GV_SIM_STORY)
        gv_sim_story_probe(point, a, b);
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

/* From the first line of a simulated program's main to its last. */
static void run_program(const struct gv_sim_program *program)
{
    static struct gv_env env;
    int rc;

    env = gv_sim_env;
    env.poller_close = close_poller;
    gv_system_init(&env);
    if (gv_loop_now() == NULL)
        gv_sim_crash("the runtime does not start");
    listen_to_probes();
    program->run(program->argument);
    rc = grove_deinit();
    if (rc != 0)
        gv_sim_crash("grove_deinit says %s", grove_error_name(rc));
    gv_system_deinit();
}

static void register_services(const struct gv_sim_program *program)
{
    for (const struct grove_worker_entry *entry = program->first; entry != program->end; entry++)
        if (entry->service != NULL && grove_service_register(entry->service) != 0)
            gv_sim_crash("%s", grove_why());
    gv_sim_workers_open(program->first, program->end);
}

bool gv_sim_seed_run(const struct gv_sim_program *program, uint64_t seed)
{
    gv_sim_world_open(seed);
    gv_sim_story_open();
    gv_sim_threads_open(gv_sim_processes_open());
    gv_sim_on_spawn(gv_sim_worker_run);
    draw_options();
    register_services(program);
    if (program->prepare != NULL)
        program->prepare();
    run_program(program);
    gv_sim_processes_close();
    gv_sim.runs = false;
    return gv_sim.failed;
}

/* --- inside a run ------------------------------------------------------------------------------- */

bool grove_sim_seed(uint64_t *seed)
{
    if (gv_sim.runs && seed != NULL)
        *seed = gv_sim.seed;
    return gv_sim.runs;
}

bool grove_sim_check(bool condition, const char *format, ...)
{
    char text[512];
    va_list arguments;

    if (condition || !gv_sim.runs)
        return condition;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut reason is still a reason. */
    va_end(arguments);
    gv_sim_fail("%s", text);
    return false;
}

void grove_sim_note(const char *format, ...)
{
    char text[512];
    va_list arguments;

    if (!gv_sim.runs)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut note is still a note. */
    va_end(arguments);
    gv_sim_note(text, 0, 0);
    if (gv_sim.trace == GV_SIM_STORY)
        gv_sim_story_text(text);
}

void grove_sim_pass_ms(uint32_t ms)
{
    if (!gv_sim.runs)
        return;
    if (gv_sim_thread_running()->process->parent != NULL)
        gv_sim_process_work(ms * UINT64_C(1000000));
    else
        gv_sim.now_ns += ms * UINT64_C(1000000);
}

bool grove_sim_until_await(bool (*done)(void *argument), void *argument, uint32_t timeout_ms)
{
    unsigned long long until_ms = grove_now_ms() + timeout_ms;
    uint32_t pause_ms = 1;

    while (!done(argument)) {
        if (grove_now_ms() > until_ms)
            return grove_sim_check(false, "not done after %" PRIu32 " ms", timeout_ms);
        if (grove_sleep_await(pause_ms) != 0)
            return grove_sim_check(false, "main cannot sleep: %s", grove_why());
        /* Main must not be the busiest of all. */
        pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms * 2 : pause_ms;
    }
    return true;
}

struct counted {
    const unsigned *n;
    unsigned n_wanted;
};

static bool have_ended(void *argument)
{
    const struct counted *counted = argument;

    return *counted->n >= counted->n_wanted;
}

void gv_sim_wait_for(const unsigned *n, unsigned n_wanted, uint32_t timeout_ms)
{
    struct counted counted = {n, n_wanted};

    (void)grove_sim_until_await(have_ended, &counted,
                                timeout_ms); /* The check below says it again. */
    GV_SIM_CHECK(*n == n_wanted, "%u have ended instead of %u", *n, n_wanted);
}

/* --- one seed by hand ---------------------------------------------------------------------------- */

static const struct grove_sim_options *options_by_hand;

static void prepare_by_hand(void)
{
    if (options_by_hand->calm)
        grove_sim_allow(0);
    if (options_by_hand->loops != 0)
        gv_sim_option("loops", options_by_hand->loops);
}

void grove_sim_run_with(uint64_t seed, const struct grove_sim_options *options, void (*run)(void *),
                        void *argument, struct grove_sim_result *result)
{
    static struct gv_sim_report report;
    struct gv_sim_program program = {.run = run,
                                     .argument = argument,
                                     .prepare = prepare_by_hand,
                                     .first = options->first,
                                     .end = options->end};

    options_by_hand = options;
    gv_sim.report = &report;
    gv_sim.pct = options->priorities;
    gv_sim.trace = options->trace ? GV_SIM_STORY : GV_SIM_SILENT;
    gv_sim.prints_crash = true;
    result->failed = gv_sim_seed_run(&program, seed);
    gv_sim.prints_crash = false;
    result->hash = gv_sim.hash;
    result->passed_ns = gv_sim.now_ns - gv_sim.began_ns;
    (void)snprintf(result->why, sizeof result->why, "%.255s",
                   report.why); /* A cut reason will do. */
}
