#include "runtime/lend.h"

#include <string.h>

#include "runtime/assert.h"
#include "runtime/doom.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define READY_LOOK_MAX 64u /* tasks of the run queue looked at in one round */
#define READY_ENOUGH   3u  /* who has so many guests to run is sated */
#define WORTH_NS \
    20000u /* the least work that is worth the way, which costs both sides about 1 µs */
#define TICKS_GIVEN 3u       /* so many times tick_us of work goes to a hungry loop at once */
#define BATCH_NS    1000000u /* a batch is no more work than this, so that its task is soon home */
#define FORCED_MAX  8u       /* the largest batch that chance draws */

struct gv_loan {
    struct gv_task guest;
    struct gv_task *task; /* at home, out */
    uint64_t charge;      /* of the batch, in the load of the mailbox at home */
    struct gv_loan *next; /* of those its borrower has */
    uint8_t borrower; /* set before it leaves, and never again: its home reads it while it is out */
};

struct tell {
    uint64_t call; /* the one that is given up; 0: stop */
    bool cancel;
    bool abandon;
};

static const struct gv_wait wait_out = {.kind = GV_WAIT_OUT};
const struct gv_turn gv_turn_out = {.wait = (struct gv_wait *)&wait_out};

static struct gv_loan *loan_of(const struct gv_task *guest)
{
    return (struct gv_loan *)((char *)guest - offsetof(struct gv_loan, guest));
}

static struct gv_message *message_of(struct gv_loan *loan)
{
    return (struct gv_message *)((char *)loan - offsetof(struct gv_message, body));
}

struct gv_task *gv_guest_task(const struct gv_task *guest)
{
    return loan_of(guest)->task;
}

bool gv_guest_peek(const struct gv_task *guest, gv_read_fn read, const struct gv_task **task)
{
    return read(&loan_of(guest)->task, task, sizeof *task);
}

unsigned gv_lend_borrower(const struct gv_task *task)
{
    gv_assert(gv_task_is_out(task));
    return loan_of(task->run_next)->borrower;
}

uint64_t gv_lend_charge(const struct gv_task *task)
{
    gv_assert(gv_task_is_out(task));
    return loan_of(task->run_next)->charge;
}

/* --- hunger ----------------------------------------------------------------------------------- */

void gv_lend_open(struct gv_loop *loop)
{
    loop->lending.mode = (uint8_t)gv_option_number(GV_OPTION_LEND);
    loop->lending.fed = loop->index;
}

void gv_lend_learn(struct gv_loop *loop, uint32_t n, uint64_t took_ns)
{
    uint64_t message_ns = took_ns / n;
    uint32_t late_ns = message_ns < UINT32_MAX / 4 ? (uint32_t)message_ns : UINT32_MAX / 4;

    loop->lending.message_ns += late_ns / 4 - loop->lending.message_ns / 4;
}

/* Of the run queue, at most n_max. */
static uint32_t count_ready(const struct gv_loop *loop, uint32_t n_max)
{
    uint32_t n = 0;

    for (const struct gv_task *task = loop->run_head; task != NULL && n < n_max;
         task = task->run_next)
        n++;
    return n;
}

/* What it says of its hunger. Who has work of its own is sated: that may take long, and hold up a guest. */
static uint8_t hunger(const struct gv_loop *loop)
{
    uint8_t n = 0;

    if (loop->index == 0 || loop->ready_head != NULL)
        return 0;
    for (const struct gv_task *task = loop->run_head; task != NULL; task = task->run_next)
        if (task->loop == loop->index || ++n == READY_ENOUGH)
            return 0;
    return n + 1;
}

void gv_lend_ask(struct gv_loop *loop)
{
    uint8_t hungry = hunger(loop);

    /* relaxed, all of it: a hint. What is lent comes through the inbox. */
    if (atomic_load_explicit(&loop->lending.hungry, memory_order_relaxed) != hungry)
        atomic_store_explicit(&loop->lending.hungry, hungry, memory_order_relaxed);
}

/* --- out -------------------------------------------------------------------------------------- */

static bool may_leave(const struct gv_task *task)
{
    uint8_t rest = task->flags & (uint8_t) ~(GV_TASK_LINGERS | GV_TASK_WAITED);

    return rest == GV_TASK_QUEUED && task->class->guest != NULL && !task->pinned
           && task->mailbox.head != NULL;
}

/* Takes the task behind `before` (NULL: the first one) out of the run queue. */
static struct gv_task *unqueue(struct gv_loop *loop, struct gv_task *before)
{
    struct gv_task **place = before != NULL ? &before->run_next : &loop->run_head;
    struct gv_task *task = *place;

    *place = task->run_next;
    if (loop->run_tail == task)
        loop->run_tail = before;
    task->flags &= (uint8_t) ~(GV_TASK_QUEUED | GV_TASK_LINGERS);
    return task;
}

/* Lends the first n_max messages of the task behind `before` to a loop. False without memory. */
static bool lend(struct gv_loop *loop, struct gv_task *before, unsigned to, uint32_t n_max)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_loan));
    struct gv_loan *loan;
    struct gv_task *task;

    if (message == NULL)
        return false;
    task = unqueue(loop, before);
    loan = (struct gv_loan *)(void *)message->body;
    *loan = (struct gv_loan){
        .guest = {.class = task->class->guest, .loop = task->loop, .arrived = 1},
        .task = task,
        .borrower = (uint8_t)to,
    };
    atomic_init(&loan->guest.id, gv_task_id(task));
    loan->charge = gv_mailbox_detach(&task->mailbox, &loan->guest.mailbox, n_max);
    task->flags |= GV_TASK_BUSY;
    task->turn = (struct gv_turn *)&gv_turn_out;
    task->run_next = &loan->guest;
    loop->lending.n_out++;
    gv_figure_set(&loop->stats.lent, loop->stats.lent + 1);
    gv_probe(&loop->probes, LEND, gv_task_id(task), to);
    message->method = GV_SIGNAL_LEND;
    gv_loop_post(loop, to, message);
    return true;
}

/* How many messages make a batch of proper size. */
static uint32_t batch_max(const struct gv_loop *loop)
{
    uint32_t n = BATCH_NS / (loop->lending.message_ns + 1);

    return n == 0 ? 1 : n < GV_LEND_BATCH ? n : GV_LEND_BATCH;
}

/*
 * Lends what has waited since the last look at the world to a loop that has n_there tasks left,
 * until it has enough for a while, or as many as are left here. The first
 * task stays: its turn is next. False if there was nothing to lend.
 */
static bool lend_some(struct gv_loop *loop, unsigned to, uint32_t n_there)
{
    uint32_t n_here = count_ready(loop, READY_LOOK_MAX);
    uint64_t left_ns = (uint64_t)loop->tick_us * 1000 * TICKS_GIVEN;
    uint32_t n_max = batch_max(loop);
    struct gv_task *before = loop->run_head;
    bool any = false;

    for (uint32_t i = 1, n = n_here; i < n && n_here >= n_there + 2; i++) {
        struct gv_task *task = before->run_next;
        uint32_t depth = gv_mailbox_depth(&task->mailbox);
        uint64_t ns = (uint64_t)loop->lending.message_ns * (depth < n_max ? depth : n_max);

        if (!(task->flags & GV_TASK_LINGERS) || ns < WORTH_NS || !may_leave(task)) {
            before = task;
            continue;
        }
        if (loop->lending.n_out == GV_LEND_OUT_MAX || !lend(loop, before, to, n_max))
            break;
        any = true;
        n_here--;
        n_there++;
        if (ns >= left_ns)
            break;
        left_ns -= ns;
    }
    return any;
}

/* Marks the first of the run queue. Who bears the mark the next time has not run since. */
static void mark_lingering(struct gv_loop *loop)
{
    uint32_t n = 0;

    for (struct gv_task *task = loop->run_head; task != NULL && n < READY_LOOK_MAX;
         task = task->run_next, n++)
        task->flags |= GV_TASK_LINGERS;
}

static void lend_by_chance(struct gv_loop *loop)
{
    struct gv_task *before = NULL, *next;

    loop->budget = 1; /* What becomes ready in this tick shall not be run in it. */
    for (struct gv_task *task = loop->run_head; task != NULL; task = next) {
        uint32_t to;

        next = task->run_next;
        if (may_leave(task) && loop->lending.n_out < GV_LEND_OUT_MAX) {
            to = loop->env->choose(loop->env->world, gv_runtime.n_loops, GV_CHOICE_LOOP);
            if (to != 0 && to != loop->index
                && lend(loop, before, to,
                        1 + loop->env->choose(loop->env->world, FORCED_MAX, GV_CHOICE_LOOP)))
                continue;
        }
        before = task;
    }
}

/* Lends to the hungry ones, in turn. True if there was one. */
static bool lend_to_hungry(struct gv_loop *loop)
{
    unsigned n_loops = gv_runtime.n_loops, first = loop->lending.fed;
    bool any = false;

    for (unsigned i = 1; i <= n_loops; i++) {
        unsigned to = (first + i) % n_loops;
        _Atomic uint8_t *hungry = &gv_runtime.loops[to]->lending.hungry;
        uint8_t n_there; /* plus 1 */

        /* relaxed, as in ask; the exchange lets one lender feed it. */
        if (to == loop->index || atomic_load_explicit(hungry, memory_order_relaxed) == 0)
            continue;
        any = true;
        if (loop->run_head->run_next == NULL)
            break;
        n_there = atomic_exchange_explicit(hungry, 0, memory_order_relaxed);
        if (n_there == 0)
            continue;
        if (lend_some(loop, to, n_there - 1u)) {
            loop->lending.fed = (uint8_t)to;
        } else {
            uint8_t none = 0;

            /* It may sleep, and then asks no more: it is as hungry as it was, unless it has said otherwise. */
            atomic_compare_exchange_strong_explicit(hungry, &none, n_there, memory_order_relaxed,
                                                    memory_order_relaxed);
        }
    }
    return any;
}

void gv_lend_offer(struct gv_loop *loop)
{
    if (gv_runtime.n_loops == 1)
        return;
    gv_lend_ask(loop); /* Work of its own may have come since. */
    if (loop->run_head == NULL)
        return;
    /* What the tasks sent from here leaves before they do. */
    if (loop->out_dirty)
        gv_loop_publish(loop);
    if (loop->lending.mode == GV_LEND_FORCE)
        lend_by_chance(loop);
    else if (lend_to_hungry(loop))
        mark_lingering(loop);
    if (loop->out_dirty)
        gv_loop_publish(loop);
}

/* --- with the borrower ------------------------------------------------------------------------ */

static void take_in(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_loan *loan = (struct gv_loan *)(void *)message->body;

    loan->next = loop->lending.guests;
    loop->lending.guests = loan;
    gv_sched_ready(loop, &loan->guest);
}

struct gv_task *gv_guest_find(struct gv_loop *loop, uint64_t id)
{
    for (struct gv_loan *loan = loop->lending.guests; loan != NULL; loan = loan->next)
        if (gv_task_id(&loan->guest) == id)
            return &loan->guest;
    return NULL;
}

void gv_lend_return(struct gv_loop *loop, struct gv_task *guest)
{
    struct gv_loan *loan = loan_of(guest), **place = &loop->lending.guests;
    struct gv_message *message = message_of(loan);

    gv_assert(!(guest->flags & (GV_TASK_BUSY | GV_TASK_QUEUED)) && guest->turn == NULL);
    while (*place != loan)
        place = &(*place)->next;
    *place = loan->next;
    /* What the task sent from here is with its receivers before it can send from home. */
    if (loop->out_dirty)
        gv_loop_publish(loop);
    gv_probe(&loop->probes, HOME, gv_task_id(guest), guest->loop);
    message->method = GV_SIGNAL_HOME;
    gv_loop_post(loop, guest->loop, message);
}

void gv_guest_stop(struct gv_loop *loop, uint64_t id, bool cancel)
{
    struct gv_task *guest = gv_guest_find(loop, id);

    /* It may have left meanwhile: home sees to it then. */
    if (guest == NULL)
        return;
    guest->flags |= GV_TASK_NOW; /* What else is to be known, home knows. */
    if (cancel) {
        guest->killed = 1;
        gv_turn_cancel(loop, guest->turn);
    }
}

/* The stop deadline of a guest's task has come. */
static void abandon(struct gv_loop *loop, uint64_t id)
{
    struct gv_task *guest = gv_guest_find(loop, id);

    gv_guest_stop(loop, id, false);
    if (guest != NULL && guest->turn != NULL)
        gv_doom_fulfil(loop, guest);
}

static void give_up(struct gv_loop *loop, uint64_t id, uint64_t call)
{
    struct gv_task *guest = gv_guest_find(loop, id);

    if (guest != NULL)
        (void)gv_task_give_up(loop, guest, call); /* Home cannot know either way. */
}

/* The home of a guest says something. */
static void told(struct gv_loop *loop, struct gv_message *message)
{
    struct tell tell = *(struct tell *)(void *)message->body;
    uint64_t id = message->to;

    gv_message_give(&loop->blocks, message);
    if (tell.call != 0)
        give_up(loop, id, tell.call);
    else if (tell.abandon)
        abandon(loop, id);
    else
        gv_guest_stop(loop, id, tell.cancel);
}

/* --- home ------------------------------------------------------------------------------------- */

static void come_home(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_loan *loan = (struct gv_loan *)(void *)message->body;
    struct gv_task *task = loan->task;

    gv_assert(gv_task_is_out(task) && task->run_next == &loan->guest);
    gv_mailbox_rejoin(&task->mailbox, &loan->guest.mailbox, loan->charge);
    task->flags |= loan->guest.flags & (GV_TASK_STOPPING | GV_TASK_NOW);
    task->failed |= loan->guest.failed;
    task->killed |= loan->guest.killed;
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    task->turn = NULL;
    task->run_next = NULL;
    loop->lending.n_out--;
    gv_message_give(&loop->blocks, message);
    if (task->flags & GV_TASK_WAITED)
        gv_task_let_in(loop, task);
    /* One that is to stop is ended by its run, not here. */
    if (task->mailbox.head != NULL || task->flags & (GV_TASK_STOPPING | GV_TASK_NOW))
        gv_sched_ready(loop, task);
}

static void send_tell(struct gv_loop *loop, struct gv_task *task, struct tell tell)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof tell);

    /* Without memory the batch is run to its end, and the task stops at home. */
    if (message == NULL)
        return;
    message->method = GV_SIGNAL_TELL;
    message->to = gv_task_id(task);
    *(struct tell *)(void *)message->body = tell;
    gv_loop_post(loop, gv_lend_borrower(task), message);
}

void gv_lend_stop(struct gv_loop *loop, struct gv_task *task, bool cancel)
{
    send_tell(loop, task, (struct tell){.cancel = cancel});
}

void gv_lend_abandon(struct gv_loop *loop, struct gv_task *task)
{
    send_tell(loop, task, (struct tell){.abandon = true});
}

void gv_lend_take_back(struct gv_loop *loop, struct gv_task *task, uint64_t call)
{
    send_tell(loop, task, (struct tell){.call = call});
}

void gv_lend_came(struct gv_loop *loop, struct gv_message *message)
{
    switch (message->method) {
    case GV_SIGNAL_LEND:
        take_in(loop, message);
        break;
    case GV_SIGNAL_TELL:
        told(loop, message);
        break;
    default:
        gv_assert(message->method == GV_SIGNAL_HOME);
        come_home(loop, message);
    }
}
