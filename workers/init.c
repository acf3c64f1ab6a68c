/*
 * The first line of a program's main: options, the services it serves as a
 * worker, and whether this process is one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grove/error.h>
#include <grove/init.h>
#include <grove/pool.h>

#include "actors/system.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "workers/host_worker.h"

#define STATUS_USAGE 2

/* One line for people, before there is anything else. */
static void say(const char *text)
{
    const struct gv_env *env = gv_env_host();

    env->log_write(env->world, text, strlen(text));
}

static void read_options(int *argc, char ***argv)
{
    char error[GV_OPTION_ERROR_BYTES];

    if (gv_options_read(argc, argv != NULL ? *argv : NULL, error) == 0)
        return;
    say(error);
    exit(STATUS_USAGE);
}

/* A misspelt variable would change nothing, and nobody would know. It may also be another program's. */
static void note_strange_variables(void)
{
    static const char prefix[] = "GROVE_", fault[] = "GROVE_FAULT=";

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t n_bytes = strcspn(*entry, "=");

        if (strncmp(*entry, prefix, sizeof prefix - 1) == 0
            && strncmp(*entry, fault, sizeof fault - 1) != 0
            && !gv_option_is_variable(*entry, n_bytes))
            gv_log(GV_LOG_WARN, "option.unknown", "variable=%.*s",
                   (int)(n_bytes < 100 ? n_bytes : 100), *entry);
    }
}

/* Pools meet these names in a worker's HELLO and compare them with what is known here. */
static void register_services(const struct grove_worker_entry *first,
                              const struct grove_worker_entry *end)
{
    for (const struct grove_worker_entry *entry = first; entry != end; entry++)
        if (entry->service != NULL && grove_service_register(entry->service) != 0) {
            say(grove_why());
            exit(STATUS_USAGE);
        }
}

int grove_init_with(int *argc, char ***argv, const struct grove_worker_entry *first,
                    const struct grove_worker_entry *end)
{
    if (gv_worker_is_meant()) {
        read_options(NULL, NULL);
        gv_host_worker_end(gv_worker_main(first, end));
    }
    read_options(argc, argv);
    register_services(first, end);
    gv_system_init(gv_env_host());
    note_strange_variables();
    return 0;
}

int grove_worker_main_with(int *argc, char ***argv, const struct grove_worker_entry *first,
                           const struct grove_worker_entry *end)
{
    char line[256];

    if (gv_worker_is_meant()) {
        read_options(NULL, NULL);
        return gv_worker_main(first, end);
    }
    read_options(argc, argv);
    if (gv_connect_is_meant(*argc, *argv))
        return gv_connect_main(*argc, *argv, first != end);
    (void)snprintf(line, sizeof line,
                   "%.100s: this program is a worker: a pool of workers starts it, or --connect "
                   "names a pool on another machine (see --help)",
                   *argc > 0 ? (*argv)[0] : "worker"); /* It fits. */
    say(line);
    return STATUS_USAGE;
}
