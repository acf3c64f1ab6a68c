/*
 * Monitor: a plain thread that looks at the threads of loops from outside.
 *
 * What the stall watch (stall.h) needs of the world: a thread, a clock, what
 * the kernel says of another thread, and where that one stands. Nothing in
 * here stops a thread, and only one that is on a CPU is ever sent a signal:
 * of one that is blocked the kernel tells stack pointer and program counter,
 * and its stack lies still while it is read.
 *
 * Always: memory is read through gv_monitor.read alone, which answers false
 * where a plain read would fault; so what has ended meanwhile does no harm.
 * An env without a monitor, such as the simulator's, has no stall watch.
 */
#ifndef GV_MONITOR_H
#define GV_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_FRAMES_MAX 32u
#define GV_LOOK_NONE  (-1) /* of `call`: it is in none */

struct gv_thread; /* a loop's thread, as it showed itself */

/* What the kernel said of a thread at one moment. */
struct gv_look {
    uint64_t cpu_ns;       /* on a CPU, ever */
    uint64_t queued_ns;    /* runnable without a CPU, ever; charged when it gets one */
    int64_t call;          /* number of the system call it is in, GV_LOOK_NONE */
    uint64_t arguments[6]; /* of that call */
    uintptr_t sp, pc;      /* 0 unless it is blocked */
    char state;            /* R, S, D, T, t as in proc(5); 0 if it cannot be seen */
    bool on_disk;          /* what it waits for is a disk */
    bool has_waited;       /* it runs, or could, and has waited for something since the last look */
};

struct gv_monitor {
    /* Runs run(argument) on a thread of its own; one at a time. Returns 0 or -errno. */
    int (*start)(void (*run)(void *argument), void *argument);
    /* Ends all waits, then the thread. */
    void (*join)(void);
    /* On that thread: sleeps ns. False: it shall end. */
    bool (*wait)(uint64_t ns);
    uint64_t (*now_ns)(void);

    /* The calling thread shows itself and lets itself be sampled; and takes that back. NULL: no memory. */
    struct gv_thread *(*enter)(void);
    void (*leave)(struct gv_thread *thread);

    /* True while it waits for events of the world, as an idle loop does. Costs next to nothing while it goes on. */
    bool (*polls)(struct gv_thread *thread);
    /* What the kernel says of it. */
    void (*look)(struct gv_thread *thread, struct gv_look *look);
    /* The time that a hypervisor has taken from all CPUs together, ever. */
    uint64_t (*stolen_ns)(void);
    /* A debugger holds the process, or has stopped it. */
    bool (*debugged)(void);

    /* Where it stands, innermost first, at most GV_FRAMES_MAX; how many. look is its latest one. */
    unsigned (*frames)(struct gv_thread *thread, const struct gv_look *look,
                       uintptr_t frames[GV_FRAMES_MAX]);
    /* "withdraw at teller.c:88" for function i of a frame: 0, what is inlined innermost. False: it has no more. */
    bool (*name)(uintptr_t frame, bool innermost, unsigned i, char *text, size_t room);
    /* Says that names will be asked for: the kernel may read what tells them. Costs no memory and no wait. */
    void (*prepare)(void);
    /* Where the function of a frame begins, 0 if unknown. */
    uintptr_t (*entry)(uintptr_t frame);
    /* "nanosleep for 100 ms", "read of /path": the call it is in. */
    void (*describe)(const struct gv_look *look, char *text, size_t room);

    /* Copies memory of this process. False: it is not there. */
    bool (*read)(const void *address, void *into, size_t n_bytes);
    /* Ends the process with a status, at once. */
    void (*end)(int status) __attribute__((noreturn));
};

/* The real one; host_monitor.c. */
extern const struct gv_monitor gv_host_monitor;

#endif
