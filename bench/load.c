#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

uint64_t load_cpu_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* This clock is always there. */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Beside this program. */
static int find_program(char *path, size_t room)
{
    ssize_t n_bytes = readlink("/proc/self/exe", path, room - sizeof "/grove-load");
    char *slash;

    if (n_bytes <= 0)
        return -ENOENT;
    path[n_bytes] = '\0';
    slash = strrchr(path, '/');
    memcpy(slash, "/grove-load", sizeof "/grove-load");
    return 0;
}

/* One CPU for us, so that a ratio of two programs compares the same. Without leave it is as it is. */
static void take_first_cpu(void)
{
    cpu_set_t all, first;

    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    CPU_ZERO(&first);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &first);
            break;
        }
    (void)sched_setaffinity(0, sizeof first, &first);
}

/* A descriptor for each connection. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int load_start(unsigned port, int64_t connections, int64_t requests)
{
    char path[4096], texts[3][24];
    char *arguments[] = {path, texts[0], texts[1], texts[2], NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], rc;
    pid_t pid;

    rc = find_program(path, sizeof path);
    if (rc != 0)
        return rc;
    raise_limit();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    (void)snprintf(texts[0], sizeof texts[0], "%u", port); /* They fit. */
    (void)snprintf(texts[1], sizeof texts[1], "%lld", (long long)connections);
    (void)snprintf(texts[2], sizeof texts[2], "%lld", (long long)requests);
    rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (rc == 0)
            rc = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    take_first_cpu();
    if (rc == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        rc = errno;
    if (rc == 0)
        return ends[0];
    (void)close(ends[0]);
    return -rc;
}
