#include "runtime/leave.h"

#include <assert.h>

#include "runtime/assert.h"
#include "runtime/switch.h"

#if GV_ASAN
#    include <sanitizer/asan_interface.h>
#endif

#if !defined(__x86_64__) && !defined(__aarch64__)

bool gv_leave_find(const void *local, struct gv_leave *leave)
{
    (void)local;
    (void)leave;
    return false;
}

void gv_leave_to(const struct gv_leave *leave, int result)
{
    (void)leave;
    (void)result;
    gv_assert(false);
    __builtin_unreachable();
}

#else

#    include <unwind.h>

/* What a function leaves as it was for its caller, by the numbers of call frame information. */
static const uint8_t numbers[] = {
#    ifdef __x86_64__
    3, 6, 12, 13, 14, 15, /* rbx, rbp, r12 … */
#    else
    19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, /* x19 …, the frame pointer */
    72, 73, 74, 75, 76, 77, 78, 79,             /* d8 … */
#    endif
};

static_assert(sizeof numbers <= GV_LEAVE_KEPT, "there is room for all");

struct search {
    uintptr_t local;
    struct gv_leave *leave; /* as of the frame last seen */
    bool found;
};

/* Of each frame, from the innermost on: where its callee returns to, and what it finds there. */
static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *argument)
{
    struct search *search = argument;
    uintptr_t sp = _Unwind_GetCFA(context);

    if (sp > search->local) {
        search->found = search->leave->pc != 0; /* The one before had it. */
        return _URC_END_OF_STACK;
    }
    search->leave->pc = _Unwind_GetIP(context);
    search->leave->sp = sp;
    for (unsigned i = 0; i < sizeof numbers; i++)
        search->leave->kept[i] = _Unwind_GetGR(context, numbers[i]);
    return _URC_NO_REASON;
}

bool gv_leave_find(const void *local, struct gv_leave *leave)
{
    struct search search = {(uintptr_t)local, leave, false};

    leave->pc = 0;
    (void)_Unwind_Backtrace(look, &search); /* Why it ended is of no matter. */
    return search.found;
}

void gv_leave_to(const struct gv_leave *leave, int result)
{
    uintptr_t code = (uintptr_t)(intptr_t)result;

#    if GV_ASAN
    __asan_handle_no_return();
#    endif
#    ifdef __x86_64__
    __asm__ volatile("movq 16(%0), %%rbx\n\t"
                     "movq 24(%0), %%rbp\n\t"
                     "movq 32(%0), %%r12\n\t"
                     "movq 40(%0), %%r13\n\t"
                     "movq 48(%0), %%r14\n\t"
                     "movq 56(%0), %%r15\n\t"
                     "movq 0(%0), %%rcx\n\t"
                     "movq 8(%0), %%rsp\n\t"
                     "pushq %%rcx\n\t"
                     "retq\n\t" /* Where a jump may land is not marked there; a return may. */
                     :
                     : "d"(leave), "a"(code)
                     : "rcx", "memory");
#    else
    register const struct gv_leave *from __asm__("x9") = leave;
    register uintptr_t first __asm__("x0") = code;

    __asm__ volatile("ldp x19, x20, [%0, #16]\n\t"
                     "ldp x21, x22, [%0, #32]\n\t"
                     "ldp x23, x24, [%0, #48]\n\t"
                     "ldp x25, x26, [%0, #64]\n\t"
                     "ldp x27, x28, [%0, #80]\n\t"
                     "ldr x29, [%0, #96]\n\t"
                     "ldp d8, d9, [%0, #104]\n\t"
                     "ldp d10, d11, [%0, #120]\n\t"
                     "ldp d12, d13, [%0, #136]\n\t"
                     "ldp d14, d15, [%0, #152]\n\t"
                     "ldp x16, x17, [%0]\n\t"
                     "mov sp, x17\n\t"
                     "ret x16\n\t"
                     :
                     : "r"(from), "r"(first)
                     : "x16", "x17", "memory");
#    endif
    __builtin_unreachable();
}

#endif
