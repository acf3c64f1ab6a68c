/*
 * Stalls: turns that held up their loop, named while they do.
 *
 * While a handler runs, every other actor of its loop waits. So a thread of
 * grove's looks at the loops some 160 times a second, and reports a turn that
 * has gone on for stall_ms (25 ms) without awaiting, before it is twice as
 * old: who, in which method, of which message, where in the code, and why:
 *
 *     on CPU    it computes: that is work for a WORKER rpc
 *     blocked   it waits in a system call instead of an _await
 *     disk      so too, for a disk
 *     starved   other processes have the CPU: nothing is wrong with it
 *
 * Also reported are init and deinit, greenlets, and what runs between turns.
 * main is, if somebody waits on loop 0 meanwhile. A turn that awaits is no
 * stall, however long; nor is a process that a debugger or SIGSTOP has
 * stopped, nor one whose whole machine stood still.
 *
 *     GROVE_STALL=warn   a report on standard error (the default)
 *     GROVE_STALL=fail   the report, then exit status 70 at once: for tests.
 *                        Not for starved ones; buffered output is lost
 *     GROVE_STALL=off    nobody looks. The default under valgrind and the
 *                        sanitizers, where everything takes long
 *     GROVE_STALL_MS=25  when a turn is a stall
 *     GROVE_STALL_REPORTS=5  a minute; the others are counted and kept
 *
 * Where a thread runs when it is looked at, it is sent signal SIGRTMAX-2 (62),
 * which interrupts no system call for long; if the program handles that
 * signal itself, such reports have no stack. A blocked thread gets none.
 *
 * All of this may be called from any thread, and suspends never.
 */
#ifndef GROVE_STALL_H
#define GROVE_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/export.h>

enum grove_stall_kind {
    GROVE_STALL_ON_CPU = 1,
    GROVE_STALL_BLOCKED = 2,
    GROVE_STALL_DISK = 3,
    GROVE_STALL_STARVED = 4,
};

#define GROVE_STALL_KINDS 5 /* for arrays by kind */

/* What is known of one. Texts are "" where nothing is. */
struct grove_stall {
    uint64_t number;            /* 1 for the first one of this process */
    uint64_t began_ns;          /* on the clock of grove_now_ns; up to stall_ms / 4 late */
    uint64_t reported_ns;       /* on the same clock, when that was known */
    uint64_t took_ns;           /* so far, if it is not over */
    enum grove_stall_kind kind; /* a longer look may change it until it is over */
    bool over;
    unsigned loop;
    uint32_t on_cpu_permille, queued_permille, blocked_permille; /* of the time looked at */
    char actor[64];      /* "account/anna", "greenlet/tick", "main", "loop 1" between turns */
    char method[128];    /* "bank.v1.AccountService/Withdraw", "init" */
    char message[128];   /* "bank.v1.WithdrawRequest" */
    char waits_for[192]; /* "nanosleep for 100 ms", "read of /var/log/all" */
    char where[192];     /* "withdraw at teller.c:88": the innermost that is not of a library */
    char advice[384];
};

/*
 * Copies the stalls with numbers above `after`, oldest first, at most n_max
 * of them; the last 64 are kept. Returns how many it copied.
 */
GROVE_API unsigned grove_stalls(uint64_t after, struct grove_stall *stalls, unsigned n_max);

/*
 * Writes the whole report of a stall into text, at most room bytes with the
 * NUL; 4096 hold any. Returns 0, or GROVE_EUSAGE if it is not kept any more.
 */
GROVE_API int grove_stall_text(uint64_t number, char *text, size_t room);

struct grove_stall_counts {
    uint64_t n_stalls;
    uint64_t n_reported;                 /* written out; the others were over the limit */
    uint64_t n_kind[GROVE_STALL_KINDS];  /* by enum grove_stall_kind */
    uint64_t took_ns[GROVE_STALL_KINDS]; /* of those that are over */
};

/* What has been counted since the process began. */
GROVE_API void grove_stall_count(struct grove_stall_counts *counts);

#endif
