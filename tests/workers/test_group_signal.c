/*
 * A signal that reaches a program and its workers alike, as from Ctrl-C, from
 * kill of a group, or from a service manager that stops all it finds. The
 * server is this program itself, run as the leader of a group of its own.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <grove.h>
#include <grove/pool.h>

#include "tests/workers/jobs.h"

#define N_JOBS  2u
#define BUSY_US 300000u
#define SERVE   "serve"

static const char *program;
static char run_dir[] = "/tmp/test-group-XXXXXX";

/* --- the server ----------------------------------------------------------------------------------- */

static struct {
    grove_ref pool;
    char counts[128];
    int rc[N_JOBS];
    unsigned n_answered;
} server;

/* A job that must not run twice: it fails if its worker dies. */
static void go_ask(void *argument)
{
    Jobs__V1__OnceRequest request = JOBS__V1__ONCE_REQUEST__INIT;
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    unsigned i = (unsigned)(uintptr_t)argument;

    request.counts = server.counts;
    request.id = i;
    request.busy_us = BUSY_US;
    server.rc[i] = job_once_await(server.pool, &request, &response);
    server.n_answered++;
}

static bool all_run(void)
{
    unsigned char counted[N_JOBS] = {0};
    FILE *file = fopen(server.counts, "r");
    bool all = file != NULL && fread(counted, 1, N_JOBS, file) == N_JOBS;

    for (unsigned i = 0; i < N_JOBS; i++)
        all = all && counted[i] == 1;
    if (file != NULL)
        (void)fclose(file); /* It was only read. */
    return all;
}

/* Prints "run" once all jobs run on their workers, and in the end how they went. */
static int serve(void)
{
    struct grove_pool_options options = {.n_workers = N_JOBS};
    FILE *file;
    int rc;

    (void)snprintf(server.counts, sizeof server.counts, "%s/counts",
                   getenv("GROVE_RUN_DIR")); /* It fits. */
    file = fopen(server.counts, "w");
    if (file == NULL || ftruncate(fileno(file), N_JOBS) != 0 || fclose(file) != 0)
        return 1;
    rc = grove_terminate_on_signals(); /* One may come before main waits for it. */
    if (rc == 0)
        rc = grove_pool_open(&options, &server.pool);
    for (unsigned i = 0; rc == 0 && i < N_JOBS; i++)
        rc = grove_go(go_ask, (void *)(uintptr_t)i, NULL, NULL);
    while (rc == 0 && !all_run())
        rc = grove_sleep_await(1);
    if (rc != 0)
        return 1;
    (void)printf("run\n");
    (void)fflush(stdout);
    rc = grove_run_await();
    (void)printf("drained=%d answered=%u %d %d\n", rc, server.n_answered, server.rc[0],
                 server.rc[1]);
    (void)fflush(stdout);
    (void)unlink(server.counts);
    return grove_deinit();
}

/* --- who signals ---------------------------------------------------------------------------------- */

static pid_t start(FILE **said)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)setenv("GROVE_RUN_DIR", run_dir, 1);
        (void)execl(program, program, SERVE, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *said = fdopen(ends[0], "r");
    assert_non_null(*said);
    return pid;
}

static void assert_says(FILE *said, const char *wanted)
{
    char line[256] = "";

    (void)!fgets(line, sizeof line, said); /* Without a line it is not the one wanted. */
    assert_string_equal(line, wanted);
}

static void
test_what_runs_in_workers_is_finished_when_a_signal_reaches_the_whole_group(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};

    (void)state;
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        FILE *said;
        pid_t pid = start(&said);
        int status;

        assert_says(said, "run\n");
        assert_int_equal(kill(-pid, signals[i]), 0);
        assert_says(said, "drained=0 answered=2 0 0\n");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        /* Nobody of the group is left. */
        assert_int_equal(kill(-pid, 0), -1);
        assert_int_equal(fclose(said), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_what_runs_in_workers_is_finished_when_a_signal_reaches_the_whole_group),
    };
    int n_failed;

    (void)grove_init(&argc, &argv);
    if (argc == 2 && strcmp(argv[1], SERVE) == 0)
        return serve();
    program = argv[0];
    if (mkdtemp(run_dir) == NULL)
        return 1;
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(run_dir) == 0 ? n_failed : n_failed + 1;
}
