#include "actors/monitor.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/task.h>

#include "actors/service.h"
#include "actors/watching.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/lend.h"
#include "runtime/log.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

static_assert(GV_METHODS_MAX < GV_NOTICE_FIRST, "no rpc has the number of a notice");

/* What a MONITOR carries there, and a DOWN back. */
struct notice {
    struct gv_message *before; /* in the list of the watched one; NULL: it is the first */
    uint64_t watched;          /* task id */
    struct grove_down down;
    char why[]; /* of a DOWN with a reason */
};

static struct notice *notice_of(const struct gv_message *message)
{
    return (struct notice *)(void *)message->body;
}

const char *grove_down_reason_name(enum grove_down_reason reason)
{
    static const char *const names[] = {"NONE",      "STOPPED",      "FAILED", "KILLED",  "NOACTOR",
                                        "ESCALATED", "NOCONNECTION", "FENCED", "UPGRADED"};

    return (unsigned)reason < sizeof names / sizeof names[0] ? names[reason] : "?";
}

/* --- the list of a watched one -------------------------------------------------------------------- */

/* Once a list could not be made, an address that comes is not trusted without a look at the list. */
static _Atomic bool some_refused;

static void put(struct gv_waitlist *list, struct gv_message *message)
{
    notice_of(message)->before = NULL;
    message->next = list->watchers;
    if (message->next != NULL)
        notice_of(message->next)->before = message;
    list->watchers = message;
}

static bool is_in(const struct gv_waitlist *list, const struct gv_message *message)
{
    const struct gv_message *at = list->watchers;

    /* relaxed: set on this very loop, if it matters here. */
    if (!atomic_load_explicit(&some_refused, memory_order_relaxed))
        return true;
    while (at != NULL && at != message)
        at = at->next;
    return at != NULL;
}

static void cut(struct gv_waitlist *list, struct gv_message *message)
{
    struct gv_message *before = notice_of(message)->before;

    if (before != NULL)
        before->next = message->next;
    else
        list->watchers = message->next;
    if (message->next != NULL)
        notice_of(message->next)->before = before;
}

/* --- ways ----------------------------------------------------------------------------------------- */

/* The number of the loop where a task, dead or alive, is or was at home. */
static unsigned home_of(uint64_t id)
{
    const struct gv_task *task = id != 0 ? gv_slot_task(id) : NULL;

    return task != NULL ? task->loop : 0; /* main, or nobody */
}

/* To its `to`, whoever lives there now. */
static void dispatch_to_home(struct gv_loop *loop, struct gv_message *message)
{
    unsigned home = home_of(message->to);

    if (home != loop->index)
        gv_loop_post(loop, home, message);
    else
        gv_monitor_came(loop, message->to != 0 ? gv_slot_find(message->to) : NULL, message);
}

/* The message with the reason's text behind it. Without memory, or a text, it stays as it is. */
static struct gv_message *with_text(struct gv_loop *loop, struct gv_message *message,
                                    const char *why)
{
    size_t bytes = why != NULL && why[0] != '\0' ? strlen(why) + 1 : 0;
    struct gv_message *larger =
        bytes > 0 ? gv_message_take(&loop->blocks, sizeof(struct notice) + bytes) : NULL;

    if (larger == NULL)
        return message;
    larger->from = message->from;
    *notice_of(larger) = *notice_of(message);
    memcpy(notice_of(larger)->why, why, bytes);
    notice_of(larger)->down.why = notice_of(larger)->why;
    gv_message_give(&loop->blocks, message);
    return larger;
}

/* A MONITOR goes back as DOWN. */
static void send_down(struct gv_loop *loop, struct gv_message *message,
                      const struct gv_ending *ending)
{
    struct grove_down *down;

    message = with_text(loop, message, ending->why);
    down = &notice_of(message)->down;
    down->reason = ending->reason;
    message->method = GV_NOTICE_DOWN;
    message->to = message->from;
    message->from = notice_of(message)->watched;
    dispatch_to_home(loop, message);
}

static void monitor_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_waitlist *list = task != NULL ? task->class->waitlist(task, true) : NULL;

    if (list != NULL) {
        put(list, message);
        return;
    }
    if (task != NULL) {
        atomic_store_explicit(&some_refused, true, memory_order_relaxed); /* as in is_in */
        send_down(loop, message,
                  &(struct gv_ending){GROVE_DOWN_NOCONNECTION, "there was no memory to watch it"});
        return;
    }
    send_down(loop, message, &(struct gv_ending){.reason = GROVE_DOWN_NOACTOR});
}

static void demonitor_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_waitlist *list = task != NULL ? task->class->waitlist(task, false) : NULL;
    struct gv_message *asked;

    memcpy(&asked, message->body, sizeof asked);
    gv_message_give(&loop->blocks, message);
    /* While the watched one lives, its list has all that came and did not leave this way. */
    if (list == NULL || list->watchers == NULL || !is_in(list, asked))
        return;
    cut(list, asked);
    gv_message_give(&loop->blocks, asked);
}

/* --- main's mail ---------------------------------------------------------------------------------- */

/* main has no task: its monitors, and the DOWNs that have come for it, are here. Loop 0's. */
static struct gv_waitlist of_main;
static struct gv_mailbox mail_of_main;

static void tell_main(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_wait *wait = loop->main_turn.wait;

    gv_assert(loop->index == 0);
    gv_assert(gv_mailbox_push(&mail_of_main, message, UINT32_MAX, UINT32_MAX) == 0);
    if (wait != NULL && wait->kind == GV_WAIT_MAIL && !wait->woken)
        gv_wake(loop, wait, 0);
}

int gv_monitor_receive_main(struct gv_loop *loop, uint32_t timeout_ms, struct gv_message **message)
{
    uint32_t deadline_ms = timeout_ms == GROVE_INFINITE ? 0 : gv_deadline_in(loop, timeout_ms);

    if (mail_of_main.head == NULL && (of_main.watching == NULL || of_main.watching->n == 0))
        return gv_usage("grove_receive_await: only a greenlet of grove_go has letters; main is "
                        "told of ends, once it has called grove_monitor");
    while (mail_of_main.head == NULL) {
        struct gv_wait wait;
        int rc;

        if (timeout_ms == 0)
            return GROVE_ETIMEDOUT;
        gv_wait_init(loop, &wait, GV_WAIT_MAIL, deadline_ms);
        rc = gv_park(loop, &wait);
        if (rc != 0)
            return rc;
    }
    *message = gv_mailbox_take(&mail_of_main);
    return 0;
}

void gv_monitors_close(struct gv_loop *loop)
{
    struct gv_message *message;

    while ((message = gv_mailbox_take(&mail_of_main)) != NULL)
        gv_message_give(&loop->blocks, message);
    free(of_main.watching);
    of_main = (struct gv_waitlist){0};
}

/* --- what came ------------------------------------------------------------------------------------ */

static void down_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (message->to == 0)
        tell_main(loop, message);
    else if (task != NULL)
        gv_task_push_always(loop, task, message);
    else
        gv_message_give(&loop->blocks, message);
}

void gv_monitor_came(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    switch (message->method) {
    case GV_SIGNAL_MONITOR:
        monitor_came(loop, task, message);
        break;
    case GV_SIGNAL_DEMONITOR:
        demonitor_came(loop, task, message);
        break;
    default:
        gv_assert(message->method == GV_NOTICE_DOWN);
        down_came(loop, task, message);
    }
}

bool gv_monitor_orphaned(struct gv_loop *loop, struct gv_message *message)
{
    if (message->method != GV_NOTICE_DOWN)
        return false;
    gv_message_give(&loop->blocks, message);
    return true;
}

void gv_monitors_forget(struct gv_loop *loop, struct gv_waitlist *list)
{
    struct gv_watching *set = list->watching;

    for (uint32_t i = 0; set != NULL && i < set->room; i++) {
        const struct gv_watch *watch = &set->watches[i];
        struct gv_message *message =
            watch->number != 0 ? gv_message_take(&loop->blocks, sizeof watch->message) : NULL;

        if (message == NULL)
            continue; /* Without memory its DOWN comes one day, for nobody. */
        message->method = GV_SIGNAL_DEMONITOR;
        message->to = watch->watched;
        memcpy(message->body, &watch->message, sizeof watch->message);
        dispatch_to_home(loop, message);
    }
    free(set);
    list->watching = NULL;
}

void gv_monitors_end(struct gv_loop *loop, const struct gv_task *task, struct gv_waitlist *list,
                     const struct gv_ending *ending)
{
    struct gv_message *message = list->watchers;

    (void)task;
    list->watchers = NULL;
    while (message != NULL) {
        struct gv_message *next = message->next;

        send_down(loop, message, ending);
        message = next;
    }
    gv_monitors_forget(loop, list);
}

/* --- turns of the watcher ------------------------------------------------------------------------- */

/* The task of the turn itself, also where a guest stands in for it; NULL for main. */
static struct gv_task *watcher(const struct gv_turn *turn)
{
    struct gv_task *task = turn->task;

    /* A guest's class has no waiting lists. */
    return task != NULL && task->class->waitlist == NULL ? gv_guest_task(task) : task;
}

static struct gv_waitlist *list_of(struct gv_task *task, bool make)
{
    return task != NULL ? task->class->waitlist(task, make) : &of_main;
}

/* True if the DOWN still tells something; then its monitor is over. */
static bool is_wanted(const struct gv_turn *turn, const struct gv_message *message)
{
    struct gv_waitlist *list = list_of(watcher(turn), false);
    struct gv_watch watch;

    return list != NULL
           && gv_watching_take(list->watching, notice_of(message)->down.monitor, &watch);
}

void gv_monitor_down_turn(struct gv_loop *loop, struct gv_actor *actor, struct gv_task *task,
                          struct gv_message *message)
{
    struct gv_turn turn;

    turn.task = task;
    turn.message = NULL;
    turn.method = NULL;
    turn.index = 0;
    turn.deadline_ms = 0;
    gv_turn_begin(loop, &turn);
    if (is_wanted(&turn, message))
        actor->type->service->down(actor->type->functions, gv_actor_state(actor),
                                   &notice_of(message)->down);
    if (gv_turn_has_failed(&turn))
        gv_actor_failed(&turn);
    gv_turn_settle(loop, &turn);
    gv_turn_end(loop, &turn);
    gv_message_give(&loop->blocks, message);
}

bool gv_monitor_is_down(const struct gv_message *message)
{
    return message->method == GV_NOTICE_DOWN;
}

bool gv_monitor_open_letter(struct gv_loop *loop, struct gv_message *message,
                            struct grove_letter *letter)
{
    struct gv_turn *turn = loop->turn;

    if (!is_wanted(turn, message)) {
        gv_message_give(&loop->blocks, message);
        return false;
    }
    *letter = (struct grove_letter){.down = &notice_of(message)->down,
                                    .from = notice_of(message)->down.ref};
    message->next = turn->held;
    turn->held = message;
    return true;
}

/* Why the running turn cannot watch ref; 0 if it can. */
static int obstacle(const struct gv_task *task, grove_ref ref)
{
    if (task == NULL)
        return 0;
    if (gv_ref_id(ref) == gv_task_id(task))
        return gv_usage("grove_monitor: nobody is there to be told of its own end; let another "
                        "actor watch this one");
    if (task->class == &gv_actor_class && !((const struct gv_actor *)task)->type->has_down)
        return gv_usage("grove_monitor: the functions struct of this actor has no .down; set it "
                        "to a function that takes a struct grove_down");
    return 0;
}

/* Enters a new monitor and makes its message. Returns NULL with a code in *rc. */
static struct gv_message *enter(struct gv_loop *loop, struct gv_waitlist *list, grove_ref ref,
                                int *rc)
{
    struct gv_message *message;
    uint64_t number;

    *rc = list != NULL ? gv_watching_reserve(&list->watching) : GROVE_ENOMEM;
    if (*rc != 0)
        return NULL;
    message = gv_message_take(&loop->blocks, sizeof(struct notice));
    if (message == NULL) {
        *rc = GROVE_ENOMEM;
        return NULL;
    }
    number = ++loop->n_monitors | (uint64_t)(loop->index + 1) << GV_WAIT_LOOP_SHIFT;
    *notice_of(message) = (struct notice){.watched = gv_ref_id(ref),
                                          .down = {.monitor = number, .ref = ref, .why = ""}};
    gv_watching_put(list->watching, (struct gv_watch){number, gv_ref_id(ref), message});
    return message;
}

int grove_monitor(grove_ref ref, grove_monitor_id *monitor)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_message *message;
    struct gv_task *task;
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_monitor");
    task = watcher(loop->turn);
    rc = obstacle(task, ref);
    if (rc != 0)
        return rc;
    message = enter(loop, list_of(task, true), ref, &rc);
    if (message == NULL)
        return gv_failed(rc, NULL);
    if (monitor != NULL)
        *monitor = notice_of(message)->down.monitor;
    message->method = GV_SIGNAL_MONITOR;
    message->to = gv_ref_id(ref);
    message->from = task != NULL ? gv_task_id(task) : 0;
    if (message->to != 0)
        dispatch_to_home(loop, message);
    else
        monitor_came(loop, NULL, message); /* Of no process of ours, or of nobody. */
    return 0;
}

int grove_demonitor(grove_monitor_id monitor)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_waitlist *list;
    struct gv_message *message;
    struct gv_watch watch;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_demonitor");
    list = list_of(watcher(loop->turn), false);
    if (list == NULL || !gv_watching_take(list->watching, monitor, &watch))
        return gv_failed(GROVE_ENOACTOR, "this monitor is over already, or is somebody else's");
    message = gv_message_take(&loop->blocks, sizeof watch.message);
    if (message == NULL)
        return 0; /* It is told in vain. */
    message->method = GV_SIGNAL_DEMONITOR;
    message->to = watch.watched;
    memcpy(message->body, &watch.message, sizeof watch.message);
    if (message->to != 0)
        dispatch_to_home(loop, message);
    else
        gv_message_give(&loop->blocks, message);
    return 0;
}
