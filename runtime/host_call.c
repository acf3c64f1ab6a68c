/*
 * System calls by name, and what a thread that is blocked in one waits for:
 * the file or socket behind a descriptor, how long a sleep is, which lock.
 *
 * One table of the calls that may block, as <sys/syscall.h> numbers them for
 * this processor; others are called by their number. Arguments are those of
 * the moment: a descriptor may have been closed meanwhile, and then has no
 * name.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/host_monitor.h"

/* What is known of a call, besides its name. */
enum trait {
    FD = 1,      /* its first argument is a descriptor */
    FILE_IO = 2, /* and waits for a disk if that is a file */
    DISK = 4,    /* it waits for a disk */
    EVENTS = 8,  /* for events of the world */
    SLEEP = 16,  /* for a time: argument 0 */
    UNTIL = 32,  /* for a time: argument 2, argument 1 says whether absolute */
    LOCK = 64,   /* for a word of memory: argument 0 */
    PATH = 128,  /* its first argument is a path */
    PATH_AT = 256,
};

static const struct {
    long number;
    const char *name;
    unsigned traits;
} calls[] = {
#define CALL(name, traits) {SYS_##name, #name, traits},
    CALL(read, FD | FILE_IO) CALL(write, FD | FILE_IO) CALL(readv, FD | FILE_IO) CALL(
        writev, FD | FILE_IO) CALL(pread64, FD | FILE_IO) CALL(pwrite64, FD | FILE_IO)
        CALL(preadv, FD | FILE_IO) CALL(pwritev, FD | FILE_IO) CALL(preadv2, FD | FILE_IO) CALL(
            pwritev2, FD | FILE_IO) CALL(sendfile, FD | FILE_IO) CALL(splice, FD)
            CALL(copy_file_range, FD | DISK) CALL(fsync, FD | DISK) CALL(fdatasync, FD | DISK) CALL(
                sync_file_range, FD | DISK) CALL(syncfs, FD | DISK) CALL(ftruncate, FD | DISK)
                CALL(fallocate, FD | DISK) CALL(getdents64, FD | DISK) CALL(fstat, FD) CALL(
                    sync, DISK) CALL(msync, DISK) CALL(truncate, DISK | PATH) CALL(openat, PATH_AT)
                    CALL(newfstatat, PATH_AT) CALL(unlinkat, PATH_AT | DISK) CALL(
                        mkdirat, PATH_AT | DISK) CALL(statx, PATH_AT)
#ifdef SYS_open
                        CALL(open, PATH) CALL(stat, PATH) CALL(lstat, PATH) CALL(
                            unlink, PATH | DISK) CALL(rename, PATH | DISK) CALL(mkdir, PATH | DISK)
                            CALL(poll,
                                 EVENTS) CALL(select, EVENTS) CALL(epoll_wait, EVENTS) CALL(pause,
                                                                                            0)
#endif
                                CALL(close,
                                     FD) CALL(flock,
                                              FD) CALL(fcntl, FD)
                                    CALL(ioctl,
                                         FD) CALL(ppoll,
                                                  EVENTS) CALL(pselect6,
                                                               EVENTS) CALL(epoll_pwait, EVENTS)
#ifdef SYS_epoll_pwait2
                                        CALL(epoll_pwait2, EVENTS)
#endif
                                            CALL(io_getevents, 0)
#ifdef SYS_io_uring_enter
                                                CALL(io_uring_enter, FD)
#endif
                                                    CALL(connect, FD) CALL(accept, FD) CALL(
                                                        accept4,
                                                        FD) CALL(recvfrom, FD) CALL(recvmsg, FD)
                                                        CALL(recvmmsg,
                                                             FD) CALL(sendto,
                                                                      FD) CALL(sendmsg,
                                                                               FD) CALL(sendmmsg, FD)
                                                            CALL(nanosleep, SLEEP) CALL(
                                                                clock_nanosleep,
                                                                UNTIL) CALL(futex, LOCK)
                                                                CALL(wait4, 0) CALL(waitid, 0) CALL(
                                                                    rt_sigtimedwait,
                                                                    0) CALL(rt_sigsuspend, 0)
                                                                    CALL(restart_syscall, 0) CALL(
                                                                        clone, 0) CALL(execve, PATH)
                                                                        CALL(mmap, 0) CALL(
                                                                            munmap,
                                                                            0) CALL(madvise, 0)
                                                                            CALL(mprotect, 0) CALL(
                                                                                exit_group,
                                                                                0) CALL(sched_yield,
                                                                                        0)
                                                                                CALL(semop, 0) CALL(
                                                                                    semtimedop,
                                                                                    0) CALL(msgrcv,
                                                                                            0)
                                                                                    CALL(msgsnd, 0) CALL(
                                                                                        mq_timedreceive,
                                                                                        FD)
                                                                                        CALL(
                                                                                            mq_timedsend,
                                                                                            FD)
                                                                                            CALL(
                                                                                                getrandom,
                                                                                                0)
#undef CALL
};

static int find(int64_t call)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].number == call)
            return (int)i;
    return -1;
}

static bool has(int64_t call, unsigned trait)
{
    int i = find(call);

    return i >= 0 && (calls[i].traits & trait) != 0;
}

bool gv_host_call_polls(int64_t call)
{
    return call != GV_LOOK_NONE && has(call, EVENTS);
}

/* What the descriptor leads to: a path, "pipe:[…]", "socket:[…]". */
static bool name_of(uint64_t fd, char *text, size_t room)
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%u", (unsigned)fd); /* It fits. */
    n = readlink(link, text, room - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool gv_host_call_on_disk(const struct gv_look *look)
{
    struct stat file;

    if (look->call == GV_LOOK_NONE || look->state == 'R')
        return false;
    if (has(look->call, DISK))
        return true;
    return has(look->call, FILE_IO) && fstat((int)look->arguments[0], &file) == 0
           && (S_ISREG(file.st_mode) || S_ISBLK(file.st_mode) || S_ISDIR(file.st_mode));
}

/* " for 100 ms" of a sleep that began at most a moment ago. */
static void add_time(const struct gv_look *look, bool until, char *text, size_t room)
{
    struct timespec wanted, now = {0, 0};
    uintptr_t address = until ? look->arguments[2] : look->arguments[0];
    double ms;

    if (gv_host_read(address, &wanted, sizeof wanted) != sizeof wanted)
        return;
    if (until && (look->arguments[1] & TIMER_ABSTIME) != 0) {
        (void)clock_gettime((clockid_t)look->arguments[0], &now); /* On failure it is 0. */
        ms = (double)(wanted.tv_sec - now.tv_sec) * 1e3
             + (double)(wanted.tv_nsec - now.tv_nsec) / 1e6;
        (void)snprintf(text, room, " for another %.0f ms", ms); /* A cut text is still a text. */
        return;
    }
    ms = (double)wanted.tv_sec * 1e3 + (double)wanted.tv_nsec / 1e6;
    (void)snprintf(text, room, " for %.0f ms", ms); /* The same. */
}

static void add_path(uintptr_t address, char *text, size_t room)
{
    char path[100];
    size_t n = gv_host_read(address, path, sizeof path - 1);

    path[n] = '\0';
    (void)snprintf(text, room, " of %s", path); /* A cut path is still a hint. */
}

void gv_host_call_describe(const struct gv_look *look, char *text, size_t room)
{
    int i = find(look->call);
    unsigned traits = i >= 0 ? calls[i].traits : 0;
    size_t used;
    char name[160];

    if (look->call == GV_LOOK_NONE) {
        (void)snprintf(text, room, "%s",
                       look->state == 'D' ? "memory that comes from a disk"
                                          : "what was over when it was looked at");
        return;
    }
    if (i < 0)
        used = (size_t)snprintf(text, room, "system call %d", (int)look->call);
    else
        used = (size_t)snprintf(text, room, "%s", calls[i].name);
    if (used >= room)
        return;
    text += used;
    room -= used;
    if (traits & FD && name_of(look->arguments[0], name, sizeof name))
        (void)snprintf(text, room, " of %s", name); /* A cut name is still a hint. */
    else if (traits & (SLEEP | UNTIL))
        add_time(look, traits & UNTIL, text, room);
    else if (traits & LOCK)
        (void)snprintf(text, room, " on the word at 0x%llx",
                       (unsigned long long)look->arguments[0]); /* It fits. */
    else if (traits & (PATH | PATH_AT))
        add_path(traits & PATH ? look->arguments[0] : look->arguments[1], text, room);
}
