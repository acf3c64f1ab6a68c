#include "workers/worker.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/verb.h"
#include "links/link.h"
#include "proto/codec.h"
#include "runtime/assert.h"
#include "workers/gate.h"
#include "workers/given.h"
#include "workers/page.h"
#include "workers/request.h"
#include "workers/served.h"
#include "workers/slab.h"

#define UNFLUSHED_NS        300000u
#define UNWRITTEN_BYTES_MAX (64u << 10) /* answers on their way while a job begins */
#define TOLD_BYTES_MAX      1024u       /* by the running job, behind a write in flight */
#define SCRATCH_BYTES_KEEP  (256u << 10)

/* A job that waits. */
struct task {
    struct task *next;
    struct gv_frame frame;
    uint64_t seq;
    uint64_t deadline_ns; /* 0 = none */
    bool cancelled;
    uint8_t body[];
};

struct gv_worker {
    const struct gv_env *env;
    struct gv_poller *poller;
    struct gv_worker_hooks hooks;
    struct gv_page page;
    struct gv_worker_page *status;
    uint64_t job;         /* the running one, 0 = none */
    uint64_t deadline_ns; /* of the running job, 0 = none */
    struct gv_link link;
    struct gv_served served;
    struct gv_gate gate; /* of the running stream */
    struct task *head, *tail;
    uint64_t n_came;       /* CALLs ever: the seq of the newest */
    uint64_t now_ns;       /* when the last job ended: a look at the clock is not free */
    uint64_t unflushed_ns; /* when the oldest answer not yet flushed was made; 0 = none */
    struct gv_slab_user slab;
    struct gv_request request; /* of the running job */
    struct gv_bytes answer;    /* packed */
    bool draining;
    bool ended;
};

/* --- answers -------------------------------------------------------------------------------------- */

/* Where a thunk's response goes. */
struct packer {
    struct grove_answer answer;
    struct gv_worker *worker;
};

static int put_answer(struct grove_answer *answer, const struct grove_shape *shape,
                      const ProtobufCMessage *response)
{
    struct gv_worker *worker = ((struct packer *)answer)->worker;

    (void)shape;
    return gv_given_take(&worker->answer, &worker->slab, response, "response");
}

/* What is sent back about one job. */
struct outcome {
    int code;
    enum grove_started started;
    const char *text;
    uint64_t took_ns;
};

static int pack_failure(struct gv_worker *worker, const struct outcome *outcome)
{
    Grove__Link__V1__Failure failure = GROVE__LINK__V1__FAILURE__INIT;

    failure.code = outcome->code;
    if (outcome->text != NULL)
        failure.text = (char *)outcome->text;
    return gv_given_pack(&worker->answer, NULL, &failure.base);
}

/* The body of the answer, and its flag. Returns false if there is no memory for one. */
static bool answer_body(struct gv_worker *worker, const struct outcome *outcome,
                        struct gv_frame *frame)
{
    if (outcome->code != 0) {
        gv_slab_user_give(&worker->slab); /* It failed after it had a response. */
        if (pack_failure(worker, outcome) != 0)
            return false;
    }
    if (worker->slab.has_piece) {
        frame->flags |= GV_FRAME_SLAB;
        frame->body = gv_slab_user_sum(&worker->slab);
        frame->body_bytes = GV_SLAB_WIRE_BYTES;
        gv_slab_user_sent(&worker->slab);
        return true;
    }
    frame->body = worker->answer.bytes;
    frame->body_bytes = worker->answer.n_bytes;
    return true;
}

static void send_answer(struct gv_worker *worker, const struct task *task,
                        const struct outcome *outcome)
{
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE};
    enum grove_class class = outcome->code == 0  ? GROVE_DONE
                             : outcome->code > 0 ? GROVE_REFUSED
                                                 : GROVE_FAILED;

    frame.call = task->frame.call;
    frame.aux = gv_frame_outcome(class, outcome->started, (unsigned)abs(outcome->code));
    frame.budget_us =
        outcome->took_ns / 1000 < UINT32_MAX ? (uint32_t)(outcome->took_ns / 1000) : UINT32_MAX;
    if (!answer_body(worker, outcome, &frame)
        || gv_link_send(&worker->link, &frame, frame.body, frame.body_bytes) != 0) {
        /* A pool that never hears of a job would wait for ever: it shall see our end instead. */
        gv_link_close(&worker->link);
        return;
    }
    worker->link.mark = task->seq;
    if (worker->unflushed_ns == 0)
        worker->unflushed_ns = worker->now_ns;
    if (worker->answer.room_bytes > SCRATCH_BYTES_KEEP)
        gv_bytes_free(&worker->answer);
}

static void flush(struct gv_worker *worker)
{
    gv_link_flush(&worker->link);
    worker->unflushed_ns = 0;
    /* relaxed: for reports; what counts after a death is what the stream held. */
    atomic_store_explicit(&worker->status->flushed, gv_link_written(&worker->link),
                          memory_order_relaxed);
}

/* --- running -------------------------------------------------------------------------------------- */

static bool may_rerun(const struct gv_worker *worker, const struct task *task)
{
    const struct gv_served_method *served = gv_served_at(&worker->served, task->frame.method);

    return served != NULL && served->method->idempotency != GROVE_IDEMPOTENCY_UNKNOWN;
}

static uint64_t likely_ns(const struct gv_worker *worker, const struct task *task)
{
    const struct gv_served_method *served = gv_served_at(&worker->served, task->frame.method);

    return served != NULL ? served->took_ns : 0;
}

bool gv_worker_can_run(struct gv_worker *worker)
{
    size_t unwritten_max;

    if (worker->ended || worker->link.state != GV_LINK_READY)
        return false;
    if (worker->head == NULL) {
        flush(worker);
        return false;
    }
    /* By the end of that job, if it is as its last one was. */
    if (worker->unflushed_ns != 0
        && worker->now_ns + likely_ns(worker, worker->head) - worker->unflushed_ns >= UNFLUSHED_NS)
        flush(worker);
    unwritten_max = may_rerun(worker, worker->head) ? UNWRITTEN_BYTES_MAX : 0;
    if (gv_link_unwritten(&worker->link) <= unwritten_max)
        return true;
    flush(worker);
    return false;
}

/* A refusal must be of the service's own enum. */
static int check_refusal(const struct grove_method *method, int code)
{
    if (code <= 0 || method->refusals == NULL
        || protobuf_c_enum_descriptor_get_value(method->refusals, code) != NULL)
        return code;
    return GROVE_EFOREIGN;
}

static void call_function(struct gv_worker *worker, const struct task *task,
                          struct gv_served_method *served, void *body, struct outcome *outcome)
{
    bool streams = served->method->kind == GROVE_SERVER_STREAM;
    struct packer packer = {.answer = {.put = put_answer}, .worker = worker};
    struct gv_worker_hooks *hooks = &worker->hooks;
    uint64_t began_ns = worker->now_ns;

    worker->job = task->frame.call;
    worker->deadline_ns = task->deadline_ns;
    atomic_store_explicit(&worker->status->job, task->frame.call, memory_order_relaxed);
    atomic_store_explicit(&worker->status->started_ns, began_ns,
                          memory_order_relaxed); /* relaxed: published by the next store */
    /* release: whoever sees it also sees which job it is; and no part of the job may come before. */
    atomic_store_explicit(&worker->status->started, task->seq, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);

    worker->answer.n_bytes = 0;
    outcome->started = GROVE_STARTED_YES;
    if (hooks->begin != NULL)
        hooks->begin(hooks->owner, served->method, task->deadline_ns);
    if (streams)
        gv_gate_open(&worker->gate, &task->frame, task->deadline_ns);
    outcome->code = served->method->thunk(served->functions, NULL, body,
                                          streams ? &worker->gate.items : &packer.answer);
    gv_gate_close(&worker->gate);
    if (hooks->end != NULL)
        outcome->code = hooks->end(hooks->owner, outcome->code, &outcome->text);
    else
        outcome->code = check_refusal(served->method, outcome->code);
    worker->job = 0;
    worker->now_ns = worker->env->now_ns(worker->env->world);
    outcome->took_ns = served->took_ns = worker->now_ns - began_ns;
}

static void run(struct gv_worker *worker, const struct task *task)
{
    struct outcome outcome = {.started = GROVE_STARTED_NO};
    struct gv_served_method *served = gv_served_at(&worker->served, task->frame.method);
    void *body;

    worker->now_ns = worker->env->now_ns(worker->env->world);
    if (served == NULL)
        outcome.code = GROVE_ENOTSUP;
    else if (task->cancelled)
        outcome.code = GROVE_ECANCELED;
    else if (task->deadline_ns != 0 && worker->now_ns >= task->deadline_ns)
        outcome.code = GROVE_ETIMEDOUT;
    else
        outcome.code = gv_request_open(&worker->request, &task->frame, served->method->request,
                                       &body, &outcome.text);
    if (outcome.code == 0)
        call_function(worker, task, served, body, &outcome);
    send_answer(worker, task, &outcome);
    /* Its pool may copy while the next one runs: writing costs little beside that. */
    if (task->frame.flags & GV_FRAME_SLAB)
        flush(worker);
    gv_request_close(&worker->request); /* What a failure says may lie there. */
}

/* --- within a job --------------------------------------------------------------------------------- */

bool gv_worker_look(struct gv_worker *worker)
{
    gv_assert(worker->job != 0);
    worker->env->poller_poll(worker->poller, 0);
    return !worker->ended && worker->link.state == GV_LINK_READY;
}

bool gv_worker_tell(struct gv_worker *worker, uint8_t type, const uint8_t *body, size_t n_bytes)
{
    struct gv_frame frame = {
        .type = type, .flags = GV_FRAME_CALLEE, .call = worker->job, .budget_us = GV_BUDGET_NONE};

    gv_assert(worker->job != 0);
    /* What follows a write in flight leaves at the next look, so it must not grow. */
    if ((worker->link.writing.n_bytes > 0 && worker->link.out.n_bytes >= TOLD_BYTES_MAX)
        || gv_link_send(&worker->link, &frame, body, n_bytes) != 0)
        return false;
    flush(worker);
    return true;
}

uint64_t gv_worker_job(const struct gv_worker *worker)
{
    return worker->job;
}

uint64_t gv_worker_now_ns(const struct gv_worker *worker)
{
    return worker->env->now_ns(worker->env->world);
}

struct gv_worker_page *gv_worker_status(const struct gv_worker *worker)
{
    return worker->status;
}

bool gv_worker_is_given_up(const struct gv_worker *worker)
{
    return worker->status->job == worker->status->given_up
           || (worker->deadline_ns != 0
               && worker->env->now_ns(worker->env->world) >= worker->deadline_ns);
}

uint64_t gv_worker_run_one(struct gv_worker *worker)
{
    struct task *task = worker->head;

    gv_assert(task != NULL);
    worker->head = task->next;
    if (worker->head == NULL)
        worker->tail = NULL;
    run(worker, task);
    free(task);
    return worker->now_ns;
}

bool gv_worker_has_ended(const struct gv_worker *worker)
{
    return worker->ended
           || (worker->draining && worker->head == NULL && gv_link_unwritten(&worker->link) == 0);
}

/* --- the link ------------------------------------------------------------------------------------- */

static void connected(void *owner)
{
    struct gv_worker *worker = owner;
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;

    hello.name = worker->status->name;
    hello.token = (ProtobufCBinaryData){GV_TOKEN_BYTES, worker->status->token};
    if (gv_served_hello(&worker->served, &worker->link, &hello) != 0)
        gv_link_close(&worker->link);
}

static const char *welcome(void *owner, const Grove__Link__V1__Welcome *message)
{
    (void)owner;
    (void)message; /* Refused methods are the pool's business: it does not call them. */
    return NULL;
}

/* The pool asks what our methods look like: all of them, whatever it names. */
static const char *schema(void *owner, const Grove__Link__V1__Schema *question)
{
    struct gv_worker *worker = owner;

    (void)question;
    return gv_served_schema(&worker->served, &worker->link) == 0 ? NULL
                                                                 : "our schemas do not fit a frame";
}

static const char *call_came(struct gv_worker *worker, const struct gv_frame *frame)
{
    struct task *task = malloc(sizeof *task + frame->body_bytes);

    if (task == NULL)
        return "memory is short";
    *task = (struct task){.frame = *frame, .seq = ++worker->n_came};
    if (frame->budget_us != GV_BUDGET_NONE)
        task->deadline_ns =
            worker->env->now_ns(worker->env->world) + (uint64_t)frame->budget_us * 1000;
    if (frame->body_bytes > 0)
        memcpy(task->body, frame->body, frame->body_bytes);
    task->frame.body = task->body;
    if (worker->tail != NULL)
        worker->tail->next = task;
    else
        worker->head = task;
    worker->tail = task;
    return NULL;
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    struct gv_worker *worker = owner;

    switch (frame->type) {
    case GV_FRAME_CALL:
        return call_came(worker, frame);
    case GV_FRAME_CREDIT:
        gv_gate_credit(&worker->gate, frame);
        return NULL;
    case GV_FRAME_CANCEL:
        gv_gate_cancel(&worker->gate, frame->call);
        for (struct task *task = worker->head; task != NULL; task = task->next)
            if (task->frame.call == frame->call)
                task->cancelled = true;
        return NULL;
    case GV_FRAME_DRAIN:
    case GV_FRAME_BYE:
        worker->draining = true;
        return NULL;
    default:
        return NULL; /* Allowed, but of no meaning to a worker yet. */
    }
}

static void closed(void *owner)
{
    struct gv_worker *worker = owner;

    worker->ended = true;
}

static const struct gv_link_events link_events = {
    .connected = connected,
    .welcome = welcome,
    .schema = schema,
    .frame = frame_came,
    .closed = closed,
};

/* --- life ----------------------------------------------------------------------------------------- */

void gv_worker_hang_up(struct gv_worker *worker)
{
    gv_link_close(&worker->link);
    while (!worker->ended)
        worker->env->poller_poll(worker->poller, -1);
}

void gv_worker_close(struct gv_worker *worker)
{
    while (worker->head != NULL) {
        struct task *task = worker->head;

        worker->head = task->next;
        free(task);
    }
    gv_request_free(&worker->request);
    gv_bytes_free(&worker->answer);
    gv_bytes_free(&worker->gate.item);
    gv_slab_user_close(&worker->slab);
    if (worker->page.memory != NULL)
        worker->env->page_close(worker->env->world, &worker->page);
    gv_served_deinit(&worker->served);
    free(worker);
}

int gv_worker_open(const struct gv_worker_options *options, struct gv_worker **result)
{
    struct gv_worker *worker = calloc(1, sizeof *worker);
    struct gv_link_options link_options = {
        .env = options->env,
        .events = &link_events,
        .owner = worker,
        .name = "worker",
        .class = GV_PEER_WORKER,
    };
    int rc;

    if (worker == NULL)
        return GROVE_ENOMEM;
    worker->env = options->env;
    worker->poller = options->poller;
    worker->hooks = options->hooks;
    worker->request.slab = &worker->slab;
    rc = gv_served_init(&worker->served, options->first, options->end);
    if (rc != 0)
        goto out;
    rc = worker->env->page_inherit(worker->env->world, options->page_fd, GV_WORKER_PAGE_BYTES,
                                   &worker->page);
    if (rc != 0)
        goto out;
    worker->status = worker->page.memory;
    gv_gate_init(&worker->gate, &worker->link, options->poller, &worker->status->given_up);
    rc = worker->status->magic == GV_WORKER_PAGE_MAGIC ? 0 : GROVE_EPROTO;
    if (rc == 0)
        rc = gv_slab_user_open(&worker->slab, worker->env, worker->status);
    if (rc == 0)
        rc = gv_link_dial(&worker->link, &link_options, options->poller, worker->status->url);

out:
    if (rc == 0)
        *result = worker;
    else
        gv_worker_close(worker);
    return rc;
}
