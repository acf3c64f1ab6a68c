/*
 * The log and the end of the process, on standard error.
 *
 * A log line goes out as one write that never waits. Standard error may be
 * shared with other processes, so it is not made non-blocking itself: a
 * pipe or terminal is opened anew through /proc, with a mode of our own; a
 * socket is sent to with MSG_DONTWAIT; a file does not block. Where none
 * of that works, poll(2) says whether there is room.
 *
 * Always: at most LINE_BYTES_MAX bytes a line, which a pipe takes whole or
 * not at all; what was dropped is counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"

enum {
    LINE_BYTES_MAX = 4096,   /* PIPE_BUF on Linux: more could be torn */
    CRASH_WAIT_MS_MAX = 1000 /* a report waits at most that long for each bit of room */
};

static struct {
    pthread_mutex_t mutex; /* held for a call that does not wait */
    bool known;            /* the fields below tell of the standard error of now */
    dev_t device;          /* what standard error was when we looked */
    ino_t inode;
    int fd;         /* where lines go */
    bool is_socket; /* fd takes MSG_DONTWAIT */
    bool may_block; /* ask poll before */
    bool torn;      /* the last line has no end yet */
} out = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static atomic_uint_fast64_t n_dropped;

/* Finds the way to write to what standard error is now: programs and tests exchange it. */
static bool look_at_stderr(void)
{
    struct stat now;

    if (fstat(STDERR_FILENO, &now) != 0)
        return false;
    if (out.known && now.st_dev == out.device && now.st_ino == out.inode)
        return true;

    if (out.fd > STDERR_FILENO)
        (void)close(out.fd); /* nothing of ours is lost by a failure */
    out.fd = STDERR_FILENO;
    out.is_socket = S_ISSOCK(now.st_mode);
    out.may_block = S_ISFIFO(now.st_mode) || S_ISCHR(now.st_mode);
    out.torn = false;
    if (out.may_block) {
        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0) {
            out.fd = fd;
            out.may_block = false;
        }
    }
    out.device = now.st_dev;
    out.inode = now.st_ino;
    out.known = true;
    return true;
}

static bool has_room(int fd, int wait_ms)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};

    return poll(&look, 1, wait_ms) == 1 && (look.revents & POLLOUT) != 0;
}

/* One write. Returns the bytes that left, or -1. */
static ssize_t write_now(struct iovec *parts, int n_parts)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n_parts};

    if (out.may_block && !has_room(out.fd, 0))
        return -1;
    if (out.is_socket)
        return sendmsg(out.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return writev(out.fd, parts, n_parts);
}

void gv_host_log_write(void *world, const char *line, size_t n_bytes)
{
    struct iovec parts[3] = {{"\n", 0}, {(void *)(uintptr_t)line, n_bytes}, {"\n", 1}};
    size_t n_all;
    ssize_t n_written = -1;

    (void)world;
    if (n_bytes > LINE_BYTES_MAX - 2)
        parts[1].iov_len = LINE_BYTES_MAX - 2;

    pthread_mutex_lock(&out.mutex);
    if (look_at_stderr()) {
        parts[0].iov_len = out.torn;
        n_written = write_now(parts, 3);
    }
    n_all = parts[0].iov_len + parts[1].iov_len + 1;
    if (n_written > 0)
        out.torn = (size_t)n_written < n_all;
    pthread_mutex_unlock(&out.mutex);

    if (n_written < 0 || (size_t)n_written < n_all)
        atomic_fetch_add_explicit(&n_dropped, 1, memory_order_relaxed); /* a mere counter */
}

uint64_t gv_host_log_dropped(void)
{
    return atomic_load_explicit(&n_dropped, memory_order_relaxed);
}

/* Writes all of it, unless there is no room for too long. */
static void write_last_words(const char *bytes, size_t n_bytes)
{
    while (n_bytes > 0 && has_room(STDERR_FILENO, CRASH_WAIT_MS_MAX)) {
        ssize_t n =
            write(STDERR_FILENO, bytes, n_bytes < LINE_BYTES_MAX ? n_bytes : LINE_BYTES_MAX);

        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0) {
            bytes += n;
            n_bytes -= (size_t)n;
        }
    }
}

void gv_host_crash(void *world, const char *report)
{
    static atomic_flag crashing = ATOMIC_FLAG_INIT;
    size_t n_bytes = strlen(report);

    (void)world;
    /* Two reports at once would read as none: the second waits for the end that the first brings. */
    while (atomic_flag_test_and_set(&crashing))
        (void)pause();

    write_last_words(report, n_bytes);
    if (n_bytes == 0 || report[n_bytes - 1] != '\n')
        write_last_words("\n", 1);
    gv_fault_last_words(__builtin_frame_address(0));
    abort();
}

void gv_host_quit(void *world, int status)
{
    (void)world;
    _exit(status); /* Handlers of exit would run beside loops that still work. */
}
