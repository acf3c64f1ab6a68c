/*
 * The birth of a child: vfork, then what must be so before exec.
 *
 * Between vfork and exec the child runs in our memory while we stand still.
 * It may therefore call the kernel and nothing else, and touch nothing but
 * its own frame. posix_spawn would be shorter, but cannot tie the child's
 * life to ours. fork would copy page tables for tens of milliseconds when
 * many stacks are resident.
 *
 * The child gets: default signal actions and no blocked signal, descriptors
 * 0-2 and those asked for and no others, SIGKILL when the thread that made
 * it ends; and, unless it is a plain program, no new privileges, no core
 * file, and the first turn when memory runs out. One that is not plain also
 * ignores, from its birth on, the signals by which whole groups are ended:
 * who made it decides when it ends.
 *
 * An exec that fails is told through a pipe that a successful exec closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

enum {
    FIRST_FD = 3,
    N_DESCRIPTORS_MAX = 16,
    FD_MAX = 65536, /* how far descriptors are closed one by one where the kernel cannot */
    EXIT_NO_EXEC = 127
};

#ifndef CLOSE_RANGE_CLOEXEC
#    define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

bool gv_host_old_kernel;

struct plan {
    const struct gv_process_options *options;
    int report_fd; /* takes errno if there is no exec */
    pid_t parent;
};

/* They reach all of a group: Ctrl-C, a terminal that closes, kill of a group, a service manager's stop. */
static bool ends_groups(int signal)
{
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP;
}

static int reset_signals(bool plain)
{
    struct sigaction action;
    sigset_t none;

    memset(&action, 0, sizeof(action));
    /* A handler of ours must not run in the child while it is in our memory. */
    for (int i = 1; i < NSIG; i++) {
        action.sa_handler = !plain && ends_groups(i) ? SIG_IGN : SIG_DFL;
        (void)sigaction(i, &action, NULL); /* KILL, STOP and libc's own cannot and need not */
    }
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_on_exec_from(int first)
{
    struct rlimit limit;

#ifdef SYS_close_range
    if (!gv_host_old_kernel && syscall(SYS_close_range, first, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0)
        return;
#endif
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > FD_MAX)
        limit.rlim_cur = FD_MAX;
    for (int fd = first; fd < (int)limit.rlim_cur; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* most of them are not open */
}

/* Puts the descriptors asked for at 3, 4, …; all above will close at exec. */
static int place_descriptors(struct plan *plan)
{
    const int *standard = plan->options->standard;
    int n = (int)plan->options->n_descriptors;
    int above[N_DESCRIPTORS_MAX], first[FIRST_FD] = {-1, -1, -1};

    /* First out of the way: what becomes 3 may be 4 now, and the other way round. */
    int report_fd = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, FIRST_FD + n);
    if (report_fd < 0)
        return -1;
    plan->report_fd = report_fd;
    for (int i = 0; i < FIRST_FD && standard != NULL; i++) {
        first[i] = standard[i] < 0 ? -1 : fcntl(standard[i], F_DUPFD_CLOEXEC, FIRST_FD + n);
        if (standard[i] >= 0 && first[i] < 0)
            return -1;
    }
    for (int i = 0; i < n; i++) {
        above[i] = fcntl(plan->options->descriptors[i], F_DUPFD_CLOEXEC, FIRST_FD + n);
        if (above[i] < 0)
            return -1;
    }
    for (int i = 0; i < n; i++)
        if (dup2(above[i], FIRST_FD + i) < 0)
            return -1;
    for (int i = 0; i < FIRST_FD; i++)
        if (first[i] >= 0 && dup2(first[i], i) < 0)
            return -1;
    close_on_exec_from(FIRST_FD + n);
    return 0;
}

static int tie_to_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return -1;
    if (getppid() == parent)
        return 0;
    errno = ESRCH; /* it died before we asked to be told */
    return -1;
}

/* What makes the child a better neighbour; without it the child does its work all the same. */
static void be_modest(int more_nice)
{
    struct rlimit no_core = {0, 0};
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, "500", 3);
        (void)close(fd);
    }
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (more_nice != 0)
        (void)!nice(more_nice);
}

static void __attribute__((noreturn, noinline)) run_child(struct plan *plan)
{
    const struct gv_process_options *options = plan->options;

    if (place_descriptors(plan) == 0 && tie_to_parent(plan->parent) == 0
        && (options->plain || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        && (options->directory == NULL || chdir(options->directory) == 0)) {
        if (!options->plain)
            be_modest(options->nice);
        if (reset_signals(options->plain) == 0)
            (void)execve(options->program, options->arguments, options->environment);
    }

    int error = errno;
    (void)!write(plan->report_fd, &error, sizeof(error)); /* the parent also sees our end */
    _exit(EXIT_NO_EXEC);
}

/* 0 when the child has left our memory for its program, else why it could not. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t n;

    do
        n = read(fd, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    return n == (ssize_t)sizeof(error) && error > 0 ? -error : -EIO;
}

pid_t gv_host_child_start(const struct gv_process_options *options)
{
    struct plan plan = {.options = options, .parent = getpid()};
    sigset_t all, old;
    int ends[2];
    pid_t pid;
    int rc;

    if (options->n_descriptors > N_DESCRIPTORS_MAX)
        return -E2BIG;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    plan.report_fd = ends[1];

    gv_assert(sigfillset(&all) == 0);
    gv_assert(pthread_sigmask(SIG_SETMASK, &all, &old) == 0);
    pid = vfork();
    if (pid == 0)
        run_child(&plan);
    rc = pid < 0 ? -errno : 0;
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);

    (void)close(ends[1]); /* nothing was written to it by us */
    if (rc == 0)
        rc = read_report(ends[0]);
    (void)close(ends[0]);
    if (rc < 0 && pid > 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    return rc < 0 ? rc : pid;
}
