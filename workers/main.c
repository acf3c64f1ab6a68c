/*
 * The worker process: a worker on the real world, whose jobs run on the main
 * stack, inside main's turn, each in a scope of its own.
 */
#include <stdlib.h>

#include <grove/error.h>
#include <grove/init.h>
#include <grove/memory.h>

#include "actors/actor.h"
#include "actors/system.h"
#include "actors/verb.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/shield.h"
#include "workers/host_worker.h"
#include "workers/page.h"
#include "workers/progress.h"
#include "workers/served.h"
#include "workers/worker.h"

#define STATUS_FAILED 1
#define POLL_EVERY_NS 200000u /* while jobs run: how old a look at the link may be */

#define WARM_JOBS 16u       /* after which memory should grow no more */
#define MEMORY_NS 50000000u /* between two looks at it */

/* What a job leaves behind is undone here. */
struct around {
    struct gv_loop *loop;
    struct grove_scope scope;
    uint32_t cpu_s;      /* of one job, 0 = no limit */
    unsigned n_jobs;     /* until WARM_JOBS */
    uint64_t warm_bytes; /* in memory, when it was warm */
    uint64_t looked_ns;  /* at its memory */
};

static struct gv_worker *serving;
static struct gv_progress_said said;

static bool is_given_up(void)
{
    return gv_worker_is_given_up(serving);
}

/* Threads that a job has started for itself are nobody's. */
static struct gv_worker *serving_here(struct gv_progress_said **its_said)
{
    *its_said = &said;
    return gv_loop_here != NULL ? serving : NULL;
}

static void begin_job(void *owner, const struct grove_method *method, uint64_t deadline_ns)
{
    struct around *around = owner;
    struct gv_turn *turn = around->loop->turn;

    grove_scope_begin(&around->scope);
    turn->method = method;
    turn->deadline_ms = deadline_ns != 0 ? gv_epoch_ms(deadline_ns) : 0;
    turn->within_ms = 0;
    turn->odd = 0;
    turn->refused_by = NULL;
    turn->failure = (struct grove_failure){.text = turn->why};
    turn->why[0] = '\0';
    if (around->cpu_s != 0)
        gv_host_worker_limit_cpu(around->cpu_s);
}

static int end_job(void *owner, int code, const char **text)
{
    struct around *around = owner;
    struct gv_turn *turn = around->loop->turn;

    gv_turn_settle(around->loop, turn);
    if (turn->n_shields > 0)
        gv_shields_end(around->loop, turn);
    if (gv_turn_has_failed(turn))
        code = GROVE_EDOWN;
    else if (code > 0)
        code = gv_turn_check_refusal(turn, turn->method, code);
    if (code != 0 && (turn->failure.code == code || code == GROVE_EFOREIGN))
        *text = turn->why;
    grove_scope_end(&around->scope);
    turn->deadline_ms = 0;
    return code;
}

/* Between two jobs, now and then: what memory they have left behind. */
static void weigh(struct around *around, uint64_t now_ns)
{
    uint64_t bytes;

    around->n_jobs += around->n_jobs < WARM_JOBS;
    if (around->n_jobs < WARM_JOBS
        || (around->looked_ns != 0 && now_ns - around->looked_ns < MEMORY_NS))
        return;
    around->looked_ns = now_ns;
    bytes = gv_host_worker_memory();
    if (around->warm_bytes == 0)
        around->warm_bytes = bytes;
    /* relaxed: a figure that stands for itself. */
    atomic_store_explicit(&gv_worker_status(serving)->grown_bytes,
                          bytes > around->warm_bytes ? bytes - around->warm_bytes : 0,
                          memory_order_relaxed);
}

static uint64_t run_one(struct gv_worker *worker, struct around *around)
{
    uint64_t now_ns = gv_worker_run_one(worker);

    weigh(around, now_ns);
    return now_ns;
}

static void serve(struct gv_worker *worker, const struct gv_worker_options *options)
{
    const struct gv_env *env = options->env;

    while (!gv_worker_has_ended(worker)) {
        uint64_t looked_ns;

        env->poller_poll(options->poller, gv_worker_can_run(worker) ? 0 : -1);
        looked_ns = env->now_ns(env->world);
        while (gv_worker_can_run(worker)
               && run_one(worker, options->hooks.owner) - looked_ns < POLL_EVERY_NS)
            continue;
    }
}

bool gv_worker_is_meant(void)
{
    return getenv(GV_WORKER_VARIABLE) != NULL;
}

static int begin(struct around *around, const struct gv_env *env)
{
    char error[GV_OPTION_ERROR_BYTES];
    int rc = gv_option_set("loops", "1", error);

    if (rc == 0)
        rc = gv_option_set("stall", "off",
                           error); /* Jobs are long by trade, and nobody waits for this loop. */
    if (rc != 0)
        return rc;
    gv_system_init(env);
    around->loop = gv_loop_now();
    return around->loop != NULL ? 0 : GROVE_ENOMEM;
}

/* The limits hold before the first byte of a job is read; what the warm-up loads is not charged. */
static int open_warm(const struct gv_worker_options *options, struct gv_worker **worker)
{
    struct around *around = options->hooks.owner;
    const struct gv_worker_page *page;
    int rc = gv_served_warm_up(options->first, options->end);

    if (rc != 0) {
        gv_log(GV_LOG_ERROR, "worker.warm_up", "error=%s code=%d", grove_error_name(rc), rc);
        return rc;
    }
    rc = gv_worker_open(options, worker);
    if (rc != 0)
        return rc;
    page = gv_worker_status(*worker);
    around->cpu_s = page->cpu_s;
    if (page->memory_max != 0)
        rc = gv_host_worker_limit_memory(page->memory_max);
    if (rc != 0)
        gv_worker_close(*worker);
    return rc;
}

int gv_worker_main(const struct grove_worker_entry *first, const struct grove_worker_entry *end)
{
    struct around around = {.loop = NULL};
    struct gv_worker_options options = {
        .env = gv_env_host(),
        .page_fd = GV_WORKER_PAGE_FD,
        .first = first,
        .end = end,
        .hooks = {.begin = begin_job, .end = end_job, .owner = &around},
    };
    struct gv_worker *worker;
    int rc;

    gv_host_worker_begin();
    /* Programs that a job starts are not workers. */
    (void)unsetenv(GV_WORKER_VARIABLE);
    rc = begin(&around, options.env);
    if (rc == 0)
        rc = options.env->poller_open(options.env->world, 0, &options.poller);
    if (rc == 0)
        rc = open_warm(&options, &worker);
    if (rc != 0) {
        gv_log(GV_LOG_ERROR, "worker.start", "error=%s why=\"%s\"", grove_error_name(rc),
               grove_error_text(rc));
        return STATUS_FAILED;
    }
    serving = worker;
    gv_job_is_given_up = is_given_up;
    gv_progress_worker = serving_here;
    serve(worker, &options);
    gv_worker_hang_up(worker);
    gv_worker_close(worker);
    options.env->poller_close(options.poller);
    return 0;
}
