#include "runtime/go.h"

#include <stdio.h>
#include <string.h>

#include <grove/error.h>
#include <grove/task.h>

#include "runtime/assert.h"
#include "runtime/doom.h"
#include "runtime/lend.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define LABEL_BYTES  32u
#define AHEAD_MAX_MS (GV_TIMER_AHEAD_MAX_MS - 2)

struct greenlet {
    struct gv_task task;
    grove_go_fn function;
    void *argument;
    struct gv_waitlist waitlist;
    char label[LABEL_BYTES];
    unsigned char copied[]; /* the argument, if it was copied */
};

/* --- waiting ---------------------------------------------------------------------------------- */

uint32_t gv_deadline_in(struct gv_loop *loop, uint32_t timeout_ms)
{
    uint32_t deadline_ms;

    gv_loop_look(loop);
    /* Half the circle is as far as a deadline can be told from a past one. One more, as the tick has begun already. */
    deadline_ms = loop->now_ms + (timeout_ms < AHEAD_MAX_MS ? timeout_ms : AHEAD_MAX_MS) + 1;
    return deadline_ms != 0 ? deadline_ms : 1;
}

/* The loop of the running turn, or NULL where nothing may suspend. */
static struct gv_loop *suspendable(void)
{
    struct gv_loop *loop = gv_loop_now();

    return loop != NULL && loop->turn != NULL ? loop : NULL;
}

int grove_can_await(void)
{
    return suspendable() != NULL;
}

static void sleep_over(struct gv_timer *timer)
{
    struct gv_wait *wait = (struct gv_wait *)((char *)timer - offsetof(struct gv_wait, timer));

    if (!wait->woken) /* A stop may have been quicker, and its turn not have come yet. */
        gv_wake(gv_loop_here, wait, 0);
}

int grove_sleep_await(uint32_t timeout_ms)
{
    struct gv_loop *loop = suspendable();
    struct gv_wait wait;
    int rc;

    if (loop == NULL)
        return gv_usage_wait("grove_sleep_await");
    if (timeout_ms == 0)
        return grove_yield_await();
    gv_loop_look(loop);
    gv_wait_init(loop, &wait, GV_WAIT_SLEEP, 0);
    /* Not a deadline of the wait, which is told in ms: a sleep is worth more precision than a timeout. */
    gv_timer_init(&wait.timer, sleep_over);
    gv_wheel_arm_exactly(&loop->wheel, &wait.timer,
                         gv_epoch_grains(loop->now_ns + (uint64_t)timeout_ms * 1000000 - 1) + 1);
    rc = gv_park(loop, &wait);
    gv_wheel_disarm(&loop->wheel,
                    &wait.timer); /* A stop woke it before its time, or it did not park. */
    return rc;
}

int grove_yield_await(void)
{
    struct gv_loop *loop = suspendable();

    return loop != NULL ? gv_yield(loop) : gv_usage_wait("grove_yield_await");
}

/* --- tasks ------------------------------------------------------------------------------------ */

int gv_task_bound_to(struct gv_task *task, uint32_t depth_max, uint32_t bytes_max)
{
    uint64_t depth = depth_max != 0 ? depth_max : gv_runtime.usual.depth_max;
    uint64_t units =
        bytes_max != 0 ? gv_task_bytes_units(bytes_max) : gv_runtime.usual.bytes_max_64k;

    if (depth >= 1u << 20 || units >= 1u << 12)
        return gv_usage("a mailbox has at most %u messages and %u MiB; not %u and %u bytes",
                        (1u << 20) - 1, 255u, depth_max, bytes_max);
    task->bounds.depth_max = (uint32_t)depth;
    task->bounds.bytes_max_64k = (uint32_t)units;
    return 0;
}

void gv_task_push_always(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (task->flags & GV_TASK_WAITED) {
        /* Nobody's share is charged with it, so it is never refused. */
        gv_assert(message->call == 0);
        (void)gv_task_wait_for_room(task, message);
        return;
    }
    gv_assert(gv_mailbox_push(&task->mailbox, message, UINT32_MAX, UINT32_MAX) == 0);
    if (task->flags & GV_TASK_RECEIVING)
        gv_task_mail_came(loop, task);
    else
        gv_sched_ready(loop, task);
}

int gv_task_wait_for_room(struct gv_task *task, struct gv_message *message)
{
    struct gv_waitlist *list = task->class->waitlist(task, true);
    int rc;

    if (list == NULL)
        return GROVE_ENOMEM;
    rc = gv_waitlist_push(list, message, (uint32_t)task->bounds.bytes_max_64k << 16);
    if (rc == 0)
        task->flags |= GV_TASK_WAITED;
    return rc;
}

/* A message has left the list. */
static struct gv_message *left_list(struct gv_task *task, const struct gv_waitlist *list,
                                    struct gv_message *message)
{
    if (list->n == 0)
        task->flags &= (uint8_t)~GV_TASK_WAITED;
    return message;
}

static struct gv_message *take_waiting(struct gv_task *task)
{
    struct gv_waitlist *list = task->class->waitlist(task, false);

    return left_list(task, list, gv_waitlist_take(list));
}

void gv_task_let_in(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_waitlist *list = task->class->waitlist(task, false);

    if (gv_mailbox_depth(&task->mailbox) > task->bounds.depth_max / 2)
        return;
    while (task->flags & GV_TASK_WAITED) {
        struct gv_message *message = list->head, *after = message->next;

        if (gv_task_push(loop, task, message) != 0)
            return;
        /* The push has used the link of the list. */
        gv_waitlist_shift(list, message, after);
        if (list->n == 0)
            task->flags &= (uint8_t)~GV_TASK_WAITED;
        gv_runtime.upcalls->entered(loop, message);
    }
}

struct gv_message *gv_task_take_oldest(struct gv_task *task, uint16_t method)
{
    struct gv_message *message = gv_mailbox_take_oldest(&task->mailbox, method);
    struct gv_waitlist *list;

    if (message != NULL || !(task->flags & GV_TASK_WAITED))
        return message;
    list = task->class->waitlist(task, false);
    return left_list(task, list, gv_waitlist_take_oldest(list, method));
}

struct gv_message *gv_task_take_back(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    struct gv_message *message = gv_mailbox_remove(&task->mailbox, call);

    if (message == NULL && gv_task_is_out(task))
        gv_lend_take_back(loop, task, call); /* Or it waits for room. */
    if (!(task->flags & GV_TASK_WAITED))
        return message;
    if (message == NULL) {
        struct gv_waitlist *list = task->class->waitlist(task, false);

        return left_list(task, list, gv_waitlist_remove(list, call));
    }
    /* This made room, and nothing else may come by that would see it. */
    gv_task_let_in(loop, task);
    return message;
}

/* Cancels the turn, or turns, that handle this call, 0 for any. False if there is none. */
static bool cancel_turns(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    struct gv_turn *turn = task->turn;

    if (task->class->cancel != NULL && task->flags & GV_TASK_RECEIVING)
        return task->class->cancel(loop, task, call);
    if (turn == NULL || (call != 0 && (turn->message == NULL || turn->message->call != call)))
        return false;
    gv_turn_cancel(loop, turn);
    return true;
}

bool gv_task_give_up(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    struct gv_message *request = gv_task_take_back(loop, task, call);

    if (request != NULL) {
        bool begun = request->form_flags & GV_FLAG_BEGUN;

        gv_message_give(&loop->blocks, request);
        return !begun;
    }
    /* By the call, not by the task: the next message's turn may have begun. */
    if (!cancel_turns(loop, task, call) && !gv_task_is_out(task)
        && gv_runtime.upcalls->forgotten != NULL)
        gv_runtime.upcalls->forgotten(loop, task, call);
    return false;
}

void gv_task_cancel_request(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    uint64_t call;

    memcpy(&call, message->body, sizeof call);
    gv_message_give(&loop->blocks, message);
    (void)gv_task_give_up(loop, task, call); /* Who asked is on another loop, and asks no more. */
}

void gv_task_orphan_mail(struct gv_loop *loop, struct gv_task *task, int code)
{
    struct gv_message *message;

    while ((message = gv_mailbox_take(&task->mailbox)) != NULL)
        gv_runtime.upcalls->orphaned(loop, message, code);
    while (task->flags & GV_TASK_WAITED)
        gv_runtime.upcalls->orphaned(loop, take_waiting(task), code);
}

void gv_task_end(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_waitlist *list = task->class->waitlist(task, false);
    struct gv_message *waiters = list != NULL ? list->stop_waiters : NULL;

    if (list != NULL)
        gv_doom_lift(loop, list);
    gv_task_orphan_mail(loop, task, GROVE_ENOACTOR);
    if (list != NULL && (list->watchers != NULL || list->watching != NULL))
        gv_runtime.upcalls->watched_ended(loop, task, list);
    gv_task_leave(loop, task);
    gv_task_ended(loop, waiters);
}

void gv_task_ended(struct gv_loop *loop, struct gv_message *waiters)
{
    while (waiters != NULL) {
        struct gv_message *next = waiters->next;

        waiters->code = 0;
        gv_runtime.upcalls->answer(loop, waiters);
        waiters = next;
    }
}

void gv_task_tell_end(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    struct gv_waitlist *list;

    if (message->call == 0) {
        gv_message_give(&loop->blocks, message);
        return;
    }
    list = task->class->waitlist(task, true);
    if (list == NULL) {
        message->code = GROVE_ENOMEM;
        gv_runtime.upcalls->answer(loop, message);
        return;
    }
    message->next = list->stop_waiters;
    list->stop_waiters = message;
}

void gv_task_cancel(struct gv_loop *loop, struct gv_task *task)
{
    task->flags |= GV_TASK_STOPPING; /* A greenlet that has not begun looks at it. */
    if (gv_task_is_out(task))
        gv_lend_stop(loop, task, true);
    else
        (void)cancel_turns(loop, task, 0); /* One that waits for nothing is as good. */
}

/* --- mail in straight lines --------------------------------------------------------------------- */

void gv_task_mail_came(struct gv_loop *loop, struct gv_task *task)
{
    if (task->class->mail_came != NULL) {
        task->class->mail_came(loop, task);
        return;
    }
    task->flags &= (uint8_t)~GV_TASK_RECEIVING;
    if (!task->turn->wait->woken)
        gv_wake(loop, task->turn->wait, 0);
}

int gv_receive(struct gv_loop *loop, uint32_t timeout_ms, struct gv_message **message)
{
    struct gv_turn *turn = loop->turn;
    uint32_t deadline_ms = timeout_ms == GROVE_INFINITE ? 0 : gv_deadline_in(loop, timeout_ms);

    if (turn->task == NULL || !gv_task_is_greenlet(turn->task))
        return gv_usage("grove_receive_await: only a greenlet of grove_go has letters");
    while (turn->task->mailbox.head == NULL) {
        struct gv_wait wait;
        int rc;

        if (turn->cancelled)
            return GROVE_ECANCELED;
        if (timeout_ms == 0)
            return GROVE_ETIMEDOUT;
        gv_wait_init(loop, &wait, GV_WAIT_MAIL, deadline_ms);
        turn->task->flags |= GV_TASK_RECEIVING;
        rc = gv_park(loop, &wait);
        turn->task->flags &= (uint8_t)~GV_TASK_RECEIVING;
        if (rc != 0)
            return rc;
    }
    if (turn->barred) {
        int rc = gv_turn_barred(loop, gv_await_name(GV_WAIT_MAIL));

        if (rc != 0)
            return rc;
    }
    *message = gv_mailbox_take(&turn->task->mailbox);
    if (turn->task->flags & GV_TASK_WAITED)
        gv_task_let_in(loop, turn->task);
    return 0;
}

/* --- greenlets ---------------------------------------------------------------------------------- */

static void run_greenlet(struct gv_loop *loop, struct gv_task *task)
{
    struct greenlet *me = (struct greenlet *)task;
    struct gv_turn turn = {.task = task};

    loop->budget--;
    task->flags |= GV_TASK_BUSY;
    /* At its stop deadline there is only the end, of a turn that was abandoned, or before any. */
    if (task->turn != NULL) {
        gv_runtime.upcalls->bury(loop, task);
    } else if (!(task->flags & GV_TASK_NOW)) {
        gv_turn_begin(loop, &turn);
        if (task->flags & GV_TASK_STOPPING)
            turn.cancelled = 1;
        me->function(me->argument);
        gv_runtime.upcalls->turn_ending(loop, &turn);
        gv_turn_end(loop, &turn);
    }
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    gv_task_end(loop, task);
}

/* Every way to stop a greenlet is to end its waiting: only it knows how to tidy up. */
static void signal_greenlet(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (message->method == GV_SIGNAL_STOP) {
        task->flags |= GV_TASK_STOPPING;
        gv_task_cancel(loop, task);
        if (message->deadline_ms != 0)
            gv_doom_set(loop, task, message);
        else
            gv_task_tell_end(loop, task, message);
        return;
    }
    if (message->method == GV_SIGNAL_INIT) {
        task->flags &= (uint8_t)~GV_TASK_BUSY;
        gv_sched_ready(loop, task);
    } else if (message->method == GV_SIGNAL_CANCEL) {
        gv_task_cancel_request(loop, task, message);
        return;
    }
    gv_message_give(&loop->blocks, message);
}

static struct gv_waitlist *greenlet_waitlist(struct gv_task *task, bool make)
{
    (void)make; /* It always has one. */
    return &((struct greenlet *)task)->waitlist;
}

static void describe_greenlet(const struct gv_task *task, char *text, size_t room)
{
    const struct greenlet *me = (const struct greenlet *)task;

    (void)snprintf(text, room, "greenlet/%s",
                   me->label[0] != '\0' ? me->label : "unnamed"); /* A cut name is still a name. */
}

static void peek_greenlet(const struct gv_task *task, gv_read_fn read, char *text, size_t room)
{
    struct greenlet me;

    if (!read(task, &me, offsetof(struct greenlet, copied)))
        return;
    me.label[sizeof me.label - 1] = '\0';
    describe_greenlet(&me.task, text, room);
}

static const struct gv_task_class greenlet_class = {
    .name = "greenlet",
    .run = run_greenlet,
    .signal = signal_greenlet,
    .waitlist = greenlet_waitlist,
    .describe = describe_greenlet,
    .peek = peek_greenlet,
    .form = GV_FORM_STRUCT,
    .kind = GROVE_REF_ACTOR,
};

bool gv_task_is_greenlet(const struct gv_task *task)
{
    return task->class == &greenlet_class;
}

/* Fills a new greenlet. Returns 0 or GROVE_EUSAGE. */
static int fill(struct greenlet *me, grove_go_fn function, void *argument,
                const struct grove_spawn_options *options)
{
    int rc = gv_task_bound(&me->task, options->depth_max, options->bytes_max);

    if (rc != 0)
        return rc;
    me->function = function;
    me->argument = argument;
    if (options->argument_bytes > 0)
        me->argument = memcpy(me->copied, argument, options->argument_bytes);
    if (options->label != NULL)
        (void)snprintf(me->label, sizeof me->label, "%s",
                       options->label); /* A cut label is still a label. */
    return 0;
}

/* Lets it have its turn, on its home loop. */
static int start(struct gv_loop *loop, struct gv_task *task, grove_ref *ref)
{
    struct gv_message *init;

    if (task->loop == loop->index) {
        gv_place_here(loop, task, ref);
        gv_sched_ready(loop, task);
        return 0;
    }
    init = gv_message_take(&loop->blocks, 0);
    if (init == NULL)
        return GROVE_ENOMEM;
    task->flags =
        GV_TASK_BUSY; /* Until INIT has come, mail only queues: a far sender may be faster. */
    gv_place_start(loop, task, init, ref);
    return 0;
}

int grove_go(grove_go_fn function, void *argument, const struct grove_spawn_options *options,
             grove_ref *ref)
{
    static const struct grove_spawn_options defaults;
    struct gv_loop *loop = gv_loop_now();
    struct gv_task *task;
    int rc;

    if (options == NULL)
        options = &defaults;
    if (loop == NULL)
        return gv_usage_thread("grove_go");
    if (function == NULL)
        return gv_usage("grove_go: there is no function");
    if (options->argument_bytes > 0 && argument == NULL)
        return gv_usage(
            "grove_go: the argument is NULL, and argument_bytes says that there is one");
    rc = gv_place_task(loop, options->place, &greenlet_class,
                       sizeof(struct greenlet) + options->argument_bytes, &task);
    if (rc != 0)
        return gv_failed(rc, rc == GROVE_ETOOBIG ? "grove_go: argument_bytes is over about 3900; "
                                                   "pass a pointer, with 0 bytes"
                                                 : NULL);
    rc = fill((struct greenlet *)task, function, argument, options);
    if (rc == 0)
        rc = start(loop, task, ref);
    if (rc != 0)
        gv_place_undo(loop, task);
    return rc == 0 ? 0 : gv_failed(rc, NULL);
}
