#include "runtime/runtime.h"

#include <string.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/options.h"
#include "runtime/sched.h"
#include "runtime/stall.h"
#include "runtime/watchdog.h"

struct gv_runtime gv_runtime;
struct gv_loop *(*gv_runtime_starter)(void);

/* Spinning takes a core; it pays only while every loop, and every worker at work, has one to itself. */
uint64_t gv_runtime_spin_ns(unsigned n_loops, unsigned n_busy)
{
    static unsigned cores;
    int64_t us = gv_option_number(GV_OPTION_SPIN_US);

    if (us >= 0)
        return (uint64_t)us * 1000;
    if (cores == 0)
        cores = gv_option_cores();
    if (n_loops + n_busy < 2 || n_loops + n_busy > cores)
        return 0;
    return n_busy > 0 ? 100000 : 50000;
}

/* What was on its way to a loop when the threads ended reaches nobody any more. */
static void discard(struct gv_loop *loop)
{
    struct gv_message *message = gv_inbox_take(&loop->inbox);

    while (message != NULL) {
        struct gv_message *next = message->next;

        gv_parcel_discard(&loop->blocks, message);
        message = next;
    }
}

static void close_loops(unsigned n_opened)
{
    for (unsigned i = 0; i < n_opened; i++)
        gv_loop_publish(gv_runtime.loops[i]);
    for (unsigned i = 0; i < n_opened; i++)
        discard(gv_runtime.loops[i]);
    /* Blocks that were on their way home are there now. */
    for (unsigned i = 0; i < n_opened; i++)
        gv_blocks_flush(&gv_runtime.loops[i]->blocks);
    for (unsigned i = 0; i < n_opened; i++) {
        gv_loop_here = gv_runtime.loops[i];
        if (gv_runtime.upcalls->loop_closing != NULL)
            gv_runtime.upcalls->loop_closing(gv_runtime.loops[i]);
    }
    for (unsigned i = 0; i < n_opened; i++)
        gv_loop_close(gv_runtime.loops[i]);
    gv_loop_here = NULL;
    gv_slots_close();
    gv_runtime.n_loops = 0;
}

/* Opens them all before any thread runs, so that each finds the others complete. */
static int open_loops(unsigned n_loops)
{
    for (unsigned i = 0; i < n_loops; i++) {
        int rc = gv_loop_open(&gv_runtime.loops[i], i);

        if (rc == 0) {
            gv_runtime.loops[i]->spin_ns = gv_runtime_spin_ns(n_loops, 0);
            gv_runtime.loops[i]->spin_pays = true;
            gv_loop_here = gv_runtime.loops[i];
            rc = gv_runtime.upcalls->loop_opened(gv_runtime.loops[i]);
            if (rc != 0)
                gv_loop_close(gv_runtime.loops[i]);
        }
        if (rc != 0) {
            close_loops(i);
            return rc;
        }
    }
    return 0;
}

static void join_threads(void)
{
    for (unsigned i = 1; i < gv_runtime.n_loops; i++)
        if (gv_runtime.loops[i]->started)
            gv_loop_quit(gv_runtime.loops[i]);
    for (unsigned i = 1; i < gv_runtime.n_loops; i++)
        if (gv_runtime.loops[i]->started)
            gv_runtime.env->thread_join(gv_runtime.loops[i]->poller);
}

int gv_runtime_open(const struct gv_env *env, const struct gv_upcalls *upcalls, unsigned n_loops)
{
    int rc;

    gv_assert(gv_runtime.n_loops == 0);
    gv_assert(n_loops >= 1 && n_loops <= GV_LOOPS_MAX);
    memset(&gv_runtime, 0, sizeof gv_runtime);
    gv_runtime.env = env;
    gv_runtime.upcalls = upcalls;
    gv_runtime.epoch_ns = env->now_ns(env->world);
    gv_runtime.usual = (struct gv_bounds){
        .depth_max = (uint32_t)gv_option_number(GV_OPTION_MAILBOX_DEPTH),
        .bytes_max_64k =
            (uint32_t)gv_task_bytes_units((uint64_t)gv_option_number(GV_OPTION_MAILBOX_BYTES)),
    };
    do
        gv_runtime.incarnation = env->random(env->world) >> (64 - GV_INCARNATION_BITS);
    while (gv_runtime.incarnation == 0);

    rc = open_loops(n_loops);
    if (rc != 0)
        return rc;
    gv_runtime.n_loops = n_loops;
    gv_stall_open();
    env->signals_block(env->world); /* The other loops' threads are born like that. */
    gv_watchdog_open();
    for (unsigned i = 1; i < n_loops; i++) {
        struct gv_loop *loop = gv_runtime.loops[i];

        rc = env->thread_start(env->world, loop->poller, gv_loop_run, loop);
        if (rc != 0) {
            gv_stall_close();
            join_threads();
            gv_watchdog_close();
            env->signals_restore(env->world);
            close_loops(n_loops);
            return rc;
        }
        loop->started = true;
    }
    gv_loop_enter(gv_runtime.loops[0]);
    gv_turn_begin(gv_loop_here, &gv_loop_here->main_turn);
    return 0;
}

void gv_runtime_close(void)
{
    struct gv_loop *first = gv_runtime.loops[0];

    gv_assert(gv_loop_here == first && first->turn == &first->main_turn);
    gv_watchdog_closing();
    gv_stall_close();
    gv_stall_leave(first);
    join_threads();
    gv_turn_end(first, &first->main_turn);
    /* A sweep for tasks, a late answer: nobody is left to take them in. */
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        gv_loop_forget(gv_runtime.loops[i]);
    gv_runtime.env->signals_restore(gv_runtime.env->world);
    close_loops(gv_runtime.n_loops);
    gv_watchdog_close();
}
