#include "actors/fault.h"

#include <stdio.h>

#include <grove/method.h>

#include "runtime/loop.h"

#define NEAR_BYTES 4096u /* of the stack pointer, where else memory always is */

/* Text that grows in the caller's room. */
struct text {
    char *start;
    size_t room, used;
};

/* snprintf with these formats takes no lock and no memory in glibc. */
static void add(struct text *text, const char *format, const char *a, const char *b)
{
    size_t left = text->room - text->used;
    int n = snprintf(text->start + text->used, left, format, a, b);

    if (n > 0 && (size_t)n < left)
        text->used += (size_t)n;
}

static void describe(const struct gv_task *task, char *name, size_t room)
{
    if (task != NULL)
        task->class->describe(task, name, room);
    else
        (void)snprintf(name, room, "main"); /* It fits. */
}

/* main's stack has no guard of ours, and handlers that it calls inline run there too. */
static bool is_below_main(const struct gv_loop *loop, const void *address, const void *sp)
{
    uintptr_t at = (uintptr_t)address, low = (uintptr_t)sp;

    return loop->stack == NULL && at + NEAR_BYTES >= low && at < low + NEAR_BYTES;
}

size_t gv_fault_who(const void *address, const void *sp, char *start, size_t room)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct text text = {start, room, 0};
    struct gv_stack *stack = NULL;
    char name[64];

    if (turn != NULL) {
        describe(turn->task, name, sizeof name);
        /* Outside of any task only a worker process has a method. */
        if (turn->task == NULL && turn->method != NULL)
            (void)snprintf(name, sizeof name, "a worker process"); /* It fits. */
        add(&text, "in %s while handling %s\n", name,
            turn->method != NULL ? turn->method->name : "no message");
    }
    if (loop != NULL && address != NULL
        && (gv_stacks_guard_hit(&loop->stacks, address, &stack)
            || is_below_main(loop, address, sp))) {
        describe(turn != NULL ? turn->task : NULL, name, sizeof name);
        add(&text,
            "STACK OVERFLOW of %s: keep large data in grove_alloc or the state, recurse less, or do "
            "this work in a WORKER rpc%s\n",
            name, "");
    }
    return text.used;
}
