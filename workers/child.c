#include "workers/child.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "workers/pool.h"
#include "workers/remote.h"

static void bury(struct gv_child *child);

/* --- ends ----------------------------------------------------------------------------------------- */

void gv_child_kill(struct gv_child *child)
{
    if (child->state == GV_CHILD_RESTING)
        return;
    if (child->state != GV_CHILD_DYING) {
        child->state = GV_CHILD_DYING;
        child->since_ms = child->pool->loop->now_ms;
    }
    /* It fails for a process that has ended already, which is what is wanted. */
    if (!child->has_exited)
        (void)child->pool->env->process_kill(child->process, SIGKILL);
    if (child->is_remote && child->has_link)
        gv_link_close(&child->link);
}

/* The job it had begun and not answered, NULL if there is none. */
static const struct gv_job *running(const struct gv_child *child)
{
    /* acquire: pairs with the release before the function was called. */
    uint64_t started = atomic_load_explicit(&gv_child_page(child)->started, memory_order_acquire);
    const struct gv_job *job = child->jobs.head;

    while (job != NULL && job->seq != started)
        job = job->next;
    return job;
}

/* A death that nobody asked for is a warning, with the job that may be to blame. */
static void note_death(const struct gv_child *child, int status, int signal)
{
    bool is_wanted = (child->end_is_wanted && (signal == 0 || signal == SIGKILL))
                     || (child->state == GV_CHILD_LEAVING && signal == 0 && status == 0);
    const struct gv_job *job = running(child);
    char at_work[128] = "";

    if (job != NULL)
        (void)snprintf(at_work, sizeof at_work, " job=%llu method=%s", (unsigned long long)job->id,
                       job->method->name); /* A cut name is still a name. */
    gv_log(is_wanted ? GV_LOG_INFO : GV_LOG_WARN, "worker.died",
           "pool=%s pid=%lld status=%d signal=%d ready=%d%s", child->pool->name,
           (long long)child->pid, status, signal, child->was_ready, at_work);
}

static void exited(void *owner, int status, int signal)
{
    struct gv_child *child = owner;

    child->has_exited = true;
    child->status = status;
    child->signal = signal;
    child->process = NULL;
    child->since_ms = child->pool->loop->now_ms;
    note_death(child, status, signal);
    child->state = GV_CHILD_DYING;
    bury(child);
}

static void link_closed(void *owner)
{
    struct gv_child *child = owner;

    child->has_link = false;
    if (child->link.dropped)
        child->pool->stats.dropped_peers++;
    if (child->state == GV_CHILD_LEAVING && !child->has_exited)
        return; /* It goes by itself, as it was told; the tick sees to it if not. */
    gv_child_kill(child);
    bury(child);
}

/* Dead if both ends are seen. */
static void bury(struct gv_child *child)
{
    if (!child->has_exited || child->has_link)
        return;
    child->state = GV_CHILD_RESTING;
    child->pid_before = child->pid;
    child->pid = 0;
    gv_crew_buried(child->pool, child);
}

/* --- birth ---------------------------------------------------------------------------------------- */

static int open_page(struct gv_child *child)
{
    struct gv_pool *pool = child->pool;
    const struct gv_env *env = pool->env;
    struct gv_worker_page *page;
    int rc = env->page_open(env->world, GV_WORKER_PAGE_BYTES, &child->page);

    if (rc != 0)
        return rc;
    page = gv_child_page(child);
    page->magic = GV_WORKER_PAGE_MAGIC;
    for (unsigned i = 0; i < GV_TOKEN_BYTES; i += sizeof(uint64_t)) {
        uint64_t bits = env->random(env->world);

        memcpy(page->token + i, &bits, sizeof bits);
    }
    memcpy(page->url, pool->url, sizeof page->url);
    page->memory_max = pool->memory_max;
    page->cpu_s = pool->cpu_s;
    gv_slab_open(child);
    (void)snprintf(page->name, sizeof page->name, "%s", pool->name); /* Both have the same room. */
    return 0;
}

static int nice_of(const struct gv_pool *pool)
{
    if (pool->nice == 0)
        return (int)gv_option_number(GV_OPTION_WORKER_NICE);
    return pool->nice > 0 ? pool->nice : 0;
}

int gv_child_spawn(struct gv_child *child)
{
    struct gv_pool *pool = child->pool;
    const struct gv_env *env = pool->env;
    struct gv_host_child prepared;
    int descriptors[2];
    struct gv_process_options options = {
        .arguments = prepared.arguments,
        .environment = prepared.environment,
        .descriptors = descriptors,
        .nice = nice_of(pool),
    };
    int rc = open_page(child);

    if (rc == 0) {
        descriptors[0] = child->page.fd;
        descriptors[1] = child->slab.fd;
        options.n_descriptors = child->slab.bytes != 0 ? 2 : 1;
        gv_host_child_prepare(&prepared, pool->program[0] != '\0' ? pool->program : NULL,
                              pool->name);
        options.program = prepared.program;
        rc = env->process_spawn(pool->loop->poller, &options, exited, child, &child->process);
        if (rc != 0) {
            gv_slab_close(child);
            env->page_close(env->world, &child->page);
        }
    }
    if (rc != 0) {
        gv_log(GV_LOG_WARN, "worker.spawn", "pool=%s program=%s error=%s", pool->name,
               options.program != NULL ? options.program : "", grove_error_name(rc));
        return rc;
    }
    child->state = GV_CHILD_SPAWNING;
    child->pid = env->process_pid(child->process);
    child->has_exited = false;
    child->was_ready = false;
    child->end_is_wanted = false;
    child->since_ms = pool->loop->now_ms;
    child->n_sent = 0;
    child->n_answered = 0;
    child->progress = (struct gv_progress_budget){0};
    return 0;
}

/* --- the link ------------------------------------------------------------------------------------- */

/* What this worker can do is known: it may work. */
static const char *welcome(struct gv_child *child)
{
    Grove__Link__V1__Welcome message = GROVE__LINK__V1__WELCOME__INIT;

    message.name = child->pool->name;
    message.credits = child->pool->credits;
    message.heartbeat_ms = gv_remote_heartbeat_ms(child);
    if (gv_link_welcome(&child->link, &message) != 0)
        return "memory is short";
    child->state = GV_CHILD_READY;
    child->was_ready = true;
    child->ready_ms = child->idle_ms = child->pool->loop->now_ms;
    if (child->is_remote)
        gv_remote_welcomed(child);
    gv_crew_welcomed(child->pool, child);
    return NULL;
}

static const char *hello_came(void *owner, const Grove__Link__V1__Hello *hello)
{
    struct gv_child *child = owner;
    Grove__Link__V1__Schema question = GROVE__LINK__V1__SCHEMA__INIT;
    struct gv_pool *pool = child->pool;
    struct gv_identity identity;
    struct gv_roster *before;
    const char *why;

    if (child->state != GV_CHILD_SPAWNING)
        return NULL; /* It is being killed already. */
    pool->env->stream_identity(child->link.stream, &identity);
    why = child->is_remote
              ? gv_remote_hello(child, hello)
              : gv_peer_check_child(&identity, child->pid,
                                    hello->token.len == GV_TOKEN_BYTES ? hello->token.data : NULL,
                                    gv_child_page(child)->token);
    if (why != NULL)
        return why;
    before = child->roster; /* of a machine that comes again */
    child->roster = gv_crew_roster(pool, hello);
    gv_roster_free(before);
    if (child->roster != NULL)
        return welcome(child);
    child->roster = gv_roster_new(hello);
    if (child->roster == NULL)
        return "memory is short";
    if (!gv_roster_wants_schema(child->roster))
        return welcome(child);
    return gv_link_schema(&child->link, &question) == 0 ? NULL : "memory is short";
}

static const char *schema_came(void *owner, const Grove__Link__V1__Schema *schema)
{
    struct gv_child *child = owner;

    if (child->state != GV_CHILD_SPAWNING)
        return NULL; /* It is being killed already. */
    if (child->roster == NULL)
        return "its SCHEMA came out of turn";
    if (gv_roster_learn(child->roster, schema) != 0)
        return "its SCHEMA is too large";
    return welcome(child);
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    struct gv_child *child = owner;

    if (frame->flags & GV_FRAME_SLAB && frame->type != GV_FRAME_REPLY) {
        child->pool->stats.dropped_frames++;
        return "it points into shared memory where no message belongs";
    }
    switch (frame->type) {
    case GV_FRAME_REPLY:
        return gv_job_answered(child, frame);
    case GV_FRAME_PROGRESS:
        return gv_job_progressed(child, frame);
    case GV_FRAME_ITEM:
        return gv_job_item_came(child, frame);
    case GV_FRAME_DRAIN: /* it wants to leave by itself: no more jobs */
        if (child->state == GV_CHILD_READY)
            gv_child_leave(child);
        return NULL;
    case GV_FRAME_BYE:
        return NULL; /* The end of its stream says the same. */
    default:
        child->pool->stats.dropped_frames++;
        return "it sent a frame of no meaning to a pool";
    }
}

static const struct gv_link_events link_events = {
    .hello = hello_came,
    .schema = schema_came,
    .frame = frame_came,
    .closed = link_closed,
};

void gv_child_connected(struct gv_child *child, struct gv_stream *stream)
{
    struct gv_link_options options = {
        .env = child->pool->env,
        .events = &link_events,
        .owner = child,
        .name = child->pool->name,
        .class = GV_PEER_WORKER,
    };

    gv_assert(child->state == GV_CHILD_SPAWNING && !child->has_link);
    child->has_link = true;
    gv_link_accept(&child->link, &options, stream);
    gv_pool_flush_later(child->pool);
}

void gv_child_leave(struct gv_child *child)
{
    struct gv_frame drain = {.type = GV_FRAME_DRAIN, .budget_us = GV_BUDGET_NONE};

    if (child->state != GV_CHILD_READY || gv_link_send(&child->link, &drain, NULL, 0) != 0) {
        gv_child_kill(child);
        return;
    }
    child->state = GV_CHILD_LEAVING;
    child->has_left = true;
    child->since_ms = child->pool->loop->now_ms;
    gv_pool_flush_later(child->pool);
}

/* --- patience ------------------------------------------------------------------------------------- */

void gv_child_tick(struct gv_child *child, uint32_t now_ms, uint64_t now_ns)
{
    uint32_t waited_ms = now_ms - child->since_ms;

    /*
     * A READY worker that is at work may leave a frame half written until its
     * job is done; the job's deadline watches over that.
     */
    if (child->has_link && child->jobs.n == 0)
        gv_link_tick(&child->link, now_ns);
    gv_slab_tick(child, now_ms);
    switch (child->state) {
    case GV_CHILD_SPAWNING:
        if (waited_ms >= child->pool->birth_ms)
            gv_child_kill(child);
        break;
    case GV_CHILD_LEAVING:
        if (waited_ms >= GV_POOL_LEAVE_MS && child->jobs.n == 0) {
            child->end_is_wanted = true;
            gv_child_kill(child);
        }
        break;
    case GV_CHILD_DYING:
        if (child->has_exited && child->has_link && waited_ms >= GV_CHILD_CORPSE_MS)
            gv_link_close(&child->link);
        break;
    default:
        break;
    }
}
