/*
 * The reporter of memory faults. See host_fault.h.
 *
 * All of it runs in a signal handler of a process that is broken, so it
 * calls the kernel and nothing else. Frames are read by process_vm_readv,
 * which answers EFAULT where a plain read of a wild frame pointer would
 * fault again. What addresses mean is looked up at installation: an offset
 * into a named object is what addr2line takes.
 */
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host_fault.h"
#include "runtime/host_lines.h"
#include "runtime/sanitize.h"

enum { SIGNAL_STACK_BYTES = 65536, N_FRAMES_MAX = 64, N_OBJECTS_MAX = 64, REPORT_BYTES_MAX = 8192 };

gv_fault_describe_fn gv_fault_describe;

/* What lay where when we were installed. */
static struct {
    const char *name;
    uintptr_t base;
    uintptr_t end;
} objects[N_OBJECTS_MAX];
static unsigned n_objects;

static bool enabled; /* written once, before there are other threads */
static __thread void *signal_stack;

/* --- text without libc ---------------------------------------------------------------------- */

struct report {
    size_t n;
    char text[REPORT_BYTES_MAX];
};

static void put(struct report *report, const char *text)
{
    while (*text != '\0' && report->n < sizeof(report->text))
        report->text[report->n++] = *text++;
}

static void put_number(struct report *report, uint64_t number, unsigned base)
{
    char digits[24];
    unsigned i = sizeof(digits);

    digits[--i] = '\0';
    do {
        digits[--i] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    put(report, digits + i);
}

static void put_address(struct report *report, uintptr_t address)
{
    put(report, "0x");
    put_number(report, address, 16);
    for (unsigned i = 0; i < n_objects; i++) {
        if (address < objects[i].base || address >= objects[i].end)
            continue;
        put(report, " ");
        put(report, objects[i].name);
        put(report, "+0x");
        put_number(report, address - objects[i].base, 16);
        return;
    }
}

static void flush(struct report *report)
{
    size_t done = 0;

    while (done < report->n) {
        ssize_t n = write(STDERR_FILENO, report->text + done, report->n - done);

        if (n < 0 && errno != EINTR)
            break;
        if (n > 0)
            done += (size_t)n;
    }
    report->n = 0;
}

/* --- the report ----------------------------------------------------------------------------- */

static const char *name_of(int signal_number)
{
    switch (signal_number) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGABRT:
        return "SIGABRT";
    default:
        return "SIGILL";
    }
}

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

static bool read_frame(uintptr_t fp, uintptr_t frame[2])
{
    struct iovec ours = {frame, 2 * sizeof(*frame)};
    struct iovec theirs = {(void *)fp, 2 * sizeof(*frame)};

    return process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0) == (ssize_t)ours.iov_len;
}

static void put_frames(struct report *report, struct gv_registers at)
{
    uintptr_t frame[2]; /* the frame of the caller, the address to return to */

    for (unsigned i = 0; i < N_FRAMES_MAX && at.fp != 0 && at.fp % sizeof(at.fp) == 0; i++) {
        if (!read_frame(at.fp, frame) || frame[1] == 0)
            return;
        put(report, "  from ");
        put_address(report, frame[1]);
        put(report, "\n");
        if (frame[0] <= at.fp) /* callers lie higher: this is the end, or it is no frame */
            return;
        at.fp = frame[0];
    }
}

static void hold(int unused)
{
    (void)unused;
    for (;;)
        (void)pause();
}

/*
 * From here on the calling thread alone goes on. Whoever breaks too waits
 * for the end that its report brings; the others are made to break, so that
 * nothing is done by a process that cannot be trusted any more.
 */
static void take_the_word(void)
{
    static volatile int reporting;
    struct sigaction action = {.sa_handler = hold, .sa_flags = SA_ONSTACK};

    while (__sync_lock_test_and_set(&reporting, 1))
        (void)pause();
    /* Blocked for us: a fault of ours ends the process. The program may have set a handler of its own. */
    (void)sigfillset(&action.sa_mask);
    (void)pthread_sigmask(SIG_SETMASK, &action.sa_mask, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    gv_lines_stop_others(SIGSEGV);
}

void gv_fault_last_words(const void *frame)
{
    const uintptr_t *pair = frame; /* the frame of the caller, the address to return to */
    struct gv_registers at = {pair[1] - 1, (uintptr_t)(pair + 2), pair[0]};

    if (!enabled)
        return;
    (void)signal(SIGABRT, SIG_DFL); /* It is told already. */
    take_the_word();
    (void)gv_lines_print(&at);
}

/* On the signal stack there is no room to waste, and one report is all there will be. */
static struct report the_report;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    struct gv_registers at = registers_of(context);
    const void *address = signal_number != SIGABRT ? info->si_addr : NULL;

    take_the_word();
    put(&the_report, "grove: ");
    put(&the_report, name_of(signal_number));
    if (signal_number != SIGABRT) {
        put(&the_report, " at address 0x");
        put_number(&the_report, (uintptr_t)address, 16);
    }
    put(&the_report, ", pc ");
    put_address(&the_report, at.pc);
    put(&the_report, ", sp 0x");
    put_number(&the_report, at.sp, 16);
    put(&the_report,
        signal_number != SIGABRT && info->si_code <= 0 ? ", sent by a process\n" : "\n");
    flush(&the_report); /* what follows may fault again, and then this much is known */

    if (gv_fault_describe != NULL) {
        size_t n = gv_fault_describe(address, (const void *)at.sp, the_report.text,
                                     sizeof(the_report.text));

        the_report.n = n < sizeof(the_report.text) ? n : sizeof(the_report.text);
        flush(&the_report);
    }
    put_frames(&the_report, at);
    flush(&the_report);
    (void)gv_lines_print(&at); /* What is above says the same to a debugger. */

    /* It is blocked in here, and takes effect when we return. */
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* --- installation --------------------------------------------------------------------------- */

static int note_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    static char program[4096];
    uintptr_t end = 0;

    (void)size;
    (void)unused;
    if (n_objects == N_OBJECTS_MAX)
        return 1;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_LOAD && header->p_vaddr + header->p_memsz > end)
            end = header->p_vaddr + header->p_memsz;
    }

    objects[n_objects].name = info->dlpi_name;
    objects[n_objects].base = info->dlpi_addr;
    objects[n_objects].end = info->dlpi_addr + end;
    if (n_objects == 0 && info->dlpi_name[0] == '\0') {
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

        objects[0].name = n > 0 ? program : "program";
    }
    n_objects++;
    return 0;
}

static void install(void)
{
    static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    const char *wish = getenv("GROVE_FAULT");
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

    enabled = wish != NULL && strcmp(wish, "raw") != 0 ? strcmp(wish, "1") == 0 : !GV_SANITIZED;
    if (!enabled)
        return;

    (void)dl_iterate_phdr(note_object, NULL);
    gv_lines_install();
    action.sa_sigaction = on_fault;
    gv_assert(sigfillset(&action.sa_mask) == 0);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        gv_assert(sigaction(caught[i], &action, NULL) == 0);
}

void gv_fault_install(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    gv_assert(pthread_once(&once, install) == 0);
    gv_fault_stack_open();
}

void gv_fault_stack_open(void)
{
    stack_t stack = {.ss_size = SIGNAL_STACK_BYTES};

    if (!enabled || signal_stack != NULL)
        return;
    stack.ss_sp =
        mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED)
        return; /* a fault will end the process without a report: no reason not to run */
    gv_assert(sigaltstack(&stack, NULL) == 0);
    signal_stack = stack.ss_sp;
}

void gv_fault_stack_close(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    if (signal_stack == NULL)
        return;
    gv_assert(sigaltstack(&none, NULL) == 0);
    gv_assert(munmap(signal_stack, SIGNAL_STACK_BYTES) == 0);
    signal_stack = NULL;
}
