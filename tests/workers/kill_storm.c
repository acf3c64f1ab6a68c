/*
 * Storm: workers are killed by chance, a third of them within 5 ms of their
 * birth, and strangers connect and hang up, while greenlets ask for jobs
 * without a pause.
 *
 *     kill_storm [KILLS] [CONNECTS] [SEED]       default 300 1000, by the clock
 *
 * What must be true afterwards: every request has had exactly one answer; no
 * job that may run once has run twice, and none that was answered with 0 has
 * not run; jobs that may be repeated have all been answered with 0, but for
 * those that died with two workers; the pool is at full size; nothing is
 * left: no child, no descriptor, no file.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <grove.h>
#include <grove/pool.h>

#include "tests/workers/jobs.h"

#define N_WORKERS  3u
#define N_ASKERS   8u
#define N_JOBS_MAX (8u << 20)
#define BIRTH_MS   5u
#define COUNTS     "GROVE_STORM_COUNTS" /* tells workers where their runs are counted */

static struct {
    grove_ref pool;
    uint64_t random;
    unsigned n_kills, n_kills_wanted;
    unsigned n_early; /* of them, within BIRTH_MS of birth */
    unsigned n_connects, n_connects_wanted;
    uint64_t n_ids;
    uint64_t n_asked, n_done, n_crashed, n_dead, n_other;
    uint64_t n_twice, n_lost;
    unsigned n_askers; /* at work */
    bool over;
    uint8_t *counts;
} storm;

static char run_dir[] = "/tmp/kill-storm-XXXXXX";
static char counts_path[sizeof run_dir + 8];

static uint64_t chance(uint64_t n)
{
    /* splitmix64 */
    uint64_t x = storm.random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % n;
}

/* --- those who ask -------------------------------------------------------------------------------- */

/* An answer that a storm does not explain. */
static void note_other(const char *method, int rc)
{
    if (rc == 0 || rc == GROVE_ECRASHED)
        return;
    if (storm.n_other++ < 10)
        fprintf(stderr, "%s: %s: %s\n", method, grove_error_name(rc), grove_why());
    (void)grove_sleep_await(10); /* main and greenlets here are never cancelled. */
}

/* A job that may run once: its count says what really happened. */
static void ask_once(uint64_t id, uint64_t busy_us)
{
    Jobs__V1__OnceRequest request = JOBS__V1__ONCE_REQUEST__INIT;
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    enum grove_started started;
    int rc;

    request.counts = counts_path;
    request.id = id;
    request.busy_us = busy_us;
    rc = job_once_await(storm.pool, &request, &response);
    started = grove_failure()->started;
    storm.n_done += rc == 0;
    storm.n_crashed += rc == GROVE_ECRASHED;
    note_other("once", rc);
    storm.n_lost += rc == 0 && (storm.counts[id] != 1 || response.id != id);
    storm.n_twice += storm.counts[id] > 1;
    /* What is said not to have begun must not have. */
    storm.n_twice += rc != 0 && started == GROVE_STARTED_NO && storm.counts[id] != 0;
}

static void ask_again(uint64_t id, uint64_t busy_us)
{
    Jobs__V1__AgainRequest request = JOBS__V1__AGAIN_REQUEST__INIT;
    Jobs__V1__AgainResponse response = JOBS__V1__AGAIN_RESPONSE__INIT;
    int rc;

    request.counts = counts_path;
    request.id = id;
    request.busy_us = busy_us;
    rc = job_again_await(storm.pool, &request, &response);
    storm.n_done += rc == 0;
    storm.n_lost += rc == 0 && (storm.counts[id] == 0 || response.id != id);
    /* Only who was running when two workers died may be given up. */
    storm.n_dead += rc == GROVE_ECRASHED;
    storm.n_lost += rc == GROVE_ECRASHED && storm.counts[id] < 2;
    note_other("again", rc);
}

static void ask(void *argument)
{
    (void)argument;
    while (!storm.over && storm.n_ids < N_JOBS_MAX) {
        uint64_t id = storm.n_ids++, busy_us = chance(2000);
        struct grove_scope scope;

        storm.n_asked++;
        grove_scope_begin(&scope);
        if (chance(2) == 0)
            ask_once(id, busy_us);
        else
            ask_again(id, busy_us);
        grove_scope_end(&scope);
    }
    storm.n_askers--;
}

/* --- those who disturb ---------------------------------------------------------------------------- */

/* One that was not among the live ones a moment ago, 0 if there is none. */
static int newborn(const int *pids, int n, const int *before, int n_before)
{
    for (int i = 0; i < n; i++) {
        bool known = false;

        for (int j = 0; j < n_before; j++)
            known = known || before[j] == pids[i];
        if (!known)
            return pids[i];
    }
    return 0;
}

static bool kill_one(int pid)
{
    if (pid == 0 || kill(pid, SIGKILL) != 0)
        return false;
    storm.n_kills++;
    return true;
}

static void kill_by_chance(void)
{
    int pids[N_WORKERS], before[N_WORKERS], n, n_before;

    n_before = grove_pool_pids(storm.pool, before, N_WORKERS);
    if (n_before <= 0)
        return;
    (void)kill_one(before[chance((uint64_t)n_before)]); /* It may have died by itself. */
    if (chance(2) != 0)
        return;
    /* Its successor is born soon: that one is killed too, while it is young. */
    for (unsigned i = 0; i < 600; i++) {
        int pid;

        (void)grove_sleep_await(1); /* main and greenlets here are never cancelled. */
        n = grove_pool_pids(storm.pool, pids, N_WORKERS);
        pid = newborn(pids, n, before, n_before);
        if (pid != 0) {
            (void)grove_sleep_await((uint32_t)chance(BIRTH_MS - 1));
            storm.n_early += kill_one(pid);
            return;
        }
    }
}

/* A machine too slow for the rhythm of the storm shall not look like a program that cannot start. */
static bool somebody_works(void)
{
    struct grove_pool_stats stats;

    return grove_pool_stats(storm.pool, &stats) == 0 && stats.n_ready > 0;
}

static void kill_workers(void *argument)
{
    (void)argument;
    while (storm.n_kills < storm.n_kills_wanted) {
        (void)grove_sleep_await((uint32_t)chance(40));
        if (somebody_works())
            kill_by_chance();
    }
    storm.n_askers--;
}

/* Where the pool listens: the one socket below run_dir. */
static bool find_socket(struct sockaddr_un *address)
{
    DIR *directory = opendir(run_dir);
    struct dirent *entry;
    bool found = false;

    while (directory != NULL && !found && (entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, "grove-", 6) == 0) {
            *address = (struct sockaddr_un){.sun_family = AF_UNIX};
            found = snprintf(address->sun_path, sizeof address->sun_path, "%s/%.40s/s", run_dir,
                             entry->d_name)
                    > 0;
        }
    if (directory != NULL)
        (void)closedir(directory);
    return found;
}

/* Connects, says nothing or nonsense, hangs up. */
static void connect_once(const struct sockaddr_un *address)
{
    /* Not blocking: it is this very thread that must accept, when the backlog is full. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
        if (chance(3) == 0)
            (void)!send(fd, "GROVE\r\n\x01 and then nothing of use", chance(30), MSG_NOSIGNAL);
        storm.n_connects++;
    }
    (void)close(fd);
}

static void disturb_door(void *argument)
{
    struct sockaddr_un address;

    (void)argument;
    while (storm.n_connects < storm.n_connects_wanted && find_socket(&address)) {
        for (unsigned i = 0; i < 10; i++)
            connect_once(&address);
        (void)grove_sleep_await(1);
    }
    storm.n_askers--;
}

/* --- the whole ------------------------------------------------------------------------------------ */

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

static bool map_counts(void)
{
    FILE *file;

    (void)snprintf(counts_path, sizeof counts_path, "%s/counts", run_dir); /* It fits. */
    file = fopen(counts_path, "w+");
    if (file == NULL || ftruncate(fileno(file), N_JOBS_MAX) != 0)
        return false;
    storm.counts = mmap(NULL, N_JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    return fclose(file) == 0 && storm.counts != MAP_FAILED && setenv(COUNTS, counts_path, 1) == 0;
}

static bool wait_full(void)
{
    struct grove_pool_stats stats = {0};

    for (unsigned i = 0; i < 20000; i++) {
        (void)grove_pool_stats(storm.pool, &stats); /* It lives, and we are on its loop. */
        if (stats.n_ready == N_WORKERS)
            return true;
        (void)grove_sleep_await(1);
    }
    fprintf(stderr, "only %u of %u workers are ready\n", stats.n_ready, stats.n_workers);
    return false;
}

static int rage(void)
{
    struct grove_pool_options options = {.n_workers = N_WORKERS};
    struct grove_pool_stats stats;
    int rc = grove_pool_open(&options, &storm.pool);

    if (rc != 0 || !wait_full())
        return 1;
    storm.n_askers = N_ASKERS;
    for (unsigned i = 0; i < N_ASKERS; i++)
        rc |= grove_go(ask, NULL, NULL, NULL);
    storm.n_askers += 2;
    rc |= grove_go(kill_workers, NULL, NULL, NULL);
    rc |= grove_go(disturb_door, NULL, NULL, NULL);
    while (rc == 0 && storm.n_askers > N_ASKERS)
        (void)grove_sleep_await(10);
    storm.over = true;
    while (rc == 0 && storm.n_askers > 0)
        (void)grove_sleep_await(1);
    (void)grove_pool_stats(storm.pool, &stats); /* It lives, and we are on its loop. */
    rc |= !wait_full();
    printf("restarts=%" PRIu64 " retried=%" PRIu64 " dropped_peers=%" PRIu64
           " dropped_frames=%" PRIu64 "\n",
           stats.restarts, stats.retried, stats.dropped_peers, stats.dropped_frames);
    rc |= stats.done + stats.failed != storm.n_asked;
    return rc | grove_pool_close_await(storm.pool, 10000);
}

static int judge(unsigned n_files)
{
    int n_faults = 0;

    printf("asked=%" PRIu64 " done=%" PRIu64 " crashed=%" PRIu64 " dead=%" PRIu64 " other=%" PRIu64
           " twice=%" PRIu64 " lost=%" PRIu64 "\n",
           storm.n_asked, storm.n_done, storm.n_crashed, storm.n_dead, storm.n_other, storm.n_twice,
           storm.n_lost);
    printf("kills=%u early=%u connects=%u\n", storm.n_kills, storm.n_early, storm.n_connects);
    n_faults += storm.n_asked != storm.n_done + storm.n_crashed + storm.n_dead + storm.n_other;
    n_faults += storm.n_other != 0 || storm.n_twice != 0 || storm.n_lost != 0;
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        n_faults += fprintf(stderr, "a child is left\n");
    if (unlink(counts_path) != 0 || rmdir(run_dir) != 0)
        n_faults += fprintf(stderr, "%s is not empty\n", run_dir);
    if (n_entries("/proc/self/fd") > n_files)
        n_faults += fprintf(stderr, "descriptors are left: %u before, %u after\n", n_files,
                            n_entries("/proc/self/fd"));
    return n_faults;
}

int main(int argc, char **argv)
{
    unsigned n_files;
    uint64_t seed;
    int rc;

    /* A worker maps the counts before its first job: or a kill finds it begun and not yet counted. */
    if (getenv(COUNTS) != NULL && jobs_map_counts(getenv(COUNTS)) != 0)
        return 1;
    (void)grove_init(&argc, &argv); /* It returns 0 or not at all. */
    storm.n_kills_wanted = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
    storm.n_connects_wanted = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : grove_random();
    storm.random = seed;
    printf("seed=%" PRIu64 "\n", seed);
    if (mkdtemp(run_dir) == NULL || !map_counts() || grove_option_set("run_dir", run_dir) != 0
        || grove_option_set("stall", "off") != 0)
        return 1; /* stall: its reports open files of their own */
    /* One round first, so that what stays open for good is open. */
    if (grove_pool_open(NULL, &storm.pool) != 0 || grove_pool_close_await(storm.pool, 10000) != 0)
        return 1;
    n_files = n_entries("/proc/self/fd");
    rc = rage();
    rc |= grove_deinit();
    return rc != 0 || judge(n_files) != 0;
}
