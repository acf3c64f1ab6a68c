#include "actors/fault.h"

#include <stdio.h>

#include <grove/method.h>

#include "runtime/loop.h"

/* snprintf with these formats takes no lock and no memory in glibc. */
static size_t add(char *text, size_t room, size_t used, const char *format, const char *a,
                  const char *b)
{
    int n = used < room ? snprintf(text + used, room - used, format, a, b) : 0;

    return n > 0 && used + (size_t)n < room ? used + (size_t)n : used;
}

static void describe(const struct gv_task *task, char *name, size_t room)
{
    if (task != NULL)
        task->class->describe(task, name, room);
    else
        (void)snprintf(name, room, "main"); /* It fits. */
}

size_t gv_fault_who(const void *address, const void *sp, char *text, size_t room)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct gv_stack *stack = NULL;
    char name[64];
    size_t used = 0;

    (void)sp;
    if (turn != NULL) {
        describe(turn->task, name, sizeof name);
        used = add(text, room, used, "in %s while handling %s\n", name,
                   turn->method != NULL ? turn->method->name : "no message");
    }
    if (loop != NULL && address != NULL && gv_stacks_guard_hit(&loop->stacks, address, &stack)) {
        describe(stack->owner, name, sizeof name);
        used = add(
            text, room, used,
            "STACK OVERFLOW of %s: keep large data in grove_alloc or the state, recurse less, or do this work in "
            "a WORKER rpc%s\n",
            name, "");
    }
    return used;
}
