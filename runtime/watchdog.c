#include "runtime/watchdog.h"

#include <stdio.h>
#include <stdlib.h>

#include <grove/method.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/log.h"
#include "runtime/monitor.h"
#include "runtime/place.h"
#include "runtime/running.h"
#include "runtime/runtime.h"
#include "runtime/sanitize.h"

#define LOOK_NS 100000000u
#define LOOKS   (GV_WATCHDOG_LATE_MS * 1000000u / LOOK_NS)
#define FORGET_NS \
    UINT64_C(60000000000) /* behind its deadline a task that does not hold its loop is let be */
#define SECOND_NS  1000000000u
#define DUES_FIRST 64u

#if GV_TSAN
/* For a plain word of a loop that has stood still for a second. */
#    define UNWATCHED __attribute__((no_sanitize("thread"), noinline))
#else
#    define UNWATCHED
#endif

/* A task whose stop deadline is to come, or has. */
struct due {
    uint64_t task;
    uint64_t deadline_ns;
    uint64_t n_rounds; /* of its home, when it was asked for */
};

/* What is known of one loop while something is due. */
struct place {
    struct gv_running running;
    unsigned n_same; /* looks in a row that found the same turn */
};

static struct {
    const struct gv_env *env; /* NULL: nobody looks */
    bool looks;               /* something was due at the last look */
    struct place places[GV_LOOPS_MAX];
    _Atomic bool closing;
    _Atomic uint64_t signals;  /* that ask for the end */
    _Atomic uint32_t asked_ms; /* 0: none of them has come */
    _Atomic uint64_t end_ns;   /* the process is to be gone; 0: not asked for */
    uint32_t within_ms;
    atomic_flag lock; /* over the rest; held for some hundred instructions */
    struct due *dues;
    uint32_t n, room;
} the = {.lock = ATOMIC_FLAG_INIT};

static void lock(void)
{
    /* acquire, and release below: of each other. */
    while (atomic_flag_test_and_set_explicit(&the.lock, memory_order_acquire))
        continue;
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&the.lock, memory_order_release);
}

static uint64_t ns_of(uint32_t epoch_ms)
{
    return gv_epoch_ns((uint64_t)epoch_ms * GV_GRAINS_PER_MS);
}

/* --- what is due ------------------------------------------------------------------------------ */

static bool is_over(const struct due *due, uint64_t now_ns)
{
    const struct gv_task *task = gv_slot_task(due->task);

    return task == NULL || gv_task_id(task) != due->task || now_ns >= due->deadline_ns + FORGET_NS;
}

/* Drops those that are over. With the lock held. */
static void sweep(uint64_t now_ns)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < the.n; i++)
        if (!is_over(&the.dues[i], now_ns))
            the.dues[n++] = the.dues[i];
    the.n = n;
}

/* Room for one more; false: there is none. With the lock held. */
static bool make_room(uint64_t now_ns)
{
    uint32_t room = the.room == 0 ? DUES_FIRST : the.room * 2;
    struct due *more;

    if (the.n < the.room)
        return true;
    sweep(now_ns);
    if (the.n * 2 <= the.room && the.room > 0)
        return true;
    more = room <= GV_WATCHDOG_MAX ? realloc(the.dues, room * sizeof *more) : NULL;
    if (more == NULL)
        return the.n < the.room;
    the.dues = more;
    the.room = room;
    return true;
}

void gv_watchdog_expect(struct gv_loop *loop, uint64_t id, uint32_t deadline_ms)
{
    const struct gv_task *task = gv_slot_task(id);
    bool kept;

    if (the.env == NULL || task == NULL)
        return;
    lock();
    kept = make_room(loop->now_ns);
    if (kept)
        the.dues[the.n++] = (struct due){id, ns_of(deadline_ms),
                                         gv_figure_read(&gv_runtime.loops[task->loop]->n_rounds)};
    unlock();
    if (kept)
        the.env->aside_call(the.env->world);
    else
        gv_log(GV_LOG_WARN, "stop.unwatched", "deadlines=%u", GV_WATCHDOG_MAX);
}

/* The next deadline; *due: one has passed. UINT64_MAX: there is none. */
static uint64_t next_due(uint64_t now_ns, bool *due)
{
    /* relaxed: it is looked at again when it changes. */
    uint64_t next_ns = atomic_load_explicit(&the.end_ns, memory_order_relaxed);

    next_ns = next_ns != 0 ? next_ns : UINT64_MAX;
    lock();
    sweep(now_ns);
    for (uint32_t i = 0; i < the.n; i++)
        next_ns = the.dues[i].deadline_ns < next_ns ? the.dues[i].deadline_ns : next_ns;
    unlock();
    *due = next_ns <= now_ns;
    return next_ns;
}

/* The deadline of this task, if it has passed and is still meant; else 0. */
static uint64_t deadline_of(uint64_t id, uint64_t now_ns)
{
    const struct gv_task *task = gv_slot_task(id);
    struct gv_task copy;
    uint64_t deadline_ns = 0;

    if (task == NULL || !the.env->monitor->read(task, &copy, sizeof copy))
        return 0;
    lock();
    for (uint32_t i = 0; i < the.n; i++) {
        const struct due *due = &the.dues[i];

        /* One that was begun anew has lost the flag; one that has not heard of it yet cannot have. */
        if (due->task == id && due->deadline_ns <= now_ns
            && (copy.flags & GV_TASK_NOW
                || gv_figure_read(&gv_runtime.loops[task->loop]->n_rounds) == due->n_rounds))
            deadline_ns = due->deadline_ns;
    }
    unlock();
    return deadline_ns;
}

/* --- reports ---------------------------------------------------------------------------------- */

/* When its turn began, or a little before: when it looked at the clock last. */
UNWATCHED static uint64_t began_ns(const struct gv_loop *loop)
{
    return *(const uint64_t volatile *)&loop->now_ns;
}

/* "in nanosleep for 100 ms", if the stall watch has the thread in view. */
static void describe(const struct gv_loop *loop, char *text, size_t room)
{
    const struct gv_monitor *monitor = the.env->monitor;
    struct gv_thread *thread = atomic_load_explicit(&loop->thread, memory_order_acquire);
    struct gv_look look = {.call = GV_LOOK_NONE};

    (void)snprintf(text, room, "on the CPU, or in a call that blocks"); /* It fits. */
    if (thread == NULL)
        return;
    monitor->look(thread, &look);
    if (look.state == 'R' || look.call == GV_LOOK_NONE) {
        (void)snprintf(text, room, "on the CPU"); /* It fits. */
    } else {
        size_t used = (size_t)snprintf(text, room, "in ");

        monitor->describe(&look, text + used, room - used);
    }
}

static void report(const struct gv_loop *loop, const struct gv_running *running,
                   uint64_t deadline_ns)
{
    uint64_t now_ns = the.env->now_ns(the.env->world);
    struct gv_running_who who = {.task = ""};
    char what[96];

    if (running->turn == NULL || !gv_running_who(loop, running, the.env->monitor->read, &who))
        (void)snprintf(who.task, sizeof who.task, "%s", "unknown"); /* It fits. */
    describe(loop, what, sizeof what);
    gv_log(
        GV_LOG_ERROR, "stop.stuck",
        "on_loop=%u task=%s method=%s since_ms=%llu late_ms=%llu is=\"%s\" exit=%d advice=\"what "
        "computes long or blocks cannot be stopped: mark its rpc isolation = WORKER, or run it "
        "in grove_blocking_await, or look at grove_cancelled()\"",
        loop->index, who.task,
        who.method != NULL ? who.method->name
        : who.begins       ? "init"
                           : "none",
        (unsigned long long)((now_ns - began_ns(loop)) / 1000000),
        (unsigned long long)(now_ns > deadline_ns ? (now_ns - deadline_ns) / 1000000 : 0), what,
        GV_WATCHDOG_STATUS);
}

unsigned gv_watchdog_name_stuck(void)
{
    uint64_t now_ns;
    unsigned n = 0;

    if (the.env == NULL)
        return 0;
    now_ns = the.env->now_ns(the.env->world);
    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        const struct gv_loop *loop = gv_runtime.loops[i];
        struct gv_running running = gv_running_now(loop);

        if (loop == gv_loop_here || running.turn == NULL || now_ns - began_ns(loop) < SECOND_NS)
            continue;
        report(loop, &running, now_ns);
        n++;
    }
    return n;
}

/* --- looks ------------------------------------------------------------------------------------ */

/* The turn of this loop has not moved for a second behind something's deadline: it may be the culprit. */
static void judge(const struct gv_loop *loop, const struct gv_running *running, uint64_t now_ns)
{
    uint64_t end_ns = atomic_load_explicit(&the.end_ns, memory_order_relaxed);
    uint64_t deadline_ns = loop->index == 0 && end_ns != 0 && end_ns <= now_ns ? end_ns : 0;
    struct gv_running_who who;

    if (deadline_ns == 0 && gv_running_who(loop, running, the.env->monitor->read, &who)
        && who.id != 0)
        deadline_ns = deadline_of(who.id, now_ns);
    if (deadline_ns == 0)
        return;
    report(loop, running, deadline_ns);
    the.env->quit(the.env->world, GV_WATCHDOG_STATUS);
}

static void look_at_loops(uint64_t now_ns)
{
    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        const struct gv_loop *loop = gv_runtime.loops[i];
        struct place *place = &the.places[i];
        struct gv_running running = gv_running_now(loop);

        if (the.looks && running.turn != NULL && gv_running_same(&running, &place->running)) {
            if (++place->n_same >= LOOKS)
                judge(loop, &running, now_ns);
        } else {
            place->n_same = 0;
        }
        place->running = running;
    }
    the.looks = true;
}

/* The tasks are gone, and the loops cannot be closed. */
static void judge_closing(uint64_t now_ns)
{
    if (++the.places[0].n_same < LOOKS)
        return;
    gv_log(GV_LOG_ERROR, "stop.stuck",
           "late_ms=%llu is=\"in a call on a thread that does not return\" exit=%d advice=\"give "
           "what grove_blocking_await runs, and files and names, a time limit of their own\"",
           (unsigned long long)((now_ns - the.end_ns) / 1000000), GV_WATCHDOG_STATUS);
    the.env->quit(the.env->world, GV_WATCHDOG_STATUS);
}

/* The first of the signals that end the process has come: not before its loop 0 hears of it does its time run. */
static void note_signals(uint64_t signals, uint64_t now_ns)
{
    uint32_t now_ms = gv_epoch_ms(now_ns), none = 0;

    if ((atomic_load_explicit(&the.signals, memory_order_relaxed) & signals) == 0)
        return;
    if (atomic_compare_exchange_strong(&the.asked_ms, &none, now_ms))
        gv_watchdog_end_by(now_ms + the.within_ms);
}

/* On the thread of signals. Returns after how long it wants to be called again; 0: not. */
static uint64_t look(uint64_t signals)
{
    uint64_t now_ns = the.env->now_ns(the.env->world), next_ns;
    bool due;

    note_signals(signals, now_ns);
    next_ns = next_due(now_ns, &due);
    if (!due) {
        the.looks = false;
        return next_ns == UINT64_MAX ? 0 : next_ns - now_ns;
    }
    if (!atomic_load_explicit(&the.closing, memory_order_relaxed))
        look_at_loops(now_ns);
    else if (the.end_ns != 0 && the.end_ns <= now_ns)
        judge_closing(now_ns);
    return LOOK_NS;
}

/* --- the process ------------------------------------------------------------------------------ */

void gv_watchdog_end_by(uint32_t deadline_ms)
{
    uint64_t end_ns = ns_of(deadline_ms), before_ns = 0;

    /* The first one stands: nobody gets more time by asking again. */
    if (atomic_compare_exchange_strong(&the.end_ns, &before_ns, end_ns) && the.env != NULL)
        the.env->aside_call(the.env->world);
}

void gv_watchdog_end_on(uint64_t signals, uint32_t within_ms)
{
    the.within_ms = within_ms;
    atomic_store_explicit(&the.signals, signals, memory_order_release);
}

uint32_t gv_watchdog_asked_ms(void)
{
    return atomic_load_explicit(&the.asked_ms, memory_order_relaxed); /* relaxed: a moment */
}

/* --- life ------------------------------------------------------------------------------------- */

void gv_watchdog_open(void)
{
    const struct gv_env *env = gv_runtime.env;
    int rc;

    the.looks = false;
    the.closing = false;
    the.signals = 0;
    the.asked_ms = 0;
    the.end_ns = 0;
    the.env = NULL;
    if (env->aside_open == NULL)
        return;
    the.env = env;
    rc = env->aside_open(env->world, look);
    if (rc == 0)
        return;
    the.env = NULL;
    gv_log(GV_LOG_WARN, "stop.unwatched", "error=%d", -rc);
}

void gv_watchdog_closing(void)
{
    if (the.env == NULL)
        return;
    /* Whoever looks right now has done so when the second returns. */
    the.env->aside_close(the.env->world);
    atomic_store_explicit(&the.closing, true, memory_order_relaxed);
    lock();
    the.n = 0;
    unlock();
    the.places[0].n_same = 0;
    if (the.env->aside_open(the.env->world, look) != 0)
        the.env = NULL;
}

void gv_watchdog_close(void)
{
    if (the.env != NULL)
        the.env->aside_close(the.env->world);
    the.env = NULL;
    free(the.dues);
    the.dues = NULL;
    the.n = the.room = 0;
}
