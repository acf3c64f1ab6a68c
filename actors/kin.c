#include "actors/kin.h"

#include <sys/mman.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/mail.h"
#include "actors/post.h"
#include "runtime/doom.h"
#include "runtime/go.h"
#include "runtime/options.h"
#include "runtime/place.h"

#define TABLE_SLOTS ((size_t)GV_SLOT_CLASSES * GV_SLOT_INDEX_MAX + 1)
#define TABLE_BYTES (TABLE_SLOTS * sizeof(struct gv_kin))
#define SMALL_BYTES ((size_t)1 << 20) /* of each size class, never huge pages */
#define RETRY_MS    10u               /* without memory for a stop */
#define DEPTH_MAX   65536u            /* ancestors looked at */

struct gv_kin *gv_kin_table;

/* Parents that linger and could not tell their child for want of memory; by loop, linked by run_next. */
static struct {
    struct gv_timer timer;
    struct gv_task *first;
} untold[GV_LOOPS_MAX];

/* --- the table -------------------------------------------------------------------------------- */

int gv_kin_open(void)
{
    char *base;

    if (gv_kin_table != NULL)
        return 0;
    base = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return GROVE_ENOMEM;
    /* As the slots themselves; without them it is a table all the same. */
    for (size_t i = 0; gv_option_number(GV_OPTION_HUGE_PAGES) != 0 && i < GV_SLOT_CLASSES; i++)
        (void)madvise(base + i * (TABLE_BYTES / GV_SLOT_CLASSES) + SMALL_BYTES,
                      TABLE_BYTES / GV_SLOT_CLASSES - SMALL_BYTES, MADV_HUGEPAGE);
    gv_kin_table = (struct gv_kin *)(void *)base;
    return 0;
}

void gv_kin_close(void)
{
    if (gv_kin_table != NULL)
        (void)munmap(gv_kin_table, TABLE_BYTES); /* A failure only keeps address space. */
    gv_kin_table = NULL;
}

bool gv_kin_descends(uint64_t id, const struct gv_task *ancestor)
{
    const struct gv_task *task = gv_slot_find(id);

    /* One that is dead, and whose slot others have, may lead anywhere, but not for ever. */
    for (uint32_t i = 0; task != NULL && i < DEPTH_MAX; i++) {
        task = gv_kin_parent(task);
        if (task == ancestor)
            return true;
    }
    return false;
}

/* --- spawned by one that is lent ------------------------------------------------------------------ */

void gv_kin_send_home(struct gv_loop *loop, const struct gv_task *guest, struct gv_task *child,
                      struct gv_message *init, grove_ref *ref)
{
    child->child = 1;
    if (ref != NULL)
        *ref = gv_task_ref(child);
    /* relaxed: a figure for reports and placement. */
    atomic_fetch_add_explicit(&gv_runtime.loops[child->loop]->n_sent_in, 1, memory_order_relaxed);
    gv_probe(&loop->probes, SPAWN, gv_task_id(child), child->loop);
    init->method = GV_SIGNAL_ADOPT;
    init->to = gv_task_id(guest);
    init->from = gv_task_id(child);
    gv_loop_post(loop, guest->loop, init);
}

static void adopt(struct gv_loop *loop, struct gv_task *parent, struct gv_message *message)
{
    struct gv_task *child = gv_slot_task(message->from);

    /* It has come before the guest of its parent. */
    gv_assert(parent != NULL);
    gv_kin_link(parent, child, child->loop != loop->index ? GV_KIN_FAR : 0);
    message->method = GV_SIGNAL_INIT;
    message->to = message->from;
    message->from = 0;
    if (child->loop != loop->index) {
        gv_loop_post(loop, child->loop, message);
        return;
    }
    child->arrived = 1;
    child->class->signal(loop, child, message);
}

/* --- telling a child -------------------------------------------------------------------------- */

static void retry(struct gv_timer *timer);

static void tell_later(struct gv_loop *loop, struct gv_task *parent)
{
    for (struct gv_task *task = untold[loop->index].first; task != NULL; task = task->run_next)
        if (task == parent)
            return;
    parent->run_next = untold[loop->index].first;
    untold[loop->index].first = parent;
    if (parent->run_next != NULL)
        return;
    gv_timer_init(&untold[loop->index].timer, retry);
    gv_wheel_arm(&loop->wheel, &untold[loop->index].timer, gv_deadline_in(loop, RETRY_MS));
}

/* The newest child of one that lingers is told to stop. */
static void tell(struct gv_loop *loop, struct gv_task *parent)
{
    const struct gv_rare *rare = gv_actor_rare((struct gv_actor *)parent);
    const struct gv_kin *kin = gv_kin_of(parent);
    enum grove_stop_mode mode =
        (enum grove_stop_mode)((kin->first & GV_KIN_MODE) >> GV_KIN_MODE_SHIFT);
    struct gv_task *child = gv_kin_task(kin->first & GV_KIN_NUMBER);
    uint32_t until_ms = rare != NULL ? rare->linger_ms : 0;
    struct gv_message *message;

    if (until_ms == 0 && child->loop == loop->index) {
        gv_actor_stop(loop, child, mode);
        return;
    }
    message = gv_message_take(&loop->blocks, sizeof(struct gv_stop_body));
    if (message == NULL) {
        tell_later(loop, parent);
        return;
    }
    message->method = GV_SIGNAL_STOP;
    message->to = gv_task_id(child);
    message->call = 0;
    message->deadline_ms = until_ms;
    ((struct gv_stop_body *)(void *)message->body)->mode = mode;
    gv_signal_send(loop, child, message);
}

/* A child of one that lingers has ended, or it has just begun to. */
static void go_on(struct gv_loop *loop, struct gv_task *parent)
{
    struct gv_kin *kin = gv_kin_of(parent);

    if ((kin->first & GV_KIN_NUMBER) != 0) {
        tell(loop, parent);
        return;
    }
    kin->first = 0;
    parent->flags &= (uint8_t)~GV_TASK_BUSY;
    gv_sched_ready(loop, parent);
}

void gv_kin_goes_on(struct gv_loop *loop, const struct gv_kin *above)
{
    go_on(loop, gv_kin_task((uint32_t)(above - gv_kin_table)));
}

static void retry(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_task *task = untold[loop->index].first, *next;

    (void)timer;
    untold[loop->index].first = NULL;
    for (; task != NULL; task = next) {
        next = task->run_next;
        task->run_next = NULL;
        if (gv_kin_of(task)->first & GV_KIN_NUMBER)
            tell(loop, task);
    }
}

/* --- lingering ------------------------------------------------------------------------------------ */

/* How the children of one whose incarnation is over are stopped. */
static enum grove_stop_mode mode_of(struct gv_loop *loop, struct gv_actor *actor)
{
    const struct gv_task *task = &actor->task;
    struct gv_rare *rare = gv_actor_rare(actor);

    if (rare != NULL) {
        rare->linger_ms = rare->waitlist.doom != NULL ? rare->waitlist.doom->deadline_ms
                          : task->failed              ? gv_deadline_in(loop, GV_KIN_FAILED_MS)
                                                      : 0;
    }
    if (task->failed || task->killed)
        return GROVE_STOP_KILL;
    return task->flags & GV_TASK_NOW ? GROVE_STOP_NOW : GROVE_STOP_DRAIN;
}

bool gv_kin_linger(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_task *task = &actor->task;
    struct gv_kin *kin = gv_kin_of(task);

    if (kin->first == 0)
        return false;
    if (task->turn != NULL)
        (void)gv_actor_bury(loop, actor); /* deinit has not begun: there are no children by then. */
    kin->first |= GV_KIN_LINGERS | (uint32_t)mode_of(loop, actor) << GV_KIN_MODE_SHIFT;
    task->flags |= GV_TASK_BUSY | GV_TASK_NOW;
    if (task->flags & GV_TASK_STOPPING)
        gv_task_orphan_mail(loop, task, GROVE_ESTOPPING);
    else if (gv_actor_post(actor) != NULL)
        gv_post_lingers(loop, actor);
    go_on(loop, task);
    return true;
}

void gv_kin_told(struct gv_loop *loop, struct gv_actor *actor, enum grove_stop_mode mode)
{
    struct gv_task *task = &actor->task;
    struct gv_kin *kin = gv_kin_of(task);

    if (!(kin->first & GV_KIN_LINGERS))
        return;
    if (task->flags & GV_TASK_STOPPING)
        gv_task_orphan_mail(loop, task, GROVE_ESTOPPING);
    if (mode <= (enum grove_stop_mode)((kin->first & GV_KIN_MODE) >> GV_KIN_MODE_SHIFT))
        return;
    kin->first = (kin->first & ~GV_KIN_MODE) | (uint32_t)mode << GV_KIN_MODE_SHIFT;
    tell(loop, task);
}

void gv_kin_abandon(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);
    uint32_t now_ms = gv_deadline_in(loop, 0);

    /* That has been told to them already, unless it came when they were stopping. */
    if (rare == NULL || (rare->linger_ms != 0 && !gv_ms_before(now_ms, rare->linger_ms)))
        return;
    rare->linger_ms = now_ms;
    tell(loop, &actor->task);
}

/* --- the end of a child --------------------------------------------------------------------------- */

static void post_dead(struct gv_loop *loop, struct gv_message *message, uint16_t method,
                      const struct gv_task *to)
{
    message->method = method;
    message->to = gv_task_id(to);
    gv_loop_post(loop, to->loop, message);
}

/* The message lies behind the head of the dead slot. */
static struct gv_task *dead_of(struct gv_message *message)
{
    return (struct gv_task *)(void *)message - 1;
}

static_assert(sizeof(struct gv_task) + sizeof(struct gv_message) <= GV_SLOT_BYTES_MIN,
              "a dead slot carries its own message");

void gv_kin_leave_far(struct gv_loop *loop, struct gv_task *task, uint32_t parent)
{
    struct gv_message *message = (struct gv_message *)(void *)(task + 1);

    gv_task_check_leave(task);
    gv_probe(&loop->probes, STOP, gv_task_id(task), loop->index);
    gv_slot_kill(task);
    *message = (struct gv_message){.from = gv_task_id(task)};
    post_dead(loop, message, GV_SIGNAL_DEAD, gv_kin_task(parent));
}

/* With the home of its parent. */
static void dead_came(struct gv_loop *loop, struct gv_task *parent, struct gv_message *message)
{
    struct gv_task *child = dead_of(message);

    gv_assert(parent != NULL);
    gv_kin_unlink(gv_kin_of(child), gv_kin_of(parent));
    post_dead(loop, message, GV_SIGNAL_DEAD_HOME, child);
    if (gv_kin_lingers(parent))
        go_on(loop, parent);
}

static void dead_is_home(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_task *task = dead_of(message);

    if (task->anywhere)
        gv_figure_set(&loop->n_chosen_ended, loop->n_chosen_ended + 1);
    gv_slot_give_dead(&loop->slots, task);
    gv_loop_count(loop, -1);
}

void gv_kin_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (message->method == GV_SIGNAL_ADOPT)
        adopt(loop, task, message);
    else if (message->method == GV_SIGNAL_DEAD)
        dead_came(loop, task, message);
    else
        dead_is_home(loop, message);
}
