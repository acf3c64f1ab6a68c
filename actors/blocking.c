#include <grove/blocking.h>

#include <string.h>

#include "actors/job.h"
#include "actors/verb.h"
#include "runtime/usage.h"

struct blocking {
    grove_blocking_fn function;
    void *argument;
    _Alignas(16) unsigned char copied[];
};

static struct blocking *blocking_of(struct gv_job *job)
{
    return (struct blocking *)(void *)job->body;
}

static void run(struct gv_job *job)
{
    struct blocking *blocking = blocking_of(job);

    job->rc = blocking->function(blocking->argument);
}

int grove_blocking_await(grove_blocking_fn function, void *argument, size_t argument_bytes)
{
    struct gv_loop *loop = gv_io_loop();
    struct blocking *blocking;
    struct gv_job *job;
    int rc;

    if (loop == NULL)
        return gv_usage_wait("grove_blocking_await");
    if (function == NULL || argument_bytes > GROVE_BLOCKING_BYTES_MAX
        || (argument == NULL && argument_bytes > 0))
        return gv_usage("grove_blocking_await: %s",
                        function == NULL   ? "there is no function"
                        : argument == NULL ? "the argument is NULL; say so with 0 bytes"
                                           : "at most 1 MiB is copied; pass a pointer, with 0 "
                                             "bytes");
    job = gv_job_new(loop, sizeof *blocking + argument_bytes);
    if (job == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "run what blocks", "");
    blocking = blocking_of(job);
    job->run = run;
    blocking->function = function;
    blocking->argument = argument;
    if (argument_bytes > 0)
        blocking->argument = memcpy(blocking->copied, argument, argument_bytes);
    rc = argument_bytes > 0
             ? gv_job_await(job, GV_BLOCKING_USERS, gv_io_deadline(loop), "run what blocks", "")
             : gv_job_await_end(job, GV_BLOCKING_USERS, "run what blocks", "");
    if (rc != 0)
        return rc;
    rc = job->rc;
    if (argument_bytes > 0)
        memcpy(argument, blocking->copied, argument_bytes);
    gv_job_free(job);
    /* Nobody but the function knows why; the words of an older failure do not. */
    return rc < 0 ? gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_YES, NULL) : rc;
}
