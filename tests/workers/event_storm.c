/*
 * Event storm: workers are stopped and let go on, killed, killed while they
 * stand still, lie, and get jobs that never end, while greenlets ask for
 * jobs. What must be true: see storm.h.
 *
 *     event_storm [EVENTS] [SEED]       default 500, by chance
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/workers/storm.h"

#define STILL_MS_MAX 50u
#define FOR_EVER_US  60000000u
#define N_LIES       7u /* of rpc Lie */

static unsigned n_wanted = 500, n_events;
static unsigned n_stops, n_kills, n_lies, n_slow, n_left;

static int somebody(void)
{
    int pids[STORM_WORKERS_MOST], n = grove_pool_pids(storm.pool, pids, STORM_WORKERS_MOST);

    return n > 0 ? pids[storm_chance((uint64_t)n)] : 0;
}

/* A worker stands still for a while; then it goes on, or is killed as it is. */
static void stop_one(void)
{
    int pid = somebody();

    if (pid == 0 || kill(pid, SIGSTOP) != 0)
        return;
    n_stops++;
    (void)grove_sleep_await((uint32_t)storm_chance(STILL_MS_MAX)); /* Nobody cancels us. */
    if (storm_chance(3) == 0)
        n_kills += kill(pid, SIGKILL) == 0;
    (void)kill(pid, SIGCONT); /* It may be dead. */
}

static void kill_one(void)
{
    int pid = somebody();

    n_kills += pid != 0 && kill(pid, SIGKILL) == 0;
}

/* What becomes of a job whose worker breaks the rules. */
static void judge_lie(const char *method, int rc)
{
    storm.tally.n_crashed += rc == GROVE_ECRASHED || rc == GROVE_EBROKEN;
    if (rc != GROVE_ECRASHED && rc != GROVE_EBROKEN)
        storm_note_other(method, rc);
    n_lies++;
}

/* Ends its process, or sends garbage, an endless message, an answer to nobody. */
static void lie_in_answer(void)
{
    Jobs__V1__CrashRequest request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;

    request.how = (int32_t)storm_chance(4);
    judge_lie("crash", job_crash_await(storm.pool, &request, &response));
}

/* Progress of others, of no sense, without end. */
static void lie_in_progress(void)
{
    Jobs__V1__LieRequest request = JOBS__V1__LIE_REQUEST__INIT;
    Jobs__V1__LieResponse response = JOBS__V1__LIE_RESPONSE__INIT;

    request.how = (uint32_t)storm_chance(N_LIES);
    judge_lie("lie", job_lie_await(storm.pool, &request, &response));
}

/* A job that hears no CANCEL, and whose deadline passes. */
static void ask_for_ever(void)
{
    Jobs__V1__OnceRequest request = storm_once(FOR_EVER_US);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    enum grove_started started;
    int rc;

    grove_within(1 + (uint32_t)storm_chance(30));
    rc = job_once_await(storm.pool, &request, &response);
    started = grove_failure()->started;
    n_slow++;
    storm.tally.n_given_up += rc == GROVE_ETIMEDOUT;
    storm.tally.n_crashed += rc == GROVE_ECRASHED; /* It was somebody's target. */
    if (rc != GROVE_ETIMEDOUT && rc != GROVE_ECRASHED)
        storm_note_other("for ever", rc);
    storm.tally.n_twice += started == GROVE_STARTED_NO && storm_runs(request.id) != 0;
}

/* A caller that leaves before the answer, or just after. */
static void leave(void)
{
    Jobs__V1__OnceRequest request = storm_once(storm_chance(4000));
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    struct grove_future future;
    int rc = job_once_start(storm.pool, &request, &response, &future);

    if (rc == 0) {
        (void)grove_sleep_await((uint32_t)storm_chance(4)); /* Nobody cancels us. */
        grove_future_cancel(&future);
        rc = grove_future_await(&future);
    }
    n_left++;
    storm.tally.n_done += rc == 0;
    storm.tally.n_given_up += rc == GROVE_ECANCELED;
    storm.tally.n_crashed += rc == GROVE_ECRASHED;
    if (rc != 0 && rc != GROVE_ECANCELED && rc != GROVE_ECRASHED)
        storm_note_other("left", rc);
    storm.tally.n_twice += storm_runs(request.id) > 1;
}

static void happen(void)
{
    switch (storm_chance(8)) {
    case 0:
    case 1:
    case 2:
        stop_one();
        return;
    case 3:
        kill_one();
        return;
    default:
        break;
    }
    storm.tally.n_asked++;
    switch (storm_chance(4)) {
    case 0:
        lie_in_answer();
        return;
    case 1:
        lie_in_progress();
        return;
    case 2:
        ask_for_ever();
        return;
    default:
        leave();
        return;
    }
}

static unsigned until; /* of this round; whoever comes first sets it */

static void disturb(void *argument)
{
    (void)argument;
    while (n_events < until) {
        struct grove_scope scope;

        n_events++;
        grove_scope_begin(&scope);
        (void)grove_sleep_await((uint32_t)storm_chance(10)); /* Nobody cancels us. */
        if (storm_somebody_works())
            happen();
        else
            n_events--;
        grove_scope_end(&scope);
    }
    storm_disturbed();
}

static void disturb_first(void *argument)
{
    until = n_events + storm_share(n_wanted);
    disturb(argument);
}

int main(int argc, char **argv)
{
    /* Workers that lie all the time shall lie all the time. */
    static const struct storm_plan plan = {
        .options = {.grace_ms = 20, .quarantine_deaths = GROVE_POOL_NEVER},
        .disturbers = {disturb_first, disturb, disturb},
    };
    int rc;

    n_wanted = argc > 1 ? (unsigned)atoi(argv[1]) : n_wanted;
    rc = storm_main(&argc, &argv, &plan, 2);
    printf("events=%u stops=%u kills=%u lies=%u slow=%u left=%u\n", n_events, n_stops, n_kills,
           n_lies, n_slow, n_left);
    return rc != 0 || n_events != n_wanted;
}
