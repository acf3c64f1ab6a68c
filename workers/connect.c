/*
 * Connect: the command line of a program that joins a pool on another
 * machine, and its life:
 *
 *     PROGRAM --connect tls+tcp://HOST:PORT --cert FILE --key FILE --ca FILE
 *
 * It opens a pool of its own, whose workers are this program again or the one
 * that --program names, and an agent that joins the other pool. SIGTERM or
 * SIGINT: it takes no more jobs, finishes those it has, at most half of
 * stop_ms, and ends. A second one hurries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/init.h>
#include <grove/pool.h>
#include <grove/shutdown.h>
#include <grove/task.h>

#include "actors/system.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "workers/agent.h"
#include "workers/host_worker.h"
#include "workers/pool.h"

#define STATUS_FAILED 1
#define STATUS_USAGE  2
#define LOOK_MS       10u /* while it leaves */

/* What the arguments said. NULL and 0: nothing. */
struct words {
    const char *connect, *cert, *key, *ca, *name, *program;
    unsigned n_workers;
};

static const char help[] =
    "usage: %s --connect tls+tcp://HOST:PORT --cert FILE --key FILE --ca FILE\n"
    "\n"
    "Joins the pool that listens there, with workers on this machine, until SIGTERM.\n"
    "\n"
    "  --cert FILE     the certificate that is shown to the pool, PEM; its name must be\n"
    "                  one that the pool allows (GROVE_TLS_CERT)\n"
    "  --key FILE      the key of it, without a password (GROVE_TLS_KEY)\n"
    "  --ca FILE       who certifies the pool, PEM (GROVE_TLS_CA)\n"
    "  --name NAME     whom the pool's certificate must name; without: HOST\n"
    "  --workers N     processes at once; without: one for each core\n"
    "  --program FILE  the program whose GROVE_WORKER functions are served%s\n"
    "\n"
    "grove certs DIR makes certificates to try it with.\n";

/* --- the arguments -------------------------------------------------------------------------------- */

/* One line for people. */
static int complain(const char *program, const char *what, const char *about)
{
    const struct gv_env *env = gv_env_host();
    char line[512];

    (void)snprintf(line, sizeof line, "%.100s: %.250s%.100s (see --help)", program, what,
                   about); /* A cut line is still one. */
    env->log_write(env->world, line, strlen(line));
    return STATUS_USAGE;
}

static const char **place_of(struct words *words, const char *flag)
{
    const struct {
        const char *flag;
        const char **place;
    } all[] = {
        {"--connect", &words->connect}, {"--cert", &words->cert}, {"--key", &words->key},
        {"--ca", &words->ca},           {"--name", &words->name}, {"--program", &words->program},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(flag, all[i].flag) == 0)
            return all[i].place;
    return NULL;
}

static bool read_number(const char *text, unsigned *number)
{
    int n = 0;

    return strspn(text, "0123456789") == strlen(text) && strlen(text) < 5
           && sscanf(text, "%u%n", number, &n) == 1 && *number >= 1
           && *number <= GV_POOL_WORKERS_MAX;
}

static int read_words(int argc, char **argv, struct words *words)
{
    for (int i = 1; i < argc; i += 2) {
        const char **place = place_of(words, argv[i]);
        bool is_number = strcmp(argv[i], "--workers") == 0;

        if (place == NULL && !is_number)
            return complain(argv[0], "there is no argument ", argv[i]);
        if (i + 1 == argc || argv[i + 1][0] == '\0')
            return complain(argv[0], "a value is missing behind ", argv[i]);
        if (is_number && !read_number(argv[i + 1], &words->n_workers))
            return complain(argv[0], "--workers is 1 to 256, not ", argv[i + 1]);
        if (place != NULL)
            *place = argv[i + 1];
    }
    return 0;
}

static int check_url(const char *program, const char *url)
{
    const char *host, *colon;

    if (url == NULL)
        return complain(program, "--connect tls+tcp://HOST:PORT is missing: which pool?", "");
    if (strncmp(url, "tcp://", 6) == 0)
        return complain(program,
                        "no pool listens on plain TCP, where anybody could read jobs and answer "
                        "them; say tls+tcp:// instead of tcp:// in ",
                        url);
    if (strncmp(url, "tls+tcp://", 10) != 0)
        return complain(program, "--connect is tls+tcp://HOST:PORT, not ", url);
    host = url + 10;
    colon = strrchr(host, ':');
    if (colon == NULL || colon == host || colon[1] == '\0' || strlen(url) > 255
        || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return complain(program, "--connect is tls+tcp://HOST:PORT, not ", url);
    return 0;
}

/* A file is named by the argument, or by the option; else it is missed here and not in the middle of things. */
static int take_file(const char *program, const char *value, const char *option,
                     enum gv_option which)
{
    static const char *const flags[] = {"--cert", "--key", "--ca"};
    char error[GV_OPTION_ERROR_BYTES];

    if (value == NULL && gv_option_text(which)[0] == '\0')
        return complain(program,
                        "both ends of TLS show a certificate; grove certs DIR makes some to try it "
                        "with; missing is ",
                        flags[which - GV_OPTION_TLS_CERT]);
    if (value != NULL && gv_option_set(option, value, error) != 0)
        return complain(program, error, "");
    return 0;
}

static int take_words(const char *program, const struct words *words, bool is_served)
{
    char error[GV_OPTION_ERROR_BYTES];
    int rc = check_url(program, words->connect);

    if (rc == 0)
        rc = take_file(program, words->cert, "tls_cert", GV_OPTION_TLS_CERT);
    if (rc == 0)
        rc = take_file(program, words->key, "tls_key", GV_OPTION_TLS_KEY);
    if (rc == 0)
        rc = take_file(program, words->ca, "tls_ca", GV_OPTION_TLS_CA);
    if (rc == 0 && words->name != NULL && gv_option_set("tls_name", words->name, error) != 0)
        rc = complain(program, error, "");
    if (rc == 0 && words->program == NULL && !is_served)
        rc = complain(program,
                      "it has no functions of its own: --program FILE names a program that has "
                      "GROVE_WORKER functions, such as the one that opens the pool",
                      "");
    return rc;
}

/* --- its life ------------------------------------------------------------------------------------- */

static int complain_of(const char *program, const char *what, int rc)
{
    char line[256];

    (void)snprintf(line, sizeof line, "%s: %s: %s", what, grove_error_name(rc),
                   grove_why()); /* A cut line is still one. */
    (void)complain(program, line, "");
    return STATUS_FAILED;
}

/* Until the agent is gone. */
static void leave_await(struct gv_agent *agent)
{
    uint32_t patience_ms = (uint32_t)gv_option_number(GV_OPTION_STOP_MS) / 2;
    uint32_t began_ms = agent->loop->now_ms;

    gv_agent_leave(agent);
    while (agent->state != GV_AGENT_GONE) {
        if (agent->loop->now_ms - began_ms >= patience_ms)
            gv_agent_cut(agent);
        if (grove_sleep_await(LOOK_MS) != 0)
            gv_agent_cut(agent);
    }
}

static int join(const char *program, const struct words *words)
{
    struct grove_pool_options options = {
        .program = words->program,
        .n_workers = words->n_workers != 0 ? words->n_workers : gv_option_cores(),
        .name = "agent",
        /* The pool that asks sees to both: it hears of each death. */
        .quarantine_deaths = GROVE_POOL_NEVER,
        .dead_max = 1,
        .dead_bytes_max = 1,
    };
    struct gv_agent *agent;
    grove_ref pool;
    bool failed;
    int rc = grove_terminate_on_signals();

    if (rc == 0)
        rc = grove_pool_open(&options, &pool);
    if (rc != 0)
        return complain_of(program, "no workers can be started", rc);
    agent = calloc(1, sizeof *agent);
    if (agent == NULL)
        return complain_of(program, "it cannot begin", GROVE_ENOMEM);
    gv_agent_begin(agent, pool, words->connect);
    rc = grove_terminated_await();
    leave_await(agent);
    agent->pool->agent = NULL;
    failed = agent->error != 0;
    free(agent);
    return grove_deinit() == 0 && rc >= 0 && !failed ? 0 : STATUS_FAILED;
}

static void print_help(const char *program, bool is_served)
{
    char text[sizeof help + 256];

    (void)snprintf(text, sizeof text, help, program,
                   is_served ? "; without: this one" : ""); /* A long name is cut. */
    gv_host_worker_print(text);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

bool gv_connect_is_meant(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--connect") == 0 || is_help(argv[i]))
            return true;
    return false;
}

int gv_connect_main(int argc, char **argv, bool is_served)
{
    struct words words = {.connect = NULL};
    char error[GV_OPTION_ERROR_BYTES];
    int rc;

    for (int i = 1; i < argc; i++)
        if (is_help(argv[i])) {
            print_help(argv[0], is_served);
            return 0;
        }
    rc = read_words(argc, argv, &words);
    if (rc == 0)
        rc = take_words(argv[0], &words, is_served);
    if (rc != 0)
        return rc;
    if (gv_option_set("loops", "1", error) != 0)
        return complain(argv[0], error, "");
    gv_system_init(gv_env_host());
    return join(argv[0], &words);
}
