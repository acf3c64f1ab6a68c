/*
 * Sigterms: a server under load is asked to stop, again and again, at random
 * moments. Each time it must end with 0 in time, and leave no process and no
 * file.
 *
 *     sigterms [TIMES]       default 30
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <grove.h>

#include "tests/workers/jobs.h"

#define N_ASKERS 8u
#define STOP_MS  "8000"
#define MOST_MS  8500
#define SERVE    "serve"

/* --- the server ----------------------------------------------------------------------------------- */

static grove_ref pool;

static void go_ask(void *unused)
{
    (void)unused;
    for (;;) {
        Jobs__V1__EchoRequest request = JOBS__V1__ECHO_REQUEST__INIT;
        Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
        struct grove_scope scope;
        int rc;

        grove_scope_begin(&scope);
        request.text = (char *)"again";
        rc = job_echo_await(pool, &request, &response);
        grove_scope_end(&scope);
        if (rc == GROVE_ECANCELED || rc == GROVE_ENOACTOR || rc == GROVE_ESTOPPING)
            return;
    }
}

static void go_accept(void *listener)
{
    struct grove_stream *stream;

    while (grove_accept_await(listener, &stream) == 0)
        grove_stream_close(stream);
}

static void go_say(void *unused)
{
    (void)unused;
    (void)!write(STDOUT_FILENO, "x", 1); /* Who reads it sees when it does not come. */
}

static int serve(void)
{
    struct grove_pool_options options = {.n_workers = 2};
    struct grove_listener *listener;
    int rc = grove_pool_open(&options, &pool);

    if (rc == 0)
        rc = grove_listen("tcp://127.0.0.1:0", NULL, &listener);
    if (rc == 0)
        rc = grove_go(go_accept, listener, NULL, NULL);
    for (unsigned i = 0; rc == 0 && i < N_ASKERS; i++)
        rc = grove_go(go_ask, NULL, &(struct grove_spawn_options){.place = GROVE_ANYWHERE}, NULL);
    if (rc == 0)
        rc = grove_go(go_say, NULL, NULL, NULL);
    if (rc != 0)
        return 1;
    (void)grove_run_await(); /* Those who ask never rest: it may well time out. */
    return grove_deinit();
}

/* --- who stops it --------------------------------------------------------------------------------- */

static long long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* It exists everywhere. */
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static pid_t start(const char *program, const char *run_dir, int *said)
{
    int ends[2];
    pid_t pid;

    if (pipe(ends) != 0 || (pid = fork()) < 0)
        return -1;
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)setenv("GROVE_RUN_DIR", run_dir, 1);
        (void)setenv("GROVE_STOP_MS", STOP_MS, 1);
        (void)execl(program, program, SERVE, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *said = ends[0];
    return pid;
}

static unsigned n_files(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    while (directory != NULL && readdir(directory) != NULL)
        n++;
    if (directory != NULL)
        (void)closedir(directory);
    return n - 2; /* itself and its parent */
}

/* Returns what was wrong, or NULL. */
static const char *stop_once(const char *program, const char *run_dir, bool twice)
{
    struct timespec wait = {.tv_nsec = random() % 60000000};
    long long asked_ms;
    int said, status;
    char byte;
    pid_t pid = start(program, run_dir, &said);

    if (pid < 0 || read(said, &byte, 1) != 1)
        return "it did not start";
    (void)nanosleep(&wait, NULL);
    asked_ms = now_ms();
    (void)kill(pid, SIGTERM);
    if (twice) {
        wait.tv_nsec += 200000000; /* One that comes sooner is the first. */
        (void)nanosleep(&wait, NULL);
        (void)kill(pid, SIGTERM); /* It may have ended. */
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return "it did not end with 0";
    (void)close(said);
    if (now_ms() - asked_ms > MOST_MS)
        return "it took too long";
    /* What is left becomes our child: workers that were killed may still be dying. */
    while (now_ms() - asked_ms < MOST_MS && waitpid(-1, NULL, WNOHANG) >= 0)
        (void)usleep(1000);
    if (waitpid(-1, NULL, WNOHANG) >= 0)
        return "a process is left";
    return n_files(run_dir) == 0 ? NULL : "a file is left";
}

int main(int argc, char **argv)
{
    char run_dir[] = "/tmp/sigterms-XXXXXX";
    int n;

    (void)grove_init(&argc, &argv);
    if (argc == 2 && strcmp(argv[1], SERVE) == 0)
        return serve();
    n = argc == 2 ? atoi(argv[1]) : 30;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (mkdtemp(run_dir) == NULL)
        return 1;
    for (int i = 0; i < n; i++) {
        const char *why = stop_once(argv[0], run_dir, i % 3 != 0);

        if (why != NULL) {
            (void)fprintf(stderr, "sigterms: stop %d of %d: %s\n", i + 1, n, why);
            return 1;
        }
    }
    (void)printf("sigterms: %d stops, each with 0, nothing left\n", n);
    return rmdir(run_dir);
}
