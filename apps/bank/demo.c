/*
 * Demo: the bank at work. See demo.h.
 *
 *     read the books ── open the shards ── replay ── seal ── sum
 *     open the pool ── start the clients ── watch them, kill a worker midway
 *     stop the clock ── audit and sum ── check ── report
 */
#include "apps/bank/demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "apps/bank/client.h"
#include "apps/bank/plan.h"
#include "apps/bank/progress.h"
#include "apps/bank/replay.h"
#include "apps/bank/report.h"
#include "apps/bank/results.h"
#include "apps/bank/shards.h"
#include "apps/bank/tally.h"

enum {
    WATCH_EVERY_MS = 5,
    WORKERS_MAX = 64,
    READY_WAIT_MS = 10000,   /* for the workers to come up */
    RESTART_WAIT_MS = 10000, /* for the killed one to be replaced */
    SILENCE_MAX_MS = 60000,  /* without a single answer: more than any deadline of ours */
    POOL_CLOSE_MS = 5000,
};

extern const char bank_sample_books[];

struct demo {
    const struct bank_options *options;
    struct bank_error *error;
    struct bank_books *books;
    struct bank_shards shards;
    struct bank_plan *plan;
    grove_ref pool;
    grove_ref tally;
    struct bank_clients_lost lost;
    struct bank_progress progress;
    uint64_t start_ns;
    struct grove_loop_stats loops_before[BANK_LOOPS_MAX];
    struct grove_stall_counts stalls_before;
    struct bank_results results;
};

/* Fills the error, which so far names no place, with what could not be done. Returns rc. */
static int fail(struct demo *demo, const char *what, int rc)
{
    struct bank_error *error = demo->error;

    if (error->text[0] != '\0')
        return rc;
    /* A cut reason still helps. */
    (void)snprintf(error->file, sizeof error->file, "the demo");
    (void)snprintf(error->text, sizeof error->text, "cannot %s: %s", what, grove_error_text(rc));
    return rc;
}

/* --- before the transfers --------------------------------------------------------------------- */

static int read_books(struct demo *demo)
{
    const struct bank_books_source sample = {
        .name = "sample.journal",
        .text = bank_sample_books,
        .length = strlen(bank_sample_books),
        .no_include = true,
    };

    if (demo->options->books != NULL)
        return bank_books_read(demo->options->books, &demo->books, demo->error);
    return bank_books_read_text(&sample, &demo->books, demo->error);
}

static int open_ledger_await(struct demo *demo)
{
    int rc = bank_shards_open_await(&demo->shards, demo->books, BANK_DATE_MAX);

    if (rc != 0)
        return fail(demo, "open the ledger", rc);
    rc = bank_replay_await(&demo->shards, BANK_DATE_MAX, demo->error);
    if (rc == 0)
        rc = bank_shards_seal_await(&demo->shards);
    if (rc == 0)
        rc = bank_results_sums_await(&demo->shards, &demo->results.sums_before);
    if (rc == 0)
        rc = bank_plan_new_await(&demo->shards, &demo->plan);
    if (rc == -ENODATA) {
        (void)snprintf(demo->error->file, sizeof demo->error->file, "%s", demo->books->files[0]);
        (void)snprintf(demo->error->text, sizeof demo->error->text,
                       "there is nothing to transfer: name books with two accounts and some money");
    }
    return rc != 0 ? fail(demo, "replay the books", rc) : 0;
}

static int open_pool_await(struct demo *demo)
{
    const struct grove_pool_options options = {
        .name = "screening",
        .n_workers = demo->options->workers,
    };
    struct grove_pool_stats stats;
    int rc = grove_pool_open(&options, &demo->pool);

    if (rc != 0)
        return fail(demo, "open the worker pool", rc);
    for (unsigned waited_ms = 0; waited_ms < READY_WAIT_MS; waited_ms += WATCH_EVERY_MS) {
        rc = grove_pool_stats(demo->pool, &stats);
        if (rc != 0 || stats.n_ready == stats.n_workers)
            return rc != 0 ? fail(demo, "look at the worker pool", rc) : 0;
        (void)grove_sleep_await(WATCH_EVERY_MS); /* main is never stopped. */
    }
    return fail(demo, "start the workers", GROVE_EUNAVAILABLE);
}

static int start_clients(struct demo *demo)
{
    const struct bank_options *options = demo->options;
    uint32_t n = options->transfers < BANK_CLIENTS ? (uint32_t)options->transfers : BANK_CLIENTS;

    demo->results.planned = options->transfers;
    demo->results.limit_ns = (uint64_t)options->seconds * 1000000000u;
    demo->start_ns = grove_now_ns();
    for (uint32_t i = 0; i < n; i++) {
        const struct bank_client client = {
            .to = {.shards = &demo->shards, .pool = demo->pool, .tally = demo->tally},
            .lost = &demo->lost,
            .plan = demo->plan,
            .n_transfers = options->transfers == UINT64_MAX
                               ? UINT64_MAX
                               : options->transfers / n + (i < options->transfers % n),
            .until_ns = options->seconds == 0 ? 0 : demo->start_ns + demo->results.limit_ns,
            .number = i,
        };
        int rc = bank_client_start(&client, i % grove_loops());

        if (rc != 0)
            return fail(demo, "start the clients", rc);
        demo->results.n_clients++;
    }
    return 0;
}

/* --- during the transfers --------------------------------------------------------------------- */

static void kill_a_worker(struct demo *demo)
{
    char text[64];
    int pids[WORKERS_MAX];
    int n = grove_pool_pids(demo->pool, pids, WORKERS_MAX);

    if (n <= 0)
        return; /* Tried again at the next look. */
    n = pids[grove_random() % (n < WORKERS_MAX ? (unsigned)n : WORKERS_MAX)];
    if (kill(n, SIGKILL) != 0)
        return;
    demo->results.n_killed++;
    (void)snprintf(text, sizeof text, "      killed worker %d on purpose", n); /* It fits. */
    bank_progress_say(&demo->progress, text);
}

/* Answers so far. */
static uint64_t answers_of(const Bank__V1__SummarizeResponse *summary)
{
    return summary->accepted + summary->overdrawn + summary->screened_out
           + summary->refused_otherwise + summary->failed;
}

/* How much of the run is over, in thousandths: by number or by time, whichever ends first. */
static unsigned permille_over(const struct demo *demo, uint64_t n_answers, uint64_t now_ns)
{
    uint64_t limit_ns = demo->results.limit_ns;
    uint64_t passed_ns = now_ns - demo->start_ns;
    unsigned by_number = 0, by_time = 0;

    if (demo->options->transfers != UINT64_MAX)
        by_number = (unsigned)(n_answers * 1000 / demo->options->transfers);
    if (limit_ns != 0)
        by_time = passed_ns < limit_ns ? (unsigned)(passed_ns * 1000 / limit_ns) : 1000;
    return by_number > by_time ? by_number : by_time;
}

/* Looks once at the tally, and at clients that could not tell it. Returns 0 or a code. */
static int look_await(struct demo *demo, uint64_t *n_answers, uint32_t *n_ended)
{
    Bank__V1__SummarizeRequest request = BANK__V1__SUMMARIZE_REQUEST__INIT;
    Bank__V1__SummarizeResponse summary = BANK__V1__SUMMARIZE_RESPONSE__INIT;
    uint64_t now_ns;
    unsigned permille;
    int rc = tally_summarize_await(demo->tally, &request, &summary);

    if (rc != 0)
        return rc;
    *n_answers = answers_of(&summary);
    *n_ended = summary.ended + atomic_load(&demo->lost.n_unnoted);
    now_ns = grove_now_ns();
    permille = permille_over(demo, *n_answers, now_ns);
    if (permille >= 500 && demo->results.n_killed == 0)
        kill_a_worker(demo);
    bank_progress_show(&demo->progress, now_ns, permille, *n_answers);
    return 0;
}

/* Watches until all clients have ended, or nothing has been answered for too long. */
static int watch_await(struct demo *demo)
{
    uint64_t n_answers = 0, n_before, silent_since_ns = grove_now_ns();
    uint32_t n_ended = 0;
    int rc;

    bank_progress_init(&demo->progress, demo->start_ns);
    while (n_ended < demo->results.n_clients) {
        struct grove_scope scope;

        n_before = n_answers;
        grove_scope_begin(&scope);
        rc = look_await(demo, &n_answers, &n_ended);
        grove_scope_end(&scope);
        if (rc != 0)
            return fail(demo, "count the answers", rc);
        if (n_answers != n_before)
            silent_since_ns = grove_now_ns();
        else if (grove_now_ns() - silent_since_ns > (uint64_t)SILENCE_MAX_MS * 1000000u)
            break; /* The summary will show that clients are missing. */
        (void)grove_sleep_await(WATCH_EVERY_MS); /* main is never stopped. */
    }
    bank_progress_end(&demo->progress);
    demo->results.complete = n_ended == demo->results.n_clients;
    rc = atomic_load(&demo->lost.code);
    return rc != 0 ? fail(demo, "run all clients", rc) : 0;
}

/* --- after the transfers ---------------------------------------------------------------------- */

/* Notes what the loops did since the transfers began; the longest turn is that of the whole run. */
static void note_loops(struct demo *demo)
{
    struct bank_results *results = &demo->results;

    results->n_loops = grove_loops() < BANK_LOOPS_MAX ? grove_loops() : BANK_LOOPS_MAX;
    for (unsigned i = 0; i < results->n_loops; i++) {
        const struct grove_loop_stats *before = &demo->loops_before[i];
        struct grove_loop_stats after = {0};

        (void)grove_loop_stats(i, &after); /* The loop exists. */
        if (after.wall_ns > before->wall_ns) {
            double wall_ns = (double)(after.wall_ns - before->wall_ns);

            results->loops[i].busy = (double)(after.busy_ns - before->busy_ns) / wall_ns;
            results->loops[i].stalled = (double)(after.stalled_ns - before->stalled_ns) / wall_ns;
        }
        results->loops[i].longest_turn_ns = after.longest_turn_ns;
    }
    results->n_stalls =
        grove_stalls(demo->stalls_before.n_stalls, results->stalls, BANK_STALLS_MAX);
}

/* A worker that was killed late may not have been missed yet. */
static int wait_for_restart_await(struct demo *demo)
{
    struct grove_pool_stats *stats = &demo->results.pool;
    int rc = grove_pool_stats(demo->pool, stats);

    for (unsigned waited_ms = 0; rc == 0 && waited_ms < RESTART_WAIT_MS;
         waited_ms += WATCH_EVERY_MS) {
        if (demo->results.n_killed == 0
            || (stats->restarts > 0 && stats->n_ready == stats->n_workers))
            break;
        (void)grove_sleep_await(WATCH_EVERY_MS); /* main is never stopped. */
        rc = grove_pool_stats(demo->pool, stats);
    }
    return rc;
}

/* Collects everything the report needs. The summary lives as long as main does. */
static int gather_await(struct demo *demo)
{
    Bank__V1__SummarizeRequest request = BANK__V1__SUMMARIZE_REQUEST__INIT;
    struct bank_results *results = &demo->results;
    int rc;

    note_loops(demo);
    bank__v1__summarize_response__init(&results->summary);
    rc = tally_summarize_await(demo->tally, &request, &results->summary);
    if (rc == 0)
        rc = wait_for_restart_await(demo);
    if (rc == 0)
        rc = bank_results_audit_await(&demo->shards, &results->audit);
    if (rc == 0)
        rc = bank_results_sums_await(&demo->shards, &results->sums_after);
    if (rc != 0)
        return fail(demo, "gather the results", rc);
    if (results->summary.ended_ns > demo->start_ns)
        results->took_ns = results->summary.ended_ns - demo->start_ns;
    results->books = demo->books;
    return 0;
}

static int report(struct demo *demo)
{
    char broken[BANK_PROMISE_TEXT_MAX];
    bool kept = bank_results_check(&demo->results, broken);
    int rc = demo->options->json ? bank_report_json(&demo->results, broken, stdout)
                                 : bank_report_table(&demo->results, broken, stdout);

    if (rc != 0)
        return fail(demo, "write the report", rc);
    if (!kept)
        fprintf(stderr, "bank demo: a promise was broken: %s\n", broken);
    return kept ? 0 : 1;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Sets what must be set before the runtime starts. */
static int set_options(struct demo *demo)
{
    char loops[16];
    int rc = grove_option_set("turn_clock", "1");

    if (rc == 0 && demo->options->loops != 0) {
        (void)snprintf(loops, sizeof loops, "%u", demo->options->loops); /* It fits. */
        rc = grove_option_set("loops", loops);
    }
    return rc != 0 ? fail(demo, "set an option", rc) : 0;
}

static int run_await(struct demo *demo)
{
    int rc = read_books(demo);

    if (rc == 0)
        rc = set_options(demo);
    if (rc == 0)
        rc = open_ledger_await(demo);
    if (rc == 0)
        rc = open_pool_await(demo);
    if (rc == 0) {
        rc = tally_spawn_await(&bank_tally, NULL, NULL, &demo->tally);
        if (rc != 0)
            return fail(demo, "start the tally", rc);
    }
    for (unsigned i = 0; rc == 0 && i < grove_loops() && i < BANK_LOOPS_MAX; i++)
        rc = grove_loop_stats(i, &demo->loops_before[i]);
    grove_stall_count(&demo->stalls_before);
    if (rc == 0)
        rc = start_clients(demo);
    if (rc == 0)
        rc = watch_await(demo);
    if (rc == 0)
        rc = gather_await(demo);
    return rc == 0 ? report(demo) : rc;
}

int bank_demo_await(const struct bank_options *options, struct bank_error *error)
{
    struct demo *demo = calloc(1, sizeof *demo);
    int rc;

    *error = (struct bank_error){0};
    if (demo == NULL)
        return 1;
    demo->options = options;
    demo->error = error;
    rc = run_await(demo);
    if (!grove_ref_is_nobody(demo->pool))
        (void)grove_pool_close_await(demo->pool, POOL_CLOSE_MS); /* It ends either way. */
    /* Clients that never ended still look at the plan and the shards: those stay, with the rest. */
    if (demo->results.n_clients > 0 && !demo->results.complete)
        return 1;
    bank_shards_close_await(&demo->shards);
    bank_plan_free(demo->plan);
    free(demo->results.sums_before);
    free(demo->results.sums_after);
    bank_books_free(demo->books);
    free(demo);
    return rc == 0 ? 0 : 1;
}
