#include "workers/remote.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "proto/codec.h"
#include "runtime/assert.h"
#include "runtime/log.h"
#include "runtime/usage.h"

#define SCHEME               "tls+tcp://"
#define HEARTBEAT_MS_DEFAULT 1000u
#define HEARTBEAT_MS_LEAST   50u
#define HEARTBEAT_MS_MOST    60000u
#define MACHINES_DEFAULT     64u
#define MACHINES_MOST        256u
#define CAPACITY_MOST        1024u
#define HEARTBEATS           3u /* of patience with who does not answer a CANCEL */

struct gv_remote {
    struct gv_listener *listener; /* NULL once nobody may come in any more */
    struct gv_listen_events events;
    struct gv_tls_files files;
    char *cert, *key, *ca; /* what files names */
    char *allow;
    uint32_t heartbeat_ms;
};

/* --- options -------------------------------------------------------------------------------------- */

static bool is_address(const char *url)
{
    const char *host = url + strlen(SCHEME), *colon;

    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || strlen(url) > 255)
        return false;
    colon = strrchr(host, ':');
    return colon != NULL && colon != host && colon[1] != '\0'
           && strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

/* Names of 1 to 63 printable bytes, with commas between them; or "*". */
static bool are_names(const char *allow)
{
    for (const char *at = allow;; at++) {
        size_t n = strcspn(at, ",");

        if (n == 0 || n > 63 || strcspn(at, " \t") < n)
            return false;
        at += n;
        if (*at == '\0')
            return true;
    }
}

static const char *numbers_wrong(const struct grove_pool_options *options)
{
    if (options->heartbeat_ms != 0
        && (options->heartbeat_ms < HEARTBEAT_MS_LEAST
            || options->heartbeat_ms > HEARTBEAT_MS_MOST))
        return "heartbeat_ms is 50 to 60 000";
    if (options->remote_max > MACHINES_MOST)
        return "remote_max is at most 256";
    return NULL;
}

const char *gv_remote_wrong(const struct grove_pool_options *options)
{
    if (options->listen == NULL) {
        if (options->only_remote)
            return "a pool that is only_remote needs listen, or nobody would ever work for it";
        if (options->allow != NULL || options->cert != NULL || options->key != NULL
            || options->ca != NULL || options->heartbeat_ms != 0 || options->remote_max != 0)
            return "allow, cert, key, ca, heartbeat_ms and remote_max are for pools that listen; "
                   "say where: listen = \"tls+tcp://HOST:PORT\"";
        return NULL;
    }
    if (strncmp(options->listen, "tcp:", 4) == 0)
        return "a pool does not listen on plain TCP, where anybody could read jobs and answer "
               "them; say tls+tcp://HOST:PORT (grove certs DIR makes certificates to try it with)";
    if (!is_address(options->listen))
        return "listen is tls+tcp://HOST:PORT, such as tls+tcp://0.0.0.0:7000";
    if (options->allow == NULL)
        return "a pool that listens must say who may come: allow = \"NAME,NAME\" of their "
               "certificates, or \"*\" for all that the authority has certified";
    if (!are_names(options->allow))
        return "allow is names of 1 to 63 bytes with commas between them and no blanks, or \"*\"";
    if (options->only_remote
        && (options->n_workers != 0 || options->n_workers_max != 0 || options->program != NULL))
        return "a pool that is only_remote has no n_workers, n_workers_max or program: the "
               "machines that come have theirs";
    if (options->only_remote
        && (options->recycle_jobs != 0 || options->recycle_ms != 0 || options->recycle_bytes != 0))
        return "a pool that is only_remote recycles nobody: its machines see to their workers";
    return numbers_wrong(options);
}

unsigned gv_remote_places(const struct grove_pool_options *options)
{
    if (options->listen == NULL)
        return 0;
    return options->remote_max != 0 ? options->remote_max : MACHINES_DEFAULT;
}

/* --- the door ------------------------------------------------------------------------------------- */

static bool is_allowed(const struct gv_remote *remote, const char *name)
{
    if (strcmp(remote->allow, "*") == 0)
        return true;
    for (const char *at = remote->allow; name[0] != '\0';) {
        size_t n = strcspn(at, ",");

        if (strlen(name) == n && memcmp(at, name, n) == 0)
            return true;
        if (at[n] == '\0')
            return false;
        at += n + 1;
    }
    return false;
}

/* A place that nobody has. One where the same machine was before is best: its methods are known. */
static struct gv_child *free_place(struct gv_pool *pool, const char *name)
{
    struct gv_child *free = NULL;

    for (unsigned i = pool->n_local; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];

        if (child->state != GV_CHILD_RESTING)
            continue;
        if (strcmp(child->peer, name) == 0)
            return child;
        if (free == NULL || (free->peer[0] != '\0' && child->peer[0] == '\0'))
            free = child;
    }
    return free;
}

static void turn_away(struct gv_pool *pool, struct gv_stream *stream, const char *name,
                      const char *why)
{
    pool->stats.remote_refused++;
    pool->stats.dropped_peers++;
    gv_log(GV_LOG_WARN, "link.dropped", "link=%s peer=%.63s why=\"%s\"", pool->name, name, why);
    pool->env->stream_close(stream);
}

static void accepted(void *owner, struct gv_stream *stream)
{
    struct gv_pool *pool = owner;
    struct gv_identity identity;
    struct gv_child *child;

    pool->env->stream_identity(stream, &identity);
    identity.name[sizeof identity.name - 1] = '\0';
    if (!is_allowed(pool->remote, identity.name)) {
        turn_away(pool, stream, identity.name, "the pool does not allow this name");
        return;
    }
    child = free_place(pool, identity.name);
    if (child == NULL) {
        turn_away(pool, stream, identity.name, "as many machines as may be are here (remote_max)");
        return;
    }
    child->state = GV_CHILD_SPAWNING;
    child->has_exited = true; /* There is no process to wait for. */
    child->was_ready = false;
    child->end_is_wanted = false;
    child->since_ms = pool->loop->now_ms;
    child->n_sent = 0;
    child->n_answered = 0;
    memcpy(child->peer, identity.name, sizeof child->peer);
    gv_child_connected(child, stream);
}

static void beat(struct gv_timer *timer)
{
    struct gv_child *child = (struct gv_child *)((char *)timer - offsetof(struct gv_child, timer));
    struct gv_pool *pool = child->pool;

    if (!child->has_link)
        return;
    gv_wheel_arm(&pool->loop->wheel, timer, pool->loop->now_ms + pool->remote->heartbeat_ms);
    gv_link_beat(&child->link);
}

/* NULL for NULL; false when memory is short. */
static bool keep(char **copy, const char *text)
{
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

static int listen_there(struct gv_pool *pool, const char *url)
{
    struct gv_remote *remote = pool->remote;
    int rc = pool->env->listen(pool->loop->poller, url, &remote->events, pool, &remote->listener);

    if (rc == 0)
        return 0;
    gv_log(GV_LOG_ERROR, "pool.listen", "pool=%s url=%s error=%s", pool->name, url,
           grove_error_name(rc));
    /* The log says which file it is. */
    return gv_failed(rc, rc == -EADDRINUSE ? "another program listens there; choose another port"
                         : rc == -EADDRNOTAVAIL ? "that address is none of this machine's"
                                                : NULL);
}

int gv_remote_open(struct gv_pool *pool, const struct grove_pool_options *options)
{
    struct gv_remote *remote;

    for (unsigned i = pool->n_local; i < pool->n_places; i++) {
        pool->children[i].is_remote = true;
        gv_timer_init(&pool->children[i].timer, beat);
    }
    if (options->listen == NULL)
        return 0;
    remote = calloc(1, sizeof *remote);
    if (remote == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    pool->remote = remote;
    if (!keep(&remote->cert, options->cert) || !keep(&remote->key, options->key)
        || !keep(&remote->ca, options->ca) || !keep(&remote->allow, options->allow))
        return gv_failed(GROVE_ENOMEM, NULL);
    remote->files = (struct gv_tls_files){remote->cert, remote->key, remote->ca};
    remote->events = (struct gv_listen_events){.accepted = accepted, .tls = &remote->files};
    remote->heartbeat_ms =
        options->heartbeat_ms != 0 ? options->heartbeat_ms : HEARTBEAT_MS_DEFAULT;
    return listen_there(pool, options->listen);
}

void gv_remote_close(struct gv_pool *pool)
{
    if (pool->remote == NULL || pool->remote->listener == NULL)
        return;
    pool->env->listener_close(pool->remote->listener);
    pool->remote->listener = NULL;
}

void gv_remote_free(struct gv_pool *pool)
{
    struct gv_remote *remote = pool->remote;

    for (unsigned i = pool->n_local; i < pool->n_places; i++)
        gv_roster_free(pool->children[i].roster);
    if (remote == NULL)
        return;
    gv_assert(remote->listener == NULL);
    free(remote->cert);
    free(remote->key);
    free(remote->ca);
    free(remote->allow);
    free(remote);
    pool->remote = NULL;
}

int gv_remote_url(const struct gv_pool *pool, char *url, size_t room)
{
    char text[256];

    if (pool->remote == NULL || pool->remote->listener == NULL)
        return gv_usage("grove_pool_url: this pool does not listen; say where when it is opened: "
                        "listen = \"tls+tcp://HOST:PORT\"");
    pool->env->listener_url(pool->remote->listener, text, sizeof text);
    if (strlen(text) >= room)
        return gv_usage("grove_pool_url: the url has %zu bytes with its end, there is room for %zu",
                        strlen(text) + 1, room);
    memcpy(url, text, strlen(text) + 1);
    return 0;
}

/* --- one machine ---------------------------------------------------------------------------------- */

uint32_t gv_remote_heartbeat_ms(const struct gv_child *child)
{
    return child->is_remote ? child->pool->remote->heartbeat_ms : 0;
}

const char *gv_remote_hello(struct gv_child *child, const Grove__Link__V1__Hello *hello)
{
    if (hello->credits == 0 || hello->credits > CAPACITY_MOST)
        return "it has no workers, or more than 1024";
    if (child->pool->state != GV_POOL_OPEN)
        return "the pool is closing";
    child->capacity = (uint16_t)hello->credits;
    return NULL;
}

void gv_remote_welcomed(struct gv_child *child)
{
    struct gv_pool *pool = child->pool;

    gv_log(GV_LOG_INFO, "remote.ready", "pool=%s peer=%s workers=%u", pool->name, child->peer,
           child->capacity);
    gv_wheel_arm(&pool->loop->wheel, &child->timer,
                 pool->loop->now_ms + pool->remote->heartbeat_ms);
    gv_link_beat(&child->link);
}

static void lose(struct gv_job *job)
{
    struct gv_pool *pool = job->pool;
    const char *text = gv_job_items_text(job, "the link to the worker's machine was lost");

    if (text == NULL)
        text = "the link to the worker's machine was lost while it had this job";
    if (job->gave_up != 0) {
        gv_job_fail(job, job->gave_up, GROVE_STARTED_UNKNOWN, NULL);
    } else if (gv_job_may_rerun(job) && pool->state != GV_POOL_ENDING
               && ++job->losses < GV_REMOTE_LOSSES_MAX) {
        pool->stats.retried++;
        gv_job_wait(&pool->queue, job, true);
    } else {
        gv_job_fail(job, GROVE_EUNKNOWN, GROVE_STARTED_UNKNOWN, text);
    }
}

void gv_remote_buried(struct gv_child *child)
{
    struct gv_pool *pool = child->pool;
    bool parted = child->end_is_wanted || !child->was_ready;
    unsigned n_jobs = child->jobs.n;

    gv_wheel_disarm(&pool->loop->wheel, &child->timer);
    /* One that was told to leave, or wanted to, and has done all it had. */
    parted = parted || (child->has_left && n_jobs == 0);
    if (!parted)
        pool->stats.remote_lost++;
    if (child->was_ready)
        gv_log(parted ? GV_LOG_INFO : GV_LOG_WARN, parted ? "remote.left" : "remote.lost",
               "pool=%s peer=%s jobs=%u%s", pool->name, child->peer, n_jobs,
               child->link.silent ? " why=\"it was silent for three heartbeats\"" : "");
    child->has_left = false;
    /* From the last to the first: those that go back to the queue's head keep their order. */
    while (child->jobs.tail != NULL) {
        struct gv_job *job = child->jobs.tail;

        gv_jobs_remove(&child->jobs, job);
        job->child = NULL;
        lose(job);
    }
    /* Its roster stays, for when it comes again. */
}

/* --- its jobs ------------------------------------------------------------------------------------- */

void gv_remote_overdue(struct gv_job *job)
{
    struct gv_pool *pool = job->pool;
    uint32_t patience_ms = pool->grace_ms + HEARTBEATS * pool->remote->heartbeat_ms;
    uint32_t now_ms = pool->loop->now_ms, end_ms = job->gave_up_ms + patience_ms;

    if (gv_ms_before(now_ms, end_ms)) {
        gv_wheel_arm(&pool->loop->wheel, &job->timer, end_ms);
        return;
    }
    if (job->child->state == GV_CHILD_DYING)
        return;
    gv_log(GV_LOG_WARN, "job.overdue", "pool=%s method=%s peer=%s", pool->name, job->method->name,
           job->child->peer);
    gv_child_kill(job->child);
}

/* The code of a failure, 0 if it cannot be read. */
static int code_of(const struct gv_frame *frame)
{
    struct gv_capped_arena arena;
    ProtobufCMessage *message;
    int code;

    if (gv_unpack(&grove__link__v1__failure__descriptor,
                  (struct gv_packed){frame->body, frame->body_bytes}, &arena, &message, NULL)
        != 0)
        return 0;
    code = ((const Grove__Link__V1__Failure *)message)->code;
    gv_capped_arena_deinit(&arena);
    return code;
}

bool gv_remote_gave_back(struct gv_child *child, struct gv_job *job, const struct gv_frame *frame)
{
    int code;

    if (gv_frame_class(frame) != GROVE_FAILED || job->gave_up != 0
        || child->pool->state == GV_POOL_ENDING)
        return false;
    code = code_of(frame);
    if (code == GROVE_ECRASHED) {
        gv_job_bereaved(job, child, job->seq);
        return true;
    }
    /* It has no workers now, or ends, and has not begun: it shall come again when it can. */
    if (gv_frame_started(frame) != GROVE_STARTED_NO
        || (code != GROVE_ESTOPPING && code != GROVE_EUNAVAILABLE && code != GROVE_EFULL))
        return false;
    gv_job_bereaved(job, child, job->seq - 1);
    if (child->state == GV_CHILD_READY)
        gv_child_leave(child);
    return true;
}
