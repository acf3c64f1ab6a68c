/*
 * Switch: leave one stack, go on in another.
 *
 * A context is {pc, sp, fp} of a stack that is switched out. gv_switch saves
 * the running one in `from` and jumps to `to`. It is inline assembly with
 * clobbers and an indirect jump: a call and a return into another stack
 * would mispredict (12 ns instead of 1). Everything but the stack pointer
 * and the frame pointer is clobbered, so the compiler saves just what it
 * needs. Nothing is pushed, so a red zone stays whole. Floating-point
 * control words are not switched: the rounding mode is one for the process.
 *
 * x86-64 and aarch64 have assembly here; elsewhere, and with
 * -Dswitch=portable, ucontext does it, slower. Address and thread
 * sanitizers are told of each switch where they are built in; valgrind gets
 * to know the stacks (stack.c).
 *
 * A context belongs to one thread for life: a greenlet never moves, so the
 * address of a thread-local variable stays right across a switch. Its value
 * does not: others ran meanwhile. Read `current` things again.
 *
 * Always: a context is switched to at most once for each time it was left.
 */
#ifndef GV_SWITCH_H
#define GV_SWITCH_H

#include <stddef.h>

#include "runtime/sanitize.h"

#if !defined(GV_SWITCH_PORTABLE) && !defined(__x86_64__) && !defined(__aarch64__)
#    define GV_SWITCH_PORTABLE 1
#endif

#if GV_ASAN
#    include <sanitizer/common_interface_defs.h>
#endif
#if GV_TSAN
#    include <sanitizer/tsan_interface.h>
#endif
#ifdef GV_SWITCH_PORTABLE
#    include <ucontext.h>
#endif

struct gv_context {
    void *pc, *sp, *fp; /* while switched out; debuggers read them here. Portable: NULL */
#if GV_SANITIZED || defined(GV_SWITCH_PORTABLE)
    void (*entry)(void *); /* NULL: a thread's own stack */
    void *argument;
#endif
#if GV_ASAN
    void *low; /* of its stack; a thread's own is learnt at the first switch away from it */
    size_t bytes;
    void *fake; /* the sanitizer's stack for locals */
#endif
#if GV_TSAN
    void *fiber;
#endif
#ifdef GV_SWITCH_PORTABLE
    ucontext_t ucontext;
#endif
};

/* Makes a context of the calling thread's own stack, to be left by gv_switch first. */
void gv_context_main(struct gv_context *context);

/*
 * Prepares a context that runs entry(argument) on the memory low … low +
 * bytes when it is switched to. entry must never return. The context must
 * be zeroed before it is made for the first time; making it again forgets
 * what ran there.
 */
void gv_context_make(struct gv_context *context, void *low, size_t bytes, void (*entry)(void *),
                     void *argument);

/* Frees what sanitizers keep for it. Not for the running one. Its memory is the caller's. */
void gv_context_free(struct gv_context *context);

/* --- the bare switch ------------------------------------------------------------------------ */

#if !defined(GV_SWITCH_PORTABLE) && defined(__x86_64__)

#    if defined(__CET__) && (__CET__ & 1)
#        define GV_SWITCH_LANDING "endbr64\n\t"
#    else
#        define GV_SWITCH_LANDING
#    endif

#    ifdef __AVX512F__
#        define GV_SWITCH_WIDE                                                                   \
            , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",   \
                "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", \
                "k3", "k4", "k5", "k6", "k7"
#    else
#        define GV_SWITCH_WIDE
#    endif

/* A clobbered xmm register stands for its ymm and zmm forms too. */
static inline __attribute__((always_inline)) void gv_switch_bare(struct gv_context *from,
                                                                 struct gv_context *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 0(%0)\n\t"
                     "movq %%rsp, 8(%0)\n\t"
                     "movq %%rbp, 16(%0)\n\t"
                     "movq 8(%1), %%rsp\n\t"
                     "movq 16(%1), %%rbp\n\t"
                     "jmpq *0(%1)\n"
                     "1:\n\t" GV_SWITCH_LANDING
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory",
                       "cc" GV_SWITCH_WIDE);
}

#elif !defined(GV_SWITCH_PORTABLE)

#    ifdef __ARM_FEATURE_BTI_DEFAULT
#        define GV_SWITCH_LANDING "hint #36\n\t" /* bti j */
#    else
#        define GV_SWITCH_LANDING
#    endif

/* x18 belongs to the system on some platforms and is a scratch register on Linux. */
#    if defined(__APPLE__) || defined(__ANDROID__)
#        define GV_SWITCH_X18
#    else
#        define GV_SWITCH_X18 , "x18"
#    endif

#    ifdef __ARM_FEATURE_SVE
#        define GV_SWITCH_WIDE                                                                 \
            , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", \
                "p13", "p14", "p15"
#    else
#        define GV_SWITCH_WIDE
#    endif

static inline __attribute__((always_inline)) void gv_switch_bare(struct gv_context *from,
                                                                 struct gv_context *to)
{
    register struct gv_context *source __asm__("x0") = from;
    register struct gv_context *target __asm__("x1") = to;

    __asm__ volatile("adr x16, 1f\n\t"
                     "mov x17, sp\n\t"
                     "stp x16, x17, [%0]\n\t"
                     "str x29, [%0, #16]\n\t"
                     "ldp x16, x17, [%1]\n\t"
                     "ldr x29, [%1, #16]\n\t"
                     "mov sp, x17\n\t"
                     "br x16\n"
                     "1:\n\t" GV_SWITCH_LANDING
                     : "+r"(source), "+r"(target)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25",
                       "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",
                       "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
                       "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
                       "v30", "v31", "memory", "cc" GV_SWITCH_X18 GV_SWITCH_WIDE);
}

#endif

/*
 * The same out of line, for sanitizers and ucontext: an instrumented frame
 * may be addressed through a register that the clobbers forbid.
 */
void gv_switch_apart(struct gv_context *from, struct gv_context *to);

/* --- the switch with all it has to tell ----------------------------------------------------- */

/* What address sanitizer wants to know before and after; dying: `from` is never resumed. */
void gv_switch_announce(struct gv_context *from, struct gv_context *to, int dying);
void gv_switch_arrive(struct gv_context *self);

/*
 * Leaves the running stack, whose state goes to `from`, and goes on in `to`.
 * Returns when somebody switches back to `from`.
 */
static inline __attribute__((always_inline)) void gv_switch(struct gv_context *from,
                                                            struct gv_context *to)
{
#if GV_TSAN
    /* Not in a function of its own: its entry and exit would count on two different fibers. */
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
#if GV_ASAN
    gv_switch_announce(from, to, 0);
    gv_switch_apart(from, to);
    gv_switch_arrive(from);
#elif GV_TSAN || defined(GV_SWITCH_PORTABLE)
    gv_switch_apart(from, to);
#else
    gv_switch_bare(from, to);
#endif
}

/* Goes on in `to` for good: the stack of `from` may be reused from now on. Does not return. */
static inline __attribute__((always_inline, noreturn)) void gv_switch_last(struct gv_context *from,
                                                                           struct gv_context *to)
{
#if GV_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
#if GV_ASAN
    gv_switch_announce(from, to, 1);
#endif
#if GV_SANITIZED || defined(GV_SWITCH_PORTABLE)
    gv_switch_apart(from, to);
#else
    gv_switch_bare(from, to);
#endif
    __builtin_unreachable();
}

#endif
