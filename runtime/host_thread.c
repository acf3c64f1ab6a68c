/*
 * A loop's thread, seen by the monitor: files of /proc, its clock, and a
 * signal where it runs. See monitor.h.
 *
 * The files are opened once and read again and again. The signal is the
 * highest but two of the real-time ones (62 on Linux); if the program
 * handles it itself, we leave it alone and a running thread is reported
 * without its stack. Loops' threads alone let it in. Its handler copies
 * registers and some of the stack through the kernel, which answers where a
 * load might fault, and calls nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host_monitor.h"

#define SECOND_NS      1000000000u
#define SAMPLE_LOOK_NS 100000u
#define SAMPLE_WAIT_NS 25000000u /* one that waits for a CPU takes it when it has one */

static __thread struct gv_thread *here __attribute__((tls_model("initial-exec")));
static int sample_signal; /* 0: there is none for us */

/* --- the signal ------------------------------------------------------------------------------- */

static struct gv_registers registers_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    const greg_t *all = context->uc_mcontext.gregs;

    return (struct gv_registers){(uintptr_t)all[REG_RIP], (uintptr_t)all[REG_RSP],
                                 (uintptr_t)all[REG_RBP]};
#elif defined(__aarch64__)
    return (struct gv_registers){context->uc_mcontext.pc, context->uc_mcontext.sp,
                                 context->uc_mcontext.regs[29]};
#else
    (void)context;
    return (struct gv_registers){0, 0, 0};
#endif
}

static void on_sample(int signal_number, siginfo_t *info, void *context)
{
    struct gv_thread *thread = here;
    int saved = errno;

    (void)signal_number;
    (void)info;
    /* acquire: pairs with the release in gv_host_thread_sample. One that comes late finds nothing wanted. */
    if (thread == NULL
        || atomic_load_explicit(&thread->sample.state, memory_order_acquire) != GV_SAMPLE_WANTED)
        return;
    thread->sample.at = registers_of(context);
    thread->sample.n_bytes =
        gv_host_read(thread->sample.at.sp, thread->sample.bytes, sizeof thread->sample.bytes);
    /* release: pairs with the acquire in gv_host_thread_sample. */
    atomic_store_explicit(&thread->sample.state, GV_SAMPLE_TAKEN, memory_order_release);
    errno = saved;
}

static void install(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART}, old;
    int wanted = SIGRTMAX - 2;

    if (sigaction(wanted, NULL, &old) != 0 || old.sa_flags & SA_SIGINFO
        || old.sa_handler != SIG_DFL)
        return;
    action.sa_sigaction = on_sample;
    gv_assert(sigfillset(&action.sa_mask) == 0);
    if (sigaction(wanted, &action, NULL) == 0)
        sample_signal = wanted;
}

static void let_signal(int how)
{
    sigset_t set;

    if (sample_signal == 0)
        return;
    gv_assert(sigemptyset(&set) == 0 && sigaddset(&set, sample_signal) == 0);
    gv_assert(pthread_sigmask(how, &set, NULL) == 0);
}

bool gv_host_thread_sample(struct gv_thread *thread)
{
    const struct timespec pause = {.tv_nsec = SAMPLE_LOOK_NS};
    _Atomic int *state = &thread->sample.state;
    int wanted = GV_SAMPLE_WANTED;

    if (sample_signal == 0)
        return false;
    atomic_store_explicit(state, GV_SAMPLE_WANTED, memory_order_release);
    if (syscall(SYS_tgkill, getpid(), thread->tid, sample_signal) == 0)
        for (uint64_t waited_ns = 0; waited_ns < SAMPLE_WAIT_NS; waited_ns += SAMPLE_LOOK_NS) {
            /* acquire: pairs with the release in on_sample. */
            if (atomic_load_explicit(state, memory_order_acquire) == GV_SAMPLE_TAKEN)
                return true;
            (void)nanosleep(&pause, NULL); /* A short one only looks sooner. */
        }
    /* If it has begun to write by now, it writes into what the next sample overwrites. */
    return !atomic_compare_exchange_strong(state, &wanted, GV_SAMPLE_NONE);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static int open_of(pid_t tid, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, name); /* It fits. */
    return open(path, O_RDONLY | O_CLOEXEC);
}

struct gv_thread *gv_host_thread_enter(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct gv_thread *thread = calloc(1, sizeof *thread);

    if (thread == NULL)
        return NULL;
    gv_assert(pthread_once(&once, install) == 0);
    thread->tid = (pid_t)syscall(SYS_gettid);
    thread->stat = open_of(thread->tid, "stat");
    thread->syscall = open_of(thread->tid, "syscall");
    thread->schedstat = open_of(thread->tid, "schedstat");
    thread->status = open_of(thread->tid, "status");
    here = thread;
    let_signal(SIG_UNBLOCK);
    return thread;
}

void gv_host_thread_leave(struct gv_thread *thread)
{
    let_signal(SIG_BLOCK);
    here = NULL;
    if (thread->stat >= 0)
        (void)close(thread->stat); /* They were only read. */
    if (thread->syscall >= 0)
        (void)close(thread->syscall);
    if (thread->schedstat >= 0)
        (void)close(thread->schedstat);
    if (thread->status >= 0)
        (void)close(thread->status);
    free(thread);
}

/* --- a look ----------------------------------------------------------------------------------- */

static const char *read_again(int fd, char *text, size_t n_bytes)
{
    ssize_t n = fd >= 0 ? pread(fd, text, n_bytes - 1, 0) : 0;

    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* "running", "-1 SP PC" when it is blocked outside of any call, or "N A0 … A5 SP PC". */
static void look_at_call(const char *text, struct gv_look *look)
{
    char *rest;

    look->call = GV_LOOK_NONE;
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return;
    look->call = strtoll(text, &rest, 10);
    for (unsigned i = 0; look->call >= 0 && i < 6; i++)
        look->arguments[i] = strtoull(rest, &rest, 16);
    look->sp = strtoull(rest, &rest, 16);
    look->pc = strtoull(rest, &rest, 16);
}

/* The clock of a thread of ours by its number, as the kernel makes it; see clock_getres(2). */
static uint64_t cpu_ns_of(pid_t tid)
{
    clockid_t clock = (clockid_t)((~(unsigned)tid) << 3 | 6u);
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Who waits uses no CPU, and who has used none since it was seen waiting still waits. */
bool gv_host_thread_polls(struct gv_thread *thread)
{
    uint64_t cpu_ns = cpu_ns_of(thread->tid);
    struct gv_look look = {.call = GV_LOOK_NONE};
    char text[512];

    if (thread->polled && thread->polled_ns == cpu_ns)
        return true;
    look_at_call(read_again(thread->syscall, text, sizeof text), &look);
    thread->polled_ns = cpu_ns;
    thread->polled = gv_host_call_polls(look.call);
    return thread->polled;
}

/* How often it left its CPU of its own accord. */
static uint64_t waits_of(struct gv_thread *thread)
{
    static const char name[] = "\nvoluntary_ctxt_switches:";
    char text[4096];
    const char *line = strstr(read_again(thread->status, text, sizeof text), name);

    return line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
}

void gv_host_thread_look(struct gv_thread *thread, struct gv_look *look)
{
    char text[512];
    const char *name_end;

    *look = (struct gv_look){.call = GV_LOOK_NONE};
    name_end = strrchr(read_again(thread->stat, text, sizeof text), ')');
    if (name_end != NULL && name_end[1] == ' ')
        look->state = name_end[2];
    look_at_call(read_again(thread->syscall, text, sizeof text), look);
    /* It may have gone to sleep, or been woken, between the two. */
    if (look->state == 'S' && look->sp == 0 && thread->syscall >= 0)
        look->state = 'R';
    else if (look->state == 'R' && look->sp != 0)
        look->state = 'S';
    (void)sscanf(read_again(thread->schedstat, text, sizeof text), "%*u %" SCNu64,
                 &look->queued_ns); /* An old kernel has no such file: then it stays 0. */
    look->cpu_ns = cpu_ns_of(thread->tid);
    if (look->state == 'R') {
        uint64_t n_waits = waits_of(thread);

        look->has_waited = n_waits != thread->n_waits;
        thread->n_waits = n_waits;
    }
    look->on_disk = look->state == 'D' || gv_host_call_on_disk(look);
}
