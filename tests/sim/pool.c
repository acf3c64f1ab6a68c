/*
 * Pool: the real pool and the real workers, in a world that kills them.
 *
 * The workers are simulated processes that run the state machine of
 * workers/worker.h over simulated streams. They die, hang and are slow;
 * connections are cut, bits flip, births fail, jobs kill whoever runs them.
 *
 * Every call has one outcome, soon after its deadline at the latest. A job
 * that may not run twice never does. One that may is not lost: if it fails
 * by a crash it has run twice at least. Who is told that it never began is
 * told the truth. What is told of a job's progress is its own. A stream
 * brings the right items in order from the first on, and one end, which is
 * the good one only if all have come; once an item has come it never begins
 * anew. A crash that was told is a dead letter, which can be retried. When
 * the faults end, the pool works again, and after its
 * end nothing of it is left.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <grove.h>

#include "jobs.grove.h"
#include "sim/process.h"
#include "sim/thread.h"
#include "tests/sim/simulation.h"

#define CLIENTS_MAX 6u
#define CALLS_MAX   8u /* of a client */
#define JOBS_MAX    200u
#define LATE_MS     100u /* how long after its deadline a call has ended */
#define MEND_TRIES  40u  /* calls until one of a pool without faults succeeds */
#define BALLAST_MAX 3000u

struct job {
    uint32_t work_us;
    bool poison;      /* it kills whoever runs it */
    bool never_began; /* its caller was told so */
    unsigned n_runs;
    unsigned n_steps; /* it tells of its progress so often */
    unsigned n_items; /* of a stream, that its reader has got */
};

static struct {
    grove_ref pool;
    struct job jobs[JOBS_MAX];
    unsigned n_jobs;
    unsigned n_ended; /* clients */
    bool quarantines;
    uint64_t n_crashed; /* calls that ended so */
} play;

/* --- in the workers ------------------------------------------------------------------------------- */

static void work(uint32_t number)
{
    struct job *job = &play.jobs[number];

    SIM_CHECK(number < play.n_jobs, "a worker got job %u of %u", number, play.n_jobs);
    SIM_CHECK(!job->never_began, "job %u began, although its caller was told that it never would",
              number);
    job->n_runs++;
    sim_note("works", number, job->n_runs);
    for (unsigned i = 1; i <= job->n_steps; i++) {
        char note[32];

        (void)snprintf(note, sizeof note, "%" PRIu32 " %u", number, i); /* It fits. */
        grove_job_progress((double)i / job->n_steps, note);
    }
    if (job->poison)
        (void)gv_sim_process_kill(gv_sim_thread_running()->process,
                                  SIGSEGV); /* It lives now, so it can die. */
    gv_sim_process_work((uint64_t)job->work_us * 1000);
}

static int once(const Sim__Jobs__V1__OnceRequest *request, Sim__Jobs__V1__OnceResponse *response)
{
    work(request->job);
    SIM_CHECK(play.jobs[request->job].n_runs == 1, "job %u, which may not run twice, did",
              request->job);
    response->job = request->job;
    response->ballast = request->ballast;
    return 0;
}

static int again(const Sim__Jobs__V1__AgainRequest *request, Sim__Jobs__V1__AgainResponse *response)
{
    work(request->job);
    response->job = request->job;
    response->ballast = request->ballast;
    return 0;
}

static int feed(const Sim__Jobs__V1__FeedRequest *request, struct job_feed_sink *sink)
{
    Sim__Jobs__V1__FeedItem item = SIM__JOBS__V1__FEED_ITEM__INIT;
    const struct job *job = &play.jobs[request->job];
    static uint8_t ballast[BALLAST_MAX];
    int rc = 0;

    work(request->job);
    SIM_CHECK(job->n_items == 0, "stream %u began anew after %u items had come", request->job,
              job->n_items);
    item.job = request->job;
    for (uint32_t i = 0; rc == 0 && i < request->n; i++) {
        item.number = i;
        item.ballast = (ProtobufCBinaryData){request->job * 31 % BALLAST_MAX, ballast};
        gv_sim_process_work((uint64_t)job->work_us * 10);
        rc = job_feed_emit_await(sink, &item);
    }
    return rc;
}

static const struct job_service functions = {.once = once, .again = again, .feed = feed};
GROVE_WORKER(job, &functions);

/* --- in the program ------------------------------------------------------------------------------- */

static bool is_allowed(int rc)
{
    static const int codes[] = {0,
                                GROVE_EFULL,
                                GROVE_ETIMEDOUT,
                                GROVE_ECANCELED,
                                GROVE_ECRASHED,
                                GROVE_EUNAVAILABLE,
                                GROVE_EQUARANTINED};

    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == rc)
            return true;
    return false;
}

static void check_outcome(uint32_t number, bool may_rerun, int rc)
{
    struct job *job = &play.jobs[number];
    enum grove_started started = grove_failure()->started;

    sim_note("outcome", number, (uint64_t)(int64_t)rc);
    SIM_CHECK(is_allowed(rc), "job %u ended with %s (%d)", number, grove_error_name(rc), rc);
    SIM_CHECK(rc != 0 || job->n_runs >= 1, "job %u was answered, but never ran", number);
    if (rc == GROVE_ECRASHED)
        SIM_CHECK(job->n_runs >= (may_rerun && !play.quarantines ? 2 : 1),
                  "job %u has crashed, they say, but it ran %u times", number, job->n_runs);
    SIM_CHECK(rc != GROVE_EQUARANTINED || (play.quarantines && started == GROVE_STARTED_NO),
              "job %u was refused as deadly, and ran", number);
    play.n_crashed += rc == GROVE_ECRASHED;
    if (rc != 0 && started == GROVE_STARTED_NO) {
        SIM_CHECK(job->n_runs == 0,
                  "job %u (%s) ran, although its caller was told that it never would", number,
                  grove_error_name(rc));
        job->never_began = true;
    }
}

static void check_answer(uint32_t number, uint32_t answered, const ProtobufCBinaryData *sent,
                         const ProtobufCBinaryData *came)
{
    SIM_CHECK(answered == number && came->len == sent->len
                  && (sent->len == 0 || memcmp(came->data, sent->data, sent->len) == 0),
              "job %u got the answer of another one", number);
}

/* Follows the job while it runs: it speaks of itself alone, and goes on but for its next run. */
static int follow(uint32_t number, struct grove_future *future)
{
    struct grove_progress last = {.attempt = 0}, progress;

    while (grove_progress_await(future, &progress)) {
        unsigned job = 0, step = 0;

        sim_note("progress", number, (uint64_t)(progress.fraction * 100));
        SIM_CHECK(sscanf(progress.note, "%u %u", &job, &step) == 2 && job == number,
                  "of job %u it was told: %s", number, progress.note);
        SIM_CHECK(progress.attempt > last.attempt
                      || (progress.attempt == last.attempt && progress.fraction > last.fraction),
                  "job %u went back from %g of run %u to %g of run %u", number, last.fraction,
                  last.attempt, progress.fraction, progress.attempt);
        last = progress;
    }
    return grove_future_await(future);
}

static int call_once(uint32_t number, ProtobufCBinaryData ballast)
{
    Sim__Jobs__V1__OnceRequest request = SIM__JOBS__V1__ONCE_REQUEST__INIT;
    Sim__Jobs__V1__OnceResponse response = SIM__JOBS__V1__ONCE_RESPONSE__INIT;
    int rc;

    request.job = number;
    request.ballast = ballast;
    if (play.jobs[number].n_steps > 0) {
        struct grove_future future;

        rc = job_once_start(play.pool, &request, &response, &future);
        rc = rc == 0 ? follow(number, &future) : rc;
    } else {
        rc = job_once_await(play.pool, &request, &response);
    }
    if (rc == 0)
        check_answer(number, response.job, &ballast, &response.ballast);
    return rc;
}

static int call_again(uint32_t number, ProtobufCBinaryData ballast)
{
    Sim__Jobs__V1__AgainRequest request = SIM__JOBS__V1__AGAIN_REQUEST__INIT;
    Sim__Jobs__V1__AgainResponse response = SIM__JOBS__V1__AGAIN_RESPONSE__INIT;
    int rc;

    request.job = number;
    request.ballast = ballast;
    if (play.jobs[number].n_steps > 0) {
        struct grove_future future;

        rc = job_again_start(play.pool, &request, &response, &future);
        rc = rc == 0 ? follow(number, &future) : rc;
    } else {
        rc = job_again_await(play.pool, &request, &response);
    }
    if (rc == 0)
        check_answer(number, response.job, &ballast, &response.ballast);
    return rc;
}

static uint32_t new_job(void)
{
    struct job *job = &play.jobs[play.n_jobs];

    job->work_us =
        sim_draw(SIM_LOAD, 8) == 0 ? sim_draw(SIM_LOAD, 200000) : sim_draw(SIM_LOAD, 300);
    job->poison = sim_draw(SIM_LOAD, play.quarantines ? 4 : 40) == 0;
    job->n_steps = sim_draw(SIM_LOAD, 2) == 0 ? sim_draw(SIM_LOAD, 12) : 0;
    return play.n_jobs++;
}

/* Takes items until the end, or until `most` have come. Returns how it has ended. */
static int take_items(uint32_t number, struct job_feed_stream *stream, uint32_t most)
{
    Sim__Jobs__V1__FeedItem item = SIM__JOBS__V1__FEED_ITEM__INIT;
    int rc;

    while (play.jobs[number].n_items < most) {
        rc = job_feed_next_await(stream, &item);
        if (rc != 0)
            return rc;
        SIM_CHECK(item.job == number && item.number == play.jobs[number].n_items
                      && item.ballast.len == number * 31 % BALLAST_MAX,
                  "stream %u brought item %u of %u instead of %u", number, item.number, item.job,
                  play.jobs[number].n_items);
        play.jobs[number].n_items++;
        if (sim_draw(SIM_LOAD, 8) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* A slow reader, whom nobody stops. */
    }
    job_feed_close(stream);
    return GROVE_ECANCELED;
}

static int call_feed(uint32_t number)
{
    Sim__Jobs__V1__FeedRequest request = SIM__JOBS__V1__FEED_REQUEST__INIT;
    Sim__Jobs__V1__FeedItem item = SIM__JOBS__V1__FEED_ITEM__INIT;
    struct job_feed_stream stream;
    uint32_t most;
    int rc;

    request.job = number;
    request.n = sim_draw(SIM_LOAD, 40);
    most = sim_draw(SIM_LOAD, 4) == 0 ? sim_draw(SIM_LOAD, 20) : UINT32_MAX;
    rc = job_feed_open(play.pool, &request, &stream);
    if (rc != 0)
        return rc;
    rc = take_items(number, &stream, most);
    SIM_CHECK(rc != GROVE_EEND || play.jobs[number].n_items == request.n,
              "stream %u has ended well, they say, after %u of %u items", number,
              play.jobs[number].n_items, request.n);
    SIM_CHECK(job_feed_next_await(&stream, &item) == rc, "stream %u ends twice", number);
    return rc;
}

/* Streams have an end, and take as long as their readers. */
static void read_stream(void)
{
    enum grove_started started;
    uint32_t number;
    int rc;

    if (play.n_jobs == JOBS_MAX)
        return;
    number = new_job();
    grove_within(1 + sim_draw(SIM_LOAD, sim_draw(SIM_LOAD, 2) == 0 ? 50 : 5000));
    rc = call_feed(number);
    started = grove_failure()->started;
    sim_note("stream", number, (uint64_t)(int64_t)rc);
    SIM_CHECK(rc == GROVE_EEND || (rc != 0 && is_allowed(rc)), "stream %u ended with %s (%d)",
              number, grove_error_name(rc), rc);
    if (rc == GROVE_ECRASHED)
        SIM_CHECK(play.jobs[number].n_runs
                      >= (play.jobs[number].n_items > 0 || play.quarantines ? 1 : 2),
                  "stream %u has crashed, they say, but it ran %u times", number,
                  play.jobs[number].n_runs);
    if (rc != GROVE_ECANCELED && started == GROVE_STARTED_NO) {
        SIM_CHECK(play.jobs[number].n_runs == 0, "stream %u ran, although it never would", number);
        play.jobs[number].never_began = true;
    }
}

static int call_await(bool mending)
{
    uint8_t ballast[BALLAST_MAX];
    uint32_t within_ms = 1 + sim_draw(SIM_LOAD, sim_draw(SIM_LOAD, 2) == 0 ? 50 : 5000);
    uint32_t n_ballast =
        sim_draw(SIM_LOAD, 4) == 0 ? sim_draw(SIM_LOAD, BALLAST_MAX) : sim_draw(SIM_LOAD, 16);
    uint32_t number;
    uint64_t began_ns = sim.now_ns;
    bool may_rerun = sim_draw(SIM_LOAD, 2) == 0;
    int rc;

    if (play.n_jobs == JOBS_MAX)
        return 0;
    number = new_job();
    memset(ballast, (int)number, n_ballast);
    if (mending) {
        play.jobs[number] = (struct job){0};
        within_ms = 5000;
    }
    grove_within(within_ms);
    rc = (may_rerun ? call_again : call_once)(number, (ProtobufCBinaryData){n_ballast, ballast});
    SIM_CHECK(sim.now_ns - began_ns <= (uint64_t)(within_ms + LATE_MS) * 1000000,
              "job %u, which had %" PRIu32 " ms, ended after %" PRIu64, number, within_ms,
              (sim.now_ns - began_ns) / 1000000);
    check_outcome(number, may_rerun, rc);
    return rc;
}

static void act_as_client(void *argument)
{
    unsigned n = 1 + sim_draw(SIM_LOAD, CALLS_MAX);

    (void)argument;
    for (unsigned i = 0; i < n; i++) {
        struct grove_scope scope;

        if (sim_draw(SIM_LOAD, 3) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 200)); /* Nobody stops us. */
        grove_scope_begin(&scope);
        if (sim_draw(SIM_LOAD, 4) == 0)
            read_stream();
        else
            (void)call_await(false); /* It was checked. */
        grove_scope_end(&scope);
    }
    play.n_ended++;
}

/* From now on nothing goes wrong, and what has gone wrong must mend. */
static void check_mending(void)
{
    unsigned n = 0;

    grove_sim_allow(0);
    while (n++ < MEND_TRIES && call_await(true) != 0)
        (void)grove_sleep_await(1000); /* main is never stopped. */
    SIM_CHECK(n <= MEND_TRIES, "the pool works no more");
}

/* Until no worker has a job: those that were given up end too, and may be letters then. */
static void wait_idle(void)
{
    struct grove_pool_stats stats = {.running = 1};

    for (unsigned i = 0; i < 10000 && stats.running + stats.queued > 0; i++) {
        (void)grove_sleep_await(1); /* main is never stopped. */
        SIM_CHECK(grove_pool_stats(play.pool, &stats) == 0, "there are no figures");
    }
    SIM_CHECK(stats.running + stats.queued == 0, "jobs are left");
}

/* Every crash that a caller heard of is a letter; those that may run again are retried, without faults. */
static void check_letters(void)
{
    struct grove_pool_letter letters[JOBS_MAX];
    struct grove_pool_stats stats;
    int n, n_left;

    wait_idle();
    n = grove_pool_dead_letters(play.pool, letters, JOBS_MAX);
    SIM_CHECK(grove_pool_stats(play.pool, &stats) == 0, "there are no figures");
    SIM_CHECK(n >= 0 && (uint64_t)n + stats.dead_dropped == stats.dead,
              "%d letters of %" PRIu64 ", %" PRIu64 " dropped", n, stats.dead, stats.dead_dropped);
    SIM_CHECK(stats.dead >= play.n_crashed,
              "%" PRIu64 " calls have crashed, %" PRIu64 " are letters", play.n_crashed,
              stats.dead);
    (void)grove_pool_lift(play.pool, 0); /* However many there are. */
    SIM_CHECK(grove_pool_quarantines(play.pool, NULL, 0) == 0, "a quarantine is not lifted");
    n_left = n;
    for (int i = 0; i < n; i++) {
        Sim__Jobs__V1__AgainResponse response = SIM__JOBS__V1__AGAIN_RESPONSE__INIT;
        int rc;

        SIM_CHECK(letters[i].attempts >= 1, "letter %d never ran", i);
        if (letters[i].method != &job_service_table.methods[JOB_METHOD_AGAIN]) {
            n_left -= grove_pool_forget(play.pool, letters[i].id);
            continue;
        }
        rc = grove_pool_retry_await(play.pool, letters[i].id, &response.base);
        sim_note("retried", (uint64_t)i, (uint64_t)(int64_t)rc);
        SIM_CHECK(is_allowed(rc), "a retry ended with %s", grove_error_name(rc));
        SIM_CHECK(rc != 0 || play.jobs[response.job].n_runs >= 2, "a retry did not run");
        n_left -= rc == 0;
    }
    wait_idle();
    n = grove_pool_dead_letters(play.pool, letters, JOBS_MAX);
    SIM_CHECK(n == n_left, "%d letters are left, not %d", n, n_left);
}

/* Half of the pools grow and shrink, half of them change their workers. */
static void draw_size(struct grove_pool_options *options)
{
    if (sim_draw(SIM_LOAD, 2) == 0) {
        options->n_workers_max = options->n_workers + 1 + sim_draw(SIM_LOAD, 3);
        options->grow_ms = 1 + sim_draw(SIM_LOAD, 50);
        options->idle_ms = 1 + sim_draw(SIM_LOAD, 500);
    }
    if (sim_draw(SIM_LOAD, 2) == 0)
        options->recycle_jobs = 1 + sim_draw(SIM_LOAD, 5);
    if (sim_draw(SIM_LOAD, 4) == 0)
        options->recycle_ms = 1 + sim_draw(SIM_LOAD, 2000);
}

/* However it has grown and whoever was replaced: no place is lost, and none is used twice. */
static void check_size(const struct grove_pool_options *options)
{
    unsigned n_most = options->n_workers_max != 0 ? options->n_workers_max : options->n_workers;
    struct grove_pool_stats stats;

    SIM_CHECK(grove_pool_stats(play.pool, &stats) == 0, "there are no figures");
    SIM_CHECK(stats.n_workers >= options->n_workers && stats.n_workers <= n_most,
              "%u workers are wanted, of %u to %u", stats.n_workers, options->n_workers, n_most);
    SIM_CHECK(stats.n_ready <= n_most + 1, "%u workers are ready, at most %u may be", stats.n_ready,
              n_most + 1);
}

static void run(void)
{
    struct grove_pool_options options = {
        .n_workers = 1 + sim_draw(SIM_LOAD, 4),
    };
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);
    int rc;

    memset(&play, 0, sizeof play);
    options.credits = sim_draw(SIM_LOAD, 4);
    options.queue_max = 1 + sim_draw(SIM_LOAD, 30);
    options.grace_ms = 1 + sim_draw(SIM_LOAD, 100);
    play.quarantines = sim_draw(SIM_LOAD, 2) == 0;
    options.quarantine_deaths = GROVE_POOL_NEVER;
    if (play.quarantines) {
        options.quarantine_deaths = 1 + sim_draw(SIM_LOAD, 3);
        options.quarantine_ms = 1 + sim_draw(SIM_LOAD, 300);
    }
    draw_size(&options);
    rc = grove_pool_open(&options, &play.pool);
    SIM_CHECK(rc == 0, "no pool: %s", grove_error_name(rc));
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options place = {.place =
                                                GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(act_as_client, NULL, &place, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    check_size(&options);
    check_mending();
    check_letters();
    check_size(&options);
    rc = grove_pool_close_await(play.pool, sim_draw(SIM_LOAD, 2) * 1000);
    SIM_CHECK(rc == 0, "the pool closes with %s", grove_error_name(rc));
}

const struct sim_simulation sim_pool = {
    .name = "pool",
    .what = "worker processes that die, hang and lose connections",
    .run = run,
};
