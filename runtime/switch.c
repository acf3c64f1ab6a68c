/*
 * Switch: where a new stack begins, and what sanitizers are told.
 *
 * A fresh context points at gv_context_start, below whose frame lie the
 * entry function and its argument. The start marks the return address as
 * undefined, so that every unwinder stops there.
 */
#include "runtime/switch.h"

#include <stdint.h>

#if GV_ASAN
#    include <sanitizer/asan_interface.h>
#endif

#include "runtime/assert.h"

/* gcc calls it no_sanitize_…, and a frame without instrumentation needs it under both. */
#ifdef __clang__
#    define PLAIN __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#    define PLAIN __attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#endif

/* --- address sanitizer ---------------------------------------------------------------------- */

#if GV_ASAN

/* Whom this thread has just left: the next stack to run learns its bounds. */
static _Thread_local struct gv_context *left;

void gv_switch_announce(struct gv_context *from, struct gv_context *to, int dying)
{
    left = from;
    /* NULL makes the sanitizer free the locals' stack of one that ends. */
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->low, to->bytes);
}

void gv_switch_arrive(struct gv_context *self)
{
    const void *low;
    size_t bytes;

    __sanitizer_finish_switch_fiber(self->fake, &low, &bytes);
    if (left->low == NULL) {
        left->low = (void *)(uintptr_t)low;
        left->bytes = bytes;
    }
}

#endif

/* --- where a stack begins ------------------------------------------------------------------- */

#if GV_ASAN || defined(GV_SWITCH_PORTABLE)
/* First function on a new stack where more must be done than to call the entry. */
static void begin(void *argument)
{
    struct gv_context *self = argument;

#    if GV_ASAN
    self->fake = NULL;
    gv_switch_arrive(self);
#    endif
    self->entry(self->argument);
}
#endif

#ifndef GV_SWITCH_PORTABLE

void gv_context_start(void);

#    ifdef __x86_64__
/* rsp is 16-byte aligned before the call, as the ABI wants it. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl gv_context_start\n"
        ".hidden gv_context_start\n"
        ".type gv_context_start, @function\n"
        "gv_context_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n"
        "    endbr64\n"
        "    movq 0(%rsp), %rax\n"
        "    movq 8(%rsp), %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    callq *%rax\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size gv_context_start, .-gv_context_start\n");
#    else
__asm__(".text\n"
        ".p2align 4\n"
        ".globl gv_context_start\n"
        ".hidden gv_context_start\n"
        ".type gv_context_start, %function\n"
        "gv_context_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n"
        "    hint #36\n"
        "    ldp x16, x0, [sp]\n"
        "    mov x29, xzr\n"
        "    mov x30, xzr\n"
        "    blr x16\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size gv_context_start, .-gv_context_start\n");
#    endif

static void prepare(struct gv_context *context, char *low, size_t bytes, void (*entry)(void *),
                    void *argument)
{
    uintptr_t top = ((uintptr_t)low + bytes) & ~(uintptr_t)15;
    uintptr_t *frame = (uintptr_t *)top - 2;

    frame[0] = (uintptr_t)entry;
    frame[1] = (uintptr_t)argument;
    context->pc = (void *)(uintptr_t)gv_context_start;
    context->sp = frame;
    context->fp = NULL;
}

PLAIN void gv_switch_apart(struct gv_context *from, struct gv_context *to)
{
    gv_switch_bare(from, to);
}

#else

/* makecontext passes ints only. */
static void begin_halves(unsigned high, unsigned low)
{
    begin((void *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void prepare(struct gv_context *context, char *low, size_t bytes)
{
    uint64_t address = (uintptr_t)context;
    int rc = getcontext(&context->ucontext);

    gv_assert(rc == 0);
    context->ucontext.uc_stack.ss_sp = low;
    context->ucontext.uc_stack.ss_size = bytes;
    context->ucontext.uc_link = NULL;
    makecontext(&context->ucontext, (void (*)(void))(uintptr_t)begin_halves, 2,
                (unsigned)(address >> 32), (unsigned)address);
}

PLAIN void gv_switch_apart(struct gv_context *from, struct gv_context *to)
{
    int rc = swapcontext(&from->ucontext, &to->ucontext);

    gv_assert(rc == 0);
}

#endif

/* --- contexts ------------------------------------------------------------------------------- */

void gv_context_main(struct gv_context *context)
{
    *context = (struct gv_context){0};
#if GV_TSAN
    context->fiber = __tsan_get_current_fiber();
#endif
}

void gv_context_make(struct gv_context *context, void *low, size_t bytes, void (*entry)(void *),
                     void *argument)
{
    gv_assert(bytes >= 1024);
    gv_assert(entry != NULL);

    /* What ran here before has left marks around its locals, and frames that never returned. */
    gv_context_free(context);
#if GV_TSAN
    context->fiber = __tsan_create_fiber(0);
#endif
#if GV_ASAN
    context->low = low;
    context->bytes = bytes;
#endif
#if GV_SANITIZED || defined(GV_SWITCH_PORTABLE)
    context->entry = entry;
    context->argument = argument;
#endif
#if defined(GV_SWITCH_PORTABLE)
    prepare(context, low, bytes);
#elif GV_ASAN
    prepare(context, low, bytes, begin, context);
#else
    prepare(context, low, bytes, entry, argument);
#endif
}

void gv_context_free(struct gv_context *context)
{
    (void)context; /* unused where no sanitizer is built in */
#if GV_SANITIZED
    /* A thread's own fiber and marks are not ours to free. */
    if (context->entry == NULL)
        return;
#endif
#if GV_ASAN
    __asan_unpoison_memory_region(context->low, context->bytes);
#endif
#if GV_TSAN
    if (context->fiber != NULL)
        __tsan_destroy_fiber(context->fiber);
    context->fiber = NULL;
#endif
}
