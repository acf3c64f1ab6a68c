/*
 * grove-memory: an operation, with memory that runs short at its first
 * request, its second, … until there are no more, once and for good.
 *
 *     grove-memory OPERATION [N [once | stays]] | --list
 *
 * Each n has a process of its own, which starts grove, lets the operation
 * run short, then with memory again: now it must succeed, grove must end,
 * and nothing may be left. The codes that it may fail with are those that
 * tell of memory, of what could not be reached without, or of time.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <errno.h>
#include <grove.h>

#include "actors/system.h"
#include "runtime/env.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "tests/memory/operations.h"
#include "tests/memory/short.h"

#define PATIENCE_S 30u
#define FAIL       1
#define AGAIN_MAX  50u /* tries until a mended operation succeeds: a worker may be born in between */

static bool is_allowed(int rc)
{
    static const int codes[] = {0,
                                -ENOMEM,
                                -EAGAIN,
                                -ECONNREFUSED,
                                -ECONNRESET,
                                -EPIPE,
                                -ENODATA,
                                GROVE_ENOMEM,
                                GROVE_ENOSTACK,
                                GROVE_EFULL,
                                GROVE_EDOWN,
                                GROVE_ENOACTOR,
                                GROVE_ETIMEDOUT,
                                GROVE_ECANCELED,
                                GROVE_ECRASHED,
                                GROVE_EUNAVAILABLE};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == rc)
            return true;
    return false;
}

static int complain(const char *what, int rc)
{
    (void)fprintf(stderr, "%s: %s (%d): %s\n", what, grove_error_name(rc), rc,
                  grove_why()); /* Nothing can be done about a closed terminal. */
    return FAIL;
}

static int start(const struct operation *operation)
{
    char text[16], error[GV_OPTION_ERROR_BYTES];

    (void)snprintf(text, sizeof text, "%u", operation->n_loops); /* It fits. */
    if (gv_option_set("loops", text, error) != 0 || gv_option_set("log_level", "0", error) != 0)
        return GROVE_EUSAGE;
    gv_system_init(gv_env_host());
    if (gv_loop_now() != NULL)
        return 0;
    gv_system_deinit();
    return GROVE_ENOMEM;
}

static int end(void)
{
    int rc = grove_deinit();

    if (rc != 0)
        return complain("grove_deinit", rc);
    gv_system_deinit();
    return 0;
}

/* The start itself: it fails or it does not; then it works. */
static int run_start(const struct operation *operation, unsigned n, bool stays,
                     unsigned *n_requests)
{
    int rc;

    short_begin(n, stays);
    rc = start(operation);
    *n_requests = short_end();
    if (!is_allowed(rc))
        return complain("the start", rc);
    if (rc != 0 && start(operation) != 0)
        return complain("the second start", rc);
    return end();
}

static int run(const struct operation *operation, unsigned n, bool stays, unsigned *n_requests)
{
    unsigned n_tries = 1;
    int rc;

    if (operation->act == NULL)
        return run_start(operation, n, stays, n_requests);
    if (start(operation) != 0 || (operation->set_up != NULL && operation->set_up() != 0))
        return complain("the set-up", GROVE_EUSAGE);
    short_begin(n, stays);
    rc = operation->act();
    *n_requests = short_end();
    if (!is_allowed(rc))
        return complain("without memory", rc);
    /* With memory it works: at the latest when what went wrong has been cleared away. */
    while ((rc = operation->act()) != 0 && n_tries++ < AGAIN_MAX)
        (void)grove_sleep_await(20); /* main is not stopped. */
    if (rc != 0)
        return complain("with memory again", rc);
    return end();
}

/* In a process of its own. Returns false if it failed; *n_requests is what it wanted. */
static bool run_apart(const struct operation *operation, unsigned n, bool stays,
                      unsigned *n_requests)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)alarm(PATIENCE_S); /* There was none. */
        exit(run(operation, n, stays, n_requests));
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
        return true;
    (void)fprintf(stderr, "%s %u %s: %s %d\n", operation->name, n, stays ? "stays" : "once",
                  WIFSIGNALED(status) ? "killed by signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)); /* As above. */
    return false;
}

static int run_all(const struct operation *operation, unsigned *n_requests)
{
    unsigned n_failed = 0, n = 1;

    /* Where threads are at work the number of requests differs: to the end, wherever that is today. */
    do {
        *n_requests = 0;
        n_failed += !run_apart(operation, n, true, n_requests);
        *n_requests = 0;
        n_failed += !run_apart(operation, n, false, n_requests);
    } while (*n_requests >= n++ && n_failed < 10);
    (void)printf("%s: %u requests for memory, each failed once and for good, %u failed\n",
                 operation->name, n - 2, n_failed); /* As above. */
    return n_failed == 0 ? 0 : FAIL;
}

int main(int argc, char **argv)
{
    const struct operation *operation = operations;
    unsigned *n_requests;

    grove_init(&argc, &argv); /* A worker does not return. */
    gv_system_deinit();
    for (; operation->name != NULL; operation++)
        if (argc > 1 && strcmp(argv[1], "--list") == 0)
            (void)puts(operation->name); /* As above. */
        else if (argc > 1 && strcmp(argv[1], operation->name) == 0)
            break;
    if (operation->name == NULL)
        return argc > 1 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
    n_requests =
        mmap(NULL, sizeof *n_requests, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n_requests == MAP_FAILED)
        return FAIL;
    if (argc > 2)
        return run(operation, (unsigned)atoi(argv[2]), argc > 3 && strcmp(argv[3], "stays") == 0,
                   n_requests);
    return run_all(operation, n_requests);
}
