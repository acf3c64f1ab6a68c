#include "actors/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <grove/method.h>

#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/watchdog.h"

struct gv_job *gv_job_new(struct gv_loop *loop, size_t n_bytes)
{
    struct gv_job *job = aligned_alloc(16, (sizeof *job + n_bytes + 15) & ~(size_t)15);

    if (job == NULL)
        return NULL;
    memset(job, 0, sizeof *job);
    memset(job->body, 0, n_bytes);
    job->loop = loop;
    return job;
}

void gv_job_free(struct gv_job *job)
{
    if (job == NULL)
        return;
    if (job->free != NULL)
        job->free(job);
    free(job);
}

static void run(void *argument)
{
    struct gv_job *job = argument;

    job->run(job);
}

static void on_done(void *argument)
{
    struct gv_job *job = argument;

    if (job->left) {
        gv_job_free(job);
        return;
    }
    job->done = true;
    gv_io_wake(job->loop, &job->waiter, 0);
}

/* What a user has called who waits for such a job. */
static const char *const names[] = {
    [GV_BLOCKING_FILES] = "an _await of grove/file.h",
    [GV_BLOCKING_NAMES] = "grove_lookup_await",
    [GV_BLOCKING_USERS] = "grove_blocking_await",
};

static int start(struct gv_job *job, enum gv_blocking kind)
{
    const struct gv_blocking_job asked = {run, on_done, job};
    int rc = job->loop->env->blocking_run(job->loop->poller, kind, &asked);

    return rc == -EAGAIN ? GROVE_EFULL : rc;
}

/* Its waiter will never come back. */
static void leave(struct gv_wait **place)
{
    struct gv_job *job = (struct gv_job *)((char *)place - offsetof(struct gv_job, waiter));

    if (job->done)
        gv_job_free(job);
    else
        job->left = true;
}

int gv_job_await(struct gv_job *job, enum gv_blocking kind, uint32_t deadline_ms, const char *what,
                 const char *name)
{
    struct gv_loop *loop = job->loop;
    int rc = gv_may_park_for(loop, names[kind]);
    bool gone;

    if (rc == 0)
        rc = start(job, kind);
    if (rc != 0) {
        gv_job_free(job);
        return gv_io_failed(loop, rc, what, name);
    }
    rc = gv_io_await_or(loop, &job->waiter, deadline_ms, &gone, leave);
    if (rc == 0)
        return 0;
    leave(&job->waiter); /* It may be done: then somebody else had woken us before. */
    return gv_io_failed(loop, rc, what, name);
}

int gv_job_await_end(struct gv_job *job, enum gv_blocking kind, const char *what, const char *name)
{
    struct gv_loop *loop = job->loop;
    int rc = gv_may_park_for(loop, names[kind]);

    if (rc == 0)
        rc = start(job, kind);
    if (rc != 0) {
        gv_job_free(job);
        return gv_io_failed(loop, rc, what, name);
    }
    while (!job->done) {
        struct gv_wait wait;

        /* A stop ends each wait, and would end the next one before it began. */
        gv_wait_init(loop, &wait, GV_WAIT_THREAD, 0);
        wait.slot = &job->waiter;
        job->waiter = &wait;
        if (gv_sched_keep_dispatcher(loop))
            (void)gv_park_now(loop, &wait); /* job->done says it all. */
        job->waiter = NULL;
    }
    gv_wheel_disarm(&loop->wheel, &job->timer);
    return 0;
}

static void time_over(struct gv_timer *timer)
{
    struct gv_job *job = (struct gv_job *)((char *)timer - offsetof(struct gv_job, timer));
    struct gv_loop *loop = job->loop;
    const struct gv_turn *turn = job->waiter != NULL ? job->waiter->turn : NULL;
    char name[64] = "main";

    if (job->done || turn == NULL)
        return; /* Its end is on its way to the turn. */
    if (turn->task != NULL)
        turn->task->class->describe(turn->task, name, sizeof name);
    gv_log(GV_LOG_ERROR, "stop.stuck",
           "task=%s method=%s since_ms=%u late_ms=%u is=\"in a call on a thread\" exit=%d "
           "advice=\"give what runs there a time limit of its own, or have its argument copied\"",
           name, turn->method != NULL ? turn->method->name : "none",
           loop->now_ms - job->waiter->since_ms, GV_WATCHDOG_LATE_MS, GV_WATCHDOG_STATUS);
    if (loop->log != NULL)
        gv_log_flush(loop->log);
    loop->env->quit(loop->env->world, GV_WATCHDOG_STATUS);
}

void gv_job_end_soon(struct gv_loop *loop, struct gv_wait *wait)
{
    struct gv_job *job = (struct gv_job *)((char *)wait->slot - offsetof(struct gv_job, waiter));

    if (gv_timer_is_armed(&job->timer))
        return;
    gv_timer_init(&job->timer, time_over);
    gv_wheel_arm(&loop->wheel, &job->timer, gv_deadline_in(loop, GV_WATCHDOG_LATE_MS));
}
