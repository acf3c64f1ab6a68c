#include "workers/errand.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "proto/codec.h"
#include "runtime/assert.h"
#include "workers/agent.h"
#include "workers/pool.h"

#define FAILURE_BYTES       1024u
#define UNWRITTEN_BYTES_MAX (64u << 10) /* then words of progress are left out */
#define CREDIT_BYTES_MAX \
    (GV_STREAM_BYTES + GV_LINK_MESSAGE_MAX) /* of a stream, under way at once */

/* A job of the other pool that is under way here. */
struct errand {
    struct errand *next, *before;
    struct gv_agent *agent;
    uint64_t there;  /* its id on the link */
    uint64_t here;   /* our call */
    uint32_t credit; /* of a stream: what the pool there gave at first; 0 of others */
};

static void heard(void *owner, const struct gv_outcome *outcome);

/* The errand that a call here is for; NULL once it was given up. */
static struct errand *errand_of(const struct gv_agent *agent, uint64_t call)
{
    const struct gv_call *record = gv_call_find(agent->loop, call);

    if (record == NULL || record->kind != GV_SINK_CALLBACK
        || record->sink.callback.function != heard)
        return NULL;
    return record->sink.callback.owner;
}

static struct errand *errand_there(const struct gv_agent *agent, uint64_t id)
{
    struct errand *errand = agent->errands;

    while (errand != NULL && errand->there != id)
        errand = errand->next;
    return errand;
}

static void forget(struct errand *errand)
{
    struct gv_agent *agent = errand->agent;

    if (errand->before != NULL)
        errand->before->next = errand->next;
    else
        agent->errands = errand->next;
    if (errand->next != NULL)
        errand->next->before = errand->before;
    agent->n_errands--;
    free(errand);
}

static void send(struct gv_agent *agent, const struct gv_frame *frame, const uint8_t *body,
                 size_t body_bytes)
{
    if (!agent->has_link)
        return;
    /* A pool that never hears of a job, or misses an item, would wait for ever: it shall see our end instead. */
    if (gv_link_send(&agent->link, frame, body, body_bytes) != 0)
        gv_link_close(&agent->link);
    gv_agent_flush_later(agent);
}

static void fail(struct gv_agent *agent, uint64_t there, const struct gv_outcome *outcome)
{
    Grove__Link__V1__Failure failure = GROVE__LINK__V1__FAILURE__INIT;
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE, .call = there};
    uint8_t bytes[FAILURE_BYTES];
    size_t n_bytes;

    frame.aux = gv_frame_outcome(outcome->code > 0 ? GROVE_REFUSED : GROVE_FAILED, outcome->started,
                                 (unsigned)abs(outcome->code));
    failure.code = outcome->code;
    failure.text = (char *)(outcome->text != NULL ? outcome->text : "");
    if (gv_packed_size(&failure.base, sizeof bytes, &n_bytes) != 0) {
        failure.text = "";
        gv_assert(gv_packed_size(&failure.base, sizeof bytes, &n_bytes) == 0);
    }
    gv_pack(&failure.base, bytes, n_bytes);
    send(agent, &frame, bytes, n_bytes);
}

/* What became of a request here. */
static void heard(void *owner, const struct gv_outcome *outcome)
{
    struct errand *errand = owner;
    struct gv_agent *agent = errand->agent;
    uint64_t there = errand->there, n_bytes = 0;
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE, .call = there};
    bool is_end = errand->credit > 0 && outcome->code == GROVE_EEND;

    forget(errand);
    frame.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    if (is_end) {
        send(agent, &frame, NULL, 0);
        return;
    }
    if (outcome->code != 0) {
        fail(agent, there, outcome);
        return;
    }
    memcpy(&n_bytes, outcome->reply->body, sizeof n_bytes);
    frame.budget_us =
        agent->pool->mean_ns / 1000; /* It counts jobs, not what they wait for here. */
    send(agent, &frame, outcome->reply->body + sizeof n_bytes, n_bytes);
}

static uint32_t deadline_of(const struct gv_agent *agent, const struct gv_frame *frame)
{
    uint32_t ms = frame->budget_us / 1000 + 1;

    if (frame->budget_us == GV_BUDGET_NONE)
        return 0;
    return agent->loop->now_ms + ms != 0 ? agent->loop->now_ms + ms : 1;
}

const char *gv_errand_begin(struct gv_agent *agent, const struct gv_frame *frame)
{
    struct errand *errand = malloc(sizeof *errand);
    struct gv_call_options options = {
        .ref = agent->ref,
        .method = gv_carried_index(&agent->carried, frame->method),
        .packed = frame->body,
        .packed_bytes = frame->body_bytes,
        .deadline_ms = deadline_of(agent, frame),
        .function = heard,
        .owner = errand,
    };
    struct gv_outcome outcome = {.started = GROVE_STARTED_NO};

    if (errand == NULL)
        return "memory is short";
    *errand = (struct errand){.next = agent->errands, .agent = agent, .there = frame->call};
    options.takes_items = frame->flags & GV_FRAME_STREAM;
    if (options.takes_items)
        errand->credit = frame->aux;
    /* There is no memory that both share; and a stream without credit could never begin. */
    if (frame->flags & GV_FRAME_SLAB || (options.takes_items && frame->aux == 0))
        options.method = 0;
    outcome.code =
        options.method != 0 ? gv_call_begin(agent->loop, &options, &errand->here) : GROVE_ENOTSUP;
    if (outcome.code != 0) {
        free(errand);
        fail(agent, frame->call, &outcome);
        return NULL;
    }
    if (agent->errands != NULL)
        agent->errands->before = errand;
    agent->errands = errand;
    agent->n_errands++;
    return NULL;
}

/* Its worker is told, and killed after the grace; the pool there need not wait for that. */
static void give_up(struct errand *errand)
{
    struct gv_agent *agent = errand->agent;
    struct gv_call *call = gv_call_find(agent->loop, errand->here);

    gv_assert(call != NULL);
    (void)gv_call_give_up(agent->loop, call); /* Whether it had begun is the worker's to know. */
    forget(errand);
}

void gv_errand_cancel(struct gv_agent *agent, const struct gv_frame *frame)
{
    const struct gv_outcome outcome = {.code = GROVE_ECANCELED, .started = GROVE_STARTED_UNKNOWN};
    struct errand *errand = errand_there(agent, frame->call);

    if (errand == NULL)
        return; /* Its answer is on the way. */
    give_up(errand);
    fail(agent, frame->call, &outcome);
}

const char *gv_errand_credit(struct gv_agent *agent, const struct gv_frame *frame)
{
    const struct errand *errand = errand_there(agent, frame->call);
    struct gv_job *job = errand != NULL ? gv_job_find(&agent->pool->queue, errand->here) : NULL;

    if (job == NULL || job->child == NULL)
        return NULL; /* Its end is on the way. */
    if (errand->credit == 0)
        return "it gave credit to a job that has but one answer";
    if (frame->aux > errand->credit - job->items_left || frame->target > CREDIT_BYTES_MAX)
        return "it gave more credit back than it had taken";
    gv_job_credit(job, frame->aux, frame->target);
    return NULL;
}

uint32_t gv_errand_first_credit(struct gv_agent *agent, uint64_t call)
{
    const struct errand *errand = errand_of(agent, call);

    return errand != NULL ? errand->credit : 1; /* Nobody waits for it any more. */
}

void gv_errand_item(struct gv_agent *agent, uint64_t call, const struct gv_frame *frame)
{
    const struct errand *errand = errand_of(agent, call);
    struct gv_frame item = {
        .type = GV_FRAME_ITEM, .flags = GV_FRAME_CALLEE, .budget_us = GV_BUDGET_NONE};

    if (errand == NULL)
        return;
    item.call = errand->there;
    send(agent, &item, frame->body, frame->body_bytes);
}

void gv_errand_progressed(struct gv_agent *agent, uint64_t call, const struct gv_frame *frame)
{
    struct gv_frame progress = *frame;
    const struct errand *errand = errand_of(agent, call);

    if (errand == NULL || gv_link_unwritten(&agent->link) > UNWRITTEN_BYTES_MAX)
        return; /* Nobody waits for it; or the next word may find the way free. */
    progress.call = errand->there;
    (void)gv_link_send(&agent->link, &progress, frame->body, frame->body_bytes); /* The same. */
    gv_agent_flush_later(agent);
}

void gv_errands_give_up(struct gv_agent *agent)
{
    while (agent->errands != NULL)
        give_up(agent->errands);
}
