/*
 * Timers: calls with deadlines, all alive at once, none of which is ever
 * answered. There is no public timer, so this is what a program can do: it
 * starts a call within so many milliseconds and keeps the future. A call so
 * costs its message and its record too.
 *
 * Deadlines are drawn between 100 s and 100 min, so that none comes true
 * meanwhile. All are armed, which is timed, then all disarmed, which is
 * timed too. An operation is one of each. Whoever gives a future up pays for
 * looking it up: the newest is found first in the turn, and a request is
 * looked for in the receiver's mailbox. So the newest go first here, and no
 * mailbox holds more than eight.
 *
 * Nobody runs in between, so the requests stay where they are. The check:
 * all were alive until then; after that, some calls with deadlines of 1 to
 * 32 ms to actors that sleep all time out.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"

#define CALLS_OF_ONE 8 /* waiting in the mailbox of one sphinx */
#define LEAST_MS     100000
#define MOST_MS      6000000
#define SHORT_CALLS  256
#define SHORT_MS     32

/* --- the one who does not answer -------------------------------------------------------------- */

/* Sleeps until it is killed, so that all that comes later waits in the mailbox. */
static int ask(struct sphinx *me, const Bench__V1__AskRequest *request,
               Bench__V1__AskResponse *response)
{
    (void)me;
    (void)request;
    (void)response;
    return grove_sleep_await(MOST_MS);
}

static const struct sphinx_service functions = {.ask = ask};

/* --- the calls -------------------------------------------------------------------------------- */

struct riddles {
    int64_t n, n_sphinxes;
    grove_ref *sphinxes;
    struct grove_future *futures;
    Bench__V1__AskResponse *responses;
    uint64_t draws;
};

/* A linear congruential generator; its high bits are good enough. */
static uint32_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static int spawn_all_await(struct riddles *riddles)
{
    int rc = 0;

    for (int64_t i = 0; i < riddles->n_sphinxes && rc == 0; i++)
        rc = sphinx_spawn_await(&functions, NULL, NULL, &riddles->sphinxes[i]);
    return rc;
}

/* From now on what n more calls send to them waits in their mailboxes. */
static int put_to_sleep_await(const struct riddles *riddles, int64_t n)
{
    Bench__V1__AskRequest sleep = BENCH__V1__ASK_REQUEST__INIT;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i += CALLS_OF_ONE)
        rc = sphinx_ask_send(riddles->sphinxes[i / CALLS_OF_ONE], &sleep);
    return rc != 0 ? rc : grove_yield_await();
}

static int arm(struct riddles *riddles, int64_t i, uint32_t timeout_ms)
{
    Bench__V1__AskRequest request = BENCH__V1__ASK_REQUEST__INIT;

    request.value = i;
    grove_within(timeout_ms);
    return sphinx_ask_start(riddles->sphinxes[i / CALLS_OF_ONE], &request, &riddles->responses[i],
                            &riddles->futures[i]);
}

static int arm_all(struct riddles *riddles)
{
    int rc = 0;

    for (int64_t i = 0; i < riddles->n && rc == 0; i++)
        rc = arm(riddles, i, LEAST_MS + draw(&riddles->draws) % (MOST_MS - LEAST_MS));
    return rc;
}

/* Returns how many had been alive. */
static int64_t disarm_all(struct riddles *riddles)
{
    int64_t n_alive = 0;

    for (int64_t i = riddles->n - 1; i >= 0; i--) {
        n_alive += !riddles->futures[i].done;
        grove_future_cancel(&riddles->futures[i]);
    }
    return n_alive;
}

/* Some that do come true; *n_timed_out tells how many did. */
static int let_some_expire_await(struct riddles *riddles, int64_t n, int64_t *n_timed_out)
{
    int rc = put_to_sleep_await(riddles, n);

    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = arm(riddles, i, 1 + (uint32_t)i % SHORT_MS);
    for (int64_t i = 0; i < n && rc == 0; i++)
        *n_timed_out += grove_future_await(&riddles->futures[i]) == GROVE_ETIMEDOUT;
    return rc;
}

/* --- the run ---------------------------------------------------------------------------------- */

static int measure_await(struct riddles *riddles, struct bench_result *result)
{
    int64_t n_short = riddles->n < SHORT_CALLS ? riddles->n : SHORT_CALLS, n_timed_out = 0, n_alive;
    int64_t before_kb = bench_resident_kb(), grown_kb;
    uint64_t started_ns = grove_now_ns(), armed_ns, ended_ns;
    int rc = arm_all(riddles);

    if (rc != 0)
        return rc;
    armed_ns = grove_now_ns();
    grown_kb = bench_resident_kb() - before_kb;
    n_alive = disarm_all(riddles);
    ended_ns = grove_now_ns();
    rc = let_some_expire_await(riddles, n_short, &n_timed_out);
    result->ops = riddles->n;
    result->nanoseconds = ended_ns - started_ns;
    result->right = n_alive == riddles->n && n_timed_out == n_short;
    (void)snprintf(result->keys, sizeof result->keys, "arm_ns=%.1f disarm_ns=%.1f bytes_per=%.0f",
                   (double)(armed_ns - started_ns) / (double)riddles->n,
                   (double)(ended_ns - armed_ns) / (double)riddles->n,
                   (double)grown_kb * 1024 / (double)riddles->n); /* It fits. */
    return rc;
}

/* Before the process ends, so that nobody has to wait for them. */
static void kill_all(const struct riddles *riddles)
{
    for (int64_t i = 0; i < riddles->n_sphinxes; i++)
        (void)grove_stop(riddles->sphinxes[i], GROVE_STOP_KILL); /* All of them are alive. */
}

int bench_timers_await(const int64_t *numbers, struct bench_result *result)
{
    struct riddles riddles = {
        .n = numbers[0], .n_sphinxes = (numbers[0] + CALLS_OF_ONE - 1) / CALLS_OF_ONE, .draws = 7};
    int rc = GROVE_ENOMEM;

    riddles.sphinxes = calloc((size_t)riddles.n_sphinxes, sizeof *riddles.sphinxes);
    riddles.futures = malloc((size_t)riddles.n * sizeof *riddles.futures);
    riddles.responses = calloc((size_t)riddles.n, sizeof *riddles.responses);
    if (riddles.sphinxes != NULL && riddles.futures != NULL && riddles.responses != NULL) {
        /* Touched before it is measured: these are the program's. */
        memset(riddles.futures, 1, (size_t)riddles.n * sizeof *riddles.futures);
        for (int64_t i = 0; i < riddles.n; i++)
            bench__v1__ask_response__init(&riddles.responses[i]);
        rc = spawn_all_await(&riddles);
        if (rc == 0)
            rc = measure_await(&riddles, result);
        kill_all(&riddles);
    }
    free(riddles.responses);
    free(riddles.futures);
    free(riddles.sphinxes);
    return rc;
}
