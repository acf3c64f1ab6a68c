/*
 * Blocking runs: pools of threads of our own, so that code which blocks
 * starves no loop. Each kind of run has its own pool: a program's slow
 * functions do not hold up its files, nor does a name server that is down.
 *
 * A thread is started when a run finds none idle; beyond N_THREADS_KEPT they
 * end when they have been idle for a while. Runs wait in order when as many
 * as may be are taken.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"
#include "runtime/options.h"

enum {
    N_THREADS_KEPT = 4,
    N_THREADS_MAX = 16,    /* of files and names; the option blocking_threads says it for users */
    N_WAITING_MAX = 65536, /* runs of ours without a thread; more are refused with -EAGAIN */
    IDLE_SECONDS = 5
};

struct job {
    struct job *next;
    struct gv_poller *poller;
    struct gv_blocking_job asked;
    struct gv_post post;
};

static struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t more; /* there is a job */
    struct job *first;   /* oldest first */
    struct job *last;
    unsigned n_waiting;
    unsigned n_idle; /* threads that wait for a job */
    unsigned n_threads;
} pools[GV_BLOCKING_COUNT] = {
    [GV_BLOCKING_FILES] = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER},
    [GV_BLOCKING_NAMES] = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER},
    [GV_BLOCKING_USERS] = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER},
};

static unsigned threads_max(const struct pool *pool)
{
    return pool == &pools[GV_BLOCKING_USERS]
               ? (unsigned)gv_option_number(GV_OPTION_BLOCKING_THREADS)
               : N_THREADS_MAX;
}

static unsigned waiting_max(const struct pool *pool)
{
    return pool == &pools[GV_BLOCKING_USERS] ? (unsigned)gv_option_number(GV_OPTION_BLOCKING_QUEUE)
                                             : N_WAITING_MAX;
}

/* The oldest job, or NULL if this thread has been idle long enough to end. With the mutex held. */
static struct job *wait_for_job(struct pool *pool)
{
    struct job *job;

    while (pool->first == NULL) {
        struct timespec until;
        int rc;

        gv_assert(clock_gettime(CLOCK_REALTIME, &until) == 0);
        until.tv_sec += IDLE_SECONDS;
        pool->n_idle++;
        rc = pthread_cond_timedwait(&pool->more, &pool->mutex, &until);
        pool->n_idle--;
        if (rc == ETIMEDOUT && pool->first == NULL && pool->n_threads > N_THREADS_KEPT)
            return NULL;
    }
    job = pool->first;
    pool->first = job->next;
    pool->n_waiting--;
    return job;
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    struct job *job;

    gv_fault_stack_open();
    pthread_mutex_lock(&pool->mutex);
    while ((job = wait_for_job(pool)) != NULL) {
        pthread_mutex_unlock(&pool->mutex);
        job->asked.run(job->asked.argument);
        gv_host_post(job->poller, &job->post); /* job is the loop's now */
        pthread_mutex_lock(&pool->mutex);
    }
    pool->n_threads--;
    pthread_mutex_unlock(&pool->mutex);
    gv_fault_stack_close();
    return NULL;
}

/* With the mutex held. */
static int start_thread(struct pool *pool)
{
    pthread_t thread;
    sigset_t old;
    int rc;

    gv_host_signals_block(&old);
    rc = pthread_create(&thread, NULL, work, pool);
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (rc != 0)
        return -rc;
    gv_assert(pthread_detach(thread) == 0); /* they live as long as the process */
    pool->n_threads++;
    return 0;
}

static void on_done(void *owner)
{
    struct job *job = owner;
    struct gv_blocking_job asked = job->asked;

    gv_host_release(job->poller);
    free(job);
    asked.done(asked.argument);
}

/* With the mutex held. */
static int queue(struct pool *pool, struct job *job)
{
    int rc = 0;

    if (pool->n_waiting >= waiting_max(pool))
        return -EAGAIN;
    if (pool->n_idle <= pool->n_waiting && pool->n_threads < threads_max(pool))
        rc = start_thread(pool);
    if (rc != 0 && pool->n_threads == 0)
        return rc; /* there is nobody who would ever run it */

    if (pool->first == NULL)
        pool->first = job;
    else
        pool->last->next = job;
    pool->last = job;
    pool->n_waiting++;
    gv_assert(pthread_cond_signal(&pool->more) == 0);
    return 0;
}

int gv_host_blocking_run(struct gv_poller *poller, enum gv_blocking kind,
                         const struct gv_blocking_job *asked)
{
    struct job *job = malloc(sizeof(*job));
    struct pool *pool = &pools[kind];
    int rc;

    if (job == NULL)
        return -ENOMEM;
    *job = (struct job){NULL, poller, *asked, {NULL, on_done, job}};
    pthread_mutex_lock(&pool->mutex);
    rc = queue(pool, job);
    pthread_mutex_unlock(&pool->mutex);
    if (rc != 0) {
        free(job);
        return rc;
    }
    gv_host_hold(poller);
    return 0;
}
