#include "runtime/stall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/method.h>

#include "runtime/assert.h"
#include "runtime/figure.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/running.h"
#include "runtime/runtime.h"
#include "runtime/sanitize.h"
#include "runtime/shares.h"
#include "runtime/stall_report.h"

#define EXIT_STALLED     70
#define MINUTE_NS        UINT64_C(60000000000)
#define PREPARE_AFTER    4u   /* looks: a program that is over by then needs no names */
#define TIMES_EVERY      8u   /* looks between two samples of turn times */
#define PATIENCE_PERCENT 140u /* of the threshold: then it is reported, whatever is known */

#if GV_TSAN
/* For plain accesses of one machine word: a loop that reads or overwrites them a moment later does no harm. */
#    define UNWATCHED __attribute__((no_sanitize("thread"), noinline))
#else
#    define UNWATCHED
#endif

/* What the monitor knows of one loop. */
struct watch {
    struct gv_running key;
    uint64_t age_ns;   /* how long the key has been the same */
    uint64_t began_ns; /* when it was first seen */
    bool looked;       /* the two below are set */
    struct gv_look last;
    struct gv_look asleep; /* the last one that found it blocked in a system call */
    struct gv_shares shares;
    uint64_t stolen_ns; /* at the first look */
    bool reported;      /* stall is in the ring */
    bool written;       /* and in the log */
    struct gv_stall_facts facts;
};

static struct {
    const struct gv_monitor *monitor;
    bool fail;
    uint64_t threshold_ns, pause_ns;
    uint64_t minute_ns; /* when the running one began */
    uint32_t n_in_minute, n_in_minute_max, n_left_out;
    uint32_t n_looks;
    struct watch watches[GV_LOOPS_MAX];
} the;

/* --- what a loop is at ------------------------------------------------------------------------ */

/* Somebody on the loop waits, or may: for its turn, for an answer, for a timer. */
UNWATCHED static bool somebody_waits(struct gv_loop *loop)
{
    return *(struct gv_task *volatile *)&loop->run_head != NULL
           || *(struct gv_wait *volatile *)&loop->ready_head != NULL
           || *(struct gv_message *volatile *)&loop->came != NULL
           || gv_figure_read32(&loop->n_parked) > 0 || !gv_inbox_empty(&loop->inbox);
}

/* Many turns, and no look at the world since: this tick shall be over after the turn that runs. */
UNWATCHED static void ask_to_look(struct gv_loop *loop)
{
    *(volatile int32_t *)&loop->budget = 0;
}

UNWATCHED static void ask_for_times(struct gv_loop *loop)
{
    *(volatile uint8_t *)&loop->times_wanted = 1;
}

/* --- who -------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t room, const char *from)
{
    (void)snprintf(to, room, "%s", from); /* A cut name is still a name. */
}

static bool name_turn(struct gv_loop *loop, struct watch *watch)
{
    struct gv_stall_facts *facts = &watch->facts;
    struct grove_stall *stall = &facts->stall;
    struct gv_running_who who;

    if (!gv_running_who(loop, &watch->key, the.monitor->read, &who))
        return false;
    facts->method = who.method;
    facts->index = who.index;
    copy_text(stall->actor, sizeof stall->actor, who.task);
    if (who.method != NULL) {
        copy_text(stall->method, sizeof stall->method, who.method->name);
        copy_text(stall->message, sizeof stall->message, who.method->request->descriptor->name);
    } else if (who.begins) {
        copy_text(stall->method, sizeof stall->method, "init");
    }
    return true;
}

static bool name(struct gv_loop *loop, struct watch *watch)
{
    struct grove_stall *stall = &watch->facts.stall;

    stall->actor[0] = stall->method[0] = stall->message[0] = '\0';
    watch->facts.method = NULL;
    watch->facts.index = 0;
    if (watch->key.turn != NULL)
        return name_turn(loop, watch);
    (void)snprintf(stall->actor, sizeof stall->actor, "loop %u", loop->index); /* It fits. */
    copy_text(stall->method, sizeof stall->method, "between turns");
    return true;
}

/* --- reports ---------------------------------------------------------------------------------- */

static uint32_t permille(uint64_t part, uint64_t all)
{
    return all == 0 ? 0 : (uint32_t)(part * 1000 / all);
}

static enum grove_stall_kind kind_of(const struct watch *watch)
{
    /* The cores' time that a hypervisor took may all have been this one's. */
    if (watch->stolen_ns != 0 && the.monitor->stolen_ns() - watch->stolen_ns >= watch->age_ns / 2)
        return GROVE_STALL_STARVED;
    return gv_shares_kind(&watch->shares, watch->age_ns, the.threshold_ns);
}

/* What is known by now: how long, and how the time went. */
static void measure(struct watch *watch)
{
    const struct gv_shares *shares = &watch->shares;
    struct grove_stall *stall = &watch->facts.stall;

    stall->took_ns = watch->age_ns;
    stall->kind = kind_of(watch);
    stall->on_cpu_permille = permille(shares->cpu_ns, gv_shares_sum(shares));
    stall->queued_permille = permille(shares->queued_ns, gv_shares_sum(shares));
    stall->blocked_permille = permille(gv_shares_blocked(shares), gv_shares_sum(shares));
}

/* True if one more may be written in this minute. */
static bool may_write(uint64_t now_ns)
{
    if (now_ns - the.minute_ns >= MINUTE_NS) {
        the.minute_ns = now_ns;
        the.n_in_minute = 0;
    }
    if (the.n_in_minute >= the.n_in_minute_max) {
        the.n_left_out++;
        return false;
    }
    the.n_in_minute++;
    return true;
}

/* True if it was written. */
static bool write_out(const struct grove_stall *stall, const char *text)
{
    if (!the.fail && gv_option_number(GV_OPTION_LOG_LEVEL) < GV_LOG_WARN)
        return false;
    if (!the.fail && !may_write(the.monitor->now_ns()))
        return false;
    gv_log_text(text, strlen(text));
    gv_stall_count_reported();
    if (the.n_left_out > 0)
        gv_log(GV_LOG_WARN, "stall.left_out", "n=%u more=\"grove_stalls, GROVE_STALL_REPORTS\"",
               the.n_left_out);
    the.n_left_out = 0;
    if (the.fail && stall->kind != GROVE_STALL_STARVED)
        the.monitor->end(EXIT_STALLED);
    return true;
}

/* Who, where, why. False if it was over before that was known. */
static bool report(struct gv_loop *loop, struct watch *watch)
{
    struct gv_stall_facts *facts = &watch->facts;
    struct grove_stall *stall = &facts->stall;
    char text[GV_STALL_TEXT_BYTES];
    struct gv_running now;

    measure(watch);
    stall->loop = loop->index;
    stall->began_ns = watch->began_ns;
    stall->waits_for[0] = '\0';
    facts->monitor = the.monitor;
    facts->threshold_ns = the.threshold_ns;
    if (!name(loop, watch))
        return false;
    if (stall->kind == GROVE_STALL_BLOCKED || stall->kind == GROVE_STALL_DISK)
        the.monitor->describe(&watch->asleep, stall->waits_for, sizeof stall->waits_for);
    facts->n_frames = 0;
    if (loop->thread != NULL && stall->kind != GROVE_STALL_STARVED)
        facts->n_frames = the.monitor->frames(loop->thread, &watch->last, facts->frames);
    now = gv_running_now(loop);
    if (!gv_running_same(&now, &watch->key))
        facts->n_frames = 0; /* It may have been read while it changed. */
    if (!watch->reported)
        stall->reported_ns = the.monitor->now_ns();
    gv_stall_write(facts, text);
    if (watch->reported)
        gv_stall_keep_again(stall, text);
    else
        gv_stall_keep(stall, text);
    if (!watch->reported)
        gv_figure_set(&loop->n_stalls, loop->n_stalls + 1);
    watch->reported = true;
    watch->written |= write_out(stall, text);
    return true;
}

/* Another turn runs, or none: what was reported is over now. */
static void finish(struct gv_loop *loop, struct watch *watch)
{
    struct grove_stall *stall = &watch->facts.stall;
    enum grove_stall_kind before = stall->kind;

    if (!watch->reported)
        return;
    watch->reported = false;
    measure(watch);
    stall->over = true;
    gv_figure_set(&loop->stalled_ns, loop->stalled_ns + stall->took_ns);
    gv_stall_keep_again(stall, NULL);
    if (watch->written && (stall->kind != before || stall->took_ns >= 4 * the.threshold_ns))
        gv_log(GV_LOG_WARN, "stall.over", "number=%llu loop=%u actor=%s method=%s ms=%llu kind=%s",
               (unsigned long long)stall->number, stall->loop, stall->actor, stall->method,
               (unsigned long long)(stall->took_ns / 1000000), gv_stall_kind_name(stall->kind));
    if (the.fail && stall->kind != GROVE_STALL_STARVED)
        the.monitor->end(EXIT_STALLED);
}

/* --- looks ------------------------------------------------------------------------------------ */

static void forget(struct gv_loop *loop, struct watch *watch)
{
    finish(loop, watch);
    watch->age_ns = 0;
    watch->looked = false;
}

/* The first look at what did not change since the last one, age_ns ago. */
static void begin(struct watch *watch, const struct gv_look *look, uint64_t age_ns)
{
    watch->looked = true;
    watch->last = watch->asleep = *look;
    watch->age_ns = age_ns;
    watch->began_ns = the.monitor->now_ns() - age_ns;
    watch->shares = (struct gv_shares){0};
    watch->stolen_ns = the.monitor->stolen_ns();
    watch->facts.stall = (struct grove_stall){0};
}

/* It is old enough. Reports it once it is known which kind it is, and again if that was wrong. */
static void judge(struct gv_loop *loop, struct watch *watch)
{
    enum grove_stall_kind kind;

    if (watch->key.turn == &loop->main_turn && !somebody_waits(loop))
        return;
    kind = kind_of(watch);
    if (watch->reported
        && (watch->facts.stall.kind != GROVE_STALL_STARVED || kind == GROVE_STALL_STARVED))
        return;
    /* Not if a later look may tell more: on whom it waits, or that it needs so long by itself. */
    if ((kind == GROVE_STALL_STARVED || (kind != GROVE_STALL_ON_CPU && watch->last.sp == 0))
        && watch->age_ns * 100 < the.threshold_ns * PATIENCE_PERCENT)
        return;
    if (!watch->reported && the.monitor->debugged())
        return;
    if (!report(loop, watch))
        forget(loop, watch);
}

static bool is_asleep(const struct gv_loop *loop)
{
    return (gv_figure_read(&loop->rest) & GV_LOOP_ASLEEP) != 0;
}

/* The same as at the last look. gap_ns: since then. True if it may be a stall. */
static bool look_again(struct gv_loop *loop, struct gv_thread *thread, struct watch *watch,
                       uint64_t gap_ns)
{
    bool asleep = watch->key.turn == NULL && is_asleep(loop);
    struct gv_look look;
    struct gv_running now;

    if (asleep && the.monitor->polls(thread)) {
        forget(loop, watch);
        return false;
    }
    the.monitor->look(thread, &look);
    now = gv_running_now(loop);
    if (!gv_running_same(&now, &watch->key))
        return false; /* The next look will see to it. */
    if (look.state == 'T' || look.state == 't') {
        forget(loop, watch);
        return false;
    }
    if (!watch->looked) {
        /* Who was asleep at the last look may have been awake for a moment only. */
        begin(watch, &look, asleep ? 0 : gap_ns);
        return true;
    }
    gv_shares_add(&watch->shares, &watch->last, &look, gap_ns);
    watch->last = look;
    if (look.sp != 0)
        watch->asleep = look;
    watch->age_ns += gap_ns;
    if (watch->age_ns >= the.threshold_ns)
        judge(loop, watch);
    return true;
}

/* True if it does not move. */
static bool look_at(struct gv_loop *loop, struct watch *watch, uint64_t gap_ns)
{
    /* acquire: pairs with the release in gv_stall_enter. */
    struct gv_thread *thread = atomic_load_explicit(&loop->thread, memory_order_acquire);
    struct gv_running key = gv_running_now(loop);

    if (thread == NULL)
        return false;
    if (gv_running_same(&key, &watch->key))
        return look_again(loop, thread, watch, gap_ns);
    if (key.n_turns != watch->key.n_turns && key.n_rounds == watch->key.n_rounds
        && watch->key.turn != NULL)
        ask_to_look(loop);
    forget(loop, watch);
    watch->key = key;
    if (the.n_looks % TIMES_EVERY == loop->index % TIMES_EVERY)
        ask_for_times(loop);
    return false;
}

/* Looks half as often while all loops move: a wake disturbs those that share its CPU. */
static void watch_all(void *unused)
{
    uint64_t began_ns = the.monitor->now_ns(), ended_ns = began_ns;
    uint64_t pause_ns = the.pause_ns;

    (void)unused;
    while (the.monitor->wait(pause_ns)) {
        uint64_t now_ns = the.monitor->now_ns();
        uint64_t slept_ns = now_ns - ended_ns;
        uint64_t gap_ns =
            ended_ns - began_ns
            + (slept_ns < pause_ns + the.pause_ns ? slept_ns : pause_ns + the.pause_ns);

        began_ns = now_ns;
        pause_ns = 2 * the.pause_ns;
        if (++the.n_looks == PREPARE_AFTER)
            the.monitor->prepare();
        for (unsigned i = 0; i < gv_runtime.n_loops; i++)
            if (look_at(gv_runtime.loops[i], &the.watches[i], gap_ns))
                pause_ns = the.pause_ns;
        ended_ns = the.monitor->now_ns();
    }
}

/* --- life ------------------------------------------------------------------------------------- */

/* Under valgrind and the sanitizers all turns are long. */
static bool is_slowed(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return GV_SANITIZED || (preload != NULL && strstr(preload, "vgpreload") != NULL);
}

void gv_stall_open(void)
{
    const struct gv_monitor *monitor = gv_runtime.env->monitor;
    const char *wish = gv_option_text(GV_OPTION_STALL);
    int rc;

    the.monitor = NULL;
    if (monitor == NULL || strcmp(wish, "off") == 0 || (wish[0] == '\0' && is_slowed()))
        return;
    memset(the.watches, 0, sizeof the.watches);
    the.n_looks = 0;
    the.fail = strcmp(wish, "fail") == 0;
    the.threshold_ns = (uint64_t)gv_option_number(GV_OPTION_STALL_MS) * 1000000;
    the.pause_ns = the.threshold_ns / GV_STALL_LOOKS;
    the.n_in_minute_max = (uint32_t)gv_option_number(GV_OPTION_STALL_REPORTS);
    the.monitor = monitor;
    rc = monitor->start(watch_all, NULL);
    if (rc != 0) {
        the.monitor = NULL;
        gv_log(GV_LOG_WARN, "stall.unwatched", "error=%d", -rc);
    }
}

void gv_stall_close(void)
{
    if (the.monitor != NULL)
        the.monitor->join();
    for (unsigned i = 0; the.monitor != NULL && i < gv_runtime.n_loops; i++)
        finish(gv_runtime.loops[i], &the.watches[i]);
    /* the.monitor stays until the next open: a loop's thread may only now begin, and looks at it. */
}

void gv_stall_enter(struct gv_loop *loop)
{
    const struct gv_monitor *monitor = loop->env->monitor;

    if (monitor != NULL && the.monitor != NULL)
        /* release: pairs with the acquire in look_at. */
        atomic_store_explicit(&loop->thread, monitor->enter(), memory_order_release);
}

void gv_stall_leave(struct gv_loop *loop)
{
    struct gv_thread *thread = atomic_exchange_explicit(&loop->thread, NULL, memory_order_relaxed);

    if (thread != NULL)
        loop->env->monitor->leave(thread);
}
