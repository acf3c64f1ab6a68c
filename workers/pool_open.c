/*
 * The birth of a pool, its door for workers, and what users call.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/actor.h>
#include <grove/error.h>
#include <grove/name.h>

#include "actors/mail.h"
#include "actors/route.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"
#include "workers/pool.h"
#include "workers/remote.h"

#define QUEUE_MAX_DEFAULT  10000u
#define BYTES_MAX_DEFAULT  ((uint64_t)64 << 20)
#define SLAB_BYTES_DEFAULT ((uint64_t)64 << 20)
#define GRACE_MS_DEFAULT   100u
#define MAILBOX_BYTES_MAX  ((uint64_t)255 << 20)
#define MAILBOX_DEPTH_MAX  ((1u << 20) - 1)

/* --- the door ------------------------------------------------------------------------------------- */

/* The worker that this peer is, NULL if it is none that may connect now. */
static struct gv_child *expected(struct gv_pool *pool, int64_t pid)
{
    for (unsigned i = 0; i < pool->n_places; i++) {
        struct gv_child *child = &pool->children[i];

        if (child->pid == pid && child->state == GV_CHILD_SPAWNING && !child->has_link)
            return child;
    }
    return NULL;
}

/* True for a connection of a worker that is dead by now, or dying: that breaks no rule. */
static bool is_late(const struct gv_pool *pool, int64_t pid)
{
    for (unsigned i = 0; i < pool->n_places; i++) {
        const struct gv_child *child = &pool->children[i];

        if (child->pid_before == pid || (child->pid == pid && child->state == GV_CHILD_DYING))
            return true;
    }
    return false;
}

static void accepted(void *owner, struct gv_stream *stream)
{
    struct gv_pool *pool = owner;
    struct gv_identity identity;
    struct gv_child *child;

    pool->env->stream_identity(stream, &identity);
    child = expected(pool, identity.pid);
    if (child != NULL) {
        gv_child_connected(child, stream);
        return;
    }
    if (!is_late(pool, identity.pid)) {
        pool->stats.dropped_peers++;
        gv_log(GV_LOG_WARN, "link.dropped", "link=%s pid=%" PRId64 " why=\"%s\"", pool->name,
               identity.pid, "it is no worker that was started here");
    }
    pool->env->stream_close(stream);
}

static const struct gv_listen_events listen_events = {.accepted = accepted};

/* A simulated world has names and no directories. */
static int open_door(struct gv_pool *pool)
{
    static unsigned n_pools;
    int rc = 0;

    if (pool->env == gv_env_host())
        rc = gv_host_directory_open(pool->directory, &pool->directory_fd);
    else
        (void)snprintf(pool->directory, sizeof pool->directory, "/pool-%u", n_pools++);
    if (rc != 0)
        return rc;
    (void)snprintf(pool->url, sizeof pool->url, "%s://%s/s",
                   gv_option_number(GV_OPTION_WORKER_NNG) ? "ipc" : "unix", pool->directory);
    rc = pool->env->listen(pool->loop->poller, pool->url, &listen_events, pool, &pool->listener);
    if (rc != 0)
        gv_log(GV_LOG_ERROR, "pool.listen", "pool=%s url=%s error=%s", pool->name, pool->url,
               grove_error_name(rc));
    return rc;
}

/* --- life ----------------------------------------------------------------------------------------- */

/* Why these options cannot be, NULL if they can. */
static const char *wrong(const struct grove_pool_options *options)
{
    if (options->name != NULL
        && (options->name[0] == '\0' || strlen(options->name) >= GV_POOL_NAME_BYTES))
        return "the name of a pool has 1 to 31 bytes";
    if (options->credits > 1024)
        return "a worker has at most 1024 credits";
    if (options->queue_max > 10000000)
        return "queue_max is at most 10 000 000";
    if (options->program != NULL
        && strlen(options->program) >= sizeof((struct gv_pool *)0)->program)
        return "the path of the program is too long";
    if (options->slab_bytes != 0 && options->slab_bytes != -1
        && (options->slab_bytes < (int64_t)GV_SLAB_BYTES_LEAST
            || options->slab_bytes > (int64_t)GV_SLAB_BYTES_MOST))
        return "slab_bytes is 1 MiB to 4 GiB, or -1 for none: large messages go through the "
               "stream then";
    if (gv_letters_wrong(options) != NULL)
        return gv_letters_wrong(options);
    if (gv_quarantine_wrong(options) != NULL)
        return gv_quarantine_wrong(options);
    return gv_size_wrong(options) != NULL ? gv_size_wrong(options) : gv_remote_wrong(options);
}

/* Both halves are whole grains. */
static uint64_t slab_bytes(const struct grove_pool_options *options)
{
    uint64_t bytes = options->slab_bytes != 0 ? (uint64_t)options->slab_bytes : SLAB_BYTES_DEFAULT;

    return options->slab_bytes < 0 ? 0 : bytes / (2 * GV_SLAB_GRAIN) * (2 * GV_SLAB_GRAIN);
}

static struct gv_pool *new_pool(struct gv_loop *loop, const struct grove_pool_options *options)
{
    unsigned n_local = gv_size_places(options), n_places = n_local + gv_remote_places(options);
    struct gv_pool *pool = calloc(1, sizeof *pool + n_places * sizeof pool->children[0]);

    if (pool == NULL)
        return NULL;
    pool->loop = loop;
    pool->env = loop->env;
    pool->n_places = n_places;
    pool->n_local = n_local;
    gv_size_init(pool, options);
    gv_letters_init(&pool->letters, options);
    gv_quarantine_init(&pool->quarantine, options);
    pool->credits = options->credits;
    pool->queue_max = options->queue_max != 0 ? options->queue_max : QUEUE_MAX_DEFAULT;
    pool->bytes_max = options->bytes_max != 0 ? options->bytes_max : BYTES_MAX_DEFAULT;
    pool->slab_bytes = slab_bytes(options);
    pool->grace_ms = options->grace_ms != 0 ? options->grace_ms : GRACE_MS_DEFAULT;
    pool->directory_fd = -1;
    (void)snprintf(pool->name, sizeof pool->name, "%s",
                   options->name != NULL ? options->name
                                         : GV_ROUTE_DEFAULT); /* A cut name is a name. */
    if (options->program != NULL)
        (void)snprintf(pool->program, sizeof pool->program, "%s", options->program); /* It fits. */
    gv_crew_init(pool);
    return pool;
}

void gv_pool_free(struct gv_pool *pool)
{
    gv_assert(pool->listener == NULL && pool->queue.n_waiting == 0);
    gv_remote_free(pool);
    if (pool->directory_fd >= 0)
        gv_host_directory_close(pool->directory, pool->directory_fd);
    gv_roster_free(pool->roster);
    gv_bytes_free(&pool->answer);
    gv_queue_deinit(&pool->queue);
    gv_letters_deinit(&pool->letters);
    gv_quarantine_deinit(&pool->quarantine);
    free(pool);
}

int gv_pool_make(struct gv_loop *loop, const struct grove_pool_options *options,
                 struct gv_pool **result)
{
    struct gv_pool *pool = new_pool(loop, options);
    int rc;

    if (pool == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    rc = open_door(pool);
    if (rc == 0) {
        rc = gv_remote_open(pool, options);
        if (rc != 0) {
            pool->env->listener_close(pool->listener);
            pool->listener = NULL;
        }
    }
    if (rc != 0) {
        gv_pool_free(pool);
        return rc;
    }
    *result = pool;
    return 0;
}

/* Noted as the reason of GROVE_EUSAGE, which it returns. */
static int not_on_loop_0(const char *function)
{
    (void)gv_usage("%s: pools live on loop 0; call it in main after grove_init, or in an actor "
                   "spawned with GROVE_ON_LOOP(0)",
                   function); /* It returns the same. */
    return GROVE_EUSAGE;
}

/* --- for users ------------------------------------------------------------------------------------ */

/* As large as the queue itself, so that a burst is not refused before it is filed. */
static int bound_mailbox(struct gv_task *task, const struct gv_pool *pool)
{
    uint32_t depth = pool->queue_max < MAILBOX_DEPTH_MAX ? pool->queue_max : MAILBOX_DEPTH_MAX;
    uint64_t bytes = pool->bytes_max < MAILBOX_BYTES_MAX ? pool->bytes_max : MAILBOX_BYTES_MAX;

    return gv_task_bound(task, depth, (uint32_t)bytes);
}

/* So that rpcs of actors find it, and who asks by name. A second one of the name is found by its ref. */
static void give_name(const struct gv_pool *pool, grove_ref ref)
{
    char name[sizeof GV_ROUTE_PREFIX + GV_POOL_NAME_BYTES];
    grove_ref other;
    int rc;

    (void)snprintf(name, sizeof name, GV_ROUTE_PREFIX "%s", pool->name); /* It fits. */
    if (grove_whereis(name, &other) == 0)
        return;
    rc = grove_register(name, ref);
    if (rc != 0)
        gv_log(GV_LOG_WARN, "pool.name", "pool=%s error=%s", pool->name, grove_error_name(rc));
}

int grove_pool_open(const struct grove_pool_options *options, grove_ref *ref)
{
    static const struct grove_pool_options defaults;
    struct gv_loop *loop = gv_loop_now();
    struct gv_message *init = NULL;
    struct gv_task *task;
    int rc;

    if (options == NULL)
        options = &defaults;
    if (loop == NULL || loop->index != 0)
        return not_on_loop_0("grove_pool_open");
    if (ref == NULL)
        return gv_usage_null("grove_pool_open", "the place for its ref");
    if (wrong(options) != NULL)
        return gv_usage("%s", wrong(options));
    rc = gv_place_task(loop, GROVE_HERE, &gv_pool_class, sizeof(struct gv_pool_task), &task);
    if (rc != 0)
        return rc;
    rc = gv_pool_make(loop, options, &((struct gv_pool_task *)task)->pool);
    if (rc == 0) {
        struct gv_pool *pool = ((struct gv_pool_task *)task)->pool;

        pool->task = (struct gv_pool_task *)task;
        rc = bound_mailbox(task, pool);
        gv_assert(rc == 0);
        init = gv_message_take(&loop->blocks, 0);
        if (init != NULL) {
            gv_place_start(loop, task, init, ref);
            give_name(pool, *ref);
            return 0;
        }
        rc = GROVE_ENOMEM;
        gv_remote_close(pool);
        pool->env->listener_close(pool->listener);
        pool->listener = NULL;
        gv_pool_free(pool);
    }
    gv_place_undo(loop, task);
    return rc;
}

/* The living pool that ref names, NULL if there is none. */
static struct gv_task *find(grove_ref ref)
{
    struct gv_task *task = gv_mail_task(gv_loop_here, ref);

    return task != NULL && task->class == &gv_pool_class ? task : NULL;
}

int grove_pool_close_await(grove_ref ref, uint32_t timeout_ms)
{
    struct gv_loop *loop = gv_loop_here;
    const enum grove_stop_mode mode = GROVE_STOP_DRAIN;
    struct gv_message *message;
    struct gv_task *task;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_pool_close_await");
    task = find(ref);
    if (task == NULL)
        return gv_failed(GROVE_ENOACTOR, "this ref is no pool's, or it has been closed");
    message = gv_message_take(&loop->blocks, sizeof mode);
    if (message == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    message->method = GV_SIGNAL_STOP;
    message->to = gv_task_id(task);
    message->deadline_ms = gv_deadline_in(loop, timeout_ms);
    memcpy(message->body, &mode, sizeof mode);
    gv_signal_send(loop, task, message);
    return grove_stop_await(ref, mode);
}

int gv_pool_find_here(const char *function, grove_ref ref, struct gv_pool **pool)
{
    struct gv_task *task;

    if (gv_loop_here == NULL || gv_loop_here->index != 0)
        return not_on_loop_0(function);
    task = find(ref);
    if (task == NULL)
        return gv_failed(GROVE_ENOACTOR, "this ref is no pool's, or it has been closed");
    *pool = ((struct gv_pool_task *)task)->pool;
    return 0;
}

static unsigned n_parked(const struct gv_job_list *jobs)
{
    unsigned n = 0;

    if (jobs->n_streams > 0)
        for (const struct gv_job *job = jobs->head; job != NULL; job = job->next)
            n += gv_job_is_parked(job);
    return n;
}

int grove_pool_stats(grove_ref ref, struct grove_pool_stats *stats)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_stats", ref, &pool);

    if (rc == 0 && stats == NULL)
        rc = gv_usage_null("grove_pool_stats", "the place for them");
    if (rc != 0)
        return rc;
    *stats = pool->stats;
    stats->n_workers = pool->n_wanted;
    stats->queued = pool->queue.n_waiting + gv_mailbox_depth(&pool->task->task.mailbox);
    for (unsigned i = 0; i < pool->n_places; i++) {
        stats->n_ready += pool->children[i].state == GV_CHILD_READY;
        stats->n_busy += pool->children[i].jobs.n > 0;
        stats->running += pool->children[i].jobs.n;
        if (pool->children[i].is_remote && pool->children[i].state == GV_CHILD_READY) {
            stats->n_remote++;
            stats->n_remote_workers += pool->children[i].capacity;
        }
        stats->n_parked += n_parked(&pool->children[i].jobs);
        stats->slab_used += gv_slab_used(&pool->children[i]);
    }
    return 0;
}

struct gv_pool *gv_pool_find(grove_ref ref)
{
    struct gv_task *task = find(ref);

    return task != NULL ? ((struct gv_pool_task *)task)->pool : NULL;
}

int grove_pool_url(grove_ref ref, char *url, size_t room)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_url", ref, &pool);

    return rc != 0 ? rc : gv_remote_url(pool, url, room);
}

int grove_pool_pids(grove_ref ref, int *pids, unsigned n)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_pids", ref, &pool), n_pids = 0;

    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < pool->n_places && (unsigned)n_pids < n; i++)
        if (pool->children[i].pid != 0 && !pool->children[i].has_exited)
            pids[n_pids++] = (int)pool->children[i].pid;
    return n_pids;
}
