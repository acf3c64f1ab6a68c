#include "actors/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <grove/actor.h>
#include <grove/init.h>
#include <grove/stats.h>
#include <grove/task.h>

#include "actors/abandon.h"
#include "actors/actor.h"
#include "actors/call.h"
#include "actors/deadletter.h"
#include "actors/deadlock.h"
#include "actors/defer.h"
#include "actors/fault.h"
#include "actors/group.h"
#include "actors/holding.h"
#include "actors/kept.h"
#include "actors/kin.h"
#include "actors/letter.h"
#include "actors/mail.h"
#include "actors/monitor.h"
#include "actors/name.h"
#include "actors/progress.h"
#include "actors/roll.h"
#include "actors/shutdown.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/host_fault.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "runtime/usage.h"

#define STATUS_STUCK \
    70 /* somebody holds out at the end: EX_SOFTWARE, also what supervisors escalate to */
#define LOOKS_MAX 8u /* at a loop that keeps falling asleep and waking */

static const struct gv_env *the_env;
static __thread bool may_start;

/* --- start ------------------------------------------------------------------------------------ */

static void turn_ending(struct gv_loop *loop, struct gv_turn *turn)
{
    gv_turn_clean_up(turn);
    gv_letters_fail(loop, turn);
    gv_turn_settle(loop, turn);
    gv_holdings_leave(loop, turn);
    if (turn->task != NULL)
        gv_kept_leave(loop, turn->task);
}

/* The task they were for has ended. */
static void orphaned(struct gv_loop *loop, struct gv_message *message, int code)
{
    gv_mail_orphaned(loop, message, code, GROVE_DEAD_STOPPED);
}

static int loop_opened(struct gv_loop *loop)
{
    gv_dead_open(loop);
    gv_progress_open(loop);
    gv_ingress_open(loop);
    return gv_calls_open(loop);
}

static void loop_closing(struct gv_loop *loop)
{
    gv_holdings_close(&loop->main_held);
    gv_dead_close(loop);
    gv_progress_close(loop);
    gv_calls_close(loop);
    gv_deadlock_close(loop);
}

static void watched_ended(struct gv_loop *loop, const struct gv_task *task,
                          struct gv_waitlist *list)
{
    gv_monitors_end(loop, task, list, &(struct gv_ending){.reason = GROVE_DOWN_STOPPED});
}

static const struct gv_upcalls upcalls = {
    .dispatch = gv_actor_dispatch,
    .arrived = gv_mail_arrived,
    .orphaned = orphaned,
    .answer = gv_call_answer,
    .entered = gv_mail_entered,
    .turn_ending = turn_ending,
    .watched_ended = watched_ended,
    .forgotten = gv_kept_forget,
    .abandon = gv_abandon,
    .leave = gv_abandon_resumed,
    .bury = gv_bury,
    .loop_opened = loop_opened,
    .loop_closing = loop_closing,
};

static struct gv_loop *start(void)
{
    int rc;

    if (!may_start || gv_runtime.n_loops != 0)
        return NULL;
    gv_fault_describe = gv_fault_who;
    gv_fault_install();
    rc = gv_kin_open();
    if (rc == 0)
        rc = gv_runtime_open(the_env, &upcalls, grove_loops());
    if (rc != 0) {
        gv_log(GV_LOG_ERROR, "runtime.start", "error=%s why=\"%s\"", grove_error_name(rc),
               grove_error_text(rc));
        return NULL;
    }
    return gv_loop_here;
}

void gv_system_init(const struct gv_env *env)
{
    the_env = env;
    gv_log_open(env);
    may_start = true;
    gv_runtime_starter = start;
}

void gv_system_deinit(void)
{
    gv_assert(gv_runtime.n_loops == 0);
    the_env = NULL;
    gv_log_open(NULL);
    may_start = false;
    gv_runtime_starter = NULL;
}

unsigned grove_loops(void)
{
    int64_t wanted = gv_option_number(GV_OPTION_LOOPS);

    if (gv_runtime.n_loops != 0)
        return gv_runtime.n_loops;
    if (wanted == 0)
        wanted = gv_option_cores();
    return wanted < (int64_t)GV_LOOPS_MAX ? (unsigned)wanted : GV_LOOPS_MAX;
}

/* --- end -------------------------------------------------------------------------------------- */

int grove_deinit(void)
{
    struct gv_loop *loop = gv_loop_here;

    if (gv_runtime.n_loops == 0)
        return 0;
    if (loop == NULL || loop->index != 0 || loop->turn != &loop->main_turn)
        return gv_usage("grove_deinit: only main ends grove, on the thread that began it");
    turn_ending(loop, loop->turn);
    atomic_store_explicit(&gv_runtime.closing, true,
                          memory_order_relaxed); /* relaxed: the sweeps catch late ones */
    if (!gv_shutdown_tasks(loop))
        loop->env->quit(loop->env->world, STATUS_STUCK);
    gv_shutdown_close(loop);
    gv_monitors_close(loop);
    gv_runtime_close();
    gv_roll_end();
    gv_kin_close();
    gv_names_close();
    gv_groups_close();
    return 0;
}

/* --- options ---------------------------------------------------------------------------------- */

int grove_option_set(const char *name, const char *value)
{
    char error[GV_OPTION_ERROR_BYTES];
    int rc;

    if (gv_runtime.n_loops != 0)
        return gv_usage("option %s: the loops run already; set it before the first spawn", name);
    rc = gv_option_set(name, value, error);
    return rc == 0 ? 0 : gv_usage("%s", error);
}

/* --- time, chance, log ------------------------------------------------------------------------ */

unsigned long long grove_now_ns(void)
{
    return the_env->now_ns(the_env->world);
}

unsigned long long grove_now_ms(void)
{
    return grove_now_ns() / 1000000u;
}

long long grove_wall_ms(void)
{
    return the_env->wall_ms(the_env->world);
}

unsigned long long grove_random(void)
{
    return the_env->random(the_env->world);
}

unsigned grove_choose(unsigned n)
{
    return n > 1 ? the_env->choose(the_env->world, n, GV_CHOICE_APP) : 0;
}

void grove_log(const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut line is still a line. */
    va_end(arguments);
    gv_log(GV_LOG_INFO, "app", "text=\"%s\"", text);
}

/* --- counters --------------------------------------------------------------------------------- */

int grove_loop_stats(unsigned k, struct grove_loop_stats *stats)
{
    const struct gv_loop *loop;

    if (k >= gv_runtime.n_loops)
        return gv_usage("there is no loop %u: %u loops run", k, gv_runtime.n_loops);
    if (stats == NULL)
        return gv_usage_null("grove_loop_stats", "the place for them");
    loop = gv_runtime.loops[k];
    *stats = (struct grove_loop_stats){
        .turns = gv_figure_read(&loop->stats.turns),
        .longest_turn_ns = gv_figure_read(&loop->stats.longest_turn_ns),
        .sent_far = gv_figure_read(&loop->stats.sent_far),
        .dead_letters = gv_figure_read(&loop->stats.dead_letters),
        .actors = gv_loop_actors(loop),
        .stacks = gv_figure_read32(&loop->stacks.n_taken),
        .parked = gv_figure_read32(&loop->n_parked),
        .lent = gv_figure_read(&loop->stats.lent),
        .ticks = gv_figure_read(&loop->stats.ticks),
        .ticks_missed = gv_figure_read(&loop->stats.ticks_missed),
        .passive = gv_figure_read(&loop->stats.passive),
        .passivations = gv_figure_read(&loop->stats.passivations),
        .stalls = gv_figure_read(&loop->n_stalls),
        .stalled_ns = gv_figure_read(&loop->stalled_ns),
    };
    /* Both times belong to one moment if the loop did not fall asleep or wake between. */
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        uint64_t rest = gv_figure_read(&loop->rest);

        stats->wall_ns = the_env->now_ns(the_env->world) - loop->started_ns;
        stats->busy_ns = gv_loop_busy_ns(rest, stats->wall_ns);
        if (gv_figure_read(&loop->rest) == rest)
            break;
    }
    return 0;
}
