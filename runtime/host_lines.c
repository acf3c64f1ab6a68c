#include "runtime/host_lines.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/sanitize.h"

#define HELPER_NAME  "grove-crash-lines"
#define N_ARGUMENTS  5 /* name, process, pc, sp, fp */
#define NUMBER_BYTES 24
#define LOOK_MS      5u

static bool installed;     /* written before there are other threads */
static char program[4096]; /* where /proc cannot be asked */

/* --- the broken process ----------------------------------------------------------------------- */

static void print_hex(char text[NUMBER_BYTES], uint64_t number)
{
    char digits[NUMBER_BYTES];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number > 0);
    while (n > 0)
        *text++ = digits[--n];
    *text = '\0';
}

/* As the kernel hands it out. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t n_bytes;
    uint8_t kind;
    char name[];
};

static pid_t number_of(const char *name)
{
    pid_t number = 0;

    for (; *name >= '0' && *name <= '9'; name++)
        number = 10 * number + (*name - '0');
    return number;
}

void gv_lines_stop_others(int signal_number)
{
    static _Alignas(8) char entries[4096];
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n, self = syscall(SYS_gettid);

    if (fd < 0)
        return;
    while ((n = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
        for (long at = 0; at < n;) {
            const struct entry *entry = (const void *)(entries + at);
            pid_t thread = number_of(entry->name);

            at += entry->n_bytes;
            if (thread != 0 && thread != self)
                (void)syscall(SYS_tgkill, getpid(), thread, signal_number); /* It may be gone. */
        }
    (void)close(fd); /* It was only read. */
}

/*
 * Shares our memory until it is another program; so it only calls the kernel. A sanitizer's own
 * vfork knows no stacks of signals.
 */
static pid_t start_helper(char *const arguments[])
{
    pid_t child = GV_SANITIZED ? _Fork() : vfork();

    if (child != 0)
        return child;
#if defined(SYS_close_range)
    /* Whoever waits for the end of a connection of ours shall not wait for the helper's too. */
    (void)syscall(SYS_close_range, 3u, ~0u, 0u);
#endif
    (void)execve("/proc/self/exe", arguments, environ);
    (void)execve(program, arguments, environ);
    _exit(127);
}

/* True if it ended well, in time. It is no more, afterwards. */
static bool await_helper(pid_t child)
{
    const struct timespec pause = {0, LOOK_MS * 1000000};
    int status;

    for (unsigned waited_ms = 0; waited_ms < GV_LINES_MS; waited_ms += LOOK_MS) {
        pid_t ended = waitpid(child, &status, WNOHANG);

        if (ended == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (ended < 0 && errno != EINTR)
            return false;
        (void)nanosleep(&pause, NULL); /* Woken early, we look once more. */
    }
    (void)kill(child, SIGKILL); /* It is our child, and has not been waited for. */
    (void)waitpid(child, &status, 0);
    return false;
}

bool gv_lines_print(const struct gv_registers *at)
{
    static char numbers[N_ARGUMENTS - 1][NUMBER_BYTES];
    char *const arguments[N_ARGUMENTS + 1] = {
        (char[]){HELPER_NAME}, numbers[0], numbers[1], numbers[2], numbers[3], NULL};
    pid_t child;

    if (!installed)
        return false;
    print_hex(numbers[0], (uint64_t)getpid());
    print_hex(numbers[1], at->pc);
    print_hex(numbers[2], at->sp);
    print_hex(numbers[3], at->fp);
#if defined(PR_SET_PTRACER)
    /* Else a child may not read our memory everywhere. */
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
    child = start_helper(arguments);
    return child > 0 && await_helper(child);
}

/* --- installation ----------------------------------------------------------------------------- */

/* The first object is the program: true if this code lies in it. */
static int lies_in_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr, here = (uintptr_t)gv_lines_install;

        if (header->p_type == PT_LOAD && here >= start && here < start + header->p_memsz)
            return 1;
    }
    return -1;
}

void gv_lines_install(void)
{
    const char *wish = getenv("GROVE_FAULT");
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    /* What is loaded with the program can be seen by all; what is loaded late, as a rule, cannot. */
    installed = (wish == NULL || strcmp(wish, "raw") != 0) && n > 0
                && (dl_iterate_phdr(lies_in_program, NULL) == 1
                    || dlsym(RTLD_DEFAULT, "grove_init_with") != NULL);
}

/* --- the helper ------------------------------------------------------------------------------- */

static void print_frames(const uintptr_t *frames, unsigned n)
{
    char name[512];

    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; gv_host_name(frames[i], i == 0, k, name, sizeof name); k++)
            (void)fprintf(stderr, "  %s %s\n", i == 0 && k == 0 ? "at  " : "from", name);
}

/* Before main, and before the program's own constructors. */
__attribute__((constructor(101))) static void help(int argc, char **argv)
{
    uintptr_t frames[GV_FRAMES_MAX];
    struct gv_registers at;
    sigset_t none;
    unsigned n;

    if (argc != N_ARGUMENTS || strcmp(argv[0], HELPER_NAME) != 0 || getauxval(AT_SECURE) != 0)
        return;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* We came out of a signal handler. */
    at.pc = (uintptr_t)strtoull(argv[2], NULL, 16);
    at.sp = (uintptr_t)strtoull(argv[3], NULL, 16);
    at.fp = (uintptr_t)strtoull(argv[4], NULL, 16);
    if (!gv_host_look_into((pid_t)strtol(argv[1], NULL, 16)))
        _exit(1);
    n = gv_host_walk(at, frames);
    print_frames(frames, n);
    _exit(0);
}
