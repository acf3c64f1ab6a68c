#include "workers/agent.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/shutdown.h>

#include "runtime/assert.h"
#include "runtime/log.h"
#include "workers/errand.h"
#include "workers/pool.h"

#define LOOK_MS   20u   /* how often it looks whether a worker is there */
#define STEADY_MS 5000u /* a link that lasts so long is a good one */
#define SILENCES  3u    /* heartbeats of patience with the last bytes */

/* All is done: the link may be closed when the last bytes have left. */
static bool is_finished(const struct gv_agent *agent)
{
    return agent->state == GV_AGENT_LEAVING && agent->is_drained && agent->n_errands == 0;
}

static void finish(struct gv_agent *agent)
{
    uint32_t now_ms = agent->loop->now_ms;

    if (agent->close_ms == 0)
        agent->close_ms = now_ms + SILENCES * agent->heartbeat_ms;
    if (gv_link_unwritten(&agent->link) == 0 || !gv_ms_before(now_ms, agent->close_ms))
        gv_link_close(&agent->link);
    else
        gv_wheel_arm(&agent->loop->wheel, &agent->timer, now_ms + 1);
}

static void flush(struct gv_flush *queued)
{
    struct gv_agent *agent = (struct gv_agent *)((char *)queued - offsetof(struct gv_agent, flush));

    if (!agent->has_link)
        return;
    gv_link_flush(&agent->link);
    if (is_finished(agent))
        finish(agent);
}

void gv_agent_flush_later(struct gv_agent *agent)
{
    agent->flush.run = flush;
    gv_loop_flush_later(agent->loop, &agent->flush);
}

/* --- coming and going ------------------------------------------------------------------------------- */

static void arm(struct gv_agent *agent, uint32_t ms)
{
    gv_wheel_arm(&agent->loop->wheel, &agent->timer, agent->loop->now_ms + ms);
}

static void become(struct gv_agent *agent, enum gv_agent_state state)
{
    agent->state = (uint8_t)state;
    agent->since_ms = agent->loop->now_ms;
}

/* So that many agents do not come back at the same moment. */
static void wait_for_next_try(struct gv_agent *agent)
{
    uint32_t delay_ms = agent->delay_ms;

    become(agent, GV_AGENT_WAITING);
    arm(agent,
        delay_ms
            - agent->loop->env->choose(agent->loop->env->world, delay_ms / 2 + 1, GV_CHOICE_FAULT));
    agent->delay_ms = 2 * delay_ms < GV_AGENT_DELAY_MAX_MS ? 2 * delay_ms : GV_AGENT_DELAY_MAX_MS;
}

static void go(struct gv_agent *agent)
{
    gv_wheel_disarm(&agent->loop->wheel, &agent->timer);
    become(agent, GV_AGENT_GONE);
}

/* The pool here has somebody who can work. */
static bool can_work(const struct gv_agent *agent)
{
    const struct gv_pool *pool = agent->pool;

    for (unsigned i = 0; pool->roster != NULL && i < pool->n_places; i++)
        if (pool->children[i].state == GV_CHILD_READY && pool->children[i].roster == pool->roster)
            return true;
    return false;
}

static void depart(struct gv_agent *agent)
{
    struct gv_frame drain = {.type = GV_FRAME_DRAIN, .budget_us = GV_BUDGET_NONE};

    if (agent->state != GV_AGENT_READY)
        return;
    become(agent, GV_AGENT_LEAVING);
    if (gv_link_send(&agent->link, &drain, NULL, 0) != 0)
        gv_link_close(&agent->link);
    gv_agent_flush_later(agent);
}

/* --- the link ------------------------------------------------------------------------------------- */

static void connected(void *owner)
{
    struct gv_agent *agent = owner;
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;

    hello.credits = agent->pool->n_wanted;
    if (gv_carried_hello(&agent->carried, &agent->link, &hello) != 0)
        gv_link_close(&agent->link);
}

static const char *welcome(void *owner, const Grove__Link__V1__Welcome *message)
{
    struct gv_agent *agent = owner;

    if (message->heartbeat_ms < 10)
        return "it wants no heartbeats";
    agent->heartbeat_ms = message->heartbeat_ms;
    agent->was_ready = true;
    agent->is_told = false;
    become(agent, GV_AGENT_READY);
    gv_log(GV_LOG_INFO, "agent.joined", "url=%s pool=%s workers=%u heartbeat_ms=%u", agent->url,
           message->name, agent->pool->n_wanted, agent->heartbeat_ms);
    arm(agent, agent->heartbeat_ms);
    gv_link_beat(&agent->link);
    return NULL;
}

/* The pool asks what the methods look like: all of them, whatever it names. */
static const char *schema(void *owner, const Grove__Link__V1__Schema *question)
{
    struct gv_agent *agent = owner;

    (void)question;
    return gv_carried_schema(&agent->carried, &agent->link) == 0 ? NULL
                                                                 : "our schemas do not fit a frame";
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    struct gv_agent *agent = owner;

    switch (frame->type) {
    case GV_FRAME_CALL:
        return gv_errand_begin(agent, frame);
    case GV_FRAME_CANCEL:
        gv_errand_cancel(agent, frame);
        return NULL;
    case GV_FRAME_CREDIT:
        return gv_errand_credit(agent, frame);
    case GV_FRAME_DRAIN: /* it sends no more: what is here is finished */
        agent->is_drained = true;
        if (agent->state == GV_AGENT_READY)
            become(agent, GV_AGENT_LEAVING);
        gv_agent_flush_later(agent);
        return NULL;
    default:
        return NULL; /* Allowed, but of no meaning to an agent. */
    }
}

/* What to look at. */
static const char *why_refused(int error)
{
    switch (error) {
    case -ECONNREFUSED:
        return "nobody listens there: is the pool open, and is it this port?";
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ETIMEDOUT:
        return "nobody answers there: is the address right, and does a firewall let it through?";
    case -EADDRNOTAVAIL:
        return "there is no host of this name";
    case -EACCES:
        return "its certificate is not good: see the line above";
    default:
        return "it was closed before both had agreed: does the pool allow the name in this "
               "certificate, is it in date, and what does the pool's log say?";
    }
}

static void note_end(struct gv_agent *agent)
{
    if (agent->was_ready && agent->state == GV_AGENT_LEAVING && agent->n_errands == 0)
        gv_log(GV_LOG_INFO, "agent.left", "url=%s", agent->url);
    else if (agent->was_ready)
        gv_log(GV_LOG_WARN, "agent.lost", "url=%s jobs=%u%s", agent->url, agent->n_errands,
               agent->link.silent ? " why=\"it was silent for three heartbeats\"" : "");
    else if (!agent->is_told)
        gv_log(GV_LOG_WARN, "agent.refused", "url=%s error=%s why=\"%s\" it tries on", agent->url,
               agent->link.error != 0 ? grove_error_name(agent->link.error) : "closed",
               why_refused(agent->link.error));
    agent->is_told = !agent->was_ready;
}

static void closed(void *owner)
{
    struct gv_agent *agent = owner;

    agent->has_link = false;
    note_end(agent);
    gv_errands_give_up(agent);
    gv_carried_close(&agent->carried);
    if (agent->was_ready && agent->loop->now_ms - agent->since_ms >= STEADY_MS)
        agent->delay_ms = GV_AGENT_DELAY_MS;
    if (agent->is_ending)
        go(agent);
    else
        wait_for_next_try(agent);
}

static const struct gv_link_events link_events = {
    .connected = connected,
    .welcome = welcome,
    .schema = schema,
    .frame = frame_came,
    .closed = closed,
};

static void dial(struct gv_agent *agent)
{
    struct gv_link_options options = {
        .env = agent->loop->env,
        .events = &link_events,
        .owner = agent,
        .name = "agent",
        .class = GV_PEER_WORKER,
    };
    int rc = gv_carried_open(&agent->carried, agent->pool->roster);

    if (rc == 0) {
        rc = gv_link_dial(&agent->link, &options, agent->loop->poller, agent->url);
        if (rc != 0)
            gv_carried_close(&agent->carried);
    }
    if (rc != 0 && !agent->has_dialled) {
        agent->error = rc;
        gv_log(GV_LOG_ERROR, "agent.dial", "url=%s error=%s", agent->url, grove_error_name(rc));
        go(agent);
        grove_terminate();
        return;
    }
    if (rc != 0) {
        if (!agent->is_told)
            gv_log(GV_LOG_WARN, "agent.dial", "url=%s error=%s it tries on", agent->url,
                   grove_error_name(rc));
        agent->is_told = true;
        wait_for_next_try(agent);
        return;
    }
    agent->has_link = agent->has_dialled = true;
    agent->was_ready = false;
    agent->is_drained = false;
    agent->close_ms = 0;
    become(agent, GV_AGENT_DIALLING);
    arm(agent, GV_AGENT_DIAL_MS);
}

static void tick(struct gv_timer *timer)
{
    struct gv_agent *agent = (struct gv_agent *)((char *)timer - offsetof(struct gv_agent, timer));

    if (agent->state == GV_AGENT_WAITING && can_work(agent)) {
        dial(agent);
    } else if (agent->state == GV_AGENT_WAITING) {
        arm(agent, LOOK_MS);
    } else if (agent->state == GV_AGENT_DIALLING) {
        gv_link_close(&agent->link);
    } else if (is_finished(agent)) {
        finish(agent);
    } else if (agent->state < GV_AGENT_GONE) {
        if (agent->pool->broken || agent->pool->roster != agent->carried.roster)
            depart(agent);
        arm(agent, agent->heartbeat_ms);
        gv_link_beat(&agent->link);
    }
}

/* --- life ----------------------------------------------------------------------------------------- */

void gv_agent_begin(struct gv_agent *agent, grove_ref pool, const char *url)
{
    *agent = (struct gv_agent){
        .loop = gv_loop_here,
        .pool = gv_pool_find(pool),
        .ref = pool,
        .url = url,
        .delay_ms = GV_AGENT_DELAY_MS,
    };
    gv_assert(agent->pool != NULL);
    agent->pool->agent = agent;
    gv_timer_init(&agent->timer, tick);
    become(agent, GV_AGENT_WAITING);
    arm(agent, 1);
}

void gv_agent_leave(struct gv_agent *agent)
{
    agent->is_ending = true;
    if (agent->state == GV_AGENT_WAITING)
        go(agent);
    else if (agent->state == GV_AGENT_DIALLING)
        gv_link_close(&agent->link);
    else
        depart(agent);
}

void gv_agent_cut(struct gv_agent *agent)
{
    agent->is_ending = true;
    if (agent->has_link)
        gv_link_close(&agent->link);
    else if (agent->state != GV_AGENT_GONE)
        go(agent);
}
