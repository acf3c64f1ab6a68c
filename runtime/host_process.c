/*
 * Processes: children whose end is told on the poller that started them.
 *
 * Their end is seen through a pidfd, which libuv polls; where the kernel has
 * none, a thread waits for it and posts. Neither takes SIGCHLD, which belongs
 * to the program. The pid stays ours until we have reaped it, on the
 * poller's thread, so that a kill never hits a stranger.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

struct gv_process {
    struct gv_poller *poller;
    void (*exited)(void *owner, int status, int signal);
    void *owner;
    pid_t pid;
    bool reaped;
    int pidfd; /* -1 if a thread waits */
    uv_poll_t poll;
    struct gv_post post; /* of the waiting thread */
};

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    if (!gv_host_old_kernel)
        return (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    (void)pid;
    return -1;
}

/* Tells the owner. False if the child lives. */
static bool reap(struct gv_process *process)
{
    siginfo_t info = {.si_pid = 0};
    int rc;

    do
        rc = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 && info.si_pid == 0)
        return false;

    process->reaped = true;
    if (rc != 0) /* somebody else has waited for it: how it ended is not known */
        process->exited(process->owner, -1, 0);
    else if (info.si_code == CLD_EXITED)
        process->exited(process->owner, info.si_status, 0);
    else
        process->exited(process->owner, -1, info.si_status);
    return true;
}

static void free_process(struct gv_process *process)
{
    gv_host_release(process->poller);
    free(process);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free_process(handle->data);
}

static void on_pidfd(uv_poll_t *poll, int status, int events)
{
    struct gv_process *process = poll->data;

    (void)status;
    (void)events;
    if (!reap(process))
        return;
    uv_close((uv_handle_t *)poll, on_poll_closed);
    (void)close(process->pidfd); /* after uv_close has taken it out of the set */
}

static void on_waited(void *owner)
{
    struct gv_process *process = owner;

    gv_assert(reap(process));
    free_process(process);
}

static void *wait_for_end(void *argument)
{
    struct gv_process *process = argument;
    siginfo_t info;

    /* Not reaped here: until the loop has heard of it, the pid must not be given to another. */
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    gv_host_post(process->poller, &process->post);
    return NULL;
}

static int start_waiting_thread(struct gv_process *process)
{
    pthread_t thread;
    sigset_t old;
    int rc;

    process->post = (struct gv_post){NULL, on_waited, process};
    gv_host_signals_block(&old);
    rc = pthread_create(&thread, NULL, wait_for_end, process);
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (rc == 0)
        gv_assert(pthread_detach(thread) == 0);
    return -rc;
}

static int start_watching(struct gv_process *process)
{
    int rc;

    process->pidfd = open_pidfd(process->pid);
    if (process->pidfd < 0)
        return start_waiting_thread(process);

    rc = uv_poll_init(&process->poller->loop, &process->poll, process->pidfd);
    if (rc != 0) {
        (void)close(process->pidfd);
        process->pidfd = -1;
        return rc;
    }
    process->poll.data = process;
    rc = uv_poll_start(&process->poll, UV_READABLE, on_pidfd);
    gv_assert(rc == 0); /* it fails for closing handles only */
    return 0;
}

int gv_host_process_spawn(struct gv_poller *poller, const struct gv_process_options *options,
                          void (*exited)(void *owner, int status, int signal), void *owner,
                          struct gv_process **process)
{
    struct gv_process *spawned = calloc(1, sizeof(*spawned));
    int rc;

    if (spawned == NULL)
        return -ENOMEM;
    spawned->poller = poller;
    spawned->exited = exited;
    spawned->owner = owner;
    rc = gv_host_child_start(options);
    if (rc < 0) {
        free(spawned);
        return rc;
    }

    spawned->pid = rc;
    rc = start_watching(spawned);
    if (rc != 0) { /* a child whose end we could not see is no use */
        (void)kill(spawned->pid, SIGKILL);
        while (waitpid(spawned->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        free(spawned);
        return rc;
    }
    gv_host_hold(poller);
    *process = spawned;
    return 0;
}

int gv_host_process_pid(const struct gv_process *process)
{
    return process->pid;
}

int gv_host_process_kill(struct gv_process *process, int signal)
{
    if (process->reaped)
        return -ESRCH;
    return kill(process->pid, signal) == 0 ? 0 : -errno;
}
