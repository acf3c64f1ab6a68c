#include "sim/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/sanitize.h"

#if GV_ASAN
#    include <sanitizer/lsan_interface.h>
#endif

#include "runtime/loop.h"
#include "sim/process.h"
#include "sim/world.h"

#define STACK_BYTES ((size_t)512 << 10)
#define GUARD_BYTES ((size_t)4096)
#define PCT_POINTS  3u    /* change points of a seed */
#define PCT_STEPS   2000u /* among the first so many steps */
#define PCT_RUN_MAX 100u  /* steps in a row before a thread falls by itself */

static struct gv_sim_thread threads[GV_SIM_THREADS_MAX];
static struct gv_sim_thread *running;
static uint32_t n_started;

static struct {
    uint64_t points[PCT_POINTS]; /* steps at which the running thread falls */
    uint64_t lowest;             /* given to the next one that falls */
    uint32_t n_run;              /* steps that the last one has taken in a row */
} pct;

struct gv_sim_thread *gv_sim_thread_running(void)
{
    return running;
}

const char *gv_sim_thread_name(void)
{
    return running != NULL ? running->name : "";
}

/* --- who goes on ------------------------------------------------------------------------------ */

static bool can_go_on(const struct gv_sim_thread *thread)
{
    return thread->alive
           && gv_sim_process_wake_ns(thread->process, thread->wake_ns) <= gv_sim.now_ns;
}

static struct gv_sim_thread *highest(struct gv_sim_thread *const *able, uint32_t n)
{
    struct gv_sim_thread *best = able[0];

    for (uint32_t i = 1; i < n; i++)
        if (able[i]->priority > best->priority)
            best = able[i];
    pct.n_run = best == running ? pct.n_run + 1 : 0;
    for (uint32_t i = 0; i < PCT_POINTS; i++)
        if (gv_sim.n_steps == pct.points[i])
            pct.n_run = PCT_RUN_MAX;
    if (pct.n_run >= PCT_RUN_MAX) {
        best->priority = --pct.lowest;
        pct.n_run = 0;
    }
    return best;
}

static struct gv_sim_thread *choose(struct gv_sim_thread *const *able, uint32_t n)
{
    if (n == 1)
        return able[0];
    if (gv_sim.pct)
        return highest(able, n);
    return able[gv_sim_draw(GV_SIM_ORDER, n)];
}

/* Nobody can go on now: to the next moment at which somebody can. */
static void jump(void)
{
    uint64_t next_ns = GV_SIM_NEVER;

    for (uint32_t i = 0; i < GV_SIM_THREADS_MAX; i++) {
        uint64_t wake_ns;

        if (!threads[i].alive)
            continue;
        wake_ns = gv_sim_process_wake_ns(threads[i].process, threads[i].wake_ns);
        if (wake_ns < next_ns)
            next_ns = wake_ns;
    }
    if (next_ns == GV_SIM_NEVER)
        gv_sim_crash("nobody can go on: every thread waits for another one");
    gv_sim.now_ns = next_ns;
}

static struct gv_sim_thread *pick(void)
{
    for (;;) {
        struct gv_sim_thread *able[GV_SIM_THREADS_MAX], *chosen;
        uint32_t n = 0;

        for (uint32_t i = 0; i < GV_SIM_THREADS_MAX; i++)
            if (can_go_on(&threads[i]))
                able[n++] = &threads[i];
        if (n == 0) {
            jump();
            continue;
        }
        if (++gv_sim.n_steps > GV_SIM_STEPS_MAX)
            gv_sim_crash("does not end: %" PRIu64 " steps", (uint64_t)GV_SIM_STEPS_MAX);
        chosen = choose(able, n);
        if (!gv_sim_process_fated(chosen->process))
            return chosen;
        /* It was to die here instead: choose among the others. */
    }
}

/* What a child allocates may be lost with it: only the process under test must free all. */
static void watch_leaks(const struct gv_sim_thread *next)
{
#if GV_ASAN
    static bool off;
    bool is_child = next->process->parent != NULL;

    if (is_child && !off)
        __lsan_disable();
    if (!is_child && off)
        __lsan_enable();
    off = is_child;
#else
    (void)next;
#endif
}

static struct gv_sim_thread *pick_noted(void)
{
    struct gv_sim_thread *next = pick();

    watch_leaks(next);
    if (next != running)
        gv_sim_note("switch", next->number, gv_sim.n_steps);
    return next;
}

void gv_sim_thread_wait(uint64_t until_ns)
{
    struct gv_sim_thread *self = running, *next;

    self->wake_ns = until_ns;
    self->here = gv_loop_here;
    next = pick_noted();
    if (next != self) {
        running = next;
        gv_switch(&self->context, &next->context);
    }
    /* The others had the one real thread meanwhile. */
    gv_loop_here = self->here;
    self->wake_ns = 0;
}

void gv_sim_thread_wake(struct gv_sim_thread *thread, uint64_t wake_ns)
{
    if (wake_ns < thread->wake_ns)
        thread->wake_ns = wake_ns;
}

/* --- life ------------------------------------------------------------------------------------- */

void gv_sim_thread_kill(struct gv_sim_thread *thread)
{
    thread->alive = false;
    if (thread->joiner != NULL)
        gv_sim_thread_wake(thread->joiner, gv_sim.now_ns);
}

static void begin(void *argument)
{
    struct gv_sim_thread *self = argument;

    gv_loop_here = NULL;
    self->run(self->argument);
    gv_sim_note("end", self->number, 0);
    gv_sim_thread_kill(self);
    running = pick_noted();
    gv_switch_last(&self->context, &running->context);
}

static void *map_stack(void)
{
    char *low = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (low == MAP_FAILED || mprotect(low, GUARD_BYTES, PROT_NONE) != 0)
        gv_sim_crash("no memory for a simulated thread");
    return low;
}

static struct gv_sim_thread *take_place(void)
{
    /* The running one may be about to end: its place is not free before another one runs. */
    for (uint32_t i = 1; i < GV_SIM_THREADS_MAX; i++)
        if (!threads[i].alive && &threads[i] != running)
            return &threads[i];
    return NULL;
}

struct gv_sim_thread *gv_sim_thread_start(struct gv_process *process, const char *name,
                                          uint64_t wake_ns, void (*run)(void *), void *argument)
{
    struct gv_sim_thread *thread = take_place();

    if (thread == NULL)
        return NULL;
    if (thread->stack == NULL)
        thread->stack = map_stack();
    gv_context_make(&thread->context, (char *)thread->stack + GUARD_BYTES,
                    STACK_BYTES - GUARD_BYTES, begin, thread);
    thread->process = process;
    thread->here = NULL;
    thread->run = run;
    thread->argument = argument;
    thread->joiner = NULL;
    thread->wake_ns = wake_ns;
    thread->priority =
        gv_sim_random(GV_SIM_ORDER) | UINT64_C(1) << 63; /* above all that have fallen */
    thread->number = ++n_started;
    thread->alive = true;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name); /* A cut name is still a name. */
    gv_sim_note("start", thread->number, 0);
    return thread;
}

void gv_sim_thread_join(struct gv_sim_thread *thread)
{
    thread->joiner = running;
    while (thread->alive)
        gv_sim_thread_wait(GV_SIM_NEVER);
}

void gv_sim_threads_open(struct gv_process *process)
{
    struct gv_sim_thread *first = &threads[0];

    for (uint32_t i = 1; i < GV_SIM_THREADS_MAX; i++)
        threads[i].alive = false;
    n_started = 0;
    pct.lowest = UINT64_C(1) << 62;
    pct.n_run = 0;
    for (uint32_t i = 0; i < PCT_POINTS; i++)
        pct.points[i] = gv_sim_draw(GV_SIM_ORDER, PCT_STEPS);
    if (running == NULL)
        gv_context_main(&first->context);
    running = first;
    first->process = process;
    first->wake_ns = 0;
    first->joiner = NULL;
    first->priority = gv_sim_random(GV_SIM_ORDER) | UINT64_C(1) << 63;
    first->number = 0;
    first->alive = true;
    (void)snprintf(first->name, sizeof first->name, "loop 0"); /* It fits. */
}
