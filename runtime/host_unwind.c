/*
 * Where a thread stands, from its registers and its stack.
 *
 * Each step to the caller takes the best that is known:
 *
 *     call frame information   of the C library and what is compiled without
 *                              frame pointers; needs sp, sometimes fp
 *     the frame pointer        where it is known and points to a frame
 *     a search                 upwards from sp for the first pair {frame
 *                              pointer, return address} that a frame could
 *                              have pushed: the kernel tells a blocked
 *                              thread's sp and pc, but not its fp
 *
 * An address counts as one to return to only if the instruction before it is
 * a call. A pair that an earlier call left behind in the locals of a
 * function leads back into that same function and is passed over.
 */
#include <string.h>

#include "runtime/host_monitor.h"

#define WORD         sizeof(uintptr_t)
#define SEARCH_BYTES 8192u
#define FRAME_MAX    1048576u /* from one frame to the next */

/* What the signal handler copied, while a running thread is walked. One thread is in here. */
static const struct gv_sample *copied;

static bool read_word(uintptr_t address, uintptr_t *word)
{
    if (address % WORD != 0)
        return false;
    if (copied != NULL && address >= copied->at.sp
        && address - copied->at.sp + WORD <= copied->n_bytes) {
        memcpy(word, copied->bytes + (address - copied->at.sp), WORD);
        return true;
    }
    return gv_host_read(address, word, WORD) == WORD;
}

/* True if the instruction before is a call. */
static bool is_return_address(uintptr_t address)
{
#if defined(__x86_64__)
    unsigned char code[8];

    if (address < 4096 || gv_host_read(address - sizeof code, code, sizeof code) != sizeof code)
        return false;
    if (code[3] == 0xe8)
        return true;
    /* ff /2 by a register or memory, two to seven bytes long. */
    for (unsigned i = 1; i <= 6; i++)
        if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
            return true;
    return false;
#elif defined(__aarch64__)
    uint32_t code;

    if (address < 4096 || gv_host_read(address - 4, &code, 4) != 4)
        return false;
    return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000;
#else
    return address > 4096;
#endif
}

/* The pair that a frame whose frame pointer is fp has pushed. */
static bool read_pair(uintptr_t fp, struct gv_registers *caller)
{
    if (!read_word(fp, &caller->fp) || !read_word(fp + WORD, &caller->pc))
        return false;
    caller->sp = fp + 2 * WORD;
    return is_return_address(caller->pc);
}

static bool by_frame_pointer(const struct gv_registers *frame, struct gv_registers *caller)
{
    return frame->fp >= frame->sp && frame->fp - frame->sp < FRAME_MAX && frame->fp % WORD == 0
           && read_pair(frame->fp, caller);
}

static bool by_search(const struct gv_registers *frame, struct gv_registers *caller)
{
    uintptr_t entry = gv_host_entry(frame->pc - 1);

    for (uintptr_t at = frame->sp; at < frame->sp + SEARCH_BYTES; at += WORD) {
        uintptr_t word;

        if (!read_word(at, &word))
            return false;
        if (word <= at || word - at > FRAME_MAX || word % WORD != 0 || !read_pair(at, caller))
            continue;
        if (entry == 0 || gv_host_entry(caller->pc - 1) != entry)
            return true;
    }
    return false;
}

unsigned gv_host_walk(struct gv_registers at, uintptr_t frames[GV_FRAMES_MAX])
{
    struct gv_registers caller;
    unsigned n = 0;

    while (n < GV_FRAMES_MAX && at.pc != 0) {
        frames[n++] = at.pc;
        caller = (struct gv_registers){0, 0, 0};
        if (!gv_host_unwind_step(&at, n == 1, read_word, &caller) && !by_frame_pointer(&at, &caller)
            && !by_search(&at, &caller))
            break;
        /* Callers lie higher. */
        if (caller.sp <= at.sp)
            break;
        at = caller;
    }
    return n;
}

unsigned gv_host_frames(struct gv_thread *thread, const struct gv_look *look,
                        uintptr_t frames[GV_FRAMES_MAX])
{
    struct gv_registers at = {look->pc, look->sp, 0};
    unsigned n;

    copied = NULL;
    if (look->sp == 0) {
        if (!gv_host_thread_sample(thread))
            return 0;
        copied = &thread->sample;
        at = copied->at;
    }
    n = gv_host_walk(at, frames);
    copied = NULL;
    return n;
}
