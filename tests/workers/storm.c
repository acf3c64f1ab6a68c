#include "tests/workers/storm.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sanitize.h"

#define N_ASKERS   8u
#define N_JOBS_MAX (8u << 20)
#define BIG_BYTES  (100u << 10)         /* goes through shared memory */
#define HEAP_BYTES (2u << 20)           /* what may lie in caches of malloc and ours */
#define COUNTS     "GROVE_STORM_COUNTS" /* tells workers where their runs are counted */

struct storm storm;

static const struct storm_plan *plan;
static uint64_t n_ids, random_state;
static unsigned n_askers, n_disturbers; /* at work */
static uint8_t *counts;
static char run_dir[] = "/tmp/storm-XXXXXX";
static char counts_path[sizeof run_dir + 8];

uint64_t storm_chance(uint64_t n)
{
    /* splitmix64 */
    uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % n;
}

unsigned storm_share(unsigned n_all)
{
    return n_all * (storm.round + 1) / STORM_ROUNDS - n_all * storm.round / STORM_ROUNDS;
}

void storm_disturbed(void)
{
    n_disturbers--;
}

const char *storm_directory(void)
{
    return run_dir;
}

unsigned storm_runs(uint64_t id)
{
    return counts[id];
}

bool storm_somebody_works(void)
{
    struct grove_pool_stats stats;

    return grove_pool_stats(storm.pool, &stats) == 0 && stats.n_ready > 0;
}

/* --- those who ask -------------------------------------------------------------------------------- */

void storm_note_other(const char *method, int rc)
{
    if (storm.tally.n_other++ < 10)
        fprintf(stderr, "%s: %s: %s\n", method, grove_error_name(rc), grove_why());
    (void)grove_sleep_await(10); /* main and greenlets here are never cancelled. */
}

Jobs__V1__OnceRequest storm_once(uint64_t busy_us)
{
    Jobs__V1__OnceRequest request = JOBS__V1__ONCE_REQUEST__INIT;

    request.counts = counts_path;
    request.id = n_ids++;
    request.busy_us = busy_us;
    return request;
}

/* A job that may run once: its count says what really happened. */
static void ask_once(uint64_t busy_us)
{
    Jobs__V1__OnceRequest request = storm_once(busy_us);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    int rc = job_once_await(storm.pool, &request, &response);
    enum grove_started started = grove_failure()->started;
    unsigned n_runs = counts[request.id];

    storm.tally.n_done += rc == 0;
    storm.tally.n_crashed += rc == GROVE_ECRASHED;
    if (rc != 0 && rc != GROVE_ECRASHED)
        storm_note_other("once", rc);
    storm.tally.n_lost += rc == 0 && (n_runs != 1 || response.id != request.id);
    storm.tally.n_twice += n_runs > 1;
    /* What is said not to have begun must not have. */
    storm.tally.n_twice += rc != 0 && started == GROVE_STARTED_NO && n_runs != 0;
}

static void ask_again(uint64_t busy_us)
{
    Jobs__V1__AgainRequest request = JOBS__V1__AGAIN_REQUEST__INIT;
    Jobs__V1__AgainResponse response = JOBS__V1__AGAIN_RESPONSE__INIT;
    unsigned n_runs;
    int rc;

    request.counts = counts_path;
    request.id = n_ids++;
    request.busy_us = busy_us;
    rc = job_again_await(storm.pool, &request, &response);
    n_runs = counts[request.id];
    storm.tally.n_done += rc == 0;
    storm.tally.n_lost += rc == 0 && (n_runs == 0 || response.id != request.id);
    /* Only who was running when two workers died may be given up. */
    storm.tally.n_dead += rc == GROVE_ECRASHED;
    storm.tally.n_lost += rc == GROVE_ECRASHED && n_runs < 2;
    if (rc != 0 && rc != GROVE_ECRASHED)
        storm_note_other("again", rc);
}

/* A large one, there and back through shared memory. */
static void ask_big(uint64_t number)
{
    static char text[BIG_BYTES];
    Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
    int rc;

    if (text[0] == '\0')
        memset(text, 'x', sizeof text - 1);
    request.text = text;
    request.number = number;
    rc = job_echo_await(storm.pool, &request, &response);
    storm.tally.n_done += rc == 0;
    storm.tally.n_dead += rc == GROVE_ECRASHED;
    if (rc != 0 && rc != GROVE_ECRASHED)
        storm_note_other("echo", rc);
    storm.tally.n_lost +=
        rc == 0 && (response.number != number || strcmp(response.text, text) != 0);
}

static void ask_something(void)
{
    uint64_t busy_us = storm_chance(2000), kind = storm_chance(32);

    if (kind == 0)
        ask_big(busy_us);
    else if (kind % 2 == 0)
        ask_once(busy_us);
    else
        ask_again(busy_us);
}

static void ask(void *argument)
{
    (void)argument;
    while (!storm.over && n_ids < N_JOBS_MAX) {
        struct grove_scope scope;

        storm.tally.n_asked++;
        grove_scope_begin(&scope);
        ask_something();
        grove_scope_end(&scope);
    }
    n_askers--;
}

/* --- a round -------------------------------------------------------------------------------------- */

static struct grove_pool_stats stats_now(void)
{
    struct grove_pool_stats stats = {0};

    (void)grove_pool_stats(storm.pool, &stats); /* It lives, and we are on its loop. */
    return stats;
}

/* All that was begun has ended, and all workers are there. */
static bool wait_quiet(void)
{
    struct grove_pool_stats stats = stats_now();

    for (unsigned i = 0; i < 20000; i++) {
        stats = stats_now();
        if (stats.n_ready == storm.n_workers && stats.queued + stats.running == 0)
            return true;
        (void)grove_sleep_await(1);
    }
    fprintf(stderr, "only %u of %u workers are ready, %" PRIu64 " jobs wait, %" PRIu64 " run\n",
            stats.n_ready, storm.n_workers, stats.queued, stats.running);
    return false;
}

static int disturb(void)
{
    int rc = 0;

    storm.over = false;
    n_askers = N_ASKERS;
    for (unsigned i = 0; i < N_ASKERS; i++)
        rc |= grove_go(ask, NULL, NULL, NULL);
    for (unsigned i = 0; i < 3; i++)
        n_disturbers += plan->disturbers[i] != NULL;
    for (unsigned i = 0; i < 3; i++)
        if (plan->disturbers[i] != NULL)
            rc |= grove_go(plan->disturbers[i], NULL, NULL, NULL);
    while (rc == 0 && n_disturbers > 0)
        (void)grove_sleep_await(1);
    storm.over = true;
    while (rc == 0 && n_askers > 0)
        (void)grove_sleep_await(1);
    return rc;
}

/* Returns the number of faults. */
static int rage(unsigned n_workers)
{
    struct grove_pool_options options = plan->options;
    struct grove_pool_stats stats;
    uint64_t n_asked = storm.tally.n_asked, n_given_up = storm.tally.n_given_up, n_answers;
    int n_faults = 0;

    options.n_workers = storm.n_workers = n_workers;
    if (grove_pool_open(&options, &storm.pool) != 0 || !wait_quiet())
        return 1;
    n_faults += disturb() != 0;
    n_faults += !wait_quiet();
    stats = stats_now();
    n_asked = storm.tally.n_asked - n_asked;
    n_given_up = storm.tally.n_given_up - n_given_up;
    n_answers = stats.done + stats.failed;
    printf("workers=%u asked=%" PRIu64 " restarts=%" PRIu64 " retried=%" PRIu64
           " dropped_peers=%" PRIu64 " dropped_frames=%" PRIu64 " large=%" PRIu64 "\n",
           n_workers, n_asked, stats.restarts, stats.retried, stats.dropped_peers,
           stats.dropped_frames, stats.slab_requests);
    /* Who was given up before the pool saw it needs no answer. */
    if (n_answers > n_asked || n_answers + n_given_up < n_asked)
        n_faults +=
            fprintf(stderr, "%" PRIu64 " answers to %" PRIu64 " requests\n", n_answers, n_asked);
    n_faults += grove_pool_close_await(storm.pool, 10000) != 0;
    return n_faults;
}

/* --- what is left --------------------------------------------------------------------------------- */

struct held {
    unsigned n_files, n_threads, n_shared;
    uint64_t heap_bytes;
};

static unsigned n_entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    while (directory != NULL && readdir(directory) != NULL)
        n++;
    if (directory != NULL)
        (void)closedir(directory);
    return n;
}

/* Open descriptors, but for the one with which the stall monitor once and for all looks at our memory. */
static unsigned n_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned n = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char target[32] = "";
        ssize_t n_bytes = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);

        n += n_bytes < 4 || strcmp(target + n_bytes - 4, "/mem") != 0;
    }
    if (directory != NULL)
        (void)closedir(directory);
    return n;
}

/* Mappings of memory that has no name in any folder: pages and slabs of workers. */
static unsigned n_shared(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned n = 0;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        n += strstr(line, "/memfd:") != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    return n;
}

static struct held held_now(void)
{
    return (struct held){
        .n_files = n_files(),
        .n_threads = n_entries("/proc/self/task"),
        .n_shared = n_shared(),
        .heap_bytes = GV_SANITIZED ? 0 : mallinfo2().uordblks,
    };
}

static int more_than(const char *what, uint64_t before, uint64_t after)
{
    if (after <= before)
        return 0;
    fprintf(stderr, "%s are left: %" PRIu64 " before, %" PRIu64 " after\n", what, before, after);
    return 1;
}

static int check_held(const struct held *before)
{
    struct held after = held_now();
    int n = 0;

    printf("files=%u threads=%u shared=%u heap=%" PRIu64 ", before %u %u %u %" PRIu64 "\n",
           after.n_files, after.n_threads, after.n_shared, after.heap_bytes, before->n_files,
           before->n_threads, before->n_shared, before->heap_bytes);
    n += more_than("descriptors", before->n_files, after.n_files);
    n += more_than("threads", before->n_threads, after.n_threads);
    n += more_than("mappings", before->n_shared, after.n_shared);
    n += more_than("bytes", before->heap_bytes + HEAP_BYTES, after.heap_bytes);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        n += fprintf(stderr, "a child is left\n");
    return n;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static bool map_counts(void)
{
    FILE *file;

    (void)snprintf(counts_path, sizeof counts_path, "%s/counts", run_dir); /* It fits. */
    file = fopen(counts_path, "w+");
    if (file == NULL || ftruncate(fileno(file), N_JOBS_MAX) != 0)
        return false;
    counts = mmap(NULL, N_JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    return fclose(file) == 0 && counts != MAP_FAILED && setenv(COUNTS, counts_path, 1) == 0;
}

static int judge(void)
{
    const struct storm_tally *tally = &storm.tally;
    int n_faults = 0;

    printf("asked=%" PRIu64 " done=%" PRIu64 " crashed=%" PRIu64 " dead=%" PRIu64
           " given_up=%" PRIu64 " other=%" PRIu64 " twice=%" PRIu64 " lost=%" PRIu64 "\n",
           tally->n_asked, tally->n_done, tally->n_crashed, tally->n_dead, tally->n_given_up,
           tally->n_other, tally->n_twice, tally->n_lost);
    if (tally->n_asked
        != tally->n_done + tally->n_crashed + tally->n_dead + tally->n_given_up + tally->n_other)
        n_faults += fprintf(stderr, "the answers are not as many as the requests\n");
    return n_faults + (tally->n_other != 0 || tally->n_twice != 0 || tally->n_lost != 0);
}

/* One round first, so that what stays open for good is open. */
static bool open_once(struct held *before)
{
    struct grove_pool_options options = plan->options;

    options.n_workers = storm.n_workers = STORM_WORKERS_MOST;
    if (grove_pool_open(&options, &storm.pool) != 0 || !wait_quiet()
        || grove_pool_close_await(storm.pool, 10000) != 0)
        return false;
    *before = held_now();
    return true;
}

int storm_main(int *argc, char ***argv, const struct storm_plan *its_plan, int seed_at)
{
    struct held before;
    int n_faults = 0;

    plan = its_plan;
    /* A worker maps the counts before its first job: or a kill finds it begun and not yet counted. */
    if (getenv(COUNTS) != NULL && jobs_map_counts(getenv(COUNTS)) != 0)
        return 1;
    (void)grove_init(argc, argv); /* It returns 0 or not at all. */
    random_state = *argc > seed_at ? strtoull((*argv)[seed_at], NULL, 0) : grove_random();
    printf("seed=%" PRIu64 "\n", random_state);
    if (mkdtemp(run_dir) == NULL || !map_counts() || grove_option_set("run_dir", run_dir) != 0
        || grove_option_set("stall", "off") != 0)
        return 1; /* stall: its reports open files of their own */
    if (!open_once(&before))
        return 1;
    for (storm.round = 0; storm.round < STORM_ROUNDS; storm.round++)
        n_faults += rage(STORM_WORKERS_LEAST + storm.round);
    n_faults += check_held(&before);
    n_faults += grove_deinit() != 0;
    n_faults += judge();
    if (unlink(counts_path) != 0 || rmdir(run_dir) != 0)
        n_faults += fprintf(stderr, "%s is not empty\n", run_dir);
    return n_faults != 0;
}
