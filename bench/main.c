/*
 * grove-bench: runs one benchmark and prints one line.
 *
 *     grove-bench BENCH [ARGUMENT…]
 *     ops seconds peak_rss_kb [key=value …] check=ok
 *
 * Without arguments it takes sizes that run for about a second; only echo,
 * which serves until it is killed, must be told its port. GROVE_LOOPS
 * in the environment gives it other loops than its own. A benchmark that
 * lost a message would wait for it for ever: after SECONDS_MAX, or the
 * seconds in BENCH_SECONDS_MAX, it has failed. Exit status: 0 done; 1
 * something failed, or the benchmark's own check did; 2 wrong arguments; 64
 * no such benchmark.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#define EXIT_FAILED  1
#define EXIT_USAGE   2
#define EXIT_UNKNOWN 64
#define POLL_MS      5
#define SECONDS_MAX  300
#define NO_USUAL     (-1) /* of a number: only the user can know */

struct number {
    const char *name;
    int64_t least, most, usual;
};

static const struct bench {
    const char *name;
    bench_fn run;
    const char *loops; /* unless the user says otherwise with GROVE_LOOPS */
    struct number numbers[BENCH_NUMBERS_MAX];
} benches[] = {
    {"pingpong", bench_pingpong_await, "1", {{"ROUND_TRIPS", 1, 1000000000, 5000000}}},
    {"ring",
     bench_ring_await,
     "1",
     {{"ACTORS", 2, 1000000, 1000}, {"HOPS", 1, 1000000000, 10000000}}},
    {"fanin",
     bench_fanin_await,
     "1",
     {{"PRODUCERS", 1, 65536, 8}, {"MESSAGES", 1, 1000000000, 10000000}}},
    {"spawn", bench_spawn_await, "1", {{"ACTORS", 1, 1000000000, 1000000}}},
    {"spawn_all", bench_spawn_all_await, "1", {{"ACTORS", 1, 1000000, 500000}}},
    {"skynet", bench_skynet_await, "1", {{"LEAVES", 10, 10000000, 1000000}}},
    {"regrow",
     bench_regrow_await,
     "1",
     {{"LEAVES", 10, 10000000, 100000}, {"TREES", 1, 1000000, 10}}},
    {"regrow2",
     bench_regrow_await,
     "2",
     {{"LEAVES", 10, 10000000, 100000}, {"TREES", 1, 1000000, 10}}},
    {"forkjoin",
     bench_forkjoin_await,
     "1",
     {{"BLOCKS", 1, 10000, 64}, {"STEPS", 0, 1000000000, 5000}, {"ROUNDS", 1, 1000000000, 1000}}},
    {"forkjoin2",
     bench_forkjoin_await,
     "2",
     {{"BLOCKS", 1, 10000, 64}, {"STEPS", 0, 1000000000, 5000}, {"ROUNDS", 1, 1000000000, 1000}}},
    {"idle", bench_idle_await, "1", {{"ACTORS", 1, 10000000, 1000000}}},
    {"many",
     bench_many_await,
     "1",
     {{"ACTORS", 1, 100000000, 1000000}, {"DELIVERIES", 1, 1000000000, 5000000}}},
    {"parked", bench_parked_await, "1", {{"GREENLETS", 1, 10000000, 100000}}},
    {"switch", bench_switch_await, "1", {{"SWITCHES", 2, 1000000000, 10000000}}},
    {"call",
     bench_call_await,
     "1",
     {{"CLIENTS", 1, 1000000, 1000}, {"CALLS", 1, 1000000000, 5000000}}},
    {"timers", bench_timers_await, "1", {{"ALIVE", 1, 10000000, 1000000}}},
    {"sleeps",
     bench_sleeps_await,
     "1",
     {{"SLEEPS", 1, 1000000, 500}, {"MICROSECONDS", 0, 1000000, 20}}},
    {"blocks",
     bench_blocks_await,
     "1",
     {{"BYTES", 1, 1000000, 1024}, {"MESSAGES", 1, 1000000000, 2000000}}},
    {"bank",
     bench_bank_await,
     "1",
     {{"ACCOUNTS", 2, 1000000, 1000},
      {"TELLERS", 1, 1024, 10},
      {"TRANSFERS", 1, 1000000000, 1000000}}},
    {"offload",
     bench_offload_await,
     "1",
     {{"JOBS", 1, 10000000, 20000}, {"AT_ONCE", 1, 4096, 64}, {"MICROSECONDS", 0, 1000000, 20}}},
    {"upload",
     bench_upload_await,
     "1",
     {{"JOBS", 1, 10000000, 2000}, {"BYTES", 16, 16000000, 1 << 20}, {"AT_ONCE", 1, 64, 4}}},
    {"items", bench_items_await, "1", {{"ITEMS", 1, 1000000000, 200000}}},
    {"echo", bench_serve_await, "1", {{"PORT", 1, 65535, NO_USUAL}}},
    {"echo_cpu",
     bench_echo_await,
     "1",
     {{"CONNECTIONS", 1, 100000, 64}, {"REQUESTS", 1, 1000000000, 200000}}},
    {"branches",
     bench_branches_await,
     "2",
     {{"ACCOUNTS", 4, 1000000, 1000},
      {"TELLERS", 1, 1024, 10},
      {"TRANSFERS", 1, 1000000000, 1000000}}},
    {"flood", bench_flood_await, "2", {{"MESSAGES", 1, 1000000000, 10000000}, {"KIND", 0, 1, 0}}},
    {"xping", bench_xping_await, "2", {{"ROUND_TRIPS", 1, 1000000000, 100000}}},
    {"xstream", bench_xstream_await, "2", {{"MESSAGES", 1, 1000000000, 1000000}}},
    {"remote",
     bench_remote_await,
     "2",
     {{"CLIENTS", 1, 1000000, 64}, {"CALLS", 1, 1000000000, 1000000}}},
    {"lend",
     bench_lend_await,
     "2",
     {{"ACTORS", 1, 1000, 64}, {"MESSAGES", 1, 100000, 4000}, {"MICROSECONDS", 0, 100000, 1}}},
    {"chatty",
     bench_chatty_await,
     "2",
     {{"PAIRS", 1, 10000, 10}, {"HOPS", 1, 1000000000, 2000000}}},
};

#define N_BENCHES (sizeof benches / sizeof benches[0])

struct run {
    const struct bench *bench;
    int64_t numbers[BENCH_NUMBERS_MAX];
    int64_t seconds_max;
    struct bench_result result;
    char why[256]; /* it failed; empty if it was not over in time */
    int rc;
    bool over;
};

static const struct bench *find(const char *name)
{
    for (size_t i = 0; i < N_BENCHES; i++)
        if (strcmp(benches[i].name, name) == 0)
            return &benches[i];
    return NULL;
}

static void print_usage(const struct bench *bench)
{
    fprintf(stderr, "usage: grove-bench %s", bench->name);
    for (size_t i = 0; i < BENCH_NUMBERS_MAX && bench->numbers[i].name != NULL; i++)
        fprintf(stderr, " %s", bench->numbers[i].name);
    fputc('\n', stderr);
}

static bool parse(const struct number *number, const char *text, int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *value >= number->least
        && *value <= number->most)
        return true;
    fprintf(stderr,
            "grove-bench: %s must be a number from %" PRId64 " to %" PRId64 ", not \"%s\"\n",
            number->name, number->least, number->most, text);
    return false;
}

/* All arguments, or none for the usual sizes. */
static bool parse_all(struct run *run, int n, char **texts)
{
    const struct number *numbers = run->bench->numbers;
    int n_wanted = 0;

    while (n_wanted < (int)BENCH_NUMBERS_MAX && numbers[n_wanted].name != NULL)
        n_wanted++;
    if (n != n_wanted && (n != 0 || numbers[0].usual == NO_USUAL)) {
        print_usage(run->bench);
        return false;
    }
    for (int i = 0; i < n_wanted; i++) {
        run->numbers[i] = numbers[i].usual;
        if (n != 0 && !parse(&numbers[i], texts[i], &run->numbers[i]))
            return false;
    }
    return true;
}

static void run_bench(void *argument)
{
    struct run *run = argument;

    run->rc = run->bench->run(run->numbers, &run->result);
    if (run->rc != 0)
        (void)snprintf(run->why, sizeof run->why, "%s",
                       run->result.why != NULL ? run->result.why
                                               : grove_why()); /* It may be cut. */
    run->over = true;
}

/* After how long a benchmark that is not over has failed. */
static bool parse_limit(struct run *run)
{
    static const struct number limit = {"BENCH_SECONDS_MAX", 0, 1000000, SECONDS_MAX};
    const char *text = getenv(limit.name);

    run->seconds_max = limit.usual;
    return text == NULL || parse(&limit, text, &run->seconds_max);
}

/* Runs the benchmark in a greenlet, which main cannot be: it has no mailbox. */
static int run_await(struct run *run)
{
    uint64_t end_ns = grove_now_ns() + (uint64_t)run->seconds_max * 1000000000u;
    int rc = 0;

    if (getenv("GROVE_LOOPS") == NULL)
        rc = grove_option_set("loops", run->bench->loops);
    if (rc == 0)
        rc = grove_go(run_bench, run, NULL, NULL);
    while (rc == 0 && !run->over) {
        rc = grove_sleep_await(POLL_MS);
        if (rc == 0 && !run->over && grove_now_ns() > end_ns)
            rc = GROVE_ETIMEDOUT;
    }
    return rc != 0 ? rc : run->rc;
}

static void print_failure(const struct run *run, int rc)
{
    fprintf(stderr, "grove-bench: %s: %s: ", run->bench->name, grove_error_name(rc));
    if (rc == GROVE_ETIMEDOUT && !run->over)
        fprintf(stderr, "not over after %" PRId64 " s (BENCH_SECONDS_MAX)\n", run->seconds_max);
    else
        fprintf(stderr, "%s\n", run->why[0] != '\0' ? run->why : grove_error_text(rc));
}

int main(int argc, char **argv)
{
    struct run run = {0};
    int rc;

    grove_init(&argc, &argv);
    if (argc < 2 || (run.bench = find(argv[1])) == NULL) {
        if (argc < 2)
            fprintf(stderr, "grove-bench: which benchmark? There are:");
        else
            fprintf(stderr, "grove-bench: no benchmark \"%s\"; there are:", argv[1]);
        for (size_t i = 0; i < N_BENCHES; i++)
            fprintf(stderr, " %s", benches[i].name);
        fputc('\n', stderr);
        return EXIT_UNKNOWN;
    }
    if (!parse_all(&run, argc - 2, argv + 2) || !parse_limit(&run))
        return EXIT_USAGE;
    rc = run_await(&run);
    if (rc != 0) {
        print_failure(&run, rc);
        return EXIT_FAILED;
    }
    printf("%" PRId64 " %.6f %" PRId64 " %s%scheck=%s\n", run.result.ops,
           (double)run.result.nanoseconds / 1e9, bench_resident_peak_kb(), run.result.keys,
           run.result.keys[0] != '\0' ? " " : "", run.result.right ? "ok" : "FAIL");
    rc = grove_deinit();
    if (rc != 0)
        fprintf(stderr, "grove-bench: the end: %s: %s\n", grove_error_name(rc),
                grove_error_text(rc));
    return rc == 0 && run.result.right ? EXIT_SUCCESS : EXIT_FAILED;
}
