/*
 * The monitor's thread, its sleep and its way to read memory that may not
 * be there. See monitor.h.
 *
 * It sleeps on a condition of the monotonic clock, so that join ends its
 * sleep. Memory is read through /proc/self/mem, which needs no privilege,
 * works under the seccomp filters of containers and fails where a load would
 * fault; where /proc is not mounted, the kernel copies for us.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"
#include "runtime/host_monitor.h"

#define SECOND_NS 1000000000u

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t ending;
    pthread_t thread;
    bool end;
    void (*run)(void *argument);
    void *argument;
} monitor = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int memory = -1;    /* /proc/self/mem */
static pid_t target;       /* 0: this process */
static unsigned n_readers; /* who want it open; under the mutex */

static uint64_t now_ns(void)
{
    struct timespec now;

    gv_assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void gv_host_memory_open(void)
{
    pthread_mutex_lock(&monitor.mutex);
    if (n_readers++ == 0)
        memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    pthread_mutex_unlock(&monitor.mutex);
}

void gv_host_memory_close(void)
{
    pthread_mutex_lock(&monitor.mutex);
    if (--n_readers == 0) {
        if (memory >= 0)
            (void)close(memory); /* It was only read. */
        memory = -1;
    }
    pthread_mutex_unlock(&monitor.mutex);
}

static void *monitor_main(void *unused)
{
    (void)unused;
    (void)pthread_setname_np(pthread_self(), "grove-monitor"); /* A name is a kindness. */
    gv_fault_stack_open();
    monitor.run(monitor.argument);
    gv_fault_stack_close();
    return NULL;
}

static int start(void (*run)(void *argument), void *argument)
{
    pthread_condattr_t attributes;
    sigset_t old;
    int rc;

    gv_host_memory_open();
    monitor.end = false;
    monitor.run = run;
    monitor.argument = argument;
    gv_assert(pthread_condattr_init(&attributes) == 0);
    gv_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    gv_assert(pthread_cond_init(&monitor.ending, &attributes) == 0);
    gv_assert(pthread_condattr_destroy(&attributes) == 0);
    gv_host_signals_block(&old);
    rc = pthread_create(&monitor.thread, NULL, monitor_main, NULL);
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (rc == 0)
        return 0;
    gv_assert(pthread_cond_destroy(&monitor.ending) == 0);
    gv_host_memory_close();
    return -rc;
}

static void join(void)
{
    pthread_mutex_lock(&monitor.mutex);
    monitor.end = true;
    gv_assert(pthread_cond_signal(&monitor.ending) == 0);
    pthread_mutex_unlock(&monitor.mutex);
    gv_assert(pthread_join(monitor.thread, NULL) == 0);
    gv_assert(pthread_cond_destroy(&monitor.ending) == 0);
    gv_host_memory_close();
}

static bool wait_ns(uint64_t ns)
{
    uint64_t until_ns = now_ns() + ns;
    const struct timespec until = {(time_t)(until_ns / SECOND_NS), (long)(until_ns % SECOND_NS)};
    bool end;

    pthread_mutex_lock(&monitor.mutex);
    while (!monitor.end
           && pthread_cond_timedwait(&monitor.ending, &monitor.mutex, &until) != ETIMEDOUT)
        continue;
    end = monitor.end;
    pthread_mutex_unlock(&monitor.mutex);
    return !end;
}

bool gv_host_look_into(pid_t process)
{
    char path[64];

    target = process;
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)process); /* It fits. */
    memory = open(path, O_RDONLY | O_CLOEXEC);
    return memory >= 0;
}

pid_t gv_host_process(void)
{
    return target != 0 ? target : getpid();
}

size_t gv_host_read(uintptr_t address, void *into, size_t n_bytes)
{
    struct iovec ours = {into, n_bytes}, theirs = {(void *)address, n_bytes};
    ssize_t n;

    if (memory >= 0)
        n = pread(memory, into, n_bytes, (off_t)address);
    else
        n = process_vm_readv(gv_host_process(), &ours, 1, &theirs, 1, 0);
    return n > 0 ? (size_t)n : 0;
}

static bool read_all(const void *address, void *into, size_t n_bytes)
{
    return gv_host_read((uintptr_t)address, into, n_bytes) == n_bytes;
}

/* The first n_bytes - 1 bytes of a small file; "" if there are none. */
static void read_file(const char *path, char *text, size_t n_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, n_bytes - 1) : 0;

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd); /* It was only read. */
}

static uint64_t stolen_ns(void)
{
    unsigned long long steal = 0;
    char text[256];

    read_file("/proc/stat", text, sizeof text);
    if (sscanf(text, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1)
        return 0;
    return steal * (SECOND_NS / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool debugged(void)
{
    char text[4096];
    const char *line;

    read_file("/proc/self/status", text, sizeof text);
    line = strstr(text, "TracerPid:");
    return line != NULL && strtol(line + strlen("TracerPid:"), NULL, 10) != 0;
}

static __attribute__((noreturn)) void end(int status)
{
    _exit(status);
}

const struct gv_monitor gv_host_monitor = {
    .start = start,
    .join = join,
    .wait = wait_ns,
    .now_ns = now_ns,
    .enter = gv_host_thread_enter,
    .leave = gv_host_thread_leave,
    .polls = gv_host_thread_polls,
    .look = gv_host_thread_look,
    .stolen_ns = stolen_ns,
    .debugged = debugged,
    .frames = gv_host_frames,
    .name = gv_host_name,
    .prepare = gv_host_names_prepare,
    .entry = gv_host_entry,
    .describe = gv_host_call_describe,
    .read = read_all,
    .end = end,
};
