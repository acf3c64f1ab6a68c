#include "tests/workers/pools.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char run_dir[] = "/tmp/test-pool-XXXXXX";
static char counts_path[sizeof run_dir + 8];
static unsigned n_files; /* open before the tests */

/* --- helpers -------------------------------------------------------------------------------------- */

grove_ref open_pool(const struct grove_pool_options *options)
{
    grove_ref pool;

    assert_int_equal(grove_pool_open(options, &pool), 0);
    return pool;
}

void close_pool(grove_ref pool)
{
    assert_int_equal(grove_pool_close_await(pool, 5000), 0);
}

struct grove_pool_stats stats_of(grove_ref pool)
{
    struct grove_pool_stats stats;

    assert_int_equal(grove_pool_stats(pool, &stats), 0);
    return stats;
}

void wait_ready(grove_ref pool, unsigned n)
{
    for (unsigned i = 0; i < 10000 && stats_of(pool).n_ready != n; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stats_of(pool).n_ready, n);
}

int echo(grove_ref pool, const char *text, Jobs__V1__EchoResponse *response)
{
    Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;

    request.text = (char *)text;
    request.number = 42;
    return job_echo_await(pool, &request, response);
}

void assert_serves(grove_ref pool)
{
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;

    assert_int_equal(echo(pool, "still there", &response), 0);
    assert_string_equal(response.text, "still there");
}

void reset_counts(size_t n)
{
    FILE *file = fopen(counts_path, "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)n), 0);
    assert_int_equal(fclose(file), 0);
}

int count_of(uint64_t id)
{
    FILE *file = fopen(counts_path, "r");
    int count;

    assert_non_null(file);
    assert_int_equal(fseek(file, (long)id, SEEK_SET), 0);
    count = fgetc(file);
    assert_int_equal(fclose(file), 0);
    return count;
}

Jobs__V1__OnceRequest once_request(uint64_t id, uint64_t busy_us)
{
    Jobs__V1__OnceRequest request = JOBS__V1__ONCE_REQUEST__INIT;

    request.counts = counts_path;
    request.id = id;
    request.busy_us = busy_us;
    return request;
}

/* --- the whole -------------------------------------------------------------------------------------- */

static unsigned n_entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

/* After the last function of grove: nothing of it may be left. */
static int leftovers(void)
{
    int n = 0;

    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        n += fprintf(stderr, "a child is left\n");
    (void)unlink(counts_path);
    if (n_entries(run_dir) != 2)
        n += fprintf(stderr, "files are left in %s\n", run_dir);
    if (rmdir(run_dir) != 0)
        n += fprintf(stderr, "%s is not empty\n", run_dir);
    if (n_entries("/proc/self/fd") > n_files)
        n += fprintf(stderr, "descriptors are left: %u before, %u after\n", n_files,
                     n_entries("/proc/self/fd"));
    return n;
}

int pools_begin(int *argc, char ***argv)
{
    if (grove_init(argc, argv) != 0 || mkdtemp(run_dir) == NULL
        || grove_option_set("run_dir", run_dir) != 0 || grove_option_set("stall", "off") != 0)
        return 1; /* stall: its reports open files of their own */
    (void)snprintf(counts_path, sizeof counts_path, "%s/counts", run_dir); /* It fits. */
    /* One round first, so that what stays open for good is open. */
    close_pool(open_pool(NULL));
    n_files = n_entries("/proc/self/fd");
    return 0;
}

int pools_end(int n_failed)
{
    if (grove_deinit() != 0)
        n_failed++;
    return n_failed + (leftovers() != 0);
}
