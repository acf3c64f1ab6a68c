/*
 * A program that breaks in the handler of an actor, in the way that its
 * argument names.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/assert.h"
#include "stage.h"

static int *volatile nobody;

__attribute__((noinline)) static int descend(volatile int depth)
{
    volatile char frame[1000];

    frame[0] = (char)depth;
    return depth == 0 ? 0 : descend(depth + 1) + frame[0];
}

static int overflow(struct play *me, struct script *script)
{
    (void)me;
    (void)grove_sleep_await(1); /* Who awaits has a greenlet's stack from here on. */
    return script->rc = descend(1);
}

static int overflow_at_once(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = descend(1);
}

__attribute__((no_sanitize("undefined"))) static int write_wildly(struct play *me,
                                                                  struct script *script)
{
    (void)me;
    (void)script;
    *nobody = 1;
    return 0;
}

static int fail_assertion(struct play *me, struct script *script)
{
    (void)me;
    gv_assert(script->number == 4711);
    return 0;
}

/* Counted behind a call, so that the compiler leaves our frame below it. */
static volatile unsigned n_calls;

static int give_up(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    abort();
    return (int)n_calls++;
}

int main(int argc, char **argv)
{
    struct script script = {.act = fail_assertion};

    if (argc == 2 && strcmp(argv[1], "overflow") == 0)
        script.act = overflow;
    else if (argc == 2 && strcmp(argv[1], "overflow of main") == 0)
        script.act = overflow_at_once;
    else if (argc == 2 && strcmp(argv[1], "abort") == 0)
        script.act = give_up;
    else if (argc == 2 && strcmp(argv[1], "wild") == 0)
        script.act = write_wildly;
    if (grove_init(&argc, &argv) != 0)
        return 2;
    if (script.act == overflow_at_once)
        (void)grove_yield_await(); /* Before its first wait main calls nobody inline. */
    (void)stage_perform(stage_spawn("clumsy"), &script); /* It does not return. */
    return 3;
}
