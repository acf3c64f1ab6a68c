#include "actors/thread.h"

#include <stdlib.h>
#include <string.h>

#include <grove/memory.h>
#include <grove/method.h>

#include "actors/job.h"
#include "actors/mail.h"
#include "runtime/usage.h"

struct thread_call {
    struct grove_thunk thunk;
    struct grove_answer answer; /* given to the thunk if somebody waits */
    bool wanted;
    const struct grove_shape *shape;
    void *copied; /* the response, on the heap */
    struct grove_failure failure;
    char why[GV_WHY_BYTES];
};

static struct thread_call *thread_call_of(struct gv_job *job)
{
    return (struct thread_call *)(void *)job->body;
}

/* --- on the thread ---------------------------------------------------------------------------- */

static int put(struct grove_answer *answer, const struct grove_shape *shape,
               const ProtobufCMessage *response)
{
    struct thread_call *call =
        (struct thread_call *)((char *)answer - offsetof(struct thread_call, answer));
    size_t bytes = grove_shape_bytes(shape, response);

    if (bytes > GV_BLOCK_BYTES_MAX)
        return bytes == SIZE_MAX ? GROVE_EUSAGE : GROVE_ETOOBIG;
    call->copied = aligned_alloc(16, (bytes + 16) & ~(size_t)15);
    if (call->copied == NULL)
        return GROVE_ENOMEM;
    shape->copy(call->copied, response);
    call->shape = shape;
    return 0;
}

static void run_thunk(void *argument)
{
    struct gv_job *job = argument;
    struct thread_call *call = thread_call_of(job);
    const struct grove_thunk *thunk = &call->thunk;

    (void)gv_failed(0, NULL); /* What ran on this thread before has left no reason. */
    job->rc = thunk->run(thunk->functions, thunk->state, thunk->body,
                         call->wanted ? &call->answer : NULL);
    call->failure = *grove_failure();
    memcpy(call->why, call->failure.text, strlen(call->failure.text) + 1);
}

static void run(struct gv_job *job)
{
    gv_memory_borrow(run_thunk, job);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void free_copied(struct gv_job *job)
{
    free(thread_call_of(job)->copied);
}

static int take_response(const struct thread_call *call, struct grove_answer *answer)
{
    ProtobufCMessage *response;

    if (answer == NULL || call->shape == NULL)
        return 0;
    response = grove_alloc(call->shape->descriptor->sizeof_message);
    if (response == NULL)
        return GROVE_ENOMEM;
    call->shape->open(response, call->copied);
    return grove_answer_put(answer, call->shape, response);
}

/* What the function noted, as if it had run here. */
static int take_failure(const struct thread_call *call, int rc)
{
    if (call->failure.code != rc || call->why[0] == '\0')
        return rc;
    if (rc > 0)
        return grove_refuse(rc, "%s", call->why);
    if (rc == GROVE_EDOWN && call->failure.class == GROVE_FAILED)
        return grove_fail("%s", call->why);
    return gv_io_refused(gv_loop_here, rc, "%s", call->why);
}

int grove_thread_await(const struct grove_thunk *thunk, struct grove_answer *answer)
{
    struct gv_loop *loop = gv_io_loop();
    struct thread_call *call;
    struct gv_job *job;
    int rc;

    if (loop == NULL) /* A unit test calls the handler as the plain function that it is. */
        return thunk->run(thunk->functions, thunk->state, thunk->body, answer);
    job = gv_job_new(loop, sizeof *call);
    if (job == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "run on a thread", "");
    call = thread_call_of(job);
    job->run = run;
    job->free = free_copied;
    call->thunk = *thunk;
    call->wanted = answer != NULL;
    call->answer.put = put;
    rc = gv_job_await_end(job, GV_BLOCKING_USERS, "run", loop->turn->method->name);
    if (rc != 0)
        return rc;
    rc = job->rc == 0 ? take_response(call, answer) : take_failure(call, job->rc);
    gv_job_free(job);
    return rc;
}
