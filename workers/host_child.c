/*
 * What a worker process begins with: the same program, one argument that
 * tells people what it is, and few variables, so that nothing of the parent
 * reaches it by accident.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/options.h"
#include "workers/host_worker.h"
#include "workers/pool.h"

#define N_OWN 3 /* variables that are ours, and the NULL */

/* Names, or beginnings of names, of what is passed on. */
static const char *const passed_on[] = {
    "PATH=", "HOME=",  "TMPDIR=", "TZ=",   "LANG=",  "LC_",   "LD_LIBRARY_PATH=",
    "ASAN_", "UBSAN_", "TSAN_",   "LSAN_", "GROVE_", "GCOV_", "LLVM_PROFILE_FILE=",
};

static int is_passed_on(const char *variable)
{
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        if (strncmp(variable, passed_on[i], strlen(passed_on[i])) == 0)
            return strncmp(variable, "GROVE_LOG_LEVEL=", 16) != 0
                   && strncmp(variable, GV_WORKER_VARIABLE, strlen(GV_WORKER_VARIABLE)) != 0;
    return 0;
}

void gv_host_child_prepare(struct gv_host_child *child, const char *program, const char *pool)
{
    size_t most = sizeof child->environment / sizeof child->environment[0] - N_OWN, n = 0;
    size_t used, more;

    /* The link in /proc is this very program, also if its file was replaced meanwhile. */
    child->program = program != NULL ? program : "/proc/self/exe";
    child->arguments[0] = (char *)(program != NULL ? program : program_invocation_name);
    used = (size_t)snprintf(child->text, sizeof child->text, "--grove-worker=%s", pool) + 1;
    child->arguments[1] = child->text;
    child->arguments[2] = NULL;

    for (char **variable = environ; variable != NULL && *variable != NULL && n < most; variable++)
        if (is_passed_on(*variable))
            child->environment[n++] = *variable;
    child->environment[n++] = child->text + used;
    more =
        (size_t)snprintf(child->text + used, sizeof child->text - used, "%s=1", GV_WORKER_VARIABLE)
        + 1;
    used += more;
    child->environment[n++] = child->text + used;
    more = (size_t)snprintf(child->text + used, sizeof child->text - used, "GROVE_LOG_LEVEL=%d",
                            (int)gv_option_number(GV_OPTION_LOG_LEVEL));
    gv_assert(used + more < sizeof child->text);
    child->environment[n] = NULL;
}

void gv_host_worker_begin(void)
{
    struct sigaction ignore;

    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    /*
     * Ctrl-C, kill of a group and a service manager's stop reach us with the
     * program: its pool decides when its workers end, behind the drain. We
     * are born like this (host_child.c), unless somebody else has started us.
     */
    gv_assert(sigaction(SIGINT, &ignore, NULL) == 0);
    gv_assert(sigaction(SIGTERM, &ignore, NULL) == 0);
    gv_assert(sigaction(SIGHUP, &ignore, NULL) == 0);
    /* Else it were called "exe", after the link it was started by. */
    (void)prctl(PR_SET_NAME, program_invocation_short_name);
}

/* Pages of this process: all it has mapped, and those that are resident. */
static bool read_pages(unsigned long long *mapped, unsigned long long *resident)
{
    static int fd = -1; /* kept open: jobs may come by thousands a second */
    char text[128];
    ssize_t n;

    if (fd < 0)
        fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    if (n <= 0)
        return false;
    text[n] = '\0';
    return sscanf(text, "%llu %llu", mapped, resident) == 2;
}

uint64_t gv_host_worker_memory(void)
{
    unsigned long long mapped, resident;

    return read_pages(&mapped, &resident) ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int gv_host_worker_limit_memory(uint64_t bytes)
{
    unsigned long long mapped, resident;
    struct rlimit limit;

    if (!read_pages(&mapped, &resident))
        return -ENOENT;
    bytes += mapped * (uint64_t)sysconf(_SC_PAGESIZE);
    limit = (struct rlimit){.rlim_cur = bytes, .rlim_max = bytes};
    return setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : -errno;
}

void gv_host_worker_limit_cpu(uint32_t seconds)
{
    struct timespec used;
    struct rlimit limit;

    /* Neither can fail: both name what every process has, and the limit is not over its maximum. */
    gv_assert(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
    gv_assert(getrlimit(RLIMIT_CPU, &limit) == 0);
    /* Whole seconds: what has been begun of one does not count. */
    limit.rlim_cur = (rlim_t)used.tv_sec + seconds + (used.tv_nsec != 0);
    gv_assert(setrlimit(RLIMIT_CPU, &limit) == 0 || limit.rlim_cur > limit.rlim_max);
}

void gv_host_worker_print(const char *text)
{
    (void)fputs(text, stdout); /* Nobody can be told that nobody can be told. */
}

void gv_host_worker_end(int status)
{
    /* Not exit: the program's own clean-up belongs to the process that main runs in. */
    _exit(status);
}
