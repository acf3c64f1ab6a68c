#include "sim/worker.h"
#include "runtime/usage.h"

#include <string.h>

#include <grove/error.h>

#include "sim/chance.h"
#include "sim/door.h"
#include "sim/process.h"
#include "sim/thread.h"
#include "sim/world.h"
#include "workers/page.h"
#include "workers/progress.h"
#include "workers/served.h"
#include "workers/worker.h"

#define STATUS_FAILED 1
#define PAUSE_US      20u /* after a job */

static const struct grove_worker_entry *first_entry, *end_entry;

void gv_sim_workers_open(const struct grove_worker_entry *first,
                         const struct grove_worker_entry *end)
{
    first_entry = first;
    end_entry = end;
}

/* The process, and what it runs. */
struct around {
    struct gv_process *self;
    const struct grove_method *method;
    struct gv_worker *worker;
    struct gv_progress_said said;
};

/* The worker whose job this code is part of: many processes share one address space here. */
static struct gv_worker *serving(struct gv_progress_said **said)
{
    const struct gv_sim_thread *thread = gv_sim_thread_running();
    struct around *around =
        thread != NULL && thread->process != NULL ? thread->process->work : NULL;

    if (around == NULL)
        return NULL;
    *said = &around->said;
    return around->worker;
}

static void begin_job(void *owner, const struct grove_method *method, uint64_t deadline_ns)
{
    struct around *around = owner;

    (void)deadline_ns;
    around->method = method;
    (void)gv_failed(0, NULL); /* Forgets the reason of the job before; returns its code. */
    around->self->phase = GV_SIM_BUSY;
}

/* As in a real worker: a refusal is of the service's own enum. */
static bool is_foreign(const struct grove_method *method, int code)
{
    return code > 0 && method->refusals != NULL
           && protobuf_c_enum_descriptor_get_value(method->refusals, code) == NULL;
}

static int end_job(void *owner, int code, const char **text)
{
    const struct around *around = owner;

    /* The record outside of any turn is shared with the other workers: read it before they run. */
    static char why[256];
    bool has_reason = code != 0 && grove_failure()->code == code;

    if (has_reason)
        (void)strncpy(why, grove_failure()->text, sizeof why - 1); /* A cut reason is still one. */
    *text = has_reason ? why : NULL;
    return is_foreign(around->method, code) ? GROVE_EFOREIGN : code;
}

int gv_sim_worker_run(struct gv_process *self)
{
    struct around around = {.self = self};
    struct gv_worker_options options = {.env = &gv_sim_env,
                                        .page_fd = GV_WORKER_PAGE_FD,
                                        .first = first_entry,
                                        .end = end_entry,
                                        .hooks = {begin_job, end_job, &around}};
    struct gv_worker *worker;

    if (gv_served_warm_up(first_entry, end_entry) != 0)
        return STATUS_FAILED;
    if (gv_sim_env.poller_open(NULL, 0, &options.poller) != 0)
        return STATUS_FAILED;
    if (gv_worker_open(&options, &worker) != 0)
        return STATUS_FAILED;
    around.worker = worker;
    self->work = &around;
    gv_progress_worker = serving;
    while (!gv_worker_has_ended(worker)) {
        gv_sim_env.poller_poll(options.poller, gv_worker_can_run(worker) ? 0 : -1);
        if (!gv_worker_can_run(worker))
            continue;
        (void)gv_worker_run_one(worker); /* When it ended is of no interest here. */
        /* Its work is done, its answer is still here. */
        gv_sim_process_work(gv_sim_delay_ns(PAUSE_US));
        self->phase = GV_SIM_IDLE;
    }
    self->work = NULL;
    gv_worker_close(worker);
    return 0;
}
