#include "actors/shutdown.h"

#include <signal.h>

#include <grove/actor.h>
#include <grove/error.h>
#include <grove/shutdown.h>
#include <grove/task.h>

#include "actors/io.h"
#include "actors/kin.h"
#include "actors/roll.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "runtime/usage.h"
#include "runtime/watchdog.h"

#define YIELDS        64u   /* rounds before the end is waited for by the clock */
#define HURRY_MS      1000u /* for what is left, once somebody hurries */
#define LOOK_MAX_MS   32u   /* between two looks whether all is quiet */
#define QUIET_LOOKS   2u    /* in a row: a message may have been on its way between two loops */
#define ABANDON_IN_MS 1u
#define LATE_MS       500u /* main ends the process in time, unless it cannot: then the watchdog does */
#define NAMING_MS     20u
#define TWICE_MS      200u /* a second signal so soon is the first one, come by another way */

/* Of loop 0, but for `asked`. */
static struct {
    _Atomic bool asked;
    unsigned n_asked;
    int signal;        /* the first one; 0: grove_terminate */
    uint32_t since_ms; /* when it came */
    bool watching;
    struct gv_signals *signals;
    struct gv_wait *waiter; /* main */
} stop;

/* --- asked ------------------------------------------------------------------------------------ */

static void ask(struct gv_loop *loop, int signal)
{
    if (stop.n_asked++ == 0) {
        uint32_t heard_ms = signal != 0 ? gv_watchdog_asked_ms() : 0;

        stop.signal = signal;
        stop.since_ms = heard_ms != 0 ? heard_ms : loop->now_ms;
        atomic_store_explicit(&stop.asked, true, memory_order_relaxed); /* relaxed: a hint */
    }
    gv_log(GV_LOG_INFO, stop.n_asked == 1 ? "stop.asked" : "stop.hurried", "signal=%d", signal);
    gv_io_wake(loop, &stop.waiter, 0);
}

/* Whoever signals a whole group reaches the program directly, and once more through its `grove supervise`. */
static bool is_the_same(const struct gv_loop *loop)
{
    return stop.n_asked == 1 && stop.signal != 0
           && gv_ms_before(loop->now_ms, stop.since_ms + TWICE_MS);
}

static void signal_came(void *owner, int signal)
{
    if (!is_the_same(owner))
        ask(owner, signal);
}

static void terminate_here(void *argument)
{
    (void)argument;
    ask(gv_loop_here, 0);
}

void grove_terminate(void)
{
    struct gv_loop *loop = gv_loop_now();

    if (loop == NULL)
        (void)gv_usage_thread("grove_terminate"); /* Nothing to return it by. */
    else if (loop->index == 0)
        ask(loop, 0);
    else
        (void)gv_loop_call(loop, 0, terminate_here, NULL); /* Without memory: ask again. */
}

bool grove_terminating(void)
{
    return atomic_load_explicit(&stop.asked, memory_order_relaxed) || gv_watchdog_asked_ms() != 0;
}

/* Loop 0 with main running, or NULL with a reason. */
static struct gv_loop *main_loop(const char *function)
{
    struct gv_loop *loop = gv_loop_now();

    if (loop != NULL && loop->index == 0 && loop->turn == &loop->main_turn)
        return loop;
    (void)gv_usage("%s: only main waits for the end of the process; a handler or greenlet looks at "
                   "grove_terminating()",
                   function);
    return NULL;
}

static int watch(struct gv_loop *loop)
{
    uint64_t set = gv_signal_bit(SIGTERM) | gv_signal_bit(SIGINT);
    int rc = 0;

    if (stop.watching)
        return 0;
    gv_watchdog_end_on(set, (uint32_t)gv_option_number(GV_OPTION_STOP_MS) + LATE_MS);
    rc = loop->env->signals_open(loop->poller, set, signal_came, loop, &stop.signals);
    stop.watching = rc == 0;
    return rc;
}

int grove_terminate_on_signals(void)
{
    struct gv_loop *loop = main_loop("grove_terminate_on_signals");

    return loop != NULL ? watch(loop) : GROVE_EUSAGE;
}

int grove_terminated_await(void)
{
    struct gv_loop *loop = main_loop("grove_terminated_await");
    int rc = loop != NULL ? watch(loop) : GROVE_EUSAGE;
    bool gone;

    if (rc != 0)
        return rc;
    while (stop.n_asked == 0) {
        rc = gv_io_await(loop, &stop.waiter, 0, &gone);
        if (rc != 0)
            return rc;
    }
    return stop.signal;
}

/* --- all loops -------------------------------------------------------------------------------- */

/* Runs function(argument) on every loop; here at once. */
static void everywhere(struct gv_loop *loop, void (*function)(void *), void *argument)
{
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        if (i != loop->index)
            (void)gv_loop_call(loop, i, function,
                               argument); /* Without memory the next sweep tries again. */
    function(argument);
}

/* Main lets others run for up to ms, or until somebody asks. */
static void pause_main(struct gv_loop *loop, uint32_t ms)
{
    bool gone;

    if (ms == 0)
        (void)gv_yield(loop); /* main is never cancelled. */
    else
        (void)gv_io_await(loop, &stop.waiter, gv_deadline_in(loop, ms - 1), &gone);
}

/* --- ingress ---------------------------------------------------------------------------------- */

static struct gv_ingress *ingress[GV_LOOPS_MAX];
static bool ingress_closed[GV_LOOPS_MAX];

void gv_ingress_add(struct gv_loop *loop, struct gv_ingress *record)
{
    record->next = ingress[loop->index];
    if (record->next != NULL)
        record->next->place = &record->next;
    record->place = &ingress[loop->index];
    ingress[loop->index] = record;
    if (ingress_closed[loop->index])
        record->close(record);
}

void gv_ingress_open(const struct gv_loop *loop)
{
    ingress_closed[loop->index] = false;
}

void gv_ingress_remove(struct gv_ingress *record)
{
    if (record->place == NULL)
        return;
    *record->place = record->next;
    if (record->next != NULL)
        record->next->place = record->place;
    record->place = NULL;
}

static void close_ingress(void *argument)
{
    unsigned index = gv_loop_here->index;

    (void)argument;
    ingress_closed[index] = true;
    while (ingress[index] != NULL)
        ingress[index]->close(ingress[index]);
}

/* --- drain ------------------------------------------------------------------------------------ */

/* One look at all loops. */
static struct {
    uint32_t number; /* of the look; an answer to an older one does not count */
    _Atomic uint32_t n_answers;
    _Atomic bool busy;
} look;

/* Something that others wait for, or will: a handler that runs or waits, mail, a greenlet that asks. */
static bool is_busy(const struct gv_task *task)
{
    const struct gv_wait *wait = task->turn != NULL ? task->turn->wait : NULL;

    if (task->mailbox.head != NULL || task->flags & GV_TASK_QUEUED)
        return true;
    if (!gv_task_is_greenlet(task))
        return task->flags & GV_TASK_BUSY;
    if (wait == NULL || wait->woken)
        return true;
    return wait->kind != GV_WAIT_SLEEP && wait->kind != GV_WAIT_MAIL && wait->kind != GV_WAIT_IO
           && wait->kind != GV_WAIT_THREAD;
}

static void note_busy(struct gv_loop *loop, struct gv_task *task)
{
    (void)loop;
    if (is_busy(task))
        atomic_store_explicit(&look.busy, true,
                              memory_order_relaxed); /* before the release below */
}

static void look_here(void *number)
{
    if ((uintptr_t)number != look.number)
        return;
    gv_slots_each(gv_loop_here, gv_loop_here->index, note_busy);
    /* release: pairs with the acquire in is_quiet. */
    atomic_fetch_add_explicit(&look.n_answers, 1, memory_order_release);
}

/* Looks at all loops. False also if one does not answer in time. */
static bool is_quiet(struct gv_loop *loop, uint32_t deadline_ms)
{
    look.number++;
    atomic_store_explicit(&look.n_answers, 0, memory_order_relaxed);
    atomic_store_explicit(&look.busy, false, memory_order_relaxed);
    everywhere(loop, look_here, (void *)(uintptr_t)look.number);
    while (atomic_load_explicit(&look.n_answers, memory_order_acquire) < gv_runtime.n_loops) {
        pause_main(loop, 1);
        if (stop.n_asked > 1 || !gv_ms_before(loop->now_ms, deadline_ms))
            return false;
    }
    return !atomic_load_explicit(&look.busy, memory_order_relaxed);
}

int grove_drain_await(uint32_t timeout_ms)
{
    struct gv_loop *loop = main_loop("grove_drain_await");
    uint32_t deadline_ms, pause_ms = 0;
    unsigned n_quiet = 0;

    if (loop == NULL)
        return GROVE_EUSAGE;
    deadline_ms = gv_deadline_in(loop, timeout_ms);
    everywhere(loop, close_ingress, NULL);
    while (stop.n_asked <= 1 && gv_ms_before(loop->now_ms, deadline_ms)) {
        pause_main(loop, pause_ms);
        n_quiet = is_quiet(loop, deadline_ms) ? n_quiet + 1 : 0;
        if (n_quiet == QUIET_LOOKS)
            return 0;
        pause_ms = n_quiet > 0 || pause_ms == 0 ? 1
                   : pause_ms < LOOK_MAX_MS     ? pause_ms * 2
                                                : pause_ms;
    }
    return GROVE_ETIMEDOUT;
}

/* How much of stop_ms is left. */
static uint32_t left_ms(struct gv_loop *loop)
{
    uint32_t all_ms = (uint32_t)gv_option_number(GV_OPTION_STOP_MS), gone_ms;

    if (stop.n_asked == 0)
        return all_ms;
    gv_loop_look(loop);
    gone_ms = loop->now_ms - stop.since_ms;
    return gone_ms < all_ms ? all_ms - gone_ms : 0;
}

int grove_run_await(void)
{
    int rc = grove_terminated_await();

    if (rc < 0)
        return rc;
    return grove_drain_await((uint32_t)gv_option_number(GV_OPTION_STOP_MS) / 2);
}

/* --- the end of all tasks --------------------------------------------------------------------- */

enum phase { RUNNING, STOPPED, KILLED, ABANDONED };

static bool is_pool(const struct gv_task *task)
{
    return task->class->kind == GROVE_REF_POOL;
}

static void stop_task(struct gv_loop *loop, struct gv_task *task, enum phase phase)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_stop_body));

    if (message == NULL)
        return; /* The next sweep tries again. */
    message->method = GV_SIGNAL_STOP;
    message->to = gv_task_id(task);
    ((struct gv_stop_body *)(void *)message->body)->mode =
        phase == STOPPED ? GROVE_STOP_NOW : GROVE_STOP_KILL;
    ((struct gv_stop_body *)(void *)message->body)->doom.mail_stays = false;
    if (phase == ABANDONED)
        message->deadline_ms = gv_deadline_in(loop, ABANDON_IN_MS);
    task->class->signal(loop, task, message);
}

void gv_roll_tell(struct gv_loop *loop, struct gv_task *task)
{
    stop_task(loop, task, STOPPED);
}

static void kill_actor(struct gv_loop *loop, struct gv_task *task)
{
    if (!is_pool(task))
        stop_task(loop, task, KILLED);
}

static void abandon_actor(struct gv_loop *loop, struct gv_task *task)
{
    if (!is_pool(task))
        stop_task(loop, task, ABANDONED);
}

static unsigned n_pools;

static void stop_pool(struct gv_loop *loop, struct gv_task *task)
{
    if (is_pool(task))
        stop_task(loop, task, STOPPED);
}

static void kill_pool(struct gv_loop *loop, struct gv_task *task)
{
    if (is_pool(task))
        stop_task(loop, task, KILLED);
}

static void count_pool(struct gv_loop *loop, struct gv_task *task)
{
    (void)loop;
    n_pools += is_pool(task);
}

static void name_left(struct gv_loop *loop, struct gv_task *task)
{
    char name[64];

    (void)loop;
    task->class->describe(task, name, sizeof name);
    gv_log(GV_LOG_ERROR, "stop.left", "task=%s method=%s", name,
           task->turn != NULL && !gv_task_is_out(task) && task->turn->method != NULL
               ? task->turn->method->name
               : "none");
}

static void sweep(void *each)
{
    void (*function)(struct gv_loop *, struct gv_task *);

    memcpy(&function, &each, sizeof function);
    gv_slots_each(gv_loop_here, gv_loop_here->index, function);
}

static void for_all(struct gv_loop *loop, void (*each)(struct gv_loop *, struct gv_task *))
{
    void *argument;

    memcpy(&argument, &each, sizeof argument);
    everywhere(loop, sweep, argument);
}

static uint64_t n_alive(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        n += gv_loop_actors(gv_runtime.loops[i]);
    return n;
}

/* True when only pools are left. They live on this loop. */
static bool actors_are_gone(struct gv_loop *loop)
{
    if (n_alive() > n_pools)
        return false; /* There are no new pools any more. */
    n_pools = 0;
    gv_slots_each(loop, loop->index, count_pool);
    return n_alive() == n_pools;
}

/* When which phase begins. */
struct plan {
    uint32_t all_ms, kill_ms, abandon_ms, end_ms;
    bool hurried;
};

static void hurry(struct gv_loop *loop, struct plan *plan)
{
    if (plan->hurried || stop.n_asked <= 1)
        return;
    plan->hurried = true;
    plan->kill_ms = loop->now_ms;
    if (gv_ms_before(loop->now_ms + HURRY_MS, plan->end_ms))
        plan->end_ms = loop->now_ms + HURRY_MS;
    plan->abandon_ms = loop->now_ms + HURRY_MS / 2;
}

/* The next phase of the actors, if its time has come. */
static enum phase go_on(struct gv_loop *loop, const struct plan *plan, enum phase phase)
{
    if (phase < KILLED && !gv_ms_before(loop->now_ms, plan->kill_ms)) {
        gv_roll_close();
        for_all(loop, kill_actor);
        return KILLED;
    }
    if (phase < ABANDONED && !gv_ms_before(loop->now_ms, plan->abandon_ms)) {
        for_all(loop, abandon_actor);
        return ABANDONED;
    }
    return phase;
}

bool gv_shutdown_tasks(struct gv_loop *loop)
{
    uint32_t all_ms = left_ms(loop);
    struct plan plan = {gv_deadline_in(loop, all_ms / 16), gv_deadline_in(loop, all_ms / 8),
                        gv_deadline_in(loop, all_ms / 8 * 5), gv_deadline_in(loop, all_ms), false};
    enum phase actors = RUNNING, pools = RUNNING;
    unsigned n = 0;

    gv_watchdog_end_by(plan.end_ms + LATE_MS);
    everywhere(loop, close_ingress, NULL);
    n_pools = 0;
    gv_slots_each(loop, loop->index, count_pool);
    while (n_alive() > 0) {
        hurry(loop, &plan);
        if (!actors_are_gone(loop)) {
            actors = go_on(loop, &plan, actors);
            if (actors == RUNNING && gv_roll_go_on(loop, !gv_ms_before(loop->now_ms, plan.all_ms)))
                n = 0;
        } else if (pools == RUNNING) {
            gv_slots_each(loop, loop->index, stop_pool);
            pools = STOPPED;
        } else if (pools == STOPPED && !gv_ms_before(loop->now_ms, plan.abandon_ms)) {
            gv_slots_each(loop, loop->index, kill_pool);
            pools = KILLED;
        }
        if (!gv_ms_before(loop->now_ms, plan.end_ms)) {
            for_all(loop, name_left);
            (void)gv_watchdog_name_stuck(); /* They cannot name theirs. */
            for (unsigned i = 0; i < NAMING_MS; i++)
                pause_main(loop, 1); /* The other loops write their log. */
            return false;
        }
        pause_main(loop, n++ < YIELDS ? 0 : 1);
    }
    return true;
}

void gv_shutdown_close(struct gv_loop *loop)
{
    if (stop.watching)
        loop->env->signals_close(stop.signals);
    stop.watching = false;
    stop.n_asked = 0;
    stop.signal = 0;
    atomic_store_explicit(&stop.asked, false, memory_order_relaxed);
}
